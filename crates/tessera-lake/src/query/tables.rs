//! The tables of people: `profiles`, `traits`, `identities`, `consents`, `audiences`; and `rejects`, without what was in them.
//!
//! Made from permitted profiles, page by page, while the query runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use serde::Serialize;
use serde_json::Value;
use tessera_model::{AudienceId, AudienceName, Timestamp};
use tessera_pipeline::{RejectId, RejectRow};
use tessera_profile::Profile;

use super::error::QueryFailure;
use super::events::external;
use super::people::{People, Witness};
use crate::columns::time_type;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Profiles,
    Traits,
    Identities,
    Consents,
    Audiences,
    Rejects,
}

#[derive(Clone, Copy)]
enum Cell {
    Text,
    Time,
    Truth,
    Count,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Profiles, Self::Traits, Self::Identities, Self::Consents, Self::Audiences, Self::Rejects];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Profiles => "profiles",
            Self::Traits => "traits",
            Self::Identities => "identities",
            Self::Consents => "consents",
            Self::Audiences => "audiences",
            Self::Rejects => "rejects",
        }
    }

    const fn columns(self) -> &'static [(&'static str, Cell)] {
        use Cell::{Count, Text, Time, Truth};
        match self {
            Self::Profiles => &[
                ("profile_id", Text),
                ("first_seen_at", Time),
                ("last_seen_at", Time),
                ("is_restricted", Truth),
                ("traits", Text),
            ],
            Self::Traits => &[("profile_id", Text), ("name", Text), ("value", Text)],
            Self::Identities => &[
                ("profile_id", Text),
                ("namespace", Text),
                ("value", Text),
                ("is_hashed", Truth),
                ("is_shared", Truth),
            ],
            Self::Consents => &[
                ("profile_id", Text),
                ("purpose", Text),
                ("status", Text),
                ("at", Time),
                ("first_at", Time),
                ("version", Count),
                ("expression", Text),
                ("source", Text),
            ],
            Self::Audiences => &[("audience", Text), ("profile_id", Text), ("since", Time)],
            Self::Rejects => &[("id", Text), ("at", Time), ("source", Text), ("code", Text), ("call", Text)],
        }
    }

    /// The paths of fields of a profile that the table shows.
    fn shows(self, path: &str) -> bool {
        match self {
            Self::Profiles | Self::Traits => path.starts_with("traits."),
            Self::Identities => path.starts_with("identifiers."),
            Self::Consents => path.starts_with("consents."),
            Self::Audiences | Self::Rejects => false,
        }
    }

    fn shown_of(self, profile: &Profile) -> Vec<String> {
        profile.shown.fields.iter().filter(|path| self.shows(path)).cloned().collect()
    }

    fn schema(self) -> SchemaRef {
        let field = |(name, cell): &(&str, Cell)| {
            let kind = match cell {
                Cell::Text => DataType::Utf8,
                Cell::Time => time_type(),
                Cell::Truth => DataType::Boolean,
                Cell::Count => DataType::Int64,
            };
            Field::new(*name, kind, true)
        };
        Arc::new(Schema::new(self.columns().iter().map(field).collect::<Vec<_>>()))
    }

    fn rows_of(self, profile: &Profile) -> Vec<Vec<Value>> {
        let id = || Value::from(profile.id.as_str());
        match self {
            Self::Profiles => {
                let traits = serde_json::to_string(&profile.traits).unwrap_or_default();
                vec![vec![
                    id(),
                    time(profile.first_seen_at),
                    time(profile.last_seen_at),
                    profile.is_restricted.into(),
                    traits.into(),
                ]]
            }
            Self::Traits => {
                let rows = profile.traits.iter().map(|(name, raw)| {
                    let value =
                        serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
                    vec![id(), name.as_str().into(), value.into()]
                });
                rows.collect()
            }
            Self::Identities => {
                let rows = profile.identifiers.iter().map(|one| {
                    let value = Some(one.value.as_str()).filter(|value| !value.is_empty());
                    vec![
                        id(),
                        one.namespace.as_str().into(),
                        value.into(),
                        one.is_hashed.into(),
                        one.is_shared.into(),
                    ]
                });
                rows.collect()
            }
            Self::Consents => {
                let rows = profile.consents.iter().map(|(purpose, word)| {
                    vec![
                        id(),
                        purpose.as_str().into(),
                        as_word(&word.status),
                        time(word.at),
                        time(word.first_at),
                        word.version.into(),
                        as_word(&word.expression),
                        word.source.as_str().into(),
                    ]
                });
                rows.collect()
            }
            Self::Audiences | Self::Rejects => Vec::new(),
        }
    }
}

fn time(at: Timestamp) -> Value {
    at.as_millis().saturating_mul(1000).into()
}

