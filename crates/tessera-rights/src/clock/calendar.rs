//! Which days are worked on, and which day it is where the controller is.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use tessera_model::{ControllerDocument, Timestamp};

/// Working days of one place. Invariant: some day of the week is worked on.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    weekend: Vec<Weekday>,
    holidays: BTreeSet<Date>,
}

/// Why there is no such calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not in the time zone database.
    #[error("there is no time zone `{name}`")]
    Zone {
        /// The name.
        name: String,
    },
    /// Nobody ever works.
    #[error("all seven days of the week are weekend")]
    NoWorkingDay,
    /// Not a date.
    #[error("`{text}` is not a date like 2026-12-25")]
    Holiday {
        /// The text.
        text: String,
    },
}

impl CalendarError {
    /// The stable code; it has a page in `docs/reference/errors`.
    pub const CODE: &'static str = "TES-R024";

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Zone { .. } => "use a name of the IANA database: Europe/Berlin, America/Los_Angeles, UTC",
            Self::NoWorkingDay => "leave at least one day to work on",
            Self::Holiday { .. } => "write year, month and day with hyphens",
        }
    }
}

impl Default for Calendar {
    /// UTC, Saturdays and Sundays, no holidays.
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            weekend: vec![Weekday::Saturday, Weekday::Sunday],
            holidays: BTreeSet::new(),
        }
    }
}

impl Calendar {
    /// A calendar in the time zone of that name of the IANA database.
    ///
    /// # Errors
    /// [`CalendarError`] when the zone is unknown or every day is weekend.
    pub fn new(zone: &str, weekend: &[Weekday], holidays: BTreeSet<Date>) -> Result<Self, CalendarError> {
        if Weekday::Monday.cycle_forward().take(7).all(|day| weekend.contains(&day)) {
            return Err(CalendarError::NoWorkingDay);
        }
        let zone = TimeZone::get(zone).map_err(|_| CalendarError::Zone { name: zone.to_owned() })?;
        Ok(Self { zone, weekend: weekend.to_vec(), holidays })
    }

    /// The same with these holidays, written `2026-12-25`.
    ///
    /// # Errors
    /// [`CalendarError::Holiday`].
    pub fn with_holidays<'a>(
        mut self,
        holidays: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, CalendarError> {
        for text in holidays {
            let day = text.parse().map_err(|_| CalendarError::Holiday { text: text.to_owned() })?;
            self.holidays.insert(day);
        }
        Ok(self)
    }

    /// The calendar of a controller: UTC, Saturdays, Sundays and its declared holidays.
    ///
    /// # Errors
    /// [`CalendarError::Holiday`].
    pub fn of(controller: Option<&ControllerDocument>) -> Result<Self, CalendarError> {
        let holidays = controller.into_iter().flat_map(|controller| &controller.holidays);
        Self::default().with_holidays(holidays.map(String::as_str))
    }

    /// The day that `at` falls on.
    #[must_use]
    pub fn date_of(&self, at: Timestamp) -> Date {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::MAX);
        self.zone.to_datetime(at).date()
    }

    /// The last second of `day`: a period ends with the last hour of its last day (Regulation 1182/71 Art. 3(2)).
    #[must_use]
    pub fn end_of(&self, day: Date) -> Timestamp {
        let end = self.zone.to_timestamp(day.at(23, 59, 59, 0)).unwrap_or(jiff::Timestamp::MAX);
        Timestamp::from_millis(end.as_millisecond())
    }

    /// Whether anybody works on `day`.
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> bool {
        !self.weekend.contains(&day.weekday()) && !self.holidays.contains(&day)
    }

    /// `day` if it is worked on, else the next that is; the last day of the year 9999 at the latest.
    #[must_use]
    pub fn working_day_from(&self, mut day: Date) -> Date {
        while !self.is_working_day(day) && day < Date::MAX {
            day = day.saturating_add(1.day());
        }
        day
    }

    /// The `count`-th working day after `day`, which itself does not count.
    #[must_use]
    pub fn working_days_after(&self, day: Date, count: u16) -> Date {
        (0..count).fold(day, |day, _| self.working_day_from(day.saturating_add(1.day())))
    }

    /// `days` calendar days after `day`.
    pub(super) fn days_after(day: Date, days: i64) -> Date {
        let days = Span::new().try_days(days).unwrap_or_default();
        day.saturating_add(days)
    }
}
