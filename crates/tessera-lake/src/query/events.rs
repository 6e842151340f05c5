//! The table `events`: rows and fields that the purpose permits, decided while files are read.
//!
//! Invariant: what leaves [`Gate::pass`] is all that the engine ever sees: it comes before every filter, join and function.
//! Only the comparisons of [`Comparison`] come before, to leave unread what they would leave out anyway.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Date32Array, RecordBatch, RecordBatchOptions, StringViewArray,
    UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use tessera_model::Timestamp;
use tessera_store::LakeError;

use super::comparison::{Comparison, PROFILE, filter};
use super::error::QueryFailure;
use super::mask::Masks;
use super::owners::{Owners, Sights};
use super::people::{People, Witness};
use super::register::Number;
use crate::action::DataFile;
use crate::coded::coded;
use crate::columns::{Columns, FIELDS, From, STORED, time_type};
use crate::delta::Reading;
use crate::files::Batches;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The columns as a query names them.
static SHOWN: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let mut fields =
        vec![text(PROFILE), text("fragment_id"), text("message_id"), text("type"), text("source")];
    fields.extend(["timestamp", "received_at"].map(|name| Field::new(name, time_type(), true)));
    fields.push(Field::new("day", DataType::Date32, true));
    fields.extend(FIELDS.iter().filter(|(_, from)| *from != From::Rest).map(|(name, _)| text(name)));
    Arc::new(Schema::new(fields))
});

