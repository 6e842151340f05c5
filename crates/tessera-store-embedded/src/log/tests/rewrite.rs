//! Records replaced on disks that fail and crash, and beside readers.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use tessera_store::{Log, LogError, Position, Rewritten};

use super::super::disk::{Disk, DiskFile, OsDisk};
use super::super::frame::{draft_name, file_name};
use super::super::sim_disk::{Fault, SimDisk, SimFile};
use super::{
    FOLDER, GROUPS, SMALL, SegmentLog, append, chooser, files, filled, open, read_from, record, records,
};

const EVERYTHING: std::ops::Range<Position> = Position::START..Position(u64::MAX);
/// What a record that is to be erased holds, and nothing else does.
const CANARY: &[u8] = b"ada@example.com";

/// The third of the records that are to go, in all segments but one of the middle.
fn is_wanted(number: usize) -> bool {
    number.is_multiple_of(3) && !(9..18).contains(&number)
}

/// As [`filled`], with the canary in some records.
fn with_canaries(disk: &SimDisk) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let log = open(disk).unwrap();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for group in 0..GROUPS {
        let group: Vec<Vec<u8>> = (0..3)
            .map(|i| {
                let number = group * 3 + i;
                let mut record = record(number, 150 + group);
                after.push(record.clone());
                if is_wanted(number) {
                    record[20..20 + CANARY.len()].copy_from_slice(CANARY);
                    record[100..100 + CANARY.len()].copy_from_slice(CANARY);
                }
                record
            })
            .collect();
        append(&log, &group).unwrap();
        before.extend(group);
    }
    (before, after)
}

/// Puts back what is there in records without a canary.
fn erase(log: &impl Log, after: &[Vec<u8>]) -> Result<Rewritten, LogError> {
    let mut number = 0;
    log.rewrite(EVERYTHING, &mut |_, old| {
        number += 1;
        let holds = old.windows(CANARY.len()).any(|window| window == CANARY);
        holds.then(|| after[number - 1].clone())
    })
}

fn canaries(disk: &SimDisk) -> usize {
    let all = files(disk);
    all.iter().flat_map(|(_, content)| content.windows(CANARY.len())).filter(|w| *w == CANARY).count()
}

fn drafts(disk: &SimDisk) -> usize {
    files(disk).iter().filter(|(name, _)| name.extension().is_some_and(|e| e == "rewrite")).count()
}

#[test]
fn a_rewrite_that_returned_is_on_disk_whatever_a_crash_keeps() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let (_, after) = with_canaries(&disk);
        assert_eq!(canaries(&disk), 16);
        let log = open(&disk).unwrap();
        assert_eq!(erase(&log, &after).unwrap().records, 8);
        assert_eq!((canaries(&disk), drafts(&disk)), (0, 0));
        drop(log);
        // Seed 0: nothing that was not synced is kept.
        let mut choose = chooser(seed);
        disk.crash(&mut |bound| if seed == 0 { 0 } else { choose(bound) });
        assert_eq!((canaries(&disk), drafts(&disk)), (0, 0));
        assert_eq!(records(&open(&disk).unwrap()), after);
    }
}

#[test]
fn a_crash_at_every_operation_of_a_rewrite_leaves_each_segment_old_or_new() {
    let mut seen = BTreeSet::new();
    for operation in 0.. {
        for seed in 0..12 {
            let disk = SimDisk::new();
            let (before, after) = with_canaries(&disk);
            let log = open(&disk).unwrap();
            disk.fail_at(disk.operations() + operation, Fault::Stop { after_bytes: 700 });
            let result = erase(&log, &after);
            if !disk.stopped() {
                assert!(result.is_ok() && operation > 12, "every operation had its turn");
                assert!(seen.len() > 2, "crashes before, between and after segments: {seen:?}");
                return;
            }
            assert!(matches!(result, Err(LogError::Io { .. })), "{result:?}");
            drop(log);
            disk.crash(&mut chooser(operation * 100 + seed));
            let log = open(&disk).unwrap();
            assert_eq!(drafts(&disk), 0, "what was left over is removed when the log opens");
            let found = read_from(&log, Position::START).unwrap();
            assert_eq!(found.len(), before.len());
            let mut kinds = BTreeSet::new();
            for (number, entry) in found.iter().enumerate().filter(|(number, _)| is_wanted(*number)) {
                let is_new = *entry.record == *after[number];
                assert!(is_new || *entry.record == *before[number]);
                let (segment, _, _) = log.locate(entry.position.0);
                kinds.insert((segment, is_new));
            }
            let segments: BTreeSet<u64> = kinds.iter().map(|(segment, _)| *segment).collect();
            assert_eq!(segments.len(), kinds.len(), "a segment is old or new as a whole");
            seen.insert(kinds.iter().filter(|(_, is_new)| *is_new).count());
            erase(&log, &after).unwrap();
            assert_eq!((records(&log), canaries(&disk)), (after, 0));
        }
    }
}

