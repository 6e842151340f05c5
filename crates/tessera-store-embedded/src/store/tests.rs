//! The compliance suite on both backings, and what only this store has: faults, format versions, damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tessera_store::compliance::store::{Harness, run};
use tessera_store::{Change, Changes, Key, Position, Store, StoreError, Table, Value};

use super::{CheckpointFault, EmbeddedStore, SimBacking, StoreOptions, WriteBack};

pub(super) const OPTIONS: StoreOptions = StoreOptions { cache_bytes: 1 << 20, block_cache_bytes: 1 << 20 };

/// A store on a simulated disk.
struct Simulated {
    disk: SimBacking,
    cache_bytes: u64,
    store: WriteBack<SimBacking>,
}

impl Simulated {
    fn new(cache_bytes: u64) -> Self {
        let disk = SimBacking::new();
        let store = WriteBack::new(disk.clone(), cache_bytes).unwrap();
        Self { disk, cache_bytes, store }
    }
}

impl Harness for Simulated {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn crash(&mut self) {
        self.store = WriteBack::new(self.disk.clone(), self.cache_bytes).unwrap();
    }
}

/// A store in a folder.
struct Embedded {
    // Dropped before its folder is opened again.
    store: Option<EmbeddedStore>,
    folder: TempDir,
}

impl Harness for Embedded {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn crash(&mut self) {
        drop(self.store.take());
        self.store = Some(EmbeddedStore::open(self.folder.path(), OPTIONS).unwrap());
    }
}

#[test]
fn simulated_store_keeps_every_promise_of_a_store() {
    run(|| Box::new(Simulated::new(1 << 20)));
}

#[test]
fn simulated_store_keeps_every_promise_when_its_cache_holds_nothing() {
    run(|| Box::new(Simulated::new(0)));
}

#[test]
fn embedded_store_keeps_every_promise_of_a_store() {
    run(|| {
        let folder = TempDir::new().unwrap();
        Box::new(Embedded { store: Some(EmbeddedStore::open(folder.path(), OPTIONS).unwrap()), folder })
    });
}

pub(super) fn cluster(number: u32) -> Key {
    Key::new(Table::Cluster, &number.to_be_bytes()).unwrap()
}

/// Commits `key` = `after` over whatever it is now.
pub(super) fn put(store: &dyn Store, key: Key, after: Option<&[u8]>, upto: u64) {
    let before = store.load(&[key]).unwrap().remove(0);
    let rows = vec![Change { key, before, after: after.map(Value::from) }];
    store.commit(Changes { rows, upto: Some(Position(upto)) }).unwrap();
}

#[test]
fn failed_checkpoint_loses_nothing_and_can_be_tried_again() {
    for fault in [CheckpointFault::BeforeDurable, CheckpointFault::AfterDurable] {
        let mut simulated = Simulated::new(4096);
        put(simulated.store(), cluster(1), Some(b"old"), 1);
        put(simulated.store(), cluster(2), Some(b"old"), 1);
        simulated.store.checkpoint().unwrap();
        put(simulated.store(), cluster(1), Some(b"new"), 2);
        put(simulated.store(), cluster(2), None, 3);
        let dirty_bytes = simulated.store.dirty_bytes();
        simulated.disk.fail_next_checkpoint(fault);
        let failed = simulated.store.checkpoint();
        assert!(matches!(failed, Err(StoreError::Io { action: "checkpoint", .. })), "{failed:?}");
        assert_eq!(simulated.store.dirty_bytes(), dirty_bytes, "{fault:?}");
        assert_eq!(
            (simulated.store.position(), simulated.store.durable_position()),
            (Position(3), Position(1))
        );
        put(simulated.store(), cluster(3), Some(b"later"), 4);
        assert_eq!(simulated.store.checkpoint().unwrap(), Position(4));
        assert_eq!(simulated.store.dirty_bytes(), 0);
        simulated.crash();
        let rows = simulated.store.scan(Table::Cluster, None, 9).unwrap();
        let expected = [(cluster(1), b"new".as_slice().into()), (cluster(3), b"later".as_slice().into())];
        assert_eq!(rows, expected, "{fault:?}");
    }
}

