//! The table `events` of the batch: who, when, what, and the JSON that conditions look into.
//!
//! Names and times are compared while files are read, before anybody's permission is asked: a definition and not a reader chooses them,
//! and nothing of the rows that are left out is told. Invariant: what leaves [`Share::pass`] is what the purpose permits, with fields
//! masked as in any query.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use tessera_model::Timestamp;

use super::events::Reads;
use crate::QueryFailure;
use crate::action::DataFile;
use crate::coded::{Codes, Memo, coded, missing, rows};
use crate::columns::{Columns, STORED};
use crate::delta::Reading;
use crate::files::{Batches, Filter, times_of};
use crate::query::{Masks, Owners, Sights, external};

/// What decides on rows and fields for a purpose.
pub(crate) struct Sieve {
    pub(crate) sights: Sights,
    pub(crate) masks: Masks,
}

/// The table.
pub(crate) struct Happened {
    pub(crate) folder: PathBuf,
    pub(crate) reading: Arc<Reading>,
    pub(crate) sieve: Arc<Sieve>,
    pub(crate) reads: Reads,
}

impl std::fmt::Debug for Happened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("events")
    }
}

fn schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        number("person"),
        number("at"),
        text("name"),
        text("properties"),
        text("context"),
    ]))
}

#[async_trait]
impl TableProvider for Happened {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(projection) => Arc::new(schema().project(projection)?),
            None => schema(),
        };
        let files = self.reading.version.files.values();
        let mut files: Vec<Arc<DataFile>> = files.filter(|file| self.reads.may_hold(file)).cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.rows));
        let shares = state.config().target_partitions().clamp(1, files.len().max(1));
        let mut split: Vec<Vec<Arc<DataFile>>> = vec![Vec::new(); shares];
        for (number, file) in files.into_iter().enumerate() {
            split.get_mut(number % shares).into_iter().for_each(|share| share.push(Arc::clone(&file)));
        }
        let partitions = split.into_iter().map(|files| {
            Arc::new(Share {
                folder: self.folder.clone(),
                files,
                wanted: Arc::clone(&wanted),
                sieve: Arc::clone(&self.sieve),
                reads: self.reads.clone(),
                _reading: Arc::clone(&self.reading),
            }) as Arc<dyn PartitionStream>
        });
        let partitions = partitions.collect();
        Ok(Arc::new(StreamingTableExec::try_new(wanted, partitions, None, [], false, limit)?))
    }
}

impl Reads {
    /// Whether a file may hold events that are needed.
    fn may_hold(&self, file: &DataFile) -> bool {
        let Some(bounds) = self.bounds else { return false };
        let arrived_from = Timestamp::parse(&file.day).map_or(i64::MIN, |day| day.as_millis());
        // An event counts when it happened, or when it arrived if that is earlier.
        file.times.1.as_millis() >= bounds.first
            && (file.times.0.as_millis() <= bounds.last || arrived_from <= bounds.last)
    }
}

/// A part of the table's files.
#[derive(Clone)]
struct Share {
    folder: PathBuf,
    files: Vec<Arc<DataFile>>,
    wanted: SchemaRef,
    sieve: Arc<Sieve>,
    reads: Reads,
    /// Keeps the files where they are.
    _reading: Arc<Reading>,
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("events")
    }
}

const JSON: [&str; 3] = ["properties", "traits", "context"];

impl Share {
    /// The columns that have to be read.
    fn needed(&self) -> SchemaRef {
        let wants = |name: &str| self.wanted.column_with_name(name).is_some();
        let is_masked = !self.sieve.masks.is_open();
        let fields = STORED.fields().iter().filter(|field| {
            let name = field.name().as_str();
            match name {
                "fragment_id" | "purposes" | "timestamp" | "received_at" | "type" | "event" => true,
                "properties" | "traits" if wants("properties") => true,
                "context" if wants("context") => true,
                name => {
                    (JSON.contains(&name) || name == "rest")
                        && is_masked
                        && (wants("properties") || wants("context"))
                }
            }
        });
        Arc::new(Schema::new(fields.map(coded).collect::<Vec<_>>()))
    }

