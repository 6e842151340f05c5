//! CSV: a header row, then a row of cells each.
//!
//! Invariant: at most [`ROW_BYTES_MAX`] bytes of a row are held; what is longer is skipped to its end, and a quote
//! that is never closed is an error that names the line where it opened. Reference: RFC 4180.

use std::io::Read;

use csv_core::ReadRecordResult;

use super::{COLUMNS_MAX, Cells, ROW_BYTES_MAX, Row, Trouble, damaged};

const BUFFER_BYTES: usize = 256 * 1024;
const SAMPLE_BYTES: usize = 64 * 1024;

/// The rows of a CSV file.
pub(crate) struct CsvRows {
    input: Box<dyn Read + Send>,
    core: csv_core::Reader,
    delimiter: u8,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_end: bool,
    /// Met while looking for the delimiter, to be told when the rows before it are read.
    error: Option<std::io::Error>,
    fields: Vec<u8>,
    ends: Vec<usize>,
    raw: Vec<u8>,
    line: u64,
    is_after_cr: bool,
    columns: Vec<String>,
}

/// One record as it was found.
struct Found {
    line: u64,
    fields: usize,
    ends: usize,
    is_cut: bool,
}

impl CsvRows {
    /// Reads the header row of `input`, which is UTF-8. Without a delimiter it is found from the first rows.
    ///
    /// # Errors
    /// No header, or a quote that is never closed.
    pub(crate) fn new(mut input: Box<dyn Read + Send>, delimiter: Option<u8>) -> Result<Self, Trouble> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let (mut end, mut is_end, mut error) = (0, false, None);
        while end < SAMPLE_BYTES && !is_end && error.is_none() {
            match read(&mut input, buffer.get_mut(end..).unwrap_or_default()) {
                Ok(0) => is_end = true,
                Ok(read) => end += read,
                // The rows before it come first.
                Err(met) => error = Some(met),
            }
        }
        let delimiter = delimiter.unwrap_or_else(|| detect(buffer.get(..end).unwrap_or_default()));
        let mut rows = Self {
            input,
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            delimiter,
            buffer,
            start: 0,
            end,
            is_end,
            error,
            fields: vec![0; 4096],
            ends: vec![0; 64],
            raw: Vec::new(),
            line: 1,
            is_after_cr: false,
            columns: Vec::new(),
        };
        rows.read_header()?;
        Ok(rows)
    }

    /// The names of the columns, blanks around them left out; an unnamed column is empty.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What separates the cells.
    pub(crate) fn delimiter(&self) -> char {
        char::from(self.delimiter)
    }

    fn read_header(&mut self) -> Result<(), Trouble> {
        let hint = "the first row must name the columns";
        let Some(found) = self.read_record()? else {
            return Err(Trouble::new("TES-M005", "the file is empty", hint));
        };
        if found.is_cut {
            let what = format!("the header has more than {ROW_BYTES_MAX} bytes or {COLUMNS_MAX} columns");
            return Err(Trouble::new("TES-M005", what, "check --delimiter, and that the file is CSV"));
        }
        let Ok(cells) = self.cells(&found) else {
            let what = "the header holds bytes that are not text in the file's encoding";
            return Err(Trouble::new("TES-M005", what, "name the encoding with --encoding"));
        };
        let Cells::Text { text, ends } = cells else { return Ok(()) };
        let mut start = 0;
        let mut columns = Vec::with_capacity(ends.len());
        for &end in ends {
            columns.push(text.get(start..end).unwrap_or_default().trim().to_owned());
            start = end;
        }
        if columns.iter().all(String::is_empty) {
            return Err(Trouble::new("TES-M005", "the header names no column", hint));
        }
        self.columns = columns;
        Ok(())
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, Trouble> {
        let Some(found) = self.read_record()? else { return Ok(None) };
        let content = if found.is_cut {
            Err(format!("the row has more than {ROW_BYTES_MAX} bytes or {COLUMNS_MAX} columns"))
        } else if found.ends != self.columns.len() {
            Err(format!("the row has {} columns, the header has {}", found.ends, self.columns.len()))
        } else {
            self.cells(&found).map_err(ToOwned::to_owned)
        };
        Ok(Some(Row { line: found.line, raw: trim_line(&self.raw), content }))
    }

    fn cells(&self, found: &Found) -> Result<Cells<'_>, &'static str> {
        const UNDECODABLE: &str = "the row holds bytes that are not text in the file's encoding";
        let ends = self.ends.get(..found.ends).unwrap_or_default();
        let fields = self.fields.get(..found.fields).unwrap_or_default();
        let text = std::str::from_utf8(fields).map_err(|_| UNDECODABLE)?;
        // Two halves of a character in neighbouring cells would be one character when put together.
        if !text.is_ascii() && !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err(UNDECODABLE);
        }
        Ok(Cells::Text { text, ends })
    }

    fn read_record(&mut self) -> Result<Option<Found>, Trouble> {
        self.raw.clear();
        let (mut fields, mut ends, mut is_cut) = (0, 0, false);
        let mut line = None;
        loop {
            if self.start == self.end && !self.is_end {
                self.fill()?;
            }
            let at_end = self.start == self.end;
            let (result, read, written, ended) = self.core.read_record(
                self.buffer.get(self.start..self.end).unwrap_or_default(),
                self.fields.get_mut(fields..).unwrap_or_default(),
                self.ends.get_mut(ends..).unwrap_or_default(),
            );
            self.pass(read, is_cut, &mut line);
            (fields, ends) = (fields + written, ends + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if is_cut || self.fields.len() >= ROW_BYTES_MAX => {
                    (fields, is_cut) = (0, true);
                }
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if is_cut || self.ends.len() >= COLUMNS_MAX => {
                    (ends, is_cut) = (0, true);
                }
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize((self.ends.len() * 2).min(COLUMNS_MAX), 0);
                }
                ReadRecordResult::Record => {
                    if at_end && !is_cut {
                        self.check_quotes(line)?;
                    }
                    return Ok(Some(Found { line: line.unwrap_or(self.line), fields, ends, is_cut }));
                }
                ReadRecordResult::End => return Ok(None),
            }
            if self.raw.len() > ROW_BYTES_MAX {
                is_cut = true;
                self.check_quotes(line)?;
                self.raw.truncate(ROW_BYTES_MAX);
            }
        }
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        let read = match self.error.take() {
            Some(error) => Err(error),
            None => read(&mut self.input, &mut self.buffer),
        };
        let read = read.map_err(|error| damaged(self.line, &error))?;
        (self.start, self.end, self.is_end) = (0, read, read == 0);
        Ok(())
    }

    /// Takes `read` bytes out of the buffer, counting lines.
    fn pass(&mut self, read: usize, is_cut: bool, line: &mut Option<u64>) {
        let passed = self.buffer.get(self.start..self.start + read).unwrap_or_default();
        for &byte in passed {
            let is_line_end = byte == b'\n' || byte == b'\r';
            if line.is_none() && !is_line_end {
                *line = Some(self.line);
            }
            if is_line_end && !(byte == b'\n' && self.is_after_cr) {
                self.line += 1;
            }
            self.is_after_cr = byte == b'\r';
        }
        if !is_cut {
            self.raw.extend_from_slice(passed);
        }
        self.start += read;
    }

    /// An error if the bytes of the row so far end inside quotes.
    fn check_quotes(&self, line: Option<u64>) -> Result<(), Trouble> {
        let Some(offset) = open_quote(&self.raw, self.delimiter) else { return Ok(()) };
        let leading = self.raw.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(0);
        let before = line_ends(self.raw.get(..leading).unwrap_or_default());
        let line = line.unwrap_or(self.line) + offset - before;
        let what = format!("the quote that opens on line {line} is never closed");
        let hint = "close the quote, or double the quotes inside a cell (\"\"); the rows before it are imported and are not taken twice";
        Err(Trouble::new("TES-M006", what, hint))
    }
}

