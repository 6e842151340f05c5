//! JSON Lines: an object a line.
//!
//! Invariant: at most [`ROW_BYTES_MAX`] bytes of a line are held; what is longer is skipped to its end.

use std::io::{BufRead, BufReader, Read};

use serde_json::value::RawValue;
use tessera_model::Shape;

use super::{Cells, ROW_BYTES_MAX, Row, Trouble, damaged};

/// The rows of a JSON Lines file.
pub(crate) struct JsonRows {
    input: BufReader<Box<dyn Read + Send>>,
    line: u64,
    text: Vec<u8>,
}

impl JsonRows {
    /// Reads from `input`, which is UTF-8.
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input: BufReader::with_capacity(256 * 1024, input), line: 0, text: Vec::new() }
    }

    /// The next row, blank lines left out; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, Trouble> {
        let is_cut = loop {
            match self.read_line()? {
                None => return Ok(None),
                Some(true) => break true,
                Some(false) if self.text.iter().all(u8::is_ascii_whitespace) => {}
                Some(false) => break false,
            }
        };
        let raw = self.text.trim_ascii();
        let content =
            if is_cut { Err(format!("the line has more than {ROW_BYTES_MAX} bytes")) } else { object(raw) };
        Ok(Some(Row { line: self.line, raw, content }))
    }

    /// Reads a line into `text`. Says whether it was too long to keep whole; `None` at the end.
    fn read_line(&mut self) -> Result<Option<bool>, Trouble> {
        self.text.clear();
        let (mut is_cut, mut is_any) = (false, false);
        loop {
            let ready = match self.input.fill_buf() {
                Ok(ready) => ready,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(self.line, &error)),
            };
            if ready.is_empty() {
                self.line += u64::from(is_any);
                return Ok(is_any.then_some(is_cut));
            }
            is_any = true;
            let newline = ready.iter().position(|byte| *byte == b'\n');
            let part = ready.get(..newline.unwrap_or(ready.len())).unwrap_or_default();
            let room = ROW_BYTES_MAX - self.text.len();
            is_cut |= part.len() > room;
            self.text.extend_from_slice(part.get(..room).unwrap_or(part));
            let length = part.len() + usize::from(newline.is_some());
            self.input.consume(length);
            if newline.is_some() {
                self.line += 1;
                return Ok(Some(is_cut));
            }
        }
    }
}

fn object(raw: &[u8]) -> Result<Cells<'_>, String> {
    let text = std::str::from_utf8(raw)
        .map_err(|_| "the line holds bytes that are not text in the file's encoding".to_owned())?;
    match text.as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => return Err("the line is an array; JSON Lines has an object on each line".to_owned()),
        _ => return Err("the line is not a JSON object".to_owned()),
    }
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| format!("the line is not JSON at column {}: {}", error.column(), kind(&error)))?;
    Shape::check(text).map_err(|error| format!("the line is JSON that is not taken: {error}"))?;
    Ok(Cells::Json(raw))
}

/// The parser's own words may quote the text, so only their kind is told.
fn kind(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "it ends too early" } else { "something does not belong there" }
}
