//! Which lines of a file are about a person, and the file without them.
//!
//! Invariant: a line that is kept is kept byte for byte, and the new file reaches as far as the old one: what is
//! delivered again does not come back.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::Value;

use super::map::{NotOurs, Tail};
use super::recover::RecoverError;
use crate::Forget;

/// Shorter values of identifiers, such as the number 42, are looked for under the name of their namespace only: anywhere
/// else they are mostly somebody else's, or nobody's.
const ANYWHERE_CHARS_MIN: usize = 6;

/// Whose lines are to go.
pub(super) struct Person<'a> {
    profiles: &'a BTreeSet<String>,
    message_ids: &'a BTreeSet<String>,
    identifiers: Vec<Identifier>,
}

struct Identifier {
    /// See [`folded`].
    name: String,
    value: String,
    is_anywhere: bool,
}

/// The parts of a line that say whom it is about.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    erased: bool,
    #[serde(default)]
    profile: String,
    message_id: String,
    #[serde(default)]
    event: Value,
}

/// What becomes of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
    /// Stands for lines that went before: a new one takes its place.
    Replaced,
}

impl<'a> Person<'a> {
    pub(super) fn new(notice: &'a Forget) -> Self {
        let identifier = |(namespace, value): &(String, String)| {
            let value = value.trim().to_lowercase();
            let is_anywhere = value.chars().count() >= ANYWHERE_CHARS_MIN;
            Identifier { name: folded(namespace), value, is_anywhere }
        };
        Self {
            profiles: &notice.profiles,
            message_ids: &notice.message_ids,
            identifiers: notice.identifiers.iter().map(identifier).collect(),
        }
    }

    fn fate(&self, line: &[u8]) -> Result<Fate, NotOurs> {
        let line: Line = serde_json::from_slice(line).map_err(|_| NotOurs)?;
        if line.erased {
            return Ok(Fate::Replaced);
        }
        let is_theirs = self.profiles.contains(&line.profile)
            || self.message_ids.contains(&line.message_id)
            || self.is_in("", &line.event);
        Ok(if is_theirs { Fate::Gone } else { Fate::Kept })
    }

    /// Whether `value`, which has the name `name`, has an identifier of the person in it.
    fn is_in(&self, name: &str, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is(name, text, true),
            Value::Number(number) => self.is(name, &number.to_string(), false),
            Value::Array(values) => values.iter().any(|value| self.is_in(name, value)),
            Value::Object(values) => {
                values.iter().any(|(name, value)| self.is("", name, true) || self.is_in(name, value))
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    fn is(&self, name: &str, text: &str, is_text: bool) -> bool {
        let text = text.trim().to_lowercase();
        self.identifiers.iter().any(|identifier| {
            identifier.value == text && (identifier.is_anywhere && is_text || folded(name) == identifier.name)
        })
    }
}

/// A name without what differs between spellings: `userId`, `user_id` and `User ID` are one.
fn folded(name: &str) -> String {
    name.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What a file holds of a person.
pub(super) struct Survey {
    lines_gone: u64,
    /// How far the file reaches, and would reach without those lines.
    whole: Tail,
    kept: Tail,
}

impl Survey {
    /// Whether there is nothing to erase.
    pub(super) fn is_clean(&self) -> bool {
        self.lines_gone == 0
    }
}

/// Reads a whole file.
pub(super) fn survey(file: impl BufRead, person: &Person<'_>) -> Result<Survey, RecoverError> {
    let mut survey = Survey { lines_gone: 0, whole: Tail::default(), kept: Tail::default() };
    for_each_line(file, person, |line, fate| {
        survey.whole.read(line)?;
        match fate {
            Fate::Kept => survey.kept.read(line)?,
            Fate::Gone => survey.lines_gone += 1,
            Fate::Replaced => {}
        }
        Ok(Ok(()))
    })?;
    Ok(survey)
}

/// Writes what is kept of `file`; returns how many bytes that are.
pub(super) fn write_without(
    file: impl BufRead,
    person: &Person<'_>,
    survey: &Survey,
    mut out: impl Write,
) -> Result<u64, RecoverError> {
    let mut bytes = 0_u64;
    let mut write = |line: &[u8]| {
        bytes = bytes.saturating_add(line.len() as u64);
        out.write_all(line)
    };
    for_each_line(file, person, |line, fate| {
        Ok(if fate == Fate::Kept { write(line).and_then(|()| write(b"\n")) } else { Ok(()) })
    })?;
    if let Some(line) = survey.kept.line_to_reach(&survey.whole).map_err(io::Error::from)? {
        write(&line)?;
    }
    out.flush()?;
    Ok(bytes)
}

/// Calls `each` with every line, without its line break.
fn for_each_line(
    mut file: impl BufRead,
    person: &Person<'_>,
    mut each: impl FnMut(&[u8], Fate) -> Result<io::Result<()>, NotOurs>,
) -> Result<(), RecoverError> {
    let mut at = 0_u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = file.read_until(b'\n', &mut line)? as u64;
        if bytes == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").ok_or(RecoverError::NotOurs(at))?;
        let done = person.fate(text).and_then(|fate| each(text, fate));
        done.map_err(|NotOurs| RecoverError::NotOurs(at))??;
        at = at.saturating_add(bytes);
    }
}
