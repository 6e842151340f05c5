//! What operations on audiences lead to: whose time has come, the next of everybody, what fills new definitions.

use std::collections::BTreeSet;

use base64::Engine as _;
use tessera_audience::FragmentState;
use tessera_model::{AudienceId, Event, FillOrder, FragmentId, HashKey, Operation, Rules, Timestamp};
use tessera_profile::Basis;
use tessera_store::{Change, Key, Store, Table};

use super::accounts::next_people;
use super::catalogue::{Catalogue, Walk};
use super::following::{Began, Following};
use super::timers::due;
use crate::PipelineError;
use crate::apply::Application;
use crate::view::{Slot, View};

/// Most people whose time has come, or whose account has changed, that one `Tick` asks.
const DUE_MAX: usize = 2_000;
/// Most rows of clusters that one `Tick` goes through when everybody is asked.
const WALK_ROWS: usize = 1_000;

/// An operation made ready.
pub(crate) struct Turn {
    pub(crate) view: View,
    /// Whom to ask.
    due: Vec<FragmentId>,
    /// Whom to ask because their account has changed, and the rows that this changes.
    members: Vec<FragmentId>,
    pub(crate) rows: Vec<Change>,
    /// The clusters that are next of everybody.
    walked: Vec<FragmentId>,
    /// Up to when nobody is left who was due; `None`: some may be.
    pub(crate) quiet_until: Option<Timestamp>,
    /// What the list of audiences becomes.
    pub(crate) catalogue: Option<Catalogue>,
    /// Audiences that are no more, and that nobody is a member of any more.
    pub(crate) gone: BTreeSet<AudienceId>,
}

/// Where an operation stands, and by which rules it is done.
#[derive(Clone, Copy)]
pub(crate) struct Turning<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) key: &'a HashKey,
    pub(crate) following: &'a Following,
    pub(crate) at: Timestamp,
    /// There are no timers before it.
    pub(crate) timers_from: Option<Timestamp>,
    /// Where the next record is.
    pub(crate) next: u64,
}

/// Loads what an operation on audiences needs.
pub(crate) fn turn(
    store: &impl Store,
    operation: &Operation,
    turning: Turning<'_>,
) -> Result<Turn, PipelineError> {
    let mut view = View::load(store, std::iter::empty::<&Event>(), turning.key)?;
    let now = view.log_time(turning.at);
    let Turning { following, .. } = turning;
    let mut turn = Turn {
        view,
        due: Vec::new(),
        members: Vec::new(),
        rows: Vec::new(),
        walked: Vec::new(),
        quiet_until: None,
        catalogue: None,
        gone: BTreeSet::new(),
    };
    if let Operation::Tick {} = operation {
        turn.due = due(store, (turning.timers_from, now), DUE_MAX)?;
        // Who is asked now is asked again later than now.
        turn.quiet_until = Some(now).filter(|_| turn.due.len() < DUE_MAX);
        (turn.members, turn.rows) = next_people(store, DUE_MAX.saturating_sub(turn.due.len()))?;
        if let Some(walk) = &following.catalogue.walk {
            turn.walk(store, walk, turning)?;
        }
    } else if let Operation::FillAudience { since, part, fragments } = operation {
        let filling = following.catalogue.fillings.get(since);
        if filling.is_some_and(|filling| filling.parts == *part) {
            turn.due = fragments.iter().map(|one| one.fragment).collect();
            let mut catalogue = following.catalogue.clone();
            catalogue.fillings.entry(*since).and_modify(|filling| filling.parts += 1);
            turn.catalogue = Some(catalogue);
        }
    } else if let Operation::AudienceFilled { since } = operation {
        let mut catalogue = following.catalogue.clone();
        if catalogue.fillings.remove(since).is_some() {
            catalogue.walk = Some(Walk::default());
            turn.catalogue = Some(catalogue);
        }
    }
    let wanted = turn.due.iter().chain(&turn.members).chain(&turn.walked).copied();
    turn.view.load_rows(store, wanted.collect())?;
    if following.compiled.asks_of_accounts() {
        turn.view.load_accounts(store)?;
    }
    Ok(turn)
}

