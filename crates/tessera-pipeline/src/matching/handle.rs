//! What others see of the matchers' thread, and how they ask it for something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use serde::Serialize;
use tessera_match::Model;
use tessera_model::{MatcherName, Timestamp};

use super::Touched;
use super::everybody::Everybody;

/// How often, and for how long each time, somebody who asks waits for a matcher that reads.
const LOOKS: u32 = 50;
const LOOK: Duration = Duration::from_millis(100);

/// Where a matcher stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MatcherStatus {
    /// Whether it has learned from profiles.
    pub is_ready: bool,
    /// Why not, if it does not.
    pub why: Option<String>,
    /// Whether it compares each profile as it comes or changes.
    pub is_live: bool,
    /// Profiles compared so, since the server was started.
    pub compared: u64,
    /// Profiles that it knows.
    pub profiles: u64,
    /// Pairs that became one profile since the server was started.
    pub linked: u64,
    /// Pairs that a person is to look at since the server was started.
    pub asked: u64,
    /// The run that goes on.
    pub running: Option<RunProgress>,
    /// The last run that ended.
    pub last_run: Option<RunReport>,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunProgress {
    /// `waiting`, `reading`, `training`, `comparing`, `ordering`.
    pub stage: &'static str,
    /// Profiles read, or pairs ordered.
    pub done: u64,
    /// About how many there are; 0 where that is not known.
    pub total: u64,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// When it began.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub ended_at: Timestamp,
    /// Profiles that the purpose permits to compare.
    pub profiles: u64,
    /// Pairs that were compared and are likely enough to be told.
    pub pairs: u64,
    /// Pairs to become one profile.
    pub linked: u64,
    /// Pairs to be looked at.
    pub asked: u64,
    /// Whether nothing was ordered.
    pub is_dry: bool,
    /// Why it broke off, if it did: what was ordered until then stands.
    pub broke_off: Option<String>,
}

/// What the live matchers of a server have to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchingLoad {
    /// Profiles compared as they came or changed.
    pub compared: u64,
    /// The time that took, in nanoseconds.
    pub nanos: u64,
    /// Profiles that wait to be looked at.
    pub waiting: u64,
    /// For how long there have always been some, in milliseconds.
    pub behind_millis: u64,
}

/// A run of that matcher goes on: another cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run of that matcher goes on")]
pub struct RunGoesOn;

/// What a run was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) is_dry: bool,
}

#[derive(Debug, Default)]
struct State {
    statuses: BTreeMap<MatcherName, MatcherStatus>,
    models: BTreeMap<MatcherName, Arc<Model>>,
    everybody: BTreeMap<MatcherName, Arc<RwLock<Everybody>>>,
    nanos: u64,
    caught_up_at: Option<Timestamp>,
    wanted: BTreeMap<MatcherName, Wanted>,
    cancelled: Vec<MatcherName>,
    is_stopping: bool,
}

/// The matchers of a server, shared.
#[derive(Debug, Default)]
pub struct Matching {
    touched: Arc<Touched>,
    state: Mutex<State>,
    moved: Condvar,
}

impl Matching {
    /// Where the pipeline tells who may have changed.
    #[must_use]
    pub fn touched(&self) -> Arc<Touched> {
        Arc::clone(&self.touched)
    }

