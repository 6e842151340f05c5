//! Opening a log folder: checks the chain of segments and cuts off a torn tail.
//!
//! Not a check of everything: only the last segment is scanned, the others are verified as they are read.
//! Invariant: a byte that was ever durable is never cut off. Reference: `docs/reference/log-format.md`.

use std::path::{Path, PathBuf};

use tessera_store::LogError;

use super::disk::{Disk, DiskFile, read_full, write_all};
use super::frame::{
    FILE_HEADER_BYTES, FILE_HEADER_LEN, FORMAT_VERSION, FileHeader, base_of, file_name, is_draft,
};
use super::reader::{CHUNK_BYTES_MAX, FrameError, FrameReader};

/// One segment of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Position of its first frame.
    pub(super) base: u64,
    /// Latest append time in all segments before it.
    pub(super) newest_before_millis: i64,
}

/// A log that is ready for appends.
pub(super) struct Recovered<F> {
    /// Oldest first; at least one.
    pub(super) segments: Vec<Segment>,
    /// The last of them, open.
    pub(super) file: F,
    /// Position after the last record. All before it is durable.
    pub(super) end: u64,
    /// Latest append time in the log.
    pub(super) newest_millis: i64,
}

/// A segment file as listed.
struct Found {
    base: u64,
    file: PathBuf,
    file_bytes: u64,
}

impl Found {
    /// Position after its last byte.
    fn end(&self) -> u64 {
        self.base.saturating_add(self.file_bytes.saturating_sub(FILE_HEADER_BYTES))
    }

    fn corrupt(&self, offset: u64, what: impl Into<String>) -> LogError {
        LogError::Corrupt { file: self.file.clone(), offset, what: what.into() }
    }
}

/// Makes the folder if need be, checks the chain and brings the last segment in order.
pub(super) fn recover<D: Disk>(disk: &D, folder: &Path) -> Result<Recovered<D::File>, LogError> {
    disk.create_folder(folder).map_err(io("create", folder))?;
    let mut found = list(disk, folder)?;
    let half_created = take_half_created(disk, &mut found)?;
    let sealed_upto = half_created.as_ref().map(|segment| segment.base);
    let mut segments = Vec::with_capacity(found.len());
    for segment in &found {
        let header = read_header(disk, segment)?.map_err(|what| segment.corrupt(0, what))?;
        segments.push(Segment { base: segment.base, newest_before_millis: header.newest_before_millis });
    }
    check_chain(&found, sealed_upto)?;
    let (Some(last), Some(segment)) = (found.last(), segments.last()) else {
        remove_drafts(disk, folder)?;
        let first = Segment { base: 0, newest_before_millis: i64::MIN };
        let file = create_segment(disk, folder, first).map_err(io("create", &folder.join(file_name(0))))?;
        return Ok(Recovered { segments: vec![first], file, end: 0, newest_millis: i64::MIN });
    };
    let file = disk.open(&last.file).map_err(io("open", &last.file))?;
    let tail = scan(&file, last, *segment, sealed_upto)?;
    // A killed process leaves its last append in the page cache only, and after a failed sync even marked as
    // written. Written again and synced, it is durable before anybody reads it.
    rewrite(&file, tail.unproven_offset, tail.end_offset).map_err(io("sync", &last.file))?;
    // Only now: until here its name told that the segment before it is durable.
    if let Some(Found { file, .. }) = half_created {
        tracing::warn!(file = %file.display(), "removed a log segment whose creation was cut short");
        disk.remove(&file).map_err(io("remove", &file))?;
    }
    remove_drafts(disk, folder)?;
    disk.sync_folder(folder).map_err(io("sync", folder))?;
    let end = segment.base.saturating_add(tail.end_offset.saturating_sub(FILE_HEADER_BYTES));
    Ok(Recovered { segments, file, end, newest_millis: tail.newest_millis })
}

/// Makes the file of a new segment, durable with its name.
pub(super) fn create_segment<D: Disk>(disk: &D, folder: &Path, segment: Segment) -> std::io::Result<D::File> {
    let Segment { base, newest_before_millis } = segment;
    let file = disk.create(&folder.join(file_name(base)))?;
    let header = FileHeader { version: FORMAT_VERSION, base, newest_before_millis };
    write_all(&file, &header.encode(), 0)?;
    file.sync()?;
    disk.sync_folder(folder)?;
    Ok(file)
}

