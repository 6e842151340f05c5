//! What compaction promises, byte by byte: what was removed or replaced is in no file.
//!
//! The values are noise that LZ4 cannot shorten, so it stores them as they are and a look at the raw bytes finds them;
//! each test shows that first, on the values that must be found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tessera_store::{Change, Changes, Key, Position, Store, StoreError, Table, Value};

use super::tests::{OPTIONS, cluster, files};
use super::{Backing as _, EmbeddedStore};

const PIECE: usize = 16;
const VALUE_BYTES: usize = 37 * PIECE;

/// Noise that no other (row, version) has a piece of.
fn noise(row: u32, version: u32) -> Vec<u8> {
    let mut state = (u64::from(row) << 32 | u64::from(version)) ^ 0x5851_f42d_4c95_7f2d;
    let mut bytes = Vec::with_capacity(VALUE_BYTES);
    while bytes.len() < VALUE_BYTES {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes
}

/// What the rows are, and what was ever in them.
#[derive(Default)]
struct Model {
    now: BTreeMap<u32, u32>,
    gone: BTreeSet<(u32, u32)>,
    commits: u64,
}

impl Model {
    /// Commits `rows` with `version`, or removes them.
    fn commit(&mut self, store: &dyn Store, rows: impl IntoIterator<Item = u32>, version: Option<u32>) {
        let changes: Vec<Change> = rows
            .into_iter()
            .map(|row| {
                let before = match version {
                    Some(version) => self.now.insert(row, version),
                    None => self.now.remove(&row),
                };
                self.gone.extend(before.map(|before| (row, before)));
                Change {
                    key: cluster(row),
                    before: before.map(|before| noise(row, before).into()),
                    after: version.map(|version| noise(row, version).into()),
                }
            })
            .collect();
        self.commits += 1;
        store.commit(Changes { rows: changes, upto: Some(Position(self.commits)) }).unwrap();
    }

    fn kept(&self) -> BTreeSet<(u32, u32)> {
        self.now.iter().map(|(row, version)| (*row, *version)).collect()
    }

    fn check(&self, store: &dyn Store) {
        let rows = store.scan(Table::Cluster, None, 1_000_000).unwrap();
        let expected: Vec<(Key, Value)> =
            self.now.iter().map(|(row, version)| (cluster(*row), noise(*row, *version).into())).collect();
        assert!(rows == expected, "the rows are not what was committed");
        assert_eq!(store.position(), Position(self.commits));
    }
}

/// Those of `values` of which any piece is in any file of `folder`.
fn found(folder: &Path, values: &BTreeSet<(u32, u32)>) -> BTreeSet<(u32, u32)> {
    let mut pieces: HashMap<[u8; PIECE], (u32, u32)> = HashMap::new();
    for (row, version) in values {
        let noise = noise(*row, *version);
        pieces.extend(noise.chunks(PIECE).map(|piece| (piece.try_into().unwrap(), (*row, *version))));
    }
    let mut found = BTreeSet::new();
    for file in files(folder) {
        let content = match fs::read(file) {
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            content => content.unwrap(),
        };
        let windows = content.windows(PIECE).filter_map(|window| pieces.get(window));
        found.extend(windows);
    }
    found
}

/// Names and numbers of the files that hold rows.
fn tables(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let rows = folder.join("store/fjall/keyspaces/1/tables");
    files(&rows).into_iter().map(|file| (file.clone(), fs::metadata(&file).unwrap().ino())).collect()
}

/// A store with rows on several levels, many of them removed or replaced. The last changes are not in a checkpoint.
fn filled(folder: &Path) -> (EmbeddedStore, Model) {
    let store = EmbeddedStore::open(folder, OPTIONS).unwrap();
    let mut model = Model::default();
    model.commit(&store, 0..2_000, Some(0));
    store.checkpoint().unwrap();
    for version in 1..=12 {
        // Some rows change all the time, some once, some never.
        model.commit(&store, (0..100).chain(version * 100..version * 100 + 50), Some(version));
        store.checkpoint().unwrap();
    }
    model.commit(&store, (0..2_000_u32).filter(|row| row.is_multiple_of(3)), None);
    store.checkpoint().unwrap();
    model.commit(&store, (0..2_000).filter(|row| row % 6 == 1), Some(50));
    (store, model)
}

#[test]
fn a_compaction_leaves_no_byte_of_what_was_removed_or_replaced() {
    let folder = TempDir::new().unwrap();
    let (store, model) = filled(folder.path());
    store.checkpoint().unwrap();
    let visible = found(folder.path(), &model.gone).len();
    assert!(visible > 1_000, "removed values are in files until then, and the search finds them: {visible}");
    let before = tables(folder.path());
    // Held open, so that no number is given to a new file.
    let _held: Vec<fs::File> = before.keys().map(|file| fs::File::open(file).unwrap()).collect();
    store.compact().unwrap();
    assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
    let kept = model.kept();
    let visible = found(folder.path(), &kept).len();
    assert!(visible * 100 >= kept.len() * 99, "{visible} of {} values are found", kept.len());
    let after = tables(folder.path());
    assert!(after.keys().all(|name| !before.contains_key(name)), "an old file is left");
    let inodes: BTreeSet<u64> = before.values().copied().collect();
    assert!(after.values().all(|inode| !inodes.contains(inode)), "an old file is left under another name");
    model.check(&store);
    drop(store);
    model.check(&EmbeddedStore::open(folder.path(), OPTIONS).unwrap());
    assert_eq!(found(folder.path(), &model.gone), BTreeSet::new(), "nor does opening bring any back");
}

#[test]
fn a_compaction_takes_along_what_is_not_in_a_checkpoint_yet() {
    let folder = TempDir::new().unwrap();
    let (store, mut model) = filled(folder.path());
    model.commit(&store, 1_900..2_000, None);
    store.compact().unwrap();
    assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
    assert_eq!(store.durable_position(), Position(model.commits));
    model.check(&store);
}

#[test]
fn a_compaction_right_after_a_start_forgets_all_the_same() {
    let folder = TempDir::new().unwrap();
    let (store, model) = filled(folder.path());
    store.checkpoint().unwrap();
    drop(store);
    // The engine has seen no read and no write since it was opened.
    let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
    store.compact().unwrap();
    assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
    model.check(&store);
}

#[test]
fn a_read_beside_the_last_checkpoint_keeps_nothing_from_the_compaction() {
    let folder = TempDir::new().unwrap();
    let (store, mut model) = filled(folder.path());
    store.checkpoint().unwrap();
    for version in (200..216).step_by(2) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _done = Done(&done);
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    store.backing().scan(Table::Cluster, None, 10_000).unwrap();
                }
            });
            model.commit(&store, 300..310, Some(version));
            store.checkpoint().unwrap();
            model.commit(&store, 300..310, Some(version + 1));
            store.checkpoint().unwrap();
        });
        store.compact().unwrap();
        assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
    }
}

