//! The definition language: one tree for YAML, JSON and text.
//!
//! Each part says exactly what it means; `docs/reference/audiences.md` says it again with an example each.
//! Whether a person is a member is a function of the set of their events (each message once), their traits, the traits of
//! their accounts, their consents and subscriptions, their profile id, the other definitions, and `now`: not of the order
//! or the time in which any of it arrived.
//!
//! Invariant: what does not depend on other definitions and on limits (see [`check`](crate::check())) cannot be wrong in a value
//! of these types.

mod number;
mod operand;
mod path;
mod scalar;
mod test;
#[cfg(test)]
mod tests;
mod time;
mod tree_or_text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tessera_model::{AudienceName, ConsentStatus, PurposeName, SubscriptionState, TraitName};

pub use number::{MICROS, Number};
pub use operand::{
    Aggregate, Arithmetic, DISTINCT_VALUES_MAX, Events, Filter, Operand, Operator, PropertyTest, Rfm, Take,
};
pub use path::{NotAPath, PATH_BYTES_MAX, Path};
pub use scalar::{AGGREGATED_TEXT_BYTES_MAX, Scalar};
pub use test::{Comparator, NotAPattern, PATTERN_BYTES_MAX, Pattern, Test};
pub use time::{
    Between, Calendar, DURATION_MILLIS_MAX, Duration, Fixed, Moment, NotADuration, NotAMoment, NotATimeZone,
    TimeZoneName, Unit, Units, Window, written_date,
};

/// Of each selector in a sequence, how many different times are looked at: the latest so many in the window.
pub const SEQUENCE_TIMES_MAX: usize = 100;

/// A set of people that a condition describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Its name.
    #[schemars(with = "String")]
    pub name: AudienceName,
    /// The one purpose that it serves: of each person only what this purpose permits is looked at.
    #[schemars(with = "String")]
    pub purpose: PurposeName,
    /// Where days begin.
    #[serde(default, skip_serializing_if = "is_utc")]
    pub time_zone: TimeZoneName,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who is a member: a tree, or its text form.
    #[serde(deserialize_with = "tree_or_text::condition")]
    #[schemars(schema_with = "tree_or_text::condition_schema")]
    pub when: Condition,
}

/// A trait that follows from what a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputedTrait {
    /// Its name: what conditions and the profile call it.
    #[schemars(with = "String")]
    pub name: TraitName,
    /// The one purpose that it serves.
    #[schemars(with = "String")]
    pub purpose: PurposeName,
    /// Where days begin.
    #[serde(default, skip_serializing_if = "is_utc")]
    pub time_zone: TimeZoneName,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value: a tree, or its text form. Without a value the trait is absent; several are a list.
    #[serde(deserialize_with = "tree_or_text::operand")]
    #[schemars(schema_with = "tree_or_text::operand_schema")]
    pub value: Operand,
}

fn is_utc(zone: &TimeZoneName) -> bool {
    zone.as_str() == "UTC"
}

/// What holds of a person, or does not: never unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Each of these holds. Not empty.
    All(Vec<Self>),
    /// At least one of these holds. Not empty.
    Any(Vec<Self>),
    /// This does not hold: where a value is missing, `plan != "pro"` is false and `not plan = "pro"` is true.
    Not(Box<Self>),
    /// The values of an operand pass a test. Events performed N times are a count that passes one.
    Value(ValueTest),
    /// Two operands compare.
    Compare(Compare),
    /// Any of an operand's values is a time (a text as [`Timestamp::parse`](tessera_model::Timestamp::parse) reads it)
    /// that lies so to `now`.
    Date(DateTest),
    /// Any date at a path of the person's traits, as it is written in its first ten characters, has the month and day of
    /// today or of one of the following days in the definition's time zone. 29 February is kept on 1 March in other
    /// years.
    Anniversary(Anniversary),
    /// One event after the other.
    Sequence(Sequence),
    /// The person is a member of another audience.
    Audience(#[schemars(with = "String")] AudienceName),
    /// What the person last said about a purpose.
    Consent(ConsentTest),
    /// Whether any contact point of the person takes messages.
    Subscription(SubscriptionTest),
    /// A part of all people, chosen by their profile's id: for hold-outs and tests.
    Sample(Sample),
}

/// The values of an operand pass a test.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueTest {
    /// Whose values.
    pub of: Operand,
    /// What they must pass.
    pub test: Test,
}

/// Two operands compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The left side.
    pub left: Operand,
    /// How.
    pub comparator: Comparator,
    /// The right side.
    pub right: Operand,
}

