//! What the lake is to get, and bringing it there.
//!
//! The pipeline writes down, in the commit of each batch, which events it kept; this reads them from the log and appends
//! them to the lake. Invariants: every event that was kept is in the lake once, whatever crashes: the lake's own position
//! says what it has; what an erasure has taken from the log does not reach the lake afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, HashKey, PurposeSet, Record, Rules, Timestamp};
use tessera_store::{
    Change, Changes, Clock, Key, Lake, LakeError, LakeFate, LakeRewritten, LakeRow, Log, LogError, Position,
    Store, StoreError, Table,
};

use crate::query::event_at;
use crate::{Item, PipelineError};

/// Events that are brought to the lake at once, about.
const EVENTS_MAX: usize = 100_000;
const TICK: Duration = Duration::from_millis(50);
const TIDY_EVERY: Duration = Duration::from_secs(15);
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) position: u64,
    pub(crate) index: u32,
    pub(crate) owner: FragmentId,
    pub(crate) purposes: PurposeSet,
}

/// The row that tells the lake of the events of one batch, which ends before `next`.
pub(crate) fn feed(kept: Vec<Kept>, next: Position) -> Result<Option<Change>, PipelineError> {
    if kept.is_empty() {
        return Ok(None);
    }
    let bytes = postcard::to_stdvec(&kept)
        .map_err(|error| PipelineError::Stored { what: "lake row", why: error.to_string() })?;
    let Some(key) = Key::new(Table::Lake, &next.0.to_be_bytes()) else { return Ok(None) };
    Ok(Some(Change { key, before: None, after: Some(bytes.into()) }))
}

/// How far the lake is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LakeFeedStatus {
    /// Events appended since the start.
    pub appended: u64,
    /// When that was last, in milliseconds since the epoch.
    pub appended_at: i64,
    /// What keeps it from going on.
    pub trouble: Option<String>,
}

/// Brings what was kept from the log to the lake.
pub struct LakeFeed<L, S> {
    /// The log.
    pub log: Arc<L>,
    /// The store, which says what was kept.
    pub store: Arc<S>,
    /// The lake.
    pub lake: Arc<dyn Lake>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The installation's key.
    pub key: HashKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Held while events are on their way from the log to the lake, and while the lake is rewritten.
    pub passing: Mutex<LakeFeedStatus>,
}

/// Rows of the feed, and the events that they name, by record.
type Batch = (Vec<Change>, BTreeMap<u64, Vec<Kept>>, Position);

impl<L: Log, S: Store> LakeFeed<L, S> {
    /// How far it is.
    #[must_use]
    pub fn status(&self) -> LakeFeedStatus {
        self.passing.lock().clone()
    }

    /// Brings everything to the lake that was kept so far. Returns how many events.
    ///
    /// # Errors
    /// [`PipelineError`]; call it again.
    pub fn flush(&self) -> Result<u64, PipelineError> {
        let mut status = self.passing.lock();
        let done = self.flush_all();
        match &done {
            Ok(events) => {
                status.trouble = None;
                if *events > 0 {
                    status.appended += events;
                    status.appended_at = self.clock.now().as_millis();
                }
            }
            Err(error) => status.trouble = Some(format!("{}: {error}", error.code())),
        }
        done
    }

