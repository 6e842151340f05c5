//! Wiring of what governs the data: the evidence ledger, the audit of the admin API, erasures and sweeps.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tessera_evidence::{Access, AccessResult, Change, Entry, Ledger, public_key_of};
use tessera_model::{HashKey, Operation, Record, Rules};
use tessera_pipeline::{
    Appender, Auditor, AuditorHandle, Barrier, Eraser, Housekeeper, Housekeeping, LakeFeed, Progress,
    Submission, Ticker, TickerHandle, Watching, Watchman, tell_of_erasure,
};
use tessera_server::{Audit, AuditEvent};
use tessera_store::{Clock, Log, Position, Store};

use crate::settings::Settings;

/// How long an order may wait for the pipeline.
const ORDER_WAIT: Duration = Duration::from_secs(600);
/// How long a delivery waits for the state to be up to date before it asks again.
const BARRIER_WAIT: Duration = Duration::from_millis(500);
/// Most audit entries written at once.
const AUDIT_MAX: usize = 512;

/// The key that evidence is signed with: derived, so that there is one key to keep.
pub(crate) fn signing_key(key: &HashKey) -> [u8; 32] {
    key.derive("tessera evidence signing 1")
}

/// The public half of that key.
pub(crate) fn public_key(key: &HashKey) -> Option<[u8; 32]> {
    public_key_of(&signing_key(key))
}

/// Opens the ledger of a data folder.
pub(crate) fn open_ledger(
    folder: &Path,
    key: &HashKey,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<Ledger>> {
    Ok(Arc::new(Ledger::open(&folder.join("evidence"), signing_key(key), clock)?))
}

/// Holds deliveries back until the state is as far as what was acknowledged.
pub(crate) fn barrier<L: Log>(log: Arc<L>, progress: Arc<Progress>) -> Barrier {
    Arc::new(move || progress.wait_until(log.bounds().end, BARRIER_WAIT))
}

/// What the threads work on.
pub(crate) struct Subjects<L, S> {
    pub(crate) log: Arc<L>,
    pub(crate) store: Arc<S>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) key: HashKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quiet: Arc<Mutex<()>>,
    pub(crate) evidence: Arc<Ledger>,
    pub(crate) progress: Arc<Progress>,
}

/// The running threads.
pub(crate) struct Governance {
    pub(crate) housekeeping: Arc<Housekeeping>,
    pub(crate) audit: Audit,
    watching: Arc<Watching>,
    evidence: Arc<Ledger>,
    auditor: Arc<AuditorHandle>,
    ticking: Arc<TickerHandle>,
    tell: Sender<AuditEvent>,
    threads: Vec<JoinHandle<()>>,
}

impl Governance {
    pub(crate) fn start<L: Log, S: Store>(
        subjects: Subjects<L, S>,
        appender: Appender,
        settings: &Settings,
        (folder, snapshots): (&Path, &Path),
        lake: &Arc<LakeFeed<L, S>>,
    ) -> anyhow::Result<Self> {
        let Subjects { log, store, rules, key, clock, quiet, evidence, progress } = subjects;
        let housekeeping = Arc::new(Housekeeping::default());
        let queues = (Arc::clone(&store), Arc::clone(&clock));
        let order_clock = Arc::clone(&clock);
        let watching = Arc::new(Watching::default());
        let watchman = watchman((&store, &rules, &clock), (&appender, &progress), settings, folder);
        let auditor = Arc::new(AuditorHandle::default());
        let ticking = Arc::new(TickerHandle::default());
        let ticker = ticker((&store, &clock), (&appender, &progress));
        let (order_appender, order_progress) = (appender.clone(), Arc::clone(&progress));
        let audit_clock = Arc::clone(&clock);
        let audits = Auditor {
            store: Arc::clone(&store),
            rules: Arc::clone(&rules),
            key: key.clone(),
            clock: Arc::clone(&clock),
            evidence: Arc::clone(&evidence),
            order: Box::new(move |operation| {
                order(&order_appender, &order_progress, audit_clock.as_ref(), operation)
            }),
            every_millis: i64::from(settings.quality.audit_every_hours) * 3_600_000,
            fall_points: settings.quality.fall_points,
        };
        let housekeeper = Housekeeper {
            eraser: Eraser {
                log,
                store,
                rules,
                key,
                clock,
                quiet,
                snapshots: snapshots.to_owned(),
                lake: Some(Arc::clone(lake)),
            },
            evidence: Arc::clone(&evidence),
            order: Box::new(move |operation| order(&appender, &progress, order_clock.as_ref(), operation)),
            tell: Box::new(move |row, to| tell_of_erasure(queues.0.as_ref(), row, to, queues.1.now())),
            sweep_every_millis: i64::from(settings.governance.sweep_every_hours) * 3_600_000,
        };
        let (tell, told) = crossbeam_channel::unbounded();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(format!("tessera-{name}")).spawn(work)
        };
        let (handle, ledger) = (Arc::clone(&housekeeping), Arc::clone(&evidence));
        let auditing = Arc::clone(&auditor);
        let threads = vec![
            spawn("housekeeping", Box::new(move || housekeeper.run(&handle)))
                .context("cannot start a thread")?,
            {
                let watching = Arc::clone(&watching);
                spawn("alerts", Box::new(move || watchman.run(&watching))).context("cannot start a thread")?
            },
            spawn("quality", Box::new(move || audits.run(&auditing))).context("cannot start a thread")?,
            {
                let ticking = Arc::clone(&ticking);
                spawn("time", Box::new(move || ticker.run(&ticking))).context("cannot start a thread")?
            },
            spawn("audit", Box::new(move || write_audit(&ledger, &told))).context("cannot start a thread")?,
        ];
        let sender = tell.clone();
        // It never blocks, and the thread outlives all who tell.
        let audit: Audit = Arc::new(move |event| drop(sender.send(event)));
        Ok(Self { housekeeping, audit, watching, evidence, auditor, ticking, tell, threads })
    }

    /// Stops the threads; the housekeeper lets its appender go, which the runner waits for.
    pub(crate) fn stop(self) {
        let Self { housekeeping, audit, watching, evidence, auditor, ticking, tell, threads } = self;
        housekeeping.stop();
        watching.stop();
        auditor.stop();
        ticking.stop();
        drop((audit, tell));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of governance panicked");
            }
        }
        if let Err(error) = evidence.close() {
            tracing::error!(code = error.code(), "cannot close the evidence ledger: {error}");
        }
    }
}

