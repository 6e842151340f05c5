//! One small installation in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tessera_model::{
    Document, Entrance, FragmentId, HashKey, Operation, PurposeName, Record, RequestId, SourceName, Timestamp,
};
use tessera_pipeline::{
    Pipeline, PipelineOptions, Query, QueryError, StateHash, Totals, list_rejects, load_totals, next_due,
    state_hash,
};
use tessera_profile::View;
use tessera_store::{Clock, Log, ManualClock, MemoryLog, MemoryStore};

/// When everything is received, unless a test moves the clock.
pub(crate) const NOON: i64 = 1_700_000_000_000;

pub(crate) struct World {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) pipeline: Pipeline<MemoryLog, MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    key: HashKey,
    requests: u128,
}

pub(crate) fn workspace() -> Vec<Document> {
    let documents = json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"],
         "consent": {"Newsletter": "news"}},
        {"kind": "Namespace", "name": "card", "priority": 50, "from": ["properties.card", "traits.card"]},
    ]);
    serde_json::from_value(documents).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(PipelineOptions::default())
    }

    pub(crate) fn with(options: PipelineOptions) -> Self {
        let mut world = Self::on(Arc::new(MemoryLog::default()), options);
        world.operate(Operation::Apply { documents: workspace() });
        world
    }

    /// A new store over an existing log, not caught up yet.
    pub(crate) fn on(log: Arc<MemoryLog>, options: PipelineOptions) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOON)));
        let key = HashKey::new([9; 32]);
        let shared: Arc<dyn Clock> = clock.clone();
        let pipeline =
            Pipeline::open(Arc::clone(&log), Arc::clone(&store), key.clone(), shared, options).unwrap();
        Self { log, store, pipeline, clock, key, requests: 0 }
    }

    /// A new pipeline over the same log and store, as after a crash of the process.
    pub(crate) fn reopen(&mut self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (log, store) = (Arc::clone(&self.log), Arc::clone(&self.store));
        self.pipeline =
            Pipeline::open(log, store, self.key.clone(), clock, PipelineOptions::default()).unwrap();
    }

    pub(crate) fn operate(&mut self, operation: Operation) {
        self.append(&Record::Operation { at: self.clock.now(), operation });
    }

    /// Sends a batch from `source` and processes it.
    pub(crate) fn send(&mut self, source: &str, events: &[Value]) {
        self.post(source, Entrance::Batch, &json!({"batch": events}).to_string());
    }

    pub(crate) fn post(&mut self, source: &str, entrance: Entrance, body: &str) {
        self.request(source, entrance, body, false);
    }

    pub(crate) fn post_with_gpc(&mut self, source: &str, entrance: Entrance, body: &str) {
        self.request(source, entrance, body, true);
    }

    pub(crate) fn key(&self) -> HashKey {
        self.key.clone()
    }

    fn request(&mut self, source: &str, entrance: Entrance, body: &str, gpc: bool) {
        self.requests += 1;
        self.append(&Record::Ingest {
            gpc,
            source: SourceName::parse(source).unwrap(),
            received_at: self.clock.now(),
            request_id: RequestId(self.requests),
            entrance,
            body: body.to_owned().into(),
        });
    }

    fn append(&mut self, record: &Record) {
        self.log.append(&[&record.encode().unwrap()], self.clock.now()).unwrap();
        self.pipeline.catch_up().unwrap();
    }

    /// Time passes for whoever waits for it.
    pub(crate) fn settle(&mut self) {
        while next_due(self.store.as_ref()).unwrap().is_some_and(|at| at <= self.clock.now()) {
            self.operate(Operation::Tick {});
        }
    }

    pub(crate) fn id(&self, reference: &str) -> FragmentId {
        let rules = self.pipeline.rules().load_full();
        FragmentId::of(&self.key, &rules.namespaces.parse_reference(reference).unwrap())
    }

    /// The profile as the API would show it, or why not.
    pub(crate) fn profile_for(&self, reference: &str, purpose: Option<&str>) -> Result<Value, String> {
        let rules = self.pipeline.rules().load_full();
        let purpose = purpose.map(|name| PurposeName::parse(name).unwrap());
        let view = View { provenance: true, events: true, merges: true, alternatives: true };
        let query = Query { rules: &rules, purpose: purpose.as_ref(), view, now: self.clock.now() };
        match query.by_id(self.store.as_ref(), self.id(reference)) {
            Ok(profile) => Ok(serde_json::to_value(profile.get()).unwrap()),
            Err(QueryError::NotFound) => Err("not found".to_owned()),
            Err(QueryError::Denied { denial, .. }) => Err(denial.as_str().to_owned()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn profile(&self, reference: &str) -> Value {
        self.profile_for(reference, None).unwrap()
    }

    /// What was said about purposes, which is shown also of somebody of whom nothing else may be.
    pub(crate) fn consents(&self, reference: &str) -> Value {
        let rules = self.pipeline.rules().load_full();
        let query = Query { rules: &rules, purpose: None, view: View::default(), now: self.clock.now() };
        match query.by_id(self.store.as_ref(), self.id(reference)) {
            Ok(profile) => serde_json::to_value(&profile.get().consents).unwrap(),
            Err(QueryError::Denied { consents, .. }) => serde_json::to_value(&consents).unwrap(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Every profile, as JSON texts, in no order.
    pub(crate) fn profiles(&self) -> BTreeSet<String> {
        let rules = self.pipeline.rules().load_full();
        let view = View { provenance: true, events: true, merges: true, alternatives: true };
        let query = Query { rules: &rules, purpose: None, view, now: self.clock.now() };
        let page = query.list(self.store.as_ref(), None, usize::MAX, |_| true).unwrap();
        page.profiles.iter().map(|profile| serde_json::to_string(profile.get()).unwrap()).collect()
    }

    /// How many identifiers the largest cluster has.
    pub(crate) fn largest_cluster(&self) -> usize {
        use tessera_profile::Row;
        use tessera_store::{Store, Table};
        let rows = self.store.scan(Table::Cluster, None, usize::MAX).unwrap();
        let sizes = rows.iter().map(|(_, value)| match Row::decode(value).unwrap() {
            Row::Cluster(cluster) => cluster.len(),
            Row::Pointer(_) | Row::Tombstone(_) => 0,
        });
        sizes.max().unwrap_or(0)
    }

    pub(crate) fn totals(&self) -> Totals {
        load_totals(self.store.as_ref()).unwrap()
    }

    pub(crate) fn hash(&self) -> StateHash {
        state_hash(self.store.as_ref()).unwrap().0
    }

    pub(crate) fn rejects(&self) -> Vec<String> {
        let rejects = list_rejects(self.store.as_ref(), None, 1000, |_| true).unwrap();
        rejects.into_iter().map(|(_, row)| format!("{} {}", row.code, row.reason)).collect()
    }
}

/// A track call.
pub(crate) fn track(message: &str, user: Option<&str>, anonymous: Option<&str>, at: i64) -> Value {
    json!({"type": "track", "event": "Product Viewed", "messageId": message, "userId": user,
           "anonymousId": anonymous, "timestamp": Timestamp::from_millis(at).to_string()})
}

/// An identify call.
pub(crate) fn identify(
    message: &str,
    user: Option<&str>,
    anonymous: Option<&str>,
    traits: Value,
    at: i64,
) -> Value {
    json!({"type": "identify", "traits": traits, "messageId": message, "userId": user,
           "anonymousId": anonymous, "timestamp": Timestamp::from_millis(at).to_string()})
}
