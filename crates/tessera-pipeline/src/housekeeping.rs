//! The thread that brings erasures to their end at once, and removes on schedule what no purpose covers any more.
//!
//! Invariant: an erasure that was ordered is brought to its end, whatever crashes: what is pending is read from the
//! store. Recipients are told through their queues, so a dead one keeps back nothing but its own notice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use tessera_evidence::{Entry, Erasure, EvidenceError, Filter, Kind, Ledger};
use tessera_model::{DestinationName, FragmentId, LegalBasis, Operation, Timestamp};
use tessera_store::{Log, Store};

use crate::eraser::{Eraser, Finished, Passing};
use crate::rows::{ErasureRow, load_erasures};
use crate::{Looked, PipelineError, SnapshotError, for_each_due, for_each_unresolved, is_resolving_due};

const TICK: Duration = Duration::from_millis(100);
/// What a failed pass waits before the next.
const PAUSE_MILLIS: i64 = 5_000;

/// What the thread is at, and what it is asked to do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HousekeepingStatus {
    /// The pass that runs, if one does.
    pub passing: Option<Passing>,
    /// Erasures ordered and not at their end: their requests.
    pub pending: Vec<String>,
    /// The last erasures that ended.
    pub last_erasure: Option<Finished>,
    /// The last sweep that ended.
    pub last_sweep: Option<Finished>,
    /// What keeps the thread from going on.
    pub trouble: Option<String>,
    #[serde(skip)]
    is_stopping: bool,
    #[serde(skip)]
    sweeps_wanted: u64,
    #[serde(skip)]
    sweeps_done: u64,
}

/// The thread's handle: shared between it and those who ask.
#[derive(Debug, Default)]
pub struct Housekeeping {
    state: Mutex<HousekeepingStatus>,
    moved: Condvar,
}

impl Housekeeping {
    /// What it is at.
    #[must_use]
    pub fn status(&self) -> HousekeepingStatus {
        self.state.lock().clone()
    }

    /// Asks for a sweep now. Returns a number that [`Housekeeping::wait_for_sweep`] takes.
    pub fn ask_for_sweep(&self) -> u64 {
        let mut state = self.state.lock();
        state.sweeps_wanted += 1;
        self.moved.notify_all();
        state.sweeps_wanted
    }

    /// Waits until that sweep is done. `false`: it takes longer than `timeout`.
    #[must_use]
    pub fn wait_for_sweep(&self, sweep: u64, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        !self.moved.wait_while_for(&mut state, |state| state.sweeps_done < sweep, timeout).timed_out()
    }

    /// Waits until the erasure of that request is at its end. `false`: it takes longer than `timeout`.
    #[must_use]
    pub fn wait_for_erasure(&self, request: &str, timeout: Duration) -> bool {
        let ended = |state: &HousekeepingStatus| {
            state.last_erasure.as_ref().is_some_and(|done| done.requests.iter().any(|one| one == request))
        };
        let mut state = self.state.lock();
        !self.moved.wait_while_for(&mut state, |state| !ended(state), timeout).timed_out()
    }

    /// Tells the thread to stop after what it is at.
    pub fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.moved.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut HousekeepingStatus)) {
        change(&mut self.state.lock());
        self.moved.notify_all();
    }
}

/// Tells destinations of an erasure.
pub type Tell = Box<dyn Fn(&ErasureRow, &BTreeSet<DestinationName>) -> Result<(), PipelineError> + Send>;

/// What the thread needs besides the eraser.
pub struct Housekeeper<L, S> {
    /// Makes data unreadable.
    pub eraser: Eraser<L, S>,
    /// Where it is recorded.
    pub evidence: Arc<Ledger>,
    /// Appends an order and waits until the pipeline has processed it.
    pub order: Box<dyn Fn(Operation) -> Result<(), String> + Send>,
    /// Tells these destinations of an erasure, through their queues.
    pub tell: Tell,
    /// How long between sweeps, in milliseconds; 0: only when asked.
    pub sweep_every_millis: i64,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("cannot order it: {0}")]
    Order(String),
}

