//! Times and dates as files write them, to RFC 3339.
//!
//! Reference: `strptime` as jiff has it; RFC 3339; RFC 9557 for how a civil time that a change of the clock skips
//! or repeats is read (skipped: after the gap; repeated: the first).

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// How the times of a column are written.
#[derive(Clone, Debug)]
pub(crate) enum TimeForm {
    /// RFC 3339, or a civil time of the zone.
    Iso(Option<TimeZone>),
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
    /// By a `strptime` format, civil times being of the zone.
    Format(String, Option<TimeZone>),
}

/// The special formats for numbers since 1970.
pub(crate) const UNIX_SECONDS: &str = "unix_seconds";
pub(crate) const UNIX_MILLISECONDS: &str = "unix_milliseconds";

/// Whether a `strptime` format says which offset from UTC a time has.
pub(crate) fn has_offset(format: &str) -> bool {
    ["%z", "%:z", "%::z", "%Z", "%Q", "%:Q", "%s", "%c"].iter().any(|directive| format.contains(directive))
}

/// Whether every directive of a format is known, and it may be read as well as written.
pub(crate) fn check_format(format: &str) -> Result<(), String> {
    let example =
        DateTime::constant(2024, 2, 29, 13, 14, 15, 0).to_zoned(TimeZone::UTC).map_err(|e| e.to_string())?;
    let text = BrokenDownTime::from(&example).to_string(format).map_err(|error| error.to_string())?;
    BrokenDownTime::parse(format, &text).map(|_| ()).map_err(|error| error.to_string())
}

impl TimeForm {
    /// Reads a time and writes it as RFC 3339 in UTC; `None` when it is none, or outside the years 1 to 9999.
    pub(crate) fn read(&self, text: &str) -> Option<tessera_model::Timestamp> {
        let text = text.trim();
        let at = match self {
            Self::Iso(None) => text.parse::<jiff::Timestamp>().ok()?,
            Self::Iso(Some(zone)) => match text.parse::<jiff::Timestamp>() {
                Ok(at) => at,
                Err(_) => text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
            },
            Self::UnixSeconds => unix(text, 1_000)?,
            Self::UnixMilliseconds => unix(text, 1)?,
            Self::Format(format, zone) => {
                let broken = BrokenDownTime::parse(format, text).ok()?;
                match (broken.to_timestamp(), zone) {
                    (Ok(at), _) => at,
                    (Err(_), None) => return None,
                    (Err(_), Some(zone)) => civil(&broken)?.to_zoned(zone.clone()).ok()?.timestamp(),
                }
            }
        };
        let millis = at.as_millisecond();
        let at = tessera_model::Timestamp::from_millis(millis);
        (at.as_millis() == millis).then_some(at)
    }
}

/// A date alone is its midnight.
fn civil(broken: &BrokenDownTime) -> Option<DateTime> {
    broken.to_datetime().ok().or_else(|| broken.to_date().ok().map(|date| date.at(0, 0, 0, 0)))
}

fn unix(text: &str, millis_per_unit: i64) -> Option<jiff::Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    let mut millis = whole.checked_mul(millis_per_unit)?;
    if !fraction.is_empty() && millis_per_unit == 1_000 {
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        millis = millis.checked_add(if text.starts_with('-') { -digits } else { digits })?;
    }
    jiff::Timestamp::from_millisecond(millis).ok()
}

/// Reads a date, by `format` or as `2024-02-29`; a time of day after it is left out.
pub(crate) fn read_date(format: Option<&str>, text: &str) -> Option<Date> {
    let text = text.trim();
    let date = match format {
        None => text.parse::<Date>().ok()?,
        Some(format) => BrokenDownTime::parse(format, text).ok()?.to_date().ok()?,
    };
    (date.year() >= 1).then_some(date)
}
