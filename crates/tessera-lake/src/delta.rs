//! The lake on a local folder, as a Delta table: `events`; and beside it, on its own, `profiles`.
//!
//! Not the log's equal: what is here can be made again from there as long as the log is kept. Invariants: files and position are
//! one commit; what a rewrite removed is in no file when it returns; nobody reads a file that is being removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tessera_model::Timestamp;
use tessera_store::{
    Lake, LakeError, LakeFate, LakeRewritten, LakeRow, LakeSize, Position, ProfileLake, ProfileRows,
    ProfileSift, Sift,
};
use tokio::sync::{OwnedRwLockReadGuard, RwLock as AsyncRwLock};

use crate::action::{self, DataFile};
use crate::columns::{Columns, STORED, day_of, to_batch};
use crate::files::{BATCH_ROWS, Batches, Writing};
use crate::merge::merge_by_owner;
use crate::profiles::ProfileTable;
use crate::table::{TableLog, Version, remove};

/// How the lake writes.
#[derive(Clone, Debug)]
pub struct LakeOptions {
    /// Most rows of one file.
    pub file_rows_max: u64,
    /// So many files of about one size in one day become one.
    pub merge_files: usize,
    /// How long a file that was replaced by a larger one stays for those who still read it, in milliseconds.
    pub replaced_millis: i64,
}

impl Default for LakeOptions {
    fn default() -> Self {
        Self { file_rows_max: 1_000_000, merge_files: 8, replaced_millis: 10 * 60 * 1000 }
    }
}

/// The lake on a local folder.
pub struct DeltaLake {
    table: PathBuf,
    options: LakeOptions,
    pub(crate) profiles: ProfileTable,
    /// Held by whoever writes.
    writing: Mutex<TableLog>,
    version: RwLock<Arc<Version>>,
    /// Held by those who read files, and by who removes some.
    reading: Arc<AsyncRwLock<()>>,
    /// Files that no version names any more, and since when.
    replaced: Mutex<BTreeMap<String, Timestamp>>,
}

/// The table as it stood at one moment; its files stay while this is held.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) version: Arc<Version>,
    _guard: OwnedRwLockReadGuard<()>,
}

impl DeltaLake {
    /// Opens the table `events` in `folder`, and makes one if there is none. Files that belong to no commit go: a crash left
    /// them.
    ///
    /// # Errors
    /// [`LakeError`].
    pub fn open(folder: &Path, options: LakeOptions, now: Timestamp) -> Result<Self, LakeError> {
        let table = folder.join("events");
        let (log, version) = TableLog::open_or_create(&table, &STORED, now)?;
        let profiles = ProfileTable::open(folder, options.file_rows_max, now)?;
        Ok(Self {
            table,
            profiles,
            options,
            writing: Mutex::new(log),
            version: RwLock::new(Arc::new(version)),
            reading: Arc::default(),
            replaced: Mutex::default(),
        })
    }

    /// Goes back to where the log ends, if it ends before: a backup of it was restored, and its places will be given out again.
    ///
    /// # Errors
    /// [`LakeError`].
    pub fn rewind(&self, end: Position, now: Timestamp) -> Result<(), LakeError> {
        self.profiles.rewind(end, now)?;
        if self.position() <= end {
            return Ok(());
        }
        self.rewrite(
            &mut |row| Ok(if row.position >= end.0 { LakeFate::Remove } else { LakeFate::Keep }),
            now,
        )?;
        let log = self.writing.lock();
        self.commit(&log, vec![action::commit_info("RESTORE", now), action::position(end.0, now)])
    }

    /// The folder of the table `events`.
    #[must_use]
    pub fn table(&self) -> &Path {
        &self.table
    }

    /// The table as it stands, for somebody who reads its files.
    pub(crate) async fn read(&self) -> Reading {
        let guard = Arc::clone(&self.reading).read_owned().await;
        Reading { version: Arc::clone(&self.version.read()), _guard: guard }
    }

    fn commit(&self, log: &TableLog, actions: Vec<Value>) -> Result<(), LakeError> {
        let mut version = Version::clone(&self.version.read());
        log.commit(&mut version, actions)?;
        *self.version.write() = Arc::new(version);
        Ok(())
    }

