//! Who may have changed in what matchers compare: from the pipeline, after each commit, to the matchers' thread.
//!
//! Not a queue: somebody who changes often is in it once, so it holds no more than there are people.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tessera_model::{Call, Event, FragmentId, Rules};

/// Fragments of people who may have changed.
#[derive(Debug, Default)]
pub struct Touched {
    ids: Mutex<BTreeSet<FragmentId>>,
    woken: Condvar,
}

impl Touched {
    /// Adds people; whoever waits is woken.
    pub fn add(&self, ids: impl IntoIterator<Item = FragmentId>) {
        let mut known = self.ids.lock();
        let before = known.len();
        known.extend(ids);
        if known.len() > before {
            self.woken.notify_one();
        }
    }

    /// Takes up to `most` of them, after waiting for the first for at most `patience`.
    #[must_use]
    pub fn take(&self, most: usize, patience: Duration) -> Vec<FragmentId> {
        let mut known = self.ids.lock();
        if known.is_empty() {
            // That the time is over shows in that there are none.
            let _timed_out = self.woken.wait_for(&mut known, patience);
        }
        let taken: Vec<FragmentId> = known.iter().take(most).copied().collect();
        for id in &taken {
            known.remove(id);
        }
        taken
    }

    /// All who wait; they go on waiting.
    pub(super) fn all(&self) -> BTreeSet<FragmentId> {
        self.ids.lock().clone()
    }

    /// Wakes whoever waits, though there is nobody new.
    pub(super) fn wake(&self) {
        self.woken.notify_all();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.lock().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.lock().is_empty()
    }
}

/// What the matchers of a workspace compare, as far as single events can change it.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    traits: BTreeSet<Box<str>>,
    has_matchers: bool,
}

impl Compared {
    pub(crate) fn of(rules: &Rules) -> Self {
        let paths = rules.matchers().flat_map(|matcher| matcher.columns.values());
        let names = paths.filter_map(|path| path.as_str().strip_prefix("traits.")?.split('.').next());
        Self { traits: names.map(Into::into).collect(), has_matchers: rules.matchers().next().is_some() }
    }

    /// Whether there is anybody to tell.
    pub(crate) fn is_any(&self) -> bool {
        self.has_matchers
    }

    /// Whether the event may change what is compared of its owner, or whether it may be. New identifiers are told of
    /// where they are linked.
    pub(crate) fn may_change(&self, event: &Event) -> bool {
        let traits = match &event.call {
            Call::Identify { traits } | Call::Consent { preferences: traits } => traits.as_slice(),
            Call::Track { .. }
            | Call::Page { .. }
            | Call::Screen { .. }
            | Call::Group { .. }
            | Call::Alias { .. } => &[],
        };
        !event.consents.is_empty() || traits.iter().any(|one| self.traits.contains(&*one.name))
    }
}
