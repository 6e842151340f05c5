//! What every [`Log`] must do.
//!
//! Not about crashes, torn writes and full disks: those need a disk that can be broken, so each
//! implementation tests them itself.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite of assertions: a panic is a finding"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tessera_model::Timestamp;

use crate::{Bounds, Entry, Log, LogError, Position, Retention, Rewritten};

/// Opens one and the same log each time it is called: the second call reopens what the first wrote. The suite
/// drops the old log before it opens it again.
pub type Open = Box<dyn Fn() -> Arc<dyn Log>>;

/// Runs every case, each on a fresh empty log from `make`.
///
/// The log should be set up so that 200 records of 100 bytes, appended ten at a time, are several of its
/// units of retention (segments).
///
/// # Panics
/// When a promise is broken.
pub fn suite(make: impl Fn() -> Open) {
    let cases: [(&'static str, Case); 18] = [
        ("an empty log has nothing to read", empty),
        ("records come back in order", order),
        ("reading starts at any position", every_position),
        ("a read stops at its limit", bytes_max),
        ("records of every size come back", sizes),
        ("appending nothing changes nothing", append_nothing),
        ("bounds move with appends and survive reopening", bounds),
        ("a record over the limit is refused whole", too_large),
        ("appends from many threads are all kept", concurrent),
        ("a reader beside an appender sees whole records in order", reader_beside_appender),
        ("retention never passes what is needed", retention_upto),
        ("retention by time and by size", retention),
        ("what was discarded is an error to read", discarded),
        ("a rewrite replaces what it is told and nothing else", rewrite),
        ("a rewrite that replaces nothing changes nothing", rewrite_nothing),
        ("a rewrite refuses another length", rewrite_resized),
        ("a rewritten log goes on as any other", rewrite_and_go_on),
        ("appends, reads and retention go on beside a rewrite", rewrite_beside_all),
    ];
    for (name, case) in cases {
        let _promise = Promise(name);
        case(&make());
    }
}

type Case = fn(&Open);

/// Names the promise when its case panics.
struct Promise(&'static str);

impl Drop for Promise {
    #[expect(clippy::print_stderr, reason = "tells the reader of a failed test which promise was broken")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log compliance, broken promise: {}", self.0);
        }
    }
}

const NOW: Timestamp = Timestamp::MIN;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn numbered(number: usize) -> Vec<u8> {
    let mut record = vec![b'.'; 100];
    record[..8].copy_from_slice(&(number as u64).to_be_bytes());
    record
}

/// Appends records `first..first + 10 * groups`, ten at a time, group `g` at time `g` milliseconds.
fn fill(log: &dyn Log, first: usize, groups: usize) -> Vec<Position> {
    let mut positions = Vec::new();
    for group in 0..groups {
        let records: Vec<_> = (0..10).map(|i| numbered(first + group * 10 + i)).collect();
        let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
        positions.extend(log.append(&records, at(i64::try_from(group).unwrap())).unwrap());
    }
    positions
}

/// Reads from `from` to the end in steps of `bytes_max`, checking that each step leads to the next.
fn read_all(log: &dyn Log, from: Position, bytes_max: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    let mut from = from;
    loop {
        let step = log.read(from, bytes_max).unwrap();
        let Some(last) = step.last() else { return all };
        from = last.next;
        all.extend(step);
        assert!(
            all.windows(2).all(|pair| pair[0].next == pair[1].position),
            "`next` is the next record's position"
        );
    }
}

fn check_numbered(entries: &[Entry], first: usize, positions: &[Position]) {
    assert_eq!(entries.len(), positions.len());
    for (i, (entry, position)) in entries.iter().zip(positions).enumerate() {
        assert_eq!(entry.position, *position);
        assert_eq!(&*entry.record, numbered(first + i), "record {}", first + i);
    }
}

