//! Parquet files: written whole, read by columns.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowFilter,
};
use datafusion::parquet::arrow::{ArrowWriter, ProjectionMask};
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::metadata::RowGroupMetaData;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::statistics::Statistics;
use tessera_model::Timestamp;
use tessera_store::LakeError;

use crate::action::DataFile;
use crate::columns::{STORED, from_micros};
use crate::table::{corrupt, io};

/// Rows that are read, and handed on, at once.
pub(crate) const BATCH_ROWS: usize = 8_192;
const GROUP_ROWS: usize = 131_072;

/// A file being written.
pub(crate) struct Writing {
    path: PathBuf,
    /// Relative to the table.
    name: String,
    day: String,
    writer: ArrowWriter<File>,
    rows: u64,
    positions: Option<(i64, i64)>,
    times: Option<(i64, i64)>,
}

impl Writing {
    /// Begins a file of events of `day`. `name` makes it another than all others of the day.
    pub(crate) fn begin(table: &Path, day: &str, name: &str) -> Result<Self, LakeError> {
        Self::of(&STORED, table, day, name)
    }

    /// The same with other columns, `position` and `timestamp` among them.
    pub(crate) fn of(schema: &SchemaRef, table: &Path, day: &str, name: &str) -> Result<Self, LakeError> {
        let name = format!("day={day}/{name}.parquet");
        let path = table.join(&name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        let file = File::create(&path).map_err(io("write", &path))?;
        let level = ZstdLevel::try_new(1).map_err(|error| corrupt(&path, error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
            .map_err(|error| corrupt(&path, error))?;
        Ok(Self { path, name, day: day.to_owned(), writer, rows: 0, positions: None, times: None })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.writer.write(batch).map_err(|error| self.failed(error))?;
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(0);
        let positions =
            batch.column_by_name("position").and_then(|c| c.as_any().downcast_ref::<Int64Array>());
        let times = batch
            .column_by_name("timestamp")
            .and_then(|c| c.as_any().downcast_ref::<TimestampMicrosecondArray>());
        let wider = |known: Option<(i64, i64)>, new: Option<(i64, i64)>| match (known, new) {
            (Some((low, high)), Some((new_low, new_high))) => Some((low.min(new_low), high.max(new_high))),
            (known, new) => known.or(new),
        };
        self.positions =
            wider(self.positions, positions.and_then(|column| Some((min(column)?, max(column)?))));
        self.times = wider(self.times, times.and_then(|column| Some((min(column)?, max(column)?))));
        Ok(())
    }

    fn failed(&self, error: datafusion::parquet::errors::ParquetError) -> LakeError {
        io("write", &self.path)(std::io::Error::other(error))
    }

    /// Ends the file and makes it durable. `None`, and no file: it has no rows.
    pub(crate) fn end(mut self, now: Timestamp) -> Result<Option<DataFile>, LakeError> {
        let finished = self.writer.finish().map(drop);
        finished.map_err(|error| self.failed(error))?;
        let (Some(positions), Some(times)) = (self.positions, self.times) else {
            fs::remove_file(&self.path).map_err(io("remove", &self.path))?;
            return Ok(None);
        };
        let sync = || -> std::io::Result<u64> {
            let file = self.writer.inner();
            file.sync_all()?;
            if let Some(folder) = self.path.parent() {
                File::open(folder)?.sync_all()?;
            }
            Ok(file.metadata()?.len())
        };
        let bytes = sync().map_err(io("write", &self.path))?;
        let place = |position: i64| u64::try_from(position).unwrap_or(0);
        Ok(Some(DataFile {
            path: self.name,
            day: self.day,
            rows: self.rows,
            bytes,
            positions: (place(positions.0), place(positions.1)),
            times: (from_micros(times.0), from_micros(times.1)),
            written_at: now,
        }))
    }
}

/// Which rows of a batch are needed.
type Passes = dyn FnMut(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send;

/// Which rows of a file are needed: compared before other columns are read at all.
pub(crate) struct Filter {
    /// What is compared.
    pub(crate) columns: Vec<&'static str>,
    /// Whether a group of rows may hold any, by its statistics.
    pub(crate) may_hold: Box<dyn Fn(&RowGroupMetaData) -> bool>,
    /// Which rows of a batch of these columns are.
    pub(crate) passes: Box<Passes>,
}

/// Reads some columns of a file, in batches.
pub(crate) struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
}

impl Batches {
    /// The columns of `schema`, in its types; those that the file was written without are null.
    pub(crate) fn open(table: &Path, name: &str, schema: SchemaRef) -> Result<Self, LakeError> {
        Self::begin(table, name, schema, None)
    }

    /// As [`Batches::open`], of some rows alone. `schema` has the columns that are compared.
    pub(crate) fn open_some(
        table: &Path,
        name: &str,
        schema: SchemaRef,
        rows: Filter,
    ) -> Result<Self, LakeError> {
        Self::begin(table, name, schema, Some(rows))
    }

    fn begin(table: &Path, name: &str, schema: SchemaRef, rows: Option<Filter>) -> Result<Self, LakeError> {
        let path = table.join(name);
        let file = File::open(&path).map_err(io("read", &path))?;
        let builder = open(file, &schema).map_err(|error| corrupt(&path, error))?;
        let there: Vec<usize> = builder
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| schema.column_with_name(field.name()).is_some())
            .map(|(at, _)| at)
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), there);
        let builder = match rows {
            None => builder,
            Some(mut rows) => {
                let compared =
                    ProjectionMask::columns(builder.parquet_schema(), rows.columns.iter().copied());
                let groups = builder.metadata().row_groups().iter().enumerate();
                let groups = groups.filter(|(_, group)| (rows.may_hold)(group)).map(|(number, _)| number);
                let groups = groups.collect();
                let filter = ArrowPredicateFn::new(compared, move |batch| (rows.passes)(&batch));
                builder.with_row_groups(groups).with_row_filter(RowFilter::new(vec![Box::new(filter)]))
            }
        };
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|error| corrupt(&path, error))?;
        Ok(Self { path, reader, schema })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch, LakeError> {
        let column = |field: &datafusion::arrow::datatypes::Field| -> Result<ArrayRef, LakeError> {
            match batch.column_by_name(field.name()) {
                Some(found) if found.data_type() == field.data_type() => Ok(Arc::clone(found)),
                Some(_) => Err(corrupt(&self.path, format!("column `{}` has another type", field.name()))),
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            }
        };
        let columns: Vec<ArrayRef> =
            self.schema.fields().iter().map(|field| column(field)).collect::<Result<_, _>>()?;
        let options =
            datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| corrupt(&self.path, error))
    }
}

