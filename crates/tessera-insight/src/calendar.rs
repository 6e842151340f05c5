//! Durations as people write them, and periods of the calendar. All of it in UTC; weeks begin on Monday.

use jiff::civil::Date;
use jiff::{ToSpan as _, tz::TimeZone};
use tessera_model::Timestamp;

use crate::options::PERIODS_MAX;
use crate::{Problem, Range};

/// A duration in milliseconds: `30m`, `12h`, `7d`, `2w`.
pub(crate) fn millis(name: &str, text: &str) -> Result<i64, Problem> {
    let parse = || {
        let text = text.trim();
        let at = text.find(|sign: char| !sign.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(at)?;
        let unit: i64 = match unit.trim() {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        // A hundred years are enough.
        let millis = number.parse::<i64>().ok()?.checked_mul(unit)?;
        (1..=36_525 * 86_400_000).contains(&millis).then_some(millis)
    };
    parse().ok_or_else(|| {
        Problem::new(
            format!("`{name}` is no duration"),
            "write 90s, 30m, 12h, 7d or 2w, at most a hundred years",
        )
    })
}

/// Periods of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week,
    Month,
}

impl Unit {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text {
            Some("day") => Ok(Self::Day),
            None | Some("week") => Ok(Self::Week),
            Some("month") => Ok(Self::Month),
            Some(_) => Err(Problem::new("`unit` is no unit", "use day, week or month")),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the period that a moment is in.
    fn day(self, at: Timestamp) -> Date {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        let day = at.to_zoned(TimeZone::UTC).date();
        match self {
            Self::Day => day,
            Self::Week => day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days()),
            Self::Month => day.first_of_month(),
        }
    }

    fn plus(self, day: Date, count: i64) -> Date {
        match self {
            Self::Day => day.saturating_add(count.days()),
            Self::Week => day.saturating_add((7 * count).days()),
            Self::Month => day.saturating_add(count.months()),
        }
    }

    /// The beginning of the period that is `count` before the one that `at` is in.
    pub(crate) fn back(self, at: Timestamp, count: usize) -> Timestamp {
        midnight(self.plus(self.day(at), -i64::try_from(count).unwrap_or(0)))
    }

    /// The periods that a range touches, each with its end.
    pub(crate) fn periods(self, range: Range) -> Result<Vec<(Timestamp, Timestamp)>, Problem> {
        let mut day = self.day(range.from);
        let mut periods = Vec::new();
        while midnight(day) < range.to {
            if periods.len() == PERIODS_MAX {
                return Err(Problem::new(
                    format!("the range has more than {PERIODS_MAX} periods of a {}", self.name()),
                    "take a larger `unit`, or a shorter range",
                ));
            }
            let next = self.plus(day, 1);
            periods.push((midnight(day), midnight(next)));
            if next <= day {
                break;
            }
            day = next;
        }
        Ok(periods)
    }
}

fn midnight(day: Date) -> Timestamp {
    let at = day.to_zoned(TimeZone::UTC).map(|at| at.timestamp().as_millisecond());
    at.map_or(Timestamp::MAX, Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text| millis("within", text).ok();
        assert_eq!(read("90s"), Some(90_000));
        assert_eq!(read(" 7d "), Some(604_800_000));
        assert_eq!(read("2w"), Some(1_209_600_000));
        for wrong in ["", "d", "7", "0d", "-1d", "7 years", "99999999999999999d", "1000000d", "7d7"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn periods_begin_where_the_calendar_says_and_cover_the_range() {
        let at = |text| Timestamp::parse(text).unwrap();
        let range = Range { from: at("2026-01-30T12:00:00Z"), to: at("2026-03-01T00:00:00Z") };
        let begins = |unit: Unit| -> Vec<String> {
            let day = |at: Timestamp| at.to_string().chars().take(10).collect();
            unit.periods(range).unwrap().into_iter().map(|(from, _)| day(from)).collect()
        };
        assert_eq!(begins(Unit::Month), ["2026-01-01", "2026-02-01"]);
        assert_eq!(
            begins(Unit::Week),
            ["2026-01-26", "2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23"]
        );
        assert_eq!(begins(Unit::Day).len(), 30);
        let ever = Range { from: Timestamp::MIN, to: Timestamp::MAX };
        assert!(Unit::Day.periods(ever).unwrap_err().what.contains("more than 400"));
        assert!(Unit::Month.periods(Range { from: at("9999-11-05"), to: Timestamp::MAX }).is_ok());
        assert_eq!(Unit::Week.back(at("2026-03-01"), 2), at("2026-02-09"));
    }
}
