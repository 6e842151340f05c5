//! Audiences and computed traits by SQL over the lake: the answer for everybody at one moment.
//!
//! Not the way in which memberships are kept, which is the engine's of `tessera-audience`, but a second one to the same answer: each is
//! held against the other and against the oracle. Invariants: a definition sees what its purpose permits; nothing but members and
//! values comes out. Reference: `docs/reference/audiences.md`, `docs/adr/0024-audiences-by-sql.md`.

mod crowd;
mod events;
mod functions;
mod live;
mod recompute;
mod scan;
mod sequence;
mod sql;
mod value;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::cast::{as_int64_array, as_string_array};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use tessera_audience::{DefinitionName, Definitions, Scalar};
use tessera_model::{PurposeName, Timestamp};

pub use crowd::Crowd;
pub(crate) use events::Reads;
pub use live::{Everybody, Sees};
pub(crate) use live::{Grounds, Lakeside};
pub use recompute::{Compared, Recomputed};
use sql::{Needs, Written};
pub(crate) use window::Bounds;

use crate::QueryFailure;

/// Where the tables come from.
pub(crate) trait Ground {
    /// What all that follows needs of people, by purpose: whoever goes through them does so once.
    fn prepare(&self, _needs: BTreeMap<PurposeName, Needs>) {}

    /// Puts the tables of what a purpose permits into `context`, in the place of those that are there.
    fn lay(
        &self,
        context: &SessionContext,
        purpose: &PurposeName,
        read: (&Reads, &Needs),
    ) -> Result<(), QueryFailure>;
}

/// What a definition says of everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The numbers of the members.
    Members(Vec<i64>),
    /// The values of those who have any.
    Values(BTreeMap<i64, Vec<Scalar>>),
}

/// Gives definitions' answers.
pub(crate) struct Batch<'a, G> {
    pub(crate) ground: &'a G,
    pub(crate) context: SessionContext,
    pub(crate) definitions: &'a Definitions,
    pub(crate) now: Timestamp,
}

/// A context that knows the functions.
pub(crate) fn with_functions(context: SessionContext) -> SessionContext {
    functions::all().into_iter().for_each(|function| context.register_udf(function));
    context.register_udaf(sequence::sequence());
    context
}

/// One definition that has to be asked.
struct Step<'d> {
    name: DefinitionName,
    written: Written,
    purpose: &'d PurposeName,
}

/// Definitions at a moment.
#[derive(Clone, Copy)]
struct Plan<'d> {
    definitions: &'d Definitions,
    now: Timestamp,
}

impl<'d> Plan<'d> {
    /// The SQL of a definition, its purpose, and the definitions that it speaks of.
    fn written(self, name: &DefinitionName) -> Result<(Written, &'d PurposeName), QueryFailure> {
        let unknown =
            || QueryFailure::NotUnderstood { what: "there is no definition of that name".to_owned() };
        let not_written = |error: sql::NoSql| QueryFailure::NotUnderstood { what: error.to_string() };
        match name {
            DefinitionName::Audience(name) => {
                let audience = self.definitions.audience(name).ok_or_else(unknown)?;
                let written = sql::audience(audience, self.definitions, self.now).map_err(not_written)?;
                Ok((written, &audience.purpose))
            }
            DefinitionName::ComputedTrait(name) => {
                let computed = self.definitions.computed(name.as_str()).ok_or_else(unknown)?;
                let written = sql::computed(computed, self.definitions, self.now).map_err(not_written)?;
                Ok((written, &computed.purpose))
            }
        }
    }

    /// All that `name` speaks of, directly or not, what is spoken of first, and itself last.
    fn order(self, name: &DefinitionName, into: &mut Vec<Step<'d>>) -> Result<(), QueryFailure> {
        if into.iter().any(|step| step.name == *name) {
            return Ok(());
        }
        let (written, purpose) = self.written(name)?;
        let parsed = |_| QueryFailure::NotUnderstood { what: "a name is none".to_owned() };
        for other in &written.audiences {
            let other = tessera_model::AudienceName::parse(other).map_err(|_| parsed(()))?;
            self.order(&DefinitionName::Audience(other), into)?;
        }
        for other in &written.computed {
            let other = tessera_model::TraitName::parse(other).map_err(|_| parsed(()))?;
            self.order(&DefinitionName::ComputedTrait(other), into)?;
        }
        into.push(Step { name: name.clone(), written, purpose });
        Ok(())
    }

