//! [`WriteBack`]: commits in memory over a [`Backing`].
//!
//! Not durable between checkpoints, by design. Invariants: a row is looked for in the current generation, then
//! in the one being written, then in the clean cache, then in the backing, and the first that knows it is
//! right; the clean cache never holds a value older than the backing's.

use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use tessera_store::{Change, Changes, Key, Marks, Position, Store, StoreError, Table, Value};

use super::generation::{Generation, row_bytes};
use super::{Backing, FjallBacking, Row};

/// What the memory is for.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Memory for rows read or written lately, in bytes, their overhead included. 288 MiB unless set. Commits
    /// not yet in a checkpoint come on top.
    pub cache_bytes: u64,
    /// Memory for blocks of the engine's files, in bytes. 32 MiB unless set.
    pub block_cache_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 288 * 1024 * 1024, block_cache_bytes: 32 * 1024 * 1024 }
    }
}

/// The store of one machine.
pub type EmbeddedStore = WriteBack<FjallBacking>;

impl EmbeddedStore {
    /// Opens the store in `<folder>/store`, or makes it.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer Tessera wrote it, [`StoreError::Corrupt`] when it cannot be read,
    /// [`StoreError::Io`].
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::new(FjallBacking::open(folder, options.block_cache_bytes)?, options.cache_bytes)
    }
}

/// Commits in memory, written to `B` once per checkpoint however often a row changed.
#[derive(Debug)]
pub struct WriteBack<B> {
    backing: B,
    state: RwLock<State>,
    clean: Cache<Key, Option<Value>, RowWeight, foldhash::fast::FixedState>,
    cache_bytes: u64,
    marks: Arc<Marks>,
    /// Held for a whole commit: what was checked is still so when it is applied.
    committing: Mutex<()>,
    /// Held for a whole checkpoint.
    checkpointing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    current: Generation,
    flushing: Option<Arc<Generation>>,
    position: Position,
    durable_position: Position,
    /// How often `current` became `flushing`. While this stays the same, a row that is in neither is in the
    /// backing what it was.
    swaps: u64,
}

impl State {
    fn dirty(&self, key: &Key) -> Option<&Option<Value>> {
        self.current.get(key).or_else(|| self.flushing.as_ref().and_then(|flushing| flushing.get(key)))
    }

    /// The changed rows of `table` from `after` on, until `limit` of them are not removals.
    fn dirty_rows(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Vec<(Key, Option<Value>)> {
        let start = Key::scan_start(table, after);
        let mut current = self.current.range(table, start).peekable();
        let flushing = self.flushing.iter().flat_map(|generation| generation.range(table, start));
        let mut flushing = flushing.peekable();
        let mut rows = Vec::new();
        let mut live = 0;
        while live < limit {
            let Some((key, value)) = next_of_two(&mut current, &mut flushing) else { break };
            live += usize::from(value.is_some());
            rows.push((*key, value.cloned()));
        }
        rows
    }
}

/// The lesser next row of two; of two with one key the `newer`, and the other is passed over.
fn next_of_two<'a>(
    newer: &mut Peekable<impl Iterator<Item = Row<'a>>>,
    older: &mut Peekable<impl Iterator<Item = Row<'a>>>,
) -> Option<Row<'a>> {
    let Some((key, _)) = newer.peek() else { return older.next() };
    if let Some(row) = older.next_if(|(older_key, _)| older_key < key) {
        return Some(row);
    }
    older.next_if(|(older_key, _)| older_key == key);
    newer.next()
}

#[derive(Clone, Debug)]
struct RowWeight;

impl Weighter<Key, Option<Value>> for RowWeight {
    fn weight(&self, _: &Key, value: &Option<Value>) -> u64 {
        row_bytes(value.as_ref())
    }
}

/// Longest row that is kept for the next time when it is read.
const KEPT_WHEN_READ_BYTES_MAX: usize = 64;

/// Whether the row is one that is mostly read, not changed: a pointer, or none at all. A larger one is read to be changed
/// and comes into the cache with its checkpoint; to put it there before would push out another for nothing.
fn is_small(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.len() <= KEPT_WHEN_READ_BYTES_MAX)
}

/// A usual row, for the size of the cache's tables.
const ROW_BYTES_USUAL: u64 = 512;

