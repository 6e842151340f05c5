//! After a record: whom it changed, what they are asked, and what is announced of them. Pure, as all of applying is.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use tessera_audience::{Change, Compiled, Ordinal, Outcome};
use tessera_model::{
    AudienceId, Call, ConsentStatus, Event, FragmentId, NamespaceRules, PurposeId, Timestamp,
};
use tessera_policy::Subscription;
use tessera_profile::{Cluster, last_words};

use super::following::Following;
use super::message::Announcement;
use super::person::Person;
use crate::PipelineError;
use crate::apply::Application;
use crate::view::View;

/// Places of announcements within their record begin here: those of its events are below.
const FIRST_INDEX: u32 = 1 << 31;

/// What somebody is asked.
#[derive(Debug, Default)]
struct Ask {
    /// All that concerns anything of theirs.
    is_whole: bool,
    ordinals: BTreeSet<Ordinal>,
}

/// Who is to be asked after a record: any of their fragments, and a fragment whose row leads to their cluster.
#[derive(Debug, Default)]
pub(crate) struct Asking(IndexMap<(FragmentId, FragmentId), Ask, FixedState>);

impl Asking {
    /// Somebody whose fragment's own row is loaded.
    pub(crate) fn whole(&mut self, fragment: FragmentId) {
        self.whole_in(fragment, fragment);
    }

    /// Somebody whose cluster is found by way of `root`.
    pub(crate) fn whole_in(&mut self, root: FragmentId, fragment: FragmentId) {
        self.0.entry((fragment, root)).or_default().is_whole = true;
    }

    fn is_whole(&self, fragment: FragmentId) -> bool {
        self.0.get(&(fragment, fragment)).is_some_and(|ask| ask.is_whole)
    }

    pub(crate) fn some(&mut self, fragment: FragmentId, add: impl FnOnce(&mut BTreeSet<Ordinal>)) {
        let ask = self.0.entry((fragment, fragment)).or_default();
        if !ask.is_whole {
            add(&mut ask.ordinals);
        }
    }
}

/// What was found of somebody.
struct Verdict {
    /// By node: as whose members they were announced, and are none.
    exits: Vec<(usize, AudienceId)>,
    /// Of which they are a member, and were not announced.
    enters: Vec<AudienceId>,
    wakes_at: Option<Timestamp>,
    /// Whose word it is when they enter.
    strongest: usize,
}

/// What purposes may be decided by, and conditions ask for, of somebody's will.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WillOf {
    decisions: Vec<bool>,
    words: Vec<(Option<PurposeId>, ConsentStatus)>,
    subscriptions: Vec<Subscription>,
}

