//! Windows and dates as bounds: the first and the last millisecond that count, seen from one moment.
//!
//! SQL compares whole numbers alone; calendars are looked up while the query is written.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use tessera_audience::{Calendar, DateRange, Duration, TimeZoneName, Window};
use tessera_model::Timestamp;

/// From the first to the last millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// One moment in one time zone.
pub(crate) struct Moment {
    zone: TimeZone,
    pub(crate) now: i64,
    pub(crate) today: Date,
}

impl Moment {
    pub(crate) fn new(zone: &TimeZoneName, now: Timestamp) -> Self {
        let (zone, now) = (zone.rules(), now.as_millis());
        let at = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
        let today = at.to_zoned(zone.clone()).date();
        Self { zone, now, today }
    }

    /// The events of a window.
    pub(crate) fn window(&self, window: Window) -> Bounds {
        let edge = |length: Duration, step: Duration| {
            let step = step.step_millis();
            let at = self.now - length.millis();
            at - at.rem_euclid(step)
        };
        let (first, last) = match window {
            Window::Ever => (i64::MIN, i64::MAX),
            Window::Since(from) => (from.0.as_millis(), i64::MAX),
            Window::Until(until) => (i64::MIN, until.0.as_millis() - 1),
            Window::Fixed(fixed) => (fixed.from.0.as_millis(), fixed.to.0.as_millis() - 1),
            Window::Last(length) => (edge(length, length) + 1, i64::MAX),
            Window::Between(between) => {
                (edge(between.oldest, between.oldest) + 1, edge(between.newest, between.oldest))
            }
            Window::This(unit) => (self.begin(unit, 0), i64::MAX),
            Window::Previous(units) => {
                (self.begin(units.unit, -i32::from(units.count)), self.begin(units.unit, 0) - 1)
            }
        };
        Bounds { first, last: last.min(self.now) }
    }

    /// The dates that lie so.
    pub(crate) fn range(&self, range: DateRange) -> Bounds {
        let now = self.now;
        let units = |unit, from, to| (self.begin(unit, from), self.begin(unit, to).saturating_sub(1));
        let (first, last) = match range {
            DateRange::Last(length) => (now - length.millis() + 1, now),
            DateRange::Next(length) => (now + 1, now + length.millis()),
            DateRange::Before(length) => (i64::MIN, now - length.millis()),
            DateRange::After(length) => (now + length.millis() + 1, i64::MAX),
            DateRange::Past => (i64::MIN, now),
            DateRange::Future => (now + 1, i64::MAX),
            DateRange::This(unit) => units(unit, 0, 1),
            DateRange::Previous(many) => units(many.unit, -i32::from(many.count), 0),
            DateRange::Following(many) => units(many.unit, 1, i32::from(many.count) + 1),
        };
        Bounds { first, last }
    }

    /// Months and days, `02-29`, that are kept today or on one of so many days after.
    pub(crate) fn anniversaries(&self, within_days: u16) -> String {
        let mut kept: Vec<String> = Vec::new();
        for days in 0..=i32::from(within_days) {
            let Ok(day) = self.today.checked_add(days.days()) else { break };
            kept.push(format!("{:02}-{:02}", day.month(), day.day()));
            if (day.month(), day.day()) == (3, 1) && !day.in_leap_year() {
                kept.push("02-29".to_owned());
            }
        }
        kept.sort_unstable();
        kept.dedup();
        kept.join(",")
    }

    /// When the unit begins that is so many after this one.
    fn begin(&self, unit: Calendar, units: i32) -> i64 {
        let beyond = if units < 0 { i64::MIN } else { i64::MAX };
        let first = match unit {
            Calendar::Day => Ok(self.today),
            Calendar::Week => self.today.tomorrow().and_then(|day| day.nth_weekday(-1, Weekday::Monday)),
            Calendar::Month => Ok(self.today.first_of_month()),
            Calendar::Quarter => {
                let month = self.today.month();
                self.today.first_of_month().checked_sub(i32::from((month - 1) % 3).months())
            }
            Calendar::Year => Ok(self.today.first_of_year()),
        };
        let distance = match unit {
            Calendar::Day => Span::new().try_days(units),
            Calendar::Week => Span::new().try_weeks(units),
            Calendar::Month => Span::new().try_months(units),
            Calendar::Quarter => Span::new().try_months(units.saturating_mul(3)),
            Calendar::Year => Span::new().try_years(units),
        };
        let begins = first.and_then(|first| first.checked_add(distance?)?.to_zoned(self.zone.clone()));
        begins.map_or(beyond, |at| at.timestamp().as_millisecond())
    }
}
