//! What can be said of an insight, as it comes, and the times that it is about.

use serde::{Deserialize, Serialize};
use tessera_model::Timestamp;

use crate::Problem;
use crate::calendar::{Unit, millis};

/// Longest condition, and longest name of an event, in bytes.
const TEXT_BYTES_MAX: usize = 2_000;
/// Most periods that one answer tells of.
pub(crate) const PERIODS_MAX: usize = 400;

/// All options of all insights; each insight takes its own and refuses the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Since when: a day, or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when, that moment not included. Now, unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Instead of `from`: so long before `to`, like `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// A condition in SQL on every event that is looked at.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Funnel: the steps, each the name of an event, with a condition in brackets where one is wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Funnel: how long after the first step the last may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Retention, new against returning: `day`, `week` or `month`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Retention: in how many periods after the first it is asked whether people came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periods: Option<usize>,
    /// Retention, paths: what people begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Retention: what counts as coming back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// RFM: the event that is a purchase. New against returning: what counts as being there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// RFM: where the amount of a purchase stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Paths: a pause so long ends a visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<String>,
    /// Paths: so many events at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Paths: so many paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// From a moment on, until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after.
    pub to: Timestamp,
}

/// What is the same for all insights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Common {
    pub(crate) range: Range,
    /// A condition in SQL.
    pub(crate) condition: Option<String>,
}

impl Options {
    /// Those that were given, by name.
    fn given(&self) -> Vec<&'static str> {
        let own = [
            ("steps", !self.steps.is_empty()),
            ("within", self.within.is_some()),
            ("unit", self.unit.is_some()),
            ("periods", self.periods.is_some()),
            ("start", self.start.is_some()),
            ("back", self.back.is_some()),
            ("event", self.event.is_some()),
            ("amount", self.amount.is_some()),
            ("pause", self.pause.is_some()),
            ("length", self.length.is_some()),
            ("limit", self.limit.is_some()),
        ];
        own.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }

    /// Refuses what this insight has no use for.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.given().into_iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Problem::new(
                format!("this insight has no option `{name}`"),
                format!("use from, to, last, where, {}", known.join(", ")),
            )),
        }
    }

    /// The times and the condition; `usual` is how long before its end the range begins unless it says so.
    pub(crate) fn common(&self, now: Timestamp, usual: Usual) -> Result<Common, Problem> {
        let to = self.to.as_deref().map_or(Ok(now), |text| time("to", text))?;
        let from = match (&self.from, &self.last) {
            (Some(_), Some(_)) => {
                return Err(Problem::new(
                    "both `from` and `last` say when the range begins",
                    "give one of them",
                ));
            }
            (Some(text), None) => time("from", text)?,
            (None, Some(text)) => to.plus_millis(-millis("last", text)?),
            (None, None) => match usual {
                Usual::Days(days) => to.plus_millis(-days * 24 * 60 * 60 * 1000),
                Usual::Periods(unit, count) => unit.back(to, count),
            },
        };
        if from >= to {
            return Err(Problem::new(
                format!("the range ends at {to} and begins at {from}"),
                "let `from` be before `to`",
            ));
        }
        let condition = self.condition.as_deref().map(|text| condition("where", text)).transpose()?;
        Ok(Common { range: Range { from, to }, condition })
    }
}

/// When a range begins that does not say so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Usual {
    /// So many days before its end.
    Days(i64),
    /// With the period that is so many before that of its end.
    Periods(Unit, usize),
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| {
        Problem::new(format!("`{name}` is no time"), "write 2026-11-22 or 2026-11-22T12:00:00Z")
    })
}

/// A condition in SQL, as far as it can be told without understanding it.
pub(crate) fn condition(name: &str, text: &str) -> Result<String, Problem> {
    match text.trim() {
        "" => Err(Problem::new(format!("`{name}` is an empty condition"), "write one, or leave it out")),
        long if long.len() > TEXT_BYTES_MAX => Err(Problem::new(
            format!("the condition `{name}` has {} bytes, the limit is {TEXT_BYTES_MAX}", long.len()),
            "shorten it, or ask in SQL: --sql prints where to go on",
        )),
        text => Ok(text.to_owned()),
    }
}

/// The name of an event.
pub(crate) fn event(name: &str, text: &str) -> Result<String, Problem> {
    match text.trim() {
        "" => Err(Problem::new(format!("`{name}` names no event"), "name one")),
        long if long.len() > TEXT_BYTES_MAX => Err(Problem::new(
            format!("the event of `{name}` has {} bytes, the limit is {TEXT_BYTES_MAX}", long.len()),
            "name an event",
        )),
        text => Ok(text.to_owned()),
    }
}

/// A number within bounds.
pub(crate) fn within(
    name: &str,
    given: Option<usize>,
    usual: usize,
    (least, most): (usize, usize),
) -> Result<usize, Problem> {
    match given.unwrap_or(usual) {
        number if (least..=most).contains(&number) => Ok(number),
        number => {
            Err(Problem::new(format!("`{name}` is {number}"), format!("use a number from {least} to {most}")))
        }
    }
}
