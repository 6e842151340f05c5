//! The one who writes lines: numbers them, chains them, signs checkpoints, makes them durable.
//!
//! Not concurrent: the ledger calls it for one group of appends after the other. Invariants: a group is on disk
//! whole or, after an error, not at all; nothing is written behind what a failed write may have left.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::EvidenceError;
use crate::folder::file_name;
use crate::format::{APPEND_ENTRIES_MAX, CHECKPOINT_ENTRIES, Envelope, Hash, LINE_BYTES_MAX, Signer};
use crate::format::{checkpoint_body, push_line};
use crate::{Entry, Head};

/// A segment is begun when a group would make the last one longer than this.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Appends that wait together are written together, up to about so many bytes.
pub(crate) const GROUP_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Everything of a line but the entry's own members takes less.
const ENVELOPE_BYTES_MAX: usize = 256;

/// What one caller asks to be recorded.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The entries' own members, one after another.
    bodies: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// A checkpoint is wanted, if there is anything to sign.
    checkpoint: bool,
}

impl Request {
    /// Asks for a checkpoint alone.
    pub(crate) fn checkpoint() -> Self {
        Self { checkpoint: true, ..Self::default() }
    }

    /// Writes `entries` out; done by the caller's own thread.
    pub(crate) fn new(entries: &[Entry]) -> Result<Self, EvidenceError> {
        let refuse = |what| Err(EvidenceError::Entry { what });
        let mut request = Self::default();
        if u64::try_from(entries.len()).unwrap_or(u64::MAX) > APPEND_ENTRIES_MAX {
            return refuse("more than 10,000 entries at once");
        }
        for entry in entries {
            if matches!(entry, Entry::Checkpoint(_)) {
                return refuse("a checkpoint: only the ledger makes one");
            }
            let start = request.bodies.len();
            let Ok(()) = serde_json::to_writer(&mut request.bodies, entry) else {
                return refuse("an entry that has no JSON form");
            };
            // `{"kind":..}` without its braces.
            request.bodies.pop();
            request.bodies.remove(start);
            if request.bodies.len() - start > LINE_BYTES_MAX - ENVELOPE_BYTES_MAX {
                return refuse("an entry of more than 1 MiB");
            }
            request.ends.push(request.bodies.len());
        }
        if request.bytes() > GROUP_BYTES_MAX {
            return refuse("more than 8 MiB at once");
        }
        Ok(request)
    }

    fn entries(&self) -> u64 {
        u64::try_from(self.ends.len()).unwrap_or(u64::MAX)
    }

    /// About how long its lines will be, never less.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = self.bodies.len() + (self.ends.len() + 2) * ENVELOPE_BYTES_MAX;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// The end of the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    pub(crate) head: Head,
    /// Entries that no checkpoint covers.
    pub(crate) since_checkpoint: u64,
}

/// The last segment.
struct Segment {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// Length of what is durable.
    bytes: u64,
}

/// What a failed write may have left, to be undone before anything else.
enum Leftover {
    /// Bytes past the end of the last segment.
    Tail,
    /// A segment that was being created.
    Segment(PathBuf),
}

pub(crate) struct Writer {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) signer: Arc<Signer>,
    pub(crate) segment_bytes_max: u64,
    pub(crate) tail: Tail,
    segment: Option<Segment>,
    leftover: Option<Leftover>,
    /// Lines of one group; reused.
    buffer: Vec<u8>,
}

/// What a group came to.
pub(crate) struct Written {
    /// Of each request; empty for one without entries.
    pub(crate) ranges: Vec<RangeInclusive<u64>>,
    /// Whether a checkpoint was among it.
    pub(crate) checkpoint: bool,
}

impl Writer {
    pub(crate) fn new(disk: Box<dyn Disk>, folder: PathBuf, signer: Arc<Signer>, tail: Tail) -> Self {
        let segment_bytes_max = SEGMENT_BYTES_MAX;
        Self {
            disk,
            folder,
            signer,
            segment_bytes_max,
            tail,
            segment: None,
            leftover: None,
            buffer: Vec::new(),
        }
    }

    /// Goes on behind the first `bytes` of the segment that begins with entry `first`.
    pub(crate) fn go_on(&mut self, first: u64, bytes: u64) -> Result<(), EvidenceError> {
        let path = self.folder.join(file_name(first));
        let file = self.disk.open(&path).map_err(EvidenceError::io("open", &path))?;
        self.segment = Some(Segment { path, file, bytes });
        Ok(())
    }

