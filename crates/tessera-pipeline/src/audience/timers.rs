//! Rows that follow from fragments: when whose answers have to be asked for again.
//!
//! Invariant: they are what the fragments of all clusters say, whatever became of these.

use std::collections::BTreeSet;

use tessera_model::{FragmentId, Timestamp};
use tessera_store::{Change, Key, Store, Table, Value};

use super::accounts::is_any_to_ask;
use super::catalogue::load_catalogue;
use crate::PipelineError;
use crate::view::{Slot, View, key_of};

/// How many bytes of a time stand in a key: enough for the year 10,000.
const TIME_BYTES: usize = 6;

/// When whose answers are due, as the clusters of a view say.
#[derive(Debug)]
pub(crate) struct Timers(BTreeSet<(u64, FragmentId)>);

impl Timers {
    pub(crate) fn of(view: &View) -> Self {
        let mut timers = BTreeSet::new();
        for row in view.rows.values() {
            let Slot::Cluster(cluster) = &row.now else { continue };
            for (at, node) in cluster.graph().nodes().iter().enumerate() {
                if let Some(wakes_at) = cluster.fragment(at).and_then(|fragment| fragment.wakes_at()) {
                    timers.insert((millis(wakes_at), node.id));
                }
            }
        }
        Self(timers)
    }

    /// The rows that what became of the view changes.
    pub(crate) fn changes(&self, view: &View) -> Vec<Change> {
        let after = Self::of(view);
        let gone = self.0.difference(&after.0).map(|timer| Change {
            key: timer_key(timer),
            before: Some(timer_value(timer.1)),
            after: None,
        });
        let new = after.0.difference(&self.0).map(|timer| Change {
            key: timer_key(timer),
            before: None,
            after: Some(timer_value(timer.1)),
        });
        gone.chain(new).collect()
    }
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

fn timer_key((at, fragment): &(u64, FragmentId)) -> Key {
    let at = at.to_be_bytes();
    let id: Vec<u8> = at.iter().skip(at.len() - TIME_BYTES).chain(&fragment.0).copied().collect();
    key_of(Table::Timer, &id)
}

fn timer_value(fragment: FragmentId) -> Value {
    Value::from(fragment.0.as_slice())
}

/// The fragments whose answers are due at a time, up to so many. `from`: there are no timers before it; what was removed there
/// is not gone through again.
pub(crate) fn due(
    store: &impl Store,
    (from, now): (Option<Timestamp>, Timestamp),
    limit: usize,
) -> Result<Vec<FragmentId>, PipelineError> {
    let rows = store.scan(Table::Timer, from.map(time_bytes).as_deref(), limit)?;
    let rows = rows.iter().take_while(|(key, _)| time_of(key).is_some_and(|at| at <= now));
    rows.map(|(_, value)| {
        let id = value.as_ref().try_into().map(FragmentId);
        id.map_err(|_| PipelineError::Stored { what: "timer", why: format!("it has {} bytes", value.len()) })
    })
    .collect()
}

fn time_bytes(at: Timestamp) -> Vec<u8> {
    let at = millis(at).to_be_bytes();
    at.iter().skip(at.len() - TIME_BYTES).copied().collect()
}

fn time_of(key: &Key) -> Option<Timestamp> {
    let time = key.id().get(..TIME_BYTES)?;
    let millis = time.iter().fold(0_i64, |millis, byte| (millis << 8) | i64::from(*byte));
    Some(Timestamp::from_millis(millis))
}

/// When somebody has to be asked next: from then on a `Tick` has work. `None`: never, if nothing happens.
///
/// # Errors
/// Those of the store.
pub fn next_due(store: &impl Store) -> Result<Option<Timestamp>, PipelineError> {
    next_due_from(store, None)
}

/// The same, where there are no timers before `from`.
pub(crate) fn next_due_from(
    store: &impl Store,
    from: Option<Timestamp>,
) -> Result<Option<Timestamp>, PipelineError> {
    if load_catalogue(store)?.walk.is_some() || is_any_to_ask(store)? {
        return Ok(Some(Timestamp::MIN));
    }
    let rows = store.scan(Table::Timer, from.map(time_bytes).as_deref(), 1)?;
    Ok(rows.first().and_then(|(key, _)| time_of(key)))
}
