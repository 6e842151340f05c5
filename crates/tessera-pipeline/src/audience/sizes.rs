//! How many members each audience has, and how many entered and left on each day of the log's time, in UTC.
//!
//! Counted after each record, over the clusters that it changed, and told with the commit that the record is part of. People are counted:
//! members who turn out to be one person count as one who left, one who comes apart as one who entered, who is erased as one who
//! left. Invariants: who entered less who left, over all days, is the number of members; records that are one batch or several count the
//! same.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{AudienceId, FragmentId, Timestamp};
use tessera_profile::Cluster;
use tessera_store::{Change, Key, Store, Table, Value};

use super::catalogue::Catalogue;
use crate::PipelineError;
use crate::view::{Ordered, Slot, View, key_of, time_in, time_key};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const PAGE_ROWS: usize = 1_000;

/// Members by audience.
type Members = BTreeMap<AudienceId, u64>;

/// How many people became members, and how many are members no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    entered: u64,
    exited: u64,
}

impl Moved {
    fn change(self) -> i64 {
        0_i64.saturating_add_unsigned(self.entered).saturating_sub_unsigned(self.exited)
    }

    fn add(&mut self, other: Self) {
        self.entered = self.entered.saturating_add(other.entered);
        self.exited = self.exited.saturating_add(other.exited);
    }
}

/// A day of an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayOfSize {
    /// Its first moment, in UTC.
    pub day: Timestamp,
    /// How many people became members.
    pub entered: u64,
    /// How many are members no more.
    pub exited: u64,
    /// How many members there were at its end.
    pub members: u64,
}

/// What became of the members of audiences in one commit.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// The members in each loaded cluster after the record before.
    members: Ordered<FragmentId, Members>,
    /// Who was announced after this record.
    announced: BTreeMap<AudienceId, Moved>,
    days: BTreeMap<(AudienceId, u32), Moved>,
}

impl Sizes {
    pub(crate) fn of(view: &View) -> Self {
        let clusters = view.rows.iter().filter_map(|(id, row)| match &row.now {
            Slot::Cluster(cluster) => Some((*id, members_in(cluster))),
            Slot::Absent | Slot::Pointer(_) | Slot::Tombstone(_) => None,
        });
        let members = clusters.filter(|(_, members)| !members.is_empty()).collect();
        Self { members, announced: BTreeMap::new(), days: BTreeMap::new() }
    }

    /// A person was announced as a member of these, and as one no more of those.
    pub(crate) fn announce(
        &mut self,
        enters: impl Iterator<Item = AudienceId>,
        exits: impl Iterator<Item = AudienceId>,
    ) {
        for id in enters {
            self.announced.entry(id).or_default().entered += 1;
        }
        // Several fragments of one person may have been announced.
        for id in exits.collect::<BTreeSet<_>>() {
            self.announced.entry(id).or_default().exited += 1;
        }
    }

    /// A record of this time is done: counts whom it made a member, and who is one no more.
    pub(crate) fn count(&mut self, view: &mut View, at: Timestamp) {
        let mut changes: BTreeMap<AudienceId, i64> = BTreeMap::new();
        for root in view.take_touched() {
            let now = view.cluster(root).map(members_in).unwrap_or_default();
            let was = if now.is_empty() {
                self.members.swap_remove(&root)
            } else {
                self.members.insert(root, now.clone())
            };
            for (id, count) in now {
                let change = changes.entry(id).or_default();
                *change = change.saturating_add_unsigned(count);
            }
            for (id, count) in was.unwrap_or_default() {
                let change = changes.entry(id).or_default();
                *change = change.saturating_sub_unsigned(count);
            }
        }
        let mut moved = std::mem::take(&mut self.announced);
        for (id, change) in changes {
            let moved = moved.entry(id).or_default();
            // What nobody was asked for: merges, splits, erasures.
            let rest = change.saturating_sub(moved.change());
            let count = rest.unsigned_abs();
            let (entered, exited) = if rest > 0 { (count, 0) } else { (0, count) };
            moved.add(Moved { entered, exited });
        }
        moved.retain(|_, moved| *moved != Moved::default());
        if !moved.is_empty() {
            let day = day_of(view.log_time(at));
            moved.into_iter().for_each(|(id, moved)| self.days.entry((id, day)).or_default().add(moved));
        }
    }

    /// The rows that this changes. Those of the audiences that are `gone` are removed.
    pub(crate) fn changes(
        self,
        store: &impl Store,
        gone: &BTreeSet<AudienceId>,
    ) -> Result<Vec<Change>, PipelineError> {
        let mut changes = Vec::new();
        let mut sizes: BTreeMap<AudienceId, i64> = BTreeMap::new();
        for ((id, _), moved) in &self.days {
            *sizes.entry(*id).or_default() += moved.change();
        }
        sizes.retain(|_, change| *change != 0);
        let keys: Vec<Key> = sizes.keys().map(|id| size_key(*id)).collect();
        for ((key, before), change) in loaded(store, keys)?.zip(sizes.into_values()) {
            let size = size_in(before.as_deref())?.saturating_add_signed(change);
            let after = (size > 0).then(|| Value::from(size.to_le_bytes().as_slice()));
            changes.push(Change { key, before, after });
        }
        let days: Vec<_> = self.days.into_iter().filter(|((id, _), _)| !gone.contains(id)).collect();
        let keys: Vec<Key> = days.iter().map(|((id, day), _)| day_key(*id, *day)).collect();
        for ((key, before), (_, moved)) in loaded(store, keys)?.zip(days) {
            let mut sum = moved_in(before.as_deref())?;
            sum.add(moved);
            changes.push(Change { key, before, after: Some(moved_row(sum)) });
        }
        for id in gone {
            let removed = days_of(store, *id)?.into_iter();
            changes.extend(removed.map(|(key, row)| Change { key, before: Some(row), after: None }));
        }
        Ok(changes)
    }
}

