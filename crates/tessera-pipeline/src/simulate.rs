//! What another workspace would make of the people that are there: who could be used for what, which values would lose
//! their last purpose, which deliveries would not go.
//!
//! Reads, and changes nothing. Counts only: no identifier and no value leaves. The answer is as exact as the store is
//! quiet: it is a walk, page by page, and not a snapshot. Both workspaces are asked about the same moment, so that what
//! time alone does is not put down to the change. Invariants: a workspace against itself changes nothing; the values
//! counted as going are those that applying the workspace and expiring everybody at that moment removes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::Serialize;
use tessera_model::{
    DestinationDocument, DestinationName, NamespaceRules, Purpose, PurposeId, PurposeName, PurposeSet, Rules,
    Timestamp,
};
use tessera_policy::{Act, Consents, Denial, Permit, decide, is_in_time};
use tessera_profile::{Basis, Cluster, Held, Row};
use tessera_store::{Key, Store, Table};

use crate::PipelineError;
use crate::matching::{MatcherWhatIf, changed};
use crate::orders::{is_kept, kept_purposes};
use crate::resolving::{identity_version, resolved};
use crate::simulation::Simulation;
use crate::totals::load_totals;
use crate::waiting::{BothLabels, Queue, Receiver, takes};

const PAGE_ROWS: usize = 256;

/// The question: `new` in the place of `old`, as of one moment.
#[derive(Clone, Copy, Debug)]
pub struct WhatIf<'a> {
    /// The workspace in force.
    pub old: &'a Rules,
    /// The other one; made with [`Rules::next`], so that both give a purpose the same number.
    pub new: &'a Rules,
    /// The moment that both are asked about: now, or later.
    pub at: Timestamp,
}

/// How far a walk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Walked {
    /// People and accounts looked at.
    pub profiles: u64,
    /// About how many there are.
    pub profiles_expected: u64,
    /// Waiting deliveries looked at.
    pub deliveries: u64,
}

impl WhatIf<'_> {
    /// Walks over everybody, and over what waits to be delivered. `progress` is told now and then how far it is;
    /// `None` when it broke off.
    ///
    /// # Errors
    /// Those of the store.
    pub fn simulate(
        &self,
        store: &impl Store,
        mut progress: impl FnMut(Walked) -> ControlFlow<()>,
    ) -> Result<Option<Simulation>, PipelineError> {
        let totals = load_totals(store)?;
        let mut walk = Walk::new(*self);
        let mut walked = Walked { profiles_expected: totals.profiles + totals.accounts, ..Walked::default() };
        let mut after: Option<Key> = None;
        loop {
            let page = store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (_, value) in &page {
                let Row::Cluster(cluster) = Row::decode(value)? else { continue };
                walk.identity(&cluster);
                walk.matchers.iter_mut().for_each(|matcher| matcher.read(&cluster));
                for nodes in cluster.graph().components() {
                    if let Some(node) = nodes.first() {
                        walk.profile(&cluster, *node);
                    }
                }
            }
            walked.profiles = walk.simulation.people + walk.simulation.accounts;
            if progress(walked).is_break() {
                return Ok(None);
            }
        }
        let labels = BothLabels::new(self.old, self.new);
        let Walk { receivers, mut simulation, matchers, .. } = walk;
        for matcher in matchers {
            let (name, effect) = matcher.finish(store);
            simulation.matchers.insert(name, effect);
            if progress(walked).is_break() {
                return Ok(None);
            }
        }
        for receiver in receivers {
            let queue = Queue::new(receiver, (self.old, self.new), &labels, self.at);
            let Some(effect) = simulation.destinations.get_mut(receiver.name) else { continue };
            let end = queue.walk(store, effect, |deliveries| {
                walked.deliveries += deliveries;
                progress(walked)
            });
            if end?.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(simulation))
    }
}

/// One purpose as each workspace has it.
struct Pair<'a> {
    name: &'a PurposeName,
    id: PurposeId,
    old: Option<&'a Arc<Purpose>>,
    new: Option<&'a Arc<Purpose>>,
    is_same: bool,
}

/// What each workspace says of one profile.
struct Verdict {
    /// In the order of the pairs.
    before: Vec<Result<(), Denial>>,
    after: Vec<Result<(), Denial>>,
    /// The purposes that may keep its data.
    kept_before: PurposeSet,
    kept_after: PurposeSet,
    /// Why those that might before may no more.
    ended: Vec<(PurposeId, Denial)>,
}

