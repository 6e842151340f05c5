//! Where a text goes wrong, what was expected there, and what may have been meant.

use std::fmt;

/// A text that is no definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Its line, from 1 on.
    pub line: usize,
    /// The column of the first character that does not fit, from 1 on.
    pub column: usize,
    /// What was expected there.
    pub expected: String,
    /// What may have been meant.
    pub hint: Option<String>,
    source: String,
}

/// Longest part of a line that an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 100;

impl TextError {
    /// The error's stable code.
    pub const CODE: &'static str = "TES-A021";

    pub(super) fn new(text: &str, at: usize, expected: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_from = before.rfind('\n').map_or(0, |place| place + 1);
        let column = before.get(line_from..).unwrap_or_default().chars().count();
        let line = text.get(line_from..).unwrap_or_default().lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            expected: expected.into(),
            hint: None,
            source: line.to_owned(),
        }
    }

    /// With the nearest of these to what was written, if it is near.
    pub(super) fn nearest<'o>(mut self, written: &str, options: impl IntoIterator<Item = &'o str>) -> Self {
        self.hint = nearest(written, options).map(|name| format!("did you mean `{name}`?"));
        self
    }
}

/// The nearest of these names, if it is near enough to have been meant.
#[must_use]
pub fn nearest<'o>(written: &str, options: impl IntoIterator<Item = &'o str>) -> Option<&'o str> {
    let lower = written.to_lowercase();
    let scored = options.into_iter().map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name));
    let best = scored.filter(|(score, name)| *score >= 0.8 && *name != written);
    best.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: line {}, column {}: expected {}",
            Self::CODE,
            self.line,
            self.column,
            self.expected
        )?;
        // Of a long line the part around the place.
        let skipped = (self.column - 1).saturating_sub(SHOWN_CHARS_MAX / 2);
        let shown: String = self.source.chars().skip(skipped).take(SHOWN_CHARS_MAX).collect();
        let shown = shown.replace(|character: char| character.is_control(), " ");
        write!(f, "  {shown}\n  {:>1$}", "^", self.column - skipped)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for TextError {}