/// The same, with people by number.
static NUMBERED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = SHOWN.fields().iter().map(|field| match field.name() == PROFILE {
        true => Arc::new(Field::new(PROFILE, DataType::UInt32, true)),
        false => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// What decides on rows and fields.
pub(crate) struct Gate {
    pub(crate) people: Arc<dyn People>,
    pub(crate) sights: Sights,
    pub(crate) masks: Masks,
    pub(crate) witness: Arc<Witness>,
}

const JSON: [&str; 3] = ["properties", "traits", "context"];

impl Gate {
    /// The columns of the files that `wanted` and the comparisons need.
    fn needed(&self, wanted: &SchemaRef, compared: &[Comparison]) -> SchemaRef {
        let is_wanted = |name: &str| wanted.column_with_name(name).is_some();
        let wants_json = JSON.iter().any(|name| is_wanted(name)) && !self.masks.is_open();
        // A day is made of the time of arrival.
        let always: &[&str] = match is_wanted("day") {
            true => &["fragment_id", "purposes", "timestamp", "received_at"],
            false => &["fragment_id", "purposes", "timestamp"],
        };
        let fields = STORED.fields().iter().filter(|field| {
            let name = field.name().as_str();
            let is_shown = is_wanted(name) && !self.masks.hides(name);
            always.contains(&name)
                || is_shown
                || compared.iter().any(|one| one.column() == name)
                || (wants_json && (JSON.contains(&name) || name == "rest"))
        });
        // What is masked is made anew, of whole texts.
        let is_whole = |name: &str| wants_json && (JSON.contains(&name) || name == "rest");
        let typed = |field: &Arc<Field>| {
            let coded = coded(field);
            match coded.data_type() == &DataType::Utf8 && !is_whole(field.name()) {
                true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
                false => coded,
            }
        };
        Arc::new(Schema::new(fields.map(typed).collect::<Vec<_>>()))
    }

    /// The rows that the purpose may use, with what the reader sees of them.
    fn pass(
        &self,
        batch: &RecordBatch,
        owners: &mut Owners,
        (wanted, file): (&SchemaRef, &Path),
    ) -> std::result::Result<RecordBatch, QueryFailure> {
        let permitted = owners.permitted(&self.sights, batch, file)?;
        let arrow = |error| corrupt(file, error);
        let batch = match permitted.iter().all(Option::is_some) {
            true => batch.clone(),
            false => {
                let mask: BooleanArray = permitted.iter().map(|person| Some(person.is_some())).collect();
                filter_record_batch(batch, &mask).map_err(arrow)?
            }
        };
        let people: Vec<Number> = permitted.into_iter().flatten().collect();
        let columns = self.shown(&batch, &people, (wanted, file))?;
        if !people.is_empty() {
            self.witness.note(people.iter().copied(), self.fields(wanted));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &options)
            .map_err(|error| corrupt(file, error))?)
    }

    fn shown(
        &self,
        batch: &RecordBatch,
        people: &[Number],
        (wanted, file): (&SchemaRef, &Path),
    ) -> std::result::Result<Vec<ArrayRef>, QueryFailure> {
        let columns = Columns::of(batch, file);
        let wants_json = wanted.fields().iter().any(|field| JSON.contains(&field.name().as_str()));
        let parts: Vec<_> = match wants_json && !self.masks.is_open() {
            true => columns.jsons()?.iter().map(|json| self.masks.parts(json)).collect(),
            false => Vec::new(),
        };
        let column = |field: &Field| -> std::result::Result<ArrayRef, QueryFailure> {
            let name = field.name().as_str();
            Ok(match name {
                PROFILE if field.data_type() == &DataType::UInt32 => {
                    Arc::new(people.iter().copied().map(Some).collect::<UInt32Array>())
                }
                PROFILE => Arc::new(self.sights.register().numbers.texts(people.iter().copied().map(Some))),
                "day" => {
                    let at = columns.times("received_at")?;
                    let day = |row| i32::try_from(at.value(row).div_euclid(MICROS_PER_DAY)).ok();
                    Arc::new((0..at.len()).map(day).collect::<Date32Array>())
                }
                _ if self.masks.hides(name) => new_null_array(field.data_type(), batch.num_rows()),
                _ if JSON.contains(&name) && !self.masks.is_open() => {
                    let text = |parts: &super::mask::Parts| parts.get(name).cloned().flatten();
                    Arc::new(parts.iter().map(text).collect::<StringViewArray>())
                }
                _ => {
                    let found = batch.column_by_name(name);
                    let found = found.ok_or_else(|| corrupt(file, format!("column `{name}`")))?;
                    as_type(found, field.data_type()).map_err(|error| corrupt(file, error))?
                }
            })
        };
        wanted.fields().iter().map(|field| column(field)).collect()
    }

    /// Paths of what a query that reads `wanted` is given.
    fn fields(&self, wanted: &SchemaRef) -> Vec<String> {
        let path = |name: &str| match FIELDS.iter().find(|(known, _)| *known == name).map(|(_, from)| *from) {
            _ if self.masks.hides(name) => None,
            Some(From::Top("userId")) => Some("identifiers.user_id".to_owned()),
            Some(From::Top("anonymousId")) => Some("identifiers.anonymous_id".to_owned()),
            Some(From::Top(_)) => Some("identifiers.account_id".to_owned()),
            Some(From::Context(path)) => Some(format!("context.{path}")),
            Some(From::Properties | From::Traits | From::ContextJson) => Some(format!("{name}.*")),
            Some(From::Name | From::Rest) | None => None,
        };
        let paths = wanted.fields().iter().filter_map(|field| path(field.name()));
        paths.chain(["events".to_owned()]).collect()
    }
}

/// A column as the engine wants it. Of one with a list of texts, each text is made a view of once.
fn as_type(column: &ArrayRef, kind: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    match column.as_any_dictionary_opt() {
        Some(coded) => take(&cast(coded.values(), kind)?, coded.keys(), None),
        None => cast(column, kind),
    }
}

fn corrupt(file: &Path, what: impl ToString) -> LakeError {
    LakeError::Corrupt { file: file.to_owned(), what: what.to_string() }
}

/// The table.
pub(crate) struct Events {
    folder: PathBuf,
    reading: Arc<Reading>,
    gate: Arc<Gate>,
    /// Whether it shows people by number.
    is_numbered: bool,
}

impl Events {
    pub(crate) fn new(folder: PathBuf, reading: Arc<Reading>, gate: Arc<Gate>) -> Self {
        Self { folder, reading, gate, is_numbered: false }
    }

    /// The same table, with people by number.
    pub(crate) fn numbered(&self) -> Self {
        let (reading, gate) = (Arc::clone(&self.reading), Arc::clone(&self.gate));
        Self { folder: self.folder.clone(), reading, gate, is_numbered: true }
    }

    fn shown(&self) -> &'static SchemaRef {
        if self.is_numbered { &NUMBERED } else { &SHOWN }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events")
    }
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.shown())
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The engine compares again: what is left out are rows that cannot pass.
        let support = |filter: &&Expr| match Comparison::of(filter, &self.gate.masks) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(projection) => Arc::new(self.shown().project(projection)?),
            None => Arc::clone(self.shown()),
        };
        let compared = filters.iter().filter_map(|filter| Comparison::of(filter, &self.gate.masks));
        let compared: Result<Arc<[Comparison]>, _> =
            compared.map(|one| one.in_files(self.gate.people.as_ref())).collect();
        let compared = compared.map_err(|error| external(QueryFailure::State(error)))?;
        let files = self.reading.version.files.values();
        let may_hold = |file: &DataFile| compared.iter().all(|one| one.may_hold(micros_of(file)));
        let mut files: Vec<Arc<DataFile>> = files.filter(|file| may_hold(file)).cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.rows));
        let shares = state.config().target_partitions().clamp(1, files.len().max(1));
        let mut split: Vec<Vec<Arc<DataFile>>> = vec![Vec::new(); shares];
        for (number, file) in files.into_iter().enumerate() {
            if let Some(share) = split.get_mut(number % shares) {
                share.push(file);
            }
        }
        let partitions = split.into_iter().map(|files| {
            Arc::new(Share {
                folder: self.folder.clone(),
                files,
                wanted: Arc::clone(&wanted),
                compared: Arc::clone(&compared),
                gate: Arc::clone(&self.gate),
                _reading: Arc::clone(&self.reading),
            }) as Arc<dyn PartitionStream>
        });
        let plan =
            StreamingTableExec::try_new(Arc::clone(&wanted), partitions.collect(), None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// A part of the table's files.
struct Share {
    folder: PathBuf,
    files: Vec<Arc<DataFile>>,
    wanted: SchemaRef,
    compared: Arc<[Comparison]>,
    gate: Arc<Gate>,
    /// Keeps the files where they are.
    _reading: Arc<Reading>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events")
    }
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.wanted
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.wanted), 2);
        let (folder, files) = (self.folder.clone(), self.files.clone());
        let (wanted, gate, out) = (Arc::clone(&self.wanted), Arc::clone(&self.gate), stream.tx());
        let compared = Arc::clone(&self.compared);
        stream.spawn_blocking(move || {
            let needed = gate.needed(&wanted, &compared);
            let mut owners = Owners::default();
            for file in files {
                let needed = Arc::clone(&needed);
                let batches = match compared.is_empty() {
                    true => Batches::open(&folder, &file.path, needed),
                    false => Batches::open_some(&folder, &file.path, needed, filter(&compared)),
                };
                let batches = batches.map_err(failed)?;
                let path = batches.path().to_owned();
                for batch in batches {
                    let batch = batch.map_err(failed)?;
                    let batch = gate.pass(&batch, &mut owners, (&wanted, &path)).map_err(external)?;
                    // Nobody listens any more: the query is over.
                    if batch.num_rows() > 0 && out.blocking_send(Ok(batch)).is_err() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        stream.build()
    }
}

fn micros_of(file: &DataFile) -> (i64, i64) {
    let micros = |at: Timestamp| at.as_millis().saturating_mul(1000);
    (micros(file.times.0), micros(file.times.1).saturating_add(999))
}

fn failed(error: LakeError) -> DataFusionError {
    external(QueryFailure::Lake(error))
}

pub(crate) fn external(error: QueryFailure) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