    /// Length of the last segment.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment.as_ref().map_or(0, |segment| segment.bytes)
    }

    /// Begins a segment if this group calls for one; returns its first entry.
    pub(crate) fn roll(
        &mut self,
        group: &[impl AsRef<Request>],
        at: &str,
    ) -> Result<Option<u64>, EvidenceError> {
        let bytes: u64 = group.iter().map(|request| request.as_ref().bytes()).sum();
        let entries = group.iter().any(|request| request.as_ref().entries() > 0);
        let full = |segment: &Segment| segment.bytes.saturating_add(bytes) > self.segment_bytes_max;
        if !entries || !self.segment.as_ref().is_none_or(full) {
            return Ok(None);
        }
        let first = self.tail.head.seq + 1;
        let path = self.folder.join(file_name(first));
        self.undo(&path)?;
        let mut tail = self.tail;
        self.buffer.clear();
        push_checkpoint(&mut self.buffer, &self.signer, &mut tail, self.tail.head.seq, at);
        match create(self.disk.as_ref(), &self.folder, &path, &self.buffer) {
            Ok(file) => {
                let bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
                self.segment = Some(Segment { path, file, bytes });
                self.tail = tail;
                Ok(Some(first))
            }
            Err(source) => {
                self.leftover = Some(Leftover::Segment(path.clone()));
                Err(self.failed(path, source))
            }
        }
    }

    /// Writes `group` and makes it durable. [`Self::roll`] came before.
    pub(crate) fn write(
        &mut self,
        group: &[impl AsRef<Request>],
        at: &str,
    ) -> Result<Written, EvidenceError> {
        let mut written = Written { ranges: Vec::with_capacity(group.len()), checkpoint: false };
        let mut tail = self.tail;
        self.buffer.clear();
        for request in group {
            let request = request.as_ref();
            // Never in the middle of a request, so that its entries have numbers without a gap.
            let before = request.checkpoint || tail.since_checkpoint + request.entries() > CHECKPOINT_ENTRIES;
            written.checkpoint |= before && self.push_checkpoint(&mut tail, at);
            let first = tail.head.seq + 1;
            self.push_entries(&mut tail, request, at);
            written.ranges.push(first..=tail.head.seq);
            let after = tail.since_checkpoint >= CHECKPOINT_ENTRIES;
            written.checkpoint |= after && self.push_checkpoint(&mut tail, at);
        }
        if self.buffer.is_empty() {
            return Ok(written);
        }
        self.store()?;
        self.tail = tail;
        Ok(written)
    }

    fn push_entries(&mut self, tail: &mut Tail, request: &Request, at: &str) {
        let durable = self.tail.head.seq;
        let mut start = 0;
        for &end in &request.ends {
            let body = request.bodies.get(start..end).unwrap_or_default();
            let envelope = Envelope { seq: tail.head.seq + 1, at, durable, prev: tail.head.hash };
            let hash = push_line(&mut self.buffer, &envelope, body);
            tail.head = Head { seq: envelope.seq, hash };
            tail.since_checkpoint += 1;
            start = end;
        }
    }

    /// Adds a checkpoint to the group, if there is anything to sign; returns whether there was.
    fn push_checkpoint(&mut self, tail: &mut Tail, at: &str) -> bool {
        if tail.since_checkpoint == 0 {
            return false;
        }
        push_checkpoint(&mut self.buffer, &self.signer, tail, self.tail.head.seq, at);
        true
    }

    fn store(&mut self) -> Result<(), EvidenceError> {
        let Some(path) = self.segment.as_ref().map(|segment| segment.path.clone()) else {
            // Never: `roll` made one.
            return Err(EvidenceError::Entry { what: "anything without a segment" });
        };
        self.undo(&path)?;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let stored = segment.file.write(&self.buffer, segment.bytes).and_then(|()| segment.file.sync());
        match stored {
            Ok(()) => {
                segment.bytes += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
                Ok(())
            }
            Err(source) => {
                self.leftover = Some(Leftover::Tail);
                Err(self.failed(path, source))
            }
        }
    }

    fn failed(&mut self, file: PathBuf, source: io::Error) -> EvidenceError {
        // Now if it can be, so that a crash does not bring back what the caller is told is not recorded;
        // otherwise the next append begins with it.
        match self.undo(&file) {
            Ok(()) | Err(_) => EvidenceError::Append { file, source: Arc::new(source) },
        }
    }

    /// Removes, durably, what a failed write may have left.
    fn undo(&mut self, file: &Path) -> Result<(), EvidenceError> {
        let undone = match (&self.leftover, &mut self.segment) {
            (None, _) | (Some(Leftover::Tail), None) => Ok(()),
            (Some(Leftover::Segment(path)), _) => remove(self.disk.as_ref(), &self.folder, path),
            // Opened anew: after a failed sync the old handle would not report again what it lost.
            (Some(Leftover::Tail), Some(segment)) => self.disk.open(&segment.path).and_then(|file| {
                segment.file = file;
                segment.file.cut(segment.bytes)
            }),
        };
        undone.map_err(|source| EvidenceError::Append { file: file.to_owned(), source: Arc::new(source) })?;
        self.leftover = None;
        Ok(())
    }
}

fn push_checkpoint(buffer: &mut Vec<u8>, signer: &Signer, tail: &mut Tail, durable: u64, at: &str) {
    let Head { seq, hash: prev } = tail.head;
    let envelope = Envelope { seq: seq + 1, at, durable, prev };
    let body = checkpoint_body(signer, &envelope);
    let hash: Hash = push_line(buffer, &envelope, body.as_bytes());
    *tail = Tail { head: Head { seq: envelope.seq, hash }, since_checkpoint: 0 };
}

/// Makes a segment that holds `bytes`, durably, its name too.
fn create(disk: &dyn Disk, folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn DiskFile>> {
    let file = disk.create(path)?;
    file.write(bytes, 0)?;
    file.sync()?;
    disk.sync_folder(folder)?;
    Ok(file)
}

fn remove(disk: &dyn Disk, folder: &Path, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    disk.sync_folder(folder)
}
