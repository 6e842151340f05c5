//! A cell's text to a JSON value of a type.
//!
//! Pure. A reason never quotes the value: it may be personal data.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tessera_model::Shape;

use super::Cell;
use super::time::{TimeForm, read_date};

/// What the text of a column becomes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// As the file has it: text from CSV, any JSON from the others.
    Same,
    String,
    Number {
        decimal: u8,
        thousands: Option<u8>,
    },
    Integer {
        thousands: Option<u8>,
    },
    Boolean {
        true_words: Vec<String>,
        false_words: Vec<String>,
    },
    Date {
        format: Option<String>,
    },
    Timestamp(TimeForm),
    Json,
}

impl<'a> Cell<'a> {
    /// Whether there is nothing in it: no such member, `null`, or blanks only.
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Json(raw) => match raw.get().as_bytes() {
                b"null" => true,
                [b'"', inside @ .., b'"'] => inside.trim_ascii().is_empty(),
                _ => false,
            },
        }
    }

    /// Its text: JSON strings unquoted, numbers and booleans as written, `null` as nothing.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, &'static str> {
        match self {
            Self::Missing => Ok(Cow::Borrowed("")),
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::Json(raw) => match raw.get().as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(raw.get())
                    .map(Cow::Owned)
                    .map_err(|_| "holds half of a surrogate pair, which is no text"),
                Some(b'n') => Ok(Cow::Borrowed("")),
                Some(b'{' | b'[') => Err("is an object or array, not a single value"),
                _ => Ok(Cow::Borrowed(raw.get())),
            },
        }
    }
}

/// Writes `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let length = out.len();
    if serde_json::to_writer(&mut *out, text).is_err() {
        out.truncate(length);
        out.extend_from_slice(b"\"\"");
    }
}

impl Kind {
    /// Writes the value of `cell` as JSON.
    pub(crate) fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        if let (Self::Same, Cell::Json(raw)) = (self, cell) {
            out.extend_from_slice(raw.get().as_bytes());
            return Ok(());
        }
        if let (Self::Json, Cell::Json(raw)) = (self, cell)
            && !raw.get().starts_with('"')
        {
            out.extend_from_slice(raw.get().as_bytes());
            return Ok(());
        }
        let text = cell.text()?;
        match self {
            Self::Same | Self::String => write_string(out, &text),
            Self::Number { decimal, thousands } => write_number(text.trim(), *decimal, *thousands, out)?,
            Self::Integer { thousands } => write_integer(text.trim(), *thousands, out)?,
            Self::Boolean { true_words, false_words } => {
                let is_in = |words: &[String]| is_word(words, &text);
                let word: &[u8] = match (is_in(true_words), is_in(false_words)) {
                    (true, _) => b"true",
                    (false, true) => b"false",
                    (false, false) => return Err("is neither a word for true nor one for false"),
                };
                out.extend_from_slice(word);
            }
            Self::Date { format } => {
                let date = read_date(format.as_deref(), &text).ok_or(match format {
                    Some(_) => "is not a date of the mapping's format",
                    None => "is not a date such as 2024-02-29",
                })?;
                write_string(out, &date.to_string());
            }
            Self::Timestamp(form) => {
                let at = form.read(&text).ok_or(TIME_REASON)?;
                write_string(out, &at.to_string());
            }
            Self::Json => {
                let raw: &RawValue = serde_json::from_str(text.trim()).map_err(|_| "is not JSON")?;
                Shape::check(raw.get()).map_err(|_| "is JSON nested too deep, or with a number too large")?;
                out.extend_from_slice(raw.get().as_bytes());
            }
        }
        Ok(())
    }
}

/// Why a time is none.
pub(crate) const TIME_REASON: &str = "is not a time of the mapping's format";

/// Whether `text` is one of `words`, blanks around it and upper case left aside.
pub(crate) fn is_word(words: &[String], text: &str) -> bool {
    let text = text.trim();
    words.iter().any(|word| word == text) || {
        let text = text.to_lowercase();
        words.iter().any(|word| word.to_lowercase() == text)
    }
}

fn write_integer(text: &str, thousands: Option<u8>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let plain: Cow<'_, str> = match thousands {
        Some(separator) => Cow::Owned(text.replace(char::from(separator), "")),
        None => Cow::Borrowed(text),
    };
    let number: i64 = plain.parse().map_err(|_| "is not a whole number of 64 bits")?;
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

/// Writes a decimal number digit by digit, so that 0.10 stays 0.10 and nothing is rounded.
fn write_number(
    text: &str,
    decimal: u8,
    thousands: Option<u8>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    const REASON: &str = "is not a number";
    let (sign, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let exponent_at = digits.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at_checked(exponent_at).ok_or(REASON)?;
    let decimal_at = mantissa.iter().position(|byte| *byte == decimal).unwrap_or(mantissa.len());
    let (whole, fraction) = mantissa.split_at_checked(decimal_at).ok_or(REASON)?;
    let whole: Vec<u8> = whole.iter().copied().filter(|byte| Some(*byte) != thousands).collect();
    let fraction = fraction.get(1..).unwrap_or_default();
    let is_digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let exponent_digits = match exponent {
        [] | [_] => &[][..],
        [_, b'-' | b'+', rest @ ..] | [_, rest @ ..] => rest,
    };
    let has_exponent = !exponent.is_empty();
    let is_number = is_digits(&whole)
        && is_digits(fraction)
        && is_digits(exponent_digits)
        && !(whole.is_empty() && fraction.is_empty())
        && has_exponent != exponent_digits.is_empty();
    if !is_number {
        return Err(REASON);
    }
    let start = out.len();
    if sign {
        out.push(b'-');
    }
    let leading = whole.iter().take_while(|byte| **byte == b'0').count();
    match whole.get(leading..) {
        Some([]) | None => out.push(b'0'),
        Some(rest) => out.extend_from_slice(rest),
    }
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    out.extend_from_slice(exponent);
    let written = out.get(start..).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    match written.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(()),
        _ => Err("is a number beyond the range of a 64-bit floating-point number"),
    }
}