#[test]
fn refused_write_heals_when_the_folder_is_whole_again() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    put(&store, cluster(1), Some(b"1"), 1);
    store.checkpoint().unwrap();
    put(&store, cluster(2), Some(b"2"), 2);
    let keyspaces = folder.path().join("store/fjall/keyspaces");
    let aside = folder.path().join("aside");
    fs::rename(&keyspaces, &aside).unwrap();
    assert!(store.checkpoint().is_err());
    assert!(store.checkpoint().is_err(), "and again, now that the engine cannot be opened");
    assert_eq!(store.load(&[cluster(2)]).unwrap(), [Some(b"2".as_slice().into())], "it is still in memory");
    // The engine, opened without them, may have made empty ones and must not be believed.
    drop(fs::remove_dir_all(&keyspaces));
    fs::rename(&aside, &keyspaces).unwrap();
    assert_eq!(store.checkpoint().unwrap(), Position(2));
    drop(store);
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    let values = store.load(&[cluster(1), cluster(2)]).unwrap();
    assert_eq!(values, [Some(b"1".as_slice().into()), Some(b"2".as_slice().into())]);
}

#[test]
fn commits_made_during_a_checkpoint_are_in_the_next_one() {
    let simulated = Simulated::new(1 << 16);
    let store = &simulated.store;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                store.checkpoint().unwrap();
            }
        });
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = Vec::new();
                    let mut scans = 0_u64;
                    while !done.load(Ordering::SeqCst) {
                        let rows = store.scan(Table::Cluster, None, 100).unwrap();
                        let values: Vec<&Value> = rows.iter().map(|(_, value)| value).collect();
                        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "a scan mixed two commits");
                        let loaded = store.load(&[cluster(3)]).unwrap().remove(0);
                        let loaded = loaded.map(|value| value.to_vec()).unwrap_or_default();
                        assert!(loaded >= last, "a load went back in time");
                        last = loaded;
                        scans += 1;
                    }
                    scans
                })
            })
            .collect();
        for round in 1..=3000_u32 {
            let keys: Vec<Key> = (0..5).map(cluster).collect();
            let values = store.load(&keys).unwrap();
            let after: Value = round.to_be_bytes().as_slice().into();
            let rows = keys.iter().zip(values);
            let rows =
                rows.map(|(key, before)| Change { key: *key, before, after: Some(Arc::clone(&after)) });
            store.commit(Changes { rows: rows.collect(), upto: Some(Position(u64::from(round))) }).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    });
    assert_eq!(store.checkpoint().unwrap(), Position(3000));
    let reopened = WriteBack::new(simulated.disk.clone(), 0).unwrap();
    assert_eq!(reopened.load(&[cluster(4)]).unwrap(), [Some(3000_u32.to_be_bytes().as_slice().into())]);
}

#[test]
fn memory_is_counted_and_given_back() {
    let simulated = Simulated::new(100_000);
    let value = vec![7; 1000];
    for number in 0..500 {
        put(simulated.store(), cluster(number), Some(&value), 1);
    }
    let dirty_bytes = simulated.store.dirty_bytes();
    assert!((500_000..700_000).contains(&dirty_bytes), "{dirty_bytes} for 500 rows of 1000 bytes");
    put(simulated.store(), cluster(0), Some(&value), 1);
    assert_eq!(simulated.store.dirty_bytes(), dirty_bytes, "a row changed twice counts once");
    simulated.store.checkpoint().unwrap();
    assert_eq!(simulated.store.dirty_bytes(), 0);
    let cached_bytes = simulated.store.cached_bytes();
    assert!((50_000..=100_000).contains(&cached_bytes), "{cached_bytes} cached of 100000 allowed");
}

