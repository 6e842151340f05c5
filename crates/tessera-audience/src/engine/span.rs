//! Windows, as a feature keeps them: in buckets of time that enter and leave as a whole.
//!
//! Invariant: at any `now`, the events of the window are those of the buckets from `from` to `to` of [`Span::edges`]; a
//! bucket that left never comes back. Reference: [`Window`] says which events count.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Unit as Whole};

use crate::{Calendar, TimeZoneName, Window};

/// The only bucket of a window that does not move.
const ALL: i64 = 0;

/// A window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Span {
    /// It stands still: one bucket.
    Still {
        /// The first millisecond in it.
        from: i64,
        /// The first after it.
        to: i64,
    },
    /// It slides. A bucket holds the events of `key < at <= key + step`.
    Sliding {
        /// The older edge is so long ago.
        oldest: i64,
        /// The newer edge; `None`: now.
        newest: Option<i64>,
        /// In such steps.
        step: i64,
    },
    /// A unit of the calendar, or so many before it. A bucket holds one unit and is named by its first millisecond.
    Calendar {
        /// Which.
        unit: Calendar,
        /// How many before; 0: the one that now is in.
        before: u16,
        /// Where it begins.
        zone: Zone,
    },
}

impl Span {
    pub(crate) fn of(window: &Window, zone: &TimeZoneName) -> Self {
        let still = |from, to| Self::Still { from, to };
        match window {
            Window::Ever => still(i64::MIN, i64::MAX),
            Window::Since(from) => still(from.0.as_millis(), i64::MAX),
            Window::Until(to) => still(i64::MIN, to.0.as_millis()),
            Window::Fixed(fixed) => still(fixed.from.0.as_millis(), fixed.to.0.as_millis()),
            Window::Last(length) => {
                Self::Sliding { oldest: length.millis(), newest: None, step: length.step_millis() }
            }
            Window::Between(between) => Self::Sliding {
                oldest: between.oldest.millis(),
                newest: Some(between.newest.millis()),
                step: between.oldest.step_millis(),
            },
            Window::This(unit) => Self::Calendar { unit: *unit, before: 0, zone: Zone::of(zone) },
            Window::Previous(units) => {
                Self::Calendar { unit: units.unit, before: units.count, zone: Zone::of(zone) }
            }
        }
    }

    /// Whether an event of that time can ever be in it.
    pub(crate) fn admits(&self, at: i64) -> bool {
        match self {
            Self::Still { from, to } => *from <= at && at < *to,
            Self::Sliding { .. } | Self::Calendar { .. } => true,
        }
    }

    /// The first time that can ever be in it.
    pub(crate) fn begins(&self) -> i64 {
        match self {
            Self::Still { from, .. } => *from,
            Self::Sliding { .. } | Self::Calendar { .. } => i64::MIN,
        }
    }

    /// Whether it ends with now, so that what is later always outlasts what is earlier.
    pub(crate) fn ends_now(&self) -> bool {
        match self {
            Self::Still { .. } => true,
            Self::Sliding { newest, .. } => newest.is_none(),
            Self::Calendar { before, .. } => *before == 0,
        }
    }

    /// The bucket of an event.
    pub(crate) fn bucket(&self, at: i64) -> i64 {
        match self {
            Self::Still { .. } => ALL,
            Self::Sliding { step, .. } => floor(at - 1, *step),
            Self::Calendar { unit, zone, .. } => zone.start(*unit, zone.date(at), 0),
        }
    }

    /// The first bucket that counts at `now` or can count later.
    pub(crate) fn oldest(&self, now: i64) -> i64 {
        match self {
            Self::Still { .. } => i64::MIN,
            Self::Sliding { oldest, step, .. } => floor(now - oldest, *step),
            Self::Calendar { unit, before, zone } => zone.start(*unit, zone.date(now), -i32::from(*before)),
        }
    }

