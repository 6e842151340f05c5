//! What a column holds, guessed from its values first and its name second.

use crate::date::Date;
use crate::forms::place;
use crate::table::Column;
use crate::text::words;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    GivenName,
    FamilyName,
    FullName,
    Date,
    Email,
    Phone,
    Postcode,
    City,
    Street,
    HouseNumber,
    Id,
    Place,
    Number,
    Category,
    Text,
    /// Nothing that could tell people apart.
    Nothing,
}

/// Distinct values looked at.
const SAMPLE: u32 = 3_000;

/// Shares of a column's values that look like something.
struct Look {
    dates: f64,
    emails: f64,
    places: f64,
    digits: f64,
    with_digit: f64,
    blanks: f64,
    words: f64,
    length: f64,
}

impl Look {
    fn at(column: &Column) -> Self {
        let last = u32::try_from(column.distinct()).unwrap_or(u32::MAX).min(SAMPLE);
        let values: Vec<&str> = (1..=last).map(|code| column.text(code)).collect();
        let count = (values.len() as f64).max(1.0);
        let share =
            |test: &dyn Fn(&str) -> bool| values.iter().filter(|value| test(value)).count() as f64 / count;
        let mean = |size: &dyn Fn(&str) -> usize| {
            values.iter().map(|value| size(value)).sum::<usize>() as f64 / count
        };
        Self {
            dates: share(&is_date),
            emails: share(&|value| value.split_once('@').is_some_and(|(_, domain)| domain.contains('.'))),
            places: share(&|value| value.contains('.') && place(value).is_some()),
            digits: share(&|value| value.chars().all(|c| c.is_ascii_digit() || "+-(). /".contains(c))),
            with_digit: share(&|value| value.chars().any(|c| c.is_ascii_digit())),
            blanks: share(&|value| value.contains(' ')),
            words: mean(&|value| words(value).count()),
            length: mean(&|value| value.chars().filter(char::is_ascii_alphanumeric).count()),
        }
    }
}

fn is_date(value: &str) -> bool {
    Date::parse(value).is_some_and(|date| {
        // Eight digits may be any number; only years that somebody alive knows are taken for one.
        let oldest = if value.len() > 8 { 1000 } else { 1850 };
        (oldest..2100).contains(&date.year)
            && date.month.min(date.day) <= 12
            && date.month.max(date.day) <= 31
    })
}

/// Guesses what `column` holds.
pub(crate) fn kind(column: &Column) -> Kind {
    let values: u64 = column.counts().iter().skip(1).map(|count| u64::from(*count)).sum();
    if column.distinct() < 2 {
        return Kind::Nothing;
    }
    let look = Look::at(column);
    let name = column.name().to_ascii_lowercase();
    let named = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let distinct = column.distinct() as f64 / values as f64;
    if look.emails > 0.6 {
        return Kind::Email;
    }
    if look.dates > 0.8 && !named(&["phone", "mobile", "fax"]) {
        return Kind::Date;
    }
    if look.places > 0.8 {
        return Kind::Place;
    }
    let kind = if look.digits > 0.8 {
        of_digits(&look, distinct, &named)
    } else if look.with_digit > 0.5 {
        of_letters_and_digits(&look, distinct, &named)
    } else {
        of_letters(&look, column.distinct(), distinct, &named)
    };
    // A number that no two records share is the row's own name.
    if matches!(kind, Kind::Id | Kind::Number) && distinct >= 1.0 { Kind::Nothing } else { kind }
}

fn of_digits(look: &Look, distinct: f64, named: &dyn Fn(&[&str]) -> bool) -> Kind {
    if named(&["phone", "mobile", "tel", "fax", "msisdn"]) {
        Kind::Phone
    } else if named(&["post", "zip", "plz", "pcode"]) {
        Kind::Postcode
    } else if named(&["house", "street", "hausnr", "building", "_no", "addr"]) {
        Kind::HouseNumber
    } else if named(&["price", "amount", "income", "salary", "age", "height", "weight"]) {
        Kind::Number
    } else if look.length >= 9.0 && distinct > 0.2 {
        Kind::Phone
    } else if look.length >= 5.0 && distinct > 0.2 {
        Kind::Id
    } else {
        Kind::HouseNumber
    }
}

fn of_letters_and_digits(look: &Look, distinct: f64, named: &dyn Fn(&[&str]) -> bool) -> Kind {
    if named(&["post", "zip", "plz"]) {
        Kind::Postcode
    } else if named(&["street", "addr", "strasse", "rue", "road"]) || look.words >= 2.5 {
        Kind::Street
    } else if look.length <= 8.0 && look.words > 1.5 {
        Kind::Postcode
    } else if distinct > 0.2 && look.blanks < 0.2 {
        Kind::Id
    } else if look.length <= 8.0 {
        Kind::Postcode
    } else {
        Kind::Text
    }
}

fn of_letters(look: &Look, count: usize, distinct: f64, named: &dyn Fn(&[&str]) -> bool) -> Kind {
    if count <= 12 || (count <= 60 && distinct < 0.01) {
        Kind::Category
    } else if named(&["given", "first", "fore", "vorname", "prenom", "fname", "nombre"]) {
        Kind::GivenName
    } else if named(&["sur", "last", "family", "nachname", "lname", "apellido", "maiden"]) {
        Kind::FamilyName
    } else if named(&["street", "addr", "strasse", "road"]) {
        Kind::Street
    } else if named(&[
        "city", "town", "suburb", "place", "local", "county", "region", "ort", "country", "state",
    ]) {
        Kind::City
    } else if look.words >= 1.7 && named(&["name"]) {
        Kind::FullName
    } else if look.words < 1.7 && named(&["name"]) {
        Kind::FamilyName
    } else {
        Kind::Text
    }
}
