//! The table `events` of the batch: who, when, what, and the JSON that conditions look into.
//!
//! Names and times are compared while files are read, before anybody's permission is asked: a definition and not a reader chooses them,
//! and nothing of the rows that are left out is told. Invariant: what leaves [`Share::pass`] is what the purpose permits, with fields
//! masked as in any query.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::cast::{as_string_array, as_timestamp_microsecond_array};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use parking_lot::Mutex;
use tessera_model::{FragmentId, PurposeSet, Timestamp};
use tessera_policy::Permit;

use super::events::Reads;
use crate::QueryFailure;
use crate::action::DataFile;
use crate::columns::{Columns, STORED, from_micros};
use crate::delta::Reading;
use crate::files::{Batches, Wanted};
use crate::query::{Masks, People, external};

/// Profiles and the numbers by which the batch calls them.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    known: Mutex<(HashMap<FragmentId, i64>, Vec<FragmentId>)>,
}

impl Numbers {
    /// The number of a profile, from 0 on.
    pub(crate) fn of(&self, profile: FragmentId) -> i64 {
        let mut known = self.known.lock();
        let next = i64::try_from(known.1.len()).unwrap_or(i64::MAX);
        let (numbers, profiles) = &mut *known;
        *numbers.entry(profile).or_insert_with(|| {
            profiles.push(profile);
            next
        })
    }

    /// The profiles in the order of their numbers.
    pub(crate) fn profiles(&self) -> Vec<FragmentId> {
        self.known.lock().1.clone()
    }
}

/// What decides on rows and fields for a purpose.
pub(crate) struct Sieve {
    pub(crate) people: Arc<dyn People>,
    pub(crate) masks: Masks,
    pub(crate) numbers: Arc<Numbers>,
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

/// The owners that a share has met: their profile's number and the permit. `None`: nothing permits it.
type Met = HashMap<FragmentId, Option<(i64, Permit)>>;

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
        Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
    }

    fn read(&self, out: &dyn Fn(RecordBatch) -> bool) -> std::result::Result<(), QueryFailure> {
        let needed = self.needed();
        let mut met = Met::new();
        for file in &self.files {
            let rows = Wanted { names: self.reads.names.clone(), bounds: self.reads.bounds };
            let batches = Batches::open_some(&self.folder, &file.path, Arc::clone(&needed), rows)?;
            let path = batches.path().to_owned();
            for batch in batches {
                let passed = self.pass(&batch?, &path, &mut met)?;
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
        met: &mut Met,
    ) -> std::result::Result<RecordBatch, QueryFailure> {
        let columns = Columns::of(batch, path);
        let (owners, purposes, at) =
            (columns.owners()?, columns.texts("purposes")?, columns.times("timestamp")?);
        let mut served: Option<(&str, PurposeSet)> = None;
        let (mut kept, mut people) = (Vec::new(), Vec::new());
        for (row, owner) in owners.iter().enumerate() {
            let text = purposes.value(row);
            let set = match served {
                Some((known, set)) if known == text => set,
                _ => serde_json::from_str(text).map_err(|_| columns.corrupt("purposes"))?,
            };
            served = Some((text, set));
            if !met.contains_key(owner) {
                let sight = self.sieve.people.sight(*owner).map_err(QueryFailure::State)?;
                met.insert(*owner, sight.map(|(profile, permit)| (self.sieve.numbers.of(profile), permit)));
            }
            if let Some(Some((number, permit))) = met.get(owner)
                && permit.covers(set, from_micros(at.value(row)))
            {
                kept.push(row);
                people.push(*number);
            }
        }
        self.shown(batch, path, &kept, people)
    }

    fn shown(
        &self,
        batch: &RecordBatch,
        path: &std::path::Path,
        kept: &[usize],
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
        let (calls, names) = (columns.texts("type")?, columns.texts("event")?);
        let (at, received_at) = (columns.times("timestamp")?, columns.times("received_at")?);
        let text =
            |column: &StringArray, row: usize| (!column.is_null(row)).then(|| column.value(row).to_owned());
        let json = |name: &'static str, place: usize, row: usize| -> Option<String> {
            match &parts {
                Some(parts) => parts.get(place)?.get(name).cloned().flatten(),
                None => text(as_string_array(batch.column_by_name(name)?).ok()?, row),
            }
        };
        let rows = || kept.iter().copied().enumerate();
        let column = |name: &str| -> ArrayRef {
            match name {
                "person" => Arc::new(Int64Array::from(people.clone())),
                "at" => {
                    let counts_at = |(_, row)| at.value(row).min(received_at.value(row)).div_euclid(1000);
                    Arc::new(rows().map(counts_at).collect::<Int64Array>())
                }
                "name" => {
                    let name = |(_, row)| match calls.value(row) {
                        "track" if masks.hides("event") => None,
                        "track" => text(names, row),
                        call => Some(call.to_owned()),
                    };
                    Arc::new(rows().map(name).collect::<StringArray>())
                }
                "properties" => {
                    let part = |(place, row): (usize, usize)| {
                        let in_traits = matches!(calls.value(row), "identify" | "group");
                        json(if in_traits { "traits" } else { "properties" }, place, row)
                    };
                    Arc::new(rows().map(part).collect::<StringArray>())
                }
                _ => {
                    Arc::new(rows().map(|(place, row)| json("context", place, row)).collect::<StringArray>())
                }
            }
        };
        let all = self.wanted.fields().iter().map(|field| column(field.name())).collect();
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

/// Whether rows that were read so far may be needed: compared before the other columns of a file are read at all.
pub(crate) fn is_wanted(
    batch: &RecordBatch,
    wanted: &Wanted,
) -> std::result::Result<datafusion::arrow::array::BooleanArray, datafusion::arrow::error::ArrowError> {
    let failed = |error: datafusion::error::DataFusionError| {
        datafusion::arrow::error::ArrowError::ExternalError(Box::new(error))
    };
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| datafusion::arrow::error::ArrowError::SchemaError(format!("column `{name}`")))
    };
    let (calls, names) = (as_string_array(column("type")?).map_err(failed)?, column("event")?);
    let names = as_string_array(names).map_err(failed)?;
    let at = as_timestamp_microsecond_array(column("timestamp")?).map_err(failed)?;
    let received_at = as_timestamp_microsecond_array(column("received_at")?).map_err(failed)?;
    let is_wanted = |row: usize| {
        let counts_at = at.value(row).min(received_at.value(row)).div_euclid(1000);
        if wanted.bounds.is_some_and(|bounds| counts_at < bounds.first || counts_at > bounds.last) {
            return false;
        }
        let Some(wanted) = &wanted.names else { return true };
        match calls.value(row) {
            "track" => !names.is_null(row) && wanted.contains(names.value(row)),
            call => wanted.contains(call),
        }
    };
    Ok((0..batch.num_rows()).map(|row| Some(is_wanted(row))).collect())
}