/// How many people of a cluster are members of what.
fn members_in(cluster: &Cluster) -> Members {
    let mut people: BTreeSet<(AudienceId, usize)> = BTreeSet::new();
    for at in 0..cluster.len() {
        let Some(fragment) = cluster.fragment(at).filter(|one| !one.announced().is_empty()) else { continue };
        let head = cluster.graph().component(at).next().unwrap_or(at);
        people.extend(fragment.announced().iter().map(|one| (one.audience, head)));
    }
    let mut members = Members::new();
    people.into_iter().for_each(|(id, _)| *members.entry(id).or_default() += 1);
    members
}

/// Keys with their rows.
fn loaded(
    store: &impl Store,
    keys: Vec<Key>,
) -> Result<impl Iterator<Item = (Key, Option<Value>)>, PipelineError> {
    let rows = if keys.is_empty() { Vec::new() } else { store.load(&keys)? };
    Ok(keys.into_iter().zip(rows))
}

/// The rows of all days of an audience.
fn days_of(store: &impl Store, id: AudienceId) -> Result<Vec<(Key, Value)>, PipelineError> {
    let prefix = day_prefix(id);
    let (mut days, mut after) = (Vec::new(), prefix.clone());
    loop {
        let page = store.scan(Table::Audience, Some(&after), PAGE_ROWS)?;
        let is_last = page.len() < PAGE_ROWS;
        for (key, value) in page {
            if !key.id().starts_with(&prefix) {
                return Ok(days);
            }
            after = key.id().to_vec();
            days.push((key, value));
        }
        if is_last {
            return Ok(days);
        }
    }
}

fn bad_length(what: &'static str, row: &[u8]) -> PipelineError {
    PipelineError::Stored { what, why: format!("it has {} bytes", row.len()) }
}

/// The number of a day, from 1970-01-01 on.
fn day_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().div_euclid(DAY_MILLIS)).unwrap_or(0)
}

fn size_key(id: AudienceId) -> Key {
    let id: Vec<u8> = b"size".iter().chain(&id.0).copied().collect();
    key_of(Table::Audience, &id)
}

fn day_prefix(id: AudienceId) -> Vec<u8> {
    b"day".iter().chain(&id.0).copied().collect()
}

fn day_key(id: AudienceId, day: u32) -> Key {
    let id: Vec<u8> = day_prefix(id).into_iter().chain(day.to_be_bytes()).collect();
    key_of(Table::Audience, &id)
}

fn size_in(row: Option<&[u8]>) -> Result<u64, PipelineError> {
    let Some(row) = row else { return Ok(0) };
    row.try_into().map(u64::from_le_bytes).map_err(|_| bad_length("size of an audience", row))
}

fn moved_row(moved: Moved) -> Value {
    let counts = [moved.entered.to_le_bytes(), moved.exited.to_le_bytes()];
    Value::from(counts.as_flattened())
}

fn moved_in(row: Option<&[u8]>) -> Result<Moved, PipelineError> {
    let Some(row) = row else { return Ok(Moved::default()) };
    match row.as_chunks::<8>() {
        ([entered, exited], []) => {
            Ok(Moved { entered: u64::from_le_bytes(*entered), exited: u64::from_le_bytes(*exited) })
        }
        _ => Err(bad_length("day of an audience", row)),
    }
}

/// How many members an audience has, as far as they were announced.
///
/// # Errors
/// Those of the store.
pub fn audience_size(store: &impl Store, id: AudienceId) -> Result<u64, PipelineError> {
    size_in(store.load(&[size_key(id)])?.into_iter().next().flatten().as_deref())
}

impl Catalogue {
    /// So many days of an audience up to today, the earliest first: all as of one moment. The last is the log's day if that is later
    /// than `today`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn days_of_audience(
        store: &impl Store,
        id: AudienceId,
        (today, count): (Timestamp, u32),
    ) -> Result<Vec<DayOfSize>, PipelineError> {
        let mut last = day_of(today);
        loop {
            let first = last.saturating_sub(count.saturating_sub(1));
            let days = (first..=last).rev().map(|day| day_key(id, day));
            let rows = store.load(&[time_key(), size_key(id)].into_iter().chain(days).collect::<Vec<_>>())?;
            let mut rows = rows.iter().map(Option::as_deref);
            let log_day = day_of(time_in(rows.next().flatten())?);
            if log_day > last {
                last = log_day;
                continue;
            }
            // Counted from now back: what happened before the first of them is not needed.
            let mut members = size_in(rows.next().flatten())?;
            let mut days = Vec::new();
            for (number, row) in (first..=last).rev().zip(rows) {
                let moved = moved_in(row)?;
                let day = Timestamp::from_millis(i64::from(number) * DAY_MILLIS);
                days.push(DayOfSize { day, entered: moved.entered, exited: moved.exited, members });
                members = members.saturating_add_signed(moved.change().saturating_neg());
            }
            days.reverse();
            return Ok(days);
        }
    }
}