    /// Every matcher, and where it stands.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<MatcherName, MatcherStatus> {
        self.state.lock().statuses.clone()
    }

    /// What a matcher has learned; `None`: nothing yet.
    #[must_use]
    pub fn model(&self, name: &MatcherName) -> Option<Arc<Model>> {
        self.state.lock().models.get(name).cloned()
    }

    /// Asks for a run over everybody, by a matcher of the workspace in force.
    ///
    /// # Errors
    /// When one goes on.
    pub fn start(&self, name: &MatcherName, is_dry: bool) -> Result<(), RunGoesOn> {
        let mut state = self.state.lock();
        let status = state.statuses.entry(name.clone()).or_default();
        if status.running.is_some() {
            return Err(RunGoesOn);
        }
        status.running = Some(RunProgress { stage: "waiting", ..RunProgress::default() });
        state.cancelled.retain(|known| known != name);
        state.wanted.insert(name.clone(), Wanted { is_dry });
        drop(state);
        self.touched.wake();
        Ok(())
    }

    /// Breaks a run off; what it has ordered stands.
    pub fn cancel(&self, name: &MatcherName) {
        let mut state = self.state.lock();
        if state.statuses.get(name).is_some_and(|status| status.running.is_some()) {
            state.cancelled.push(name.clone());
        }
    }

    /// Waits, but not longer than `patience`, until something has changed.
    pub fn wait(&self, patience: Duration) {
        // That the time is over is no news.
        let _timed_out = self.moved.wait_for(&mut self.state.lock(), patience);
    }

    /// Ends the thread, and runs with it.
    pub fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.touched.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Whether a run is to go on.
    pub(super) fn goes_on(&self, name: &MatcherName) -> bool {
        let state = self.state.lock();
        !state.is_stopping && !state.cancelled.contains(name)
    }

    pub(super) fn next_run(&self) -> Option<(MatcherName, Wanted)> {
        self.state.lock().wanted.pop_first()
    }

    /// Lets `change` change where a matcher stands.
    pub(super) fn note(&self, name: &MatcherName, change: impl FnOnce(&mut MatcherStatus)) {
        change(self.state.lock().statuses.entry(name.clone()).or_default());
        self.moved.notify_all();
    }

    /// Puts to use what a matcher has learned.
    pub(super) fn put(
        &self,
        name: &MatcherName,
        model: Arc<Model>,
        everybody: Option<Arc<RwLock<Everybody>>>,
    ) {
        let mut state = self.state.lock();
        state.models.insert(name.clone(), model);
        match everybody {
            Some(everybody) => state.everybody.insert(name.clone(), everybody),
            None => state.everybody.remove(name),
        };
    }

    /// Lets go of what would be in memory twice while everybody is read again.
    pub(super) fn forget_everybody(&self, name: &MatcherName) {
        self.state.lock().everybody.remove(name);
    }

    /// Waits, but not for long, for a live matcher that was declared a moment ago and is still reading.
    pub fn await_everybody(&self, name: &MatcherName) {
        for _ in 0..LOOKS {
            let state = self.state.lock();
            let is_idle = state.statuses.get(name).is_some_and(|status| status.why.is_some());
            if is_idle || state.is_stopping || state.everybody.contains_key(name) {
                return;
            }
            drop(state);
            self.wait(LOOK);
        }
    }

    /// Everybody whom a live matcher compares.
    pub(super) fn everybody(&self, name: &MatcherName) -> Option<Arc<RwLock<Everybody>>> {
        self.state.lock().everybody.get(name).cloned()
    }

    pub(super) fn count_nanos(&self, nanos: u64) {
        self.state.lock().nanos += nanos;
    }

    /// Nobody waits any more.
    pub(super) fn note_caught_up(&self, now: Timestamp) {
        self.state.lock().caught_up_at = Some(now);
    }

    /// What the live matchers have to do, as of now.
    #[must_use]
    pub fn load(&self, now: Timestamp) -> MatchingLoad {
        let waiting = u64::try_from(self.touched.len()).unwrap_or(u64::MAX);
        let state = self.state.lock();
        let behind = |since: Timestamp| now.as_millis().saturating_sub(since.as_millis());
        let behind = state.caught_up_at.filter(|_| waiting > 0).map_or(0, behind);
        MatchingLoad {
            compared: state.statuses.values().map(|status| status.compared).sum(),
            nanos: state.nanos,
            waiting,
            behind_millis: u64::try_from(behind).unwrap_or(0),
        }
    }

    /// Forgets the matchers for which `is_known` does not hold.
    pub(super) fn retain(&self, is_known: impl Fn(&MatcherName) -> bool) {
        let mut state = self.state.lock();
        state.statuses.retain(|name, _| is_known(name));
        state.models.retain(|name, _| is_known(name));
        state.everybody.retain(|name, _| is_known(name));
        state.wanted.retain(|name, _| is_known(name));
        drop(state);
        self.moved.notify_all();
    }
}