impl Turn {
    /// Goes on through everybody.
    fn walk(&mut self, store: &impl Store, walk: &Walk, turning: Turning<'_>) -> Result<(), PipelineError> {
        let Turning { rules, following, next, .. } = turning;
        let after = walk.after.map(|id| id.0);
        let rows = store.scan(Table::Cluster, after.as_ref().map(<[u8; 16]>::as_slice), WALK_ROWS)?;
        self.walked = rows.iter().filter_map(|(key, _)| id_of(key)).collect();
        self.catalogue = Some(match self.walked.last().filter(|_| rows.len() == WALK_ROWS) {
            Some(last) => {
                Catalogue { walk: Some(Walk { after: Some(*last) }), ..following.catalogue.clone() }
            }
            None => {
                let removed = following.catalogue.removed.iter();
                self.gone = removed.map(|one| AudienceId::of(&one.name, &one.purpose)).collect();
                following.walked(rules, Began { position: next, is_first: false })
            }
        });
        Ok(())
    }
}

impl Application<'_> {
    /// Does what an operation on audiences is for.
    pub(crate) fn turn(&mut self, turn: &Turn, operation: &Operation) -> Result<(), PipelineError> {
        let Operation::FillAudience { since, fragments, .. } = operation else {
            turn.due.iter().for_each(|id| self.asking.whole(*id));
            let compiled = &self.settings.following.compiled;
            for id in &turn.members {
                self.asking.some(*id, |into| compiled.concerned_by_accounts(into));
            }
            return self.walk(&turn.walked);
        };
        // A part that came twice changes nothing.
        let filling = self.settings.following.catalogue.fillings.get(since);
        if let Some(filling) = filling.filter(|_| turn.catalogue.is_some()) {
            for order in fragments {
                self.fill(order, |feature| filling.features.contains(&feature))?;
            }
        }
        Ok(())
    }

    fn walk(&mut self, walked: &[FragmentId]) -> Result<(), PipelineError> {
        let compiled = &self.settings.following.compiled;
        for root in walked {
            let Some(row) = self.view.rows.get_mut(root) else { continue };
            let Slot::Cluster(cluster) = &mut row.now else { continue };
            for node in 0..cluster.len() {
                if let Some(fragment) = cluster.fragment_mut(node) {
                    row.is_dirty |= fragment.forget_unasked(compiled)?;
                }
            }
            self.ask_cluster(*root);
        }
        Ok(())
    }

    /// Adds what a fragment did before. Who was erased or is not there any more has done nothing.
    fn fill(
        &mut self,
        order: &FillOrder,
        is_wanted: impl Fn(tessera_audience::FeatureId) -> bool,
    ) -> Result<(), PipelineError> {
        let rules = self.settings.rules;
        let bad = |why: String| PipelineError::Stored { what: "state of a fragment", why };
        let Some(source) = rules.source(&order.source) else { return Ok(()) };
        let bytes = base64::engine::general_purpose::STANDARD.decode(&order.state);
        let bytes = bytes.map_err(|e| bad(e.to_string()))?;
        let mut state: FragmentState = postcard::from_bytes(&bytes).map_err(|e| bad(e.to_string()))?;
        state.retain(is_wanted);
        let purposes = order.purposes.iter().filter_map(|name| Some(rules.purposes.get(name)?.id)).collect();
        let (party, category) = (source.party, source.category);
        let basis = Basis { source: order.source.clone(), purposes, party, category };
        let Some(root) = self.view.root(order.fragment) else { return Ok(()) };
        let Some(cluster) = self.view.cluster_mut(root) else { return Ok(()) };
        let node = cluster.find(order.fragment);
        if let Some(fragment) = node.and_then(|node| cluster.fragment_mut(node)) {
            fragment.fill(&basis, &self.settings.following.compiled, &state)?;
        }
        Ok(())
    }
}

fn id_of(key: &Key) -> Option<FragmentId> {
    Some(FragmentId(key.id().try_into().ok()?))
}
