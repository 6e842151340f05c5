//! What buckets hold, one form for each thing that can be taken of events. Each is a commutative monoid.

use serde::{Deserialize, Serialize};

use super::cells::Cell;
use crate::{AGGREGATED_TEXT_BYTES_MAX, DISTINCT_VALUES_MAX, Number, Scalar};

impl Cell for u64 {
    fn absorb(&mut self, other: &Self) {
        *self = self.saturating_add(*other);
    }
}

/// A time that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct There;

impl Cell for There {
    fn absorb(&mut self, There: &Self) {}
}

/// How many numbers, and the sum of their millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) micros: i128,
}

impl Cell for Tally {
    fn absorb(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// The least number, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Least(pub(crate) Option<i128>);

impl Cell for Least {
    fn absorb(&mut self, other: &Self) {
        self.0 = [self.0, other.0].into_iter().flatten().min();
    }
}

/// The greatest number, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greatest(pub(crate) Option<i128>);

impl Cell for Greatest {
    fn absorb(&mut self, other: &Self) {
        self.0 = self.0.max(other.0);
    }
}

/// The earliest time, and the first in order of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Earliest(pub(crate) Option<(i64, Option<Value>)>);

impl Cell for Earliest {
    fn absorb(&mut self, other: &Self) {
        if let Some(new) = &other.0
            && self.0.as_ref().is_none_or(|known| new < known)
        {
            self.0 = Some(new.clone());
        }
    }
}

/// The latest time, and the last in order of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latest(pub(crate) Option<(i64, Option<Value>)>);

impl Cell for Latest {
    fn absorb(&mut self, other: &Self) {
        if other.0 > self.0 {
            self.0 = other.0.clone();
        }
    }
}

/// Different values and how often each stood, in their order; the first [`DISTINCT_VALUES_MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Values(pub(crate) Vec<(Value, u64)>);

impl Values {
    /// One value, once.
    pub(crate) fn add(&mut self, value: Value, count: u64) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&value)) {
            Ok(place) => {
                self.0.get_mut(place).into_iter().for_each(|(_, known)| *known = known.saturating_add(count));
            }
            Err(place) if place < DISTINCT_VALUES_MAX => {
                self.0.insert(place, (value, count));
                self.0.truncate(DISTINCT_VALUES_MAX);
            }
            Err(_) => {}
        }
    }
}

impl Cell for Values {
    fn absorb(&mut self, other: &Self) {
        other.0.iter().for_each(|(value, count)| self.add(value.clone(), *count));
    }
}

/// A value as it is stored: numbers in millionths, so that they are read back exactly.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Value {
    Bool(bool),
    Micros(i128),
    Text(smol_str::SmolStr),
}

/// It may be personal data.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<value>")
    }
}

impl Value {
    /// What aggregates count; `None`: a text that is too long.
    pub(crate) fn of(scalar: &Scalar) -> Option<Self> {
        match scalar {
            Scalar::Bool(truth) => Some(Self::Bool(*truth)),
            Scalar::Number(number) => Some(Self::Micros(number.micros())),
            Scalar::Text(text) if text.len() <= AGGREGATED_TEXT_BYTES_MAX => Some(Self::Text(text.clone())),
            Scalar::Text(_) => None,
        }
    }

    pub(crate) fn scalar(&self) -> Scalar {
        match self {
            Self::Bool(truth) => Scalar::Bool(*truth),
            Self::Micros(micros) => Scalar::Number(Number::from_micros(*micros).unwrap_or_default()),
            Self::Text(text) => Scalar::Text(text.clone()),
        }
    }
}