pub(super) fn io(action: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> LogError {
    move |source| LogError::Io { action, file: file.to_path_buf(), source }
}

fn list(disk: &impl Disk, folder: &Path) -> Result<Vec<Found>, LogError> {
    let files = disk.list(folder).map_err(io("list", folder))?;
    let mut found: Vec<_> = files
        .into_iter()
        .filter_map(|(name, file_bytes)| {
            Some(Found { base: base_of(&name)?, file: folder.join(name), file_bytes })
        })
        .collect();
    found.sort_unstable_by_key(|segment| segment.base);
    Ok(found)
}

/// A crash in the midst of a rewrite leaves the file that was to replace a segment. The segment itself is whole.
fn remove_drafts(disk: &impl Disk, folder: &Path) -> Result<(), LogError> {
    for (name, _) in disk.list(folder).map_err(io("list", folder))? {
        if is_draft(&name) {
            let file = folder.join(name);
            tracing::warn!(file = %file.display(), "removed a log segment whose rewrite was cut short");
            disk.remove(&file).map_err(io("remove", &file))?;
        }
    }
    Ok(())
}

/// A crash while a segment is created can leave a last file without a whole header. It never held a record:
/// the header is durable before the first one is written. Takes it from `found`. All before its base is
/// durable, as the segment before it was sealed.
fn take_half_created(disk: &impl Disk, found: &mut Vec<Found>) -> Result<Option<Found>, LogError> {
    let Some(last) = found.last() else { return Ok(None) };
    if last.file_bytes > FILE_HEADER_BYTES {
        return Ok(None);
    }
    let Err(what) = read_header(disk, last)? else { return Ok(None) };
    if found.len() == 1 && last.base != 0 {
        return Err(last.corrupt(0, format!("{what}, and the segments before it are missing")));
    }
    Ok(found.pop())
}

/// The header of a segment file, or what is wrong with it.
fn read_header(disk: &impl Disk, segment: &Found) -> Result<Result<FileHeader, &'static str>, LogError> {
    let mut bytes = [0; FILE_HEADER_LEN];
    let file = disk.open(&segment.file).map_err(io("open", &segment.file))?;
    let read = read_full(&file, &mut bytes, 0).map_err(io("read", &segment.file))?;
    let header = match FileHeader::decode(bytes.get(..read).unwrap_or_default()) {
        Ok(header) => header,
        Err(what) => return Ok(Err(what)),
    };
    if header.version > FORMAT_VERSION {
        let (file, found) = (segment.file.clone(), header.version);
        return Err(LogError::Newer { file, found, supported: FORMAT_VERSION });
    }
    if header.base != segment.base {
        return Ok(Err("the file header tells of another position than the file name"));
    }
    Ok(Ok(header))
}

/// Each segment must begin where the one before it ends.
fn check_chain(found: &[Found], sealed_upto: Option<u64>) -> Result<(), LogError> {
    let next_bases = found.iter().skip(1).map(|next| next.base).chain(sealed_upto);
    for (segment, next_base) in found.iter().zip(next_bases) {
        if segment.end() != next_base {
            let end = segment.end();
            let what = format!("the segment ends at position {end}, but the next one begins at {next_base}");
            return Err(segment.corrupt(segment.file_bytes, what));
        }
    }
    Ok(())
}

/// How the last segment ends.
struct Tail {
    /// File offset after the last frame.
    end_offset: u64,
    /// File offset from which on nothing in the file says that it is durable.
    unproven_offset: u64,
    newest_millis: i64,
}

/// Walks the last segment and cuts off a torn tail.
fn scan(
    file: &impl DiskFile,
    found: &Found,
    segment: Segment,
    sealed_upto: Option<u64>,
) -> Result<Tail, LogError> {
    let mut buffer = Vec::new();
    let span = (FILE_HEADER_BYTES, found.file_bytes);
    let mut frames = FrameReader::new(file, segment.base, span, &mut buffer);
    // Without a frame not even the header is proven.
    let mut tail =
        Tail { end_offset: span.0, unproven_offset: 0, newest_millis: segment.newest_before_millis };
    let what = loop {
        let next = match frames.peek() {
            Ok(None) => return Ok(tail),
            Ok(Some(header)) => frames.next(header).map(|_| header),
            Err(error) => Err(error),
        };
        match next {
            Ok(header) => {
                let proven = header.durable.saturating_sub(segment.base).saturating_add(FILE_HEADER_BYTES);
                tail.unproven_offset = tail.unproven_offset.max(proven);
                tail.newest_millis = tail.newest_millis.max(header.appended_millis);
                tail.end_offset = frames.offset();
            }
            Err(FrameError::Io(source)) => return Err(io("read", &found.file)(source)),
            Err(FrameError::Invalid(what)) => break what,
        }
    };
    let (offset, position) = (frames.offset(), frames.position());
    let witness = frames.witness().map_err(io("read", &found.file))?;
    if let Some(durable) = witness.max(sealed_upto).filter(|durable| *durable > position) {
        let what = format!("{what}, though all before position {durable} was durable");
        return Err(found.corrupt(offset, what));
    }
    let bytes = found.file_bytes.saturating_sub(offset);
    tracing::warn!(file = %found.file.display(), offset, bytes, what, "cut off the torn tail of the log");
    file.truncate(offset).map_err(io("truncate", &found.file))?;
    Ok(tail)
}

/// Writes a range of the file over itself and syncs it.
fn rewrite(file: &impl DiskFile, mut from: u64, to: u64) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while from < to {
        let left = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        buffer.resize(left.min(CHUNK_BYTES_MAX), 0);
        let read = read_full(file, &mut buffer, from)?;
        if read < buffer.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        write_all(file, &buffer, from)?;
        from = from.saturating_add(read as u64);
    }
    file.sync()
}