/// Ends the threads of a test.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn commits_loads_and_checkpoints_go_on_beside_a_compaction() {
    let folder = TempDir::new().unwrap();
    let (store, mut model) = filled(folder.path());
    let gone = std::mem::take(&mut model.gone);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when something below is not as it should be.
        let _done = Done(&done);
        let reader = scope.spawn(|| {
            let mut scans = 0;
            while !done.load(Ordering::SeqCst) {
                // Rows that nobody changes meanwhile.
                let rows = store.scan(Table::Cluster, Some(&1_499_u32.to_be_bytes()), 300).unwrap();
                assert_eq!(rows.len(), 300);
                let keys: Vec<Key> = rows.iter().map(|(key, _)| *key).collect();
                let loaded = store.load(&keys).unwrap();
                assert!(rows.iter().zip(loaded).all(|((_, value), loaded)| loaded.as_ref() == Some(value)));
                scans += 1;
            }
            scans
        });
        let writer = scope.spawn(|| {
            let mut version = 100;
            while !done.load(Ordering::SeqCst) || version < 110 {
                model.commit(&store, 200..260, Some(version));
                store.checkpoint().unwrap();
                store.set_cursor("webhook", u64::from(version)).unwrap();
                version += 1;
            }
            (model, version)
        });
        for _ in 0..3 {
            store.compact().unwrap();
            assert_eq!(found(folder.path(), &gone), BTreeSet::new(), "although the others go on");
        }
        done.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 0);
        let (model, version) = writer.join().unwrap();
        model.check(&store);
        store.compact().unwrap();
        assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
        assert_eq!(store.cursor("webhook").unwrap(), Some(u64::from(version - 1)));
    });
}

#[test]
fn a_compaction_that_failed_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let (store, mut model) = filled(folder.path());
    store.checkpoint().unwrap();
    let (keyspaces, aside) = (folder.path().join("store/fjall/keyspaces"), folder.path().join("aside"));
    fs::rename(&keyspaces, &aside).unwrap();
    let refused = store.compact();
    assert!(matches!(refused, Err(StoreError::Io { .. } | StoreError::Corrupt { .. })), "{refused:?}");
    // The engine, opened without them, may have made empty ones and must not be believed.
    drop(fs::remove_dir_all(&keyspaces));
    fs::rename(&aside, &keyspaces).unwrap();
    model.commit(&store, 0..10, Some(99));
    store.compact().unwrap();
    model.check(&store);
    assert_eq!(found(folder.path(), &model.gone), BTreeSet::new());
}
