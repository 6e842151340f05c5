//! Pieces of SQL.

use tessera_model::Timestamp;

use crate::Range;
use crate::options::Common;

/// What people did: not what was only said about them.
pub(crate) const DID: &str = "type IN ('track', 'page', 'screen')";

/// A text of SQL.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A moment.
pub(crate) fn at(time: Timestamp) -> String {
    format!("TIMESTAMPTZ '{time}'")
}

/// A condition in brackets; whatever comment it ends with ends with its line.
pub(crate) fn bracketed(condition: &str) -> String {
    format!("({condition}\n    )")
}

/// Whether an event happened in a range.
pub(crate) fn in_range(range: Range) -> String {
    format!("timestamp >= {} AND timestamp < {}", at(range.from), at(range.to))
}

/// What every event must be besides.
pub(crate) fn besides(common: &Common) -> String {
    common.condition.as_deref().map_or_else(String::new, |text| format!("\n    AND {}", bracketed(text)))
}

/// That an event is the one of that name, or, without a name, that somebody did it.
pub(crate) fn is(event: Option<&str>) -> String {
    event.map_or_else(|| DID.to_owned(), |name| format!("event = {}", text(name)))
}

/// Periods as rows: number, beginning, end.
pub(crate) fn periods(periods: &[(Timestamp, Timestamp)]) -> String {
    let row = |(number, (from, to)): (usize, &(Timestamp, Timestamp))| {
        format!("({number}, {}, {})", at(*from), at(*to))
    };
    let rows: Vec<String> = periods.iter().enumerate().map(row).collect();
    format!("periods(number, begins_at, ends_at) AS (\n    VALUES {}\n)", rows.join(",\n           "))
}

/// A field of an event by its path: `properties.total`.
pub(crate) fn field(path: &str) -> Option<String> {
    let mut parts = path.split('.');
    let root = parts.next().filter(|root| ["properties", "context", "traits"].contains(root))?;
    let rest: Vec<&str> = parts.collect();
    let (last, between) = rest.split_last()?;
    if rest.iter().any(|part| part.is_empty()) {
        return None;
    }
    let between: String = between.iter().map(|part| format!("->{}", text(part))).collect();
    Some(format!("{root}{between}->>{}", text(last)))
}
