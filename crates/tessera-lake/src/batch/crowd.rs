//! Invented people as tables in memory: what tests and `cargo xtask oracle` hold against the oracle and the stream.
//!
//! Not how a server asks: there the tables come from the lake and the gate. Here every purpose sees everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::{Map, Value};
use tessera_audience::{DefinitionName, Definitions, Outcome, Person};
use tessera_model::{PurposeName, Timestamp};

use super::events::Reads;
use super::sql::Needs;
use super::sql::word;
use super::{Batch, Ground, Said, with_functions};
use crate::QueryFailure;

/// Many people who are asked about at once.
#[derive(Clone, Debug)]
pub struct Crowd {
    people: Arc<Vec<Person>>,
}

impl Crowd {
    /// These people.
    #[must_use]
    pub fn new(people: Vec<Person>) -> Self {
        Self { people: Arc::new(people) }
    }

    /// What the definitions say of each: first the computed traits, then the audiences, each in their order.
    ///
    /// # Errors
    /// [`QueryFailure`]: there is no SQL for a definition, or the engine failed.
    pub async fn ask(
        &self,
        definitions: &Definitions,
        now: Timestamp,
    ) -> Result<Vec<Vec<Outcome>>, QueryFailure> {
        let config = SessionConfig::new().with_target_partitions(1);
        let context = with_functions(SessionContext::new_with_config(config));
        let batch = Batch { ground: self, context, definitions, now };
        let traits = definitions.traits.iter().map(|one| DefinitionName::ComputedTrait(one.name.clone()));
        let audiences = definitions.audiences.iter().map(|one| DefinitionName::Audience(one.name.clone()));
        let said = batch.ask(&traits.chain(audiences).collect::<Vec<_>>()).await?;
        let answer = |person: i64, said: &Said| match said {
            Said::Members(members) => Outcome::Member(members.contains(&person)),
            Said::Values(values) => Outcome::Values(values.get(&person).cloned().unwrap_or_default()),
        };
        let people = 0..i64::try_from(self.people.len()).unwrap_or_default();
        Ok(people.map(|person| said.iter().map(|said| answer(person, said)).collect()).collect())
    }

    fn numbered(&self) -> impl Iterator<Item = (i64, &Person)> {
        (0..).zip(self.people.iter())
    }

    fn events(&self, reads: &Reads) -> Vec<Row> {
        let mut rows = Vec::new();
        for (number, person) in self.numbered() {
            let mut seen = BTreeSet::new();
            for event in &person.events {
                let at = event.at().as_millis();
                let is_read = reads.names.as_ref().is_none_or(|names| names.contains(&event.name))
                    && reads.bounds.is_some_and(|bounds| (bounds.first..=bounds.last).contains(&at));
                if is_read && seen.insert(&event.message_id) {
                    let texts = [event.name.clone(), event.properties.to_string(), event.context.to_string()];
                    rows.push(Row { numbers: vec![number, at], texts: texts.map(Some).to_vec() });
                }
            }
        }
        rows
    }

    fn traits(&self, needed: &BTreeSet<String>) -> Vec<Row> {
        let rows = self.numbered().flat_map(|(number, person)| attributes(number, &person.traits, needed));
        rows.collect()
    }

    fn accounts(&self, needed: &BTreeSet<String>) -> Vec<Row> {
        let together = |person: &Person| {
            let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            for (name, value) in person.accounts.iter().flatten() {
                all.entry(name.clone()).or_default().push(value.clone());
            }
            all.into_iter().map(|(name, values)| (name, Value::Array(values))).collect::<Map<_, _>>()
        };
        self.numbered().flat_map(|(number, person)| attributes(number, &together(person), needed)).collect()
    }

    fn consents(&self) -> Vec<Row> {
        let all = self.numbered().flat_map(|(number, person)| {
            let words = person.consents.iter();
            words
                .map(move |(purpose, status)| (number, vec![purpose.to_string(), status.as_str().to_owned()]))
        });
        all.map(|(number, texts)| Row::new(number, texts)).collect()
    }

    fn subscriptions(&self) -> Vec<Row> {
        let all = self.numbered().flat_map(|(number, person)| {
            let all = person.subscriptions.iter();
            all.map(move |one| (number, vec![one.channel.clone(), one.topic.clone(), word(&one.state)]))
        });
        all.map(|(number, texts)| Row::new(number, texts)).collect()
    }
}

fn attributes(number: i64, attributes: &Map<String, Value>, needed: &BTreeSet<String>) -> Vec<Row> {
    let row = |(name, value): (&String, &Value)| Row::new(number, vec![name.clone(), value.to_string()]);
    attributes.iter().filter(|(name, _)| needed.contains(*name)).map(row).collect()
}

/// One row: numbers first, then texts.
pub(crate) struct Row {
    pub(crate) numbers: Vec<i64>,
    pub(crate) texts: Vec<Option<String>>,
}

impl Row {
    pub(crate) fn new(number: i64, texts: Vec<String>) -> Self {
        Self { numbers: vec![number], texts: texts.into_iter().map(Some).collect() }
    }
}

/// Rows as columns.
pub(crate) fn batch(numbers: &[&str], texts: &[&str], rows: &[Row]) -> Result<RecordBatch, QueryFailure> {
    let numbers = numbers.iter().enumerate().map(|(place, name)| {
        let column: Int64Array = rows.iter().map(|row| row.numbers.get(place).copied()).collect();
        (*name, Arc::new(column) as ArrayRef, true)
    });
    let texts = texts.iter().enumerate().map(|(place, name)| {
        let column: StringArray = rows.iter().map(|row| row.texts.get(place).cloned().flatten()).collect();
        (*name, Arc::new(column) as ArrayRef, true)
    });
    let columns = numbers.chain(texts);
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| QueryFailure::of(error.into()))
}

/// Puts a table in the place of the one of that name.
pub(crate) fn lay(context: &SessionContext, name: &str, batch: RecordBatch) -> Result<(), QueryFailure> {
    context.deregister_table(name).map_err(QueryFailure::of)?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(QueryFailure::of)?;
    context.register_table(name, Arc::new(table)).map(drop).map_err(QueryFailure::of)
}

impl Ground for Crowd {
    fn lay(
        &self,
        context: &SessionContext,
        _: &PurposeName,
        (reads, needs): (&Reads, &Needs),
    ) -> Result<(), QueryFailure> {
        // What is not needed is not there: a test would tell if it were.
        let people: Vec<Row> = self
            .numbered()
            .filter(|_| needs.people)
            .map(|(number, person)| Row::new(number, vec![person.id.clone()]))
            .collect();
        lay(context, "people", batch(&["person"], &["id"], &people)?)?;
        let events = batch(&["person", "at"], &["name", "properties", "context"], &self.events(reads))?;
        lay(context, "events", events)?;
        lay(context, "traits", batch(&["person"], &["name", "value"], &self.traits(&needs.traits))?)?;
        lay(context, "accounts", batch(&["person"], &["name", "value"], &self.accounts(&needs.accounts))?)?;
        lay(context, "consents", batch(&["person"], &["purpose", "status"], &self.consents())?)?;
        let subscriptions = batch(&["person"], &["channel", "topic", "state"], &self.subscriptions())?;
        lay(context, "subscriptions", subscriptions)
    }
}
