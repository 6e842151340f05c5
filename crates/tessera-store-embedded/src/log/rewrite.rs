//! Replaces records where they are: what erasure asks of the log.
//!
//! Not an edit of files: a segment in which anything changes is copied beside itself, the copy synced and renamed over
//! it. Invariants: positions, lengths, append times and *durable* stay as they were; at any moment each segment is whole,
//! old or new; a segment in which nothing changes is not touched. Reference: `docs/reference/log-format.md`.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use tessera_store::{Log, LogError, Position, Replace, Rewritten};

use super::disk::{Disk, DiskFile, read_full, write_all};
use super::frame::{FILE_HEADER_BYTES, draft_name, encode_frame};
use super::reader::{CHUNK_BYTES_MAX, FrameReader};
use super::{SegmentLog, offset_in, recover, unreadable};

/// A segment as it is when its rewrite begins.
struct Old<F> {
    base: u64,
    name: PathBuf,
    file: Arc<F>,
    /// Position after its last record.
    end: u64,
    /// Whether appends still go into it.
    is_last: bool,
}

impl<D: Disk> SegmentLog<D> {
    pub(super) fn rewrite_range(
        &self,
        range: Range<Position>,
        each: &mut Replace<'_>,
    ) -> Result<Rewritten, LogError> {
        let _rewriting = self.rewriting.lock();
        let bounds = self.bounds();
        let range = range.start.max(bounds.start)..range.end.min(bounds.end);
        let mut total = Rewritten::default();
        let mut from = range.start;
        while from < range.end {
            let (base, end, last) = self.locate(from.0);
            from = Position(end);
            let name = self.file_of(base);
            let is_last = last.is_some();
            let file = match last.map_or_else(|| self.disk.open(&name).map(Arc::new), Ok) {
                Ok(file) => file,
                Err(_) if !self.has_segment(base) => continue,
                Err(source) => return Err(recover::io("open", &name)(source)),
            };
            let old = Old { base, name, file, end, is_last };
            let rewritten = self.rewrite_segment(&old, &range, each)?;
            total.records += rewritten.records;
            total.segments += rewritten.segments;
            total.bytes = total.bytes.saturating_add(rewritten.bytes);
        }
        // Also what an earlier call renamed and could not sync: this one finds nothing to replace there.
        self.sync_names(&mut self.unsynced_names.lock())?;
        Ok(total)
    }

    fn rewrite_segment(
        &self,
        old: &Old<D::File>,
        range: &Range<Position>,
        each: &mut Replace<'_>,
    ) -> Result<Rewritten, LogError> {
        let mut draft = Draft::new(&self.disk, self.folder.join(draft_name(old.base)));
        let result = draft.replace(old, range, each).and_then(|rewritten| {
            if rewritten.records > 0 {
                let end = if old.is_last { self.seal(old.base)? } else { Some(old.end) };
                let Some(end) = end else { return Ok(rewritten) };
                draft.finish(old, offset_in(old.base, end)).map_err(recover::io("write", &draft.name))?;
                self.install(old, &mut draft)?;
            }
            Ok(rewritten)
        });
        // If it cannot be removed now, opening the log removes it.
        draft.remove().unwrap_or_default();
        result
    }

    fn has_segment(&self, base: u64) -> bool {
        self.shared.read().segments.iter().any(|segment| segment.base == base)
    }

    /// Begins a new segment if the one at `base` is the last. Returns where it ends; `None` when it is gone.
    fn seal(&self, base: u64) -> Result<Option<u64>, LogError> {
        {
            let mut appender = self.appender.lock();
            // An append may have begun a new one meanwhile.
            if self.last().0 == base {
                self.repair(&mut appender)
                    .and_then(|()| self.begin_segment(&mut appender))
                    .map_err(recover::io("seal", &self.file_of(base)))?;
            }
            // It holds the records of the last append.
            appender.buffer = Vec::new();
        }
        let shared = self.shared.read();
        let place = shared.segments.iter().position(|segment| segment.base == base);
        Ok(place.and_then(|place| shared.segments.get(place + 1)).map(|next| next.base))
    }

