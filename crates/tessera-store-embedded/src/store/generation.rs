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

type Shard = HashMap<Key, Changed, foldhash::fast::FixedState>;

/// How many parts a hashed table is in: a power of two up to 65,536. Some hundred rows are in each before a checkpoint.
const SHARDS: usize = 1024;

/// The rows changed since a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    // Clusters and seen pages are looked up for every event and seldom scanned: hashing takes a fifth of the time of a
    // tree. Their ids are hashes, so parts by the first bits are alike in size, and a scan sorts only the parts that it
    // comes to. The others are few and delivery scans them all day.
    hashed: Sharded,
    ordered: BTreeMap<Key, Changed>,
    bytes: u64,
}

/// The rows of hashed tables: for each table its parts, in the order of their ids.
#[derive(Debug)]
struct Sharded(Vec<Shard>);

impl Default for Sharded {
    fn default() -> Self {
        Self(vec![Shard::default(); HASHED.len() * SHARDS])
    }
}

impl Sharded {
    /// The place of a table's part for ids that begin so.
    fn place(table: usize, id: &[u8]) -> usize {
        let byte = |index: usize| usize::from(id.get(index).copied().unwrap_or_default());
        table * SHARDS + (byte(0) << 8 | byte(1)) * SHARDS / (1 << 16)
    }

    fn shard(&self, table: usize, key: &Key) -> Option<&Shard> {
        self.0.get(Self::place(table, key.id()))
    }

    fn shard_mut(&mut self, table: usize, key: &Key) -> Option<&mut Shard> {
        self.0.get_mut(Self::place(table, key.id()))
    }

    /// The rows of a table from `start` on, in key order; sorts no part before it is come to.
    fn range(&self, table: usize, start: Bound<Key>) -> impl Iterator<Item = Row<'_>> {
        let first = match &start {
            Bound::Included(key) | Bound::Excluded(key) => Self::place(table, key.id()),
            Bound::Unbounded => table * SHARDS,
        };
        let shards = self.0.get(first..(table + 1) * SHARDS).unwrap_or_default();
        shards.iter().flat_map(move |shard| {
            let rows = shard.iter().filter(|(key, _)| (start, Bound::Unbounded).contains(*key));
            let mut rows: Vec<Row<'_>> = rows.map(|(key, value)| (key, value.as_ref())).collect();
            rows.sort_unstable_by_key(|(key, _)| *key);
            rows
        })
    }
}

impl Generation {
    /// The row, if it changed: `Some(None)` when it was removed.
    pub(crate) fn get(&self, key: &Key) -> Option<&Changed> {
        match hashed(key.table()) {
            Some(table) => self.hashed.shard(table, key)?.get(key),
            None => self.ordered.get(key),
        }
    }

    /// Changes a row.
    pub(crate) fn set(&mut self, key: Key, value: Changed) {
        self.bytes += row_bytes(value.as_ref());
        let old = match hashed(key.table()) {
            Some(table) => self.hashed.shard_mut(table, &key).and_then(|shard| shard.insert(key, value)),
            None => self.ordered.insert(key, value),
        };
        self.bytes -= old.map_or(0, |old| row_bytes(old.as_ref()));
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.hashed.0.iter().all(HashMap::is_empty) && self.ordered.is_empty()
    }

    /// All rows, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Changed)> {
        self.hashed.0.iter().flatten().chain(&self.ordered)
    }

    /// All rows in key order.
    pub(crate) fn sorted(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<Row<'_>> = self.iter().map(|(key, value)| (key, value.as_ref())).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }

    /// The rows of `table` from `start` on, in key order.
    pub(crate) fn range(&self, table: Table, start: Bound<Key>) -> Box<dyn Iterator<Item = Row<'_>> + '_> {
        if let Some(table) = hashed(table) {
            return Box::new(self.hashed.range(table, start));
        }
        let rows =
            self.ordered.range((start, Bound::Unbounded)).take_while(move |(key, _)| key.table() == table);
        Box::new(rows.map(|(key, value)| (key, value.as_ref())))
    }
}

/// The tables that are looked up all day.
const HASHED: [Table; 2] = [Table::Cluster, Table::Seen];

/// The number of a table that is hashed.
fn hashed(table: Table) -> Option<usize> {
    HASHED.iter().position(|hashed| *hashed == table)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        let table = prop::sample::select(vec![Table::Cluster, Table::Seen, Table::Count]);
        // Short ids, and ids of one part that differ late.
        let byte = prop::sample::select(vec![0_u8, 63, 64, 127, 255]);
        (table, prop::collection::vec(byte, 0..5)).prop_map(|(table, id)| Key::new(table, &id).unwrap())
    }

    proptest! {
        #[test]
        fn a_range_is_what_is_there_in_order(
            keys in prop::collection::vec(key(), 0..60),
            start in key(),
        ) {
            let mut generation = Generation::default();
            for key in &keys {
                generation.set(*key, None);
            }
            for bound in [Bound::Included(start), Bound::Excluded(start)] {
                let mut wanted: Vec<Key> = keys
                    .iter()
                    .copied()
                    .filter(|key| key.table() == start.table() && (bound, Bound::Unbounded).contains(key))
                    .collect();
                wanted.sort_unstable();
                wanted.dedup();
                let found: Vec<Key> = generation.range(start.table(), bound).map(|(key, _)| *key).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
