//! What yields values: traits, aggregates of events, and what is computed of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_model::EventName;

use super::{Condition, Duration, Number, Path, Scalar, Test, Window};

/// Most different values of a property that an aggregate tells apart: the first so many in the order of
/// [`Scalar`]. Others in the window do not count for [`Take::Distinct`], [`Take::UniqueList`] and
/// [`Take::MostFrequent`].
pub const DISTINCT_VALUES_MAX: usize = 1_000;

/// What yields values: none, one or several.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// A value that stands here.
    Literal(Scalar),
    /// The values at a path of the person's traits. A computed trait hides a trait of its name.
    Trait(Path),
    /// The values at a path of the traits of the person's accounts (groups), of all of them together.
    Account(Path),
    /// One value or a list, from events.
    Aggregate(Box<Aggregate>),
    /// One number from two. No value unless each side has exactly one value, a number.
    Arithmetic(Box<Arithmetic>),
    /// Whole years from the dates at a path of the person's traits until today in the definition's time zone, as ages
    /// are counted; who was born on 29 February is a year older on 1 March in other years. The date is read as it is
    /// written, from the first ten characters of a text (`1990-02-28`); what is no date gives no value, nor does one
    /// in the future.
    Age(Path),
    /// Recency, frequency and monetary value in scores: one text of three digits, `"543"`.
    Rfm(Box<Rfm>),
    /// Whether a condition holds: `true` or `false`.
    Whether(Box<Condition>),
}

/// Events of one name whose properties pass a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The event's name (`Order Completed`), or its call's for all but track calls (`page`); absent: any event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<EventName>,
    /// What its properties must pass.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// A condition on the properties of one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Each of these holds. Not empty.
    All(Vec<Self>),
    /// At least one of these holds. Not empty.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The values at a path of the event pass a test.
    Property(PropertyTest),
}

/// A test of an event's values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PropertyTest {
    /// Where the values stand in the event.
    pub path: Path,
    /// What they must pass.
    pub test: Test,
}

/// Something taken of the events in a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// What is taken.
    pub take: Take,
    /// Of which events.
    pub of: Events,
    /// When they happened.
    #[serde(default, skip_serializing_if = "is_ever")]
    pub window: Window,
}

fn is_ever(window: &Window) -> bool {
    *window == Window::Ever
}

/// What is taken of events. An event gives all the values at its path: three items of an order are three values.
/// Texts longer than [`AGGREGATED_TEXT_BYTES_MAX`](super::AGGREGATED_TEXT_BYTES_MAX) are left out. Nothing that
/// is taken depends on the order of events, and equal values need no further rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// How many events. 0 of none.
    Count,
    /// The sum of the numbers at a path. 0 of none. No value from a magnitude of 10^20 on.
    Sum(Path),
    /// Their mean, rounded to six places, ties to even. No value of none.
    Average(Path),
    /// The least number. No value of none.
    Min(Path),
    /// The greatest number. No value of none.
    Max(Path),
    /// How many different values there are; at most [`DISTINCT_VALUES_MAX`]. 0 of none.
    Distinct(Path),
    /// The different values in their order; the first [`DISTINCT_VALUES_MAX`] of them. Several values, or none.
    UniqueList(Path),
    /// The value that stands most often; of several the first in order. It counts every time that a value stands in
    /// an event. No value of none.
    MostFrequent(Path),
    /// The value of the earliest event that has one; of several at that time the first in order.
    First(Path),
    /// The value of the latest event that has one; of several at that time the last in order.
    Last(Path),
    /// When the earliest event happened, as a text (`2026-01-01T00:00:00.000Z`). No value of none.
    FirstAt,
    /// When the latest event happened, as a text.
    LastAt,
}

impl Take {
    /// The path that it looks at in events, if it looks into them.
    #[must_use]
    pub const fn path(&self) -> Option<&Path> {
        match self {
            Self::Count | Self::FirstAt | Self::LastAt => None,
            Self::Sum(path)
            | Self::Average(path)
            | Self::Min(path)
            | Self::Max(path)
            | Self::Distinct(path)
            | Self::UniqueList(path)
            | Self::MostFrequent(path)
            | Self::First(path)
            | Self::Last(path) => Some(path),
        }
    }
}

/// Two numbers make one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// The left side.
    pub left: Operand,
    /// How.
    pub operator: Operator,
    /// The right side.
    pub right: Operand,
}

/// How two numbers make one. The result has six places, rounded with ties to even; there is none from a magnitude of
/// 10^20 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: a ratio. No value when the right side is 0.
    Divide,
}

/// Scores from cut points, so that they follow from the person alone: quintiles would change with everybody else's
/// orders, and no stream could follow them. One digit each, 1 the worst. No value when no event is in the window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rfm {
    /// Which events are purchases.
    pub of: Events,
    /// Where their amount stands.
    pub amount: Path,
    /// When they happened.
    #[serde(default, skip_serializing_if = "is_ever")]
    pub window: Window,
    /// Recency: 1, and 1 more for each of these that is longer than the time since the latest event
    /// (`now - latest < cut`, to the millisecond). 1 to 8 of them.
    pub recency: Vec<Duration>,
    /// Frequency: 1, and 1 more for each of these that the number of events reaches. 1 to 8 of them.
    pub frequency: Vec<u32>,
    /// Monetary value: 1, and 1 more for each of these that the sum of the amounts reaches. 1 to 8 of them.
    pub monetary: Vec<Number>,
}
