//! Commits and checkpoints that come in the midst of a read, at the worst moment.

use std::sync::Arc;

use parking_lot::Mutex;
use tessera_store::{Key, Position, Store, StoreError, Table, Value};

use super::tests::{cluster, put};
use super::{Backing, Row, SimBacking, WriteBack};

type Interruption = Box<dyn FnOnce() + Send>;

/// A disk on which something happens right after the next `get`, or right before the next `scan`.
#[derive(Default)]
struct Interrupted {
    disk: SimBacking,
    after_get: Mutex<Option<Interruption>>,
    before_scan: Mutex<Option<Interruption>>,
}

fn interrupt(interruption: &Mutex<Option<Interruption>>) {
    let interruption = interruption.lock().take();
    if let Some(interruption) = interruption {
        interruption();
    }
}

impl Backing for Interrupted {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let values = self.disk.get(keys);
        interrupt(&self.after_get);
        values
    }

    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        interrupt(&self.before_scan);
        self.disk.scan(table, after, limit)
    }

    fn write_checkpoint(&self, rows: &[Row<'_>], position: Position) -> Result<(), StoreError> {
        self.disk.write_checkpoint(rows, position)
    }

    fn position(&self) -> Result<Position, StoreError> {
        self.disk.position()
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.disk.cursor(name)
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        self.disk.set_cursor(name, value)
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.disk.compact()
    }

    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }
}

/// A store with a cold cache whose keys 1 and 2 have the value `1`.
fn store() -> Arc<WriteBack<Interrupted>> {
    let disk = SimBacking::new();
    let first = WriteBack::new(disk.clone(), 1 << 20).unwrap();
    put(&first, cluster(1), Some(b"1"), 1);
    put(&first, cluster(2), Some(b"1"), 1);
    first.checkpoint().unwrap();
    Arc::new(WriteBack::new(Interrupted { disk, ..Interrupted::default() }, 1 << 20).unwrap())
}

fn bytes(value: &str) -> Value {
    value.as_bytes().into()
}

#[test]
fn load_overtaken_by_a_checkpoint_leaves_no_old_value_in_the_cache() {
    for after in [Some(&b"2"[..]), None] {
        let store = store();
        let other = Arc::clone(&store);
        *store.backing().after_get.lock() = Some(Box::new(move || {
            put(&*other, cluster(1), after, 2);
            other.checkpoint().unwrap();
        }));
        assert_eq!(store.load(&[cluster(1)]).unwrap(), [Some(bytes("1"))], "read before it changed");
        assert_eq!(store.load(&[cluster(1)]).unwrap(), [after.map(Value::from)]);
    }
}

#[test]
fn load_overtaken_by_a_commit_leaves_no_old_value_in_the_cache() {
    let store = store();
    let other = Arc::clone(&store);
    *store.backing().after_get.lock() = Some(Box::new(move || put(&*other, cluster(1), Some(b"2"), 2)));
    store.load(&[cluster(1)]).unwrap();
    assert_eq!(store.load(&[cluster(1)]).unwrap(), [Some(bytes("2"))]);
    store.checkpoint().unwrap();
    assert_eq!(store.load(&[cluster(1)]).unwrap(), [Some(bytes("2"))], "now from the cache");
}

#[test]
fn scan_overtaken_by_a_checkpoint_shows_one_moment() {
    let store = store();
    put(&*store, cluster(1), Some(b"2"), 2);
    let other = Arc::clone(&store);
    *store.backing().before_scan.lock() = Some(Box::new(move || {
        put(&*other, cluster(1), Some(b"3"), 3);
        put(&*other, cluster(2), Some(b"3"), 4);
        other.checkpoint().unwrap();
    }));
    // 2 and 1 were true before and 3 and 3 are now; 2 and 3 never were.
    let rows = store.scan(Table::Cluster, None, 9).unwrap();
    assert_eq!(rows, [(cluster(1), bytes("3")), (cluster(2), bytes("3"))]);
}
