//! Rows of an answer, and how they are shown.

use serde_json::{Map, Value};

/// Rows, as the engine gives them: a value that is null may be missing.
pub type Rows = Vec<Map<String, Value>>;

/// The forms of an answer that are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For a terminal, with small bars.
    pub table: String,
    /// RFC 4180, with a header.
    pub csv: String,
    /// A picture that stands alone.
    pub svg: String,
}

/// The longest small bar, in signs.
const BAR: u64 = 20;

pub(crate) fn number(row: &Map<String, Value>, name: &str) -> u64 {
    row.get(name).and_then(Value::as_u64).unwrap_or_default()
}

pub(crate) fn decimal(row: &Map<String, Value>, name: &str) -> Option<f64> {
    row.get(name).and_then(Value::as_f64)
}

pub(crate) fn text<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A share as people read it: neither nothing nor everything as long as it is not.
pub(crate) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share > 0.0 && share < 0.005 => "< 1 %".to_owned(),
        Some(share) if share < 1.0 && share > 0.99 => "> 99 %".to_owned(),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}

/// A share of counts.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| as_f64(part) / as_f64(whole))
}

/// Exact up to 2^53, which no count here comes near.
#[expect(clippy::cast_precision_loss, reason = "people read it rounded")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}

/// A count as people read it: 12,345.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A small bar of signs; the least that is anything has one.
pub(crate) fn bar(part: u64, whole: u64) -> String {
    let signs = (part.saturating_mul(BAR) + whole / 2).checked_div(whole).unwrap_or_default();
    let signs = if part > 0 { signs.clamp(1, BAR) } else { 0 };
    "█".repeat(usize::try_from(signs).unwrap_or_default())
}

/// Seconds as people read them.
pub(crate) fn duration(seconds: f64) -> String {
    let steps = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")];
    let found = steps.into_iter().find(|(length, _)| seconds >= *length);
    found
        .map_or_else(|| format!("{seconds:.1} s"), |(length, unit)| format!("{:.1} {unit}", seconds / length))
}

/// Rows of texts as aligned columns; those in `left` are words, the others numbers.
pub(crate) fn aligned(header: &[&str], left: &[usize], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(header.get(at).map(|name| name.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).enumerate().map(|(at, (cell, width))| match left.contains(&at) {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let mut out = line(&mut header.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// Rows as CSV, with these columns.
pub(crate) fn csv(columns: &[&str], rows: &Rows) -> String {
    let cell = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.contains(['"', ',', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut out = format!("{}\n", columns.join(","));
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|name| cell(row.get(*name))).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_bars_and_counts_do_not_round_something_to_nothing_or_all() {
        assert_eq!(percent(Some(0.0001)), "< 1 %");
        assert_eq!(percent(Some(0.9999)), "> 99 %");
        assert_eq!(
            (percent(Some(0.0)), percent(Some(1.0)), percent(None)),
            ("0 %".into(), "100 %".into(), "-".into())
        );
        assert_eq!(
            (bar(1, 1_000_000), bar(0, 5), bar(5, 5).chars().count()),
            ("█".into(), String::new(), 20)
        );
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!(
            (duration(0.5), duration(90.0), duration(180_000.0)),
            ("0.5 s".into(), "1.5 min".into(), "2.1 d".into())
        );
    }

    #[test]
    fn texts_are_quoted_in_csv_where_they_must_be() {
        let row = |value: Value| value.as_object().unwrap().clone();
        let rows =
            vec![row(serde_json::json!({"a": "x, \"y\"", "b": 2})), row(serde_json::json!({"a": "z"}))];
        assert_eq!(csv(&["a", "b"], &rows), "a,b\n\"x, \"\"y\"\"\",2\nz,\n");
    }
}