#[test]
fn two_stores_on_one_folder_are_refused() {
    let folder = TempDir::new().unwrap();
    let _first = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    let second = EmbeddedStore::open(folder.path(), OPTIONS);
    assert!(matches!(second, Err(StoreError::Io { action: "open", .. })), "{second:?}");
}

fn format_file(folder: &Path) -> PathBuf {
    folder.join("store/FORMAT")
}

#[test]
fn missing_engine_files_are_corrupt_and_not_an_empty_store() {
    for missing in ["fjall", "fjall/keyspaces", "fjall/keyspaces/1"] {
        let folder = TempDir::new().unwrap();
        drop(EmbeddedStore::open(folder.path(), OPTIONS).unwrap());
        fs::remove_dir_all(folder.path().join("store").join(missing)).unwrap();
        let refused = EmbeddedStore::open(folder.path(), OPTIONS);
        let seen = matches!(refused, Err(StoreError::Corrupt { .. } | StoreError::Io { .. }));
        assert!(seen, "without {missing}: {refused:?}");
    }
}

#[test]
fn half_made_store_is_made_again() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("store.new/fjall")).unwrap();
    fs::write(folder.path().join("store.new/fjall/version"), "rubbish").unwrap();
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    assert_eq!(store.position(), Position::START);
    assert!(!folder.path().join("store.new").exists());
}

#[test]
fn newer_format_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    drop(EmbeddedStore::open(folder.path(), OPTIONS).unwrap());
    assert_eq!(fs::read_to_string(format_file(folder.path())).unwrap(), "tessera-store 1\n");
    fs::write(format_file(folder.path()), "tessera-store 2\n").unwrap();
    let refused = EmbeddedStore::open(folder.path(), OPTIONS).unwrap_err();
    assert!(matches!(&refused, StoreError::Newer { found: 2, supported: 1, .. }), "{refused:?}");
    assert_eq!(refused.code(), "TES-S013");
}

#[test]
fn damaged_or_missing_format_file_is_corrupt() {
    for damage in
        [Some(&b""[..]), Some(b"tessera-store"), Some(b"tessera-store x\n"), Some(b"\xff\xfe"), None]
    {
        let folder = TempDir::new().unwrap();
        drop(EmbeddedStore::open(folder.path(), OPTIONS).unwrap());
        match damage {
            Some(bytes) => fs::write(format_file(folder.path()), bytes).unwrap(),
            None => fs::remove_file(format_file(folder.path())).unwrap(),
        }
        let refused = EmbeddedStore::open(folder.path(), OPTIONS);
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{damage:?} gave {refused:?}");
    }
}

/// Every file below `folder`.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn damaged_table_is_an_error_and_never_another_value() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    for number in 0..200 {
        put(&store, cluster(number), Some(&number.to_be_bytes().repeat(20)), 1);
    }
    store.checkpoint().unwrap();
    let whole = store.scan(Table::Cluster, None, 1000).unwrap();
    drop(store);
    let is_table = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("tables"));
    let all = files(folder.path()).into_iter().filter(is_table);
    let table = all.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let bytes = fs::read(&table).unwrap();
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        fs::write(&table, &damaged).unwrap();
        let read = EmbeddedStore::open(folder.path(), OPTIONS)
            .and_then(|store| store.scan(Table::Cluster, None, 1000));
        match read {
            Ok(rows) => assert_eq!(rows, whole, "byte {at} changed a value"),
            Err(StoreError::Corrupt { .. } | StoreError::Io { .. }) => refused += 1,
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    assert!(refused > 10, "only {refused} damages were noticed");
}

#[test]
fn cursors_set_very_often_stay_right() {
    let folder = TempDir::new().unwrap();
    let backing = super::FjallBacking::open(folder.path(), 1 << 20).unwrap();
    let store = WriteBack::new(backing, 1 << 20).unwrap();
    let name = "n".repeat(255);
    for value in 0..6000 {
        store.set_cursor(&name, value).unwrap();
    }
    drop(store);
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    assert_eq!(store.cursor(&name).unwrap(), Some(5999));
}
