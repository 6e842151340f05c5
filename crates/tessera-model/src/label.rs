//! Labels on fields: what kind of data a field is, whatever its name.
//!
//! Reference: Adobe's data usage labels (contract C1 to C12, identity I1 and I2, sensitive S1 and S2); GDPR Art. 9
//! for `special`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! labels {
    ($($variant:ident $text:literal $word:literal $doc:literal,)*) => {
        /// A label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Label {
            $(#[doc = $doc] $variant,)*
        }

        impl Label {
            /// Every label.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its short name: `I1`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What it says, in words.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }

            /// Reads a short name or the word for it: `I1` or `direct_identifier`.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text | $word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

labels! {
    I1 "I1" "direct_identifier" "Names a person by itself: an e-mail address, a phone number, a full name",
    I2 "I2" "indirect_identifier" "Names a person together with something else: an IP address, a device id",
    S1 "S1" "precise_location" "Where a person is, to 100 metres or better",
    S2 "S2" "location" "Where a person is, within a fenced area",
    Special "special" "sensitive" "Special categories of GDPR Art. 9: health, belief, origin, sex life, biometrics",
    C1 "C1" "contract_aggregate_only" "May leave the business in aggregated form only",
    C2 "C2" "contract_no_third_party" "May not go to a third party",
    C3 "C3" "contract_not_with_identity" "May not be combined with what names a person",
    C4 "C4" "contract_no_ad_targeting" "May not be used to target ads or content, on or off the site",
    C5 "C5" "contract_no_cross_site_targeting" "May not be used to target across sites by interest",
    C6 "C6" "contract_no_onsite_ads" "May not be used to target ads on the site",
    C7 "C7" "contract_no_onsite_content" "May not be used to target content on the site",
    C8 "C8" "contract_no_measurement" "May not be used to measure the site",
    C9 "C9" "contract_no_data_science" "May not be used in data science",
    C10 "C10" "contract_no_stitching" "May not be used to stitch identities",
    C11 "C11" "contract_no_segment_match" "May not be used to match audiences with partners",
    C12 "C12" "contract_no_export" "May not be exported in any way",
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|label| label.as_str()).collect();
            serde::de::Error::custom(format!("label `{text}` is not one of {}", known.join(", ")))
        })
    }
}

/// A set of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(u32);

impl LabelSet {
    /// Adds one.
    pub const fn insert(&mut self, label: Label) {
        self.0 |= 1 << label as u8;
    }

    /// Whether it is in.
    #[must_use]
    pub const fn contains(self, label: Label) -> bool {
        self.0 & (1 << label as u8) != 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether none is in.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members.
    pub fn iter(self) -> impl Iterator<Item = Label> {
        Label::ALL.iter().copied().filter(move |label| self.contains(*label))
    }
}

impl FromIterator<Label> for LabelSet {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut set = Self::default();
        labels.into_iter().for_each(|label| set.insert(label));
        set
    }
}

/// Where a value stands in an event: `traits.email`, `properties.*`, `context.location.latitude`.
///
/// Invariant: 1 to 255 bytes; starts with `traits`, `properties`, `context` or `identifiers`; the parts are separated by
/// dots and not empty; only the last may be `*`, which stands for everything below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Box<str>);

impl FieldPath {
    /// Where a path may start.
    pub const ROOTS: [&'static str; 4] = ["traits", "properties", "context", "identifiers"];

    /// Reads a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (root, rest) = text.split_once('.')?;
        let parts: Vec<&str> = rest.split('.').collect();
        let is_sound = Self::ROOTS.contains(&root)
            && text.len() <= crate::NAME_BYTES_MAX
            && parts.iter().all(|part| !part.is_empty() && !part.chars().any(char::is_control))
            && parts.iter().rev().skip(1).all(|part| *part != "*");
        is_sound.then(|| Self(text.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, or what lies below it, is meant by this one.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        match self.0.strip_suffix(".*") {
            Some(above) => path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.')),
            None => {
                path.strip_prefix(self.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "a field is traits.NAME, properties.NAME, context.NAME or identifiers.NAMESPACE, and may end in `.*`",
            )
        })
    }
}