/// Any of the values is a time that lies so to `now`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DateTest {
    /// Whose values.
    pub of: Operand,
    /// How they lie to now.
    pub is: DateRange,
}

/// How a time `d` lies to `now`, to the millisecond: no steps here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateRange {
    /// `now - length < d <= now`.
    Last(Duration),
    /// `now < d <= now + length`.
    Next(Duration),
    /// Longer ago: `d <= now - length`.
    Before(Duration),
    /// Further ahead: `d > now + length`.
    After(Duration),
    /// In the past: `d <= now`.
    Past,
    /// In the future: `d > now`.
    Future,
    /// In the unit of the calendar that `now` is in, before or after `now`.
    This(Calendar),
    /// In so many whole units before that one.
    Previous(Units),
    /// In so many whole units after that one.
    Following(Units),
}

/// A birthday, or any day that comes again each year.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anniversary {
    /// Where the dates stand in the person's traits.
    pub of: Path,
    /// Today (0), or also on one of so many following days: 366 at most.
    #[serde(default)]
    pub within_days: u16,
}

/// One event after the other: there is an event for each step, each strictly later than that of the step before.
///
/// All its events are in the window. Of each selector (`event`, `without`, `then_no`) the latest [`SEQUENCE_TIMES_MAX`]
/// different times in the window are looked at; where one has so many, events before the earliest of these are not looked
/// at, of any selector: so nothing that must not happen is ever overlooked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The steps in their order: 1 to 8; one alone needs `then_no`.
    pub steps: Vec<Step>,
    /// The longest time from the first step to the last (`last - first <= within`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// What must not follow the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_no: Option<Absence>,
    /// When the events happened.
    #[serde(default, skip_serializing_if = "is_ever")]
    pub window: Window,
}

fn is_ever(window: &Window) -> bool {
    *window == Window::Ever
}

/// One step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What happens.
    pub event: Events,
    /// The longest time since the step before (`this - before <= within`). Not at the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// What must not happen between the step before and this one, strictly later than the one and strictly earlier than
    /// the other. Not at the first step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Events>,
}

/// What must not follow: from the last step's time `t` on nothing of it at `t < at <= t + within`, and that time is over
/// (`t + within <= now`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// What must not happen. Not empty.
    pub events: Vec<Events>,
    /// For how long.
    pub within: Duration,
}

/// What the person last said about a purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentTest {
    /// The purpose.
    #[schemars(with = "String")]
    pub purpose: PurposeName,
    /// What was said.
    pub is: ConsentState,
}

/// What may be on record about a purpose. Of contradicting words the one that decides, as the profile shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// A yes: given or renewed.
    Valid,
    /// Any other word.
    Invalid,
    /// Nothing.
    Unknown,
    /// This word exactly.
    #[serde(untagged)]
    Status(#[schemars(schema_with = "status_schema")] ConsentStatus),
}

fn status_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "enum": ConsentStatus::ALL.map(ConsentStatus::as_str),
    })
}

/// Whether any contact point of the person takes messages of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionTest {
    /// `email`, `sms`, `push`.
    pub channel: SmolStr,
    /// One topic; absent: what was said of the channel as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<SmolStr>,
    /// The state that any of the contact points must have.
    pub is: SubscribedState,
}

/// The state of contact points, of one channel and topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscribedState {
    /// At least one is subscribed.
    Subscribed,
    /// At least one never signed up.
    DidNotSubscribe,
    /// At least one is unsubscribed.
    Unsubscribed,
    /// Nothing is on record of any.
    Unknown,
}

impl SubscribedState {
    /// The state on record that it asks for; `None`: that nothing is.
    #[must_use]
    pub const fn state(self) -> Option<SubscriptionState> {
        match self {
            Self::Subscribed => Some(SubscriptionState::Subscribed),
            Self::DidNotSubscribe => Some(SubscriptionState::DidNotSubscribe),
            Self::Unsubscribed => Some(SubscriptionState::Unsubscribed),
            Self::Unknown => None,
        }
    }
}

/// A part of all people. A person's place `p` is the first 8 bytes of SHA-256 of `seed`, a zero byte and the profile's id
/// as text, as a big-endian number modulo 1,000,000; they are in the sample when `from <= p / 10,000 < to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// What tells this sample from others: equal seeds choose the same people.
    pub seed: SmolStr,
    /// From this percentage on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: Number,
    /// Up to before this percentage.
    pub to: Number,
}

fn is_zero(number: &Number) -> bool {
    number.micros() == 0
}
