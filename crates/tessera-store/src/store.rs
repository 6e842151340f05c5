//! The store seam: `load` and `commit`.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::{Marks, Position, StoreError};

/// A stored value. Shared, so that a cache, a view and a commit can hold the same bytes.
pub type Value = Arc<[u8]>;

/// What kind of thing a key names. The number is the first byte of the key on disk and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Identity clusters with their fragments, and pointers to them.
    Cluster = 1,
    /// De-duplication pages of busy fragments.
    Seen = 2,
    /// Rejects.
    Reject = 3,
    /// The applied workspace.
    Workspace = 4,
    /// Counts that belong to the state (events applied, denied by reason).
    Count = 5,
    /// Outbox rows, one range per destination. Not part of the state hash: delivery empties it.
    Outbox = 6,
    /// Dead letters. Not part of the state hash.
    DeadLetter = 7,
    /// Accounts of the admin API.
    Account = 8,
    /// Data-subject requests.
    Request = 9,
    /// Erasures that were ordered: who, as fragments only.
    Erasure = 10,
    /// Pairs that stewards review, and undos that were ordered.
    Review = 11,
    /// Tracking plans: counts of violations, what was seen of events, alerts.
    Contract = 12,
    /// Who belongs to which group: a row for each pair of group and profile.
    Group = 13,
    /// Audits of the data's quality.
    Quality = 14,
    /// Which events the lake is still to get, by place in the log. Not part of the state hash: the lake empties it.
    Lake = 15,
    /// What matchers have learned.
    Matcher = 16,
    /// What is kept of audiences besides who is a member: how far they are filled, how many members they have.
    Audience = 17,
    /// When whose answers have to be asked for again, in the order of time.
    Timer = 18,
    /// As whose members destinations were told that people are. Not part of the state hash: delivery makes it.
    Told = 19,
}

impl Table {
    /// Every table, in key order.
    pub const ALL: [Self; 19] = [
        Self::Cluster,
        Self::Seen,
        Self::Reject,
        Self::Workspace,
        Self::Count,
        Self::Outbox,
        Self::DeadLetter,
        Self::Account,
        Self::Request,
        Self::Erasure,
        Self::Review,
        Self::Contract,
        Self::Group,
        Self::Quality,
        Self::Lake,
        Self::Matcher,
        Self::Audience,
        Self::Timer,
        Self::Told,
    ];
    /// The tables that are a function of the log alone, and so make the state hash.
    pub const STATE: [Self; 15] = [
        Self::Cluster,
        Self::Seen,
        Self::Reject,
        Self::Workspace,
        Self::Count,
        Self::Account,
        Self::Request,
        Self::Erasure,
        Self::Review,
        Self::Contract,
        Self::Group,
        Self::Quality,
        Self::Matcher,
        Self::Audience,
        Self::Timer,
    ];
}

/// Names one value: a table and up to 22 bytes. Ordered by table, then by the bytes as unsigned, then length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    table: Table,
    len: u8,
    bytes: [u8; Key::ID_BYTES_MAX],
}

impl Key {
    /// The longest id, in bytes.
    pub const ID_BYTES_MAX: usize = 22;

    /// A key of `table`. `None` when `id` is longer than [`Self::ID_BYTES_MAX`].
    #[must_use]
    pub fn new(table: Table, id: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::ID_BYTES_MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { table, len: u8::try_from(id.len()).ok()?, bytes })
    }

    /// Where a [`Store::scan`] of `table` begins: past every id that is not greater than `after`.
    #[must_use]
    pub fn scan_start(table: Table, after: Option<&[u8]>) -> Bound<Self> {
        let Some(after) = after else {
            return Bound::Included(Self { table, len: 0, bytes: [0; Self::ID_BYTES_MAX] });
        };
        // An id equal to the first 22 bytes of a longer `after` is smaller than it, so cutting loses nothing.
        let mut bytes = [0; Self::ID_BYTES_MAX];
        let mut len = 0;
        for (to, from) in bytes.iter_mut().zip(after) {
            *to = *from;
            len += 1;
        }
        Bound::Excluded(Self { table, len, bytes })
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// The id within the table.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.table, self.id()).cmp(&(other.table, other.id()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/", self.table)?;
        self.id().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One changed key.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which value.
    pub key: Key,
    /// What it was when loaded (`None`: absent). The commit conflicts if it is something else by now.
    /// Pass the very `Arc` that `load` gave: equal pointers need no comparison of bytes.
    pub before: Option<Value>,
    /// What it becomes (`None`: removed).
    pub after: Option<Value>,
}

/// All that one batch changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The changed keys, each at most once.
    pub rows: Vec<Change>,
    /// The log position that the state now includes everything before. `None`: the position does not move
    /// (a delivery removing its outbox rows, say).
    pub upto: Option<Position>,
}

/// Operational state behind `load` and `commit`.
///
/// A commit is visible to every later `load` and `scan` at once and whole. It survives a crash from the next
/// [`Store::checkpoint`] on; until then a crash takes *all* commits since the last checkpoint back, position
/// included, and the log brings them again.
pub trait Store: Send + Sync + 'static {
    /// The values of `keys`, in their order; `None` for an absent one.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError>;

    /// Applies `changes`, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a key is no longer what its `before` says: nothing is changed.
    fn commit(&self, changes: Changes) -> Result<(), StoreError>;

    /// Tells which rows of [`Table::Cluster`] have changed.
    fn marks(&self) -> &Arc<Marks>;

    /// The position of the last commit.
    fn position(&self) -> Position;

    /// The position that a crash would fall back to.
    fn durable_position(&self) -> Position;

    /// Makes every commit before the call durable, and returns the position that is durable now.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the commits stay visible and the checkpoint can be tried again.
    fn checkpoint(&self) -> Result<Position, StoreError>;

    /// Up to `limit` rows of `table` with ids greater than `after` (from the first: `None`), in id order,
    /// as of some moment during the call.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`].
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize)
    -> Result<Vec<(Key, Value)>, StoreError>;

    /// A small named number that is durable when [`Store::set_cursor`] returns, whatever becomes of the commits
    /// around it: how far a destination has been served. Names are up to 255 bytes. `None`: never set.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Sets a cursor durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError>;

    /// Makes every commit before the call durable and then forgets what no row holds any more: when this returns `Ok`,
    /// no byte of a value that was removed or replaced before the call is in any file of the store. A slow call:
    /// it writes all rows once, and needs as much room on disk again. Everything else goes on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`]. The rows are as they were; call it again, as after a crash.
    fn compact(&self) -> Result<(), StoreError>;

    /// Bytes on disk, 0 when the store is in memory only.
    fn size_bytes(&self) -> u64;

    /// Bytes of memory that commits not yet durable hold; 0 when commits are durable at once. Whoever commits
    /// starts a checkpoint when this is [`Store::checkpoint_bytes`], and waits for one when it is twice as large.
    fn dirty_bytes(&self) -> u64 {
        0
    }

    /// How many dirty bytes make a checkpoint worth its cost.
    fn checkpoint_bytes(&self) -> u64 {
        64 * 1024 * 1024
    }
}