#[test]
fn a_rewrite_that_failed_anywhere_can_be_tried_again() {
    for fault in [Fault::Error, Fault::Full { after_bytes: 10 }] {
        for operation in 0.. {
            let disk = SimDisk::new();
            let (before, mut after) = with_canaries(&disk);
            let log = open(&disk).unwrap();
            disk.fail_at(disk.operations() + operation, fault);
            let result = erase(&log, &after);
            if result.is_ok() {
                assert!(operation > 12, "every operation had its turn");
                break;
            }
            let found = records(&log);
            assert!(found.iter().zip(before.iter().zip(&after)).all(|(r, (old, new))| r == old || r == new));
            let more = [record(500, 40)];
            append(&log, &more).unwrap();
            after.extend(more);
            erase(&log, &after).unwrap();
            drop(log);
            disk.crash(&mut |_| 0);
            assert_eq!((canaries(&disk), drafts(&disk)), (0, 0), "{fault:?} at {operation}");
            assert_eq!(records(&open(&disk).unwrap()), after);
        }
    }
}

#[test]
fn a_full_disk_refuses_a_rewrite_and_keeps_everything() {
    let disk = SimDisk::new();
    let (mut before, mut after) = with_canaries(&disk);
    let log = open(&disk).unwrap();
    for room in [0, 100, 1_000] {
        disk.set_capacity_bytes(Some(log.size_bytes() + room));
        let error = erase(&log, &after).unwrap_err();
        let is_full = |source: &io::Error| source.kind() == io::ErrorKind::StorageFull;
        assert!(matches!(&error, LogError::Io { source, .. } if is_full(source)), "{error}");
        assert_eq!((records(&log), drafts(&disk)), (before.clone(), 0), "the room is given back");
    }
    disk.set_capacity_bytes(Some(log.size_bytes() + 500));
    append(&log, &[record(500, 40)]).unwrap();
    before.push(record(500, 40));
    after.push(record(500, 40));
    assert_eq!(records(&log), before);
    disk.set_capacity_bytes(None);
    erase(&log, &after).unwrap();
    assert_eq!((records(&log), canaries(&disk)), (after, 0));
}

#[test]
fn a_segment_in_which_nothing_changes_keeps_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = SegmentLog::open(folder.path(), SMALL).unwrap();
    let positions: Vec<Position> =
        (0..40).flat_map(|number| append(&log, &[record(number, 400)]).unwrap()).collect();
    let inodes = || -> Vec<(String, u64)> {
        let mut names: Vec<_> =
            OsDisk.list(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let inode = |name: &String| std::fs::metadata(folder.path().join(name)).unwrap().ino();
        names.iter().map(|name| (name.clone(), inode(name))).collect()
    };
    let before = inodes();
    let target = positions[17];
    // Held open, so that the number is not given to the new file.
    let (base, _, _) = log.locate(target.0);
    let _old = std::fs::File::open(folder.path().join(file_name(base))).unwrap();
    let rewritten = log.rewrite(EVERYTHING, &mut |at, old| (at == target).then(|| vec![b'#'; old.len()]));
    assert_eq!(rewritten.unwrap(), Rewritten { records: 1, segments: 1, bytes: 400 });
    let after = inodes();
    assert_eq!(before.len(), after.len(), "the last segment had no reason to be sealed");
    let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].0.0, file_name(base));
}

#[test]
fn a_rewritten_file_differs_in_the_record_and_its_checksums_only() {
    let disk = SimDisk::new();
    let (expected, positions) = filled(&disk);
    let before = files(&disk);
    let log = open(&disk).unwrap();
    let target = positions[4];
    log.rewrite(EVERYTHING, &mut |at, old| (at == target).then(|| vec![b'#'; old.len()])).unwrap();
    let after = files(&disk);
    assert_eq!(before[1..], after[1..]);
    let (old, new) = (&before[0].1, &after[0].1);
    assert_eq!(old.len(), new.len());
    let frame = usize::try_from(target.0).unwrap() + 32;
    let may_differ = |at: usize| (frame + 24..frame + 32 + expected[4].len()).contains(&at);
    let differing: Vec<usize> = (0..old.len()).filter(|at| old[*at] != new[*at]).collect();
    assert!(differing.iter().all(|at| may_differ(*at)) && differing.len() > 100, "{differing:?}");
}

