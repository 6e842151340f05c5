//! Disks that refuse: full, failing to sync, failing to truncate.

use tessera_store::{Log, LogError, Position};

use super::super::sim_disk::{Fault, SimDisk};
use super::{append, chooser, filled, open, record, records};

fn refused(result: Result<Vec<Position>, LogError>) {
    let error = result.unwrap_err();
    assert!(matches!(&error, LogError::Append { file, .. } if file.starts_with("log")), "{error}");
}

#[test]
fn a_full_disk_refuses_appends_until_there_is_space_again() {
    let disk = SimDisk::new();
    let (mut expected, _) = filled(&disk);
    let log = open(&disk).unwrap();
    // Room for a part of the group only: a short write, then none.
    for room in [0, 1, 40, 200] {
        disk.set_capacity_bytes(Some(log.size_bytes() + room));
        let end = log.bounds().end;
        for _ in 0..3 {
            refused(append(&log, &[record(100, 200), record(101, 200)]));
            assert_eq!(log.bounds().end, end);
            assert_eq!(records(&log), expected);
        }
        disk.set_capacity_bytes(None);
        assert_eq!(append(&log, &[record(102, 50)]).unwrap(), [end]);
        expected.push(record(102, 50));
        assert_eq!(records(&log), expected);
    }
    drop(log);
    disk.crash(&mut chooser(1));
    assert_eq!(records(&open(&disk).unwrap()), expected);
}

#[test]
fn what_a_failed_append_left_never_comes_back() {
    // Whatever fails of write and sync, and whatever the crash keeps.
    for operation in 0..2 {
        for fault in [Fault::Full { after_bytes: 300 }, Fault::Error] {
            for seed in 0..20 {
                let disk = SimDisk::new();
                let (expected, _) = filled(&disk);
                let log = open(&disk).unwrap();
                disk.fail_at(disk.operations() + operation, fault);
                refused(append(&log, &[record(100, 100), record(101, 300)]));
                assert_eq!(records(&log), expected);
                drop(log);
                disk.crash(&mut chooser(seed));
                assert_eq!(records(&open(&disk).unwrap()), expected);
            }
        }
    }
}

#[test]
fn an_append_after_a_failed_sync_does_not_trust_the_page_cache() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        let (mut expected, _) = filled(&disk);
        let log = open(&disk).unwrap();
        disk.fail_at(disk.operations() + 1, Fault::Error);
        refused(append(&log, &[record(100, 100)]));
        append(&log, &[record(100, 100)]).unwrap();
        expected.push(record(100, 100));
        drop(log);
        disk.crash(&mut chooser(seed));
        assert_eq!(records(&open(&disk).unwrap()), expected);
    }
}

#[test]
fn a_failed_truncation_is_tried_again_before_the_next_append() {
    let disk = SimDisk::new();
    let (mut expected, _) = filled(&disk);
    let log = open(&disk).unwrap();
    let next = disk.operations();
    // The sync, the truncation after it, and the truncation before the second append.
    for operation in 1..=3 {
        disk.fail_at(next + operation, Fault::Error);
    }
    refused(append(&log, &[record(100, 100), record(101, 100)]));
    refused(append(&log, &[record(102, 10)]));
    assert_eq!(disk.operations(), next + 4, "nothing was written before the truncation");
    assert_eq!(records(&log), expected);
    append(&log, &[record(103, 10)]).unwrap();
    expected.push(record(103, 10));
    assert_eq!(records(&log), expected);
    drop(log);
    assert_eq!(records(&open(&disk).unwrap()), expected);
}

#[test]
fn a_segment_that_could_not_be_created_does_not_stand_in_the_way() {
    // Create, write, sync of the new file, sync of the folder.
    for operation in 0..4 {
        for seed in 0..10 {
            let disk = SimDisk::new();
            let (mut expected, _) = filled(&disk);
            let log = open(&disk).unwrap();
            let segments = log.segments();
            disk.fail_at(disk.operations() + operation, Fault::Full { after_bytes: 7 });
            refused(append(&log, &[record(100, 1_900)]));
            assert_eq!(records(&log), expected);
            if seed % 2 == 0 {
                // Would fit into the old segment.
                append(&log, &[record(101, 10)]).unwrap();
                expected.push(record(101, 10));
                assert_eq!(log.segments(), segments + 1);
            }
            drop(log);
            if seed % 3 != 0 {
                disk.crash(&mut chooser(seed));
            }
            let log = open(&disk).unwrap();
            assert_eq!(records(&log), expected);
            append(&log, &[record(102, 1_900)]).unwrap();
            expected.push(record(102, 1_900));
            drop(log);
            assert_eq!(records(&open(&disk).unwrap()), expected);
        }
    }
}

#[test]
fn a_discard_that_failed_halfway_can_be_tried_again() {
    for operation in 0..4 {
        let disk = SimDisk::new();
        let (expected, _) = filled(&disk);
        let log = open(&disk).unwrap();
        disk.fail_at(disk.operations() + operation, Fault::Error);
        let end = log.bounds().end;
        let error = log.discard_before(end).unwrap_err();
        assert!(matches!(error, LogError::Io { .. }), "{error}");
        log.discard_before(end).unwrap();
        let kept = records(&log);
        assert!(kept.len() < 12 && expected.ends_with(&kept));
        drop(log);
        disk.crash(&mut chooser(operation));
        assert_eq!(records(&open(&disk).unwrap()), kept);
    }
}
