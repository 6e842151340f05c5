//! JSON that stays text until somebody needs it.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::JSON_DEPTH_MAX;

/// The text of one JSON value, sharing the memory of the request it came in.
///
/// Invariant: valid JSON and so valid UTF-8. May be personal data: `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Json(Bytes);

impl Json {
    /// The part of `body` that `raw` is. `raw` must have been parsed out of `body`.
    #[must_use]
    pub fn slice(body: &Bytes, raw: &RawValue) -> Self {
        let text = raw.get().as_bytes();
        let (outer, inner) = (body.as_ptr_range(), text.as_ptr_range());
        if outer.start <= inner.start && inner.end <= outer.end {
            Self(body.slice_ref(text))
        } else {
            Self(Bytes::copy_from_slice(text))
        }
    }

    /// Text that is known to be JSON: read back from a store, or written by `serde_json`.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(Bytes::from(text))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with its syntax.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<IgnoredAny>(&text)?;
        Ok(Self(Bytes::from(text)))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.as_ref() == b"null"
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

/// Why the shape of a JSON text is refused although its syntax is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Arrays and objects inside each other.
    #[error("nested more than {JSON_DEPTH_MAX} levels deep")]
    TooDeep,
    /// Larger than the largest 64-bit floating-point number.
    #[error("holds a number beyond the range of a 64-bit floating-point number")]
    NumberTooLarge,
    /// `"\ud800"`: half a character, which no reader of ours or of a destination could decode.
    #[error("holds half of a surrogate pair (\\uD800 to \\uDFFF alone)")]
    HalfSurrogate,
}

/// What one pass over a JSON text finds out about its shape.
#[derive(Debug)]
pub struct Shape;

impl Shape {
    /// Checks nesting and numbers of a text whose syntax is right, in one pass, strings skipped whole.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn check(text: &str) -> Result<(), ShapeError> {
        let bytes = text.as_bytes();
        let (mut i, mut depth) = (0, 0_usize);
        while let Some(&byte) = bytes.get(i) {
            i += 1;
            match byte {
                b'"' => i = skip_string(bytes, i)?,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > JSON_DEPTH_MAX {
                        return Err(ShapeError::TooDeep);
                    }
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'-' | b'0'..=b'9' => i = check_number(text, i - 1)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn skip_string(bytes: &[u8], mut i: usize) -> Result<usize, ShapeError> {
    while let Some(&byte) = bytes.get(i) {
        i += 1;
        match byte {
            b'"' => break,
            b'\\' => i += check_escape(bytes.get(i..).unwrap_or_default())?,
            _ => {}
        }
    }
    Ok(i)
}

/// The length of an escape behind its backslash: a high surrogate must be followed by a low one.
fn check_escape(after: &[u8]) -> Result<usize, ShapeError> {
    match unit(after) {
        None => Ok(1),
        Some(0xD800..=0xDBFF) => {
            let low = after.get(5..).and_then(|rest| rest.strip_prefix(b"\\")).and_then(unit);
            matches!(low, Some(0xDC00..=0xDFFF)).then_some(11).ok_or(ShapeError::HalfSurrogate)
        }
        Some(0xDC00..=0xDFFF) => Err(ShapeError::HalfSurrogate),
        Some(_) => Ok(5),
    }
}

/// The code unit of `uXXXX`.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.strip_prefix(b"u")?.get(..4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

fn check_number(text: &str, start: usize) -> Result<usize, ShapeError> {
    let tail = text.get(start..).unwrap_or_default();
    let len = tail
        .bytes()
        .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .unwrap_or(tail.len());
    let number = tail.get(..len).unwrap_or_default();
    // Up to 300 characters without an exponent cannot leave the range, so most numbers cost no parse.
    if (number.len() > 300 || number.bytes().any(|b| matches!(b, b'e' | b'E')))
        && number.parse::<f64>().is_ok_and(f64::is_infinite)
    {
        return Err(ShapeError::NumberTooLarge);
    }
    Ok(start + len)
}

/// The value of `name` in the JSON object `raw`, unparsed. `None` when absent or when `raw` is no object.
#[must_use]
pub fn pick<'a>(raw: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    struct Pick<'n>(&'n str);
    impl<'de> Visitor<'de> for Pick<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<crate::wire::Text<'de>>()? {
                if key.as_str() == self.0 {
                    found = Some(map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer.deserialize_map(Pick(name)).ok().flatten()
}

/// The scalar at `path` below `raw`, as text: strings unquoted, numbers and booleans as written.
#[must_use]
pub fn pick_path(raw: &RawValue, path: &[String]) -> Option<String> {
    let Some((first, rest)) = path.split_first() else {
        return scalar(raw);
    };
    pick_path(pick(raw, first)?, rest)
}

/// The value at `path` below `raw`, unparsed.
#[must_use]
pub fn raw_at<'a>(raw: &'a RawValue, path: &[String]) -> Option<&'a RawValue> {
    match path.split_first() {
        None => Some(raw),
        Some((first, rest)) => raw_at(pick(raw, first)?, rest),
    }
}

fn scalar(raw: &RawValue) -> Option<String> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => String::deserialize(&mut serde_json::Deserializer::from_str(text)).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_finds_deep_nesting_and_numbers_beyond_f64() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        for (text, expected) in [
            (nested(64), Ok(())),
            (nested(65), Err(ShapeError::TooDeep)),
            ("{\"a\":1e308}".to_owned(), Ok(())),
            ("{\"a\":-1e309}".to_owned(), Err(ShapeError::NumberTooLarge)),
            (format!("[{}]", "9".repeat(400)), Err(ShapeError::NumberTooLarge)),
            ("[\"1e999 [[[[ \\\" 1e999\"]".to_owned(), Ok(())),
            (format!("\"{}\"", "[".repeat(100)), Ok(())),
            (r#"["\ud83d\ude00 \u00e9 \\ud800"]"#.to_owned(), Ok(())),
            (r#"["\ud800"]"#.to_owned(), Err(ShapeError::HalfSurrogate)),
            (r#"["\ud800\u0041"]"#.to_owned(), Err(ShapeError::HalfSurrogate)),
            (r#"["\ude00"]"#.to_owned(), Err(ShapeError::HalfSurrogate)),
        ] {
            assert_eq!(Shape::check(&text), expected, "{text}");
        }
    }

    #[test]
    fn pick_path_reads_scalars_below_objects() {
        let raw: &RawValue = serde_json::from_str(r#"{"a":{"b\u0063":"x","n":12},"z":null}"#).unwrap();
        let path = |s: &str| s.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(pick_path(raw, &path("a.bc")), Some("x".to_owned()));
        assert_eq!(pick_path(raw, &path("a.n")), Some("12".to_owned()));
        for absent in ["a", "z", "a.b", "a.n.x"] {
            assert_eq!(pick_path(raw, &path(absent)), None, "{absent}");
        }
    }
}
