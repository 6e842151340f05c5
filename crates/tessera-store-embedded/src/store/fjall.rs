//! [`FjallBacking`]: checkpoints in a log-structured merge tree.
//!
//! Not used as fjall usually is: rows bypass its journal and its memtable. A checkpoint is one ingested run,
//! the position among its rows. Invariant: fjall syncs the run's files and their folder before it syncs and
//! renames the version that names them (`table/writer`, `version/persist` of lsm-tree 3.1), so a crash finds
//! the whole checkpoint or none of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    PinningPolicy,
};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::{Mutex, RwLock};
use tessera_store::{Key, Position, StoreError, Table, Value};

use super::folder::Folder;
use super::{Backing, Row};

/// The key of the position: no table has the number 0, so it sorts before every row.
const POSITION_KEY: [u8; 1] = [0];
/// What every key of the cursors begins with: the engine takes no empty keys.
const CURSOR_PREFIX: u8 = b'c';

/// Checkpoints on disk.
pub struct FjallBacking {
    folder: Folder,
    block_cache_bytes: u64,
    /// `None` while it is being opened again, and after that failed.
    engine: RwLock<Option<Engine>>,
    /// A write failed, so the engine may have stopped its threads: open it again before the next one.
    broken: AtomicBool,
    /// The positions of the last checkpoint that was written and of the last that was tried: when the engine
    /// is opened again, it must be at one of the two.
    positions: Mutex<[Position; 2]>,
    /// Held while a run is written.
    writing: Mutex<()>,
    /// Held for a whole compaction, and while the engine is opened again.
    compacting: Mutex<()>,
}

impl std::fmt::Debug for FjallBacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallBacking").field("folder", &self.folder).finish_non_exhaustive()
    }
}

struct Engine {
    rows: Keyspace,
    cursors: Keyspace,
    // Last, so that it is dropped after its keyspaces.
    database: Database,
}

impl Engine {
    fn open(folder: &Path, block_cache_bytes: u64) -> fjall::Result<Self> {
        let database = Database::builder(folder)
            .cache_size(block_cache_bytes)
            // Compaction is all that they do, and it must leave a core to the pipeline.
            .worker_threads(1)
            .manual_journal_persist(true)
            .max_journaling_size(64 * 1024 * 1024)
            .open()?;
        let rows = database.keyspace("rows", row_options)?;
        let cursors = database.keyspace("cursors", cursor_options)?;
        Ok(Self { rows, cursors, database })
    }

    fn write(&self, rows: &[Row<'_>], position: Position) -> fjall::Result<()> {
        let mut run = self.rows.start_ingestion()?;
        run.write(POSITION_KEY, position.0.to_be_bytes())?;
        let mut stored = Vec::with_capacity(1 + Key::ID_BYTES_MAX);
        for (key, value) in rows {
            stored_key(key, &mut stored);
            match value {
                Some(value) => run.write(stored.as_slice(), &***value)?,
                None => run.write_tombstone(stored.as_slice())?,
            }
        }
        run.finish()
    }

    /// The files that hold rows, and those that are being written.
    fn tables(&self) -> io::Result<BTreeSet<OsString>> {
        let entries = std::fs::read_dir(self.rows.path().join("tables"))?;
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn position(&self, folder: &Folder) -> Result<Position, StoreError> {
        let stored = self.rows.get(POSITION_KEY).map_err(|error| explain(folder, "read", error))?;
        let missing = || StoreError::Corrupt { what: "it has no position".to_owned() };
        parse_number(&stored.ok_or_else(missing)?, "the position").map(Position)
    }
}

/// The engine keeps these with the keyspace: changing them here changes new stores only.
fn row_options() -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .data_block_size_policy(BlockSizePolicy::all(4 * 1024))
        .filter_policy(FilterPolicy::all(filter))
        // Whole in memory, 6 MiB per million rows: split into parts they would fight rows for the block cache
        // from 2 GiB on.
        .filter_block_partitioning_policy(PinningPolicy::all(false))
        .index_block_partitioning_policy(PinningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(true))
        .compaction_strategy(Arc::new(Leveled::default()))
}

fn cursor_options() -> KeyspaceCreateOptions {
    // The memtable keeps every old value of a cursor until it is written out.
    KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(1024 * 1024)
}

impl FjallBacking {
    /// Opens `<data_folder>/store`, or makes it.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::Corrupt`], [`StoreError::Io`].
    pub fn open(data_folder: &Path, block_cache_bytes: u64) -> Result<Self, StoreError> {
        let folder = Folder::open(data_folder, |folder| {
            let engine = open_engine(folder, block_cache_bytes)?;
            engine.write(&[], Position::START).map_err(|error| explain(folder, "create", error))
        })?;
        let engine = open_engine(&folder, block_cache_bytes)?;
        let positions = Mutex::new([engine.position(&folder)?; 2]);
        Ok(Self {
            folder,
            block_cache_bytes,
            engine: RwLock::new(Some(engine)),
            broken: AtomicBool::new(false),
            positions,
            writing: Mutex::new(()),
            compacting: Mutex::new(()),
        })
    }

