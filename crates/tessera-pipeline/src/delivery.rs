//! Couriers: one thread and one queue for each destination, so that a dead one slows nothing but itself.
//!
//! The gate is asked again for each event at the moment of sending, on the state of that moment. A delivery is tried
//! for a day with growing, jittered pauses; what is refused, or still undelivered then, becomes a dead letter that a
//! person can look at and replay. Rows leave the outbox once the destination has acknowledged them, so a crash
//! repeats a delivery (with the same message ids) and never drops one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tessera_connect::{Context, connector};
use tessera_evidence::Ledger;
use tessera_model::{
    DestinationDocument, DestinationName, HashKey, OFFICE, PurposeSet, Rules, SourceName, Timestamp,
};
use tessera_store::{Change, Changes, Clock, Key, Store, Table, Value};

use crate::line::Line;
use crate::outbox::{OutboxRow, outbox_key, prefix};
use crate::{ErasureRow, PipelineError};

/// Returns once everything that was acknowledged before the call is part of the state. `false`: it is not, and nothing
/// may be decided yet.
pub type Barrier = Arc<dyn Fn() -> bool + Send + Sync>;

/// How couriers work.
#[derive(Clone)]
pub struct CourierOptions {
    /// Where file destinations write.
    pub folder: PathBuf,
    /// How long a delivery is tried before it becomes a dead letter, in milliseconds.
    pub give_up_after_millis: i64,
    /// Where what leaves is recorded before it leaves. `None` in simulations.
    pub evidence: Option<Arc<Ledger>>,
    /// Asked before each decision: a withdrawal that was acknowledged is never overtaken.
    pub barrier: Barrier,
    /// Hashes message ids for the evidence.
    pub key: HashKey,
}

/// One delivery that was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What was to be delivered.
    pub row: OutboxRow,
    /// Why it was given up. Holds no personal data.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether somebody asked for another try.
    pub is_replayed: bool,
}

/// How one destination is doing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// Its connector.
    pub connector: String,
    /// Its purpose.
    pub purpose: String,
    /// Rows waiting (counted up to 10,000).
    pub waiting: usize,
    /// Dead letters (counted up to 10,000).
    pub dead_letters: usize,
    /// Delivered since the server started.
    pub delivered: u64,
    /// Not delivered because no basis covered it at the moment of sending, since the server started.
    pub denied: u64,
    /// Failed tries since the server started.
    pub retries: u64,
    /// What the destination last said, if it was not yes.
    pub trouble: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) delivered: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) trouble: Mutex<Option<String>>,
}

/// All couriers of a server. They follow the workspace: a changed destination gets a new courier.
pub struct Courier<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    options: CourierOptions,
    rules: Arc<ArcSwap<Rules>>,
    running: BTreeMap<DestinationName, Running>,
}

struct Running {
    document: DestinationDocument,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Store> Courier<S> {
    /// No couriers yet: [`Courier::follow`] starts them.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        rules: Arc<ArcSwap<Rules>>,
        options: CourierOptions,
    ) -> Self {
        Self { store, clock, options, rules, running: BTreeMap::new() }
    }

    /// Starts and stops couriers so that there is one for each destination of the workspace.
    pub fn follow(&mut self) {
        let rules = self.rules.load_full();
        let wanted: BTreeMap<&DestinationName, &DestinationDocument> =
            rules.destinations().map(|document| (&document.name, document)).collect();
        let stale: Vec<DestinationName> = self
            .running
            .iter()
            .filter(|(name, running)| wanted.get(name).is_none_or(|document| **document != running.document))
            .map(|(name, _)| name.clone())
            .collect();
        for name in stale {
            if let Some(running) = self.running.remove(&name) {
                stop(running);
            }
        }
        for (name, document) in wanted {
            if !self.running.contains_key(name) {
                let running = self.start(document);
                self.running.insert(name.clone(), running);
            }
        }
    }

    /// Stops all couriers; what is on its way to a destination is waited for.
    pub fn stop(&mut self) {
        for running in self.running.values() {
            running.stop.store(true, Ordering::SeqCst);
        }
        for running in std::mem::take(&mut self.running).into_values() {
            stop(running);
        }
    }

    /// How each destination is doing.
    ///
    /// # Errors
    /// Those of the store.
    pub fn status(&self) -> Result<Vec<DestinationStatus>, PipelineError> {
        self.running.values().map(|running| destination_status(self.store.as_ref(), running)).collect()
    }

    fn start(&self, document: &DestinationDocument) -> Running {
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::default()));
        let clock = Arc::clone(&self.clock);
        let context = Context {
            destination: document.name.clone(),
            folder: self.options.folder.clone(),
            now: Arc::new(move || clock.now()),
        };
        let opened = connector(&document.connector)
            .ok_or_else(|| format!("no connector is called `{}`", document.connector))
            .and_then(|connector| (connector.open)(&context, &document.config).map_err(|e| e.to_string()));
        let thread = match opened {
            Err(trouble) => {
                tracing::error!(destination = %document.name, "cannot open a destination: {trouble}");
                *counters.trouble.lock() = Some(trouble);
                None
            }
            Ok(destination) => {
                let route = Line {
                    store: Arc::clone(&self.store),
                    clock: Arc::clone(&self.clock),
                    rules: Arc::clone(&self.rules),
                    document: document.clone(),
                    give_up_after_millis: self.options.give_up_after_millis,
                    options: self.options.clone(),
                    destination,
                    screen: Mutex::default(),
                    stop: Arc::clone(&stop),
                    counters: Arc::clone(&counters),
                };
                let name = format!("tessera-to-{}", document.name);
                std::thread::Builder::new().name(name).spawn(move || route.run()).ok()
            }
        };
        Running { document: document.clone(), stop, counters, thread }
    }
}