impl Application<'_> {
    pub(crate) fn is_following(&self) -> bool {
        !self.settings.following.is_idle()
    }

    /// What everybody on an event wants, if the event says anything of that.
    pub(crate) fn wills(&self, event: &Event) -> Vec<Option<WillOf>> {
        let says = !event.consents.is_empty() || !event.subscriptions.is_empty() || event.born_on.is_some();
        if !says || !self.is_following() {
            return Vec::new();
        }
        event.identifiers.iter().map(|one| self.will(one.id, event.received_at)).collect()
    }

    fn will(&self, id: FragmentId, now: Timestamp) -> Option<WillOf> {
        let (cluster, node) = self.view.cluster_of(id)?;
        let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let may =
            |purpose| tessera_policy::decide(purpose, tessera_policy::Act::Use, consents(), now).is_ok();
        let words = last_words(cluster.component(node).map(|(_, fragment)| fragment));
        Some(WillOf {
            decisions: self.settings.rules.purposes.iter().map(may).collect(),
            words: words.into_iter().map(|(purpose, record)| (purpose, record.status)).collect(),
            subscriptions: consents().flat_map(|consents| consents.subscriptions()).cloned().collect(),
        })
    }

    /// Asks those whose will has become another.
    pub(crate) fn ask_wills(&mut self, event: &Event, before: &[Option<WillOf>]) {
        for (identified, before) in event.identifiers.iter().zip(before) {
            if !self.asking.is_whole(identified.id) && self.will(identified.id, event.received_at) != *before
            {
                self.asking.whole(identified.id);
            }
        }
    }

    /// Asks the owner of an event that joined for what it says, besides what it counts for.
    pub(crate) fn ask_owner(&mut self, event: &Event, owner: FragmentId) {
        let compiled = &self.settings.following.compiled;
        let traits = match &event.call {
            Call::Identify { traits } | Call::Consent { preferences: traits } => traits.as_slice(),
            Call::Group { .. } => {
                self.asking.some(owner, |into| compiled.concerned_by_accounts(into));
                return;
            }
            Call::Track { .. } | Call::Page { .. } | Call::Screen { .. } | Call::Alias { .. } => return,
        };
        for one in traits {
            self.asking.some(owner, |into| compiled.concerned(Change::Trait(&one.name), into));
        }
    }

    /// Asks everybody in the clusters that an order changed.
    pub(crate) fn ask_changed(&mut self) {
        if !self.is_following() {
            return;
        }
        for id in self.view.changed() {
            self.ask_cluster(id);
        }
    }

    /// Asks everybody in a cluster.
    pub(crate) fn ask_cluster(&mut self, root: FragmentId) {
        let Some(cluster) = self.view.cluster(root) else { return };
        let heads = cluster.graph().components();
        let heads = heads.iter().filter_map(|nodes| cluster.graph().nodes().get(*nodes.first()?));
        heads.for_each(|node| self.asking.whole_in(root, node.id));
    }

    /// Asks whom a record changed, as of its time, announces what follows, and counts the members.
    pub(crate) fn answer(&mut self, at: Timestamp, position: u64) -> Result<(), PipelineError> {
        self.ask(at, position)?;
        self.sizes.count(&mut self.view, at);
        Ok(())
    }

    fn ask(&mut self, at: Timestamp, position: u64) -> Result<(), PipelineError> {
        let asking = std::mem::take(&mut self.asking).0;
        if asking.is_empty() {
            return Ok(());
        }
        let now = self.view.log_time(at);
        let mut people: IndexMap<(FragmentId, usize), Ask, FixedState> = IndexMap::default();
        for ((id, by), ask) in asking {
            let Some(root) = self.view.root(by) else { continue };
            let Some(cluster) = self.view.cluster(root) else { continue };
            let Some((head, _)) = cluster.find(id).and_then(|node| cluster.component(node).next()) else {
                continue;
            };
            let known = people.entry((root, head)).or_default();
            known.is_whole |= ask.is_whole;
            known.ordinals.extend(ask.ordinals);
        }
        let mut index = FIRST_INDEX;
        for ((root, head), ask) in people {
            if let Some(verdict) = self.verdict((root, head), &ask, now)? {
                self.announce(root, &verdict, (now, position, &mut index))?;
            }
        }
        Ok(())
    }

    /// What is found of somebody. `None`: nothing is to be done.
    fn verdict(
        &self,
        (root, head): (FragmentId, usize),
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Option<Verdict>, PipelineError> {
        let Some(cluster) = self.view.cluster(root) else { return Ok(None) };
        let announced = announced(cluster, head);
        let sleeps_until = cluster.component(head).filter_map(|(_, fragment)| fragment.wakes_at()).min();
        let mut verdict = Verdict {
            exits: Vec::new(),
            enters: Vec::new(),
            wakes_at: None,
            strongest: self.strongest(cluster, head),
        };
        let mut members = BTreeMap::new();
        if is_person(cluster, head) {
            let account = |id| account_of(&self.view, &self.settings.following.compiled, id);
            let person = Person::new((cluster, head), account, self.settings.rules, now)?;
            verdict.wakes_at = self.members(&person, ask, &announced, (now, &mut members));
            if !ask.is_whole {
                verdict.wakes_at = verdict.wakes_at.into_iter().chain(sleeps_until).min();
            }
        }
        for (id, nodes) in &announced {
            let (is_known, is_asked) = self.is_asked(*id, ask, &members);
            let is_member = members.get(id).copied().unwrap_or(false);
            if is_known && is_asked && !is_member {
                verdict.exits.extend(nodes.iter().map(|node| (*node, *id)));
            }
        }
        let new = members.iter().filter(|(id, is_member)| **is_member && !announced.contains_key(*id));
        verdict.enters.extend(new.map(|(id, _)| *id));
        let wakes = cluster.component(head).map(|(node, fragment)| (node, fragment.wakes_at()));
        let is_same = wakes
            .into_iter()
            .all(|(node, at)| at == if node == verdict.strongest { verdict.wakes_at } else { None });
        let is_quiet = is_same && verdict.exits.is_empty() && verdict.enters.is_empty();
        Ok((!is_quiet).then_some(verdict))
    }

    /// Whether an audience is known at all, and whether somebody was asked for it.
    fn is_asked(&self, id: AudienceId, ask: &Ask, members: &BTreeMap<AudienceId, bool>) -> (bool, bool) {
        match self.settings.following.known.get(&id) {
            // One that waits to be filled, or nobody remembers.
            None => (false, false),
            Some(_) => (true, ask.is_whole || members.contains_key(&id)),
        }
    }

    /// Asks a person; returns when to ask again.
    fn members(
        &self,
        person: &Person<'_>,
        ask: &Ask,
        announced: &BTreeMap<AudienceId, Vec<usize>>,
        (now, members): (Timestamp, &mut BTreeMap<AudienceId, bool>),
    ) -> Option<Timestamp> {
        let following = self.settings.following;
        let mut ordinals = ask.ordinals.clone();
        if ask.is_whole {
            following.concerns(person, &mut ordinals);
            let known = announced.keys().filter_map(|id| following.known.get(id));
            ordinals.extend(known.filter_map(|(ordinal, _)| *ordinal));
        }
        ordinals.retain(|ordinal| following.asked.contains_key(ordinal));
        let mut until = None;
        for answer in following.compiled.evaluate(person, now, ordinals) {
            until = [until, answer.next_change_at].into_iter().flatten().min();
            if let (Some(id), Outcome::Member(is_member)) =
                (following.asked.get(&answer.ordinal), answer.outcome)
            {
                members.insert(*id, is_member);
            }
        }
        let until = [until, person.until()].into_iter().flatten().min();
        // Never twice at one time, whatever an answer says.
        until.map(|until| until.max(now.plus_millis(1)))
    }

    /// The node of the strongest identifier of a profile, of those the one that was there first.
    fn strongest(&self, cluster: &Cluster, head: usize) -> usize {
        let namespaces = &self.settings.rules.namespaces;
        let order = |(at, fragment): &(usize, &tessera_profile::Fragment)| {
            let node = cluster.graph().nodes().get(*at);
            let rank =
                node.and_then(|node| namespaces.get(&node.namespace)).map_or(u16::MAX, |known| known.rank());
            (!fragment.is_named(), rank, fragment.first_seen_at, node.map(|node| node.id))
        };
        cluster.component(head).min_by_key(order).map_or(head, |(at, _)| at)
    }

    fn announce(
        &mut self,
        root: FragmentId,
        verdict: &Verdict,
        (now, position, index): (Timestamp, u64, &mut u32),
    ) -> Result<(), PipelineError> {
        let following = self.settings.following;
        self.sizes.announce(verdict.enters.iter().copied(), verdict.exits.iter().map(|(_, id)| *id));
        let exits = verdict.exits.iter().map(|(node, id)| (*node, *id, false));
        let enters = verdict.enters.iter().map(|id| (verdict.strongest, *id, true));
        for (node, id, is_member) in exits.chain(enters) {
            let Some(cluster) = self.view.cluster_mut(root) else { return Ok(()) };
            let Some(fragment) = cluster.fragment_mut(node) else { continue };
            if is_member {
                fragment.announce(id, now);
            } else {
                fragment.retract(id);
            }
            let (Some((_, known)), Some(owner)) =
                (following.known.get(&id), cluster.graph().nodes().get(node))
            else {
                continue;
            };
            let announcement = Announcement {
                audience: (id, &known.name, &known.purpose),
                owner: (owner.id, owner.identifier()),
                is_member,
                at: now,
                place: (position, *index),
            };
            *index = index.saturating_add(1);
            let rows = announcement.rows(self.settings)?;
            self.puts.extend(rows);
        }
        let Some(cluster) = self.view.cluster_mut(root) else { return Ok(()) };
        let nodes: Vec<usize> = cluster.component(verdict.strongest).map(|(at, _)| at).collect();
        for node in nodes {
            if let Some(fragment) = cluster.fragment_mut(node) {
                fragment.wake_at(verdict.wakes_at.filter(|_| node == verdict.strongest));
            }
        }
        Ok(())
    }
}