    fn with<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Engine) -> fjall::Result<T>,
    ) -> Result<T, StoreError> {
        let engine = self.engine.read();
        let engine = engine.as_ref().ok_or_else(|| self.stopped(action))?;
        work(engine).map_err(|error| explain(&self.folder, action, error))
    }

    fn stopped(&self, action: &'static str) -> StoreError {
        self.folder.io(action, io::Error::other("the engine stopped after an earlier error"))
    }

    /// After [`Self::heal`], which must not be called with `writing` held: it may wait for a compaction.
    fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Engine) -> fjall::Result<T>,
    ) -> Result<T, StoreError> {
        self.with(action, work).inspect_err(|_| self.broken.store(true, Ordering::Release))
    }

    /// Opens the engine again after an error: once a background thread of its own has met one, a full disk
    /// say, it compacts no more and takes no more writes.
    fn heal(&self) -> Result<(), StoreError> {
        let healthy = |engine: &Engine| engine.database.persist(PersistMode::Buffer).is_ok();
        let broken = self.broken.load(Ordering::Acquire);
        if !broken && self.engine.read().as_ref().is_some_and(healthy) {
            return Ok(());
        }
        // Reads go on until a compaction has ended, which a waiting writer of `engine` would not let them.
        let _compacting = self.compacting.lock();
        self.reopen()?;
        tracing::warn!(folder = %self.folder.engine().display(), "store engine opened again after a failed write");
        Ok(())
    }

    /// Drops everything that the engine has in memory, files that nobody needs included, and opens it again.
    fn reopen(&self) -> Result<(), StoreError> {
        let mut engine = self.engine.write();
        drop(engine.take());
        let opened = open_engine(&self.folder, self.block_cache_bytes)?;
        let position = opened.position(&self.folder)?;
        let mut positions = self.positions.lock();
        if !positions.contains(&position) {
            let what = format!("it came back at position {}, which no checkpoint had", position.0);
            return Err(StoreError::Corrupt { what });
        }
        let [written, _] = &mut *positions;
        *written = position;
        *engine = Some(opened);
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes an empty run while nobody reads, and returns the files that then hold rows. The engine drops old values
    /// only below the oldest moment that a read may have begun at, as it knows it since the last run: from here on
    /// that is now.
    fn forget_reads(&self) -> Result<BTreeSet<OsString>, StoreError> {
        // No run is being written, so each of the files is one that the compaction must replace.
        let _writing = self.writing.lock();
        let engine = self.engine.write();
        let engine = engine.as_ref().ok_or_else(|| self.stopped("compact"))?;
        let position = engine.position(&self.folder)?;
        engine.write(&[], position).map_err(|error| explain(&self.folder, "compact", error))?;
        engine.tables().map_err(|error| self.folder.io("compact", error))
    }
}

fn open_engine(folder: &Folder, block_cache_bytes: u64) -> Result<Engine, StoreError> {
    // The engine panics on some damaged files. It has shared nothing with us yet, so that is only an error.
    match catch_unwind(AssertUnwindSafe(|| Engine::open(&folder.engine(), block_cache_bytes))) {
        Ok(opened) => opened.map_err(|error| explain(folder, "open", error)),
        Err(_) => Err(StoreError::Corrupt { what: "the engine panicked while reading its files".to_owned() }),
    }
}

