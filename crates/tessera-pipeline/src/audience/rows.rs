//! Rows that follow from fragments: when whose answers have to be asked for again, and how many members each audience has.
//!
//! Invariant: they are what the fragments of all clusters say, whatever became of these.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{AudienceId, FragmentId, Timestamp};
use tessera_profile::Cluster;
use tessera_store::{Change, Key, Store, Table, Value};

use super::catalogue::load_catalogue;
use crate::PipelineError;
use crate::view::{Slot, View, key_of};

/// How many bytes of a time stand in a key: enough for the year 10,000.
const TIME_BYTES: usize = 6;

/// What the clusters of a view say, before they are changed.
#[derive(Debug, Default)]
pub(crate) struct Before {
    timers: BTreeSet<(u64, FragmentId)>,
    members: BTreeMap<AudienceId, u64>,
}

impl Before {
    pub(crate) fn of(view: &View) -> Self {
        let mut before = Self::default();
        for row in view.rows.values() {
            if let Slot::Cluster(cluster) = &row.now {
                before.add(cluster);
            }
        }
        before
    }

    fn add(&mut self, cluster: &Cluster) {
        let mut members: BTreeSet<(AudienceId, usize)> = BTreeSet::new();
        for (at, node) in cluster.graph().nodes().iter().enumerate() {
            let Some(fragment) = cluster.fragment(at) else { continue };
            if let Some(wakes_at) = fragment.wakes_at() {
                self.timers.insert((millis(wakes_at), node.id));
            }
            if !fragment.announced().is_empty() {
                let head = cluster.graph().component(at).next().unwrap_or(at);
                members.extend(fragment.announced().iter().map(|one| (one.audience, head)));
            }
        }
        for (audience, _) in members {
            *self.members.entry(audience).or_default() += 1;
        }
    }

    /// The rows that what became of the view changes.
    pub(crate) fn changes(&self, store: &impl Store, view: &View) -> Result<Vec<Change>, PipelineError> {
        let after = Self::of(view);
        let gone = self.timers.difference(&after.timers).map(|timer| Change {
            key: timer_key(timer),
            before: Some(timer_value(timer.1)),
            after: None,
        });
        let new = after.timers.difference(&self.timers).map(|timer| Change {
            key: timer_key(timer),
            before: None,
            after: Some(timer_value(timer.1)),
        });
        let mut changes: Vec<Change> = gone.chain(new).collect();
        let audiences: BTreeSet<&AudienceId> = self.members.keys().chain(after.members.keys()).collect();
        let of = |members: &BTreeMap<AudienceId, u64>, id: &AudienceId| members.get(id).copied().unwrap_or(0);
        for id in audiences {
            let (was, is) = (of(&self.members, id), of(&after.members, id));
            if was == is {
                continue;
            }
            let before = store.load(&[size_key(*id)])?.into_iter().next().flatten();
            let size = (size_in(before.as_deref())? + is).saturating_sub(was);
            let after = (size > 0).then(|| Value::from(size.to_le_bytes().as_slice()));
            changes.push(Change { key: size_key(*id), before, after });
        }
        Ok(changes)
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

fn size_key(id: AudienceId) -> Key {
    let id: Vec<u8> = b"size".iter().chain(&id.0).copied().collect();
    key_of(Table::Audience, &id)
}

fn size_in(value: Option<&[u8]>) -> Result<u64, PipelineError> {
    let Some(value) = value else { return Ok(0) };
    let bad = |_| PipelineError::Stored {
        what: "size of an audience",
        why: format!("it has {} bytes", value.len()),
    };
    value.try_into().map(u64::from_le_bytes).map_err(bad)
}

/// How many members an audience has, as far as they were announced.
///
/// # Errors
/// Those of the store.
pub fn audience_size(store: &impl Store, id: AudienceId) -> Result<u64, PipelineError> {
    size_in(store.load(&[size_key(id)])?.into_iter().next().flatten().as_deref())
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
    if load_catalogue(store)?.walk.is_some() {
        return Ok(Some(Timestamp::MIN));
    }
    let rows = store.scan(Table::Timer, from.map(time_bytes).as_deref(), 1)?;
    Ok(rows.first().and_then(|(key, _)| time_of(key)))
}
