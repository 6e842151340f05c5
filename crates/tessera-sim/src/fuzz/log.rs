//! Damaged segment files: the log opens and reads them, or says which file is wrong.
//!
//! An input is the number of one file, whether it is there at all, and its content; the other files are as the log
//! wrote them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tessera_model::Timestamp;
use tessera_store::{Entry, Log as _, LogError, Position};
use tessera_store_embedded::log::sim_disk::SimDisk;
use tessera_store_embedded::{SegmentLog, SegmentLogOptions};

use super::mutate::mutate;
use super::{Broken, Fuzzed, shape};
use crate::sim::random::Random;

const FOLDER: &str = "log";
const OPTIONS: SegmentLogOptions = SegmentLogOptions { segment_bytes: 900 };
const HEADER: usize = 32;
const GONE: u8 = 255;
/// How a frame begins.
const MAGIC: &[u8] = b"\xf7REC";
/// Where in its header the checksum of its record stands.
const SUM: Range<usize> = 24..28;

/// `SegmentLog` on one damaged file.
pub(super) struct Log {
    files: Vec<(PathBuf, Vec<u8>)>,
    appended: BTreeMap<u64, Vec<u8>>,
}

fn open(disk: &SimDisk) -> Result<SegmentLog<SimDisk>, LogError> {
    SegmentLog::open_on(disk.clone(), Path::new(FOLDER), OPTIONS)
}

impl Log {
    pub(super) fn new() -> Result<Self, Broken> {
        let disk = SimDisk::new();
        let log = open(&disk).map_err(Broken::of)?;
        let (mut appended, mut random) = (BTreeMap::new(), Random::new(1));
        for group in 0..16 {
            let mut records = Vec::new();
            for _ in 0..=random.index(3) {
                // Never empty, and never a record that another is the beginning of.
                let len = 4 + random.index(120);
                let mut record = vec![group + 1];
                record.extend(random.bytes(len));
                records.push(record);
            }
            let bytes: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
            let positions =
                log.append(&bytes, Timestamp::from_millis(i64::from(group))).map_err(Broken::of)?;
            appended.extend(positions.iter().map(|position| position.0).zip(records));
        }
        Ok(Self { files: disk.files(), appended })
    }

    /// Reads everything from `from` on. Whatever is read was appended at that very place, and nothing is left out.
    fn read(&self, log: &SegmentLog<SimDisk>, mut from: Position) -> Result<String, Broken> {
        let mut count = 0;
        loop {
            let entries = match log.read(from, 1_000) {
                Ok(entries) => entries,
                Err(error) => return names_a_file(&error).map(|shape| format!("{count} {shape}")),
            };
            let Some(last) = entries.last() else { return Ok(count.to_string()) };
            let is_whole = |(entry, next): (&Entry, &Entry)| entry.next == next.position;
            Broken::unless(
                entries.iter().zip(entries.iter().skip(1)).all(is_whole),
                "records were left out",
            )?;
            for entry in &entries {
                let known = self.appended.get(&entry.position.0);
                let is_known = known.is_some_and(|record| **record == *entry.record);
                Broken::unless(is_known, "a record that nobody appended")?;
            }
            count += entries.len();
            from = last.next;
        }
    }
}

fn names_a_file(error: &LogError) -> Result<String, Broken> {
    let file = match error {
        LogError::Append { file, .. }
        | LogError::Corrupt { file, .. }
        | LogError::Newer { file, .. }
        | LogError::Io { file, .. } => Some(file),
        LogError::Discarded { .. } => None,
        LogError::RecordTooLarge { .. } | LogError::Locked { .. } | LogError::Resized { .. } => {
            return Err(Broken(format!("an error that cannot be: {error}")));
        }
    };
    Broken::unless(
        file.is_none_or(|file| file.starts_with(FOLDER)),
        "an error that names no file of the log",
    )?;
    Ok(shape(&error.to_string()))
}