/// What a profile holds, as seen by each workspace.
#[derive(Default)]
struct Holding {
    /// The purposes that data of it serves and that are in time.
    timely_before: PurposeSet,
    timely_after: PurposeSet,
    is_kept_before: bool,
    is_kept_after: bool,
    loses: bool,
}

struct Walk<'a> {
    what: WhatIf<'a>,
    is_regrouping: bool,
    pairs: Vec<Pair<'a>>,
    receivers: Vec<Receiver<'a>>,
    matchers: Vec<MatcherWhatIf<'a>>,
    simulation: Simulation,
}

impl<'a> Walk<'a> {
    fn new(what: WhatIf<'a>) -> Self {
        let pairs = pairs(what);
        let receivers = receivers(what);
        let simulation = Simulation::new(
            what.at,
            pairs.iter().map(|pair| pair.name),
            receivers.iter().map(|receiver| receiver.name),
        );
        let is_regrouping = identity_version(what.old) != identity_version(what.new);
        let matchers = changed(what.old, what.new, what.at);
        Self { what, is_regrouping, pairs, receivers, matchers, simulation }
    }

    /// Looks at what other identity rules make of a cluster. Those in force may not have come to it yet.
    fn identity(&mut self, cluster: &Cluster) {
        let WhatIf { old, new, at } = self.what;
        if self.is_regrouping {
            let (before, after) = (resolved(cluster, old), resolved(cluster, new));
            self.simulation.identity.compare(&before, &after, old, at);
        }
    }

    /// Looks at the profile that `node` is in, unless no event has ever named it.
    fn profile(&mut self, cluster: &Cluster, node: usize) {
        if !cluster.component(node).any(|(_, fragment)| fragment.is_named()) {
            return;
        }
        let verdict = self.judge(cluster, node);
        let holding = self.values(cluster, node, &verdict);
        if is_account(cluster, node) {
            self.simulation.accounts += 1;
            return;
        }
        let simulation = &mut self.simulation;
        simulation.people += 1;
        simulation.people_losing_something += u64::from(holding.loses);
        simulation.people_losing_everything += u64::from(holding.is_kept_before && !holding.is_kept_after);
        self.purposes(&verdict, &holding);
        self.reach(cluster, node, &verdict, &holding);
    }

    fn judge(&self, cluster: &Cluster, node: usize) -> Verdict {
        let WhatIf { old, new, at } = self.what;
        let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for pair in &self.pairs {
            let was = may(pair.old, Act::Use, consents(), at).map(|_| ());
            // Most purposes stay as they are.
            let will_be =
                if pair.is_same { was } else { may(pair.new, Act::Use, consents(), at).map(|_| ()) };
            before.push(was);
            after.push(will_be);
        }
        let kept_before = kept_purposes(cluster, node, &old.purposes, at);
        let kept_after = match self.pairs.iter().all(|pair| pair.is_same) {
            true => kept_before,
            false => kept_purposes(cluster, node, &new.purposes, at),
        };
        let ended = kept_before
            .without(kept_after)
            .iter()
            .filter_map(|id| Some((id, may(new.purposes.by_id(id), Act::Keep, consents(), at).err()?)))
            .collect();
        Verdict { before, after, kept_before, kept_after, ended }
    }

    fn values(&mut self, cluster: &Cluster, node: usize, verdict: &Verdict) -> Holding {
        let WhatIf { old, new, at } = self.what;
        let mut holding = Holding::default();
        for (_, fragment) in cluster.component(node) {
            for value in fragment.held() {
                let before = is_kept(&old.purposes, verdict.kept_before, value.basis, value.at, at);
                let after = is_kept(&new.purposes, verdict.kept_after, value.basis, value.at, at);
                timely(&mut holding.timely_before, old, &value, at);
                timely(&mut holding.timely_after, new, &value, at);
                holding.is_kept_before |= before;
                holding.is_kept_after |= after;
                holding.loses |= before && !after;
                let reason = (before && !after).then(|| self.reason(value.basis, value.at, verdict));
                for effect in self.simulation.effects_of(value.kind) {
                    effect.count(before, after, reason);
                }
            }
        }
        holding
    }

