//! [`Backing`]: what lies under the write-back cache.

use tessera_store::{Key, Position, StoreError, Table, Value};

/// One row of a checkpoint. `None`: removed.
pub type Row<'a> = (&'a Key, Option<&'a Value>);

/// Durable rows that only ever change by whole checkpoints.
///
/// Reads may run at any time, also while a checkpoint is being written: each then sees the rows of before or
/// of after it.
pub trait Backing: Send + Sync + 'static {
    /// The values of `keys`, in their order.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError>;

    /// Up to `limit` rows of `table` with ids greater than `after`, in id order.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize)
    -> Result<Vec<(Key, Value)>, StoreError>;

    /// Replaces `rows` (ascending keys, each once) and the position, all or nothing, and durably when this
    /// returns `Ok`. After an error, either nothing or all of it may be found; the caller writes it again.
    /// Never called by two threads at once.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn write_checkpoint(&self, rows: &[Row<'_>], position: Position) -> Result<(), StoreError>;

    /// The position of the last checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn position(&self) -> Result<Position, StoreError>;

    /// See [`tessera_store::Store::cursor`].
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// See [`tessera_store::Store::set_cursor`].
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError>;

    /// When this returns `Ok`, no byte of a value that was removed or replaced by a checkpoint before the call is in
    /// any file. Everything else may be called meanwhile. After an error or a crash the rows are as they were.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn compact(&self) -> Result<(), StoreError>;

    /// Bytes on disk.
    fn size_bytes(&self) -> u64;
}