fn as_word(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A membership in `audience`, and the path of the field that says so.
fn rows_of_memberships(
    id: &str,
    memberships: &[(AudienceName, Timestamp)],
) -> (Vec<Vec<Value>>, Vec<String>) {
    let row = |(audience, since): &(AudienceName, Timestamp)| {
        (vec![audience.as_str().into(), id.into(), time(*since)], format!("audiences.{audience}"))
    };
    memberships.iter().map(row).unzip()
}

fn rows_of_reject(id: RejectId, row: &RejectRow) -> Vec<Value> {
    vec![
        id.to_string().into(),
        time(row.at),
        row.source.as_str().into(),
        row.code.as_str().into(),
        row.call.as_deref().into(),
    ]
}

fn batch(kind: Kind, rows: &[Vec<Value>], wanted: &SchemaRef) -> Result<RecordBatch> {
    let column = |name: &str| -> ArrayRef {
        let place = kind.columns().iter().position(|(known, _)| *known == name).unwrap_or_default();
        let values = rows.iter().map(|row| row.get(place));
        match kind.columns().get(place).map(|(_, cell)| *cell) {
            Some(Cell::Time) => {
                let mut builder = TimestampMicrosecondBuilder::new().with_timezone("UTC");
                values.for_each(|value| builder.append_option(value.and_then(Value::as_i64)));
                Arc::new(builder.finish())
            }
            Some(Cell::Truth) => {
                let mut builder = BooleanBuilder::new();
                values.for_each(|value| builder.append_option(value.and_then(Value::as_bool)));
                Arc::new(builder.finish())
            }
            Some(Cell::Count) => {
                let mut builder = Int64Builder::new();
                values.for_each(|value| builder.append_option(value.and_then(Value::as_i64)));
                Arc::new(builder.finish())
            }
            Some(Cell::Text) | None => {
                let mut builder = StringBuilder::new();
                values.for_each(|value| builder.append_option(value.and_then(Value::as_str)));
                Arc::new(builder.finish())
            }
        }
    };
    let columns = wanted.fields().iter().map(|field| column(field.name())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &options)?)
}

/// One of the tables.
pub(crate) struct PeopleTable {
    pub(crate) kind: Kind,
    pub(crate) people: Arc<dyn People>,
    pub(crate) witness: Arc<Witness>,
}

impl fmt::Debug for PeopleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())
    }
}

#[async_trait]
impl TableProvider for PeopleTable {
    fn schema(&self) -> SchemaRef {
        self.kind.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = match projection {
            Some(projection) => Arc::new(self.kind.schema().project(projection)?),
            None => self.kind.schema(),
        };
        let walk = Arc::new(Walk {
            kind: self.kind,
            people: Arc::clone(&self.people),
            witness: Arc::clone(&self.witness),
            wanted: Arc::clone(&wanted),
        });
        Ok(Arc::new(StreamingTableExec::try_new(wanted, vec![walk], None, [], false, limit)?))
    }
}

/// A walk through everybody.
struct Walk {
    kind: Kind,
    people: Arc<dyn People>,
    witness: Arc<Witness>,
    wanted: SchemaRef,
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())
    }
}

impl Walk {
    fn profiles(&self, mut give: impl FnMut(RecordBatch) -> bool) -> Result<()> {
        let mut after: Option<String> = None;
        let audiences = self.people.audiences();
        loop {
            let page =
                self.people.page(after.as_deref()).map_err(|error| external(QueryFailure::State(error)))?;
            let mut rows = Vec::new();
            for profile in &page.profiles {
                let profile = profile.get();
                let (own, shown) = if self.kind == Kind::Audiences {
                    rows_of_memberships(&profile.id, &self.memberships(profile, &audiences)?)
                } else {
                    (self.kind.rows_of(profile), self.kind.shown_of(profile))
                };
                if !own.is_empty() {
                    self.witness.note_one(profile.id.parse().ok(), shown);
                }
                rows.extend(own);
            }
            if !rows.is_empty() && !give(batch(self.kind, &rows, &self.wanted)?) {
                return Ok(());
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// As whose member the person was announced, of the audiences that the query may know.
    fn memberships(
        &self,
        profile: &Profile,
        audiences: &BTreeMap<AudienceId, AudienceName>,
    ) -> Result<Vec<(AudienceName, Timestamp)>> {
        let Ok(id) = profile.id.parse() else { return Ok(Vec::new()) };
        let all = match audiences.is_empty() {
            true => BTreeMap::new(),
            false => self.people.memberships(id).map_err(|error| external(QueryFailure::State(error)))?,
        };
        let known = |(id, since)| Some((audiences.get(&id)?.clone(), since));
        Ok(all.into_iter().filter_map(known).collect())
    }

    fn rejects(&self, mut give: impl FnMut(RecordBatch) -> bool) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.people.rejects(after).map_err(|error| external(QueryFailure::State(error)))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let rows: Vec<_> = page.iter().map(|(id, row)| rows_of_reject(*id, row)).collect();
            if !give(batch(self.kind, &rows, &self.wanted)?) {
                return Ok(());
            }
        }
    }
}

impl PartitionStream for Walk {
    fn schema(&self) -> &SchemaRef {
        &self.wanted
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.wanted), 2);
        let walk = Self {
            kind: self.kind,
            people: Arc::clone(&self.people),
            witness: Arc::clone(&self.witness),
            wanted: Arc::clone(&self.wanted),
        };
        let out = stream.tx();
        stream.spawn_blocking(move || {
            // Nobody listens any more: the query is over.
            let give = |batch| out.blocking_send(Ok(batch)).is_ok();
            match walk.kind {
                Kind::Rejects => walk.rejects(give),
                Kind::Profiles | Kind::Traits | Kind::Identities | Kind::Consents | Kind::Audiences => {
                    walk.profiles(give)
                }
            }
        });
        stream.build()
    }
}
