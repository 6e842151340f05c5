//! Numbers that add up to the same sum in every order.
//!
//! Not floating point: a sum of doubles depends on the order of its parts. Invariant: a decimal with six places, of a
//! magnitude below 10^20, so that sums of 10^12 of them fit 128 bits (and SQL's `DECIMAL(38, 6)`).

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal number with six places.
///
/// Invariant: its magnitude is below 10^20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Number(i128);

/// Units of a [`Number`] in 1: a millionth each.
pub const MICROS: i128 = 1_000_000;
const LIMIT: i128 = 100_000_000_000_000_000_000 * MICROS;

impl Number {
    /// From millionths; `None` from a magnitude of 10^20 on.
    #[must_use]
    pub const fn from_micros(micros: i128) -> Option<Self> {
        if micros > -LIMIT && micros < LIMIT { Some(Self(micros)) } else { None }
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> i128 {
        self.0
    }

    /// From a whole number.
    #[must_use]
    pub fn from_integer(integer: i64) -> Self {
        Self(i128::from(integer) * MICROS)
    }

    /// From a double: its exact value rounded to six places, ties to even. `None`: not finite, or too large.
    #[must_use]
    pub fn from_f64(double: f64) -> Option<Self> {
        if !double.is_finite() || double.abs() >= 1e20 {
            return None;
        }
        // The formatter of the standard library is exact and rounds ties to even.
        let text = format!("{double:.6}");
        let (whole, places) = text.split_once('.')?;
        let micros: i128 = format!("{whole}{places}").parse().ok()?;
        Self::from_micros(micros)
    }

    /// What a JSON number stands for: a whole number of 64 bits exactly, any other as the nearest double.
    #[must_use]
    pub fn from_json(number: &serde_json::Number) -> Option<Self> {
        if let Some(integer) = number.as_i128() {
            return Self::from_micros(integer * MICROS);
        }
        number.as_f64().and_then(Self::from_f64)
    }

    /// Reads a number as JSON writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<serde_json::Number>(text).ok().as_ref().and_then(Self::from_json)
    }

    /// `self + other`; `None` when it is too large, as for the next three.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::from_micros(self.0 + other.0)
    }

    /// `self - other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        Self::from_micros(self.0 - other.0)
    }

    /// `self * other`, rounded to six places, ties to even.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        // What does not fit 128 bits is far beyond the limit.
        Self::from_micros(divide(self.0.checked_mul(other.0)?, MICROS)?)
    }

    /// `self / other`, rounded to six places, ties to even; `None` also when `other` is 0.
    #[must_use]
    pub fn over(self, other: Self) -> Option<Self> {
        Self::from_micros(divide(self.0 * MICROS, other.0)?)
    }

    /// The mean of `count` numbers whose millionths add up to `micros`, rounded to six places, ties to even. `None`:
    /// of no numbers.
    #[must_use]
    pub fn mean(micros: i128, count: u64) -> Option<Self> {
        Self::from_micros(divide(micros, i128::from(count))?)
    }
}

/// `dividend / divisor` to the nearest whole number, ties to even.
fn divide(dividend: i128, divisor: i128) -> Option<i128> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.unsigned_abs();
    let half = divisor.unsigned_abs() - rest;
    let up = rest > half || (rest == half && quotient % 2 != 0);
    let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    Some(if up { quotient + away } else { quotient })
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, places) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        let sign = if self.0 < 0 { "-" } else { "" };
        if places == 0 {
            return write!(f, "{sign}{whole}");
        }
        let places = format!("{places:06}");
        write!(f, "{sign}{whole}.{}", places.trim_end_matches('0'))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % MICROS == 0
            && let Ok(integer) = i64::try_from(self.0 / MICROS)
        {
            return serializer.serialize_i64(integer);
        }
        match self.to_string().parse::<f64>() {
            Ok(double) => serializer.serialize_f64(double),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::from_json(&number).ok_or_else(|| D::Error::custom("a number is below 10^20"))
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "description": "A decimal number with six places.",
            "exclusiveMinimum": -1e20,
            "exclusiveMaximum": 1e20,
        })
    }
}
