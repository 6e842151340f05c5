//! [`Generation`]: the rows changed since a checkpoint.
//!
//! Not shared while it changes: the write-back cache has the lock. Invariant: `bytes` is the sum over its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds};

use tessera_store::{Key, Table, Value};

use super::Row;

/// Memory that a row takes in a generation or in the clean cache, in bytes: 80 for key, pointer and links at
/// the usual fill of a hash table, 16 for the counts in front of the value, and the eighth that the allocator's
/// size classes round up.
pub(crate) fn row_bytes(value: Option<&Value>) -> u64 {
    let bytes = value.map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX / 2));
    96 + bytes + bytes / 8
}

/// A changed row: `None` is a removal.
type Changed = Option<Value>;

/// The rows changed since a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    // Clusters and seen pages are looked up for every event and almost never scanned: hashing takes a fifth
    // of the time of a tree. The others are few and delivery scans them all day.
    hashed: HashMap<Key, Changed, foldhash::fast::FixedState>,
    ordered: BTreeMap<Key, Changed>,
    bytes: u64,
}

impl Generation {
    /// The row, if it changed: `Some(None)` when it was removed.
    pub(crate) fn get(&self, key: &Key) -> Option<&Changed> {
        if is_hashed(key.table()) { self.hashed.get(key) } else { self.ordered.get(key) }
    }

    /// Changes a row.
    pub(crate) fn set(&mut self, key: Key, value: Changed) {
        self.bytes += row_bytes(value.as_ref());
        let old = if is_hashed(key.table()) {
            self.hashed.insert(key, value)
        } else {
            self.ordered.insert(key, value)
        };
        self.bytes -= old.map_or(0, |old| row_bytes(old.as_ref()));
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashed.is_empty() && self.ordered.is_empty()
    }

    /// All rows, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Changed)> {
        self.hashed.iter().chain(&self.ordered)
    }

    /// All rows in key order.
    pub(crate) fn sorted(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = self.iter().map(|(key, value)| (key, value.as_ref())).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }

    /// The rows of `table` from `start` on, in key order.
    pub(crate) fn range(&self, table: Table, start: Bound<Key>) -> Box<dyn Iterator<Item = Row<'_>> + '_> {
        if is_hashed(table) {
            let wanted = |key: &Key| key.table() == table && (start, Bound::Unbounded).contains(key);
            let rows = self.hashed.iter().filter(|(key, _)| wanted(key));
            let mut rows: Vec<Row<'_>> = rows.map(|(key, value)| (key, value.as_ref())).collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            Box::new(rows.into_iter())
        } else {
            let rows = self
                .ordered
                .range((start, Bound::Unbounded))
                .take_while(move |(key, _)| key.table() == table);
            Box::new(rows.map(|(key, value)| (key, value.as_ref())))
        }
    }
}

fn is_hashed(table: Table) -> bool {
    match table {
        Table::Cluster | Table::Seen => true,
        Table::Reject | Table::Workspace | Table::Count | Table::Outbox | Table::DeadLetter => false,
        Table::Account
        | Table::Request
        | Table::Erasure
        | Table::Review
        | Table::Contract
        | Table::Group
        | Table::Quality
        | Table::Matcher
        | Table::Lake => false,
    }
}
