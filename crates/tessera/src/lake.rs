//! Wiring of the lake: its folder, the thread that fills it, and the engine that answers SQL over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tessera_audience::DefinitionName;
use tessera_lake::{
    Answer, Asked, AskedOfEverybody, Compared, DeltaLake, Engine, Everybody, Format, LakeOptions,
    QueryFailure, QueryLimits, Recomputed, Sees, has_sql,
};
use tessera_pipeline::{LakeFeed, ProfileSnapshots};
use tessera_server::{
    Answering, AskingEverybody, EverybodyAsked, Queries, QueryAnswer, QueryAsked, QueryRefusal,
    RecomputeAnswer, RecomputeAsked, Recomputing,
};
use tessera_store::{Clock, Lake as _, Log, Position, Store};

use crate::governance::Subjects;
use crate::settings::Settings;

const MEDIA_TYPES: [&str; 5] = [
    Format::Json.media_type(),
    Format::Csv.media_type(),
    Format::Table.media_type(),
    Format::Arrow.media_type(),
    Format::Parquet.media_type(),
];

/// Stands beside a lake that was made when there was a log already, until `tessera rebuild` has filled it.
fn mark(folder: &Path) -> PathBuf {
    folder.join("lake").join("incomplete")
}

/// Whether the lake lacks what came before it was made.
pub(crate) fn is_incomplete(folder: &Path) -> bool {
    mark(folder).exists()
}

/// The lake has what the log has.
pub(crate) fn is_filled(folder: &Path) -> anyhow::Result<()> {
    let mark = mark(folder);
    match is_incomplete(folder) {
        true => std::fs::remove_file(&mark).with_context(|| format!("cannot remove `{}`", mark.display())),
        false => Ok(()),
    }
}

/// Removes the events of a lake that is to be filled anew.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    // Snapshots of profiles cannot be made again.
    let lake = folder.join("lake").join("events");
    std::fs::remove_dir_all(&lake).with_context(|| format!("cannot remove `{}`", lake.display()))
}

/// Opens the lake of a data folder, whose log ends at `end`.
pub(crate) fn open(folder: &Path, clock: &dyn Clock, end: Position) -> anyhow::Result<Arc<DeltaLake>> {
    if end > Position::START && !folder.join("lake").join("events").exists() {
        // First, so that a crash cannot leave a lake that seems whole.
        let mark = mark(folder);
        std::fs::create_dir_all(folder.join("lake"))
            .and_then(|()| std::fs::write(&mark, "tessera rebuild fills it\n"))
            .with_context(|| format!("cannot write `{}`", mark.display()))?;
    }
    let lake = DeltaLake::open(&folder.join("lake"), LakeOptions::default(), clock.now())?;
    lake.rewind(end, clock.now())?;
    Ok(Arc::new(lake))
}

/// Up to where the lake of a data folder is: a pipeline that runs without it must say what comes after.
pub(crate) fn position(folder: &Path, clock: &dyn Clock, end: Position) -> anyhow::Result<Position> {
    Ok(open(folder, clock, end)?.position())
}

/// The way from the log into the lake.
pub(crate) fn feed<L: Log, S: Store>(
    subjects: &Subjects<L, S>,
    lake: &Arc<DeltaLake>,
) -> Arc<LakeFeed<L, S>> {
    Arc::new(LakeFeed {
        log: Arc::clone(&subjects.log),
        store: Arc::clone(&subjects.store),
        lake: Arc::clone(lake) as _,
        rules: Arc::clone(&subjects.rules),
        key: subjects.key.clone(),
        clock: Arc::clone(&subjects.clock),
        passing: parking_lot::Mutex::default(),
    })
}

/// Fills the lake until `stop`.
pub(crate) fn start<L: Log, S: Store>(
    feed: Arc<LakeFeed<L, S>>,
    settings: &Settings,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let every = Duration::from_millis(settings.lake.flush_millis);
    std::thread::Builder::new().name("tessera-lake".to_owned()).spawn(move || feed.run(every, &stop))
}

/// How long a server serves before it takes a snapshot of profiles by itself: starting is work enough.
const SNAPSHOT_AFTER: Duration = Duration::from_secs(600);

/// Takes a snapshot of the profiles each day.
pub(crate) struct Snapshotting<S> {
    snapshots: ProfileSnapshots<S>,
    /// `None`: by command alone.
    days: Option<u32>,
    served: Duration,
}

impl<S: Store> Snapshotting<S> {
    pub(crate) fn new<L: Log>(feed: &LakeFeed<L, S>, settings: &Settings) -> Self {
        let snapshots = ProfileSnapshots {
            store: Arc::clone(&feed.store),
            lake: Arc::clone(&feed.lake),
            rules: Arc::clone(&feed.rules),
            clock: Arc::clone(&feed.clock),
        };
        let days = settings.lake.snapshots.then_some(settings.lake.snapshot_days);
        Self { snapshots, days, served: Duration::ZERO }
    }