/// Sorts an error of the engine into "the system refused" and "the bytes are wrong".
fn explain(folder: &Folder, action: &'static str, error: fjall::Error) -> StoreError {
    let corrupt = |what: String| StoreError::Corrupt { what: format!("cannot {action}: {what}") };
    if matches!(error, fjall::Error::Poisoned) {
        return folder.io(action, io::Error::other("an earlier write failed"));
    }
    if matches!(error, fjall::Error::Locked) {
        return folder.io(action, io::Error::other("another process has it open"));
    }
    if let fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) = error {
        // The engine's files end where they should not, or a number in them is not one.
        let damaged = matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
        return if damaged { corrupt(source.to_string()) } else { folder.io(action, source) };
    }
    corrupt(error.to_string())
}

fn stored_key(key: &Key, stored: &mut Vec<u8>) {
    stored.clear();
    stored.push(key.table() as u8);
    stored.extend_from_slice(key.id());
}

fn parse_key(stored: &[u8]) -> Option<Key> {
    let (number, id) = stored.split_first()?;
    let table = Table::ALL.into_iter().find(|table| *table as u8 == *number)?;
    Key::new(table, id)
}

fn parse_number(stored: &[u8], name: &str) -> Result<u64, StoreError> {
    let what = || format!("{name} has {} bytes instead of 8", stored.len());
    stored.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Corrupt { what: what() })
}

impl Backing for FjallBacking {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        // Neighbours share blocks, and the parts of the index that lead to them.
        let mut places: Vec<(&Key, usize)> = keys.iter().zip(0..).collect();
        places.sort_unstable();
        let mut stored = Vec::with_capacity(1 + Key::ID_BYTES_MAX);
        let mut values = vec![None; keys.len()];
        self.with("read", |engine| {
            for (key, place) in places {
                stored_key(key, &mut stored);
                if let Some(value) = values.get_mut(place) {
                    // Copied: the engine's slice would keep its whole block alive.
                    *value = engine.rows.get(&stored)?.map(|value| Value::from(&*value));
                }
            }
            Ok(values)
        })
    }

    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        let number = table as u8;
        let after = after.map(|after| [&[number], after].concat());
        let start = after.map_or(std::ops::Bound::Included(vec![number]), std::ops::Bound::Excluded);
        let end = std::ops::Bound::Excluded(vec![number + 1]);
        let rows = self.with("read", |engine| {
            let rows = engine.rows.range((start, end)).take(limit);
            rows.map(|row| row.into_inner()).collect::<fjall::Result<Vec<_>>>()
        })?;
        let parse = |(stored, value): fjall::KvPair| {
            let what = || StoreError::Corrupt { what: format!("no table has the key {stored:?}") };
            Ok((parse_key(&stored).ok_or_else(what)?, Value::from(&*value)))
        };
        rows.into_iter().map(parse).collect()
    }

    fn write_checkpoint(&self, rows: &[Row<'_>], position: Position) -> Result<(), StoreError> {
        self.heal()?;
        let _writing = self.writing.lock();
        let [written, _] = *self.positions.lock();
        *self.positions.lock() = [written, position];
        self.write("checkpoint", |engine| engine.write(rows, position))?;
        *self.positions.lock() = [position; 2];
        Ok(())
    }

    fn position(&self) -> Result<Position, StoreError> {
        let [written, _] = *self.positions.lock();
        Ok(written)
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let key = [&[CURSOR_PREFIX], name.as_bytes()].concat();
        let stored = self.with("read", |engine| engine.cursors.get(key))?;
        stored.map(|stored| parse_number(&stored, "a cursor")).transpose()
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        let key = [&[CURSOR_PREFIX], name.as_bytes()].concat();
        self.heal()?;
        self.write("set a cursor in", |engine| {
            engine.cursors.insert(key, value.to_be_bytes())?;
            engine.database.persist(PersistMode::SyncAll)
        })
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.heal()?;
        let _compacting = self.compacting.lock();
        let before = self.forget_reads().inspect_err(|_| self.broken.store(true, Ordering::Release))?;
        let compacted = self.with("compact", |engine| engine.rows.major_compact());
        // The versions of before keep their files for as long as the engine remembers them, and a failed compaction
        // leaves its own.
        self.reopen()?;
        compacted?;
        let after = self.with("compact", |engine| engine.tables().map_err(fjall::Error::from))?;
        let kept = after.intersection(&before).count();
        if kept > 0 {
            let error = io::Error::other(format!("the engine kept {kept} of its {} files", before.len()));
            return Err(self.folder.io("compact", error));
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let engine = self.engine.read();
        engine.as_ref().and_then(|engine| engine.database.disk_space().ok()).unwrap_or(0)
    }
}