impl<L: Log, S: Store> Housekeeper<L, S> {
    /// Works until it is told to stop.
    pub fn run(self, handle: &Housekeeping) {
        let now = || self.eraser.clock.now();
        let (mut next_try, mut last_sweep) = (now(), now());
        if let Ok(Some(swept)) = self.eraser.swept_at() {
            last_sweep = Timestamp::from_millis(i64::try_from(swept).unwrap_or(0));
        }
        let mut is_restored = false;
        loop {
            {
                let mut state = handle.state.lock();
                if state.is_stopping {
                    return;
                }
                handle.moved.wait_for(&mut state, TICK);
                if state.is_stopping {
                    return;
                }
            }
            let at = now();
            if at < next_try {
                continue;
            }
            let wanted = handle.state.lock().sweeps_wanted;
            let is_asked = handle.state.lock().sweeps_done < wanted;
            let is_due =
                self.sweep_every_millis > 0 && at.millis_since(last_sweep) >= self.sweep_every_millis;
            let restored = match is_restored {
                true => Ok(()),
                false => self.repeat_lost().map(|()| is_restored = true),
            };
            let worked = restored.and_then(|()| self.erase(handle)).and_then(|()| self.resolve(handle));
            let worked = worked.and_then(|()| match is_asked || is_due {
                true => self.sweep(handle, wanted).map(|()| last_sweep = at),
                false => Ok(()),
            });
            match worked {
                Ok(()) => handle.state.lock().trouble = None,
                Err(trouble) => {
                    tracing::error!("housekeeping cannot go on: {trouble}");
                    handle.change(|state| {
                        state.passing = None;
                        state.trouble = Some(trouble.to_string());
                    });
                    next_try = at.plus_millis(PAUSE_MILLIS);
                }
            }
            if let Err(error) = self.evidence.tick() {
                tracing::error!(code = error.code(), "cannot sign the evidence ledger: {error}");
            }
        }
    }

    /// Orders again what the ledger says was erased and the store knows nothing of: the data folder was restored from a
    /// backup that is older than the erasure.
    fn repeat_lost(&self) -> Result<(), Trouble> {
        let known: BTreeSet<String> =
            load_erasures(self.eraser.store.as_ref())?.into_iter().map(|row| row.request).collect();
        let mut lost: BTreeMap<String, Vec<FragmentId>> = BTreeMap::new();
        let filter = Filter { kinds: [Kind::Erasure].into_iter().collect(), ..Filter::default() };
        self.evidence.read(&filter, |line| {
            if let Entry::Erasure(erasure) = &line.entry
                && !known.contains(&*erasure.request)
            {
                lost.entry(erasure.request.to_string()).or_default().extend(&erasure.subjects);
            }
            true
        })?;
        for (request, fragments) in lost {
            tracing::warn!(identifiers = fragments.len(), "erasing again what a backup brought back");
            (self.order)(Operation::Erase { fragments, request }).map_err(Trouble::Order)?;
        }
        Ok(())
    }

    fn erase(&self, handle: &Housekeeping) -> Result<(), Trouble> {
        let pending = self.eraser.pending()?;
        if pending.is_empty() {
            return Ok(());
        }
        handle.change(|state| state.pending = pending.iter().map(|row| row.request.clone()).collect());
        for row in &pending {
            self.tell_of(row)?;
        }
        let finished =
            self.eraser.erase(&mut |passing| handle.change(|state| state.passing = Some(passing)))?;
        let Some(finished) = finished else { return Ok(()) };
        let counts = |count: u64, of: &str| (of.into(), count);
        let entries: Vec<Entry> = pending
            .iter()
            .map(|row| {
                Entry::Erasure(Erasure {
                    request: row.request.as_str().into(),
                    identifiers: u64::try_from(row.fragments.len()).unwrap_or(u64::MAX),
                    subjects: row.fragments.iter().chain(&row.spared).copied().collect(),
                    removed: BTreeMap::from([
                        counts(finished.log.events, "events"),
                        counts(finished.log.orders, "orders"),
                        counts(finished.log.segments, "log_segments_rewritten"),
                        counts(
                            u64::try_from(row.spared.len()).unwrap_or(u64::MAX),
                            "identifiers_kept_for_legal_obligations",
                        ),
                    ]),
                    // Nobody has looked yet: `tessera erase --verify` does.
                    bytes_found: None,
                })
            })
            .collect();
        self.evidence.append(&entries)?;
        // Only now: a crash before begins the erasure again, and records it.
        self.eraser.done(&finished)?;
        tracing::info!(
            requests = finished.requests.len(),
            identifiers = finished.fragments.len(),
            events = finished.log.events,
            millis = finished.millis,
            "erased"
        );
        handle.change(|state| {
            (state.passing, state.last_erasure) = (None, Some(finished));
            state.pending.clear();
        });
        Ok(())
    }

