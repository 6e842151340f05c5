//! A tracking plan as people write it, and whether it can be used.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most events that one plan may name.
const EVENTS_MAX: usize = 1_000;
/// The calls whose traits or properties a plan may describe, besides events by name.
const CALLS: [&str; 4] = ["identify", "group", "page", "screen"];

/// `kind: TrackingPlan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TrackingPlanKind {
    /// `TrackingPlan`
    #[default]
    TrackingPlan,
}

/// What happens to what a plan does not expect, from the mildest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnViolation {
    /// It is no violation.
    Allow,
    /// The event goes on with a mark.
    #[default]
    Pass,
    /// The fields that violate are left out; the event goes on with a mark.
    Strip,
    /// The event is kept aside and can be replayed once the plan is mended.
    Quarantine,
    /// The event is refused.
    Block,
}

impl OnViolation {
    /// Its name in the workspace: `quarantine`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Pass => "pass",
            Self::Strip => "strip",
            Self::Quarantine => "quarantine",
            Self::Block => "block",
        }
    }

    /// Whether an event with such a violation joins no profile.
    #[must_use]
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Quarantine | Self::Block)
    }
}

const fn allow() -> OnViolation {
    OnViolation::Allow
}

const fn one() -> u32 {
    1
}

/// At least and at most so many.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// At most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Range {
    /// Whether `value` lies within.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// What is expected of the stream of an event; whatever is not so raises an alert.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Events in a whole hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<Range>,
    /// Events in a whole day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<Range>,
    /// Events in a whole hour, as a multiple of the median of the same hour of the same weekday in the last four weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times_usual: Option<Range>,
    /// The longest time without an event, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_minutes: Option<u32>,
    /// The largest share of a day's events, 0 to 1, in which a property may be null or absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub null_share: BTreeMap<String, f64>,
}

/// One planned event, or call.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEvent {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON Schema of its properties; of an `identify` or `group`, of its traits. Absent: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Over what plan and source say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_violation: Option<OnViolation>,
    /// Over what the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplanned_properties: Option<OnViolation>,
    /// What is expected of its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
}

/// Which events sources may send, and of what shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackingPlanDocument {
    /// `TrackingPlan`.
    pub kind: TrackingPlanKind,
    /// Its name.
    pub name: String,
    /// Raised whenever the plan changes: marks and rejects name it.
    #[serde(default = "one")]
    pub version: u32,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The sources it holds for; a source has one plan at most.
    pub sources: BTreeSet<String>,
    /// What happens to an event that violates its schema: `pass`, `strip`, `quarantine` or `block`.
    #[serde(default)]
    pub on_violation: OnViolation,
    /// The same by source, over the plan's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_source: BTreeMap<String, OnViolation>,
    /// What happens to a `track` that the plan does not name: `allow`, `pass`, `quarantine` or `block`.
    #[serde(default = "allow")]
    pub unplanned_events: OnViolation,
    /// What happens to properties and traits that a schema does not name.
    #[serde(default = "allow")]
    pub unplanned_properties: OnViolation,
    /// What is expected of each source's stream as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
    /// By event name (`Order Completed`) or call (`identify`, `group`, `page`, `screen`).
    pub events: BTreeMap<String, PlannedEvent>,
}

/// Something wrong with a plan: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The field, with a JSON pointer into a schema: `events.Order Completed.schema/properties/total`.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl PlanProblem {
    pub(crate) fn new(field: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into(), hint: hint.into() }
    }
}

impl TrackingPlanDocument {
    /// What is wrong with it, but for its schemas, which show when they are compiled.
    pub(crate) fn problems(&self) -> Vec<PlanProblem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, what: &str, hint: &str| {
            problems.push(PlanProblem::new(field, what, hint));
        };
        let is_slug = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if self.name.is_empty() || self.name.len() > 255 || !self.name.chars().all(is_slug) {
            add("name", "is empty, too long or has odd characters", "use 1 to 255 of `A-Z a-z 0-9 _ - .`");
        }
        if self.version == 0 {
            add("version", "is 0", "versions start at 1");
        }
        if self.sources.is_empty() {
            add("sources", "is empty", "name the sources that the plan holds for");
        }
        for source in self.by_source.keys().filter(|source| !self.sources.contains(*source)) {
            add("by_source", &format!("`{source}` is not among the plan's sources"), "add it to `sources`");
        }
        if self.events.len() > EVENTS_MAX {
            add("events", &format!("has more than {EVENTS_MAX} events"), "divide the sources between plans");
        }
        let is_allowed = self.by_source.values().chain([&self.on_violation]);
        let by_event = self.events.values().filter_map(|event| event.on_violation.as_ref());
        if is_allowed.chain(by_event).any(|what| *what == OnViolation::Allow) {
            let hint = "use pass, strip, quarantine or block; to allow anything, leave the schema out";
            add("on_violation", "cannot be `allow`", hint);
        }
        if self.unplanned_events == OnViolation::Strip {
            let hint =
                "an event that is not planned has no planned field to keep: use pass, quarantine or block";
            add("unplanned_events", "cannot be `strip`", hint);
        }
        let call = self.events.keys().find(|name| matches!(name.as_str(), "track" | "alias" | "consent"));
        if let Some(call) = call {
            let hint = format!("name events, or one of the calls {}", CALLS.join(", "));
            add("events", &format!("the call `{call}` has no plan"), &hint);
        }
        let expected =
            self.events.iter().map(|(name, event)| (format!("events.{name}.expect"), &event.expect));
        for (field, expect) in expected.chain([("expect".to_owned(), &self.expect)]) {
            problems.extend(expect.as_ref().and_then(|expect| expect.problem(&field)));
        }
        problems
    }
}

impl Expectation {
    fn problem(&self, field: &str) -> Option<PlanProblem> {
        let ranges = [&self.per_hour, &self.per_day, &self.times_usual].into_iter().flatten();
        let is_empty = |range: &Range| match (range.min, range.max) {
            (Some(min), Some(max)) => min > max,
            (min, max) => min.or(max).is_none(),
        };
        if ranges.clone().any(is_empty) {
            return Some(PlanProblem::new(
                field,
                "holds an empty range",
                "give `min`, `max` or both, in order",
            ));
        }
        if self.null_share.values().any(|share| !(0.0..=1.0).contains(share)) {
            return Some(PlanProblem::new(field, "`null_share` is no share", "use a number from 0 to 1"));
        }
        None
    }
}