    /// The first and the last bucket that count at `now`.
    pub(crate) fn edges(&self, now: i64) -> (i64, i64) {
        let to = match self {
            Self::Still { .. } => i64::MAX,
            Self::Sliding { newest, step, .. } => {
                newest.map_or(i64::MAX, |newest| floor(now - newest, *step) - 1)
            }
            Self::Calendar { before: 0, .. } => i64::MAX,
            Self::Calendar { unit, zone, .. } => zone.start(*unit, zone.date(now), 0) - 1,
        };
        (self.oldest(now), to)
    }

    /// The first time in the bucket.
    pub(crate) fn first_time(&self, bucket: i64) -> i64 {
        match self {
            Self::Still { .. } => i64::MIN,
            Self::Sliding { .. } => bucket + 1,
            Self::Calendar { .. } => bucket,
        }
    }

    /// The last time in the buckets up to that key.
    pub(crate) fn last_time(&self, to: i64) -> i64 {
        match self {
            Self::Still { .. } | Self::Calendar { .. } => to,
            Self::Sliding { step, .. } if to < i64::MAX => floor(to, *step) + step,
            Self::Sliding { .. } => to,
        }
    }

    /// When the bucket leaves it.
    pub(crate) fn leaves_at(&self, bucket: i64) -> i64 {
        match self {
            Self::Still { .. } => i64::MAX,
            Self::Sliding { oldest, step, .. } => bucket + step + oldest,
            Self::Calendar { unit, before, zone } => {
                zone.start(*unit, zone.date(bucket), i32::from(*before) + 1)
            }
        }
    }

    /// When the bucket enters it.
    pub(crate) fn enters_at(&self, bucket: i64) -> i64 {
        match self {
            Self::Still { .. } => i64::MIN,
            Self::Sliding { newest, step, .. } => newest.map_or(i64::MIN, |newest| bucket + step + newest),
            Self::Calendar { before: 0, .. } => i64::MIN,
            Self::Calendar { unit, zone, .. } => zone.start(*unit, zone.date(bucket), 1),
        }
    }
}

/// Rounds down to whole steps.
pub(crate) fn floor(at: i64, step: i64) -> i64 {
    at - at.rem_euclid(step)
}

/// Where days begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) fn of(name: &TimeZoneName) -> Self {
        Self(name.rules())
    }

    /// The day that a time is in.
    pub(crate) fn date(&self, at: i64) -> Date {
        let at = tessera_model::Timestamp::from_millis(at).as_millis();
        jiff::Timestamp::from_millisecond(at).map(|at| self.0.to_datetime(at).date()).unwrap_or(Date::ZERO)
    }

    /// The first millisecond of a day.
    pub(crate) fn midnight(&self, date: Date) -> i64 {
        // Of a day without midnight noon tells when it begins.
        let noon = date.at(12, 0, 0, 0).to_zoned(self.0.clone());
        let midnight = noon.and_then(|noon| noon.start_of_day()).map(|at| at.timestamp().as_millisecond());
        midnight.unwrap_or(if date.year() < 1970 { i64::MIN / 4 } else { i64::MAX / 4 })
    }

    /// The first millisecond of the unit that a day is in, or of one so many units after it.
    pub(crate) fn start(&self, unit: Calendar, date: Date, units_after: i32) -> i64 {
        self.midnight(first_day(unit, date, units_after))
    }
}

/// The first day of a unit of the calendar.
fn first_day(unit: Calendar, date: Date, units_after: i32) -> Date {
    let first = match unit {
        Calendar::Day => date,
        Calendar::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Calendar::Month => date.first_of_month(),
        Calendar::Quarter => {
            let months = (date.month() - 1) % 3;
            date.first_of_month().saturating_sub(i64::from(months).months())
        }
        Calendar::Year => date.first_of_year(),
    };
    let after = i64::from(units_after);
    match unit {
        Calendar::Day => first.saturating_add(after.days()),
        Calendar::Week => first.saturating_add(after.weeks()),
        Calendar::Month => first.saturating_add(after.months()),
        Calendar::Quarter => first.saturating_add((after * 3).months()),
        Calendar::Year => first.saturating_add(after.years()),
    }
}

/// Whole days from one day to another.
pub(crate) fn days_between(from: Date, to: Date) -> i32 {
    from.until((Whole::Day, to)).map(|span| span.get_days()).unwrap_or_default()
}