impl Following {
    /// The definitions that concern anything that is known of a person. What the others say is what they say of nobody.
    pub(crate) fn concerns(&self, person: &Person<'_>, into: &mut BTreeSet<Ordinal>) {
        let compiled = &self.compiled;
        into.extend(self.of_nobody.iter().copied());
        for state in person.all_states() {
            state.features().for_each(|feature| into.extend(compiled.concerned_by(feature).iter().copied()));
        }
        for name in person.folded().into_iter().flat_map(|folded| folded.traits.keys()) {
            compiled.concerned(Change::Trait(name), into);
        }
        if person.has_accounts() {
            compiled.concerned_by_accounts(into);
        }
        person.said_of().for_each(|purpose| compiled.concerned(Change::Consent(purpose), into));
        compiled.concerned(Change::Subscription, into);
    }
}

/// The nodes of a profile that were announced, by audience.
fn announced(cluster: &Cluster, head: usize) -> BTreeMap<AudienceId, Vec<usize>> {
    let mut announced: BTreeMap<AudienceId, Vec<usize>> = BTreeMap::new();
    for (node, fragment) in cluster.component(head) {
        for one in fragment.announced() {
            announced.entry(one.audience).or_default().push(node);
        }
    }
    announced
}

/// Whether a profile is a person's, and any event has named them.
fn is_person(cluster: &Cluster, head: usize) -> bool {
    let is_account = |at: usize| {
        let node = cluster.graph().nodes().get(at);
        node.is_some_and(|node| node.namespace.as_str() == NamespaceRules::ACCOUNT)
    };
    !is_account(head) && cluster.component(head).any(|(_, fragment)| fragment.is_named())
}

/// The cluster of an account, where anybody asks for traits of accounts.
fn account_of<'v>(view: &'v View, compiled: &Compiled, id: FragmentId) -> Option<(&'v Cluster, usize)> {
    if compiled.asks_of_accounts() { view.cluster_of(id) } else { None }
}
