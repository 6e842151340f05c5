//! [`SimBacking`]: a disk for the simulator.
//!
//! Not durable: it lives as long as its last clone. Invariant: a checkpoint changes all of it or nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tessera_store::{Key, Position, StoreError, Table, Value};

use super::{Backing, Row};

/// How a checkpoint goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointFault {
    /// The disk is full: an error, and nothing is durable.
    BeforeDurable,
    /// An error although everything is durable: the answer was lost.
    AfterDurable,
}

/// A disk in memory. Clones are the same disk: to crash, drop the store and open a new one on a clone.
#[derive(Clone, Debug, Default)]
pub struct SimBacking {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    rows: BTreeMap<Key, Value>,
    position: Position,
    cursors: BTreeMap<String, u64>,
    fault: Option<CheckpointFault>,
}

impl SimBacking {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next checkpoint go wrong.
    pub fn fail_next_checkpoint(&self, fault: CheckpointFault) {
        self.disk.lock().fault = Some(fault);
    }

    /// Takes back what [`Self::fail_next_checkpoint`] set, if no checkpoint has met it.
    pub fn clear_fault(&self) {
        self.disk.lock().fault = None;
    }
}

impl Backing for SimBacking {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let disk = self.disk.lock();
        Ok(keys.iter().map(|key| disk.rows.get(key).cloned()).collect())
    }

    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        let disk = self.disk.lock();
        let rows = disk.rows.range((Key::scan_start(table, after), Bound::Unbounded));
        let rows = rows.take_while(|(key, _)| key.table() == table).take(limit);
        Ok(rows.map(|(key, value)| (*key, Arc::clone(value))).collect())
    }

    fn write_checkpoint(&self, rows: &[Row<'_>], position: Position) -> Result<(), StoreError> {
        let mut disk = self.disk.lock();
        let fault = disk.fault.take();
        if fault != Some(CheckpointFault::BeforeDurable) {
            for (key, value) in rows {
                match value {
                    Some(value) => disk.rows.insert(**key, Arc::clone(value)),
                    None => disk.rows.remove(key),
                };
            }
            disk.position = position;
        }
        fault.map_or(Ok(()), |fault| {
            let source =
                std::io::Error::new(std::io::ErrorKind::StorageFull, format!("simulated: {fault:?}"));
            Err(StoreError::Io { action: "checkpoint", folder: PathBuf::from("simulated"), source })
        })
    }

    fn position(&self) -> Result<Position, StoreError> {
        Ok(self.disk.lock().position)
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.disk.lock().cursors.get(name).copied())
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        self.disk.lock().cursors.insert(name.to_owned(), value);
        Ok(())
    }

    fn compact(&self) -> Result<(), StoreError> {
        // Nothing is ever kept but the rows.
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let disk = self.disk.lock();
        disk.rows.values().map(|value| u64::try_from(value.len()).unwrap_or(u64::MAX)).sum()
    }
}
