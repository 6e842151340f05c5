//! The durable log: segment files in one folder. The source of truth.
//!
//! Not a queue: nobody's progress is kept here. Invariants: an append that returned is on disk; a record is
//! read back as it was appended or not at all; readers see durable records only. Reference:
//! `docs/reference/log-format.md`.

mod disk;
mod frame;
mod reader;
mod recover;
mod rewrite;
pub mod sim_disk;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tessera_model::Timestamp;
use tessera_store::{Bounds, Entry, Log, LogError, Position, Replace, Retention, Rewritten};

pub use disk::{Disk, DiskFile, OsDisk};
pub use frame::{FILE_HEADER_BYTES, FORMAT_VERSION, FRAME_HEADER_BYTES, RECORD_BYTES_MAX};
use frame::{encode_frame, file_name};
use reader::{FrameError, FrameReader};
use recover::Segment;

/// How a [`SegmentLog`] lays out its files.
#[derive(Clone, Copy, Debug)]
pub struct SegmentLogOptions {
    /// A new segment begins when an append would make the last one longer than this, in bytes. One append
    /// goes into one segment whole, so a single long append may exceed it.
    pub segment_bytes: u64,
}

impl Default for SegmentLogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 * 1024 * 1024 }
    }
}

/// A log in segment files.
pub struct SegmentLog<D: Disk = OsDisk> {
    disk: D,
    folder: PathBuf,
    options: SegmentLogOptions,
    shared: RwLock<Shared<D::File>>,
    /// Position after the last durable record.
    end: AtomicU64,
    appender: Mutex<Appender>,
    /// Whether removed or replaced names wait for a sync of the folder. Held while they change.
    unsynced_names: Mutex<bool>,
    /// Held for a whole rewrite.
    rewriting: Mutex<()>,
    /// Shared for a whole read, so that a rewrite can wait for those that may have the old file open.
    reading: RwLock<()>,
    /// Working space of readers, so that each read need not allocate and zero it.
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// What readers need to find a record.
struct Shared<F> {
    /// Oldest first; never empty. The last one is written to.
    segments: Vec<Segment>,
    /// The last segment's file.
    last: Arc<F>,
}

struct Appender {
    /// Frames of one append; reused.
    buffer: Vec<u8>,
    /// Latest append time in the log.
    newest_millis: i64,
    /// The last file may hold bytes past the end, left by a failed append: cut them off first.
    dirty: bool,
    /// Creating a segment at the end failed halfway and may have left its file: the next append goes there, or
    /// the file would stand in the way of the chain.
    half_created: bool,
}

/// Buffers that grew beyond this for one huge append or read are given back.
const BUFFER_KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// So many buffers are kept for readers.
const BUFFERS_KEPT_MAX: usize = 4;

impl SegmentLog<OsDisk> {
    /// Opens the log in `folder`, making it if need be. Cuts off a torn tail; scans the last segment only.
    /// The caller holds the lock of the data folder ([`crate::FolderLock`]).
    ///
    /// # Errors
    /// [`LogError::Corrupt`] when something durable is damaged or missing, [`LogError::Newer`],
    /// [`LogError::Io`].
    pub fn open(folder: &Path, options: SegmentLogOptions) -> Result<Self, LogError> {
        Self::open_on(OsDisk, folder, options)
    }
}

impl<D: Disk> SegmentLog<D> {
    /// As [`SegmentLog::open`], on any disk.
    ///
    /// # Errors
    /// As [`SegmentLog::open`].
    pub fn open_on(disk: D, folder: &Path, options: SegmentLogOptions) -> Result<Self, LogError> {
        let recovered = recover::recover(&disk, folder)?;
        let newest_millis = recovered.newest_millis;
        Ok(Self {
            disk,
            folder: folder.to_path_buf(),
            options,
            shared: RwLock::new(Shared { segments: recovered.segments, last: Arc::new(recovered.file) }),
            end: AtomicU64::new(recovered.end),
            appender: Mutex::new(Appender {
                buffer: Vec::new(),
                newest_millis,
                dirty: false,
                half_created: false,
            }),
            unsynced_names: Mutex::new(false),
            rewriting: Mutex::new(()),
            reading: RwLock::new(()),
            buffers: Mutex::new(Vec::new()),
        })
    }

    /// Segment files of the log.
    pub fn segments(&self) -> usize {
        self.shared.read().segments.len()
    }

    fn file_of(&self, base: u64) -> PathBuf {
        self.folder.join(file_name(base))
    }

    /// Writes `frames` at the end and makes them durable.
    fn write(&self, frames: &[u8]) -> io::Result<()> {
        let (base, file) = self.last();
        disk::write_all(&*file, frames, offset_in(base, self.end.load(Ordering::Acquire)))?;
        file.sync()
    }

    fn last(&self) -> (u64, Arc<D::File>) {
        let shared = self.shared.read();
        (shared.segments.last().map_or(0, |segment| segment.base), Arc::clone(&shared.last))
    }

