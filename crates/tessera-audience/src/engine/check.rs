//! Tests of values, compiled.

use regex::Regex;
use smol_str::SmolStr;
use tessera_model::Timestamp;

use super::extract::Found;
use crate::{Comparator, Scalar, Test};

/// A [`Test`], compiled.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// Any value is in such an order to a literal.
    Order(Comparator, Scalar),
    /// There is a value and none is one of these.
    None(Vec<Scalar>),
    /// Any value is one of these.
    Any(Vec<Scalar>),
    Contains(SmolStr),
    StartsWith(SmolStr),
    EndsWith(SmolStr),
    /// `None`: a pattern that does not compile matches nothing. The type keeps such from being made.
    Matches(Option<Regex>),
    Before(i64),
    Since(i64),
    Exists,
}

impl Check {
    pub(crate) fn of(test: &Test) -> Self {
        let order = |comparator, literal: &Scalar| Self::Order(comparator, literal.clone());
        match test {
            Test::Equals(literal) => order(Comparator::Equals, literal),
            Test::NotEquals(literal) => Self::None(vec![literal.clone()]),
            Test::Less(literal) => order(Comparator::Less, literal),
            Test::AtMost(literal) => order(Comparator::AtMost, literal),
            Test::Greater(literal) => order(Comparator::Greater, literal),
            Test::AtLeast(literal) => order(Comparator::AtLeast, literal),
            Test::In(literals) => Self::Any(sorted(literals)),
            Test::NotIn(literals) => Self::None(sorted(literals)),
            Test::Contains(text) => Self::Contains(text.clone()),
            Test::StartsWith(text) => Self::StartsWith(text.clone()),
            Test::EndsWith(text) => Self::EndsWith(text.clone()),
            Test::Matches(pattern) => Self::Matches(pattern.compile()),
            Test::Before(moment) => Self::Before(moment.0.as_millis()),
            Test::Since(moment) => Self::Since(moment.0.as_millis()),
            Test::Exists => Self::Exists,
        }
    }

    /// Whether what was found passes.
    pub(crate) fn passes(&self, found: &Found) -> bool {
        let values = &found.values;
        let text = |is: &dyn Fn(&str) -> bool| {
            values.iter().any(|value| matches!(value, Scalar::Text(text) if is(text)))
        };
        let time = |is: &dyn Fn(i64) -> bool| {
            text(&|text| Timestamp::parse(text).is_some_and(|at| is(at.as_millis())))
        };
        match self {
            Self::Order(comparator, literal) => {
                values.iter().any(|value| compares(value, *comparator, literal))
            }
            Self::Any(literals) => values.iter().any(|value| literals.binary_search(value).is_ok()),
            Self::None(literals) => {
                !values.is_empty() && !values.iter().any(|value| literals.binary_search(value).is_ok())
            }
            Self::Contains(part) => text(&|text| text.contains(part.as_str())),
            Self::StartsWith(part) => text(&|text| text.starts_with(part.as_str())),
            Self::EndsWith(part) => text(&|text| text.ends_with(part.as_str())),
            Self::Matches(pattern) => {
                pattern.as_ref().is_some_and(|pattern| text(&|text| pattern.is_match(text)))
            }
            Self::Before(moment) => time(&|at| at < *moment),
            Self::Since(moment) => time(&|at| at >= *moment),
            Self::Exists => found.exists,
        }
    }
}

fn sorted(literals: &[Scalar]) -> Vec<Scalar> {
    let mut sorted = literals.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Whether two values compare so; those of different kinds do not, but for being unequal.
pub(crate) fn compares(left: &Scalar, comparator: Comparator, right: &Scalar) -> bool {
    let has_order =
        matches!((left, right), (Scalar::Number(_), Scalar::Number(_)) | (Scalar::Text(_), Scalar::Text(_)));
    match comparator {
        Comparator::Equals => left == right,
        Comparator::NotEquals => left != right,
        Comparator::Less => has_order && left < right,
        Comparator::AtMost => has_order && left <= right,
        Comparator::Greater => has_order && left > right,
        Comparator::AtLeast => has_order && left >= right,
    }
}

/// Whether any pair compares so; for being unequal, whether both have values and no pair is equal.
pub(crate) fn any_compares(left: &Found, comparator: Comparator, right: &Found) -> bool {
    let any = |comparator| {
        left.values.iter().any(|left| right.values.iter().any(|right| compares(left, comparator, right)))
    };
    match comparator {
        Comparator::NotEquals => {
            !left.values.is_empty() && !right.values.is_empty() && !any(Comparator::Equals)
        }
        Comparator::Equals
        | Comparator::Less
        | Comparator::AtMost
        | Comparator::Greater
        | Comparator::AtLeast => any(comparator),
    }
}