/// Lets time pass for audiences.
fn ticker<S: Store>(
    (store, clock): (&Arc<S>, &Arc<dyn Clock>),
    (appender, progress): (&Appender, &Arc<Progress>),
) -> Ticker<S> {
    let (appender, progress, order_clock) = (appender.clone(), Arc::clone(progress), Arc::clone(clock));
    Ticker {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        order: Box::new(move |operation| order(&appender, &progress, order_clock.as_ref(), operation)),
    }
}

/// Looks after alerts.
fn watchman<S: Store>(
    (store, rules, clock): (&Arc<S>, &Arc<ArcSwap<Rules>>, &Arc<dyn Clock>),
    (appender, progress): (&Appender, &Arc<Progress>),
    settings: &Settings,
    folder: &Path,
) -> Watchman<S> {
    let (appender, progress, order_clock) = (appender.clone(), Arc::clone(progress), Arc::clone(clock));
    Watchman {
        store: Arc::clone(store),
        rules: Arc::clone(rules),
        clock: Arc::clone(clock),
        order: Box::new(move |operation| order(&appender, &progress, order_clock.as_ref(), operation)),
        folder: folder.to_owned(),
        every: Duration::from_secs(u64::from(settings.governance.alerts_every_seconds.max(1))),
    }
}

pub(crate) fn order(
    appender: &Appender,
    progress: &Progress,
    clock: &dyn Clock,
    operation: Operation,
) -> Result<(), String> {
    let record = Record::Operation { at: clock.now(), operation };
    let bytes = record.encode().map_err(|error| error.to_string())?;
    let (done, wait) = crossbeam_channel::bounded::<Result<Position, String>>(1);
    let submission = Submission::new(record, bytes, None, move |appended| {
        drop(done.send(appended.map_err(|error| error.to_string())));
    });
    appender.submit(submission).map_err(|_| "the server has more to do than it can hold".to_owned())?;
    let position = wait.recv().map_err(|_| "the server is stopping".to_owned())??;
    match progress.wait_past(position, ORDER_WAIT) {
        true => Ok(()),
        false => Err("the pipeline has not come to it".to_owned()),
    }
}

fn write_audit(ledger: &Ledger, told: &Receiver<AuditEvent>) {
    while let Ok(first) = told.recv() {
        let more = told.try_iter().take(AUDIT_MAX);
        let entries: Vec<Entry> = std::iter::once(first).chain(more).map(entry).collect();
        if let Err(error) = ledger.append(&entries) {
            tracing::error!(code = error.code(), entries = entries.len(), "cannot write the audit: {error}");
        }
    }
}

fn entry(event: AuditEvent) -> Entry {
    let AuditEvent { actor, action, route, object, status, code, .. } = event;
    let what: Box<str> = match action {
        "sign_in" => "sign in".into(),
        _ => route.into(),
    };
    let result = match (action, status) {
        (_, 401) => Some(AccessResult::Failed),
        (_, 403) => Some(AccessResult::Refused),
        (_, 429) => Some(AccessResult::LockedOut),
        ("sign_in", 200) => Some(AccessResult::Ok),
        _ => None,
    };
    match result {
        Some(result) => Entry::Access(Access { actor: actor.into(), result, what }),
        None => Entry::Change(Change {
            actor: actor.into(),
            what,
            object: Some(object.into()),
            detail: Some(code.map_or_else(|| status.to_string(), |code| format!("{status} {code}")).into()),
        }),
    }
}