    /// Called every so often.
    pub(crate) fn turn(&mut self, passed: Duration, stop: &AtomicBool) {
        self.served += passed;
        let Some(days) = self.days.filter(|_| self.served >= SNAPSHOT_AFTER) else { return };
        match self.snapshots.keep(days, stop) {
            Ok(Some(rows)) => tracing::info!(rows, "took a snapshot of the profiles into the lake"),
            Ok(None) => {}
            Err(_) if stop.load(Ordering::SeqCst) => {}
            Err(error) => {
                let (code, hint) = (error.code(), error.hint());
                tracing::error!(code, hint, "cannot take a snapshot of the profiles: {error}");
            }
        }
    }
}

/// Answers SQL.
pub(crate) struct Answers<L, S> {
    engine: Arc<Engine>,
    feed: Arc<LakeFeed<L, S>>,
}

impl<L: Log, S: Store> Answers<L, S> {
    pub(crate) fn new(
        lake: &Arc<DeltaLake>,
        feed: &Arc<LakeFeed<L, S>>,
        settings: &Settings,
        folder: &Path,
    ) -> anyhow::Result<Arc<Self>> {
        const MIB: u64 = 1024 * 1024;
        let bytes = |mib: u64| usize::try_from(mib.saturating_mul(MIB)).unwrap_or(usize::MAX);
        let limits = QueryLimits {
            timeout_seconds: settings.query.timeout_seconds,
            memory_bytes: bytes(settings.query.memory_mib),
            spill_bytes_max: settings.query.spill_mib.saturating_mul(MIB),
            answer_bytes_max: bytes(settings.query.answer_mib),
            threads: std::thread::available_parallelism().map_or(2, Into::into),
        };
        let engine = Engine::new(Arc::clone(lake), folder.join("lake").join("spill"), limits)?;
        Ok(Arc::new(Self { engine: Arc::new(engine), feed: Arc::clone(feed) }))
    }
}

impl<L: Log, S: Store> Queries for Answers<L, S> {
    fn media_types(&self) -> &[&'static str] {
        &MEDIA_TYPES
    }

    fn ask(&self, asked: QueryAsked) -> Answering<'_> {
        let format = Format::ALL.into_iter().find(|format| format.media_type() == asked.media_type);
        let question = Asked {
            sql: asked.sql,
            purpose: asked.purpose,
            hidden: asked.hidden,
            purposes: asked.purposes,
            format: format.unwrap_or(Format::Json),
            now: asked.now,
        };
        Box::pin(async move {
            let store = Arc::clone(&self.feed.store);
            let answer = self.engine.ask(store, (asked.rules, asked.labels), question).await;
            answer.map(told).map_err(|failure| refused(&failure))
        })
    }

    fn recompute(&self, asked: RecomputeAsked) -> Recomputing<'_> {
        let RecomputeAsked { audience, definitions, rules, labels } = asked;
        let compared = Compared { rules, labels, definitions, name: audience };
        Box::pin(async move {
            let answer = self.engine.recompute(&self.feed, &compared).await;
            let Recomputed { people, agreed, only_stream, only_batch, unsettled } =
                answer.map_err(|failure| refused(&failure))?;
            Ok(RecomputeAnswer { people, agreed, only_stream, only_batch, unsettled })
        })
    }

    fn everybody(&self, asked: EverybodyAsked) -> AskingEverybody<'_> {
        let EverybodyAsked { definitions, audiences, rules, labels, hidden, purposes, now } = asked;
        let names: Vec<DefinitionName> = audiences.into_iter().map(DefinitionName::Audience).collect();
        Box::pin(async move {
            if !has_sql(&definitions, &names, now) {
                return Ok(None);
            }
            let known = (rules, labels, self.feed.key.clone());
            let asked = AskedOfEverybody { definitions, names, now, sees: Sees { hidden, purposes } };
            let answer = self.engine.ask_everybody(Arc::clone(&self.feed.store), known, asked).await;
            let members = |one| match one {
                Everybody::Members(members) => members,
                Everybody::Values(values) => values.into_keys().collect(),
            };
            let answer = answer.map_err(|failure| refused(&failure))?;
            Ok(Some(answer.into_iter().map(members).collect()))
        })
    }

    fn catch_up(&self) -> Result<(), QueryRefusal> {
        self.feed.flush().map(drop).map_err(|error| refused(&error.into()))
    }
}

fn told(answer: Answer) -> QueryAnswer {
    QueryAnswer {
        rows: answer.rows,
        people: u64::try_from(answer.seen.people).unwrap_or(u64::MAX),
        profiles: answer.seen.named.into_iter().flatten().collect(),
        fields: answer.seen.fields,
        body: answer.body,
    }
}

fn refused(failure: &QueryFailure) -> QueryRefusal {
    let status = match failure {
        QueryFailure::NotUnderstood { .. } | QueryFailure::NotARead => 400,
        QueryFailure::TimedOut { .. } => 408,
        QueryFailure::TooLong { .. } | QueryFailure::Memory | QueryFailure::TooLarge { .. } => 413,
        QueryFailure::Value => 422,
        QueryFailure::Lake(_) | QueryFailure::State(_) => 500,
    };
    QueryRefusal { status, code: failure.code(), what: failure.to_string(), hint: failure.hint() }
}
