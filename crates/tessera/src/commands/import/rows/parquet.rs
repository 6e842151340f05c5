//! Parquet, read row by row; each row becomes a JSON object.
//!
//! Timestamps become RFC 3339 (without `Z` where the file says that they are local), dates `2024-02-29`, decimals
//! their exact digits; bytes that are not text become hexadecimal. Reference: the Parquet format's `LogicalTypes.md`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::{LogicalType, TimeUnit};
use parquet::data_type::Decimal;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};

use super::value::write_string;
use super::{COLUMNS_MAX, Cells, ROW_BYTES_MAX, Row, Trouble};

/// The rows of a Parquet file.
pub(crate) struct ParquetRows {
    rows: RowIter<'static>,
    columns: Vec<String>,
    /// What the record API hands on as a bare number, though the file says it is a time.
    times: Vec<Option<Time>>,
    number: u64,
    total: u64,
    bytes: u64,
    progress: Arc<AtomicU64>,
    text: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Time {
    nanos_per_unit: i128,
    is_utc: bool,
}

impl ParquetRows {
    /// Reads the schema of `file`. `progress` counts bytes as rows are read.
    ///
    /// # Errors
    /// A file that is no Parquet, is cut off or damaged.
    pub(crate) fn new<R: ChunkReader + 'static>(file: R, progress: Arc<AtomicU64>) -> Result<Self, Trouble> {
        let bytes = file.len();
        let opened = guarded(|| {
            let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
            let metadata = reader.metadata().file_metadata();
            let total = u64::try_from(metadata.num_rows()).unwrap_or(0);
            let fields = metadata.schema().get_fields();
            let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
            let times = fields.iter().map(|field| time(field.get_basic_info().logical_type_ref())).collect();
            Ok((columns, times, total, RowIter::from_file_into(Box::new(reader))))
        });
        let (columns, times, total, rows) = opened.map_err(|why| {
            let hint = "fetch the file again: it is no Parquet file, or is cut off, damaged or encrypted";
            Trouble::new("TES-M008", format!("the file cannot be read as Parquet: {why}"), hint)
        })?;
        if columns.len() > COLUMNS_MAX {
            let what = format!("the file has {} columns, the limit is {COLUMNS_MAX}", columns.len());
            return Err(Trouble::new(
                "TES-M005",
                what,
                "write a file with the columns that the mapping needs",
            ));
        }
        Ok(Self { rows, columns, times, number: 0, total, bytes, progress, text: Vec::new() })
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, Trouble> {
        let rows = &mut self.rows;
        let next = guarded(|| rows.next().transpose().map_err(|error| error.to_string()));
        let record = next.map_err(|why| {
            let what = format!("the file cannot be read on after row {}: {why}", self.number);
            Trouble::new("TES-M008", what, "fetch the file again: it is damaged; the rows before it are imported and are not taken twice")
        })?;
        let Some(record) = record else { return Ok(None) };
        self.number += 1;
        let read = u128::from(self.bytes) * u128::from(self.number) / u128::from(self.total.max(1));
        self.progress.store(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.text.clear();
        let written = write_record(&record, &self.times, &mut self.text);
        let content = match written {
            Err(reason) => Err(reason),
            Ok(()) if self.text.len() > ROW_BYTES_MAX => {
                Err(format!("the row has more than {ROW_BYTES_MAX} bytes"))
            }
            Ok(()) => serde_json::from_slice(&self.text)
                .map(Cells::Json)
                .map_err(|_| "the row cannot be read".to_owned()),
        };
        let kept = self.text.len().min(ROW_BYTES_MAX);
        Ok(Some(Row { line: self.number, raw: self.text.get(..kept).unwrap_or_default(), content }))
    }
}

/// The record API panics on some damaged files; that must not end an import without a word.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err("its content contradicts its schema".to_owned()))
}

fn time(logical: Option<&LogicalType>) -> Option<Time> {
    let Some(LogicalType::Timestamp(time)) = logical else { return None };
    let nanos_per_unit = match time.unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    };
    Some(Time { nanos_per_unit, is_utc: time.is_adjusted_to_u_t_c })
}

fn write_record(record: &Record, times: &[Option<Time>], out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'{');
    for (i, (name, field)) in record.get_column_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        let time = times.get(i).copied().flatten();
        write_field(field, time, out).map_err(|reason| format!("column `{name}` {reason}"))?;
    }
    out.push(b'}');
    Ok(())
}

