//! What is kept of tracking plans: counts of violations, what was seen of each event, alerts. A function of the log.
//!
//! Invariant: no row holds a value of an event, and nothing is counted of an event that no purpose covers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tessera_contract::{Checked, EVENTS_SEEN_MAX, EventSeen, looks_like_an_event};
use tessera_model::{
    DestinationName, Event, HashKey, ParseContext, Record, Rules, SourceName, Timestamp, parse_body,
};
use tessera_store::{Change, Key, Store, Table};

use crate::PipelineError;
use crate::replay::for_each_row;
use crate::view::{Loaded, row_key_after};

/// Most kinds of violations that are counted apart; the others are `*` together.
const COUNTED_MAX: usize = 5_000;
const COUNTS: u8 = b'C';
const NAMES: u8 = b'N';
const EVENT: u8 = b'E';
const ALERT: u8 = b'A';
/// For events whose names are too many, or do not look like names.
const OTHERS: &str = "*";

/// A kind of violation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViolationKind {
    /// The plan.
    pub plan: String,
    /// The source.
    pub source: String,
    /// The event or call; `*`: one that the plan does not name.
    pub event: String,
    /// The field.
    pub path: String,
    /// The keyword of JSON Schema, or `unplanned`.
    pub keyword: String,
    /// What was done: `pass`, `strip`, `quarantine`, `block`.
    pub reaction: String,
}

type Counts = BTreeMap<ViolationKind, u64>;

/// The rows of one batch.
#[derive(Debug, Default)]
pub(crate) struct ContractRows {
    names: BTreeMap<SourceName, Loaded<BTreeSet<String>>>,
    events: BTreeMap<SourceName, BTreeMap<String, Loaded<EventSeen>>>,
    counts: Option<Loaded<Counts>>,
}

fn counts_key() -> Key {
    row_key_after(Table::Contract, COUNTS, "")
}

fn names_key(source: &SourceName) -> Key {
    row_key_after(Table::Contract, NAMES, source.as_str())
}

fn event_key(source: &SourceName, event: &str) -> Key {
    row_key_after(Table::Contract, EVENT, &format!("{source}\n{event}"))
}

pub(crate) fn alert_key(id: &str) -> Key {
    row_key_after(Table::Contract, ALERT, id)
}

/// What the event is called in what is kept of it.
fn name_of<'e>(event: &'e Event, checked: &'e Checked) -> &'e str {
    match &checked.planned {
        Some(name) => name,
        None if looks_like_an_event(event.name()) => event.name(),
        None => OTHERS,
    }
}

impl ContractRows {
    /// Loads what the events under a plan lead to.
    pub(crate) fn load<'e>(
        store: &impl Store,
        events: impl Iterator<Item = &'e Event>,
    ) -> Result<Self, PipelineError> {
        let mut rows = Self::default();
        let mut wanted: BTreeMap<&SourceName, BTreeSet<&str>> = BTreeMap::new();
        let mut has_violations = false;
        for event in events {
            if let Some(checked) = event.checked.as_deref() {
                wanted.entry(&event.source).or_default().insert(name_of(event, checked));
                has_violations |= checked.has_violations();
            }
        }
        if has_violations {
            rows.counts = load(store, &[counts_key()])?.into_iter().next();
        }
        for (source, mut names) in wanted {
            names.insert(OTHERS);
            rows.names
                .extend(load(store, &[names_key(source)])?.into_iter().map(|row| (source.clone(), row)));
            let keys: Vec<Key> = names.iter().map(|name| event_key(source, name)).collect();
            let mut seen: BTreeMap<String, Loaded<EventSeen>> = BTreeMap::new();
            for (name, mut row) in names.into_iter().zip(load::<EventSeen>(store, &keys)?) {
                if row.before.is_none() {
                    row.now = EventSeen::new(source.as_str(), name);
                }
                seen.insert(name.to_owned(), row);
            }
            rows.events.insert(source.clone(), seen);
        }
        Ok(rows)
    }

    /// Counts an event that some purpose covers.
    pub(crate) fn observe(&mut self, event: &Event) {
        let Some(checked) = event.checked.as_deref() else { return };
        let source = &event.source;
        let mut name = name_of(event, checked);
        if let Some(names) = self.names.get_mut(source)
            && !names.now.contains(name)
        {
            if names.now.len() < EVENTS_SEEN_MAX {
                names.now.insert(name.to_owned());
                names.is_dirty = true;
            } else {
                name = OTHERS;
            }
        }
        if let Some(row) = self.events.get_mut(source).and_then(|events| events.get_mut(name)) {
            row.now.observe(checked, event.received_at.as_millis());
            row.is_dirty = true;
        }
        if checked.has_violations() {
            self.count(source, checked);
        }
    }

    fn count(&mut self, source: &SourceName, checked: &Checked) {
        let counts = self.counts.get_or_insert_with(|| Loaded {
            before: None,
            now: Counts::default(),
            is_dirty: true,
        });
        counts.is_dirty = true;
        for violation in &checked.violations {
            // Senders choose the names that are not planned: they are counted together.
            let path = match (violation.keyword.as_str(), violation.path.rsplit_once('.')) {
                ("unplanned" | "additionalProperties", Some((root, _))) => format!("{root}.{OTHERS}"),
                _ => violation.path.clone(),
            };
            let mut kind = ViolationKind {
                plan: checked.plan.to_string(),
                source: source.to_string(),
                event: checked.planned.as_deref().unwrap_or(OTHERS).to_owned(),
                path,
                keyword: violation.keyword.clone(),
                reaction: violation.reaction.as_str().to_owned(),
            };
            if counts.now.len() >= COUNTED_MAX && !counts.now.contains_key(&kind) {
                (kind.event, kind.path) = (OTHERS.to_owned(), OTHERS.to_owned());
            }
            *counts.now.entry(kind).or_default() += 1;
        }
    }

    /// The rows that changed.
    pub(crate) fn changes(self) -> Result<Vec<Change>, PipelineError> {
        let mut changes = Vec::new();
        if let Some(row) = self.counts {
            change(counts_key(), row, &mut changes)?;
        }
        for (source, row) in self.names {
            change(names_key(&source), row, &mut changes)?;
        }
        for (source, events) in self.events {
            for (name, row) in events {
                change(event_key(&source, &name), row, &mut changes)?;
            }
        }
        Ok(changes)
    }
}

