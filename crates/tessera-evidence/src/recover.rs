//! Opens what is in the folder: checks it, and cuts off a torn tail.
//!
//! Not a full verification: of all segments but the last, only the ends are looked at, and how they fit.
//! Invariant: nothing is changed unless all that was looked at is sound, and no entry whose append returned is
//! cut off. Reference: `docs/reference/evidence-format.md`, "Recovery".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memrchr;

use crate::chain::{Chain, Fault, Link};
use crate::disk::Disk;
use crate::error::EvidenceError;
use crate::folder::{file_name, segments};
use crate::format::{Hash, LINE_BYTES_MAX, Parts};
use crate::writer::GROUP_BYTES_MAX;

/// No crash leaves a longer torn tail: one group of appends.
const TAIL_BYTES_MAX: u64 = 3 * GROUP_BYTES_MAX;
/// No crash leaves a longer segment without a line: its first is written alone, and is a checkpoint.
const BEGINNING_BYTES_MAX: u64 = 1024;

/// What opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Bytes of an append that never returned, which were cut off.
    pub cut_bytes: u64,
}

/// The ledger as it was found.
pub(crate) struct Opened {
    /// First entries of the segments.
    pub(crate) firsts: Vec<u64>,
    /// The last line; `None` in an empty ledger.
    pub(crate) link: Option<Link>,
    pub(crate) since_checkpoint: u64,
    /// Length of the last segment.
    pub(crate) bytes: u64,
    pub(crate) recovery: Recovery,
}

/// Checks `folder`, then mends its end.
pub(crate) fn open(folder: &Path, public_key: &[u8; 32], disk: &dyn Disk) -> Result<Opened, EvidenceError> {
    let mut firsts = segments(folder).map_err(EvidenceError::io("list", folder))?;
    let mut cut_bytes = 0;
    loop {
        let Some(&last) = firsts.last() else {
            let recovery = Recovery { cut_bytes };
            return Ok(Opened { firsts, link: None, since_checkpoint: 0, bytes: 0, recovery });
        };
        let file = folder.join(file_name(last));
        let bytes = std::fs::read(&file).map_err(EvidenceError::io("read", &file))?;
        let scan = scan(&file, last, &bytes, public_key)?;
        let torn = length(bytes.len()) - scan.bytes;
        let torn_max = if scan.link.is_some() { TAIL_BYTES_MAX } else { BEGINNING_BYTES_MAX };
        if torn > torn_max {
            return Err(EvidenceError::fault(
                &file,
                scan.lines + 1,
                Fault::Truncated { what: "no line stands here" },
            ));
        }
        cut_bytes += torn;
        if scan.link.is_some() {
            stitched(folder, &firsts, public_key)?;
            mend(disk, folder, &file, &scan, &bytes).map_err(EvidenceError::io("write", &file))?;
            let Scan { link, since_checkpoint, bytes, .. } = scan;
            return Ok(Opened { firsts, link, since_checkpoint, bytes, recovery: Recovery { cut_bytes } });
        }
        // A segment whose creation was cut short: nothing in it was ever acknowledged.
        firsts.pop();
        stitched(folder, &firsts, public_key)?;
        let removed = disk.remove(&file).and_then(|()| disk.sync_folder(folder));
        removed.map_err(EvidenceError::io("remove", &file))?;
    }
}

/// The last segment, read through.
struct Scan {
    /// Number of lines that fit.
    lines: u64,
    link: Option<Link>,
    since_checkpoint: u64,
    /// Length of the lines that fit.
    bytes: u64,
    /// All before this offset is known to be on disk.
    vouched: usize,
}