    /// Puts the draft in the place of the old file, durably, and waits until nobody reads that any more.
    fn install(&self, old: &Old<D::File>, draft: &mut Draft<'_, D>) -> Result<(), LogError> {
        let mut unsynced = self.unsynced_names.lock();
        // Discarded meanwhile: it must not come back.
        if !self.has_segment(old.base) {
            return Ok(());
        }
        // Also when it fails: it may have happened all the same.
        *unsynced = true;
        let renamed = self.disk.rename(&draft.name, &old.name);
        drop(self.reading.write());
        renamed.map_err(recover::io("replace", &old.name))?;
        draft.file = None;
        self.buffers.lock().iter_mut().for_each(|buffer| buffer.fill(0));
        self.sync_names(&mut unsynced)
    }

    /// Makes removed and replaced names durable.
    pub(super) fn sync_names(&self, unsynced: &mut bool) -> Result<(), LogError> {
        if *unsynced {
            self.disk.sync_folder(&self.folder).map_err(recover::io("sync", &self.folder))?;
            *unsynced = false;
        }
        Ok(())
    }
}

/// The file that is to replace a segment. Made when the first record changes.
struct Draft<'a, D: Disk> {
    disk: &'a D,
    name: PathBuf,
    file: Option<D::File>,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// Length of the file.
    written: u64,
}

impl<'a, D: Disk> Draft<'a, D> {
    fn new(disk: &'a D, name: PathBuf) -> Self {
        Self { disk, name, file: None, buffer: Vec::new(), written: 0 }
    }

    /// Copies `old` with the records that `each` replaces, up to the last of these.
    fn replace(
        &mut self,
        old: &Old<D::File>,
        range: &Range<Position>,
        each: &mut Replace<'_>,
    ) -> Result<Rewritten, LogError> {
        let mut rewritten = Rewritten::default();
        let mut buffer = Vec::new();
        let span = (FILE_HEADER_BYTES, offset_in(old.base, old.end));
        let mut frames = FrameReader::new(&*old.file, old.base, span, &mut buffer);
        loop {
            let (offset, at) = (frames.offset(), Position(frames.position()));
            let header = match frames.peek() {
                Ok(Some(header)) if at < range.end => header,
                Ok(_) => return Ok(rewritten),
                Err(error) => return Err(unreadable(error, &old.name, &frames)),
            };
            let record = match frames.next(header) {
                Ok(record) => record,
                Err(error) => return Err(unreadable(error, &old.name, &frames)),
            };
            let new = if at < range.start { None } else { each(at, record) };
            let bytes_before = record.len();
            let Some(new) = new.filter(|new| new != record) else { continue };
            if new.len() != bytes_before {
                return Err(LogError::Resized { at, bytes_before, bytes: new.len() });
            }
            self.copy(&old.file, offset).map_err(recover::io("write", &self.name))?;
            encode_frame(&mut self.buffer, at.0, header.appended_millis, header.durable, &new);
            rewritten.records += 1;
            rewritten.segments = 1;
            rewritten.bytes = rewritten.bytes.saturating_add(new.len() as u64);
        }
    }

    /// Copies the rest of `old`, up to file offset `end`, and makes all of it durable.
    fn finish(&mut self, old: &Old<D::File>, end: u64) -> io::Result<()> {
        self.copy(&old.file, end)?;
        self.flush()?;
        self.file.as_ref().map_or(Ok(()), DiskFile::sync)
    }

    /// Copies from `old` what lies between here and `offset`, byte for byte.
    fn copy(&mut self, old: &D::File, offset: u64) -> io::Result<()> {
        loop {
            if self.buffer.len() >= CHUNK_BYTES_MAX {
                self.flush()?;
            }
            let start = self.buffer.len();
            let from = self.written.saturating_add(start as u64);
            let left = usize::try_from(offset.saturating_sub(from)).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(());
            }
            self.buffer.resize(start.saturating_add(left.min(CHUNK_BYTES_MAX)), 0);
            let into = self.buffer.get_mut(start..).unwrap_or_default();
            if read_full(old, into, from)? < into.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.disk.create(&self.name)?,
        };
        let written = write_all(&file, &self.buffer, self.written);
        self.file = Some(file);
        written?;
        self.written = self.written.saturating_add(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    /// Removes the file if there is one that took nobody's place.
    fn remove(self) -> io::Result<()> {
        if self.file.is_some() { self.disk.remove(&self.name) } else { Ok(()) }
    }
}
