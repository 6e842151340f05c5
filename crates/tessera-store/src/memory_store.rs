//! [`MemoryStore`]: the store in plain memory.
//!
//! Not durable: the process takes it along. It still has a checkpoint and a [`crash`](MemoryStore::crash), so
//! that the simulator sees the same rules as with a store on disk. Invariant: `before_checkpoint` holds, for
//! every key changed since the checkpoint, the value it had then.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Change, Changes, Key, Marks, Position, Store, StoreError, Table, Value};

/// A store that lives as long as its value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    marks: Arc<Marks>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Value>,
    position: Position,
    before_checkpoint: BTreeMap<Key, Option<Value>>,
    durable_position: Position,
    cursors: BTreeMap<String, u64>,
}

impl MemoryStore {
    /// An empty store at [`Position::START`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what a crash does: takes back every commit since the last checkpoint. Cursors stay.
    pub fn crash(&self) {
        self.marks.tell_of_all();
        let mut state = self.state.lock();
        for (key, before) in std::mem::take(&mut state.before_checkpoint) {
            match before {
                Some(value) => state.rows.insert(key, value),
                None => state.rows.remove(&key),
            };
        }
        state.position = state.durable_position;
        drop(state);
        self.marks.tell_of_all();
    }
}

impl State {
    fn check(&self, change: &Change) -> Result<(), StoreError> {
        let same = match (self.rows.get(&change.key), &change.before) {
            (Some(now), Some(before)) => Arc::ptr_eq(now, before) || now == before,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if same { Ok(()) } else { Err(StoreError::Conflict { key: change.key }) }
    }

    fn apply(&mut self, change: Change) {
        let before = match change.after {
            Some(value) => self.rows.insert(change.key, value),
            None => self.rows.remove(&change.key),
        };
        self.before_checkpoint.entry(change.key).or_insert(before);
    }
}

impl Store for MemoryStore {
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let state = self.state.lock();
        Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
    }

    fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        changes.rows.iter().try_for_each(|change| state.check(change))?;
        let keys: Vec<Key> = changes.rows.iter().map(|row| row.key).collect();
        self.marks.tell(&keys);
        changes.rows.into_iter().for_each(|change| state.apply(change));
        state.position = changes.upto.unwrap_or(state.position);
        // Nobody loads while the state is locked.
        self.marks.tell(&keys);
        Ok(())
    }

    fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    fn position(&self) -> Position {
        self.state.lock().position
    }

    fn durable_position(&self) -> Position {
        self.state.lock().durable_position
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        let mut state = self.state.lock();
        state.before_checkpoint.clear();
        state.durable_position = state.position;
        Ok(state.durable_position)
    }

    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        let state = self.state.lock();
        let rows = state
            .rows
            .range((Key::scan_start(table, after), Bound::Unbounded))
            .take_while(|(key, _)| key.table() == table);
        Ok(rows.take(limit).map(|(key, value)| (*key, Arc::clone(value))).collect())
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.state.lock().cursors.get(name).copied())
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        self.state.lock().cursors.insert(name.to_owned(), value);
        Ok(())
    }

    fn compact(&self) -> Result<(), StoreError> {
        // Old values are kept for a crash only.
        self.checkpoint().map(drop)
    }

    fn size_bytes(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::store::{Harness, run};

    struct Memory(MemoryStore);

    impl Harness for Memory {
        fn store(&self) -> &dyn Store {
            &self.0
        }

        fn crash(&mut self) {
            self.0.crash();
        }
    }

    #[test]
    fn memory_store_keeps_every_promise_of_a_store() {
        run(|| Box::new(Memory(MemoryStore::new())));
    }
}
