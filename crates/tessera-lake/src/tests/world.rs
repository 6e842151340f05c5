//! One small installation: log and store in memory, the lake in a folder.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_model::{
    ConsentOrder, ConsentStatus, Entrance, Expression, FragmentId, HashKey, Operation, PurposeName, Record,
    RequestId, SourceName, Timestamp,
};
use tessera_pipeline::{Eraser, LakeFeed, Pipeline, PipelineOptions, Refill};
use tessera_store::{Clock, Lake as _, Log as _, ManualClock, MemoryLog, MemoryStore, Position};

use crate::{DeltaLake, LakeOptions};

pub(crate) const NOON: i64 = 1_700_000_000_000;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) pipeline: Pipeline<MemoryLog, MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) lake: Arc<DeltaLake>,
    pub(crate) feed: Arc<LakeFeed<MemoryLog, MemoryStore>>,
    requests: u128,
}

pub(crate) fn key() -> HashKey {
    HashKey::new([9; 32])
}

fn pipeline(
    log: &Arc<MemoryLog>,
    store: &Arc<MemoryStore>,
    clock: &Arc<ManualClock>,
    lake: &DeltaLake,
) -> Pipeline<MemoryLog, MemoryStore> {
    let options = PipelineOptions { lake_from: Some(lake.position()), ..PipelineOptions::default() };
    let clock: Arc<dyn Clock> = clock.clone();
    Pipeline::open(Arc::clone(log), Arc::clone(store), key(), clock, options).unwrap()
}

impl World {
    pub(crate) fn new(documents: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOON)));
        let lake = Arc::new(open(folder.path()));
        let pipeline = pipeline(&log, &store, &clock, &lake);
        let feed = feed(&log, &store, &clock, &lake, &pipeline);
        let mut world = Self { folder, log, store, pipeline, clock, lake, feed, requests: 0 };
        world.operate(Operation::Apply { documents: serde_json::from_value(documents).unwrap() });
        world
    }

    /// The process dies and starts again. `keeps_store`: otherwise the store is made anew from the log.
    pub(crate) fn restart(&mut self, keeps_store: bool) {
        if !keeps_store {
            self.store = Arc::new(MemoryStore::new());
        }
        self.lake = Arc::new(open(self.folder.path()));
        self.pipeline = pipeline(&self.log, &self.store, &self.clock, &self.lake);
        self.feed = feed(&self.log, &self.store, &self.clock, &self.lake, &self.pipeline);
        self.pipeline.catch_up().unwrap();
    }

    /// The lake is lost, and filled anew from the log. Returns how many events it has.
    pub(crate) fn refill(&mut self) -> u64 {
        std::fs::remove_dir_all(self.folder.path().join("lake")).unwrap();
        self.lake = Arc::new(open(self.folder.path()));
        self.feed = feed(&self.log, &self.store, &self.clock, &self.lake, &self.pipeline);
        let refill = Refill {
            log: Arc::clone(&self.log),
            lake: Arc::clone(&self.lake) as _,
            key: key(),
            clock: self.clock.clone(),
        };
        let past = Arc::new(MemoryStore::new());
        refill.replay(&past, self.end(), PipelineOptions::default(), |_| {}).unwrap();
        refill.settle(&self.store).unwrap()
    }

    pub(crate) fn operate(&mut self, operation: Operation) {
        let record = Record::Operation { at: self.clock.now(), operation };
        self.append(&record);
    }

    /// Somebody answers whether they want news.
    pub(crate) fn say(&mut self, user: &str, status: ConsentStatus) {
        let word = ConsentOrder {
            purpose: Some(PurposeName::parse("news").unwrap()),
            status,
            expression: Expression::default(),
            version: None,
            at: None,
            how: None,
            evidence: None,
        };
        let fragments = vec![self.id(&format!("user_id:{user}"))];
        self.operate(Operation::Consents { fragments, words: vec![word] });
    }

    pub(crate) fn send(&mut self, source: &str, events: &[Value]) {
        self.requests += 1;
        let record = Record::Ingest {
            gpc: false,
            source: SourceName::parse(source).unwrap(),
            received_at: self.clock.now(),
            request_id: RequestId(self.requests),
            entrance: Entrance::Batch,
            body: json!({"batch": events}).to_string().into(),
        };
        self.append(&record);
    }

    fn append(&mut self, record: &Record) {
        self.log.append(&[&record.encode().unwrap()], self.clock.now()).unwrap();
        self.pipeline.catch_up().unwrap();
    }

    pub(crate) fn id(&self, reference: &str) -> FragmentId {
        let rules = self.pipeline.rules().load_full();
        FragmentId::of(&key(), &rules.namespaces.parse_reference(reference).unwrap())
    }

    pub(crate) fn eraser(&self) -> Eraser<MemoryLog, MemoryStore> {
        Eraser {
            log: Arc::clone(&self.log),
            store: Arc::clone(&self.store),
            rules: self.pipeline.rules(),
            key: key(),
            clock: self.clock.clone(),
            quiet: Arc::new(Mutex::new(())),
            snapshots: self.folder.path().join("checkpoints"),
            lake: Some(Arc::clone(&self.feed)),
        }
    }

    pub(crate) fn end(&self) -> Position {
        self.log.bounds().end
    }
}

fn open(folder: &Path) -> DeltaLake {
    DeltaLake::open(&folder.join("lake"), LakeOptions::default(), Timestamp::from_millis(NOON)).unwrap()
}

fn feed(
    log: &Arc<MemoryLog>,
    store: &Arc<MemoryStore>,
    clock: &Arc<ManualClock>,
    lake: &Arc<DeltaLake>,
    pipeline: &Pipeline<MemoryLog, MemoryStore>,
) -> Arc<LakeFeed<MemoryLog, MemoryStore>> {
    Arc::new(LakeFeed {
        log: Arc::clone(log),
        store: Arc::clone(store),
        lake: Arc::clone(lake) as _,
        rules: pipeline.rules(),
        key: key(),
        clock: clock.clone(),
        passing: Mutex::default(),
    })
}
