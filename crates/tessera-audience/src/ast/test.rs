//! Tests of values against what stands in the definition.
//!
//! A test is asked of the values of an operand or a property: none, one or several (see
//! [`Path`](super::Path)). It holds when *any* value passes it. So it never holds where there is no value,
//! [`Test::NotEquals`] and [`Test::NotIn`] included: these hold when there is a value and *none* is the forbidden one.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::{Moment, Scalar};

/// A test of values against literals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Is this value, of the same kind: `"5"` is not `5`.
    Equals(Scalar),
    /// There is a value, and none equals this one.
    NotEquals(Scalar),
    /// Less: numbers with numbers, texts with texts by their bytes, nothing else. So for the next three.
    Less(Scalar),
    /// Less or equal.
    AtMost(Scalar),
    /// Greater.
    Greater(Scalar),
    /// Greater or equal.
    AtLeast(Scalar),
    /// Equals one of these.
    In(Vec<Scalar>),
    /// There is a value, and none equals any of these.
    NotIn(Vec<Scalar>),
    /// A text that has this one in it.
    Contains(SmolStr),
    /// A text that begins so.
    StartsWith(SmolStr),
    /// A text that ends so.
    EndsWith(SmolStr),
    /// A text in which the regular expression is found anywhere.
    Matches(Pattern),
    /// A text that is a time or date (as [`Timestamp::parse`](tessera_model::Timestamp::parse) reads it) before this.
    Before(Moment),
    /// A text that is a time or date at or after this.
    Since(Moment),
    /// Something is there: any value or object. `null` and lists without values or objects are not.
    Exists,
}

/// How two operands compare; each as the [`Test`] of that name. It holds if it does for any pair of their values;
/// [`Comparator::NotEquals`] if both have a value and no pair is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparator {
    /// `=`
    Equals,
    /// `!=`
    NotEquals,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

/// Longest regular expression in bytes.
pub const PATTERN_BYTES_MAX: usize = 500;

/// A regular expression in the syntax of the `regex` crate: linear time, no look-around, no back-references.
///
/// Invariant: compiles, within 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(SmolStr);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is a regular expression of up to 500 bytes without look-around and back-references")]
pub struct NotAPattern;

impl Pattern {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compiled.
    #[must_use]
    pub fn compile(&self) -> Option<regex::Regex> {
        regex::RegexBuilder::new(&self.0).size_limit(64 * 1024).build().ok()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let pattern = Self(text.into());
        if text.len() <= PATTERN_BYTES_MAX && pattern.compile().is_some() {
            Ok(pattern)
        } else {
            Err(NotAPattern)
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A regular expression without look-around and back-references, found anywhere in the text.",
            "maxLength": PATTERN_BYTES_MAX,
        })
    }
}
