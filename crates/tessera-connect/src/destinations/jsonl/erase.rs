//! Which lines of a file are about a person, and the file without them.
//!
//! Invariant: a line that is kept is kept byte for byte, and the new file reaches as far as the old one: what is
//! delivered again does not come back.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::map::{NotOurs, Tail};
use super::recover::RecoverError;
use crate::{Forget, Names};

/// Whose lines are to go.
pub(super) struct Person<'a> {
    profiles: &'a BTreeSet<String>,
    message_ids: &'a BTreeSet<String>,
    names: &'a Names,
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
    event: Option<Box<RawValue>>,
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
        Self { profiles: &notice.profiles, message_ids: &notice.message_ids, names: &notice.names }
    }

    fn fate(&self, line: &[u8]) -> Result<Fate, NotOurs> {
        let line: Line = serde_json::from_slice(line).map_err(|_| NotOurs)?;
        if line.erased {
            return Ok(Fate::Replaced);
        }
        let is_theirs = self.profiles.contains(&line.profile)
            || self.message_ids.contains(&line.message_id)
            || line.event.is_some_and(|event| self.names.are_in(event.get()));
        Ok(if is_theirs { Fate::Gone } else { Fate::Kept })
    }
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
