//! A log on a disk that fails and crashes anywhere, against a plain list.
//!
//! What the format promises: after any crash the log holds every record whose append returned, then perhaps
//! the first few records of one append that did not return or failed, and nothing else. While the process
//! lives, a failed append leaves nothing at all.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tessera_store::{Log, LogError, Position};

use super::super::SegmentLog;
use super::super::sim_disk::{Fault, SimDisk};
use super::{append, chooser, open, read_from, record};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Fail { operations: u64, fault: Fault },
    Crash { seed: u64 },
    Reopen,
    Discard { share: u64 },
    Rewrite { every: u64, share: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![8 => 0..400_usize, 1 => 1_500..3_000_usize];
    let fault = prop_oneof![
        (0..900_usize).prop_map(|after_bytes| Fault::Full { after_bytes }),
        Just(Fault::Error),
        (0..900_usize).prop_map(|after_bytes| Fault::Stop { after_bytes }),
    ];
    prop_oneof![
        8 => prop::collection::vec(bytes, 1..6).prop_map(Step::Append),
        3 => (0..6_u64, fault).prop_map(|(operations, fault)| Step::Fail { operations, fault }),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        1 => Just(Step::Reopen),
        1 => (0..=100_u64).prop_map(|share| Step::Discard { share }),
        2 => (1..6_u64, 0..=100_u64).prop_map(|(every, share)| Step::Rewrite { every, share }),
    ]
}

/// What must be there.
#[derive(Default)]
struct Model {
    kept: Vec<(Position, Vec<u8>)>,
    /// Records that a rewrite which failed may have replaced.
    doubted: BTreeSet<Position>,
    /// Appends that failed since the last one that returned.
    failed: Vec<Vec<Vec<u8>>>,
    /// What lies before this went for good: the discard returned.
    discarded_upto: Position,
    /// Nothing at or after this was ever asked to go. In between, a crash may bring back what was removed.
    asked_upto: Position,
    numbers: usize,
}

