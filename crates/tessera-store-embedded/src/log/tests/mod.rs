//! The segment log against the suite that every log runs, and against everything that can go wrong on a disk.

mod crash;
mod damage;
mod faults;
mod format;
mod rewrite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tessera_model::Timestamp;
use tessera_store::{Entry, Log, LogError, Position};

use super::sim_disk::SimDisk;
use super::{SegmentLog, SegmentLogOptions};

const FOLDER: &str = "log";
const NOW: Timestamp = Timestamp::MIN;
/// Small, so that tests see many segments.
const SMALL: SegmentLogOptions = SegmentLogOptions { segment_bytes: 2_000 };

fn open(disk: &SimDisk) -> Result<SegmentLog<SimDisk>, LogError> {
    SegmentLog::open_on(disk.clone(), Path::new(FOLDER), SMALL)
}

/// All records from `from` on.
fn read_from(log: &impl Log, from: Position) -> Result<Vec<Entry>, LogError> {
    let mut all: Vec<Entry> = Vec::new();
    let mut from = from;
    loop {
        let entries = log.read(from, 3_000)?;
        let Some(last) = entries.last() else { return Ok(all) };
        from = last.next;
        all.extend(entries);
    }
}

fn records(log: &impl Log) -> Vec<Vec<u8>> {
    read_from(log, Position::START).unwrap().into_iter().map(|entry| entry.record.to_vec()).collect()
}

/// A record of `bytes` bytes that no other `number` has.
fn record(number: usize, bytes: usize) -> Vec<u8> {
    (number as u64).to_le_bytes().into_iter().chain([0xf7, b'R', b'E', b'C', 0]).cycle().take(bytes).collect()
}

fn append(log: &impl Log, records: &[Vec<u8>]) -> Result<Vec<Position>, LogError> {
    log.append(&records.iter().map(Vec::as_slice).collect::<Vec<_>>(), NOW)
}

/// Groups that [`filled`] appends: the last segment gets the last two.
const GROUPS: usize = 11;
/// The first record of the last group.
const LAST_GROUP: usize = (GROUPS - 1) * 3;

/// Groups of three records, as they were appended, on several segments.
fn filled(disk: &SimDisk) -> (Vec<Vec<u8>>, Vec<Position>) {
    let log = open(disk).unwrap();
    let (mut records, mut positions) = (Vec::new(), Vec::new());
    for group in 0..GROUPS {
        let group: Vec<_> = (0..3).map(|i| record(group * 3 + i, 150 + group)).collect();
        positions.extend(append(&log, &group).unwrap());
        records.extend(group);
    }
    (records, positions)
}

/// The segment files, oldest first.
fn files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files()
}

/// Numbers that look random and repeat with the seed.
fn chooser(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |bound| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

#[test]
fn segment_log_keeps_what_every_log_promises() {
    tessera_store::compliance::log::suite(|| {
        let folder = tempfile::tempdir().unwrap();
        Box::new(move || {
            Arc::new(SegmentLog::open(&folder.path().join("a/b"), SMALL).unwrap()) as Arc<dyn Log>
        })
    });
}

#[test]
fn segment_log_on_a_simulated_disk_keeps_what_every_log_promises() {
    tessera_store::compliance::log::suite(|| {
        let disk = SimDisk::new();
        Box::new(move || Arc::new(open(&disk).unwrap()) as Arc<dyn Log>)
    });
}

#[test]
fn segments_are_as_long_as_the_options_say() {
    let disk = SimDisk::new();
    let (_, positions) = filled(&disk);
    let (last, _) = files(&disk).pop().unwrap();
    assert_eq!(last, Path::new(FOLDER).join(super::frame::file_name(positions[LAST_GROUP - 3].0)));
    let lengths: Vec<_> = files(&disk).iter().map(|(_, content)| content.len()).collect();
    assert!(lengths.len() > 2);
    assert!(lengths.iter().all(|bytes| *bytes as u64 <= SMALL.segment_bytes), "{lengths:?}");
}

#[test]
fn an_append_longer_than_a_segment_goes_into_one_whole() {
    let disk = SimDisk::new();
    let log = open(&disk).unwrap();
    let long = [record(0, 5_000), record(1, 5_000)];
    append(&log, &long).unwrap();
    append(&log, &long[..1]).unwrap();
    assert_eq!(log.segments(), 2);
    assert_eq!(records(&open(&disk).unwrap()), [&long[0], &long[1], &long[0]].map(Vec::clone));
}

#[test]
fn files_that_are_no_segments_are_left_alone() {
    let disk = SimDisk::new();
    filled(&disk);
    for name in [
        "LOCK",
        "1.seg",
        "0000000000000000000x.seg",
        "00000000000000000000.seg.bak",
        "99999999999999999999.seg",
    ] {
        disk.put(&Path::new(FOLDER).join(name), b"mine");
    }
    assert_eq!(records(&open(&disk).unwrap()).len(), GROUPS * 3);
    assert_eq!(disk.files().iter().filter(|(_, content)| content == b"mine").count(), 5);
}

#[test]
fn a_folder_that_is_a_file_is_an_error_that_names_it() {
    let folder = tempfile::NamedTempFile::new().unwrap();
    let error = SegmentLog::open(folder.path(), SMALL).unwrap_err();
    assert!(matches!(&error, LogError::Io { file, .. } if file == folder.path()), "{error}");
}

#[test]
fn only_the_last_segment_is_scanned_when_a_log_opens() {
    let disk = SimDisk::new();
    filled(&disk);
    let (first, _) = files(&disk).remove(0);
    disk.flip_bit(&first, 8 * 100);
    let log = open(&disk).unwrap();
    let error = read_from(&log, Position::START).unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { file, offset: 32, .. } if *file == first), "{error}");
}

#[test]
fn good_records_are_read_up_to_a_damaged_one() {
    let disk = SimDisk::new();
    let (expected, positions) = filled(&disk);
    let (first, _) = files(&disk).remove(0);
    disk.flip_bit(&first, 8 * (32 + positions[2].0 + 40));
    let log = open(&disk).unwrap();
    let entries = log.read(Position::START, usize::MAX).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.record.to_vec()).collect::<Vec<_>>(), expected[..2]);
    assert_eq!(entries[1].next, positions[2]);
    assert!(matches!(log.read(positions[2], usize::MAX), Err(LogError::Corrupt { .. })));
    assert_eq!(&*log.read(positions[3], 0).unwrap()[0].record, expected[3]);
}

#[test]
fn a_position_that_was_never_given_out_is_an_error() {
    let disk = SimDisk::new();
    let (_, positions) = filled(&disk);
    let log = open(&disk).unwrap();
    for position in [positions[0].0 + 1, positions[5].0 - 1, positions[LAST_GROUP].0 + 1] {
        assert!(matches!(log.read(Position(position), 0), Err(LogError::Corrupt { .. })));
    }
}