impl Fuzzed for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let whole =
            (0_u8..).zip(&self.files).map(|(at, (_, content))| [&[at, 0], content.as_slice()].concat());
        let gone = (0_u8..).zip(&self.files).map(|(at, _)| vec![at, GONE]);
        whole.chain(gone).collect()
    }

    fn mutate(&self, random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
        if random.one_in(3) {
            // With a right checksum, so that what comes after the checksum is tried as well.
            rewrite_header(random, input, &self.files);
        } else {
            let mut content = input.split_off(input.len().min(2));
            mutate(random, &mut content, other.get(2..).unwrap_or_default());
            input.extend(content);
        }
    }

    fn check(&self, input: &[u8]) -> Result<String, Broken> {
        let (Some(at), Some(flag)) = (input.first(), input.get(1)) else { return Ok(String::new()) };
        let damaged = usize::from(*at) % self.files.len().max(1);
        let disk = SimDisk::new();
        for (n, (name, content)) in self.files.iter().enumerate() {
            if n != damaged {
                disk.put(name, content);
            } else if *flag != GONE {
                disk.put(name, input.get(2..).unwrap_or_default());
            }
        }
        let log = match open(&disk) {
            Ok(log) => log,
            Err(error) => return names_a_file(&error),
        };
        let seen = self.read(&log, Position::START)?;
        for position in self.appended.keys().step_by(7) {
            self.read(&log, Position(*position))?;
        }
        // Whatever was cut off, the log goes on.
        let record: &[u8] = b"one more";
        let positions = log.append(&[record], Timestamp::MIN).map_err(Broken::of)?;
        let read =
            positions.first().map(|position| log.read(*position, 1)).transpose().map_err(Broken::of)?;
        let is_there = read.is_some_and(|entries| entries.iter().any(|entry| *entry.record == *record));
        Broken::unless(is_there, "what was appended after the damage is not there")?;
        Ok(seen)
    }
}

/// Changes a field of the file's header or of a frame's, and its checksum with it. Only of a frame that still stands
/// where it stood and still has the checksum of its record: else this would forge records, and a checksum is no
/// defence against that.
fn rewrite_header(random: &mut Random, input: &mut [u8], files: &[(PathBuf, Vec<u8>)]) {
    let Some((head, content)) = input.split_at_mut_checked(2) else { return };
    let original = head.first().and_then(|at| files.get(usize::from(*at)));
    let base = original.and_then(|(name, _)| name.file_stem()?.to_str()?.parse::<u64>().ok()).unwrap_or(0);
    let original = original.map_or(&[][..], |(_, content)| content);
    let frames: Vec<usize> = content
        .windows(HEADER)
        .zip(original.windows(HEADER))
        .enumerate()
        .filter(|(_, (now, then))| {
            now.starts_with(MAGIC) && then.starts_with(MAGIC) && now.get(SUM) == then.get(SUM)
        })
        .map(|(at, _)| at)
        .collect();
    let frame = if random.one_in(4) { None } else { random.pick(&frames).copied() };
    let fields: &[(usize, usize)] = match frame {
        // Version, base, newest append time before.
        None => &[(8, 4), (12, 8), (20, 8)],
        // Record length, append time, durable position.
        Some(_) => &[(4, 4), (8, 8), (16, 8)],
    };
    let at = frame.unwrap_or(0);
    let Some(header) = content.get_mut(at..at + HEADER) else { return };
    if let Some((from, len)) = random.pick(fields).copied() {
        let value = match random.below(3) {
            0 => random.below(4),
            1 => random.below(4_000),
            _ => u64::from_le_bytes(random.bytes(8).try_into().unwrap_or_default()),
        };
        for (byte, new) in header.iter_mut().skip(from).zip(value.to_le_bytes()).take(len) {
            *byte = new;
        }
    }
    let position = base.wrapping_add(at.wrapping_sub(HEADER) as u64).to_le_bytes();
    let position: &[u8] = if frame.is_some() { &position } else { &[] };
    if let Some((fields, sum)) = header.split_last_chunk_mut::<4>() {
        *sum = crc32(position.iter().chain(fields.iter())).to_le_bytes();
    }
}

/// CRC-32 as the log computes it (IEEE 802.3), bit by bit.
fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewritten_header_has_a_right_checksum() {
        let log = Log::new().unwrap();
        let mut newer = 0;
        for seed in 0..200 {
            let mut input = log.seeds().remove(0);
            rewrite_header(&mut Random::new(seed), &mut input, &log.files);
            newer += usize::from(log.check(&input).unwrap().contains("format version"));
        }
        assert!(newer > 3, "a version is only read behind a right checksum: {newer}");
    }
}
