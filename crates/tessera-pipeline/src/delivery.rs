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
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tessera_connect::{Context, Delivery, Destination, Outcome, backoff, connector};
use tessera_evidence::{self as evidence_entry, Entry, Ledger, OutcomeStatus};
use tessera_model::{
    DestinationDocument, DestinationName, FragmentId, HashKey, PurposeSet, Rules, SourceName, Timestamp,
};
use tessera_policy::{Act, Consents, Denial, Permit, Permitted, decide, decide_channel};
use tessera_store::{Change, Changes, Clock, Key, Store, Table, Value};

use crate::orders::OFFICE;
use crate::outbox::{OutboxRow, outbox_key, place_of, prefix};
use crate::query::load_cluster;
use crate::{ErasureRow, PipelineError};

const IDLE: Duration = Duration::from_millis(50);
const BARRIER_PAUSE_MILLIS: u64 = 50;

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
struct Counters {
    delivered: AtomicU64,
    denied: AtomicU64,
    retries: AtomicU64,
    trouble: Mutex<Option<String>>,
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
const ERASE: &str = "tessera.erase";

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
        json: serde_json::json!({"request": erasure.request, "profiles": profiles}).to_string(),
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

fn decode(bytes: &[u8]) -> Result<DeadLetter, PipelineError> {
    postcard::from_bytes(bytes).map_err(|e| PipelineError::Stored { what: "dead letter", why: e.to_string() })
}

fn encode(letter: &DeadLetter) -> Result<Value, PipelineError> {
    let bytes = postcard::to_stdvec(letter)
        .map_err(|e| PipelineError::Stored { what: "dead letter", why: e.to_string() })?;
    Ok(bytes.into())
}

/// What may leave of some rows, and the record of it.
#[derive(Default)]
struct Leaving {
    places: Vec<(u64, u32)>,
    deliveries: Vec<Permitted<Delivery>>,
    entries: Vec<Entry>,
}

/// One row on its way.
struct Waiting {
    key: Key,
    stored: Value,
    row: OutboxRow,
}

/// The queue of one destination.
struct Line<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    rules: Arc<ArcSwap<Rules>>,
    document: DestinationDocument,
    give_up_after_millis: i64,
    options: CourierOptions,
    destination: Box<dyn Destination>,
    stop: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl<S: Store> Line<S> {
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let worked = self.outbox().and_then(|sent| Ok(sent + self.replays()?));
            match worked {
                Ok(0) => std::thread::sleep(IDLE),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(destination = %self.document.name, code = error.code(), "cannot read the outbox: {error}");
                    self.pause(5_000);
                }
            }
        }
    }

    fn cursor_name(&self) -> String {
        format!("delivery/{}", self.document.name)
    }

    /// Sends the next rows of the outbox. Returns how many left it.
    fn outbox(&mut self) -> Result<usize, PipelineError> {
        let name = &self.document.name;
        let cursor = self.store.cursor(&self.cursor_name())?.unwrap_or(0);
        let found = rows(self.store.as_ref(), Table::Outbox, name, None, self.destination.batch_max())?;
        let (mut done, mut waiting) = (Vec::new(), Vec::new());
        for (key, stored) in found {
            // A crash has brought back rows that were delivered before it.
            if place_of(&key).is_some_and(|(position, _)| position < cursor) {
                done.push(Change { key, before: Some(stored), after: None });
            } else {
                let row = OutboxRow::decode(&stored)?;
                waiting.push(Waiting { key, stored, row });
            }
        }
        let count = done.len() + waiting.len();
        if !done.is_empty() {
            self.store.commit(Changes { rows: done, upto: None })?;
        }
        if !waiting.is_empty() && !self.send(&waiting, false)? {
            return Ok(0);
        }
        Ok(count)
    }

    /// Sends dead letters that somebody asked to try again.
    fn replays(&mut self) -> Result<usize, PipelineError> {
        let found = rows(self.store.as_ref(), Table::DeadLetter, &self.document.name, None, 1000)?;
        let mut count = 0;
        for (key, stored) in found {
            let letter = decode(&stored)?;
            if letter.is_replayed {
                count += 1;
                let waiting = [Waiting { key, stored, row: letter.row }];
                if !self.send(&waiting, true)? {
                    break;
                }
            }
        }
        Ok(count)
    }

    /// Sends rows until they are delivered, denied or given up. `false` when the courier is to stop first.
    fn send(&mut self, waiting: &[Waiting], is_replay: bool) -> Result<bool, PipelineError> {
        let mut attempt = 0;
        loop {
            let Some(leaving) = self.permit(waiting, is_replay, attempt)? else {
                if !self.pause(BARRIER_PAUSE_MILLIS) {
                    return Ok(false);
                }
                continue;
            };
            let outcome = self.deliver(waiting, is_replay, attempt, &leaving)?;
            let permitted = match outcome {
                None => continue,
                Some(_) => leaving.deliveries,
            };
            let outcome = outcome.unwrap_or(Outcome::Delivered);
            match outcome {
                Outcome::Delivered => {
                    self.counters.delivered.fetch_add(count(permitted.len()), Ordering::Relaxed);
                    self.counters.denied.fetch_add(count(waiting.len() - permitted.len()), Ordering::Relaxed);
                    *self.counters.trouble.lock() = None;
                    self.remove(waiting)?;
                    return Ok(true);
                }
                Outcome::Refused { reason } if waiting.len() > 1 => {
                    // One bad event must not condemn its batch.
                    *self.counters.trouble.lock() = Some(reason);
                    for one in waiting {
                        if !self.send(std::slice::from_ref(one), is_replay)? {
                            return Ok(false);
                        }
                    }
                    return Ok(true);
                }
                Outcome::Refused { reason } => return self.give_up(waiting, &reason).map(|()| true),
                Outcome::Retry { after_millis, reason } => {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    *self.counters.trouble.lock() = Some(reason.clone());
                    if is_replay || self.is_too_old(waiting) {
                        return self.give_up(waiting, &reason).map(|()| true);
                    }
                    let pause = backoff::delay_millis(attempt, rand::random()).max(after_millis.unwrap_or(0));
                    attempt = attempt.saturating_add(1);
                    if !self.pause(pause) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Records what is about to leave, asks once more whether it may, and sends it. `None`: what was permitted has
    /// changed meanwhile, so that all begins anew.
    fn deliver(
        &mut self,
        waiting: &[Waiting],
        is_replay: bool,
        attempt: u32,
        leaving: &Leaving,
    ) -> Result<Option<Outcome>, PipelineError> {
        if leaving.deliveries.is_empty() {
            return Ok(Some(Outcome::Delivered));
        }
        let Some(evidence) = self.options.evidence.clone() else {
            return Ok(Some(self.destination.deliver(&leaving.deliveries)));
        };
        let seqs = evidence.append(&leaving.entries)?;
        let outcome = |result, reason: Option<&str>| {
            let reason = reason.map(Into::into);
            let destination = self.document.name.clone();
            let (first, last) = (*seqs.start(), *seqs.end());
            [Entry::Outcome(evidence_entry::Outcome { destination, first, last, result, reason })]
        };
        // Writing took its time, in which a withdrawal may have been acknowledged.
        let is_same =
            self.permit(waiting, is_replay, attempt)?.is_some_and(|again| again.places == leaving.places);
        if !is_same {
            evidence.append(&outcome(OutcomeStatus::Refused, Some("not sent: the decision changed")))?;
            return Ok(None);
        }
        let sent = self.destination.deliver(&leaving.deliveries);
        let recorded = match &sent {
            Outcome::Delivered => outcome(OutcomeStatus::Delivered, None),
            Outcome::Refused { reason } => outcome(OutcomeStatus::Refused, Some(reason)),
            Outcome::Retry { reason, .. } => outcome(OutcomeStatus::Retry, Some(reason)),
        };
        evidence.append(&recorded)?;
        Ok(Some(sent))
    }

    /// The gate, at the moment of sending. `None`: the state is behind what was acknowledged.
    fn permit(
        &self,
        waiting: &[Waiting],
        is_replay: bool,
        attempt: u32,
    ) -> Result<Option<Leaving>, PipelineError> {
        if !(self.options.barrier)() {
            return Ok(None);
        }
        let rules = self.rules.load();
        let now = self.clock.now();
        let mut leaving = Leaving::default();
        for one in waiting {
            let Some((cluster, node)) = load_cluster(self.store.as_ref(), one.row.owner)? else { continue };
            let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
            let (position, index) = place_of(&one.key).unwrap_or_default();
            let profile = cluster.profile_id(node);
            let permitted = self.decide(&rules, &one.row, consents, now).and_then(|permit| {
                let delivery = one.row.delivery(profile.to_string(), (position, index), is_replay);
                permit.seal(delivery, one.row.purposes, one.row.at)
            });
            if let Ok(delivery) = permitted {
                let entry = self.evidence_of(&rules, &one.row, profile, &delivery, attempt);
                leaving.places.push((position, index));
                leaving.entries.push(entry);
                leaving.deliveries.push(delivery);
            }
        }
        Ok(Some(leaving))
    }

    fn decide<'a, I: Iterator<Item = &'a Consents>>(
        &self,
        rules: &Rules,
        row: &OutboxRow,
        consents: impl Fn() -> I,
        now: Timestamp,
    ) -> Result<Permit, Denial> {
        let purpose = rules.purposes.get(&self.document.purpose).ok_or(Denial::UnknownPurpose)?;
        let permit = decide(purpose, Act::Use, consents(), now)?;
        if let Some(channel) = &self.document.channel {
            decide_channel(channel, consents())?;
        }
        let is_covered =
            self.document.region.as_ref().is_none_or(|region| purpose.document.regions.contains(region));
        if !is_covered {
            return Err(Denial::Region);
        }
        if permit.covers(row.purposes, row.at) { Ok(permit) } else { Err(Denial::NotServed) }
    }

    fn evidence_of(
        &self,
        rules: &Rules,
        row: &OutboxRow,
        profile: FragmentId,
        delivery: &Permitted<Delivery>,
        attempt: u32,
    ) -> Entry {
        let permit = delivery.permit();
        let hash = self.options.key.hash128(&[b"evidence message", row.message_id.as_bytes()]);
        Entry::Delivery(evidence_entry::Delivery {
            subject: row.owner,
            profile,
            destination: self.document.name.clone(),
            region: self.document.region.as_deref().map(Into::into),
            purpose: permit.purpose().clone(),
            purpose_version: permit.version(),
            basis: permit.basis(),
            consent: permit.proof().map(|proof| evidence_entry::Consent {
                status: proof.status,
                at: proof.at,
                version: proof.version,
                source: proof.source.as_str().into(),
            }),
            policy_version: rules.version,
            fields: Vec::new(),
            withheld: Vec::new(),
            message: FragmentId(hash).to_string().into(),
            attempt: attempt.saturating_add(1),
        })
    }

    fn is_too_old(&self, waiting: &[Waiting]) -> bool {
        let now = self.clock.now();
        waiting.iter().all(|one| now.millis_since(one.row.received_at) > self.give_up_after_millis)
    }

    /// Takes rows off their table and moves the cursor past them, durably.
    fn remove(&self, waiting: &[Waiting]) -> Result<(), PipelineError> {
        let rows = waiting
            .iter()
            .map(|one| Change { key: one.key, before: Some(one.stored.clone()), after: None })
            .collect();
        self.store.commit(Changes { rows, upto: None })?;
        self.move_cursor(waiting)
    }

    /// Everything before the last row's record is done; the record itself may have more rows.
    fn move_cursor(&self, waiting: &[Waiting]) -> Result<(), PipelineError> {
        let last = waiting
            .iter()
            .filter(|one| one.key.table() == Table::Outbox)
            .filter_map(|one| place_of(&one.key))
            .max();
        let Some((position, _)) = last else { return Ok(()) };
        let name = self.cursor_name();
        if self.store.cursor(&name)?.unwrap_or(0) < position {
            self.store.set_cursor(&name, position)?;
        }
        Ok(())
    }

    fn give_up(&self, waiting: &[Waiting], reason: &str) -> Result<(), PipelineError> {
        let mut rows = Vec::new();
        for one in waiting {
            let letter = DeadLetter {
                row: one.row.clone(),
                reason: reason.to_owned(),
                at: self.clock.now(),
                is_replayed: false,
            };
            let (position, index) = place_of(&one.key).unwrap_or_default();
            let key = outbox_key(Table::DeadLetter, &self.document.name, position, index);
            let after = Some(encode(&letter)?);
            if key == one.key {
                rows.push(Change { key, before: Some(one.stored.clone()), after });
            } else {
                rows.push(Change { key: one.key, before: Some(one.stored.clone()), after: None });
                let before = self.store.load(&[key])?.into_iter().next().flatten();
                rows.push(Change { key, before, after });
            }
        }
        self.store.commit(Changes { rows, upto: None })?;
        // The dead letter must outlive a crash that the cursor outlives.
        self.store.checkpoint()?;
        self.move_cursor(waiting)?;
        tracing::warn!(destination = %self.document.name, deliveries = waiting.len(), "gave deliveries up: {reason}");
        Ok(())
    }

    /// Sleeps, unless the courier is to stop: then `false`.
    fn pause(&self, millis: u64) -> bool {
        let mut left = millis;
        while left > 0 {
            if self.stop.load(Ordering::SeqCst) {
                return false;
            }
            let slice = left.min(50);
            std::thread::sleep(Duration::from_millis(slice));
            left -= slice;
        }
        !self.stop.load(Ordering::SeqCst)
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
