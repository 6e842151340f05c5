//! What was seen of an event: how much by the hour, which properties of which kinds. In bounded memory, no values.
//!
//! Invariant: observations come to the same in any order, as long as there are no more names than the limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Checked, Kind};

/// Most events by name that are told apart for one source; the others are `*` together.
pub const EVENTS_SEEN_MAX: usize = 500;
/// Most properties by name that are told apart for one event.
const PROPERTIES_SEEN_MAX: usize = 200;
/// How many hours are kept: four weeks, the day before, and the day that is not over.
const HOURS_KEPT: u32 = 30 * 24;
pub(crate) const HOUR_MILLIS: i64 = 3_600_000;

/// What was seen of one event of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSeen {
    /// The source.
    pub source: String,
    /// The event's name, or the call's; `*` for names that do not look like one or are too many.
    pub event: String,
    /// Whether the plan named it when it last came.
    pub is_planned: bool,
    /// When it first came, in milliseconds since 1970.
    pub first_at: i64,
    /// When it last came.
    pub last_at: i64,
    /// Events by hour since 1970, the last 30 days.
    pub hours: BTreeMap<u32, u32>,
    /// Properties or traits by name, of events that the plan describes.
    pub properties: BTreeMap<String, PropertySeen>,
}

/// What was seen of one property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertySeen {
    /// When it first came, in milliseconds since 1970.
    pub first_at: i64,
    /// The kinds of its values, as [`Kind::bit`]s.
    pub kinds: u8,
    /// The last day, since 1970, on which it came.
    pub day: u32,
    /// On how many events of that day it was there and not null.
    pub present: u32,
    /// And on the day before that.
    pub present_before: u32,
}

impl EventSeen {
    /// Nothing yet.
    #[must_use]
    pub fn new(source: &str, event: &str) -> Self {
        Self { source: source.to_owned(), event: event.to_owned(), first_at: i64::MAX, ..Self::default() }
    }

    /// Counts an event that came `at` (milliseconds since 1970).
    pub fn observe(&mut self, checked: &Checked, at: i64) {
        self.is_planned = checked.planned.is_some();
        (self.first_at, self.last_at) = (self.first_at.min(at), self.last_at.max(at));
        let hour = hour_of(at);
        *self.hours.entry(hour).or_default() += 1;
        let last = self.hours.last_key_value().map_or(hour, |(last, _)| *last);
        let oldest = last.saturating_sub(HOURS_KEPT);
        while self.hours.first_key_value().is_some_and(|(first, _)| *first < oldest) {
            self.hours.pop_first();
        }
        for (name, kind) in &checked.shape {
            if let Some(seen) = self.properties.get_mut(&**name) {
                seen.observe(*kind, at);
            } else if self.properties.len() < PROPERTIES_SEEN_MAX {
                let mut seen = PropertySeen { first_at: at, ..PropertySeen::default() };
                seen.observe(*kind, at);
                self.properties.insert(name.to_string(), seen);
            }
        }
    }

    /// Events in the hours from `from` up to, and without, `to`.
    #[must_use]
    pub fn count(&self, from: u32, to: u32) -> u64 {
        self.hours.range(from..to.max(from)).map(|(_, count)| u64::from(*count)).sum()
    }
}

impl PropertySeen {
    fn observe(&mut self, kind: Kind, at: i64) {
        self.first_at = self.first_at.min(at);
        self.kinds |= kind.bit();
        let (day, one) = (hour_of(at) / 24, u32::from(kind != Kind::Null));
        if day > self.day {
            self.present_before = if day == self.day + 1 { self.present } else { 0 };
            (self.day, self.present) = (day, one);
        } else if day == self.day {
            self.present += one;
        } else if day + 1 == self.day {
            self.present_before += one;
        }
    }

    /// On how many events of a day it was there and not null.
    #[must_use]
    pub fn present_on(&self, day: u32) -> u32 {
        match self.day.checked_sub(day) {
            Some(0) => self.present,
            Some(1) => self.present_before,
            _ => 0,
        }
    }

    /// The kinds of its values.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| self.kinds & kind.bit() != 0)
    }
}

/// The hour since 1970 that a time lies in.
#[must_use]
pub fn hour_of(at: i64) -> u32 {
    u32::try_from(at.div_euclid(HOUR_MILLIS)).unwrap_or(0)
}