impl<B: Backing> WriteBack<B> {
    /// A store on `backing`, as its last checkpoint left it.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when the position cannot be read.
    pub fn new(backing: B, cache_bytes: u64) -> Result<Self, StoreError> {
        let position = backing.position()?;
        let rows = usize::try_from(cache_bytes / ROW_BYTES_USUAL).unwrap_or(usize::MAX);
        // Ghosts remember keys that fell out. With uniform access they teach nothing and cost 56 bytes each.
        let options = OptionsBuilder::new()
            .weight_capacity(cache_bytes)
            .estimated_items_capacity(rows)
            .ghost_allocation(0.05)
            .shards(8)
            .build()
            .map_err(|error| StoreError::Corrupt { what: error.to_string() })?;
        let hasher = foldhash::fast::FixedState::default();
        let clean = Cache::with_options(options, RowWeight, hasher, DefaultLifecycle::default());
        let state = State { position, durable_position: position, ..State::default() };
        let (committing, checkpointing) = (Mutex::new(()), Mutex::new(()));
        let (state, marks) = (RwLock::new(state), Arc::default());
        Ok(Self { backing, state, clean, cache_bytes, marks, committing, checkpointing })
    }

    /// What lies under it.
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// Memory of rows read or written lately, in bytes.
    pub fn cached_bytes(&self) -> u64 {
        self.clean.weight()
    }

    fn check(&self, rows: &[Change]) -> Result<(), StoreError> {
        let mut clean = Vec::new();
        {
            let state = self.state.read();
            for row in rows {
                match state.dirty(&row.key) {
                    Some(now) => same_or_conflict(row, now.as_ref())?,
                    None => clean.push(row),
                }
            }
        }
        // Not dirty, and commits wait for each other: these cannot change until this one is done.
        let mut cold = Vec::new();
        for row in clean {
            match self.clean.peek(&row.key) {
                Some(now) => same_or_conflict(row, now.as_ref())?,
                None => cold.push(row),
            }
        }
        if cold.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = cold.iter().map(|row| row.key).collect();
        let values = self.backing.get(&keys)?;
        cold.iter().zip(&values).try_for_each(|(row, now)| same_or_conflict(row, now.as_ref()))
    }

    /// Fills the gaps of `values` from the backing, and keeps what it read for the next time.
    fn load_cold(
        &self,
        keys: &[Key],
        values: &mut [Option<Option<Value>>],
        swaps: u64,
    ) -> Result<(), StoreError> {
        let gaps = keys.iter().zip(values.iter()).filter(|(_, value)| value.is_none());
        let cold: Vec<Key> = gaps.map(|(key, _)| *key).collect();
        if cold.is_empty() {
            return Ok(());
        }
        let read = self.backing.get(&cold)?;
        {
            // With the lock, so that no checkpoint begins in between: one that has begun may already have put
            // something newer into the cache.
            let state = self.state.read();
            if state.swaps == swaps {
                let small = cold.iter().zip(&read).filter(|(_, value)| is_small(value.as_ref()));
                small.for_each(|(key, value)| self.clean.insert(*key, value.clone()));
            }
        }
        let gaps = values.iter_mut().filter(|value| value.is_none());
        gaps.zip(read).for_each(|(gap, value)| *gap = Some(value));
        Ok(())
    }

    /// Takes the generation to write, if there is anything that is not durable yet.
    fn begin_checkpoint(&self) -> Option<(Arc<Generation>, Position)> {
        let mut state = self.state.write();
        if state.current.is_empty() && state.position == state.durable_position {
            return None;
        }
        let generation = Arc::new(std::mem::take(&mut state.current));
        state.flushing = Some(Arc::clone(&generation));
        state.swaps += 1;
        Some((generation, state.position))
    }

    /// The rows are durable: they move into the clean cache.
    fn retire(&self, generation: &Generation, position: Position) {
        // Still findable as `flushing` until all are in the cache.
        for (key, value) in generation.iter() {
            match value {
                Some(value) => self.clean.insert(*key, Some(Arc::clone(value))),
                None => drop(self.clean.remove(key)),
            }
        }
        let mut state = self.state.write();
        state.flushing = None;
        state.durable_position = position;
    }

    /// The rows are not durable: they go back under those changed since.
    fn take_back(&self, generation: Arc<Generation>) {
        let mut state = self.state.write();
        state.flushing = None;
        let mut merged = Arc::try_unwrap(generation).unwrap_or_else(|shared| copy(&shared));
        for (key, value) in state.current.iter() {
            merged.set(*key, value.clone());
        }
        state.current = merged;
    }