fn write_field(field: &Field, time: Option<Time>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let is_utc = time.is_none_or(|time| time.is_utc);
    match field {
        Field::Null => out.extend_from_slice(b"null"),
        Field::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Field::Byte(value) => write_plain(out, value),
        Field::Short(value) => write_plain(out, value),
        Field::Int(value) => write_plain(out, value),
        Field::Long(value) => match time {
            Some(time) => write_time(i128::from(*value) * time.nanos_per_unit, time.is_utc, out)?,
            None => write_plain(out, value),
        },
        Field::UByte(value) => write_plain(out, value),
        Field::UShort(value) => write_plain(out, value),
        Field::UInt(value) => write_plain(out, value),
        Field::ULong(value) => write_plain(out, value),
        Field::Float16(value) => write_float(out, f64::from(*value)),
        // By its own shortest digits: 0.1 of 32 bits is not 0.10000000149011612.
        Field::Float(value) if value.is_finite() => write_plain(out, value),
        Field::Float(_) => out.extend_from_slice(b"null"),
        Field::Double(value) => write_float(out, *value),
        Field::Decimal(value) => write_decimal(value, out)?,
        Field::Str(value) => write_string(out, value),
        Field::Bytes(value) => match std::str::from_utf8(value.data()) {
            Ok(text) => write_string(out, text),
            Err(_) => write_string(out, &hexadecimal(value.data())),
        },
        Field::Date(days) => {
            let date = jiff::civil::date(1970, 1, 1)
                .checked_add(jiff::Span::new().try_days(*days).map_err(|_| TIME)?);
            write_string(out, &date.map_err(|_| TIME)?.to_string());
        }
        Field::TimeMillis(millis) => write_time_of_day(i64::from(*millis) * 1_000, out)?,
        Field::TimeMicros(micros) => write_time_of_day(*micros, out)?,
        Field::TimestampMillis(millis) => write_time(i128::from(*millis) * 1_000_000, is_utc, out)?,
        Field::TimestampMicros(micros) => write_time(i128::from(*micros) * 1_000, is_utc, out)?,
        Field::Group(record) => write_group(record, out)?,
        Field::ListInternal(list) => write_list(list.elements(), out)?,
        Field::MapInternal(map) => write_map(map.entries(), out)?,
    }
    Ok(())
}

const TIME: &str = "holds a time beyond the years 1 to 9999";

fn write_group(record: &Record, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(b'{');
    for (i, (name, field)) in record.get_column_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_field(field, None, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_list(elements: &[Field], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(b'[');
    for (i, field) in elements.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_field(field, None, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_map(entries: &[(Field, Field)], out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(b'{');
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let start = out.len();
        write_field(key, None, out)?;
        if out.get(start) != Some(&b'"') {
            let text = String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned();
            out.truncate(start);
            write_string(out, &text);
        }
        out.push(b':');
        write_field(value, None, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_plain(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// What is no number in JSON (infinite, not a number) is `null`.
fn write_float(out: &mut Vec<u8>, value: f64) {
    let length = out.len();
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.truncate(length);
        out.extend_from_slice(b"null");
    }
}

fn write_time(nanos: i128, is_utc: bool, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let at = jiff::Timestamp::from_nanosecond(nanos).map_err(|_| TIME)?;
    if is_utc {
        write_string(out, &at.to_string());
    } else {
        write_string(out, &at.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string());
    }
    Ok(())
}

fn write_time_of_day(micros: i64, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let span = jiff::Span::new().try_microseconds(micros).map_err(|_| TIME)?;
    let time = jiff::civil::Time::midnight().checked_add(span).map_err(|_| TIME)?;
    write_string(out, &time.to_string());
    Ok(())
}

/// The exact digits: a big-endian two's complement number, `scale` of its digits after the point.
fn write_decimal(value: &Decimal, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const WIDE: &str = "holds a decimal of more than 128 bits";
    let bytes = value.data();
    let is_negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
    let mut wide = [if is_negative { 0xff } else { 0 }; 16];
    let start = wide.len().checked_sub(bytes.len()).ok_or(WIDE)?;
    for (to, from) in wide.iter_mut().skip(start).zip(bytes) {
        *to = *from;
    }
    let number = i128::from_be_bytes(wide);
    let scale = usize::try_from(value.scale()).map_err(|_| "holds a decimal of negative scale")?;
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    if is_negative {
        out.push(b'-');
    }
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
