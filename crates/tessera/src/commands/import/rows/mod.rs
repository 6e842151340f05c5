//! Files of rows, and the mapping of rows to events.
//!
//! Not the sending: nothing here knows a server, a terminal or a clock, so a fuzz target can include this folder as
//! it is. Invariant: memory is bounded by [`ROW_BYTES_MAX`] whatever the file holds, and a row is an event or a
//! reason, never nothing. References: RFC 4180, JSON Lines, Apache Parquet, Segment's tracking API.

mod csv;
mod decode;
mod json_lines;
mod map;
mod mapping;
mod message_id;
mod parquet;
mod parquet_columns;
mod suggest;
mod time;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::RawValue;

pub(crate) use self::csv::CsvRows;
pub(crate) use self::decode::{How, decode};
pub(crate) use self::json_lines::JsonRows;
pub(crate) use self::map::Mapper;
pub(crate) use self::mapping::Mapping;
pub(crate) use self::message_id::MessageIds;
pub(crate) use self::parquet::ParquetRows;
pub(crate) use self::parquet_columns::ParquetColumns;
pub(crate) use self::suggest::suggest;

/// Longest row, in bytes after decoding. A longer one is skipped and becomes a reject.
pub(crate) const ROW_BYTES_MAX: usize = 1024 * 1024;
/// Most columns of a file.
pub(crate) const COLUMNS_MAX: usize = 5_000;

/// Why a file or a mapping cannot be used at all. A single bad row is no trouble.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Trouble {
    pub(crate) fn new(code: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.what)
    }
}

impl std::error::Error for Trouble {}

/// One row of a file.
pub(crate) struct Row<'a> {
    /// Where it starts: the line, from 1; in Parquet the row, from 1.
    pub(crate) line: u64,
    /// Its bytes as UTF-8 where they can be decoded, without the line's end; in Parquet the row as JSON.
    pub(crate) raw: &'a [u8],
    /// Its cells, or why they cannot be read.
    pub(crate) content: Result<Cells<'a>, String>,
}

/// The cells of a row.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// All cells' text, one after the other, and where each ends.
    Text { text: &'a str, ends: &'a [usize] },
    /// A JSON object.
    Json(&'a RawValue),
}

impl<'a> Cells<'a> {
    /// The text of a cell by its place, from 0; none in a JSON object.
    pub(crate) fn text_at(self, index: usize) -> Option<&'a str> {
        let Cells::Text { text, ends } = self else { return None };
        let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        text.get(start..*ends.get(index)?)
    }
}

/// A cell of a row.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    Missing,
    Text(&'a str),
    Json(&'a RawValue),
}

/// What a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table as text, with a header row.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// By the file's name, `.gz` left aside.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" | "tab" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Reads the rows of a file, one at a time.
pub(crate) enum Reader {
    Csv(Box<CsvRows>),
    Json(JsonRows),
    Parquet(Box<ParquetRows>),
}

impl Reader {
    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, Trouble> {
        match self {
            Self::Csv(rows) => rows.next(),
            Self::Json(rows) => rows.next(),
            Self::Parquet(rows) => rows.next(),
        }
    }

    /// The columns, where the file declares them.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match self {
            Self::Csv(rows) => Some(rows.columns()),
            Self::Json(_) => None,
            Self::Parquet(rows) => Some(rows.columns()),
        }
    }
}

/// Counts the bytes that pass through.
pub(crate) struct Counted<R> {
    pub(crate) input: R,
    pub(crate) bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

/// Unpacks what is gzip by its first bytes, and passes on what is not.
pub(crate) fn unpack(mut input: Box<dyn Read + Send>) -> std::io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(2);
    input.by_ref().take(2).read_to_end(&mut first)?;
    let is_gzip = first == [0x1f, 0x8b];
    let whole = std::io::Cursor::new(first).chain(input);
    if is_gzip { Ok(Box::new(flate2::read::MultiGzDecoder::new(whole))) } else { Ok(Box::new(whole)) }
}

/// A file that ends in its middle, or whose checksums are wrong.
fn damaged(after_line: u64, error: &std::io::Error) -> Trouble {
    let what = format!("the file cannot be read on after line {after_line}: {error}");
    let hint = "fetch the file again: it is cut off or damaged; the rows before it are imported and are not taken twice";
    Trouble::new("TES-M008", what, hint)
}
