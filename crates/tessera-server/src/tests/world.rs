//! A server without a socket, and what tests ask of it.

use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera_evidence::Ledger;
use tessera_model::{HashKey, Operation, Record, Secret, Timestamp};
use tessera_pipeline::{
    AppenderOptions, Courier, CourierOptions, Pipeline, PipelineMetrics, PipelineOptions, Progress, Runner,
};
use tessera_store::{
    Bounds, Clock, Entry, Log, LogError, ManualClock, MemoryLog, MemoryStore, Position, Replace, Retention,
    Rewritten,
};
use tokio::sync::broadcast;
use tower::ServiceExt;

use crate::{AccessSettings, AuditEvent, Limits, Parts, Queries, router};

pub(crate) const KEY: &str = "web-write-key";
pub(crate) const NEWS_KEY: &str = "news-write-key";
pub(crate) const TOKEN: &str = "admin-token";
pub(crate) const BASIC: (&str, &str) = ("authorization", "Basic d2ViLXdyaXRlLWtleTo=");
pub(crate) const BEARER: (&str, &str) = ("authorization", "Bearer admin-token");
const NOW: i64 = 1_767_225_600_000;

/// The memory log, and a disk that can be full.
#[derive(Default)]
pub(crate) struct TestLog {
    inner: MemoryLog,
    pub(crate) is_full: AtomicBool,
}

impl Log for TestLog {
    fn append(&self, records: &[&[u8]], now: Timestamp) -> Result<Vec<Position>, LogError> {
        if self.is_full.load(Ordering::SeqCst) {
            let source = io::Error::new(io::ErrorKind::StorageFull, "no space left");
            return Err(LogError::Append { file: PathBuf::from("seg/0"), source });
        }
        self.inner.append(records, now)
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        self.inner.read(from, bytes_max)
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn cut(&self, retention: &Retention) -> Position {
        self.inner.cut(retention)
    }

    fn discard_before(&self, upto: Position) -> Result<(), LogError> {
        self.inner.discard_before(upto)
    }

    fn rewrite(&self, range: Range<Position>, each: &mut Replace<'_>) -> Result<Rewritten, LogError> {
        self.inner.rewrite(range, each)
    }
}

/// A running server.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) log: Arc<TestLog>,
    pub(crate) metrics: Arc<PipelineMetrics>,
    pub(crate) clock: Arc<ManualClock>,
    /// What the audit was told.
    pub(crate) audit: Arc<Mutex<Vec<AuditEvent>>>,
    progress: Arc<Progress>,
    _folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Two sources: `web` for a purpose that needs no consent, `news` for one that does.
pub(crate) fn documents() -> Value {
    json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "marketing", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": KEY, "purposes": ["service"]},
        {"kind": "Source", "name": "news", "write_key": NEWS_KEY, "purposes": ["marketing"]},
    ])
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(AppenderOptions::default(), Limits::default())
    }

    pub(crate) fn with(options: AppenderOptions, limits: Limits) -> Self {
        Self::guarded(options, limits, AccessSettings::default())
    }

    pub(crate) fn guarded(options: AppenderOptions, limits: Limits, access: AccessSettings) -> Self {
        Self::answering(options, limits, access, None)
    }

    pub(crate) fn answering(
        options: AppenderOptions,
        limits: Limits,
        access: AccessSettings,
        queries: Option<Arc<dyn Queries>>,
    ) -> Self {
        let audit: Arc<Mutex<Vec<AuditEvent>>> = Arc::default();
        let told_audit = Arc::clone(&audit);
        let folder = TempDir::new().unwrap();
        let (log, store) = (Arc::new(TestLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
        let key = HashKey::new([7; 32]);
        let documents = serde_json::from_value(documents()).unwrap();
        let apply = Record::Operation { at: clock.now(), operation: Operation::Apply { documents } };
        log.append(&[&apply.encode().unwrap()], clock.now()).unwrap();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let options_of_pipeline = PipelineOptions::default();
        let mut pipeline = Pipeline::open(
            Arc::clone(&log),
            Arc::clone(&store),
            key.clone(),
            Arc::clone(&shared),
            options_of_pipeline,
        )
        .unwrap();
        let (notices, _) = broadcast::channel(64);
        let (watched, told) = (notices.clone(), notices.clone());
        pipeline.watch(
            move || watched.receiver_count() > 0,
            move |notices| drop(told.send(Arc::new(notices.to_vec()))),
        );
        pipeline.catch_up().unwrap();
        let (rules, metrics) = (pipeline.rules(), pipeline.metrics());
        let (appender, runner) =
            Runner::start(pipeline, Arc::clone(&log), Arc::clone(&store), Arc::clone(&shared), options)
                .unwrap();
        let courier_options = CourierOptions {
            folder: folder.path().to_owned(),
            give_up_after_millis: 60_000,
            evidence: None,
            barrier: Arc::new(|| true),
            key: key.clone(),
        };
        let evidence = Ledger::open(&folder.path().join("evidence"), [5; 32], Arc::clone(&shared)).unwrap();
        let courier =
            Courier::new(Arc::clone(&store), Arc::clone(&shared), Arc::clone(&rules), courier_options);
        let progress = runner.progress();
        let router = router(Parts {
            appender,
            progress: Arc::clone(&progress),
            rules,
            metrics: Arc::clone(&metrics),
            store,
            log: Arc::clone(&log),
            courier: Arc::new(Mutex::new(courier)),
            key,
            clock: shared,
            notices,
            admin_token: Secret::new(TOKEN),
            access,
            audit: Arc::new(move |event| told_audit.lock().push(event)),
            evidence: Arc::new(evidence),
            housekeeping: Arc::default(),
            matching: Arc::default(),
            mail_servers: None,
            queries,
            lake: None,
            folder: folder.path().to_owned(),
            limits,
            fall_points: 5.0,
            public_url: None,
        });
        Self { router, log, metrics, clock, audit, progress, _folder: folder }
    }

    pub(crate) async fn raw(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap()
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let response = self.raw(method, uri, headers, body).await;
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    /// Sends JSON with the web source's write key, and waits until it is processed.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> Answer {
        let answer = self.call("POST", path, &[BASIC], body.to_string()).await;
        self.settle().await;
        answer
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.call("GET", uri, &[BEARER], Body::empty()).await
    }

    pub(crate) async fn post(&self, uri: &str, body: &Value) -> Answer {
        self.call("POST", uri, &[BEARER], body.to_string()).await
    }

    pub(crate) async fn put(&self, uri: &str, body: &Value) -> Answer {
        self.call("PUT", uri, &[BEARER], body.to_string()).await
    }

    /// Waits until the pipeline has processed everything that is in the log.
    pub(crate) async fn settle(&self) {
        let last = Position(self.log.bounds().end.0 - 1);
        let progress = Arc::clone(&self.progress);
        let done = tokio::task::spawn_blocking(move || progress.wait_past(last, Duration::from_secs(10)));
        assert!(done.await.unwrap(), "the pipeline did not come to {last:?}");
    }

    /// The codes of all open rejects, oldest first.
    pub(crate) async fn rejects(&self) -> Vec<String> {
        self.settle().await;
        let answer = self.get("/api/v1/rejects?limit=500").await.json();
        let code = |reject: &Value| reject["code"].as_str().unwrap().to_owned();
        answer["rejects"].as_array().unwrap().iter().map(code).collect()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

impl TestLog {
    pub(crate) fn end(&self) -> Position {
        self.inner.bounds().end
    }
}