    /// Writes `rows`, which arrived on `day`, in files of at most so many rows.
    fn write_day(
        &self,
        day: &str,
        rows: &[&LakeRow],
        number: u64,
        now: Timestamp,
    ) -> Result<Vec<DataFile>, LakeError> {
        let most = usize::try_from(self.options.file_rows_max).unwrap_or(usize::MAX).max(1);
        let mut files = Vec::new();
        for (part, rows) in rows.chunks(most).enumerate() {
            let mut writing = Writing::begin(&self.table, day, &format!("{number:012}-{part:04}"))?;
            for rows in rows.chunks(BATCH_ROWS) {
                writing.write(&to_batch(rows.iter().copied())?)?;
            }
            files.extend(writing.end(now)?);
        }
        Ok(files)
    }

    /// Which rows of a file do not stay as they are.
    fn sift(
        &self,
        file: &DataFile,
        sift: &mut Sift<'_>,
        done: &mut LakeRewritten,
    ) -> Result<BTreeMap<usize, LakeFate>, LakeError> {
        let (mut fates, mut number) = (BTreeMap::new(), 0);
        let batches = Batches::open(&self.table, &file.path, Arc::clone(&STORED))?;
        let path = batches.path().to_owned();
        for batch in batches {
            for row in Columns::of(&batch?, &path).rows()? {
                let fate = sift(&row)?;
                done.rows += 1;
                done.removed += u64::from(fate == LakeFate::Remove);
                done.replaced += u64::from(matches!(fate, LakeFate::Replace(_)));
                if fate != LakeFate::Keep {
                    fates.insert(number, fate);
                }
                number += 1;
            }
        }
        Ok(fates)
    }

    /// The file with `fates` carried out.
    fn write_anew(
        &self,
        file: &DataFile,
        fates: &mut BTreeMap<usize, LakeFate>,
        (number, now): (u64, Timestamp),
    ) -> Result<Option<DataFile>, LakeError> {
        let mut writing = Writing::begin(&self.table, &file.day, &format!("{number:012}-r"))?;
        let mut first = 0;
        let batches = Batches::open(&self.table, &file.path, Arc::clone(&STORED))?;
        let path = batches.path().to_owned();
        for batch in batches {
            let batch = batch?;
            let next = first + batch.num_rows();
            writing.write(&match fates.range(first..next).next() {
                None => batch,
                Some(_) => carry_out(&batch, &path, first, fates)?,
            })?;
            first = next;
        }
        writing.end(now)
    }

    /// Removes what no version names any more: what is older than `before`, or all of it.
    fn remove_replaced(&self, before: Option<Timestamp>) -> Result<(), LakeError> {
        let is_meant = |since: &Timestamp| before.is_none_or(|before| *since <= before);
        if !self.replaced.lock().values().any(is_meant) {
            return Ok(());
        }
        // Whoever reads is let finish, and whoever comes now waits.
        let _nobody_reads = self.reading.blocking_write();
        let mut replaced = self.replaced.lock();
        let meant: Vec<String> =
            replaced.iter().filter(|(_, since)| is_meant(since)).map(|(path, _)| path.clone()).collect();
        for name in meant {
            remove(&self.table.join(&name))?;
            replaced.remove(&name);
        }
        Ok(())
    }

    /// Files of one day and about one size, enough of them to be made one.
    fn small_files(&self) -> Option<Vec<Arc<DataFile>>> {
        let version = Arc::clone(&self.version.read());
        let mut groups: BTreeMap<(&str, u32), Vec<&Arc<DataFile>>> = BTreeMap::new();
        for file in version.files.values().filter(|file| file.rows * 2 <= self.options.file_rows_max) {
            groups.entry((&file.day, file.rows.max(1).ilog2() / 3)).or_default().push(file);
        }
        let group = groups.into_values().find(|group| group.len() >= self.options.merge_files.max(2))?;
        let mut files: Vec<Arc<DataFile>> = group.into_iter().map(Arc::clone).collect();
        files.sort_by_key(|file| file.positions);
        let (mut kept, mut rows) = (Vec::new(), 0);
        for file in files {
            rows += file.rows;
            if rows > self.options.file_rows_max && kept.len() >= 2 {
                break;
            }
            kept.push(file);
        }
        Some(kept)
    }

    fn merge(&self, log: &TableLog, files: &[Arc<DataFile>], now: Timestamp) -> Result<(), LakeError> {
        let Some(first) = files.first() else { return Ok(()) };
        let number = self.version.read().next;
        let mut writing = Writing::begin(&self.table, &first.day, &format!("{number:012}-m"))?;
        let inputs = files.iter().map(|file| Batches::open(&self.table, &file.path, Arc::clone(&STORED)));
        merge_by_owner(inputs.collect::<Result<_, _>>()?, &mut |batch| writing.write(batch))?;
        let merged = writing.end(now)?;
        let mut actions = vec![action::commit_info("OPTIMIZE", now)];
        actions.extend(files.iter().map(|file| action::remove(&file.path, now, false)));
        actions.extend(merged.iter().map(|file| file.add(false)));
        self.commit(log, actions)?;
        self.replaced.lock().extend(files.iter().map(|file| (file.path.clone(), now)));
        Ok(())
    }
}