    fn steps(self, names: &[DefinitionName]) -> Result<Vec<Step<'d>>, QueryFailure> {
        let mut steps = Vec::new();
        names.iter().try_for_each(|name| self.order(name, &mut steps))?;
        Ok(steps)
    }
}

/// Whether there is SQL for these definitions and all that they speak of.
#[must_use]
pub fn has_sql(definitions: &Definitions, names: &[DefinitionName], now: Timestamp) -> bool {
    Plan { definitions, now }.steps(names).is_ok()
}

impl<G: Ground> Batch<'_, G> {
    /// Answers for `names`. A definition that others speak of is asked once.
    pub(crate) async fn ask(&self, names: &[DefinitionName]) -> Result<Vec<Said>, QueryFailure> {
        let steps = Plan { definitions: self.definitions, now: self.now }.steps(names)?;
        let mut needs: BTreeMap<PurposeName, Needs> = BTreeMap::new();
        for step in &steps {
            needs.entry(step.purpose.clone()).or_default().add(&step.written.needs);
        }
        self.ground.prepare(needs);
        let mut said = BTreeMap::new();
        for step in steps {
            let batches = self.ask_one(&step).await?;
            let answer = match &step.name {
                DefinitionName::Audience(_) => Said::Members(members(&batches)?),
                DefinitionName::ComputedTrait(_) => Said::Values(values(&batches)?),
            };
            said.insert(step.name, answer);
        }
        Ok(names.iter().filter_map(|name| said.get(name).cloned()).collect())
    }

    /// Answers for one definition, and keeps the answer as a table for those that speak of it.
    async fn ask_one(&self, step: &Step<'_>) -> Result<Vec<RecordBatch>, QueryFailure> {
        let Step { name, written, purpose } = step;
        self.ground.lay(&self.context, purpose, (&written.reads, &written.needs))?;
        let frame = self.context.sql(&written.sql).await.map_err(QueryFailure::of)?;
        let batches = frame.collect().await.map_err(QueryFailure::of)?;
        let number = Field::new("person", DataType::Int64, true);
        let (table, fields) = match name {
            DefinitionName::Audience(name) => (format!("audience {name}"), vec![number]),
            DefinitionName::ComputedTrait(name) => {
                (format!("trait {}", name.as_str()), vec![number, Field::new("v", DataType::Utf8, true)])
            }
        };
        let schema = batches.first().map_or_else(|| Arc::new(Schema::new(fields)), RecordBatch::schema);
        let kept = MemTable::try_new(schema, vec![batches.clone()]).map_err(QueryFailure::of)?;
        let table = datafusion::common::TableReference::bare(table);
        self.context.register_table(table, Arc::new(kept)).map_err(QueryFailure::of)?;
        Ok(batches)
    }
}

fn members(batches: &[RecordBatch]) -> Result<Vec<i64>, QueryFailure> {
    let mut members = Vec::new();
    for batch in batches {
        members.extend(as_int64_array(batch.column(0)).map_err(QueryFailure::of)?.iter().flatten());
    }
    Ok(members)
}

fn values(batches: &[RecordBatch]) -> Result<BTreeMap<i64, Vec<Scalar>>, QueryFailure> {
    let mut all = BTreeMap::new();
    for batch in batches {
        let people = as_int64_array(batch.column(0)).map_err(QueryFailure::of)?;
        let values = as_string_array(batch.column(1)).map_err(QueryFailure::of)?;
        for (person, values) in people.iter().flatten().zip(values.iter()) {
            let values: Vec<Scalar> = value::scalars(values.unwrap_or_default()).collect();
            if !values.is_empty() {
                all.insert(person, values);
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