impl Model {
    /// Compares with what `log` holds. `crashed`: a beginning of a failed append may be there.
    fn check(&mut self, log: &SegmentLog<SimDisk>, crashed: bool) {
        let start = log.bounds().start;
        assert!(self.discarded_upto <= start, "what was discarded does not come back");
        assert!(start <= self.asked_upto, "no more was discarded than was asked for");
        let first = self.kept.partition_point(|(position, _)| *position < start);
        let expected = &self.kept[first..];
        let found: Vec<_> = read_from(log, Position::START)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.position, entry.record.to_vec()))
            .collect();
        assert!(found.len() >= expected.len(), "{} of {} records", found.len(), expected.len());
        let (kept, more) = found.split_at(expected.len());
        let is_right = |((at, record), (expected_at, expected)): (&Kept, &Kept)| {
            let is_erased = self.doubted.contains(at) && *record == erased(expected);
            at == expected_at && (record == expected || is_erased)
        };
        let are_right = kept.iter().zip(expected).all(is_right);
        assert!(are_right, "every record whose append returned is there as it was, or as it was rewritten");
        let records: Vec<_> = more.iter().map(|(_, record)| record.clone()).collect();
        let explained = crashed && self.failed.iter().any(|failed| failed.starts_with(&records));
        assert!(more.is_empty() || explained, "{} records that nobody appended", more.len());
        let more = more.to_vec();
        if crashed {
            // What is there now is on disk.
            let kept = kept.to_vec();
            self.kept.splice(first.., kept);
            self.doubted.clear();
            self.failed.clear();
        }
        self.kept.extend(more);
    }

    fn append(&mut self, log: &SegmentLog<SimDisk>, lengths: &[usize]) {
        let first = self.numbers;
        self.numbers += lengths.len();
        let group: Vec<_> = lengths.iter().enumerate().map(|(i, bytes)| record(first + i, *bytes)).collect();
        match append(log, &group) {
            Ok(positions) => {
                self.kept.extend(positions.into_iter().zip(group));
                self.failed.clear();
            }
            Err(LogError::Append { .. }) => self.failed.push(group),
            Err(other) => panic!("{other}"),
        }
    }

    /// Erases each record before `upto` whose place in the list is a multiple of `every`.
    fn rewrite(&mut self, log: &SegmentLog<SimDisk>, every: usize, upto: Position) {
        let wanted: BTreeSet<Position> = self.kept.iter().step_by(every).map(|(at, _)| *at).collect();
        let result = log
            .rewrite(Position::START..upto, &mut |at, record| wanted.contains(&at).then(|| erased(record)));
        let wanted = |at: &Position| *at < upto && wanted.contains(at);
        match result {
            Ok(_) => {
                for (at, record) in self.kept.iter_mut().filter(|(at, _)| wanted(at)) {
                    record.fill(b'#');
                    self.doubted.remove(at);
                }
            }
            Err(LogError::Io { .. }) => {
                self.doubted.extend(self.kept.iter().map(|(at, _)| *at).filter(wanted));
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn discard(&mut self, log: &SegmentLog<SimDisk>, upto: Position) {
        self.asked_upto = self.asked_upto.max(upto);
        match log.discard_before(upto) {
            Ok(()) => self.discarded_upto = log.bounds().start,
            Err(LogError::Io { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// A record and where it is.
type Kept = (Position, Vec<u8>);

fn erased(record: &[u8]) -> Vec<u8> {
    vec![b'#'; record.len()]
}

/// Opens the log again; a planned fault may hit just then, and the machine crashes once more.
fn reopen(disk: &SimDisk, choose: &mut dyn FnMut(u64) -> u64) -> SegmentLog<SimDisk> {
    for _ in 0..10 {
        match open(disk) {
            Ok(log) => return log,
            Err(LogError::Io { .. }) => disk.crash(choose),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("a crash forgets planned faults, so one of these must open");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(1_500)))]

    #[test]
    fn a_log_that_crashes_anywhere_keeps_what_it_acknowledged(steps in prop::collection::vec(step(), 1..40)) {
        let disk = SimDisk::new();
        let mut model = Model::default();
        let mut choose = chooser(steps.len() as u64);
        let mut log = open(&disk).unwrap();
        for step in steps {
            match step {
                Step::Append(lengths) => model.append(&log, &lengths),
                Step::Fail { operations, fault } => disk.fail_at(disk.operations() + operations, fault),
                Step::Crash { seed } => {
                    disk.crash(&mut chooser(seed));
                    log = reopen(&disk, &mut choose);
                    model.check(&log, true);
                }
                Step::Reopen => {
                    drop(log);
                    log = reopen(&disk, &mut choose);
                    model.check(&log, true);
                }
                Step::Discard { share } => {
                    let upto = Position(log.bounds().end.0 * share / 100);
                    model.discard(&log, upto);
                }
                Step::Rewrite { every, share } => {
                    let upto = Position(log.bounds().end.0 * share / 100);
                    model.rewrite(&log, usize::try_from(every).unwrap(), upto);
                }
            }
            if disk.stopped() {
                disk.crash(&mut choose);
                log = reopen(&disk, &mut choose);
                model.check(&log, true);
            } else {
                model.check(&log, false);
            }
        }
    }
}

#[test]
fn a_crash_at_every_operation_keeps_what_was_acknowledged() {
    for operation in 0.. {
        let disk = SimDisk::new();
        disk.fail_at(operation, Fault::Stop { after_bytes: 100 });
        let mut model = Model::default();
        let log = open(&disk);
        if let Ok(log) = &log {
            for group in 0..12 {
                model.append(log, &[100 + group, 150, 0]);
            }
            model.rewrite(log, 3, log.bounds().end);
            model.discard(log, Position(log.bounds().end.0 / 2));
        }
        if !disk.stopped() {
            assert!(operation > 30, "every operation had its turn");
            return;
        }
        disk.crash(&mut chooser(operation));
        model.check(&reopen(&disk, &mut chooser(0)), true);
    }
}