    fn flush_all(&self) -> Result<u64, PipelineError> {
        let mut events = 0;
        while let Some((rows, kept, upto)) = self.waiting()? {
            let rows_of_lake = self.read(kept)?;
            self.lake.append(&rows_of_lake, upto, self.clock.now())?;
            events += u64::try_from(rows_of_lake.len()).unwrap_or(0);
            match self.store.commit(Changes { rows, upto: None }) {
                // A replay wrote them anew meanwhile: the lake has them, and the next turn removes them.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(events)
    }

    /// The log is still needed from here on, if it is.
    ///
    /// # Errors
    /// Those of the store.
    pub fn needed_from(&self) -> Result<Option<Position>, PipelineError> {
        let _status = self.passing.lock();
        let known = self.lake.position();
        let waiting = self.waiting()?;
        Ok(waiting.and_then(|(_, kept, _)| kept.keys().find(|at| **at >= known.0).map(|at| Position(*at))))
    }

    /// Brings events to the lake every so often, and keeps it tidy, until `stop`; then a last time.
    pub fn run(&self, every: Duration, stop: &AtomicBool) {
        let (mut waited, mut untidy) = (Duration::ZERO, Duration::ZERO);
        loop {
            let is_last = stop.load(Ordering::SeqCst);
            if waited >= every || is_last {
                waited = Duration::ZERO;
                let flushed = self.flush();
                let tidied = match untidy >= TIDY_EVERY {
                    true => {
                        untidy = Duration::ZERO;
                        self.lake.tidy(self.clock.now()).map_err(PipelineError::from)
                    }
                    false => Ok(()),
                };
                if let Err(error) = flushed.map(drop).and(tidied) {
                    tracing::error!(
                        code = error.code(),
                        hint = error.hint(),
                        "the lake cannot go on: {error}"
                    );
                }
            }
            if is_last {
                return;
            }
            std::thread::sleep(TICK);
            waited += TICK;
            untidy += TICK;
        }
    }

    /// The oldest rows of the feed.
    fn waiting(&self) -> Result<Option<Batch>, PipelineError> {
        let (mut changes, mut kept, mut upto) =
            (Vec::new(), BTreeMap::<u64, Vec<Kept>>::new(), Position::START);
        let (mut after, mut count) = (None::<Key>, 0);
        while count < EVENTS_MAX {
            let rows = self.store.scan(Table::Lake, after.as_ref().map(Key::id), 64)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(*last);
            for (key, value) in rows {
                let bad = |why: String| PipelineError::Stored { what: "lake row", why };
                let events: Vec<Kept> =
                    postcard::from_bytes(&value).map_err(|error| bad(error.to_string()))?;
                let next = key.id().try_into().map_err(|_| bad("its key".to_owned()))?;
                upto = Position(u64::from_be_bytes(next));
                count += events.len();
                for event in events {
                    kept.entry(event.position).or_default().push(event);
                }
                changes.push(Change { key, before: Some(value), after: None });
            }
        }
        Ok((!changes.is_empty()).then_some((changes, kept, upto)))
    }

    /// The events themselves. One that is in the log no more was erased.
    fn read(&self, mut kept: BTreeMap<u64, Vec<Kept>>) -> Result<Vec<LakeRow>, PipelineError> {
        let rules = self.rules.load_full();
        let known = self.lake.position();
        let mut rows = Vec::new();
        kept.retain(|position, _| *position >= known.0);
        while let Some(first) = kept.keys().next().copied() {
            let entries = match self.log.read(Position(first), READ_BYTES_MAX) {
                Ok(entries) => entries,
                Err(LogError::Discarded { .. }) => {
                    kept.remove(&first);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for entry in &entries {
                let Some(events) = kept.remove(&entry.position.0) else { continue };
                let mut item = Item::from_entry(entry)?;
                item.parse(&rules, &self.key);
                rows.extend(events.iter().filter_map(|event| row(&item, event)));
            }
            // Whatever the log gave, this turn is over for its place.
            kept.remove(&first);
        }
        Ok(rows)
    }

    /// Rewrites the lake by `sift`, after everything that waits was brought there.
    pub(crate) fn rewrite(
        &self,
        sift: &mut dyn FnMut(&LakeRow) -> Result<LakeFate, PipelineError>,
    ) -> Result<LakeRewritten, PipelineError> {
        let _status = self.passing.lock();
        self.flush_all()?;
        let rewritten = self.lake.rewrite(
            &mut |row| sift(row).map_err(|error| LakeError::Decision(format!("{}: {error}", error.code()))),
            self.clock.now(),
        )?;
        Ok(rewritten)
    }
}

/// The row of one event of a record.
fn row(item: &Item, kept: &Kept) -> Option<LakeRow> {
    let Record::Ingest { source, received_at, entrance, .. } = &item.record else { return None };
    let row = |at: Timestamp, message_id: &str, call: &str, json: &str| LakeRow {
        position: kept.position,
        index: kept.index,
        owner: kept.owner,
        purposes: kept.purposes,
        source: source.clone(),
        at,
        received_at: *received_at,
        message_id: message_id.into(),
        call: call.into(),
        json: json.into(),
    };
    let events = item.parsed.as_ref().and_then(|(_, parsed)| parsed.as_ref().ok());
    match events.and_then(|events| events.get(usize::try_from(kept.index).ok()?)) {
        Some(Ok(event)) => {
            Some(row(event.at, event.message_id.as_str(), event.call.name(), event.json.as_str()))
        }
        // The workspace has changed so that the event would be refused today. It was kept.
        _ => event_at(&item.record, kept.index).map(|raw| {
            let known: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let text = |name: &str| known.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let call = entrance.call().unwrap_or_else(|| text("type"));
            row(*received_at, text("messageId"), call, raw.get())
        }),
    }
}