    fn read(&self, out: &dyn Fn(RecordBatch) -> bool) -> std::result::Result<(), QueryFailure> {
        let needed = self.needed();
        let mut owners = Owners::default();
        for file in &self.files {
            let batches =
                Batches::open_some(&self.folder, &file.path, Arc::clone(&needed), self.reads.filter())?;
            let path = batches.path().to_owned();
            for batch in batches {
                let passed = self.pass(&batch?, &path, &mut owners)?;
                // Nobody listens any more: the query is over.
                if passed.num_rows() > 0 && !out(passed) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The rows that the purpose may use.
    fn pass(
        &self,
        batch: &RecordBatch,
        path: &std::path::Path,
        owners: &mut Owners,
    ) -> std::result::Result<RecordBatch, QueryFailure> {
        let permitted = owners.permitted(&self.sieve.sights, batch, path)?;
        let kept = permitted.into_iter().enumerate();
        let kept = kept.filter_map(|(row, known)| Some((row, i64::from(known?))));
        let (kept, people) = kept.unzip();
        self.shown(batch, path, kept, people)
    }

    fn shown(
        &self,
        batch: &RecordBatch,
        path: &std::path::Path,
        kept: Vec<usize>,
        people: Vec<i64>,
    ) -> std::result::Result<RecordBatch, QueryFailure> {
        let columns = Columns::of(batch, path);
        let masks = &self.sieve.masks;
        let wants_json = self.wanted.fields().iter().any(|field| JSON.contains(&field.name().as_str()));
        let parts = match wants_json && !masks.is_open() {
            true => {
                let jsons = columns.jsons()?;
                Some(kept.iter().filter_map(|row| Some(masks.parts(jsons.get(*row)?))).collect::<Vec<_>>())
            }
            false => None,
        };
        let (calls, names) = (columns.codes("type")?, columns.codes("event")?);
        let (at, received_at) = (columns.times("timestamp")?, columns.times("received_at")?);
        let rows = || kept.iter().copied().enumerate();
        // Where the text of a row stands: the first column or the second, by its call.
        let either = |first: &str, second: &str, is_second: &dyn Fn(&str) -> bool| -> Result<ArrayRef> {
            let places: Vec<(usize, usize)> = rows()
                .map(|(place, row)| {
                    let stands = if parts.is_some() { place } else { row };
                    (usize::from(is_second(calls.text(row).unwrap_or_default())), stands)
                })
                .collect();
            let column = |name: &str| -> Result<ArrayRef> {
                let of = |parts: &crate::query::Parts| parts.get(name).cloned().flatten();
                match &parts {
                    Some(parts) => Ok(Arc::new(parts.iter().map(of).collect::<StringArray>())),
                    None => batch.column_by_name(name).map(Arc::clone).ok_or_else(|| missing(name).into()),
                }
            };
            Ok(interleave(&[column(first)?.as_ref(), column(second)?.as_ref()], &places)?)
        };
        let column = |name: &str| -> Result<ArrayRef> {
            Ok(match name {
                "person" => Arc::new(Int64Array::from(people.clone())),
                "at" => {
                    let counts_at = |(_, row)| at.value(row).min(received_at.value(row)).div_euclid(1000);
                    Arc::new(rows().map(counts_at).collect::<Int64Array>())
                }
                "name" => {
                    let name = |(_, row)| match calls.text(row) {
                        Some("track") if masks.hides("event") => None,
                        Some("track") => names.text(row),
                        call => call,
                    };
                    Arc::new(rows().map(name).collect::<StringArray>())
                }
                "properties" => either("properties", "traits", &|call| matches!(call, "identify" | "group"))?,
                _ => either("context", "context", &|_| false)?,
            })
        };
        let all: Result<Vec<ArrayRef>> =
            self.wanted.fields().iter().map(|field| column(field.name())).collect();
        let all = all.map_err(|_| columns.corrupt("events"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(kept.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.wanted), all, &options)
            .map_err(|_| QueryFailure::Lake(columns.corrupt("events")))
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.wanted
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.wanted), 2);
        let (share, out) = (self.clone(), stream.tx());
        stream.spawn_blocking(move || {
            share.read(&|batch| out.blocking_send(Ok(batch)).is_ok()).map_err(external)
        });
        stream.build()
    }
}

impl Reads {
    /// The rows that may be needed.
    pub(crate) fn filter(&self) -> Filter {
        let (reads, bounds) = (self.clone(), self.bounds);
        let mut columns = vec!["timestamp", "received_at"];
        if reads.names.is_some() {
            columns.extend(["type", "event"]);
        }
        // An event counts when it happened, or when it arrived if that is earlier.
        let first = bounds.map_or(i64::MIN, |bounds| bounds.first);
        Filter {
            columns,
            may_hold: Box::new(move |group| {
                times_of(group).is_none_or(|(_, last)| last.div_euclid(1000) >= first)
            }),
            passes: {
                let mut known = Default::default();
                Box::new(move |batch| Ok(rows(reads.passing(batch, &mut known)?)))
            },
        }
    }

    fn passing(
        &self,
        batch: &RecordBatch,
        [tracks, named, called]: &mut [Memo<bool>; 3],
    ) -> std::result::Result<BooleanBuffer, ArrowError> {
        let times = |name: &str| -> std::result::Result<&TimestampMicrosecondArray, ArrowError> {
            let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
            column.ok_or_else(|| missing(name))
        };
        let (at, received_at) = (times("timestamp")?, times("received_at")?);
        let in_bounds: BooleanBuffer = match self.bounds {
            None => BooleanBuffer::new_set(batch.num_rows()),
            Some(bounds) => {
                let (first, last) = (bounds.first.saturating_mul(1000), bounds.last.saturating_mul(1000));
                let last = last.saturating_add(999);
                let pairs = at.values().iter().zip(received_at.values());
                pairs.map(|(at, received_at)| (first..=last).contains(at.min(received_at))).collect()
            }
        };
        let Some(names) = &self.names else { return Ok(in_bounds) };
        let codes = |name: &str| Codes::of(batch, name).ok_or_else(|| missing(name));
        let (calls, events) = (codes("type")?, codes("event")?);
        let is_track = calls.are(tracks, |call| call == "track");
        let named = &is_track & &events.are(named, |event| names.contains(event));
        let called = &calls.are(called, |call| names.contains(call)) & &!&is_track;
        Ok(&in_bounds & &(&named | &called))
    }
}
