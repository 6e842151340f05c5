//! Random histories against a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;
use tessera_store::{Change, Changes, Key, Position, Store, StoreError, Table, Value};

use super::tests::OPTIONS;
use super::{CheckpointFault, EmbeddedStore, SimBacking, WriteBack};

#[derive(Clone, Debug)]
enum Step {
    /// Changes these keys together; the numbers choose key and value, `None` removes.
    Commit(Vec<(u8, Option<u8>)>),
    /// A commit whose second row is not what it says.
    Refused(u8, u8),
    Load(Vec<u8>),
    Scan(bool, Option<u8>, usize),
    Checkpoint,
    Compact,
    FailedCheckpoint(bool),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0..40_u8, proptest::option::weighted(0.7, any::<u8>()));
    prop_oneof![
        6 => proptest::collection::vec(row, 0..6).prop_map(Step::Commit),
        1 => (0..40_u8, 0..40_u8).prop_map(|(one, two)| Step::Refused(one, two)),
        3 => proptest::collection::vec(0..40_u8, 0..6).prop_map(Step::Load),
        3 => (any::<bool>(), proptest::option::of(0..40_u8), 0..50_usize)
            .prop_map(|(hashed, after, limit)| Step::Scan(hashed, after, limit)),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Compact),
        1 => any::<bool>().prop_map(Step::FailedCheckpoint),
        1 => Just(Step::Crash),
    ]
}

/// Even numbers are clusters, odd ones outbox rows: one table of each way to keep changed rows.
fn key(number: u8) -> Key {
    let table = if number.is_multiple_of(2) { Table::Cluster } else { Table::Outbox };
    Key::new(table, &vec![number / 2; usize::from(number % 5)]).unwrap()
}

fn value(number: u8) -> Value {
    vec![number; usize::from(number % 50)].into()
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    rows: BTreeMap<Key, Value>,
    position: u64,
}

trait Subject {
    fn store(&self) -> &dyn Store;
    fn crash(&mut self);
    /// Makes a checkpoint fail, if that can be made to happen; `durable`: all the same it is durable.
    fn fail_checkpoint(&mut self, durable: bool) -> bool;
}

fn commit(subject: &dyn Subject, model: &mut Model, rows: &[(u8, Option<u8>)]) {
    let wanted: BTreeMap<Key, Option<Value>> =
        rows.iter().map(|(number, after)| (key(*number), after.map(value))).collect();
    let keys: Vec<Key> = wanted.keys().copied().collect();
    let before = subject.store().load(&keys).unwrap();
    model.position += 1;
    let rows = wanted.iter().zip(before);
    let rows =
        rows.map(|((key, after), before)| Change { key: *key, before, after: after.clone() }).collect();
    subject.store().commit(Changes { rows, upto: Some(Position(model.position)) }).unwrap();
    for (key, after) in wanted {
        match after {
            Some(value) => model.rows.insert(key, value),
            None => model.rows.remove(&key),
        };
    }
}

fn refused(subject: &dyn Subject, model: &Model, one: u8, two: u8) {
    let right = Change { key: key(one), before: model.rows.get(&key(one)).cloned(), after: Some(value(1)) };
    let wrong = Change { key: key(two), before: Some(vec![9; 60].into()), after: Some(value(2)) };
    let refused =
        subject.store().commit(Changes { rows: vec![right, wrong], upto: Some(Position(u64::MAX)) });
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

fn check(subject: &mut dyn Subject, steps: &[Step]) {
    let mut model = Model::default();
    let mut durable = Model::default();
    for step in steps {
        match step {
            Step::Commit(rows) => commit(subject, &mut model, rows),
            Step::Refused(one, two) => refused(subject, &model, *one, *two),
            Step::Load(numbers) => {
                let keys: Vec<Key> = numbers.iter().map(|number| key(*number)).collect();
                let expected: Vec<Option<Value>> =
                    keys.iter().map(|key| model.rows.get(key).cloned()).collect();
                assert_eq!(subject.store().load(&keys).unwrap(), expected);
            }
            Step::Scan(hashed, after, limit) => {
                let table = if *hashed { Table::Cluster } else { Table::Outbox };
                let after = after.map(|number| vec![number / 2; usize::from(number % 5)]);
                let rows = model.rows.iter().filter(|(key, _)| {
                    key.table() == table && after.as_deref().is_none_or(|after| key.id() > after)
                });
                let expected: Vec<(Key, Value)> =
                    rows.take(*limit).map(|(key, value)| (*key, value.clone())).collect();
                assert_eq!(subject.store().scan(table, after.as_deref(), *limit).unwrap(), expected);
            }
            Step::Checkpoint => {
                assert_eq!(subject.store().checkpoint().unwrap(), Position(model.position));
                durable = model.clone();
            }
            Step::Compact => {
                subject.store().compact().unwrap();
                durable = model.clone();
            }
            Step::FailedCheckpoint(reaches_the_disk) => {
                if subject.fail_checkpoint(*reaches_the_disk) && *reaches_the_disk {
                    durable = model.clone();
                }
            }
            Step::Crash => {
                subject.crash();
                model = durable.clone();
                assert_eq!(subject.store().durable_position(), Position(model.position));
            }
        }
        assert_eq!(subject.store().position(), Position(model.position), "after {step:?}");
    }
}

struct Simulated(SimBacking, WriteBack<SimBacking>);

/// So little that rows fall out all the time.
const CACHE_BYTES: u64 = 2000;

impl Subject for Simulated {
    fn store(&self) -> &dyn Store {
        &self.1
    }

    fn crash(&mut self) {
        self.1 = WriteBack::new(self.0.clone(), CACHE_BYTES).unwrap();
    }

    fn fail_checkpoint(&mut self, durable: bool) -> bool {
        let fault = if durable { CheckpointFault::AfterDurable } else { CheckpointFault::BeforeDurable };
        self.0.fail_next_checkpoint(fault);
        let failed = self.1.checkpoint().is_err();
        // With nothing to write the disk was not asked: take the fault back.
        self.0.clear_fault();
        failed
    }
}

struct Embedded(Option<EmbeddedStore>, TempDir);

impl Subject for Embedded {
    fn store(&self) -> &dyn Store {
        self.0.as_ref().unwrap()
    }

    fn crash(&mut self) {
        drop(self.0.take());
        self.0 = Some(EmbeddedStore::open(self.1.path(), OPTIONS).unwrap());
    }

    fn fail_checkpoint(&mut self, _: bool) -> bool {
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn simulated_store_agrees_with_a_map(steps in proptest::collection::vec(step(), 0..60)) {
        let disk = SimBacking::new();
        let store = WriteBack::new(disk.clone(), CACHE_BYTES).unwrap();
        check(&mut Simulated(disk, store), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn embedded_store_agrees_with_a_map(steps in proptest::collection::vec(step(), 0..60)) {
        let folder = TempDir::new().unwrap();
        let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
        check(&mut Embedded(Some(store), folder), &steps);
    }
}