fn bad(error: &impl ToString) -> PipelineError {
    PipelineError::Stored { what: "row of a tracking plan", why: error.to_string() }
}

fn load<T: DeserializeOwned + Default>(
    store: &impl Store,
    keys: &[Key],
) -> Result<Vec<Loaded<T>>, PipelineError> {
    let read = |before: Option<tessera_store::Value>| {
        let now = before.as_deref().map(postcard::from_bytes).transpose().map_err(|e| bad(&e))?;
        Ok(Loaded { before, now: now.unwrap_or_default(), is_dirty: false })
    };
    store.load(keys)?.into_iter().map(read).collect()
}

fn change<T: Serialize>(key: Key, row: Loaded<T>, changes: &mut Vec<Change>) -> Result<(), PipelineError> {
    if row.is_dirty {
        let after = postcard::to_stdvec(&row.now).map_err(|e| bad(&e))?;
        changes.push(Change { key, before: row.before, after: Some(after.into()) });
    }
    Ok(())
}

/// How often each kind of violation came.
///
/// # Errors
/// Those of the store.
pub fn load_violations(store: &impl Store) -> Result<BTreeMap<ViolationKind, u64>, PipelineError> {
    Ok(load::<Counts>(store, &[counts_key()])?.into_iter().next().map(|row| row.now).unwrap_or_default())
}

/// What was seen of each event of sources that have a plan.
///
/// # Errors
/// Those of the store.
pub fn load_seen(store: &impl Store) -> Result<Vec<EventSeen>, PipelineError> {
    let mut found = Vec::new();
    for_each_row(store, &[Table::Contract], |key, value| {
        if key.id().first() == Some(&EVENT) {
            found.push(postcard::from_bytes(value).map_err(|e| bad(&e))?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// An event read back from the log, as its tracking plan has it now: without what is stripped, and with its mark.
#[must_use]
pub fn as_planned(
    rules: &Rules,
    key: &HashKey,
    record: &Record,
    index: u32,
    event: Box<RawValue>,
) -> Box<RawValue> {
    let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = record else {
        return event;
    };
    if rules.source(source).is_none_or(|source| source.contract.is_none()) {
        return event;
    }
    let (received_at, request_id, gpc) = (*received_at, *request_id, *gpc);
    let context = ParseContext { rules, key, source, received_at, request_id, gpc };
    let parsed = parse_body(body, *entrance, &context).unwrap_or_default();
    let parsed = usize::try_from(index).ok().and_then(|index| parsed.into_iter().nth(index)?.ok());
    let is_marked = |event: &Event| event.checked.as_ref().is_some_and(|checked| checked.has_violations());
    let marked = parsed.filter(is_marked);
    marked.and_then(|event| RawValue::from_string(event.json.as_str().to_owned()).ok()).unwrap_or(event)
}

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has seen to it.
    Open,
    /// Somebody knows.
    Acknowledged,
    /// What it tells of is over.
    Resolved,
}

/// Something that was not as a tracking plan expects. Holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Names it; the same whenever the same is the matter.
    pub id: String,
    /// The plan.
    pub plan: String,
    /// What is the matter.
    #[serde(flatten)]
    pub surprise: tessera_contract::Surprise,
    /// Where it is.
    pub state: AlertState,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// The destinations that know of it as it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub told: BTreeSet<DestinationName>,
}

/// Every alert, the oldest first.
///
/// # Errors
/// Those of the store.
pub fn load_alerts(store: &impl Store) -> Result<Vec<Alert>, PipelineError> {
    let mut found: Vec<Alert> = Vec::new();
    for_each_row(store, &[Table::Contract], |key, value| {
        if key.id().first() == Some(&ALERT) {
            found.push(serde_json::from_slice(value).map_err(|e| bad(&e))?);
        }
        Ok(())
    })?;
    found.sort_by(|a, b| (a.raised_at, &a.id).cmp(&(b.raised_at, &b.id)));
    Ok(found)
}