fn stop(running: Running) {
    running.stop.store(true, Ordering::SeqCst);
    if running.thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!(destination = %running.document.name, "a courier panicked");
    }
}

fn destination_status(store: &impl Store, running: &Running) -> Result<DestinationStatus, PipelineError> {
    let name = &running.document.name;
    Ok(DestinationStatus {
        name: name.to_string(),
        connector: running.document.connector.clone(),
        purpose: running.document.purpose.to_string(),
        waiting: rows(store, Table::Outbox, name, None, 10_000)?.len(),
        dead_letters: rows(store, Table::DeadLetter, name, None, 10_000)?.len(),
        delivered: running.counters.delivered.load(Ordering::Relaxed),
        denied: running.counters.denied.load(Ordering::Relaxed),
        retries: running.counters.retries.load(Ordering::Relaxed),
        trouble: running.counters.trouble.lock().clone(),
    })
}

/// The rows of one destination, in log order.
pub(crate) fn rows(
    store: &impl Store,
    table: Table,
    name: &DestinationName,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<(Key, Value)>, PipelineError> {
    let prefix = prefix(name);
    let found = store.scan(table, Some(after.map_or(prefix.as_slice(), Key::id)), limit)?;
    Ok(found.into_iter().take_while(|(key, _)| key.id().starts_with(&prefix)).collect())
}

/// Up to `limit` dead letters of a destination.
///
/// # Errors
/// Those of the store.
pub fn dead_letters(
    store: &impl Store,
    name: &DestinationName,
    limit: usize,
) -> Result<Vec<DeadLetter>, PipelineError> {
    rows(store, Table::DeadLetter, name, None, limit)?.iter().map(|(_, value)| decode(value)).collect()
}

/// Asks for another try of every dead letter of a destination; returns how many there are.
///
/// # Errors
/// Those of the store.
pub fn replay_dead_letters(store: &impl Store, name: &DestinationName) -> Result<usize, PipelineError> {
    let mut changes = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let found = rows(store, Table::DeadLetter, name, after.as_ref(), 1000)?;
        let Some((last, _)) = found.last() else { break };
        after = Some(*last);
        for (key, value) in found {
            let letter = DeadLetter { is_replayed: true, ..decode(&value)? };
            changes.push(Change { key, before: Some(value), after: Some(encode(&letter)?) });
        }
    }
    let count = changes.len();
    store.commit(Changes { rows: changes, upto: None })?;
    Ok(count)
}

impl DeadLetter {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PipelineError> {
        decode(bytes)
    }
}

/// What the rows are called that tell a destination of an erasure.
pub(crate) const ERASE: &str = "tessera.erase";

/// What such a row says.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) request: String,
    pub(crate) profiles: Vec<String>,
}

/// Queues a notice of an erasure for each destination, behind what is on its way to it. Holds no personal data: who is
/// meant is named by profile ids. Safe to repeat.
///
/// # Errors
/// Those of the store.
pub fn tell_of_erasure(
    store: &impl Store,
    erasure: &ErasureRow,
    destinations: &BTreeSet<DestinationName>,
    now: Timestamp,
) -> Result<(), PipelineError> {
    let profiles: Vec<String> = erasure.fragments.iter().map(ToString::to_string).collect();
    let row = OutboxRow {
        owner: erasure.fragments.first().copied().unwrap_or_default(),
        purposes: PurposeSet::default(),
        source: SourceName::parse(OFFICE)
            .map_err(|e| PipelineError::Stored { what: "source", why: e.to_string() })?,
        message_id: format!("erase-{}", erasure.request),
        at: erasure.at,
        received_at: now,
        call: ERASE.to_owned(),
        json: serde_json::to_string(&Told { request: erasure.request.clone(), profiles })
            .map_err(|e| PipelineError::Stored { what: "notice", why: e.to_string() })?,
    };
    let after: Value = row.encode()?.into();
    for destination in destinations {
        let key = outbox_key(Table::Outbox, destination, erasure.position, 0);
        let before = store.load(&[key])?.into_iter().next().flatten();
        let change = Change { key, before, after: Some(Arc::clone(&after)) };
        store.commit(Changes { rows: vec![change], upto: None })?;
    }
    Ok(())
}

pub(crate) fn decode(bytes: &[u8]) -> Result<DeadLetter, PipelineError> {
    postcard::from_bytes(bytes).map_err(|e| PipelineError::Stored { what: "dead letter", why: e.to_string() })
}

pub(crate) fn encode(letter: &DeadLetter) -> Result<Value, PipelineError> {
    let bytes = postcard::to_stdvec(letter)
        .map_err(|e| PipelineError::Stored { what: "dead letter", why: e.to_string() })?;
    Ok(bytes.into())
}
