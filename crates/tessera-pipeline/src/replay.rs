//! The same log gives the same state: replaying it, and comparing.

use std::fmt;
use std::sync::Arc;

use tessera_model::HashKey;
use tessera_store::{Clock, Key, Log, Position, Store, Table};

use crate::{Pipeline, PipelineError, PipelineOptions};

/// A hash over every row that is a function of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash([u8; 32]);

impl fmt::Display for StateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The state hash of a store, and how many rows went into it. The store must be quiet.
///
/// # Errors
/// Those of the store.
pub fn state_hash(store: &impl Store) -> Result<(StateHash, u64), PipelineError> {
    let mut hasher = blake3::Hasher::new();
    let mut rows = 0;
    for_each_row(store, &Table::STATE, |key, value| {
        for part in [key.id(), value] {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part);
        }
        rows += 1;
        Ok(())
    })?;
    Ok((StateHash(*hasher.finalize().as_bytes()), rows))
}

/// Calls `each` for every row of `tables`, in key order.
pub(crate) fn for_each_row(
    store: &impl Store,
    tables: &[Table],
    mut each: impl FnMut(&Key, &[u8]) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    for table in tables {
        let mut after: Option<Key> = None;
        loop {
            let rows = store.scan(*table, after.as_ref().map(Key::id), 4096)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(*last);
            for (key, value) in &rows {
                each(key, value)?;
            }
        }
    }
    Ok(())
}

/// Replays the log into `store` from where it stands up to `upto`, telling `progress` the position now and then.
///
/// # Errors
/// [`PipelineError`].
pub fn replay_into<L: Log, S: Store>(
    log: &Arc<L>,
    store: &Arc<S>,
    key: &HashKey,
    clock: &Arc<dyn Clock>,
    upto: Position,
    options: PipelineOptions,
    mut progress: impl FnMut(Position),
) -> Result<(), PipelineError> {
    let mut pipeline =
        Pipeline::open(Arc::clone(log), Arc::clone(store), key.clone(), Arc::clone(clock), options)?;
    while pipeline.step(upto)? > 0 {
        progress(pipeline.position());
        let behind = pipeline.position().0.saturating_sub(store.durable_position().0);
        if store.dirty_bytes() > store.checkpoint_bytes() || behind > 4 * store.checkpoint_bytes() {
            store.checkpoint()?;
        }
    }
    store.checkpoint()?;
    Ok(())
}
