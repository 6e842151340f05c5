//! The words of identity rules: how limits count, when a value is shared, and how anonymous data meets the known.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Namespace;

/// In what time a namespace's limit counts. Reference: Segment Unify's identity rules. A window is a length of time and
/// not a page of the calendar: no time zone decides who is one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Over all time.
    #[default]
    Ever,
    /// Within any 24 hours.
    Daily,
    /// Within any 7 days.
    Weekly,
    /// Within any 30 days.
    Monthly,
    /// Within any 365 days.
    Annually,
}

impl Window {
    /// Its length in milliseconds; `None`: all time.
    #[must_use]
    pub const fn millis(self) -> Option<i64> {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        match self {
            Self::Ever => None,
            Self::Daily => Some(DAY),
            Self::Weekly => Some(7 * DAY),
            Self::Monthly => Some(30 * DAY),
            Self::Annually => Some(365 * DAY),
        }
    }

    /// Its name in the workspace: `monthly`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ever => "ever",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Annually => "annually",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(crate) fn is_ever(&self) -> bool {
        *self == Self::Ever
    }
}

/// With more than how many people a value may stand before it says nothing: `10`, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedAfter(Option<u16>);

impl SharedAfter {
    /// After `people` different ones; `None`: never.
    #[must_use]
    pub const fn new(people: Option<u16>) -> Self {
        Self(people)
    }

    /// How many people; `None`: never.
    #[must_use]
    pub const fn people(self) -> Option<u16> {
        self.0
    }
}

impl Default for SharedAfter {
    /// Families share, and a recycled telephone number passes through hands; ten is no family.
    fn default() -> Self {
        Self(Some(10))
    }
}

impl fmt::Display for SharedAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(people) => write!(f, "{people}"),
            None => f.write_str("never"),
        }
    }
}

impl Serialize for SharedAfter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(people) => serializer.serialize_u16(people),
            None => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for SharedAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = SharedAfter;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of people from 1 to 65535, or `never`")
            }
            fn visit_u64<E: serde::de::Error>(self, people: u64) -> Result<SharedAfter, E> {
                let people = u16::try_from(people).ok().filter(|people| *people > 0);
                people.map(|people| SharedAfter(Some(people))).ok_or_else(|| {
                    E::custom("shared_after is not a number of people from 1 to 65535, or `never`")
                })
            }
            fn visit_i64<E: serde::de::Error>(self, people: i64) -> Result<SharedAfter, E> {
                self.visit_u64(u64::try_from(people).unwrap_or(0))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SharedAfter, E> {
                if text == "never" { Ok(SharedAfter(None)) } else { self.visit_u64(0) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How anonymous identifiers meet known ones. The names are mParticle's, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStrategy {
    /// What stood together is one person, the earlier evidence first, as far as limits allow.
    #[default]
    Default,
    /// An anonymous identifier joins a known person only if that person was new when they met: what happened before
    /// the sign-up is kept, what happens before a later sign-in elsewhere stays anonymous.
    ProfileConversion,
    /// An anonymous identifier joins the first known person that it meets, and never holds two known people together.
    ProfileLink,
    /// Anonymous identifiers and known ones never join.
    ProfileIsolation,
    /// The strongest namespaces decide first, then time: a user id's word goes before a device's, whichever came first.
    BestMatch,
}

impl IdentityStrategy {
    /// Its name in the workspace: `profile_link`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ProfileConversion => "profile_conversion",
            Self::ProfileLink => "profile_link",
            Self::ProfileIsolation => "profile_isolation",
            Self::BestMatch => "best_match",
        }
    }
}

/// `kind: Identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IdentityKind {
    /// `Identity`
    #[default]
    Identity,
}

/// How people are told from each other. A workspace has at most one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityDocument {
    /// `Identity`.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// How anonymous identifiers meet known ones.
    #[serde(default)]
    pub strategy: IdentityStrategy,
    /// The namespaces that name a device and no person.
    #[serde(default = "anonymous_id")]
    pub anonymous: BTreeSet<Namespace>,
}

pub(crate) fn anonymous_id() -> BTreeSet<Namespace> {
    Namespace::parse("anonymous_id").into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_after_is_a_number_or_never() {
        let read = |text: &str| serde_json::from_str::<SharedAfter>(text).map(SharedAfter::people);
        assert_eq!(read("3").unwrap(), Some(3));
        assert_eq!(read("\"never\"").unwrap(), None);
        for wrong in ["0", "-1", "70000", "\"always\"", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::to_string(&SharedAfter::new(None)).unwrap(), "\"never\"");
        assert_eq!(serde_json::to_string(&SharedAfter::default()).unwrap(), "10");
    }
}