    /// Tells each destination that had anything of who was erased; of who is spared, unless it has it by law.
    fn tell_of(&self, row: &ErasureRow) -> Result<(), Trouble> {
        let rules = self.eraser.rules.load();
        let is_by_law = |name: &DestinationName| {
            let purpose = rules.destinations().find(|known| known.name == *name).map(|known| &known.purpose);
            let purpose = purpose.and_then(|purpose| rules.purposes.get(purpose));
            purpose.is_some_and(|purpose| purpose.document.basis == LegalBasis::LegalObligation)
        };
        let mut told: BTreeMap<DestinationName, Vec<FragmentId>> = BTreeMap::new();
        for destination in recipients(&self.evidence, &row.fragments)? {
            told.entry(destination).or_default().extend(&row.fragments);
        }
        for destination in
            recipients(&self.evidence, &row.spared)?.into_iter().filter(|name| !is_by_law(name))
        {
            told.entry(destination).or_default().extend(&row.spared);
        }
        for (destination, fragments) in told {
            (self.tell)(&ErasureRow { fragments, ..row.clone() }, &[destination].into())?;
        }
        Ok(())
    }

    /// Brings everybody to identity rules that changed.
    fn resolve(&self, handle: &Housekeeping) -> Result<(), Trouble> {
        let (store, rules) = (self.eraser.store.as_ref(), self.eraser.rules.load_full());
        if !is_resolving_due(store, &rules)? {
            return Ok(());
        }
        let mut clusters = 0;
        let tell = |looked: Looked| {
            let passing =
                Passing { stage: "identity", done: looked.profiles, total: looked.profiles_expected };
            handle.change(|state| state.passing = Some(passing));
        };
        for_each_unresolved(store, &rules, tell, |fragments| {
            clusters += fragments.len();
            (self.order)(Operation::Resolve { fragments }).map_err(Trouble::Order)
        })?;
        tracing::info!(clusters, "brought everybody to the identity rules in force");
        handle.change(|state| state.passing = None);
        Ok(())
    }

    fn sweep(&self, handle: &Housekeeping, wanted: u64) -> Result<(), Trouble> {
        let rules = self.eraser.rules.load_full();
        let now = self.eraser.clock.now();
        handle.change(|state| state.passing = Some(Passing { stage: "profiles", done: 0, total: 0 }));
        for_each_due(self.eraser.store.as_ref(), &rules, now, |fragments| {
            (self.order)(Operation::Expire { fragments }).map_err(Trouble::Order)
        })?;
        let finished =
            self.eraser.sweep(&mut |passing| handle.change(|state| state.passing = Some(passing)))?;
        tracing::info!(events = finished.log.events, millis = finished.millis, "swept");
        handle.change(|state| {
            (state.passing, state.last_sweep) = (None, Some(finished));
            state.sweeps_done = state.sweeps_done.max(wanted);
        });
        Ok(())
    }
}

/// Who got anything of these people, as the evidence says.
///
/// # Errors
/// Those of the ledger.
pub fn recipients(
    evidence: &Ledger,
    people: &[FragmentId],
) -> Result<BTreeSet<DestinationName>, EvidenceError> {
    if people.is_empty() {
        return Ok(BTreeSet::new());
    }
    let filter = Filter {
        subjects: people.iter().copied().collect(),
        kinds: [Kind::Delivery].into_iter().collect(),
        ..Filter::default()
    };
    let mut found = BTreeSet::new();
    evidence.read(&filter, |line| {
        if let Entry::Delivery(delivery) = &line.entry {
            found.insert(delivery.destination.clone());
        }
        true
    })?;
    Ok(found)
}
