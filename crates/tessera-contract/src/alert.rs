//! What of a source's stream is not as its plan expects. A function of plan, observations and time.

use serde::{Deserialize, Serialize};

use crate::observe::HOUR_MILLIS;
use crate::{Contract, EventSeen, Expectation, TrackingPlanDocument, hour_of, looks_like_a_name};

/// Weeks whose same hour is looked at.
const WEEKS: u32 = 4;
/// Fewer weeks than this say nothing of what is usual.
const WEEKS_MIN: usize = 2;
/// Fewer events of a day than this say nothing of shares.
const EVENTS_FOR_A_SHARE_MIN: u64 = 20;

/// What kind of surprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An event came that the plan does not name.
    UnplannedEvent,
    /// A property came that the plan does not name.
    UnplannedProperty,
    /// A property came with values of a kind that its `type` does not permit.
    UnexpectedType,
    /// Too many events of a day had no value of a property.
    NullShare,
    /// Too few or too many events in an hour or a day.
    Volume,
    /// Nothing came for too long.
    Silent,
}

impl AlertKind {
    /// Its name: `unplanned_event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnplannedEvent => "unplanned_event",
            Self::UnplannedProperty => "unplanned_property",
            Self::UnexpectedType => "unexpected_type",
            Self::NullShare => "null_share",
            Self::Volume => "volume",
            Self::Silent => "silent",
        }
    }

    /// Whether it ends by itself, once the stream is as expected again.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::NullShare | Self::Volume | Self::Silent)
    }
}

/// One surprise. Holds no personal data: names that look like names, and counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Surprise {
    /// The source.
    pub source: String,
    /// The event; empty: the source's whole stream.
    pub event: String,
    /// What kind.
    pub kind: AlertKind,
    /// The property, or the span of time: `hour`, `day`, `usual`.
    pub subject: String,
    /// What is the matter, for people.
    pub what: String,
}

/// Everything that is not as expected `now` (milliseconds since 1970), in order. `seen` are the observations of the plan's
/// sources.
#[must_use]
pub fn surprises(
    document: &TrackingPlanDocument,
    contracts: &[(&str, &Contract)],
    seen: &[EventSeen],
    now: i64,
) -> Vec<Surprise> {
    let mut found = Vec::new();
    for (source, contract) in contracts {
        let theirs: Vec<&EventSeen> = seen.iter().filter(|seen| seen.source == *source).collect();
        for seen in &theirs {
            names(contract, seen, &mut found);
            if let Some(expect) = document.events.get(&seen.event).and_then(|event| event.expect.as_ref()) {
                Watch { source, event: &seen.event, seen: &[seen], now }.judge(expect, &mut found);
            }
        }
        if let Some(expect) = &document.expect {
            Watch { source, event: "", seen: &theirs, now }.judge(expect, &mut found);
        }
    }
    found.sort();
    found
}

fn names(contract: &Contract, seen: &EventSeen, found: &mut Vec<Surprise>) {
    let mut add = |kind, subject: &str, what: String| {
        let (source, event) = (seen.source.clone(), seen.event.clone());
        found.push(Surprise { source, event, kind, subject: subject.to_owned(), what });
    };
    let is_call = matches!(seen.event.as_str(), "identify" | "group" | "page" | "screen");
    if !contract.names(&seen.event) {
        if !is_call && !seen.is_planned {
            add(AlertKind::UnplannedEvent, "", "the plan does not name this event".to_owned());
        }
        return;
    }
    let Some(schema) = contract.schema(&seen.event) else { return };
    for (name, property) in &seen.properties {
        if !schema.describes(name) {
            add(AlertKind::UnplannedProperty, name, "the plan does not name this property".to_owned());
            continue;
        }
        let odd: Vec<&str> =
            property.kinds().filter(|kind| !schema.permits(name, *kind)).map(crate::Kind::as_str).collect();
        if !odd.is_empty() {
            add(AlertKind::UnexpectedType, name, format!("came as {}", odd.join(" and ")));
        }
    }
}

