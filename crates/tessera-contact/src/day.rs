//! Days as people write them, and whether one can be a day of birth.
//!
//! Not a guess: `03/04/1990` is two days until somebody says which order the source writes, and `90` no year until
//! somebody says which century.
//!
//! References: ISO 8601; RFC 3339; Unicode CLDR for the order by country.

use std::fmt;

use jiff::civil::Date;

use crate::{Region, Verdict};

const TEXT_BYTES_MAX: usize = 64;
/// Longer than anybody has lived; the oldest known reached 122.
const AGE_YEARS_MAX: i16 = 125;
/// Days that forms and databases put where none was given.
const DEFAULTS: [(i16, i8, i8); 4] = [(1900, 1, 1), (1970, 1, 1), (1899, 12, 30), (1, 1, 1)];
/// Countries that write the month first.
const MONTH_FIRST: [&str; 7] = ["AS", "FM", "GU", "MP", "PH", "PW", "US"];

/// In which order a source writes days in digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DayOrder {
    /// `28/02/1990`.
    DayFirst,
    /// `02/28/1990`.
    MonthFirst,
}

impl DayOrder {
    /// As a country's people write.
    #[must_use]
    pub fn of(region: Region) -> Self {
        if MONTH_FIRST.contains(&region.as_str()) { Self::MonthFirst } else { Self::DayFirst }
    }
}

/// A day. Invariant: it is in the calendar, in the years 1 to 9999.
///
/// Personal data when it is somebody's: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

/// Why a text is not a day. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DayFault {
    /// Not the shape of one.
    #[error("it is not written like a day")]
    NotADay,
    /// Not in the calendar.
    #[error("the calendar has no such day")]
    NoSuchDay,
    /// Day and month could be either.
    #[error("day and month could be either, and no order is set")]
    Ambiguous,
    /// Two digits for the year.
    #[error("the year has two digits")]
    TwoDigitYear,
}

impl DayFault {
    /// One stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotADay => "not_a_day",
            Self::NoSuchDay => "no_such_day",
            Self::Ambiguous => "day_or_month_first",
            Self::TwoDigitYear => "two_digit_year",
        }
    }

    /// What it means for the value: impossible, or not to be told.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::NotADay | Self::NoSuchDay => Verdict::invalid(self.code()),
            Self::Ambiguous | Self::TwoDigitYear => Verdict::unknown(self.code()),
        }
    }
}

impl Day {
    /// A day by its numbers.
    ///
    /// # Errors
    /// [`DayFault::NoSuchDay`].
    pub fn new(year: i16, month: i8, day: i8) -> Result<Self, DayFault> {
        let date = Date::new(year, month, day).ok().filter(|date| date.year() > 0);
        date.map(Self).ok_or(DayFault::NoSuchDay)
    }

