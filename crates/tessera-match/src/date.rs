//! Dates as people write them, tolerant of days that no calendar has.
//!
//! Not a calendar: data with typing errors holds a 31st of February, and it still agrees in its year. Day first or
//! month first cannot be told apart in `03/04/1990`; day first is assumed, and [`Date::parts_agree`] takes both.

/// Year, month and day as written. Invariant: the year is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Date {
    /// Reads `1990-04-03`, `1990/4/3`, `19900403`, `03.04.1990`, `3/4/1990`, each also with a time behind.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.split([' ', 't']).next().unwrap_or_default();
        let mut numbers = [0_u16; 3];
        let mut widths = [0_usize; 3];
        let mut count = 0;
        for part in text.split(['-', '/', '.']) {
            *numbers.get_mut(count)? = part.parse().ok().or((count == 0).then_some(0))?;
            *widths.get_mut(count)? = part.len();
            count += 1;
        }
        match (count, widths) {
            (3, [4, ..]) => Self::of(numbers[0], numbers[1], numbers[2]),
            (3, [.., 4]) => Self::of(numbers[2], numbers[1], numbers[0]),
            (1, [8, ..]) => {
                let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok();
                Self::of(part(0..4)?, part(4..6)?, part(6..8)?)
            }
            _ => None,
        }
    }

    fn of(year: u16, month: u16, day: u16) -> Option<Self> {
        let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        (year > 0 && month < 100 && day < 100).then_some(Self { year, month, day })
    }

    /// Whether two of the three parts are equal, or month and day are exchanged.
    pub(crate) fn parts_agree(self, other: Self) -> bool {
        let (year, month, day) = (self.year == other.year, self.month == other.month, self.day == other.day);
        (year && (month || day))
            || (month && day)
            || (year && self.month == other.day && self.day == other.month)
    }

    /// Days since a fixed day, in the Gregorian calendar, with months and days drawn into range.
    pub(crate) fn days(self) -> i64 {
        let month = i64::from(self.month.clamp(1, 12));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let (era, month) = (year.div_euclid(400), (month + 9) % 12);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * month + 2) / 5 + i64::from(self.day.clamp(1, 31)) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year
    }

    /// Months since year 0.
    pub(crate) fn months(self) -> i64 {
        i64::from(self.year) * 12 + i64::from(self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u16, u8, u8)>) {
        let found = Date::parse(text).map(|date| (date.year, date.month, date.day));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn dates_are_read_as_people_write_them() {
        check("1990-04-03", Some((1990, 4, 3)));
        check("19900403", Some((1990, 4, 3)));
        check("3/4/1990", Some((1990, 4, 3)));
        check("03.04.1990", Some((1990, 4, 3)));
        check("1990-04-03t10:00:00z", Some((1990, 4, 3)));
        check("1990-04-03 10:00:00", Some((1990, 4, 3)));
        check("19901333", Some((1990, 13, 33)));
        check("1990", None);
        check("03-04-90", None);
        check("ada-b-c", None);
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        let day = |text| Date::parse(text).unwrap().days();
        assert_eq!(day("2000-03-01") - day("2000-02-28"), 2);
        assert_eq!(day("1900-03-01") - day("1900-02-28"), 1);
        assert_eq!(day("2026-11-22") - day("1970-01-01"), 20_779);
    }
}