/// A reader that gives the columns that `schema` has in the types of `schema`.
fn open(
    file: File,
    schema: &Schema,
) -> Result<ParquetRecordBatchReaderBuilder<File>, datafusion::parquet::errors::ParquetError> {
    let known = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let wanted = |field: &Arc<Field>| match schema.field_with_name(field.name()) {
        Ok(wanted) => Arc::new(field.as_ref().clone().with_data_type(wanted.data_type().clone())),
        Err(_) => Arc::clone(field),
    };
    let fields: Vec<_> = known.schema().fields().iter().map(wanted).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    let known = ArrowReaderMetadata::try_new(Arc::clone(known.metadata()), options)?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, known))
}

fn statistics<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<&'a Statistics> {
    group.columns().iter().find(|column| column.column_path().string() == name)?.statistics()
}

/// The earliest and the latest time of a group of rows, by its statistics.
pub(crate) fn times_of(group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let Statistics::Int64(times) = statistics(group, "timestamp")? else { return None };
    Some((*times.min_opt()?, *times.max_opt()?))
}

/// The least and the greatest text of a column in a group of rows, by its statistics.
pub(crate) fn texts_of<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<(&'a str, &'a str)> {
    let Statistics::ByteArray(texts) = statistics(group, column)? else { return None };
    if !texts.min_is_exact() || !texts.max_is_exact() {
        return None;
    }
    Some((texts.min_opt()?.as_utf8().ok()?, texts.max_opt()?.as_utf8().ok()?))
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.map_err(|error| corrupt(&self.path, error)).and_then(|batch| self.fit(&batch)))
    }
}
