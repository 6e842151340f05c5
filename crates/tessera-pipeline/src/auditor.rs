//! The thread that audits the data's quality on schedule, keeps what it comes to, and tells when a score falls.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use tessera_evidence::Ledger;
use tessera_model::{HashKey, Operation, Rules};
use tessera_quality::{Audit, Fall, falls};
use tessera_store::{Clock, Store};

use crate::{PipelineError, UsageError, load_audits, survey, usage_of};

const TICK: Duration = Duration::from_millis(200);
/// What a failed audit waits before the next.
const PAUSE_MILLIS: i64 = 60_000;

/// Tells the thread to stop.
#[derive(Debug, Default)]
pub struct AuditorHandle {
    is_stopping: Mutex<bool>,
    moved: Condvar,
}

impl AuditorHandle {
    /// Tells the thread to stop: an audit on its way ends without a result.
    pub fn stop(&self) {
        *self.is_stopping.lock() = true;
        self.moved.notify_all();
    }

    /// Waits a while. Returns whether to go on.
    fn wait(&self) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        if !*is_stopping {
            self.moved.wait_for(&mut is_stopping, TICK);
        }
        !*is_stopping
    }
}

/// What the thread needs.
pub struct Auditor<S> {
    /// Where profiles and audits are.
    pub store: Arc<S>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The installation's hash key.
    pub key: HashKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What was used of anybody.
    pub evidence: Arc<Ledger>,
    /// Appends an order and waits until the pipeline has processed it.
    pub order: Box<dyn Fn(Operation) -> Result<(), String> + Send>,
    /// How long between audits, in milliseconds; 0: never.
    pub every_millis: i64,
    /// A fall by more points than these is told in the log.
    pub fall_points: f64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("cannot keep the audit: {0}")]
    Order(String),
}

impl<S: Store> Auditor<S> {
    /// Works until it is told to stop.
    pub fn run(self, handle: &AuditorHandle) {
        if self.every_millis == 0 {
            return;
        }
        let mut next_look = self.clock.now();
        while handle.wait() {
            if self.clock.now() < next_look {
                continue;
            }
            if let Err(trouble) = self.audit_if_due(handle) {
                tracing::error!("cannot audit the data's quality: {trouble}");
            }
            next_look = self.clock.now().plus_millis(PAUSE_MILLIS.min(self.every_millis));
        }
    }

    pub(crate) fn audit_if_due(&self, handle: &AuditorHandle) -> Result<(), Trouble> {
        let last = load_audits(self.store.as_ref())?.pop();
        let now = self.clock.now();
        let is_due = last.as_ref().is_none_or(|last| now.millis_since(last.at) >= self.every_millis);
        if !is_due {
            return Ok(());
        }
        let usage = usage_of(self.store.as_ref(), &self.evidence)?;
        let rules = self.rules.load_full();
        let mut go_on = |_| !*handle.is_stopping.lock();
        let Some(survey) = survey(self.store.as_ref(), &rules, &self.key, now, &mut go_on)? else {
            return Ok(());
        };
        let report = survey.report(&usage);
        // Of nobody there is nothing to tell.
        if report.people == 0 {
            return Ok(());
        }
        let audit = Audit::from(&report);
        let fell = last.map(|last| falls(&last, &audit, self.fall_points)).unwrap_or_default();
        (self.order)(Operation::PutAudit { audit: serde_json::to_value(&audit).unwrap_or_default() })
            .map_err(Trouble::Order)?;
        tracing::info!(people = audit.people, score = audit.score, "audited the data's quality");
        tell_of_falls(&fell);
        Ok(())
    }
}

/// Tells the operator of scores that fell.
pub fn tell_of_falls(fell: &[Fall]) {
    for one in fell {
        let source = one.source.as_deref().unwrap_or("all");
        tracing::warn!(source, before = one.before, after = one.after, "data quality fell");
    }
}
