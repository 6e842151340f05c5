//! Fills a store with records and pointer rows, then changes random records, and prints where the time and
//! the bytes go. `docs/adr/0002-embedded-store-engine.md` has the figures.
//!
//! `store_load FOLDER RECORDS EVENTS CHECKPOINT_MIB [CACHE_MIB] [--plain]`; `--plain` also measures the engine
//! alone with one durable batch per 1,000 events. The folder must be empty.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a measuring program")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tessera_store::{Change, Changes, Key, Position, Store, Table, Value};
use tessera_store_embedded::{EmbeddedStore, StoreOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORD_BYTES: usize = 450;
const BATCH_EVENTS: u64 = 1000;

struct Task {
    folder: PathBuf,
    records: u64,
    events: u64,
    checkpoint_bytes: u64,
    cache_bytes: u64,
}

#[derive(Default)]
struct Times {
    load: Duration,
    commit: Duration,
    wait: Duration,
    checkpoint: Duration,
    checkpoints: u64,
    written_before: u64,
}

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let plain = args.iter().any(|arg| arg == "--plain");
    args.retain(|arg| arg != "--plain");
    let number = |index: usize| args.get(index).map(|arg| arg.parse::<u64>().expect("a number"));
    let task = Task {
        folder: args.first().expect("FOLDER").into(),
        records: number(1).unwrap_or(1_000_000),
        events: number(2).unwrap_or(1_000_000),
        checkpoint_bytes: number(3).unwrap_or(64) << 20,
        cache_bytes: number(4).unwrap_or(288) << 20,
    };
    write_back(&task);
    if plain {
        plain_engine(&task);
    }
}

fn write_back(task: &Task) {
    let options = StoreOptions { cache_bytes: task.cache_bytes, ..StoreOptions::default() };
    let store = EmbeddedStore::open(&task.folder, options).unwrap();
    let mut random = Random(1);
    let mut times = Times { written_before: written_bytes(), ..Times::default() };
    let started = Instant::now();
    run(task, &store, &mut times, task.records / BATCH_EVENTS, |batch| {
        fill_batch(&store, batch, &mut random)
    });
    print("fill", task, &store, started, task.records, &times);

    let mut times = Times { written_before: written_bytes(), ..Times::default() };
    let mut random = Random(2);
    let started = Instant::now();
    let mut load = Duration::ZERO;
    run(task, &store, &mut times, task.events / BATCH_EVENTS, |_| {
        let from = Instant::now();
        let changes = change_batch(&store, task.records, &mut random);
        load += from.elapsed();
        changes
    });
    times.load = load;
    print("change", task, &store, started, task.events, &times);
    compact(task, &store, &mut random);
}

/// Compacts the quiet store, and again while events go on coming.
fn compact(task: &Task, store: &EmbeddedStore, random: &mut Random) {
    let before = store.size_bytes();
    let started = Instant::now();
    store.compact().unwrap();
    println!(
        "compact {:>8} records: {:.1} s, disk {} to {} MiB",
        task.records,
        started.elapsed().as_secs_f64(),
        before >> 20,
        store.size_bytes() >> 20
    );
    let started = Instant::now();
    let (mut batches, mut longest) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| store.compact().unwrap());
        while !compaction.is_finished() {
            let from = Instant::now();
            store.commit(change_batch(store, task.records, random)).unwrap();
            longest = longest.max(from.elapsed());
            batches += 1;
            if store.dirty_bytes() >= task.checkpoint_bytes {
                store.checkpoint().unwrap();
            }
        }
    });
    println!(
        "compact beside {:.0} events/s: {:.1} s, the longest batch {:.2} s",
        f64::from(batches) * BATCH_EVENTS as f64 / started.elapsed().as_secs_f64(),
        started.elapsed().as_secs_f64(),
        longest.as_secs_f64()
    );
}

/// Commits every batch that `next` makes, with checkpoints beside them.
fn run(
    task: &Task,
    store: &EmbeddedStore,
    times: &mut Times,
    batches: u64,
    mut next: impl FnMut(u64) -> Changes,
) {
    std::thread::scope(|scope| {
        let mut checkpoint: Option<std::thread::ScopedJoinHandle<'_, Duration>> = None;
        for batch in 0..batches {
            let changes = next(batch);
            let from = Instant::now();
            store.commit(changes).unwrap();
            times.commit += from.elapsed();
            if checkpoint.as_ref().is_some_and(|running| running.is_finished()) {
                times.checkpoint += checkpoint.take().unwrap().join().unwrap();
                times.checkpoints += 1;
            }
            if store.dirty_bytes() >= 2 * task.checkpoint_bytes
                && let Some(running) = checkpoint.take()
            {
                let from = Instant::now();
                times.checkpoint += running.join().unwrap();
                times.checkpoints += 1;
                times.wait += from.elapsed();
            }
            if checkpoint.is_none() && store.dirty_bytes() >= task.checkpoint_bytes {
                checkpoint = Some(scope.spawn(|| {
                    let from = Instant::now();
                    store.checkpoint().unwrap();
                    from.elapsed()
                }));
            }
        }
    });
}

