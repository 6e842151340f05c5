//! Housekeeping with its thread running.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tessera_evidence::{Entry, Erasure, Filter, Kind, Ledger};
use tessera_model::{
    Document, Entrance, FragmentId, HashKey, Identifier, Operation, Record, RequestId, SourceName, Timestamp,
};
use tessera_store::{Clock, Log, ManualClock, MemoryLog, MemoryStore};

use crate::{Eraser, Housekeeper, Housekeeping, Pipeline, PipelineOptions, load_erasures};

const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    log: Arc<MemoryLog>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    pipeline: Arc<Mutex<Pipeline<MemoryLog, MemoryStore>>>,
    ledger: Arc<Ledger>,
    folder: tempfile::TempDir,
}

fn key() -> HashKey {
    HashKey::new([9; 32])
}

fn id(user: &str) -> FragmentId {
    let rules = tessera_model::NamespaceRules::new([]).unwrap();
    let identifier: Identifier = rules.parse_reference(&format!("user_id:{user}")).unwrap();
    FragmentId::of(&key(), &identifier)
}

impl World {
    fn new() -> Self {
        let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        let options = PipelineOptions::default();
        let pipeline =
            Pipeline::open(Arc::clone(&log), Arc::clone(&store), key(), Arc::clone(&shared), options)
                .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(&folder.path().join("evidence"), [3; 32], shared).unwrap());
        let world = Self { log, store, clock, pipeline: Arc::new(Mutex::new(pipeline)), ledger, folder };
        let documents: Vec<Document> = serde_json::from_value(json!([
            {"kind": "Purpose", "name": "stats", "basis": "legitimate_interests", "retention_days": 1},
            {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["stats"]},
        ]))
        .unwrap();
        world.append(&Record::Operation { at: world.clock.now(), operation: Operation::Apply { documents } });
        let body = json!({"batch": [
            {"type": "identify", "userId": "ada", "traits": {"city": "Canarytown"}},
            {"type": "identify", "userId": "bob", "traits": {"city": "Paris"}},
        ]});
        world.append(&Record::Ingest {
            source: SourceName::parse("web").unwrap(),
            received_at: world.clock.now(),
            request_id: RequestId(1),
            entrance: Entrance::Batch,
            gpc: false,
            body: body.to_string().into(),
        });
        world
    }

    fn append(&self, record: &Record) {
        self.log.append(&[&record.encode().unwrap()], self.clock.now()).unwrap();
        self.pipeline.lock().catch_up().unwrap();
    }

    fn holds(&self, text: &str) -> bool {
        let entries = self.log.read(tessera_store::Position::START, usize::MAX).unwrap();
        entries.iter().any(|entry| String::from_utf8_lossy(&entry.record).contains(text))
    }

    /// Runs housekeeping while `work` goes on.
    fn keep_house(&self, work: impl FnOnce(&Housekeeping)) {
        let handle = Arc::new(Housekeeping::default());
        let (log, pipeline, clock) = (self.log.clone(), self.pipeline.clone(), self.clock.clone());
        let housekeeper = Housekeeper {
            eraser: Eraser {
                log: Arc::clone(&self.log),
                store: Arc::clone(&self.store),
                rules: self.pipeline.lock().rules(),
                key: key(),
                clock: self.clock.clone(),
                quiet: Arc::default(),
                snapshots: self.folder.path().join("checkpoints"),
                lake: None,
            },
            evidence: Arc::clone(&self.ledger),
            order: Box::new(move |operation| {
                let record = Record::Operation { at: clock.now(), operation };
                log.append(&[&record.encode().unwrap()], clock.now()).unwrap();
                pipeline.lock().catch_up().map_err(|error| error.to_string())
            }),
            tell: Box::new(|_, _| Ok(())),
            sweep_every_millis: 0,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| housekeeper.run(&handle));
            work(&handle);
            handle.stop();
        });
    }
}

#[test]
fn an_order_to_erase_is_brought_to_its_end_and_recorded() {
    let world = World::new();
    let operation = Operation::Erase { fragments: vec![id("ada")], request: "r1".to_owned() };
    world.append(&Record::Operation { at: world.clock.now(), operation });
    world.keep_house(|handle| assert!(handle.wait_for_erasure("r1", PATIENCE)));
    assert!(!world.holds("Canarytown") && world.holds("Paris"));
    let mut recorded = Vec::new();
    let filter = Filter { kinds: [Kind::Erasure].into(), ..Filter::default() };
    world
        .ledger
        .read(&filter, |line| {
            recorded.push(line.entry.clone());
            true
        })
        .unwrap();
    assert!(matches!(recorded.as_slice(), [Entry::Erasure(erasure)] if erasure.subjects == [id("ada")]));
}

#[test]
fn what_a_backup_brought_back_is_erased_again() {
    // The ledger is newer than log and store, which know nothing of the erasure.
    let world = World::new();
    let erasure = Erasure {
        request: "r7".into(),
        identifiers: 1,
        subjects: vec![id("ada")],
        removed: Default::default(),
        bytes_found: None,
    };
    world.ledger.append(&[Entry::Erasure(erasure)]).unwrap();
    assert!(world.holds("Canarytown"));
    world.keep_house(|handle| assert!(handle.wait_for_erasure("r7", PATIENCE)));
    assert!(!world.holds("Canarytown") && world.holds("Paris"));
    // Once is enough: the next start finds it in the store.
    world.keep_house(|handle| assert!(handle.wait_for_sweep(handle.ask_for_sweep(), PATIENCE)));
    assert_eq!(load_erasures(world.store.as_ref()).unwrap().len(), 1);
}

#[test]
fn a_sweep_that_is_asked_for_removes_what_is_over() {
    let world = World::new();
    world.clock.advance_millis(2 * 24 * 60 * 60 * 1000);
    world.keep_house(|handle| assert!(handle.wait_for_sweep(handle.ask_for_sweep(), PATIENCE)));
    assert!(!world.holds("Canarytown") && !world.holds("Paris"));
}
