//! What the handlers share: the pieces that the binary hands over, and the counters of the shell itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tessera_evidence::Ledger;
use tessera_model::{BATCH_BYTES_MAX, FragmentId, HashKey, Operation, Record, Rules, Secret, Timestamp};
use tessera_mx::MailServers;
use tessera_pipeline::{
    Appender, Courier, Housekeeping, Matching, Notice, Parsed, PersonValues, PipelineMetrics, Progress,
    Submission, erased_fragments,
};
use tessera_policy::Labels;
use tessera_rights::SubjectRequestId;
use tessera_store::{Clock, Lake, Log, LogError, Position, Store};
use tokio::sync::{Notify, Semaphore, broadcast, oneshot};

use crate::access::{Access, AccessSettings, Audit};
use crate::api::requests::work::Care;
use crate::body::{BodyError, BodyLimits};
use crate::error::ApiError;
use crate::metrics::HttpCounters;
use crate::queries::Queries;

/// How long an order waits for the pipeline before it answers that it is not done yet.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Most bytes of bodies that may be read at once, besides those already on their way to the log.
const READING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Profile lists may walk the whole store: so many at once, the others wait.
const LISTS_MAX: usize = 2;

/// What one request, and all together, may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest ingest body after decompression, in bytes; a longer one is answered 413 and kept as a reject without
    /// its payload.
    pub body_bytes_max: usize,
    /// Most open connections; further ones wait in the system's queue.
    pub connections_max: usize,
    /// How long a body may take to arrive, in seconds; a slower one is answered 408.
    pub request_timeout_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes_max: BATCH_BYTES_MAX, connections_max: 1024, request_timeout_seconds: 30 }
    }
}

/// What the binary hands over.
pub struct Parts<L, S> {
    /// The way into the log.
    pub appender: Appender,
    /// How far the pipeline is.
    pub progress: Arc<Progress>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The pipeline's counters.
    pub metrics: Arc<PipelineMetrics>,
    /// The store, to read.
    pub store: Arc<S>,
    /// The log, to read.
    pub log: Arc<L>,
    /// The couriers.
    pub courier: Arc<Mutex<Courier<S>>>,
    /// The installation's hash key.
    pub key: HashKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What the pipeline tells those who watch.
    pub notices: broadcast::Sender<Arc<Vec<Notice>>>,
    /// The token of the data folder: it may do everything in the admin API.
    pub admin_token: Secret,
    /// How the admin API is guarded.
    pub access: AccessSettings,
    /// Is told every request to the admin API.
    pub audit: Audit,
    /// What left and who read it.
    pub evidence: Arc<Ledger>,
    /// Erasures and sweeps.
    pub housekeeping: Arc<Housekeeping>,
    /// The matchers.
    pub matching: Arc<Matching>,
    /// Who is asked whether domains take mail; `None`: nobody, for that is switched off.
    pub mail_servers: Option<MailServers>,
    /// What answers SQL, if the server has a lake.
    pub queries: Option<Arc<dyn Queries>>,
    /// The lake's size, if there is one.
    pub lake: Option<Arc<dyn Lake>>,
    /// The data folder: an erasure is verified by reading all of it.
    pub folder: PathBuf,
    /// The limits.
    pub limits: Limits,
    /// Points by which a score of quality may fall from one audit to the next before it is told.
    pub fall_points: f64,
    /// Where browsers reach the server, `https://cdp.example.com`; `None`: as each request says.
    pub public_url: Option<String>,
}

/// The state of every handler.
pub(crate) struct Shared<L, S> {
    pub(crate) parts: Parts<L, S>,
    pub(crate) http: HttpCounters,
    /// Bytes of bodies being read.
    pub(crate) reading_bytes: AtomicU64,
    /// Refused bodies that were counted and not recorded.
    pub(crate) unrecorded_refusals: AtomicU64,
    /// The second and how many refusals it has recorded.
    pub(crate) refusals: Mutex<(u64, u32)>,
    /// One change of the workspace at a time: each is checked against the one before it.
    pub(crate) workspace: Arc<tokio::sync::Mutex<()>>,
    pub(crate) lists: Semaphore,
    pub(crate) access: Access,
    /// One change of a data-subject request at a time.
    pub(crate) requests: tokio::sync::Mutex<()>,
    /// The requests that still need looking after.
    pub(crate) cares: Mutex<BTreeMap<SubjectRequestId, Care>>,
    /// Values of people who are being erased, to look for them afterwards.
    pub(crate) values: Mutex<BTreeMap<SubjectRequestId, (Timestamp, PersonValues)>>,
    /// Of whom nothing may be written down. Whoever appends events holds it for reading meanwhile.
    pub(crate) erased: RwLock<Erased>,
    /// An order to erase is through.
    pub(crate) erasure_over: Notify,
    /// The labels of fields, compiled for one version of the workspace.
    labels: ArcSwap<(u64, Arc<Labels>)>,
}

/// Of whom nothing may be written down.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    /// Identifiers that were erased.
    pub(crate) gone: BTreeSet<FragmentId>,
    /// Identifiers of an order on its way. Whether the law obliges to keep something of them is known when it is through:
    /// until then events about them wait.
    pub(crate) ordered: BTreeSet<FragmentId>,
}

pub(crate) type App<L, S> = Arc<Shared<L, S>>;