fn print(what: &str, task: &Task, store: &EmbeddedStore, started: Instant, events: u64, times: &Times) {
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{what:>6} {:>8} records, checkpoint {:>3} MiB, cache {:>3} MiB: {:>7.0} events/s; load {:.1} commit {:.1} \
         wait {:.1} of {seconds:.1} s, {} checkpoints {:.1} s; resident {} MiB, cached {} MiB; disk {} MiB, \
         written {:.1} x; cpu {:.1} s",
        task.records,
        task.checkpoint_bytes >> 20,
        task.cache_bytes >> 20,
        events as f64 / seconds,
        times.load.as_secs_f64(),
        times.commit.as_secs_f64(),
        times.wait.as_secs_f64(),
        times.checkpoints,
        times.checkpoint.as_secs_f64(),
        resident_mib(),
        store.cached_bytes() >> 20,
        store.size_bytes() >> 20,
        (written_bytes() - times.written_before) as f64 / (events as f64 * RECORD_BYTES as f64),
        cpu_seconds(),
    );
}

fn fill_batch(store: &EmbeddedStore, batch: u64, random: &mut Random) -> Changes {
    let mut rows = Vec::new();
    for index in batch * BATCH_EVENTS..(batch + 1) * BATCH_EVENTS {
        rows.push(Change { key: record_key(index), before: None, after: Some(record(random)) });
        rows.push(Change {
            key: pointer_key(index),
            before: None,
            after: Some(Value::from(&[7_u8; 17][..])),
        });
    }
    let keys: Vec<Key> = rows.iter().map(|row| row.key).collect();
    assert!(store.load(&keys).unwrap().iter().all(Option::is_none));
    Changes { rows, upto: Some(Position(batch)) }
}

fn change_batch(store: &EmbeddedStore, records: u64, random: &mut Random) -> Changes {
    let indexes: Vec<u64> = (0..BATCH_EVENTS).map(|_| random.next() % records).collect();
    let mut keys: Vec<Key> =
        indexes.iter().flat_map(|index| [pointer_key(*index), record_key(*index)]).collect();
    keys.sort_unstable();
    keys.dedup();
    let values = store.load(&keys).unwrap();
    let rows =
        keys.into_iter().zip(values).filter(|(_, value)| value.as_ref().unwrap().len() == RECORD_BYTES);
    let rows = rows.map(|(key, before)| {
        let mut after = before.as_ref().unwrap().to_vec();
        let at = usize::try_from(random.next() % (RECORD_BYTES as u64 - 8)).unwrap();
        after[at..at + 8].copy_from_slice(&random.next().to_le_bytes());
        Change { key, before, after: Some(after.into()) }
    });
    Changes { rows: rows.collect(), upto: Some(Position(random.next())) }
}

/// The same work with the engine alone: a batch and an fsync per 1,000 events.
fn plain_engine(task: &Task) {
    let folder = task.folder.join("plain");
    let database = fjall::Database::builder(&folder).cache_size(task.cache_bytes).open().unwrap();
    let rows = database.keyspace("rows", fjall::KeyspaceCreateOptions::default).unwrap();
    let mut random = Random(1);
    for batch in 0..task.records / BATCH_EVENTS {
        let mut writes = database.batch();
        for index in batch * BATCH_EVENTS..(batch + 1) * BATCH_EVENTS {
            writes.insert(&rows, record_key(index).id(), &*record(&mut random));
            writes.insert(&rows, pointer_key(index).id(), [7_u8; 17]);
        }
        writes.commit().unwrap();
    }
    database.persist(fjall::PersistMode::SyncAll).unwrap();
    let mut random = Random(2);
    let before = written_bytes();
    let started = Instant::now();
    for _ in 0..task.events / BATCH_EVENTS {
        let mut writes = database.batch();
        for _ in 0..BATCH_EVENTS {
            let index = random.next() % task.records;
            rows.get(pointer_key(index).id()).unwrap().unwrap();
            let mut after = rows.get(record_key(index).id()).unwrap().unwrap().to_vec();
            after[..8].copy_from_slice(&random.next().to_le_bytes());
            writes.insert(&rows, record_key(index).id(), after);
        }
        writes.commit().unwrap();
        database.persist(fjall::PersistMode::SyncData).unwrap();
    }
    println!(
        " plain {:>8} records: {:>7.0} events/s; resident {} MiB; disk {} MiB, written {:.1} x",
        task.records,
        task.events as f64 / started.elapsed().as_secs_f64(),
        resident_mib(),
        database.disk_space().unwrap() >> 20,
        (written_bytes() - before) as f64 / (task.events as f64 * RECORD_BYTES as f64),
    );
}

/// A record like a real one: a third of it is the same in all, the rest is not.
fn record(random: &mut Random) -> Value {
    let mut bytes = vec![b'a'; RECORD_BYTES];
    for chunk in bytes[RECORD_BYTES / 3..].chunks_mut(8) {
        let number = random.next().to_le_bytes();
        chunk.copy_from_slice(&number[..chunk.len()]);
    }
    bytes.into()
}

fn record_key(index: u64) -> Key {
    Key::new(Table::Cluster, &id(b'r', index)).unwrap()
}

fn pointer_key(index: u64) -> Key {
    Key::new(Table::Cluster, &id(b'p', index)).unwrap()
}

/// 16 bytes as good as random, as a keyed hash gives them.
fn id(kind: u8, index: u64) -> Vec<u8> {
    blake3::hash(&[&[kind], &index.to_le_bytes()[..]].concat()).as_bytes()[..16].to_vec()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn proc_number(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn resident_mib() -> u64 {
    proc_number("status", "VmRSS:") >> 10
}

fn written_bytes() -> u64 {
    proc_number("io", "write_bytes:")
}

/// Of the whole process, its background threads included; a clock tick is a hundredth of a second.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = text.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
