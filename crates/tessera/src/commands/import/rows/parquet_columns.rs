//! Parquet, read column by column: for readers that want text and nothing but text, many times faster than records.
//!
//! Only for files whose columns are plain text, whole numbers and booleans; [`ParquetRows`](super::ParquetRows) reads
//! all others. Both give the same text.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::Trouble;

/// Rows decoded at once.
const CHUNK_ROWS: usize = 8_192;

/// A file whose columns are all plain.
pub(crate) struct ParquetColumns {
    reader: SerializedFileReader<File>,
    columns: Vec<String>,
}

/// A chunk of one column: for each row, where its value is, if it has one.
#[derive(Default)]
struct Chunk {
    levels: Vec<i16>,
    texts: Vec<ByteArray>,
    numbers: Vec<i64>,
    small: Vec<i32>,
    booleans: Vec<bool>,
    printed: String,
    ends: Vec<usize>,
}

impl ParquetColumns {
    /// Opens a file; `None`: some column is more than text, whole numbers and booleans, or the file cannot be read,
    /// which reading it row by row will tell better.
    pub(crate) fn open(file: File) -> Option<Self> {
        let reader = guarded(|| SerializedFileReader::new(file).map_err(|error| error.to_string())).ok()?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        if !schema.columns().iter().all(|column| is_plain(column)) {
            return None;
        }
        let columns = schema.columns().iter().map(|column| column.name().to_owned()).collect();
        Some(Self { reader, columns })
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        usize::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// Gives every cell of column number `column` to `cell`; `done` counts them.
    ///
    /// # Errors
    /// The file cannot be read on.
    pub(crate) fn each(
        &self,
        column: usize,
        done: &AtomicU64,
        mut cell: impl FnMut(Option<&str>),
    ) -> Result<(), Trouble> {
        let result = guarded(|| {
            for group in 0..self.reader.num_row_groups() {
                self.group(group, column, done, &mut cell).map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        result.map_err(|why| {
            let name = self.columns.get(column).map(String::as_str).unwrap_or_default();
            let what = format!("column `{name}` of the file cannot be read: {why}");
            Trouble::new("TES-M008", what, "fetch the file again: it is cut off or damaged")
        })
    }

    fn group(
        &self,
        group: usize,
        column: usize,
        done: &AtomicU64,
        cell: &mut impl FnMut(Option<&str>),
    ) -> parquet::errors::Result<()> {
        let group = self.reader.get_row_group(group)?;
        let mut reader = group.get_column_reader(column)?;
        let mut chunk = Chunk::default();
        let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        while left > 0 {
            let rows = left.min(CHUNK_ROWS);
            chunk.fill(&mut reader, rows)?;
            let mut cells = chunk.cells();
            (0..rows).for_each(|_| cell(cells.next()));
            left -= rows;
            done.fetch_add(u64::try_from(rows).unwrap_or_default(), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The cells of a chunk, one after the other.
struct Cells<'a> {
    chunk: &'a Chunk,
    row: usize,
    value: usize,
    is_optional: bool,
}

impl<'a> Cells<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let chunk = self.chunk;
        let is_there = !self.is_optional || chunk.levels.get(self.row).is_some_and(|level| *level > 0);
        self.row += 1;
        if !is_there {
            return None;
        }
        let at = self.value;
        self.value += 1;
        if let Some(text) = chunk.texts.get(at) {
            return std::str::from_utf8(text.data()).ok();
        }
        let start = at.checked_sub(1).and_then(|before| chunk.ends.get(before)).copied().unwrap_or(0);
        chunk.printed.get(start..*chunk.ends.get(at)?)
    }
}

impl Chunk {
    fn cells(&self) -> Cells<'_> {
        Cells { chunk: self, row: 0, value: 0, is_optional: !self.levels.is_empty() }
    }

    fn fill(&mut self, reader: &mut ColumnReader, rows: usize) -> parquet::errors::Result<()> {
        let Self { levels, texts, numbers, small, booleans, printed, ends } = self;
        levels.clear();
        printed.clear();
        ends.clear();
        match reader {
            ColumnReader::ByteArrayColumnReader(reader) => read(reader, rows, levels, texts),
            ColumnReader::Int64ColumnReader(reader) => {
                read(reader, rows, levels, numbers)?;
                print(numbers, printed, ends);
                Ok(())
            }
            ColumnReader::Int32ColumnReader(reader) => {
                read(reader, rows, levels, small)?;
                print(small, printed, ends);
                Ok(())
            }
            ColumnReader::BoolColumnReader(reader) => {
                read(reader, rows, levels, booleans)?;
                print(booleans, printed, ends);
                Ok(())
            }
            ColumnReader::Int96ColumnReader(_)
            | ColumnReader::FloatColumnReader(_)
            | ColumnReader::DoubleColumnReader(_)
            | ColumnReader::FixedLenByteArrayColumnReader(_) => Ok(()),
        }
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    levels: &mut Vec<i16>,
    values: &mut Vec<T::T>,
) -> parquet::errors::Result<()> {
    values.clear();
    let mut read = 0;
    while read < rows {
        let (records, _, _) = reader.read_records(rows - read, Some(levels), None, values)?;
        if records == 0 {
            break;
        }
        read += records;
    }
    Ok(())
}

fn print<T: std::fmt::Display>(values: &[T], printed: &mut String, ends: &mut Vec<usize>) {
    use std::fmt::Write as _;
    for value in values {
        // Writing to a `String` cannot fail.
        let _written = write!(printed, "{value}");
        ends.push(printed.len());
    }
}

fn is_plain(column: &ColumnDescriptor) -> bool {
    let is_top = column.path().parts().len() == 1 && column.max_rep_level() == 0;
    let logical = column.logical_type_ref();
    is_top
        && match column.physical_type() {
            Physical::BYTE_ARRAY => {
                matches!(logical, Some(LogicalType::String))
                    || logical.is_none() && column.converted_type() == ConvertedType::UTF8
            }
            // Unsigned numbers of the largest size would be read as negative ones.
            Physical::INT64 | Physical::INT32 => {
                logical.is_none() && column.converted_type() == ConvertedType::NONE
            }
            Physical::BOOLEAN => true,
            Physical::INT96 | Physical::FLOAT | Physical::DOUBLE | Physical::FIXED_LEN_BYTE_ARRAY => false,
        }
}

/// The reader panics on some damaged files; that must not end a command without a word.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("its content contradicts its schema".to_owned()))
}