impl<L: Log, S: Store> Shared<L, S> {
    pub(crate) fn new(parts: Parts<L, S>) -> App<L, S> {
        let access = Access::new(&parts.access);
        let rules = parts.rules.load_full();
        let erased = erased_fragments(parts.store.as_ref()).unwrap_or_else(|error| {
            tracing::error!(code = error.code(), "cannot read who was erased; their events are denied, but logged until the next sweep: {error}");
            BTreeSet::new()
        });
        Arc::new(Self {
            parts,
            http: HttpCounters::default(),
            reading_bytes: AtomicU64::new(0),
            unrecorded_refusals: AtomicU64::new(0),
            refusals: Mutex::new((0, 0)),
            workspace: Arc::new(tokio::sync::Mutex::new(())),
            lists: Semaphore::new(LISTS_MAX),
            access,
            requests: tokio::sync::Mutex::new(()),
            cares: Mutex::default(),
            values: Mutex::default(),
            erased: RwLock::new(Erased { gone: erased, ordered: BTreeSet::new() }),
            erasure_over: Notify::new(),
            labels: ArcSwap::from_pointee((rules.version, Arc::new(Labels::new(&rules)))),
        })
    }

    /// The labels of the fields of the workspace.
    pub(crate) fn labels(&self, rules: &Rules) -> Arc<Labels> {
        let known = self.labels.load();
        if known.0 == rules.version {
            return Arc::clone(&known.1);
        }
        let labels = Arc::new(Labels::new(rules));
        self.labels.store(Arc::new((rules.version, Arc::clone(&labels))));
        labels
    }

    /// What an ingest body may be.
    pub(crate) fn body_limits(&self) -> BodyLimits {
        let Limits { body_bytes_max, request_timeout_seconds, .. } = self.parts.limits;
        BodyLimits { bytes_max: body_bytes_max, seconds_max: request_timeout_seconds }
    }

    /// Counts a refusal for want of room, if it is one.
    pub(crate) fn count_overload(&self, error: &BodyError) {
        if *error == BodyError::Overloaded {
            self.parts.metrics.overloaded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a refused body that was not recorded.
    pub(crate) fn count_unrecorded(&self) {
        self.unrecorded_refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes `bytes` of the budget for bodies being read, until the guard goes.
    pub(crate) fn hold(&self, bytes: usize) -> Option<Held<'_>> {
        let mut held = Held { reading: &self.reading_bytes, bytes: 0 };
        held.more(bytes).then_some(held)
    }

    /// Appends a record and waits until it is durable.
    pub(crate) async fn append(
        &self,
        record: Record,
        bytes: Vec<u8>,
        parsed: Option<(u64, Parsed)>,
    ) -> Result<Position, ApiError> {
        appended(self.submit(record, bytes, parsed)?).await
    }

    /// Hands a record to the appender; [`appended`] waits until it is durable.
    pub(crate) fn submit(
        &self,
        record: Record,
        bytes: Vec<u8>,
        parsed: Option<(u64, Parsed)>,
    ) -> Result<Appending, ApiError> {
        let (sender, receiver) = oneshot::channel();
        // Nobody listens any more when the client went away; the record is durable all the same.
        let submission = Submission::new(record, bytes, parsed, move |result| drop(sender.send(result)));
        self.parts.appender.submit(submission).map_err(|_| ApiError::Overloaded)?;
        Ok(receiver)
    }

    /// Appends an order and waits until it is durable.
    pub(crate) async fn order(&self, operation: Operation) -> Result<Position, ApiError> {
        let record = Record::Operation { at: self.parts.clock.now(), operation };
        let bytes = record.encode().map_err(|_| ApiError::Internal)?;
        self.append(record, bytes, None).await
    }

    /// Waits until the pipeline has processed the record at `position`.
    pub(crate) async fn settle(&self, position: Position) -> Result<(), ApiError> {
        let progress = Arc::clone(&self.parts.progress);
        let is_past = blocking(move || Ok(progress.wait_past(position, SETTLE_MAX))).await?;
        if is_past { Ok(()) } else { Err(ApiError::NotYet) }
    }
}

/// A record on its way to the log.
pub(crate) type Appending = oneshot::Receiver<Result<Position, Arc<LogError>>>;

/// Waits until a record is durable.
pub(crate) async fn appended(record: Appending) -> Result<Position, ApiError> {
    match record.await {
        Ok(appended) => appended.map_err(ApiError::Log),
        Err(_) => Err(ApiError::Stopping),
    }
}

/// Part of the budget for bodies being read.
pub(crate) struct Held<'a> {
    reading: &'a AtomicU64,
    bytes: u64,
}

impl Held<'_> {
    /// Takes more. `false`: there is no more, nothing was taken.
    pub(crate) fn more(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.reading.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > READING_BYTES_MAX {
            self.reading.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.reading.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Runs `work` where it may block: reading the store and the log, waiting for the pipeline.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    finished(tokio::task::spawn_blocking(work).await)
}

/// Runs `work` to its end even if the client goes away meanwhile: an order must not be left half done.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    finished(tokio::spawn(work).await)
}

fn finished<T>(done: Result<Result<T, ApiError>, tokio::task::JoinError>) -> Result<T, ApiError> {
    done.unwrap_or_else(|error| {
        tracing::error!("a request did not come to its end: {error}");
        Err(ApiError::Internal)
    })
}