    /// Why no purpose covers the value any more: of several reasons the first.
    fn reason(&self, basis: &Basis, value_at: Timestamp, verdict: &Verdict) -> Denial {
        let WhatIf { old, at, .. } = self.what;
        let covered = basis.purposes.and(verdict.kept_before);
        let covered = covered
            .iter()
            .filter(|id| old.purposes.by_id(*id).is_some_and(|purpose| is_in_time(purpose, value_at, at)));
        let ended = |id: PurposeId| verdict.ended.iter().find(|(known, _)| *known == id).map(|(_, why)| *why);
        // A purpose that has not ended covers it no more because its time is over.
        covered.map(|id| ended(id).unwrap_or(Denial::NotServed)).min().unwrap_or(Denial::NotServed)
    }

    fn purposes(&mut self, verdict: &Verdict, holding: &Holding) {
        let decisions = verdict.before.iter().zip(&verdict.after);
        for (pair, (before, after)) in self.pairs.iter().zip(decisions) {
            let Some(effect) = self.simulation.purposes.get_mut(pair.name) else { continue };
            effect.permitted.add(before.is_ok(), after.is_ok());
            effect.with_data.add(
                before.is_ok() && holding.timely_before.contains(pair.id),
                after.is_ok() && holding.timely_after.contains(pair.id),
            );
            match (before, after) {
                (Ok(()), Err(denial)) => *effect.newly_denied.entry(*denial).or_default() += 1,
                (Err(_), Ok(())) => effect.newly_permitted += 1,
                (Ok(()), Ok(())) | (Err(_), Err(_)) => {}
            }
        }
    }

    fn reach(&mut self, cluster: &Cluster, node: usize, verdict: &Verdict, holding: &Holding) {
        let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let reaches =
            |document: Option<&DestinationDocument>, decisions: &[Result<(), Denial>], timely: PurposeSet| {
                document.is_some_and(|document| {
                    let mut decided = self.pairs.iter().zip(decisions);
                    decided.any(|(pair, decision)| {
                        *pair.name == document.purpose && decision.is_ok() && timely.contains(pair.id)
                    }) && takes(document, consents()).is_ok()
                })
            };
        for receiver in &self.receivers {
            let before = reaches(receiver.old, &verdict.before, holding.timely_before);
            let after = reaches(receiver.new, &verdict.after, holding.timely_after);
            if let Some(effect) = self.simulation.destinations.get_mut(receiver.name) {
                effect.people.add(before, after);
            }
        }
    }
}

fn pairs(what: WhatIf<'_>) -> Vec<Pair<'_>> {
    let mut names: Vec<&PurposeName> = what
        .old
        .purposes
        .iter()
        .chain(what.new.purposes.iter())
        .map(|purpose| &purpose.document.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    let pair = |name| {
        let (old, new) = (what.old.purposes.get(name), what.new.purposes.get(name));
        Some(Pair { name, id: old.or(new)?.id, old, new, is_same: old == new })
    };
    names.into_iter().filter_map(pair).collect()
}

fn receivers(what: WhatIf<'_>) -> Vec<Receiver<'_>> {
    let mut found: BTreeMap<&DestinationName, Receiver<'_>> = BTreeMap::new();
    for document in what.old.destinations() {
        let name = &document.name;
        found.insert(name, Receiver { name, old: Some(document), new: None });
    }
    for document in what.new.destinations() {
        let name = &document.name;
        found.entry(name).or_insert(Receiver { name, old: None, new: None }).new = Some(document);
    }
    found.into_values().collect()
}

fn may<'a>(
    purpose: Option<&Arc<Purpose>>,
    act: Act,
    fragments: impl Iterator<Item = &'a Consents>,
    at: Timestamp,
) -> Result<Permit, Denial> {
    decide(purpose.ok_or(Denial::UnknownPurpose)?, act, fragments, at)
}

/// Adds the purposes that the value serves and that are in time.
fn timely(known: &mut PurposeSet, rules: &Rules, value: &Held<'_>, at: Timestamp) {
    for id in value.basis.purposes.without(*known).iter() {
        if rules.purposes.by_id(id).is_some_and(|purpose| is_in_time(purpose, value.at, at)) {
            known.insert(id);
        }
    }
}

fn is_account(cluster: &Cluster, node: usize) -> bool {
    let nodes = cluster.graph().nodes();
    let mut namespaces = cluster.component(node).filter_map(|(at, _)| nodes.get(at));
    namespaces.any(|node| node.namespace.as_str() == NamespaceRules::ACCOUNT)
}
