//! Points in time, as milliseconds since the Unix epoch in UTC.
//!
//! Not a clock: nothing here reads the time. Reference: RFC 3339 and ISO 8601 (the forms that Segment
//! clients send).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Invariant: between the years 1 and 9999, so it always has an RFC 3339 form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// A number of milliseconds that is no time between the years 1 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time lies between the years 1 and 9999")]
pub struct NotATime;

impl TryFrom<i64> for Timestamp {
    type Error = NotATime;

    fn try_from(millis: i64) -> Result<Self, NotATime> {
        Self::in_range(millis).ok_or(NotATime)
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// 9999-12-30T22:00:00.999Z: the last instant that every time zone can still write with four digits.
    pub const MAX: Self = Self(253_402_207_200_999);

    /// From milliseconds since the Unix epoch; out of range is clamped to [`Self::MIN`] or [`Self::MAX`].
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since the Unix epoch, negative before it.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 and the ISO 8601 forms clients send: `T` or a space, any fraction, `Z`, `+01:00`,
    /// or no offset at all (read as UTC), or a date alone (midnight UTC).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Self::in_range(at.as_millisecond());
        }
        let civil = text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().ok()?;
        match civil.to_zoned(jiff::tz::TimeZone::UTC) {
            Ok(zoned) => Self::in_range(zoned.timestamp().as_millisecond()),
            // The last hours of the year 9999, which `MAX` stands for.
            Err(_) if civil.year() == 9999 => Some(Self::MAX),
            Err(_) => None,
        }
    }

    /// `self - earlier` in milliseconds, saturating.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self + millis`, clamped to the range of the type.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// For `#[serde(serialize_with)]`: RFC 3339, as the API writes times.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize_rfc3339<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    /// For `#[serde(deserialize_with)]`: RFC 3339, as people write times.
    ///
    /// # Errors
    /// Those of the deserializer, and a text that is no time.
    pub fn deserialize_rfc3339<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a time is written 2026-12-31T00:00:00Z"))
    }

    fn in_range(millis: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// A day on which somebody was born: days since 1970-01-01, negative before it. Personal data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Birthday(i32);

impl fmt::Debug for Birthday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<birthday>")
    }
}

impl Birthday {
    /// Reads an ISO date, or the date at the start of an ISO time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.trim().get(..10)?.parse().ok()?;
        let epoch = jiff::civil::date(1970, 1, 1);
        date.since((jiff::Unit::Day, epoch)).ok().map(|span| Self(span.get_days()))
    }

    /// Whether the person has had so many birthdays at `now`, by the date in UTC. Who was born on 29 February has
    /// their birthday on 1 March in other years.
    #[must_use]
    pub fn is_at_least(self, years: u8, now: Timestamp) -> bool {
        let born = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(self.0));
        let today = jiff::Timestamp::from_millisecond(now.as_millis())
            .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date());
        let (Ok(born), Ok(today)) = (born, today) else { return false };
        let age =
            today.year() - born.year() - i16::from((today.month(), today.day()) < (born.month(), born.day()));
        age >= i16::from(years)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_reads_the_forms_that_clients_send() {
        for (text, millis) in [
            ("1970-01-01T00:00:01Z", 1_000),
            ("1970-01-01T00:00:00.123456Z", 123),
            ("1970-01-01 01:00:00+01:00", 0),
            ("1970-01-01T00:00:02", 2_000),
            ("1970-01-02", 86_400_000),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::as_millis), Some(millis), "{text}");
        }
    }

    #[test]
    fn timestamp_refuses_what_has_no_four_digit_year() {
        for text in [
            "",
            "now",
            "-000001-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2024-13-01",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert!(Timestamp::parse("0001-01-01T00:00:00Z").is_some());
        assert_eq!(Timestamp::parse("9999-12-31T23:59:59Z"), Some(Timestamp::MAX));
    }

    #[test]
    fn what_is_stored_of_a_time_is_a_time() {
        for time in [Timestamp::MIN, Timestamp::default(), Timestamp::MAX] {
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        }
        assert!(serde_json::from_str::<Timestamp>("253402207201000").is_err());
    }

    #[test]
    fn timestamp_prints_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_500).to_string(), "1970-01-01T00:00:01.500Z");
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
    }
}