#[test]
fn damage_in_a_segment_stops_its_rewrite_and_is_named() {
    let disk = SimDisk::new();
    let (_, after) = with_canaries(&disk);
    let log = open(&disk).unwrap();
    let (first, _) = files(&disk).remove(0);
    disk.flip_bit(&first, 8 * 600);
    let damaged = files(&disk);
    let error = erase(&log, &after).unwrap_err();
    assert!(matches!(&error, LogError::Corrupt { file, .. } if *file == first), "{error}");
    assert_eq!(files(&disk), damaged, "nothing was changed");
}

#[test]
fn what_a_cut_short_rewrite_left_is_removed_when_the_log_opens() {
    let disk = SimDisk::new();
    let (expected, _) = filled(&disk);
    for base in [0, 77, u64::MAX] {
        disk.put(&Path::new(FOLDER).join(draft_name(base)), CANARY);
    }
    disk.put(&Path::new(FOLDER).join("1.seg.rewrite"), b"mine");
    assert_eq!(records(&open(&disk).unwrap()), expected);
    disk.crash(&mut |_| 0);
    assert_eq!((canaries(&disk), drafts(&disk)), (0, 1), "and stays so");
}

#[test]
fn a_rewrite_does_not_bring_back_a_segment_that_was_discarded_meanwhile() {
    let disk = SimDisk::new();
    let (_, after) = with_canaries(&disk);
    let log = open(&disk).unwrap();
    let positions: Vec<Position> =
        read_from(&log, Position::START).unwrap().iter().map(|entry| entry.position).collect();
    log.rewrite(EVERYTHING, &mut |at, _| {
        let number = positions.iter().position(|position| *position == at).unwrap();
        if number == 5 {
            log.discard_before(log.bounds().end).unwrap();
        }
        is_wanted(number).then(|| after[number].clone())
    })
    .unwrap();
    let kept = records(&log);
    assert!(kept.len() < 12 && after.ends_with(&kept));
    drop(log);
    disk.crash(&mut |_| 0);
    assert_eq!((records(&open(&disk).unwrap()), canaries(&disk), drafts(&disk)), (kept, 0, 0));
}

/// A disk whose next read waits, and which says when a file is renamed.
struct Waiting {
    disk: SimDisk,
    gate: Arc<Mutex<Option<Gate>>>,
    renamed: Sender<()>,
}

struct Gate {
    reached: Sender<()>,
    opened: Receiver<()>,
}

struct WaitingFile {
    file: SimFile,
    gate: Arc<Mutex<Option<Gate>>>,
}

impl Disk for Waiting {
    type File = WaitingFile;

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        self.disk.list(folder)
    }

    fn create(&self, file: &Path) -> io::Result<WaitingFile> {
        Ok(WaitingFile { file: self.disk.create(file)?, gate: Arc::clone(&self.gate) })
    }

    fn open(&self, file: &Path) -> io::Result<WaitingFile> {
        Ok(WaitingFile { file: self.disk.open(file)?, gate: Arc::clone(&self.gate) })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)?;
        self.renamed.send(()).map_err(io::Error::other)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}

impl DiskFile for WaitingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset);
        let gate = self.gate.lock().take();
        if let Some(gate) = gate {
            gate.reached.send(()).map_err(io::Error::other)?;
            gate.opened.recv().map_err(io::Error::other)?;
        }
        read
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}

#[test]
fn a_rewrite_waits_for_the_readers_of_the_old_file_and_forgets_what_they_read() {
    let disk = SimDisk::new();
    let (before, after) = with_canaries(&disk);
    let (renamed, is_renamed) = channel();
    let gate = Arc::new(Mutex::new(None));
    let waiting = Waiting { disk: disk.clone(), gate: Arc::clone(&gate), renamed };
    let log = SegmentLog::open_on(waiting, Path::new(FOLDER), SMALL).unwrap();
    let ((reached, is_reached), (open_gate, opened)) = (channel(), channel());
    *gate.lock() = Some(Gate { reached, opened });
    let may_read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| log.read(Position::START, 200).unwrap());
        is_reached.recv().unwrap();
        let rewriter = scope.spawn(|| {
            erase(&log, &after).unwrap();
            assert!(may_read.load(Ordering::SeqCst), "a reader still has the old bytes");
        });
        is_renamed.recv().unwrap();
        // Time enough for a rewrite that does not wait.
        (0..10_000).for_each(|_| std::thread::yield_now());
        may_read.store(true, Ordering::SeqCst);
        open_gate.send(()).unwrap();
        assert_eq!(*reader.join().unwrap()[0].record, *before[0], "read before it was replaced");
        rewriter.join().unwrap();
    });
    let kept = log.buffers.lock();
    assert!(!kept.is_empty() && kept.iter().flatten().all(|byte| *byte == 0), "working space is cleared");
    drop(kept);
    assert_eq!(records(&log), after);
}
