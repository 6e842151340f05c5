//! The id of a data-subject request: a UUID of version 4, as OpenDSR demands (RFC 9562).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one data-subject request. Invariant: a version 4 UUID, written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectRequestId(u128);

/// Why a text is not the id of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request's id is a version 4 UUID in lower case: a7551968-d5d6-44b2-9831-815ac9017798")]
pub struct IdError;

const VERSION: u128 = 0xf << 76;
const VERSION_4: u128 = 0x4 << 76;
const VARIANT: u128 = 0b11 << 62;
const VARIANT_RFC: u128 = 0b10 << 62;

impl SubjectRequestId {
    /// An id of random bits, six of which become version and variant.
    #[must_use]
    pub const fn from_random(bits: u128) -> Self {
        Self((bits & !VERSION & !VARIANT) | VERSION_4 | VARIANT_RFC)
    }
}

impl fmt::Display for SubjectRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bits) = self;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for SubjectRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SubjectRequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bits = u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| IdError)?;
        let id = Self(bits);
        // Comparing with what we would write checks length, case and hyphens at once.
        let is_sound = id == Self::from_random(bits) && id.to_string() == text;
        if is_sound { Ok(id) } else { Err(IdError) }
    }
}

impl Serialize for SubjectRequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubjectRequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_read_back_as_written(bits in any::<u128>()) {
            let id = SubjectRequestId::from_random(bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_version_4_uuid_in_lower_case_is_refused() {
        for text in [
            "",
            "a7551968",
            "A7551968-D5D6-44B2-9831-815AC9017798",
            "a7551968d5d644b29831815ac9017798",
            "a7551968-d5d6-14b2-9831-815ac9017798",
            "a7551968-d5d6-44b2-c831-815ac9017798",
            "+7551968-d5d6-44b2-9831-815ac9017798",
            "a755196-8d5d6-44b2-9831-815ac9017798",
        ] {
            assert_eq!(text.parse::<SubjectRequestId>(), Err(IdError), "{text}");
        }
        assert!("a7551968-d5d6-44b2-9831-815ac9017798".parse::<SubjectRequestId>().is_ok());
    }
}