impl Lake for DeltaLake {
    fn position(&self) -> Position {
        Position(self.version.read().position)
    }

    fn append(&self, rows: &[LakeRow], upto: Position, now: Timestamp) -> Result<(), LakeError> {
        let log = self.writing.lock();
        let (known, number) = {
            let version = self.version.read();
            (version.position, version.next)
        };
        if upto.0 <= known {
            return Ok(());
        }
        let mut days: BTreeMap<String, Vec<&LakeRow>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.position >= known) {
            days.entry(day_of(row.received_at)).or_default().push(row);
        }
        let mut actions = vec![action::commit_info("WRITE", now)];
        for (day, mut rows) in days {
            // Who asks about few people reads few groups of rows.
            rows.sort_by_key(|row| row.owner);
            let files = self.write_day(&day, &rows, number, now)?;
            actions.extend(files.iter().map(|file| file.add(true)));
        }
        actions.push(action::position(upto.0, now));
        self.commit(&log, actions)
    }

    fn rewrite(&self, sift: &mut Sift<'_>, now: Timestamp) -> Result<LakeRewritten, LakeError> {
        let log = self.writing.lock();
        let mut done = LakeRewritten::default();
        let files: Vec<Arc<DataFile>> = self.version.read().files.values().cloned().collect();
        for file in files {
            let mut fates = self.sift(&file, sift, &mut done)?;
            if fates.is_empty() {
                continue;
            }
            let number = self.version.read().next;
            let anew = self.write_anew(&file, &mut fates, (number, now))?;
            let mut actions = vec![action::commit_info("DELETE", now), action::remove(&file.path, now, true)];
            actions.extend(anew.iter().map(|file| file.add(true)));
            self.commit(&log, actions)?;
            self.replaced.lock().insert(file.path.clone(), now);
            done.files += 1;
        }
        self.remove_replaced(None)?;
        Ok(done)
    }

    fn tidy(&self, now: Timestamp) -> Result<(), LakeError> {
        let log = self.writing.lock();
        while let Some(files) = self.small_files() {
            self.merge(&log, &files, now)?;
        }
        let mut version = Version::clone(&self.version.read());
        log.tidy(&mut version)?;
        *self.version.write() = Arc::new(version);
        self.remove_replaced(Some(now.plus_millis(-self.options.replaced_millis)))
    }

    fn size(&self) -> LakeSize {
        let version = self.version.read();
        let mut size = LakeSize::default();
        for file in version.files.values() {
            size.rows += file.rows;
            size.files += 1;
            size.bytes += file.bytes;
        }
        size
    }
}

impl ProfileLake for DeltaLake {
    fn append_profiles(
        &self,
        at: Timestamp,
        position: Position,
        rows: &mut ProfileRows<'_>,
    ) -> Result<u64, LakeError> {
        self.profiles.append(at, position, rows)
    }

    fn rewrite_profiles(
        &self,
        sift: &mut ProfileSift<'_>,
        now: Timestamp,
    ) -> Result<LakeRewritten, LakeError> {
        self.profiles.rewrite(sift, now)
    }

    fn forget_profiles(&self, first: Timestamp, now: Timestamp) -> Result<(), LakeError> {
        self.profiles.forget(first, now)
    }

    fn profiles_taken_at(&self) -> Option<Timestamp> {
        self.profiles.taken_at()
    }
}

/// The rows of a batch that stay, as they stay. `first` is the number of its first row.
fn carry_out(
    batch: &RecordBatch,
    path: &Path,
    first: usize,
    fates: &mut BTreeMap<usize, LakeFate>,
) -> Result<RecordBatch, LakeError> {
    let mut kept = Vec::with_capacity(batch.num_rows());
    for (number, row) in (first..).zip(Columns::of(batch, path).rows()?) {
        match fates.remove(&number) {
            None | Some(LakeFate::Keep) => kept.push(row),
            Some(LakeFate::Replace(anew)) => kept.push(*anew),
            Some(LakeFate::Remove) => {}
        }
    }
    to_batch(&kept)
}
