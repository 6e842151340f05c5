//! One person as definitions may see them: each purpose what the gate permits it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;

use tessera_audience::{FragmentState, View};
use tessera_model::{ConsentStatus, FragmentId, PurposeId, PurposeName, Rules, SubscriptionState, Timestamp};
use tessera_policy::{ConsentRecord, Grant, Permit, stands_until};
use tessera_profile::{Basis, Cluster, Folded, fold, is_served, last_words};

use crate::PipelineError;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Where a cluster and a node of it are.
pub(crate) type Standing<'a> = (&'a Cluster, usize);

/// One person at one time.
pub(crate) struct Person<'a> {
    cluster: &'a Cluster,
    node: usize,
    id: String,
    rules: &'a Rules,
    now: Timestamp,
    states: Vec<(&'a Basis, Timestamp, &'a FragmentState)>,
    accounts: Vec<(&'a Basis, Timestamp, Folded<'a>)>,
    folded: OnceCell<Option<Folded<'a>>>,
    words: OnceCell<BTreeMap<Option<PurposeId>, ConsentRecord>>,
    permits: RefCell<Vec<(PurposeName, Option<Permit>)>>,
    until: Cell<Option<Timestamp>>,
}

impl<'a> Person<'a> {
    /// The person of a node; `account` finds the clusters of accounts.
    pub(crate) fn new(
        (cluster, node): Standing<'a>,
        account: impl Fn(FragmentId) -> Option<Standing<'a>>,
        rules: &'a Rules,
        now: Timestamp,
    ) -> Result<Self, PipelineError> {
        let (mut states, mut accounts) = (Vec::new(), Vec::new());
        for (_, fragment) in cluster.component(node) {
            for (basis, latest_at, state) in fragment.states() {
                states.push((basis, latest_at, state?));
            }
            for (membership, basis) in fragment.memberships() {
                let folded = account(membership.account)
                    .and_then(|(cluster, node)| fold(cluster, node, &rules.survivorship));
                accounts.extend(folded.map(|folded| (basis, membership.since, folded)));
            }
        }
        Ok(Self {
            cluster,
            node,
            id: cluster.profile_id(node).to_string(),
            rules,
            now,
            states,
            accounts,
            folded: OnceCell::new(),
            words: OnceCell::new(),
            permits: RefCell::default(),
            until: Cell::new(None),
        })
    }

    pub(crate) fn all_states(&self) -> impl Iterator<Item = &'a FragmentState> {
        self.states.iter().map(|(_, _, state)| *state)
    }

    pub(crate) fn has_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// The purposes of which they said anything.
    pub(crate) fn said_of(&self) -> impl Iterator<Item = &'a PurposeName> {
        let purposes = &self.rules.purposes;
        let said: Vec<PurposeId> = self.words().keys().filter_map(|id| *id).collect();
        said.into_iter().filter_map(|id| purposes.name(id))
    }

    pub(crate) fn folded(&self) -> Option<&Folded<'a>> {
        self.folded.get_or_init(|| fold(self.cluster, self.node, &self.rules.survivorship)).as_ref()
    }

    pub(crate) fn words(&self) -> &BTreeMap<Option<PurposeId>, ConsentRecord> {
        self.words.get_or_init(|| last_words(self.cluster.component(self.node).map(|(_, fragment)| fragment)))
    }

    /// The first time after now at which a purpose that was asked may see something else although nothing happens.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until.get()
    }

    fn ends(&self, at: Option<Timestamp>) {
        let times = [self.until.get(), at];
        self.until.set(times.into_iter().flatten().min());
    }

    fn permit(&self, purpose: &PurposeName) -> Option<Permit> {
        if let Some((_, known)) = self.permits.borrow().iter().find(|(name, _)| name == purpose) {
            return known.clone();
        }
        let permit = self.decide(purpose);
        self.permits.borrow_mut().push((purpose.clone(), permit.clone()));
        permit
    }

    /// Whether the purpose may, and something that is known of the person serves it.
    fn decide(&self, purpose: &PurposeName) -> Option<Permit> {
        let purpose = self.rules.purposes.get(purpose)?;
        let consents = || self.cluster.component(self.node).map(|(_, fragment)| &fragment.consents);
        self.ends(stands_until(purpose, consents(), self.now));
        let grant = Grant::decide([purpose], consents(), self.now);
        let permit = grant.permits().first()?;
        if let Some(days) = purpose.document.retention_days {
            self.ends(self.first_over(purpose.id, i64::from(days).saturating_mul(DAY_MILLIS)));
        }
        let is_covered = self.states.iter().any(|(basis, at, _)| permit.covers(basis.purposes, *at));
        let is_served =
            is_covered || self.folded().is_some_and(|folded| is_served(self.cluster, folded, &grant));
        is_served.then(|| permit.clone())
    }

    /// When the time is first over of anything that serves the purpose.
    fn first_over(&self, purpose: PurposeId, kept_millis: i64) -> Option<Timestamp> {
        let first = Cell::new(None);
        let note = |basis: &Basis, at: Timestamp| {
            let over = at.plus_millis(kept_millis.saturating_add(1));
            if basis.purposes.contains(purpose) && over > self.now {
                first.set(Some(first.get().map_or(over, |known: Timestamp| known.min(over))));
            }
            false
        };
        for (_, fragment) in self.cluster.component(self.node) {
            fragment.any_value(note);
        }
        for (basis, at, _) in &self.states {
            note(basis, *at);
        }
        first.get()
    }
}

impl View for Person<'_> {
    fn id(&self) -> &str {
        &self.id
    }

    fn permits(&self, purpose: &PurposeName) -> bool {
        self.permit(purpose).is_some()
    }

    fn states(&self, purpose: &PurposeName) -> Vec<&FragmentState> {
        let Some(permit) = self.permit(purpose) else { return Vec::new() };
        let covered = self.states.iter().filter(|(basis, at, _)| permit.covers(basis.purposes, *at));
        covered.map(|(_, _, state)| *state).collect()
    }

    fn trait_of(&self, purpose: &PurposeName, name: &str) -> Option<&str> {
        let permit = self.permit(purpose)?;
        value_of(self.folded()?, &permit, name)
    }

    fn accounts(&self, purpose: &PurposeName, name: &str) -> Vec<&str> {
        let Some(permit) = self.permit(purpose) else { return Vec::new() };
        let covered = self.accounts.iter().filter(|(basis, since, _)| permit.covers(basis.purposes, *since));
        covered.filter_map(|(_, _, folded)| value_of(folded, &permit, name)).collect()
    }

    fn consent(&self, of: &PurposeName) -> Option<ConsentStatus> {
        let purpose = self.rules.purposes.get(of)?;
        self.words().get(&Some(purpose.id)).map(|record| record.status)
    }

    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)> {
        let fragments = self.cluster.component(self.node).map(|(_, fragment)| &fragment.consents);
        fragments
            .flat_map(|consents| consents.subscriptions())
            .map(|one| (one.channel.as_ref(), one.topic.as_ref(), one.state))
            .collect()
    }
}

/// The surviving value of a trait, if it serves the purpose.
fn value_of<'f>(folded: &'f Folded<'_>, permit: &Permit, name: &str) -> Option<&'f str> {
    let word = &folded.traits.get(name)?.word;
    let basis = word.basis.filter(|basis| permit.covers(basis.purposes, word.assertion.at));
    basis.map(|_| word.entry.value.as_str())
}
