//! What happens to events: gate, resolve, fold. Pure: rules, loaded rows and events in, changed rows and notices out.
//!
//! No I/O, clock or randomness: equal inputs give equal changes.

use std::collections::BTreeSet;

use tessera_audience::{Change as Asked, EventView};
use tessera_identity::{CLUSTER_NODES_MAX, Evidence, Strength};
use tessera_model::{
    Call, ClaimOf, Entrance, Event, FragmentId, HashKey, Identified, MessageKey, PurposeSet, Record, Reject,
    RejectCode, Rules, refusal,
};
use tessera_policy::{ConsentRecord, Consents, Denial, Subscription, admit, is_in_time};
use tessera_profile::{Basis, Cluster, Fragment, Place, Seen, seen_hash};
use tessera_store::{Change, Position, Table};

use crate::audience::{Asking, Following, Sizes};
use crate::lake::Kept;
use crate::outbox::{OutboxRow, outbox_key};
use crate::routes::Route;
use crate::shared::Census;
use crate::view::View;
use crate::{Item, Notice, PipelineError, RejectId, RejectRow};

/// What applying needs to know besides the events.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) routes: &'a [Route],
    pub(crate) key: &'a HashKey,
    pub(crate) dedup_window_millis: i64,
    /// Whether somebody watches: notices cost allocations.
    pub(crate) is_watched: bool,
    /// Events from this place of the log on go to the lake; `None`: none does.
    pub(crate) lake_from: Option<Position>,
    /// The audiences in force.
    pub(crate) following: &'a Following,
}

/// Events on their way into the rows of one batch.
#[derive(Debug)]
pub(crate) struct Application<'a> {
    pub(crate) settings: &'a Settings<'a>,
    pub(crate) view: View,
    /// New rows: rejects and outbox.
    pub(crate) puts: Vec<Change>,
    pub(crate) notices: Vec<Notice>,
    /// What the lake is to get.
    pub(crate) kept: Vec<Kept>,
    /// A fragment of each person who became another: by a merge, or a split.
    pub(crate) regrouped: Vec<FragmentId>,
    /// Who is to be asked for their memberships after this record.
    pub(crate) asking: Asking,
    /// How many members audiences have after this record.
    pub(crate) sizes: Sizes,
    /// The accounts of which something else is known now.
    pub(crate) described: BTreeSet<FragmentId>,
}

/// Why an event went no further, if it did not.
enum Fate {
    Joined(FragmentId),
    /// Its tracking plan refuses it.
    Refused(Box<Reject>),
    Duplicate,
    Denied(Denial),
}

impl<'a> Application<'a> {
    pub(crate) fn new(settings: &'a Settings<'a>, view: View) -> Self {
        Self {
            settings,
            sizes: Sizes::of(&view),
            view,
            puts: Vec::new(),
            notices: Vec::new(),
            kept: Vec::new(),
            regrouped: Vec::new(),
            asking: Asking::default(),
            described: BTreeSet::new(),
        }
    }

    /// Applies one log record. Its events have been parsed and their rows loaded.
    pub(crate) fn item(&mut self, item: &Item) -> Result<(), PipelineError> {
        let Record::Ingest { received_at, .. } = &item.record else { return Ok(()) };
        self.events(item)?;
        self.answer(*received_at, item.position.0)
    }

