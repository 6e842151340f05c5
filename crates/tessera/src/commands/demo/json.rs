//! JSON with its members in the order in which they are written.
//!
//! Not `serde_json::Value`: the order of its members depends on what other crates ask of it, and the same seed must
//! give the same bytes.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// One JSON value.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Text(String),
    Number(u32),
    /// Hundredths, written as a decimal number.
    Cents(u32),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(super) fn object<const N: usize>(members: [(&'static str, Self); N]) -> Self {
        Self::Object(members.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Cents(cents) => serializer.serialize_f64(f64::from(*cents) / 100.0),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