fn empty(open: &Open) {
    for _ in 0..2 {
        let log = open();
        assert_eq!(log.read(Position::START, usize::MAX).unwrap(), []);
        assert_eq!(log.bounds(), Bounds { start: Position::START, end: Position::START });
        let everything = Retention { before: Timestamp::MAX, bytes_max: 0, upto: Position(u64::MAX) };
        assert_eq!(log.cut(&everything), Position::START);
        log.discard_before(Position(u64::MAX)).unwrap();
        assert_eq!(log.bounds(), Bounds { start: Position::START, end: Position::START });
    }
}

fn order(open: &Open) {
    let log = open();
    let mut positions = fill(&*log, 0, 10);
    assert!(positions.is_sorted_by(|a, b| a < b));
    check_numbered(&read_all(&*log, Position::START, 1 << 20), 0, &positions);
    drop(log);
    let log = open();
    check_numbered(&read_all(&*log, Position::START, 1 << 20), 0, &positions);
    positions.extend(fill(&*log, 100, 10));
    drop(log);
    check_numbered(&read_all(&*open(), Position::START, 1 << 20), 0, &positions);
}

fn every_position(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 10);
    for (i, position) in positions.iter().enumerate() {
        check_numbered(&read_all(&*log, *position, 1 << 20), i, &positions[i..]);
        check_numbered(&log.read(*position, 1).unwrap(), i, &positions[i..=i]);
    }
    assert_eq!(log.read(log.bounds().end, usize::MAX).unwrap(), []);
    assert!(matches!(log.read(Position(log.bounds().end.0 + 1), 1), Err(LogError::Corrupt { .. })));
}

fn bytes_max(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 20);
    for (bytes_max, records) in [(0, 1), (1, 1), (99, 1), (100, 1), (199, 1), (200, 2), (1_000, 10)] {
        assert_eq!(log.read(positions[3], bytes_max).unwrap().len(), records, "within {bytes_max} bytes");
        check_numbered(&read_all(&*log, Position::START, bytes_max), 0, &positions);
    }
}

fn sizes(open: &Open) {
    let log = open();
    let records: Vec<Vec<u8>> = [0, 1, 2, 31, 32, 33, 4_095, 4_096, 70_000, 1_100_000, 0]
        .iter()
        .enumerate()
        .map(|(i, bytes)| vec![u8::try_from(i).unwrap(); *bytes])
        .collect();
    for record in &records {
        log.append(&[record], NOW).unwrap();
    }
    let together: Vec<_> = records.iter().map(Vec::as_slice).collect();
    log.append(&together, NOW).unwrap();
    drop(log);
    for bytes_max in [0, 5_000, 1 << 30] {
        let read: Vec<_> =
            read_all(&*open(), Position::START, bytes_max).into_iter().map(|e| e.record).collect();
        let expected: Vec<_> =
            records.iter().chain(&records).map(|record| Arc::from(record.as_slice())).collect();
        assert!(read == expected, "records of all sizes, within {bytes_max} bytes");
    }
}

fn append_nothing(open: &Open) {
    let log = open();
    fill(&*log, 0, 1);
    let before = (log.bounds(), log.size_bytes());
    assert_eq!(log.append(&[], NOW).unwrap(), []);
    assert_eq!((log.bounds(), log.size_bytes()), before);
}

fn bounds(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 1);
    assert_eq!(log.bounds().start, positions[0]);
    for i in 0..50 {
        let end = log.bounds().end;
        let size = log.size_bytes();
        assert_eq!(fill(&*log, 10 + i * 10, 1)[0], end, "an append begins at the end");
        assert!(log.size_bytes() >= size + 1_000);
    }
    let before = (log.bounds(), log.size_bytes());
    drop(log);
    let log = open();
    assert_eq!((log.bounds(), log.size_bytes()), before);
}

fn too_large(open: &Open) {
    let log = open();
    let mut positions = fill(&*log, 0, 1);
    let (small, large) = (numbered(10), vec![0; 16 * 1024 * 1024 + 1]);
    let error = log.append(&[&small, &large], NOW).unwrap_err();
    assert!(
        matches!(error, LogError::RecordTooLarge { bytes: 16_777_217, bytes_max: 16_777_216 }),
        "{error}"
    );
    positions.extend(fill(&*log, 10, 1));
    check_numbered(&read_all(&*log, Position::START, 1 << 20), 0, &positions);
    let at = log.append(&[&large[1..]], NOW).unwrap()[0];
    drop(log);
    assert_eq!(open().read(at, 0).unwrap()[0].record.len(), 16 * 1024 * 1024);
}

