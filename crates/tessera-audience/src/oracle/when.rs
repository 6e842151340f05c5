//! Windows, calendars, dates and ages, as seen from `now` in one time zone.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use tessera_model::Timestamp;

use crate::{Calendar, DateRange, Duration, Number, TimeZoneName, Window};

/// One moment in one time zone.
pub(super) struct Zone {
    rules: TimeZone,
    now: Timestamp,
    today: Date,
}

impl Zone {
    pub(super) fn new(zone: &TimeZoneName, now: Timestamp) -> Self {
        let rules = zone.rules();
        let at = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
        let today = rules.to_datetime(at).date();
        Self { rules, now, today }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether an event of that time is in the window.
    pub(super) fn is_in(&self, at: Timestamp, window: Window) -> bool {
        let (at, now) = (at.as_millis(), self.now.as_millis());
        let down =
            |millis: i64, length: Duration| millis.div_euclid(length.step_millis()) * length.step_millis();
        let in_window = match window {
            Window::Ever => true,
            Window::Since(moment) => at >= moment.0.as_millis(),
            Window::Until(moment) => at < moment.0.as_millis(),
            Window::Fixed(fixed) => at >= fixed.from.0.as_millis() && at < fixed.to.0.as_millis(),
            Window::Last(length) => at > down(now - length.millis(), length),
            Window::Between(between) => {
                let (oldest, newest) = (between.oldest, between.newest);
                at > down(now - oldest.millis(), oldest) && at <= down(now - newest.millis(), oldest)
            }
            Window::This(unit) => at >= self.start_of(unit, 0),
            Window::Previous(units) => {
                at >= self.start_of(units.unit, -i64::from(units.count)) && at < self.start_of(units.unit, 0)
            }
        };
        in_window && at <= now
    }

    /// Whether a date of a person lies so.
    pub(super) fn date_lies(&self, at: Timestamp, range: DateRange) -> bool {
        let (at, now) = (at.as_millis(), self.now.as_millis());
        let in_units = |unit, first, end| at >= self.start_of(unit, first) && at < self.start_of(unit, end);
        match range {
            DateRange::Last(length) => at > now - length.millis() && at <= now,
            DateRange::Next(length) => at > now && at <= now + length.millis(),
            DateRange::Before(length) => at <= now - length.millis(),
            DateRange::After(length) => at > now + length.millis(),
            DateRange::Past => at <= now,
            DateRange::Future => at > now,
            DateRange::This(unit) => in_units(unit, 0, 1),
            DateRange::Previous(units) => in_units(units.unit, -i64::from(units.count), 0),
            DateRange::Following(units) => in_units(units.unit, 1, i64::from(units.count) + 1),
        }
    }

    /// Whole years from a date until today; `None` when it lies ahead.
    pub(super) fn age(&self, born: Date) -> Option<Number> {
        if born > self.today {
            return None;
        }
        let had_birthday = (self.today.month(), self.today.day()) >= (born.month(), born.day());
        let years = i64::from(self.today.year()) - i64::from(born.year());
        Some(Number::from_integer(if had_birthday { years } else { years - 1 }))
    }

    /// Whether a date's month and day come again today or on one of so many days after.
    pub(super) fn comes_again(&self, date: Date, within_days: u16) -> bool {
        (0..=i64::from(within_days)).any(|days| {
            let Ok(day) = self.today.checked_add(days.days()) else { return false };
            let is_leap_day = (date.month(), date.day()) == (2, 29);
            let kept = if is_leap_day && !day.in_leap_year() { (3, 1) } else { (date.month(), date.day()) };
            (day.month(), day.day()) == kept
        })
    }

    /// When the unit begins that is so many after the one of today, in milliseconds.
    fn start_of(&self, unit: Calendar, units: i64) -> i64 {
        let begin = match unit {
            Calendar::Day => Some(self.today),
            Calendar::Week => {
                let since_monday = self.today.weekday().since(Weekday::Monday);
                self.today.checked_sub(i64::from(since_monday).days()).ok()
            }
            Calendar::Month => Some(self.today.first_of_month()),
            Calendar::Quarter => {
                let month = (self.today.month() - 1) / 3 * 3 + 1;
                Date::new(self.today.year(), month, 1).ok()
            }
            Calendar::Year => Some(self.today.first_of_year()),
        };
        let distance = match unit {
            Calendar::Day => Span::new().try_days(units),
            Calendar::Week => Span::new().try_weeks(units),
            Calendar::Month => Span::new().try_months(units),
            Calendar::Quarter => Span::new().try_months(units * 3),
            Calendar::Year => Span::new().try_years(units),
        };
        let start = begin.zip(distance.ok()).and_then(|(begin, distance)| {
            let midnight = begin.checked_add(distance).ok()?.to_zoned(self.rules.clone()).ok()?;
            Some(midnight.timestamp().as_millisecond())
        });
        // Beyond the years that the calendar has.
        start.unwrap_or(if units < 0 { i64::MIN } else { i64::MAX })
    }
}
