//! Answers in the formats that people and programs ask for.

use std::io::{self, Write};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::arrow::json::ArrayWriter;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use datafusion::parquet::arrow::ArrowWriter;
use parking_lot::Mutex;

use super::error::QueryFailure;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in a monospaced font.
    Table,
    /// RFC 4180, with a header.
    Csv,
    /// An array of objects. Nulls are left out.
    Json,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Table, Self::Csv, Self::Json, Self::Arrow, Self::Parquet];

    /// As the command line and file names call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Whether it is for eyes as well.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Table | Self::Csv | Self::Json)
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Bytes up to a limit.
#[derive(Clone)]
struct Bounded {
    bytes: Arc<Mutex<Vec<u8>>>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock();
        if bytes.len() + more.len() > self.bytes_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Writer {
    Table(Vec<RecordBatch>, usize),
    Csv(Box<csv::Writer<Bounded>>),
    Json(ArrayWriter<Bounded>),
    Arrow(Box<StreamWriter<Bounded>>),
    Parquet(Box<ArrowWriter<Bounded>>),
}

/// An answer being written.
pub(crate) struct Output {
    into: Bounded,
    schema: SchemaRef,
    writer: Writer,
    pub(crate) rows: u64,
}

impl Output {
    pub(crate) fn new(format: Format, schema: SchemaRef, bytes_max: usize) -> Result<Self, QueryFailure> {
        let into = Bounded { bytes: Arc::default(), bytes_max };
        let own = || QueryFailure::Value;
        let writer = match format {
            Format::Table => Writer::Table(Vec::new(), 0),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(true).build(into.clone());
                writer.write(&RecordBatch::new_empty(Arc::clone(&schema))).map_err(|_| own())?;
                Writer::Csv(Box::new(writer))
            }
            Format::Json => Writer::Json(ArrayWriter::new(into.clone())),
            Format::Arrow => {
                Writer::Arrow(Box::new(StreamWriter::try_new(into.clone(), &schema).map_err(|_| own())?))
            }
            Format::Parquet => {
                let writer = ArrowWriter::try_new(into.clone(), Arc::clone(&schema), None);
                Writer::Parquet(Box::new(writer.map_err(|_| own())?))
            }
        };
        Ok(Self { into, schema, writer, rows: 0 })
    }

    fn failed(&self) -> QueryFailure {
        // Writing to memory fails for one reason only, and where it does not, the types are what no format has.
        QueryFailure::TooLarge { bytes_max: self.into.bytes_max }
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<(), QueryFailure> {
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        let written = match &mut self.writer {
            Writer::Table(batches, bytes) => {
                *bytes += batch.get_array_memory_size();
                let is_too_large = *bytes > self.into.bytes_max;
                batches.push(batch);
                if is_too_large { Err(()) } else { Ok(()) }
            }
            Writer::Csv(writer) => writer.write(&batch).map_err(drop),
            Writer::Json(writer) => writer.write(&batch).map_err(drop),
            Writer::Arrow(writer) => writer.write(&batch).map_err(drop),
            Writer::Parquet(writer) => writer.write(&batch).map_err(drop),
        };
        written.map_err(|()| self.failed())
    }

    pub(crate) fn end(mut self) -> Result<Vec<u8>, QueryFailure> {
        let ended = match &mut self.writer {
            Writer::Table(batches, _) => {
                let text = pretty_format_batches_with_schema(Arc::clone(&self.schema), batches);
                text.map_err(drop).and_then(|text| writeln!(self.into, "{text}").map_err(drop))
            }
            Writer::Csv(_) => Ok(()),
            Writer::Json(writer) => writer.finish().map_err(drop),
            Writer::Arrow(writer) => writer.finish().map_err(drop),
            Writer::Parquet(writer) => writer.finish().map(drop).map_err(drop),
        };
        ended.map_err(|()| self.failed())?;
        Ok(std::mem::take(&mut self.into.bytes.lock()))
    }
}