fn read(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn trim_line(mut raw: &[u8]) -> &[u8] {
    while let [b'\n' | b'\r', rest @ ..] | [rest @ .., b'\n' | b'\r'] = raw {
        raw = rest;
    }
    raw
}

fn line_ends(bytes: &[u8]) -> u64 {
    let (mut lines, mut is_after_cr) = (0, false);
    for &byte in bytes {
        lines += u64::from(byte == b'\r' || byte == b'\n' && !is_after_cr);
        is_after_cr = byte == b'\r';
    }
    lines
}

/// How many lines below the start of `raw` the quote opened that is still open at its end.
fn open_quote(raw: &[u8], delimiter: u8) -> Option<u64> {
    #[derive(Clone, Copy)]
    enum In {
        Start,
        Plain,
        Quotes(usize),
        QuoteInQuotes(usize),
    }
    let mut state = In::Start;
    for (at, &byte) in raw.iter().enumerate() {
        let is_end = byte == delimiter || byte == b'\n' || byte == b'\r';
        state = match state {
            In::Start if byte == b'"' => In::Quotes(at),
            In::Quotes(opened) if byte == b'"' => In::QuoteInQuotes(opened),
            In::Quotes(opened) => In::Quotes(opened),
            In::QuoteInQuotes(opened) if byte == b'"' => In::Quotes(opened),
            In::Start | In::Plain | In::QuoteInQuotes(_) if is_end => In::Start,
            In::Start | In::Plain | In::QuoteInQuotes(_) => In::Plain,
        };
    }
    match state {
        In::Quotes(opened) => Some(line_ends(raw.get(..opened).unwrap_or_default())),
        In::Start | In::Plain | In::QuoteInQuotes(_) => None,
    }
}

/// The delimiter that cuts the first rows into the most columns, the same number in each.
fn detect(sample: &[u8]) -> u8 {
    let score = |delimiter: u8| {
        let counts = column_counts(sample, delimiter);
        let first = counts.first().copied().unwrap_or(0);
        let alike = counts.iter().filter(|count| **count == first).count();
        // Rows alike decide before the number of columns: a comma in a free text cuts some rows only.
        if first < 2 { (0, 0) } else { (alike * 8 / counts.len().max(1), first) }
    };
    // Of equals, `max_by_key` takes the last, so the usual delimiter comes last.
    let best = [b'|', b'\t', b';', b','].into_iter().max_by_key(|delimiter| score(*delimiter));
    best.unwrap_or(b',')
}

fn column_counts(mut sample: &[u8], delimiter: u8) -> Vec<usize> {
    let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let (mut fields, mut ends) = (vec![0; SAMPLE_BYTES * 4], vec![0; COLUMNS_MAX]);
    let mut counts = Vec::new();
    // A row cut off by the end of the sample is left out, unless it is the only one.
    while counts.len() < 50 {
        let (result, read, _, count) = core.read_record(sample, &mut fields, &mut ends);
        sample = sample.get(read..).unwrap_or_default();
        match result {
            ReadRecordResult::Record => counts.push(count),
            ReadRecordResult::InputEmpty if counts.is_empty() => {
                counts.push(count + 1);
                break;
            }
            ReadRecordResult::InputEmpty
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull
            | ReadRecordResult::End => break,
        }
    }
    counts
}