    /// Cuts off what a failed append left. Through a new file handle and not by writing over it: after a
    /// failed fsync the system may hold pages as clean that never reached the disk.
    fn repair(&self, appender: &mut Appender) -> io::Result<()> {
        if appender.dirty {
            let (base, _) = self.last();
            let file = self.disk.open(&self.file_of(base))?;
            file.truncate(offset_in(base, self.end.load(Ordering::Acquire)))?;
            self.shared.write().last = Arc::new(file);
            appender.dirty = false;
        }
        Ok(())
    }

    /// Begins a new segment if `bytes` more would make the last one too long.
    fn rotate(&self, appender: &mut Appender, bytes: u64) -> io::Result<()> {
        let end = self.end.load(Ordering::Acquire);
        let (base, _) = self.last();
        let fits = end == base || offset_in(base, end).saturating_add(bytes) <= self.options.segment_bytes;
        if fits && !appender.half_created { Ok(()) } else { self.begin_segment(appender) }
    }

    /// Begins a new segment at the end, which is not where the last one begins.
    fn begin_segment(&self, appender: &mut Appender) -> io::Result<()> {
        let end = self.end.load(Ordering::Acquire);
        appender.half_created = true;
        let segment = Segment { base: end, newest_before_millis: appender.newest_millis };
        let file = recover::create_segment(&self.disk, &self.folder, segment)?;
        let mut shared = self.shared.write();
        shared.segments.push(segment);
        shared.last = Arc::new(file);
        appender.half_created = false;
        Ok(())
    }

    /// Appends the frames in `appender.buffer`. On an error nothing is left of them, or `dirty` says so.
    fn append_buffer(&self, appender: &mut Appender) -> io::Result<()> {
        self.repair(appender)?;
        let bytes = appender.buffer.len() as u64;
        self.rotate(appender, bytes)?;
        let result = self.write(&appender.buffer);
        if result.is_err() {
            appender.dirty = true;
            // If this fails too, the next append tries again before it does anything else.
            self.repair(appender).unwrap_or_default();
        }
        result
    }

