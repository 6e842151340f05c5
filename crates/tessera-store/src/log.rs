//! The log seam: an ordered, durable list of records. The source of truth.

use std::ops::Range;
use std::sync::Arc;

use tessera_model::Timestamp;

use crate::LogError;

/// A place in the log. Ordered; opaque outside the implementation (the segment log uses byte offsets, so
/// positions are not consecutive). `Position::START` is before the first record ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// Where an empty log begins.
    pub const START: Self = Self(0);
}

/// One record as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the record is.
    pub position: Position,
    /// Where the next record is, or will be: read from here to go on.
    pub next: Position,
    /// The record's bytes, as appended.
    pub record: Arc<[u8]>,
}

/// From the oldest record kept (`start`) to where the next will go (`end`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Position of the oldest record kept.
    pub start: Position,
    /// Position that the next append will get. All before it is durable.
    pub end: Position,
}

/// What retention may throw away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records appended before this time may go.
    pub before: Timestamp,
    /// The oldest records may also go, whatever their age, while the log holds more bytes than this.
    pub bytes_max: u64,
    /// Nothing at or after this position goes: the pipeline still needs it.
    pub upto: Position,
}

/// What a [`Log::rewrite`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Records that were replaced.
    pub records: u64,
    /// Segments (or what an implementation has instead) that were written anew for it.
    pub segments: u64,
    /// Bytes of the records that were replaced.
    pub bytes: u64,
}

/// Is shown a record of the log and may give other bytes for it: see [`Log::rewrite`].
pub type Replace<'a> = dyn FnMut(Position, &[u8]) -> Option<Vec<u8>> + 'a;

/// An ordered, durable list of records.
///
/// Implementations are shared between threads; appends are serialised inside.
pub trait Log: Send + Sync + 'static {
    /// Appends `records` in order and returns the position of each. When this returns `Ok`, all are durable
    /// (one write and one fsync for them all). On `Err` none of them will ever be read, and the log stays
    /// usable: a later append may succeed (say, once there is disk space again).
    ///
    /// `now` is kept with the records for retention by time.
    ///
    /// # Errors
    /// [`LogError::Append`] names the file; [`LogError::RecordTooLarge`] names the limit.
    fn append(&self, records: &[&[u8]], now: Timestamp) -> Result<Vec<Position>, LogError>;

    /// Reads whole records from `from` on, until `bytes_max` is reached (at least one, if there is one).
    /// Empty at the end of the log. `from` must be a position that this log gave out, or
    /// [`Position::START`], which means the oldest record kept.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] names file and offset; [`LogError::Discarded`] when retention has removed it.
    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Entry>, LogError>;

    /// Oldest position kept and position of the next append.
    fn bounds(&self) -> Bounds;

    /// Bytes on disk.
    fn size_bytes(&self) -> u64;

    /// Where retention would cut: the greatest position such that all before it may go. Whole segments only,
    /// so it may keep more than asked for. Deletes nothing.
    fn cut(&self, retention: &Retention) -> Position;

    /// Deletes whole segments that lie before `upto`.
    ///
    /// # Errors
    /// [`LogError::Io`] when a file cannot be removed.
    fn discard_before(&self, upto: Position) -> Result<(), LogError>;

    /// Shows every record of `range` to `each`, in order and once, and replaces those for which it returns other
    /// bytes. These must be as many as before: positions, lengths and append times never change. What is discarded
    /// meanwhile may or may not be shown; what is appended meanwhile is not.
    ///
    /// When this returns `Ok` the old bytes are in no file of the log, whatever crashes, and no later
    /// [`Log::read`] nor one that is still running returns them; entries that were read before are the reader's.
    /// A crash, or an error, leaves each segment as it was or rewritten whole: call it again. Appends and reads go
    /// on meanwhile, and `each` may make them; it must not rewrite.
    ///
    /// # Errors
    /// [`LogError::Resized`] when `each` returns another length, [`LogError::Corrupt`] when a record of `range`
    /// cannot be read, [`LogError::Io`].
    fn rewrite(&self, range: Range<Position>, each: &mut Replace<'_>) -> Result<Rewritten, LogError>;
}
