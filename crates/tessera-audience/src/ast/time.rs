//! Durations, moments, time zones and windows.
//!
//! **When an event counts.** An event stands at its `timestamp`, or at its `received_at` if that is earlier: nothing
//! that arrived can be in the future. All times are whole milliseconds. At `now` only events at or before `now` count.
//!
//! **Steps.** A window that slides moves in steps, so that what is kept of a person is bounded: its edge is rounded
//! down to a whole [`step`](Duration::step_millis) of UTC. A window of up to an hour moves every second, up to two days
//! every minute, up to ninety days every hour, longer ones every day. So it never holds less than it says, and at most
//! one step more.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;
use tessera_model::Timestamp;

/// The longest duration: ten years of 366 days.
pub const DURATION_MILLIS_MAX: i64 = 3_660 * DAY;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What durations are counted in. Each has a fixed length: months of the calendar are [`Calendar`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// A second.
    Second,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// 7 days.
    Week,
    /// 30 days.
    Month,
    /// 365 days.
    Year,
}

impl Unit {
    /// Every unit, shortest first.
    pub const ALL: [Self; 7] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Its name for one of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        match self {
            Self::Second => SECOND,
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Year => 365 * DAY,
        }
    }

    /// Reads its name, for one or for several.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let one = text.strip_suffix('s').unwrap_or(text);
        Self::ALL.into_iter().find(|unit| unit.as_str() == one)
    }
}

/// So many of a unit: `30 days`.
///
/// Invariant: at least 1, at most [`DURATION_MILLIS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    count: u32,
    unit: Unit,
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a duration is written `30 days`: a whole number from 1 on and seconds, minutes, hours, days, weeks, months \
         (of 30 days) or years (of 365 days), ten years at most"
)]
pub struct NotADuration;

impl Duration {
    /// 24 hours.
    pub const DAY: Self = Self { count: 1, unit: Unit::Day };

    /// So many of a unit.
    ///
    /// # Errors
    /// [`NotADuration`]: none, or too many.
    pub fn new(count: u32, unit: Unit) -> Result<Self, NotADuration> {
        let duration = Self { count, unit };
        if count > 0 && duration.millis() <= DURATION_MILLIS_MAX { Ok(duration) } else { Err(NotADuration) }
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.count
    }

    /// Of what.
    #[must_use]
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// Its length in milliseconds.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.count).saturating_mul(self.unit.millis())
    }

    /// In which steps a window of this length moves, in milliseconds.
    #[must_use]
    pub fn step_millis(self) -> i64 {
        let millis = self.millis();
        if millis <= HOUR {
            SECOND
        } else if millis <= 2 * DAY {
            MINUTE
        } else if millis <= 90 * DAY {
            HOUR
        } else {
            DAY
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.count, self.unit.as_str())
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let (count, unit) = text.trim().split_once(' ').ok_or(NotADuration)?;
        let unit = Unit::parse(unit.trim()).ok_or(NotADuration)?;
        Self::new(count.parse().map_err(|_| NotADuration)?, unit)
    }
}

/// A fixed point in time, written as RFC 3339: `2026-01-01T00:00:00Z`, or as a date, which begins in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Timestamp);

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written `2026-12-31` or `2026-12-31T00:00:00Z`")]
pub struct NotAMoment;

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        Timestamp::parse(text).map(Self).ok_or(NotAMoment)
    }
}

/// A time zone by its IANA name: `Europe/Berlin`. Days, weeks and birthdays begin there.
///
/// Invariant: the tables of `jiff` know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeZoneName(SmolStr);

/// Why a text is no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time zone has a name of the IANA tables, like `Europe/Berlin` or `UTC`")]
pub struct NotATimeZone;

impl TimeZoneName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        Self("UTC".into())
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TimeZoneName {
    type Err = NotATimeZone;

    fn from_str(text: &str) -> Result<Self, NotATimeZone> {
        jiff::tz::TimeZone::get(text).map(|_| Self(text.into())).map_err(|_| NotATimeZone)
    }
}

macro_rules! written_as_text {
    ($name:ident, $schema:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

written_as_text!(
    Duration,
    json_schema!({
        "type": "string",
        "description": "`30 days`; a month is 30 days and a year 365.",
        "pattern": "^[1-9][0-9]{0,8} (second|minute|hour|day|week|month|year)s?$",
    })
);
written_as_text!(
    Moment,
    json_schema!({
        "type": "string",
        "description": "`2026-12-31T00:00:00Z`, or a date, which begins in UTC.",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}",
    })
);
written_as_text!(
    TimeZoneName,
    json_schema!({ "type": "string", "description": "A name of the IANA tables: `Europe/Berlin`." })
);

/// Units of the calendar, which begin in the definition's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// From midnight, or the first moment after it that the day has.
    Day,
    /// From Monday (ISO 8601).
    Week,
    /// From the 1st.
    Month,
    /// From 1 January, April, July and October.
    Quarter,
    /// From 1 January.
    Year,
}

/// So many whole units of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// How many: 1 or more.
    pub count: u16,
    /// Of what.
    pub unit: Calendar,
}

/// From a moment until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// The first millisecond in it.
    pub from: Moment,
    /// The first millisecond after it.
    pub to: Moment,
}

/// From the one duration ago to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The older edge.
    pub oldest: Duration,
    /// The newer edge; shorter than `oldest`.
    pub newest: Duration,
}

/// Which events count, by when they happened. `at` is the event's time; whatever the window, `at <= now` as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// All.
    #[default]
    Ever,
    /// From this moment on: `at >= since`.
    Since(Moment),
    /// Before this moment: `at < until`.
    Until(Moment),
    /// `from <= at < to`.
    Fixed(Fixed),
    /// Sliding: `at > floor(now - length)`, where `floor` rounds down to whole steps of the length.
    Last(Duration),
    /// Sliding, some time ago: `floor(now - oldest) < at <= floor(now - newest)`, both rounded down to whole steps
    /// of `oldest`.
    Between(Between),
    /// The unit of the calendar that `now` is in.
    This(Calendar),
    /// So many whole units before the one that `now` is in.
    Previous(Units),
}

/// The date that a text begins with, as it is written and whatever the time zone: `1990-02-28` in its first ten
/// characters, space before them left aside. Where ages and anniversaries count from.
#[must_use]
pub fn written_date(text: &str) -> Option<jiff::civil::Date> {
    let date = text.trim_start().get(..10)?;
    let mut parts = date.splitn(3, '-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let is_plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i16>().ok().filter(|_| is_plain)
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    jiff::civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
}