fn concurrent(open: &Open) {
    const THREADS: usize = 4;
    let log = open();
    let mut positions: Vec<(Position, usize)> = std::thread::scope(|scope| {
        let log = &*log;
        let append = |thread: usize| {
            let records = fill(log, thread * 100, 10);
            records.into_iter().enumerate().map(move |(i, position)| (position, thread * 100 + i))
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || append(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    positions.sort_unstable();
    drop(log);
    let entries = read_all(&*open(), Position::START, 1 << 20);
    assert_eq!(entries.len(), THREADS * 100);
    for (entry, (position, number)) in entries.iter().zip(positions) {
        assert_eq!((entry.position, &*entry.record), (position, &*numbered(number)));
    }
}

fn reader_beside_appender(open: &Open) {
    let log = open();
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&*log, 0, 100));
        let (mut from, mut number) = (Position::START, 0);
        while number < 1_000 {
            let end = log.bounds().end;
            for entry in log.read(from, 1_500).unwrap() {
                assert_eq!(&*entry.record, numbered(number));
                (from, number) = (entry.next, number + 1);
            }
            assert!(from >= end || number > 0, "what `bounds` shows can be read");
            std::thread::yield_now();
        }
    });
}

fn retention_upto(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 20);
    for upto in positions.iter().copied().chain([log.bounds().end]) {
        let retention = Retention { before: Timestamp::MAX, bytes_max: 0, upto };
        let cut = log.cut(&retention);
        assert!(cut <= upto, "a cut never passes `upto`");
        log.discard_before(cut).unwrap();
        assert_eq!(log.bounds().start, cut, "a cut is where a discard ends");
        log.discard_before(upto).unwrap();
        assert_eq!(log.bounds().start, cut, "nothing but what the cut said goes");
        let first = positions.partition_point(|position| *position < cut);
        check_numbered(&read_all(&*log, Position::START, 1 << 20), first, &positions[first..]);
    }
    assert!(log.bounds().start > positions[100], "old records went at all");
    let bounds = log.bounds();
    drop(log);
    let log = open();
    assert_eq!(log.bounds(), bounds);
    assert_eq!(log.append(&[b"more"], NOW).unwrap(), [bounds.end], "positions are never given out twice");
}

fn retention(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 20);
    let end = log.bounds().end;
    let keep = Retention { before: Timestamp::MIN, bytes_max: u64::MAX, upto: end };
    drop(log);
    let log = open();
    assert_eq!(log.cut(&keep), log.bounds().start, "young and small enough: all is kept");
    // Group `g` (records from `10 * g`) was appended at `g` milliseconds.
    let mut cuts = Vec::new();
    for group in 0..20 {
        let cut = log.cut(&Retention { before: at(i64::try_from(group).unwrap()), ..keep });
        assert!(cut <= positions[group * 10], "records of the time itself and younger are kept");
        cuts.push(cut);
    }
    assert!(cuts.is_sorted() && cuts[19] > positions[50], "old records go");
    let size = log.size_bytes();
    let cut = log.cut(&Retention { bytes_max: size / 2, ..keep });
    assert!(cut > positions[50] && cut < positions[150], "about half goes");
    assert_eq!(log.size_bytes(), size, "asking deletes nothing");
    log.discard_before(cut).unwrap();
    assert!(log.size_bytes() <= size / 2);
    assert_eq!(log.cut(&Retention { bytes_max: size / 2, ..keep }), cut, "small enough now");
}

fn discarded(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 20);
    let all = Retention { before: Timestamp::MAX, bytes_max: 0, upto: log.bounds().end };
    log.discard_before(log.cut(&all)).unwrap();
    drop(log);
    let log = open();
    let oldest = log.bounds().start;
    for position in positions.iter().filter(|position| **position > Position::START && **position < oldest) {
        let error = log.read(*position, 1).unwrap_err();
        let expected = (*position, oldest);
        assert!(
            matches!(error, LogError::Discarded { asked, oldest } if (asked, oldest) == expected),
            "{error}"
        );
    }
    let entries = log.read(Position::START, 1).unwrap();
    assert_eq!(entries.first().map_or(log.bounds().end, |entry| entry.position), oldest);
}

