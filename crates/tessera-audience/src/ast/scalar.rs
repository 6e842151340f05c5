//! Single values: what traits and properties are compared with, and what aggregates are made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Number;

/// Longest text, in bytes, that an aggregate counts, keeps or returns: longer ones are left out as if absent.
pub const AGGREGATED_TEXT_BYTES_MAX: usize = 256;

/// A boolean, a number or a text. Values of different kinds are never equal, and none is less than the other where a
/// condition compares them; where values have to be put in order, `false` comes before `true`, before numbers, before
/// texts by their bytes: the order of this type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text. Compared by its bytes: upper and lower case differ.
    Text(SmolStr),
}

impl Scalar {
    /// What a JSON value stands for: `None` for `null`, lists, objects and numbers that are too large.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Bool(truth) => Some(Self::Bool(*truth)),
            serde_json::Value::Number(number) => Number::from_json(number).map(Self::Number),
            serde_json::Value::String(text) => Some(Self::Text(text.as_str().into())),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        }
    }
}