    /// Reads whole records of the one segment that holds `from` into `entries`. Returns whether the segment
    /// ended before `bytes_max` was reached.
    fn read_segment(
        &self,
        from: u64,
        bytes_max: usize,
        entries: &mut Vec<Entry>,
        buffer: &mut Vec<u8>,
    ) -> Result<bool, LogError> {
        let (base, end, last) = self.locate(from);
        let name = self.file_of(base);
        let (opened, file);
        let file = if let Some(last) = last {
            file = last;
            &*file
        } else {
            opened = self.disk.open(&name).map_err(|source| self.cannot_open(from, &name, source))?;
            &opened
        };
        let span = (offset_in(base, from), offset_in(base, end));
        let mut frames = FrameReader::new(file, base, span, buffer).with_chunk_bytes(bytes_max);
        let mut bytes: usize = entries.iter().map(|entry| entry.record.len()).sum();
        loop {
            let position = Position(frames.position());
            let error = match frames.peek() {
                Ok(None) => return Ok(true),
                Ok(Some(header)) => {
                    bytes = bytes.saturating_add(header.record_bytes as usize);
                    if bytes > bytes_max && !entries.is_empty() {
                        return Ok(false);
                    }
                    match frames.next(header) {
                        Ok(record) => {
                            let record = Arc::from(record);
                            entries.push(Entry { position, next: Position(frames.position()), record });
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if !entries.is_empty() {
                // What came before is good. The next read begins here and says what is wrong.
                return Ok(false);
            }
            return Err(unreadable(error, &name, &frames));
        }
    }

    /// The segment that holds `position`: its base, its end, and its file if it is the last one.
    fn locate(&self, position: u64) -> (u64, u64, Option<Arc<D::File>>) {
        let shared = self.shared.read();
        let after = shared.segments.partition_point(|segment| segment.base <= position);
        let base = after.checked_sub(1).and_then(|at| shared.segments.get(at)).map_or(0, |found| found.base);
        match shared.segments.get(after) {
            Some(next) => (base, next.base, None),
            None => (base, self.end.load(Ordering::Acquire), Some(Arc::clone(&shared.last))),
        }
    }

    /// A segment that cannot be opened may just have been discarded.
    fn cannot_open(&self, asked: u64, file: &Path, source: io::Error) -> LogError {
        let oldest = self.bounds().start;
        if asked < oldest.0 {
            return LogError::Discarded { asked: Position(asked), oldest };
        }
        LogError::Io { action: "open", file: file.to_path_buf(), source }
    }

    fn past_the_end(&self, from: Position, end: Position) -> LogError {
        let (base, _) = self.last();
        let what = format!("the log ends at position {}, before position {}", end.0, from.0);
        LogError::Corrupt { file: self.file_of(base), offset: offset_in(base, end.0), what }
    }
}

/// What a bad frame, the next one of `frames`, means to whoever wanted to read it.
fn unreadable<F: DiskFile>(error: FrameError, name: &Path, frames: &FrameReader<'_, F>) -> LogError {
    match error {
        FrameError::Io(source) => recover::io("read", name)(source),
        FrameError::Invalid(what) => {
            let what = format!("{what} (position {})", frames.position());
            LogError::Corrupt { file: name.to_path_buf(), offset: frames.offset(), what }
        }
    }
}

/// Where `position` is in the file of the segment that begins at `base`.
fn offset_in(base: u64, position: u64) -> u64 {
    position.saturating_sub(base).saturating_add(FILE_HEADER_BYTES)
}

impl<D: Disk> Log for SegmentLog<D> {
    fn append(&self, records: &[&[u8]], now: Timestamp) -> Result<Vec<Position>, LogError> {
        if let Some(record) = records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
            return Err(LogError::RecordTooLarge { bytes: record.len(), bytes_max: RECORD_BYTES_MAX });
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let mut appender = self.appender.lock();
        let start = self.end.load(Ordering::Acquire);
        let mut positions = Vec::with_capacity(records.len());
        appender.buffer.clear();
        for record in records {
            let position = start.saturating_add(appender.buffer.len() as u64);
            encode_frame(&mut appender.buffer, position, now.as_millis(), start, record);
            positions.push(Position(position));
        }
        let end = start.saturating_add(appender.buffer.len() as u64);
        let result = self.append_buffer(&mut appender);
        if appender.buffer.capacity() > BUFFER_KEPT_BYTES_MAX {
            appender.buffer = Vec::new();
        }
        if let Err(source) = result {
            let (base, _) = self.last();
            return Err(LogError::Append { file: self.file_of(base), source });
        }
        appender.newest_millis = appender.newest_millis.max(now.as_millis());
        self.end.store(end, Ordering::Release);
        Ok(positions)
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        let _reading = self.reading.read();
        let Bounds { start, end } = self.bounds();
        let mut from = if from == Position::START { start } else { from };
        if from < start {
            return Err(LogError::Discarded { asked: from, oldest: start });
        }
        if from > end {
            return Err(self.past_the_end(from, end));
        }
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        let mut entries: Vec<Entry> = Vec::new();
        let mut more = Ok(true);
        while from < end && matches!(more, Ok(true)) {
            more = self.read_segment(from.0, bytes_max, &mut entries, &mut buffer);
            from = entries.last().map_or(end, |entry| entry.next);
        }
        let mut buffers = self.buffers.lock();
        if buffer.len() <= BUFFER_KEPT_BYTES_MAX && buffers.len() < BUFFERS_KEPT_MAX {
            buffers.push(buffer);
        }
        if entries.is_empty() { more.map(|_| entries) } else { Ok(entries) }
    }

    fn bounds(&self) -> Bounds {
        let shared = self.shared.read();
        let start = shared.segments.first().map_or(0, |segment| segment.base);
        Bounds { start: Position(start), end: Position(self.end.load(Ordering::Acquire)) }
    }

    fn size_bytes(&self) -> u64 {
        let shared = self.shared.read();
        let headers = FILE_HEADER_BYTES.saturating_mul(shared.segments.len() as u64);
        let start = shared.segments.first().map_or(0, |segment| segment.base);
        self.end.load(Ordering::Acquire).saturating_sub(start).saturating_add(headers)
    }

    fn cut(&self, retention: &Retention) -> Position {
        let mut bytes = self.size_bytes();
        let shared = self.shared.read();
        let mut cut = shared.segments.first().map_or(0, |segment| segment.base);
        for (segment, next) in shared.segments.iter().zip(shared.segments.iter().skip(1)) {
            let old = next.newest_before_millis < retention.before.as_millis();
            if next.base > retention.upto.0 || !(old || bytes > retention.bytes_max) {
                break;
            }
            bytes = bytes.saturating_sub(offset_in(segment.base, next.base));
            cut = next.base;
        }
        Position(cut)
    }

    fn discard_before(&self, upto: Position) -> Result<(), LogError> {
        let mut unsynced = self.unsynced_names.lock();
        loop {
            // Before the next removal: a crash must not bring back an older segment without a younger one.
            self.sync_names(&mut unsynced)?;
            // Out of the list first: a reader then gets `Discarded`, not a file that is not there.
            let oldest = {
                let mut shared = self.shared.write();
                let may_go = shared.segments.get(1).is_some_and(|next| next.base <= upto.0);
                may_go.then(|| shared.segments.remove(0))
            };
            let Some(oldest) = oldest else { return Ok(()) };
            let file = self.file_of(oldest.base);
            match self.disk.remove(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.shared.write().segments.insert(0, oldest);
                    return Err(recover::io("remove", &file)(error));
                }
                Ok(()) | Err(_) => *unsynced = true,
            }
        }
    }

    fn rewrite(&self, range: Range<Position>, each: &mut Replace<'_>) -> Result<Rewritten, LogError> {
        self.rewrite_range(range, each)
    }
}

impl<D: Disk> fmt::Debug for SegmentLog<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentLog").field("folder", &self.folder).finish_non_exhaustive()
    }
}