fn scan(file: &Path, first: u64, bytes: &[u8], public_key: &[u8; 32]) -> Result<Scan, EvidenceError> {
    let mut chain = Chain::new(public_key);
    let mut end = 0;
    let mut vouched = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line_number = chain.entries + 1;
        let fails = |fault| EvidenceError::fault(file, line_number, fault);
        let next = chain.link.map_or(first, |link| link.seq + 1);
        let before = chain.link.map(|link| link.seq);
        let pushed = match line.strip_suffix(b"\n") {
            Some(line) => chain.push(line),
            None => Err(Fault::Truncated { what: "the last line has no line feed" }),
        };
        match pushed {
            Ok(parts) => {
                if before.is_none() {
                    is_beginning(&parts, first).map_err(fails)?;
                }
                if before == Some(parts.durable) {
                    vouched = end;
                }
                end += line.len();
            }
            // What no line after it knows as durable is the tail of an append that never returned.
            Err(fault @ (Fault::Form { .. } | Fault::Truncated { .. })) => {
                let rest = bytes.get(end..).unwrap_or_default();
                if rest.split(|byte| *byte == b'\n').any(|line| vouches_for(line, next)) {
                    return Err(fails(fault));
                }
                break;
            }
            Err(fault) => return Err(fails(fault)),
        }
    }
    let since_checkpoint = chain.since_checkpoint;
    Ok(Scan { lines: chain.entries, link: chain.link, since_checkpoint, bytes: length(end), vouched })
}

fn vouches_for(line: &[u8], seq: u64) -> bool {
    Parts::parse(line).is_ok_and(|parts| parts.durable >= seq)
}

fn is_beginning(parts: &Parts<'_>, first: u64) -> Result<(), Fault> {
    if parts.seq != first {
        return Err(Fault::Name { expected: first, found: parts.seq });
    }
    if parts.is_checkpoint() { Ok(()) } else { Err(Fault::Beginning) }
}

/// Cuts off the torn tail and writes again what nothing vouches for: a process that died after a failed sync
/// leaves pages that only seem to be on disk.
fn mend(disk: &dyn Disk, folder: &Path, path: &Path, scan: &Scan, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(path)?;
    if scan.bytes < length(bytes.len()) {
        file.cut(scan.bytes)?;
    }
    let end = usize::try_from(scan.bytes).unwrap_or(bytes.len());
    file.write(bytes.get(scan.vouched..end).unwrap_or_default(), length(scan.vouched))?;
    file.sync()?;
    disk.sync_folder(folder)
}

/// Checks that each segment goes on where the one before it ends.
fn stitched(folder: &Path, firsts: &[u64], public_key: &[u8; 32]) -> Result<(), EvidenceError> {
    let mut before: Option<Link> = None;
    for (index, first) in firsts.iter().enumerate() {
        let path = folder.join(file_name(*first));
        let file = File::open(&path).map_err(EvidenceError::io("open", &path))?;
        let read = |line: io::Result<Option<Vec<u8>>>| match line {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                let fault = Fault::Truncated { what: "the segment has no whole line there" };
                Err(EvidenceError::fault(&path, 1, fault))
            }
            Err(error) => Err(EvidenceError::io("read", &path)(error)),
        };
        let line = read(first_line(&file))?;
        let mut chain = Chain::new(public_key);
        chain.link = before;
        let fails = |fault| EvidenceError::fault(&path, 1, fault);
        let parts = chain.push(&line).map_err(fails)?;
        is_beginning(&parts, *first).map_err(fails)?;
        if index + 1 == firsts.len() {
            break;
        }
        let line = read(last_line(&file))?;
        let parts = Parts::parse(&line).map_err(|what| fails(Fault::Form { what }))?;
        before = Some(Link { seq: parts.seq, hash: Hash::of(&line), durable: parts.durable });
    }
    Ok(())
}

fn first_line(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; LINE_BYTES_MAX + 1];
    let read = read_full(file, &mut buffer, 0)?;
    buffer.truncate(read);
    Ok(buffer.split(|byte| *byte == b'\n').next().filter(|line| line.len() < read).map(<[u8]>::to_vec))
}

/// The last line of a file that ends with a line feed.
fn last_line(file: &File) -> io::Result<Option<Vec<u8>>> {
    let bytes = file.metadata()?.len();
    let mut window = 64 * 1024;
    loop {
        let start = bytes.saturating_sub(window);
        let mut buffer = vec![0; usize::try_from(bytes - start).unwrap_or(usize::MAX)];
        let read = read_full(file, &mut buffer, start)?;
        buffer.truncate(read);
        let Some(text) = buffer.strip_suffix(b"\n") else { return Ok(None) };
        match memrchr(b'\n', text) {
            Some(feed) => return Ok(text.get(feed + 1..).map(<[u8]>::to_vec)),
            None if start == 0 => return Ok(Some(text.to_vec())),
            None if window > length(LINE_BYTES_MAX) => return Ok(None),
            None => window *= 8,
        }
    }
}

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length(done)) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