/// One stream of events, against what is expected of it.
struct Watch<'a> {
    source: &'a str,
    event: &'a str,
    seen: &'a [&'a EventSeen],
    now: i64,
}

impl Watch<'_> {
    fn judge(&self, expect: &Expectation, found: &mut Vec<Surprise>) {
        let mut add = |kind, subject: &str, what: String| {
            let (source, event) = (self.source.to_owned(), self.event.to_owned());
            found.push(Surprise { source, event, kind, subject: subject.to_owned(), what });
        };
        // Only whole hours and days count, and only those that begin after the first event.
        let (hour, first) = (hour_of(self.now), self.first_hour());
        let last_hour = hour.saturating_sub(1);
        let today = hour / 24 * 24;
        if let Some(range) = expect.per_hour.filter(|_| last_hour > first) {
            let count = self.count(last_hour, hour);
            if !range.holds(as_f64(count)) {
                add(AlertKind::Volume, "hour", format!("{count} events in the last whole hour"));
            }
        }
        if let Some(range) = expect.per_day.filter(|_| today.saturating_sub(24) > first) {
            let count = self.count(today.saturating_sub(24), today);
            if !range.holds(as_f64(count)) {
                add(AlertKind::Volume, "day", format!("{count} events in the last whole day"));
            }
        }
        if let (Some(range), Some(usual)) = (expect.times_usual, self.usual(last_hour, first)) {
            let count = self.count(last_hour, hour);
            if !range.holds(as_f64(count) / usual) {
                let what = format!("{count} events in the last whole hour, {usual} are usual in it");
                add(AlertKind::Volume, "usual", what);
            }
        }
        let last_at = self.seen.iter().map(|seen| seen.last_at).max().unwrap_or(i64::MAX);
        let silent_millis = self.now.saturating_sub(last_at);
        if expect.silent_minutes.is_some_and(|minutes| silent_millis > i64::from(minutes) * 60_000) {
            let hours = silent_millis / HOUR_MILLIS;
            add(
                AlertKind::Silent,
                "",
                format!("nothing came for {hours} hours, {} minutes", silent_millis / 60_000 % 60),
            );
        }
        for (name, share_max) in &expect.null_share {
            let day = (today / 24).saturating_sub(1);
            let count = self.count(day * 24, today);
            let present: u64 = self
                .seen
                .iter()
                .filter_map(|seen| seen.properties.get(name))
                .map(|one| u64::from(one.present_on(day)))
                .sum();
            let share = 1.0 - as_f64(present.min(count)) / as_f64(count.max(1));
            if count >= EVENTS_FOR_A_SHARE_MIN && share > *share_max {
                let shown = if looks_like_a_name(name) { name.as_str() } else { "*" };
                add(
                    AlertKind::NullShare,
                    shown,
                    format!("{:.0} % of the last whole day's events had no value", share * 100.0),
                );
            }
        }
    }

    fn first_hour(&self) -> u32 {
        self.seen.iter().map(|seen| hour_of(seen.first_at)).min().unwrap_or(u32::MAX)
    }

    fn count(&self, from: u32, to: u32) -> u64 {
        self.seen.iter().map(|seen| seen.count(from, to)).sum()
    }

    /// The median of the same hour of the same weekday in the weeks before.
    fn usual(&self, hour: u32, first: u32) -> Option<f64> {
        let weeks =
            (1..=WEEKS).filter_map(|week| hour.checked_sub(week * 7 * 24)).filter(|hour| *hour > first);
        let mut counts: Vec<u64> = weeks.map(|hour| self.count(hour, hour + 1)).collect();
        if counts.len() < WEEKS_MIN {
            return None;
        }
        counts.sort_unstable();
        let (low, high) = (counts.get((counts.len() - 1) / 2)?, counts.get(counts.len() / 2)?);
        let usual = (as_f64(*low) + as_f64(*high)) / 2.0;
        (usual > 0.0).then_some(usual)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of events; beyond 2^53 a share may be off by a billionth"
)]
const fn as_f64(count: u64) -> f64 {
    count as f64
}