/// What a rewrite puts in the place of [`numbered`].
fn erased(number: usize) -> Vec<u8> {
    let mut record = numbered(number);
    record[8..].fill(b'#');
    record
}

fn number_of(record: &[u8]) -> usize {
    usize::try_from(u64::from_be_bytes(record[..8].try_into().unwrap())).unwrap()
}

/// Every seventh record is to be erased.
fn is_wanted(number: usize) -> bool {
    number.is_multiple_of(7)
}

fn erase(record: &[u8]) -> Option<Vec<u8>> {
    let number = number_of(record);
    is_wanted(number).then(|| erased(number))
}

fn rewrite(open: &Open) {
    for (first, last) in [(0, 200), (0, 1), (35, 36), (30, 90), (150, 200), (196, 197), (90, 90)] {
        let log = open();
        let base = read_all(&*log, Position::START, 1 << 20).len();
        let positions = fill(&*log, base, 20);
        let place = |i: usize| positions.get(i).copied().unwrap_or(log.bounds().end);
        let (bounds, size) = (log.bounds(), log.size_bytes());
        let mut shown = Vec::new();
        let rewritten = log
            .rewrite(place(first)..place(last), &mut |position, record| {
                shown.push((position, number_of(record)));
                erase(record)
            })
            .unwrap();
        let expected: Vec<_> = (first..last).map(|i| (positions[i], base + i)).collect();
        assert_eq!(shown, expected, "each record of the range is shown once and in order");
        let records = (first..last).filter(|i| is_wanted(base + i)).count() as u64;
        assert_eq!((rewritten.records, rewritten.bytes), (records, records * 100));
        assert_eq!(rewritten.segments > 0, records > 0);
        assert_eq!(log.bounds(), bounds);
        assert!(log.size_bytes() >= size && log.size_bytes() < size + 100, "it takes no more room");
        drop(log);
        let entries = read_all(&*open(), positions[0], 1 << 20);
        assert_eq!(entries.len(), 200);
        for (i, entry) in entries.iter().enumerate() {
            let is_erased = (first..last).contains(&i) && is_wanted(base + i);
            let expected = if is_erased { erased(base + i) } else { numbered(base + i) };
            assert_eq!((entry.position, &*entry.record), (positions[i], &*expected), "record {i}");
        }
    }
}

fn rewrite_nothing(open: &Open) {
    let log = open();
    let everything = Position::START..Position(u64::MAX);
    assert_eq!(log.rewrite(everything.clone(), &mut |_, _| None).unwrap(), Rewritten::default(), "empty");
    let positions = fill(&*log, 0, 20);
    let before = (log.bounds(), log.size_bytes());
    let same = log.rewrite(everything.clone(), &mut |_, record| Some(record.to_vec())).unwrap();
    assert_eq!(same, Rewritten::default(), "the same bytes are no change");
    assert_eq!((log.bounds(), log.size_bytes()), before);
    let first = log.rewrite(everything.clone(), &mut |_, record| erase(record)).unwrap();
    assert_eq!(first.records, 29);
    let after = (log.bounds(), log.size_bytes());
    let again = log.rewrite(everything, &mut |_, record| erase(record)).unwrap();
    assert_eq!(again, Rewritten::default(), "a second time there is nothing to do");
    assert_eq!((log.bounds(), log.size_bytes()), after);
    let all = Retention { before: Timestamp::MAX, bytes_max: 0, upto: log.bounds().end };
    log.discard_before(log.cut(&all)).unwrap();
    let gone = Position::START..log.bounds().start;
    let rewritten = log.rewrite(gone, &mut |_, _| Some(Vec::new())).unwrap();
    assert_eq!(rewritten, Rewritten::default(), "what is discarded is not shown");
    assert!(positions[0] < log.bounds().start);
}