    /// Reads `1990-02-28`, `19900228`, `28.02.1990`, `28/2/1990`, `28 Feb 1990`, `February 28th, 1990`, and the day of a
    /// time. Where day and month could be either, `order` decides.
    ///
    /// # Errors
    /// [`DayFault`].
    pub fn parse(text: &str, order: Option<DayOrder>) -> Result<Self, DayFault> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(DayFault::NotADay);
        }
        let text = without_time(text);
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_digits && let (8, Some((year, rest))) = (text.len(), text.split_at_checked(4)) {
            let (month, day) = rest.split_at_checked(2).ok_or(DayFault::NotADay)?;
            return Self::of_words(year, month, day);
        }
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || matches!(c, '-' | '/' | '.' | ','))
            .filter(|word| {
                !word.is_empty() && !word.eq_ignore_ascii_case("of") && !word.eq_ignore_ascii_case("de")
            })
            .collect();
        let [first, second, third] = words.as_slice() else { return Err(DayFault::NotADay) };
        if first.len() == 4 && is_number(first) {
            return Self::of_words(first, second, third);
        }
        if !is_number(third) {
            return Err(DayFault::NotADay);
        }
        if third.len() == 2 {
            return Err(DayFault::TwoDigitYear);
        }
        match (month_of(first), month_of(second), order) {
            (Some(_), _, _) => Self::of_words(third, first, second),
            (_, Some(_), _) => Self::of_words(third, second, first),
            (None, None, order) => Self::by_order(first, second, third, order),
        }
    }

    fn by_order(first: &str, second: &str, year: &str, order: Option<DayOrder>) -> Result<Self, DayFault> {
        let day_first = Self::of_words(year, second, first);
        let month_first = Self::of_words(year, first, second);
        match (day_first, month_first, order) {
            (Ok(one), Ok(other), None) if one != other => Err(DayFault::Ambiguous),
            (Ok(day), Ok(_), None | Some(DayOrder::DayFirst))
            | (Ok(_), Ok(day), Some(DayOrder::MonthFirst)) => Ok(day),
            // Only one reading is in the calendar: the source did not keep to its order.
            (Ok(day), Err(_), _) | (Err(_), Ok(day), _) => Ok(day),
            (Err(fault), Err(_), _) => Err(fault),
        }
    }

    fn of_words(year: &str, month: &str, day: &str) -> Result<Self, DayFault> {
        let day = day.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == 'º');
        let month = month_of(month).or_else(|| month.parse().ok()).ok_or(DayFault::NotADay)?;
        let year = year.parse().map_err(|_| DayFault::NotADay)?;
        Self::new(year, month, day.parse().map_err(|_| DayFault::NotADay)?)
    }

    /// ISO 8601: `1990-02-28`.
    #[must_use]
    pub fn normalised(&self) -> String {
        self.0.to_string()
    }

    /// What can be said of it as a day: it is one.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        Verdict::valid("in_calendar")
    }

    /// What can be said of it as a day of birth, as of `today`: whether anybody alive can have it.
    #[must_use]
    pub fn verdict_of_birth(&self, today: Self) -> Verdict {
        let date = self.0;
        if date > today.0 {
            Verdict::invalid("in_the_future")
        } else if DEFAULTS.contains(&(date.year(), date.month(), date.day())) {
            Verdict::unknown("day_put_for_none")
        } else if today.0.year() - date.year() > AGE_YEARS_MAX {
            Verdict::invalid("too_long_ago")
        } else {
            Verdict::unknown("possible_day_of_birth")
        }
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Day(<redacted>)")
    }
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The day of `1990-02-28T00:00:00Z` and `28.02.1990 00:00`.
fn without_time(text: &str) -> &str {
    let day = text.split_once(['T', 't']).filter(|(day, time)| day.len() == 10 && time.contains(':'));
    match (day, text.rsplit_once(' ')) {
        (Some((day, _)), _) => day,
        (None, Some((day, time))) if time.contains(':') => day.trim_end(),
        (None, _) => text,
    }
}

/// A month by its name: English, German, French, Spanish, Italian, Dutch, whole or by its beginning.
fn month_of(word: &str) -> Option<i8> {
    const MONTHS: [(&str, i8); 40] = [
        ("jan", 1),
        ("ene", 1),
        ("gen", 1),
        ("jän", 1),
        ("feb", 2),
        ("fév", 2),
        ("fev", 2),
        ("fébr", 2),
        ("mar", 3),
        ("mär", 3),
        ("maa", 3),
        ("mrt", 3),
        ("mrz", 3),
        ("apr", 4),
        ("avr", 4),
        ("abr", 4),
        ("may", 5),
        ("mai", 5),
        ("mei", 5),
        ("mag", 5),
        ("jun", 6),
        ("juin", 6),
        ("giu", 6),
        ("jul", 7),
        ("juil", 7),
        ("lug", 7),
        ("aug", 8),
        ("aoû", 8),
        ("aou", 8),
        ("ago", 8),
        ("sep", 9),
        ("set", 9),
        ("oct", 10),
        ("okt", 10),
        ("ott", 10),
        ("nov", 11),
        ("dec", 12),
        ("dez", 12),
        ("déc", 12),
        ("dic", 12),
    ];
    let word = word.to_lowercase();
    let is_letters = word.chars().count() >= 3 && word.chars().all(char::is_alphabetic);
    let found = MONTHS.iter().filter(|(start, _)| is_letters && word.starts_with(start));
    found.max_by_key(|(start, _)| start.len()).map(|(_, month)| *month)
}