    /// Up to `limit` rows; `None` when a checkpoint began meanwhile, which may have mixed two moments.
    fn try_scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Option<Rows>, StoreError> {
        let (dirty, swaps) = {
            let state = self.state.read();
            (state.dirty_rows(table, after, limit), state.swaps)
        };
        let mut dirty = dirty.into_iter().peekable();
        let mut rows = Vec::new();
        let mut after = after.map(<[u8]>::to_vec);
        loop {
            let page = self.backing.scan(table, after.as_deref(), limit)?;
            let page_is_last = page.len() < limit;
            after = page.last().map(|(key, _)| key.id().to_vec());
            merge(page, &mut dirty, &mut rows);
            if page_is_last {
                rows.extend(dirty.by_ref().filter_map(|(key, value)| Some((key, value?))));
            }
            if page_is_last || rows.len() >= limit {
                break;
            }
        }
        rows.truncate(limit);
        Ok((self.state.read().swaps == swaps).then_some(rows))
    }
}

type Rows = Vec<(Key, Value)>;

/// Appends `page` to `rows`, with the rows of `dirty` up to its end in their places.
fn merge(page: Rows, dirty: &mut Peekable<impl Iterator<Item = (Key, Option<Value>)>>, rows: &mut Rows) {
    for (key, value) in page {
        while let Some((dirty_key, value)) = dirty.next_if(|(dirty_key, _)| *dirty_key < key) {
            rows.extend(value.map(|value| (dirty_key, value)));
        }
        let value = match dirty.next_if(|(dirty_key, _)| *dirty_key == key) {
            Some((_, changed)) => changed,
            None => Some(value),
        };
        rows.extend(value.map(|value| (key, value)));
    }
}

fn same_or_conflict(change: &Change, now: Option<&Value>) -> Result<(), StoreError> {
    let same = match (&change.before, now) {
        (Some(before), Some(now)) => Arc::ptr_eq(before, now) || before == now,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if same { Ok(()) } else { Err(StoreError::Conflict { key: change.key }) }
}

fn copy(generation: &Generation) -> Generation {
    let mut copied = Generation::default();
    generation.iter().for_each(|(key, value)| copied.set(*key, value.clone()));
    copied
}

impl<B: Backing> Store for WriteBack<B> {
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let (mut values, swaps) = {
            let state = self.state.read();
            let values: Vec<_> = keys.iter().map(|key| state.dirty(key).cloned()).collect();
            (values, state.swaps)
        };
        for (key, value) in keys.iter().zip(&mut values).filter(|(_, value)| value.is_none()) {
            *value = self.clean.get(key);
        }
        self.load_cold(keys, &mut values, swaps)?;
        Ok(values.into_iter().map(Option::flatten).collect())
    }

    fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let _committing = self.committing.lock();
        self.check(&changes.rows)?;
        let keys: Vec<Key> = changes.rows.iter().map(|row| row.key).collect();
        self.marks.tell(&keys);
        {
            let mut state = self.state.write();
            changes.rows.into_iter().for_each(|row| state.current.set(row.key, row.after));
            state.position = changes.upto.unwrap_or(state.position);
        }
        // The old value is of no use to anybody now.
        for key in &keys {
            self.clean.remove(key);
        }
        self.marks.tell(&keys);
        Ok(())
    }

    fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    fn position(&self) -> Position {
        self.state.read().position
    }

    fn durable_position(&self) -> Position {
        self.state.read().durable_position
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        let _checkpointing = self.checkpointing.lock();
        let Some((generation, position)) = self.begin_checkpoint() else {
            return Ok(self.durable_position());
        };
        match self.backing.write_checkpoint(&generation.sorted(), position) {
            Ok(()) => {
                self.retire(&generation, position);
                Ok(position)
            }
            Err(error) => {
                self.take_back(generation);
                Err(error)
            }
        }
    }

    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Rows, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if let Some(rows) = self.try_scan(table, after, limit)? {
            return Ok(rows);
        }
        // Rare: a checkpoint began during the scan. The second time none can.
        let _checkpointing = self.checkpointing.lock();
        Ok(self.try_scan(table, after, limit)?.unwrap_or_default())
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.backing.cursor(name)
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        self.backing.set_cursor(name, value)
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.backing.compact()
    }

    fn size_bytes(&self) -> u64 {
        self.backing.size_bytes()
    }

    /// A sixth of the cache, at least 64 MiB (measured: ADR 0002): each checkpoint is one more sorted run that covers
    /// all keys, so the larger the store the dearer many small ones are to merge.
    fn checkpoint_bytes(&self) -> u64 {
        (self.cache_bytes / 6).max(64 * 1024 * 1024)
    }

    fn dirty_bytes(&self) -> u64 {
        let state = self.state.read();
        state.current.bytes() + state.flushing.as_ref().map_or(0, |flushing| flushing.bytes())
    }
}