fn rewrite_resized(open: &Open) {
    let log = open();
    let positions = fill(&*log, 0, 20);
    for bytes in [0, 99, 101] {
        let error = log
            .rewrite(Position::START..Position(u64::MAX), &mut |_, record| {
                (number_of(record) == 63).then(|| vec![0; bytes])
            })
            .unwrap_err();
        let at = positions[63];
        assert!(
            matches!(error, LogError::Resized { at: found, bytes_before: 100, bytes: b } if (found, b) == (at, bytes)),
            "{error}"
        );
    }
    fill(&*log, 200, 1);
    drop(log);
    let all = read_all(&*open(), Position::START, 1 << 20);
    assert!(all.iter().enumerate().all(|(i, entry)| *entry.record == *numbered(i)) && all.len() == 210);
}

fn rewrite_and_go_on(open: &Open) {
    let log = open();
    fill(&*log, 0, 20);
    let old = Retention { before: at(5), bytes_max: u64::MAX, upto: log.bounds().end };
    let cut = log.cut(&old);
    for round in 0..3 {
        log.rewrite(Position::START..Position(u64::MAX), &mut |_, record| erase(record)).unwrap();
        assert_eq!(log.cut(&old), cut, "records keep their age");
        let end = log.bounds().end;
        assert_eq!(fill(&*log, 200 + round * 10, 1)[0], end);
    }
    log.discard_before(cut).unwrap();
    drop(log);
    let log = open();
    assert_eq!(log.bounds().start, cut);
    let entries = read_all(&*log, Position::START, 1 << 20);
    for entry in &entries {
        let number = number_of(&entry.record);
        // The last ten came after the last rewrite.
        let expected = if is_wanted(number) && number < 220 { erased(number) } else { numbered(number) };
        assert_eq!(*entry.record, *expected);
    }
    assert_eq!(entries.last().map(|entry| number_of(&entry.record)), Some(229));
}

fn rewrite_beside_all(open: &Open) {
    let log = open();
    fill(&*log, 0, 40);
    let is_appended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let log = &*log;
        scope.spawn(|| {
            fill(log, 400, 60);
            is_appended.store(true, Ordering::SeqCst);
        });
        let retention = scope.spawn(|| {
            for start in (0..10).map(|share| log.bounds().end.0 * share / 40) {
                log.discard_before(Position(start)).unwrap();
                std::thread::yield_now();
            }
        });
        let reader = scope.spawn(|| {
            while !is_appended.load(Ordering::SeqCst) {
                read_beside_rewrite(log);
            }
        });
        let mut rounds = 0;
        while !(reader.is_finished() && retention.is_finished()) || rounds < 3 {
            let end = log.bounds().end;
            log.rewrite(Position::START..end, &mut |_, record| erase(record)).unwrap();
            let read = read_until(log, end);
            let old = read.iter().find(|entry| erase(&entry.record).is_some_and(|new| *new != *entry.record));
            assert!(old.is_none(), "an old record was read after its rewrite");
            rounds += 1;
        }
    });
    drop(log);
    let numbers: Vec<_> =
        read_all(&*open(), Position::START, 1 << 20).iter().map(|entry| number_of(&entry.record)).collect();
    assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(numbers.last(), Some(&999));
}

/// All records before `end`. Retention may cut while this reads: then it begins again.
fn read_until(log: &dyn Log, end: Position) -> Vec<Entry> {
    let (mut from, mut entries) = (Position::START, Vec::new());
    while from < end {
        match log.read(from, 1_500) {
            Ok(step) => {
                let Some(last) = step.last() else { break };
                from = last.next;
                entries.extend(step.into_iter().filter(|entry| entry.position < end));
            }
            Err(LogError::Discarded { oldest, .. }) => from = oldest,
            failed => drop(failed.unwrap()),
        }
    }
    entries
}

fn read_beside_rewrite(log: &dyn Log) {
    for entry in read_until(log, log.bounds().end) {
        let number = number_of(&entry.record);
        let whole = *entry.record == *numbered(number) || *entry.record == *erased(number);
        assert!(whole, "a record is the old or the new one, never something between");
    }
}