    fn events(&mut self, item: &Item) -> Result<(), PipelineError> {
        let Record::Ingest { source, received_at, entrance, gpc, .. } = &item.record else { return Ok(()) };
        match &item.parsed {
            None => {}
            Some((_, Err(reject))) => {
                let mut row = RejectRow::of(reject, source, *received_at);
                row.is_body = true;
                row.call = entrance.call().map(str::to_owned);
                row.gpc = *gpc;
                self.reject(RejectId { position: item.position.0, index: 0 }, &row)?;
            }
            Some((_, Ok(events))) => {
                for (index, event) in (0_u32..).zip(events) {
                    let id = RejectId { position: item.position.0, index };
                    match event {
                        Ok(event) => self.event(event, id, (*entrance, *gpc))?,
                        // Nothing is left of it that could be kept.
                        Err(reject) if reject.code == RejectCode::Erased => {}
                        Err(reject) => {
                            let mut row = RejectRow::of(reject, source, *received_at);
                            row.call = entrance.call().map(str::to_owned);
                            row.gpc = *gpc;
                            self.reject(id, &row)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn reject(&mut self, id: RejectId, row: &RejectRow) -> Result<(), PipelineError> {
        self.view.totals_mut().reject(row.code.as_str());
        self.puts.push(row.put(id)?);
        if self.settings.is_watched {
            self.notices.push(Notice::Rejected {
                source: row.source.clone(),
                code: row.code,
                reason: row.reason.clone(),
                reject: id.to_string(),
            });
        }
        Ok(())
    }

    fn event(
        &mut self,
        event: &Event,
        id: RejectId,
        (entrance, gpc): (Entrance, bool),
    ) -> Result<(), PipelineError> {
        let fate = self.fate(event, id)?;
        let is_watched = self.settings.is_watched;
        let (source, call) = (event.source.clone(), event.call.name());
        if matches!(fate, Fate::Joined(_) | Fate::Refused(_)) {
            self.view.contracts.observe(event);
        }
        let totals = self.view.totals_mut();
        let notice = match fate {
            Fate::Refused(reject) => {
                let mut row = RejectRow::of(&reject, &source, event.received_at);
                row.call = entrance.call().map(str::to_owned);
                row.gpc = gpc;
                return self.reject(id, &row);
            }
            Fate::Joined(owner) => {
                totals.accepted += 1;
                is_watched.then(|| Notice::Accepted {
                    source,
                    call,
                    name: event.name().to_owned(),
                    at: event.at,
                    profile: self.profile_of(owner).to_string(),
                })
            }
            Fate::Duplicate => {
                totals.duplicates += 1;
                is_watched.then_some(Notice::Duplicate { source, call })
            }
            Fate::Denied(reason) => {
                totals.deny(reason.as_str());
                is_watched.then_some(Notice::Denied { source, call, reason })
            }
        };
        self.notices.extend(notice);
        Ok(())
    }

    fn fate(&mut self, event: &Event, id: RejectId) -> Result<Fate, PipelineError> {
        let rules = self.settings.rules;
        let (Some(owner), Some(source)) = (event.owner(), rules.source(&event.source)) else {
            // The source was removed while its events were on their way: nothing says why they may be kept.
            return Ok(Fate::Denied(Denial::UnknownPurpose));
        };
        let place = Place {
            position: id.position,
            index: id.index,
            hash: seen_hash(self.settings.key, &event.message_id),
        };
        if self.is_seen(owner.id, place.hash) {
            return Ok(Fate::Duplicate);
        }
        if people(event).any(|identified| self.view.is_erased(identified.id)) {
            return Ok(Fate::Denied(Denial::Erased));
        }
        let wills = self.wills(event);
        self.record_consents(event);
        self.ask_wills(event, &wills);
        let purposes = if matches!(event.call, Call::Consent { .. }) {
            // What a person said about purposes is kept as proof, whatever it was; what they prefer, only for purposes
            // that permit it.
            self.admit(event).unwrap_or_default()
        } else {
            match self.admit(event) {
                Ok(purposes) => purposes,
                Err(denial) => return Ok(Fate::Denied(denial)),
            }
        };
        if let Some(reject) = refusal(event) {
            return Ok(Fate::Refused(Box::new(reject)));
        }
        let basis =
            Basis { source: source.name.clone(), purposes, party: source.party, category: source.category };
        let root = self.resolve(event, owner);
        self.fold(event, owner, root, &basis, place)?;
        self.describe_account(event, &basis);
        self.route(event, owner, basis.purposes, id)?;
        if self.settings.lake_from.is_some_and(|from| id.position >= from.0) && !basis.purposes.is_empty() {
            let RejectId { position, index } = id;
            self.kept.push(Kept { position, index, owner: owner.id, purposes: basis.purposes });
        }
        Ok(Fate::Joined(owner.id))
    }

    fn is_seen(&self, owner: FragmentId, hash: u64) -> bool {
        let Some(fragment) = self.view.cluster_of(owner).and_then(|(cluster, node)| cluster.fragment(node))
        else {
            return false;
        };
        fragment.seen.inline.contains(hash)
            || (fragment.seen.is_spilled
                && self.view.page(owner, Seen::page_of(hash)).is_some_and(|page| page.contains(hash)))
    }

    /// Every identifier on the event carries what was said, so that a later word on the same device or account
    /// counts as the person's own, and merging two people takes the stricter answer.
    fn record_consents(&mut self, event: &Event) {
        let mut said = Consents::default();
        for claim in &event.consents {
            let ClaimOf::Purpose(purpose) = claim.of else {
                self.view.totals_mut().unknown_consent_categories += 1;
                continue;
            };
            let at = claim.at.unwrap_or(event.at);
            said.add(ConsentRecord {
                purpose: Some(purpose),
                status: claim.status,
                expression: claim.expression,
                version: claim
                    .version
                    .unwrap_or_else(|| self.settings.rules.purposes.version_at(purpose, at)),
                first_at: at,
                last_at: at,
                source: event.source.clone(),
                how: claim.how.clone(),
                evidence: claim.evidence.clone(),
            });
        }
        if !said.is_empty() {
            for identified in &event.identifiers {
                self.learn(identified, event, |consents| consents.merge(&said));
            }
        }
        for claim in &event.subscriptions {
            self.learn(&claim.contact, event, |consents| {
                consents.subscribe(Subscription {
                    channel: claim.channel.clone(),
                    topic: claim.topic.clone(),
                    at: event.at,
                    state: claim.state,
                    source: event.source.clone(),
                });
            });
        }
    }

    fn learn(&mut self, identified: &Identified, event: &Event, what: impl FnOnce(&mut Consents)) {
        let root = self.place(identified);
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let node = cluster.find(identified.id);
        if let Some(fragment) = node.and_then(|node| cluster.fragment_mut(node)) {
            what(&mut fragment.consents);
        }
        self.saw(root, identified, event.at);
    }

    /// The purposes that cover the event, asked of everybody it names: they would be one profile.
    fn admit(&self, event: &Event) -> Result<PurposeSet, Denial> {
        // What the event itself tells of the person's age counts, and is kept only if the event is.
        let mut told = Consents::default();
        if let Some(day) = event.born_on {
            told.born_on(day);
        }
        let mut fragments: Vec<&Consents> = vec![&told];
        let mut walked: Vec<(FragmentId, usize)> = Vec::new();
        for identified in &event.identifiers {
            let Some(root) = self.view.root(identified.id) else { continue };
            let Some(cluster) = self.view.cluster(root) else { continue };
            let Some(node) = cluster.find(identified.id) else { continue };
            // Mostly all identifiers are one person's.
            if walked.iter().any(|(other, at)| *other == root && cluster.graph().is_same(*at, node)) {
                continue;
            }
            walked.push((root, node));
            fragments.extend(cluster.component(node).map(|(_, fragment)| &fragment.consents));
        }
        let fragments = fragments.into_iter();
        let purposes = &self.settings.rules.purposes;
        let covered = admit(purposes, event.purposes, fragments, event.received_at)?;
        // What comes so late that its time for a purpose is over is not kept for it.
        let is_in_time = |id| purposes.by_id(id).is_some_and(|p| is_in_time(p, event.at, event.received_at));
        let covered: PurposeSet = covered.iter().filter(|id| is_in_time(*id)).collect();
        if covered.is_empty() { Err(Denial::NotServed) } else { Ok(covered) }
    }

    /// Makes sure that the identifier has a node somewhere; returns its cluster.
    pub(crate) fn place(&mut self, identified: &Identified) -> FragmentId {
        if let Some(root) = self.view.root(identified.id) {
            return root;
        }
        let mut cluster = Cluster::default();
        cluster.insert(identified);
        self.view.put(identified.id, cluster);
        let totals = self.view.totals_mut();
        totals.identifiers += 1;
        totals.profiles += 1;
        identified.id
    }

    /// Brings all identifiers of the event into one cluster and weighs the evidence. Returns the cluster's id.
    fn resolve(&mut self, event: &Event, owner: &Identified) -> FragmentId {
        let others = event.identifiers.iter().skip(1).map(|other| (other, Strength::Deterministic));
        let previous = people(event).skip(event.identifiers.len());
        let previous = previous.filter(|other| other.id != owner.id).map(|other| (other, Strength::Declared));
        let mut root = self.place(owner);
        let mut links: Vec<(FragmentId, Strength)> = Vec::new();
        for (other, strength) in others.chain(previous) {
            if self.keep_apart(owner, other, evidence(event, strength)) {
                continue;
            }
            match self.bring_together(root, other) {
                Some(joined) => {
                    root = joined;
                    links.push((other.id, strength));
                }
                None => self.view.totals_mut().overflowing_identifiers += 1,
            }
        }
        self.view.shorten(owner.id, root);
        for (other, _) in &links {
            self.view.shorten(*other, root);
        }
        for (index, named) in people(event).enumerate() {
            let Some(root) = self.view.root(named.id) else { continue };
            if index < event.identifiers.len() {
                self.saw(root, named, event.at);
            } else if let Some(cluster) = self.view.cluster_mut(root) {
                cluster.insert(named);
            }
        }
        self.weigh(event, owner, root, &links);
        root
    }

    /// Puts `other` into the cluster under `root`, or the smaller of their clusters into the larger. `None` when
    /// the cluster would be too large.
    fn bring_together(&mut self, root: FragmentId, other: &Identified) -> Option<FragmentId> {
        let size =
            |view: &View, root| view.cluster(root).map_or(0, |one| one.len() + one.graph().stubs().len());
        let Some(other_root) = self.view.root(other.id) else {
            if size(&self.view, root) >= CLUSTER_NODES_MAX {
                return None;
            }
            self.view.cluster_mut(root)?.insert(other);
            self.view.point(other.id, root);
            let totals = self.view.totals_mut();
            totals.identifiers += 1;
            totals.profiles += 1;
            return Some(root);
        };
        self.join(root, other_root)
    }

    /// Puts the smaller of two clusters into the larger; returns where both are then. `None` when it would be too large.
    pub(crate) fn join(&mut self, root: FragmentId, other_root: FragmentId) -> Option<FragmentId> {
        if other_root == root {
            return Some(root);
        }
        let size = |view: &View, root| view.cluster(root).map_or(0, Cluster::len);
        let (here, there) = (size(&self.view, root), size(&self.view, other_root));
        if here + there > CLUSTER_NODES_MAX {
            return None;
        }
        let (into, from) = if there > here { (other_root, root) } else { (root, other_root) };
        let moved = self.view.take(from)?;
        // Every fragment of the moved cluster finds the new one through its old root, and is pointed straight
        // there when an event next names it.
        self.view.point(from, into);
        self.view.cluster_mut(into)?.absorb(moved);
        Some(into)
    }

    fn weigh(
        &mut self,
        event: &Event,
        owner: &Identified,
        root: FragmentId,
        links: &[(FragmentId, Strength)],
    ) {
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let Some(owner_node) = cluster.find(owner.id) else { return };
        let mut is_news = false;
        for (other, strength) in links {
            let Some(node) = cluster.find(*other) else { continue };
            is_news |= cluster.link(owner_node, node, evidence(event, *strength));
        }
        if is_news {
            // An edge that is new counts for nothing before.
            self.change(root, owner.id, |_| true);
        }
    }

    /// Keeps count of profiles, and tells who watches.
    pub(crate) fn tell_of(&mut self, before: &Census, after: &Census, own: FragmentId) {
        self.count(before, after);
        let (before, after) = (&before.profiles, &after.profiles);
        let gone: Vec<String> =
            before.iter().filter(|id| !after.contains(id)).map(ToString::to_string).collect();
        let new: Vec<String> =
            after.iter().filter(|id| !before.contains(id)).map(ToString::to_string).collect();
        if !gone.is_empty() || !new.is_empty() {
            self.regrouped.push(own);
        }
        if !self.settings.is_watched {
            return;
        }
        if !gone.is_empty() {
            self.notices.push(Notice::Merged { profile: own.to_string(), from: gone });
        } else if !new.is_empty() {
            self.notices.push(Notice::Split { profiles: after.iter().map(ToString::to_string).collect() });
        }
    }

    fn fold(
        &mut self,
        event: &Event,
        owner: &Identified,
        root: FragmentId,
        basis: &Basis,
        place: Place,
    ) -> Result<(), PipelineError> {
        let window = self.settings.dedup_window_millis;
        let is_following = self.is_following();
        let Some(cluster) = self.view.cluster_mut(root) else { return Ok(()) };
        let node = cluster.find(owner.id);
        let Some(fragment) = node.and_then(|node| cluster.fragment_mut(node)) else { return Ok(()) };
        // Somebody whom a purpose had nothing of may be a member only now.
        let is_news = is_following && !is_served(fragment, basis, event, self.settings.rules);
        fragment.apply(event, basis, place);
        if is_news {
            self.asking.whole(owner.id);
        }
        if is_following {
            let compiled = &self.settings.following.compiled;
            let message = MessageKey::from(&event.message_id);
            let seen = EventView::of(event, &message);
            let touched = compiled.touched(&seen);
            if !touched.is_empty() {
                fragment.follow(basis, compiled, (&seen, &touched))?;
                self.asking.some(owner.id, |into| compiled.concerned(Asked::Event(&touched), into));
            }
        }
        for (page, hash, received_at) in fragment.seen.insert(place.hash, event.received_at, window) {
            self.view.page_mut(owner.id, page).insert(hash, received_at, window);
        }
        if is_following {
            self.ask_owner(event, owner.id);
        }
        Ok(())
    }

    fn describe_account(&mut self, event: &Event, basis: &Basis) {
        let Call::Group { account, traits } = &event.call else { return };
        let before = self.account(account.id, event.received_at);
        let root = match self.view.root(account.id) {
            Some(root) => root,
            None => {
                let mut cluster = Cluster::default();
                cluster.insert(account);
                self.view.put(account.id, cluster);
                self.view.totals_mut().accounts += 1;
                account.id
            }
        };
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let node = cluster.find(account.id);
        if let Some(fragment) = node.and_then(|node| cluster.fragment_mut(node)) {
            fragment.describe(traits, event, basis);
        }
        if self.account(account.id, event.received_at) != before {
            self.described.insert(account.id);
        }
    }

    fn route(
        &mut self,
        event: &Event,
        owner: &Identified,
        purposes: PurposeSet,
        id: RejectId,
    ) -> Result<(), PipelineError> {
        for route in self.settings.routes.iter().filter(|route| route.wants(event, purposes)) {
            let after = OutboxRow::of(event, owner.id, purposes).encode()?;
            let key = outbox_key(Table::Outbox, &route.name, id.position, id.index);
            self.puts.push(Change { key, before: None, after: Some(after.into()) });
        }
        Ok(())
    }

    fn profile_of(&self, id: FragmentId) -> FragmentId {
        self.view.cluster_of(id).map(|(cluster, node)| cluster.profile_id(node)).unwrap_or_default()
    }
}

/// Whether a fragment holds anything on that basis whose time is not over.
fn is_served(fragment: &Fragment, basis: &Basis, event: &Event, rules: &Rules) -> bool {
    let purposes: Vec<_> = basis.purposes.iter().filter_map(|id| rules.purposes.by_id(id)).collect();
    let is_kept = |at| purposes.iter().all(|purpose| is_in_time(purpose, at, event.received_at));
    fragment.any_value(|known, at| known == basis && is_kept(at))
}

/// Every identifier that an event names a person by.
fn people(event: &Event) -> impl Iterator<Item = &Identified> {
    let previous = match &event.call {
        Call::Alias { previous } => previous.as_slice(),
        Call::Identify { .. }
        | Call::Track { .. }
        | Call::Page { .. }
        | Call::Screen { .. }
        | Call::Group { .. }
        | Call::Consent { .. } => &[],
    };
    event.identifiers.iter().chain(previous)
}

fn evidence(event: &Event, strength: Strength) -> Evidence {
    let message = MessageKey::from(&event.message_id);
    Evidence {
        strength,
        score: None,
        at: event.at,
        message,
        source: event.source.clone(),
        received_at: event.received_at,
        word: None,
    }
}

pub(crate) fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
