//! Taking evidence away: whom an undo touches, what it would do, and the record of it.
//!
//! Not the doing: that is [`tessera_model::Operation::Undo`], ordered for the clusters found here. Invariant: what a
//! preview tells is what the order does to the same state.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use tessera_identity::Undone;
use tessera_model::{DestinationName, FragmentId, Rules, Selector, Timestamp, UndoId};
use tessera_profile::{Cluster, Row};
use tessera_store::{Change, Key, Store, Table};

use crate::apply::as_u64;
use crate::outbox::{OutboxRow, prefix};
use crate::query::load_cluster;
use crate::regroup::Regrouping;
use crate::replay::for_each_row;
use crate::rows::{self, bad};
use crate::view::key_of;
use crate::{PipelineError, load_totals};

const UNDO: u8 = b'u';
const PAGE_ROWS: usize = 256;

/// Who ordered something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The account.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// An undo that was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRow {
    /// Its id.
    pub id: UndoId,
    /// Which evidence it took away.
    pub selector: Selector,
    /// How many clusters it touched.
    pub clusters: u64,
    /// Who ordered it.
    pub ordered: Ordered,
    /// Who took it back, if somebody did.
    pub taken_back: Option<Ordered>,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// People looked at.
    pub profiles: u64,
    /// About how many there are.
    pub profiles_expected: u64,
}

/// Whom an undo touches and what it would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UndoPreview {
    /// How many clusters hold evidence that is meant.
    pub clusters: u64,
    /// What becomes of people.
    #[serde(flatten)]
    pub effect: Regrouping,
    /// How many deliveries about people who change wait, by destination. The gate decides on each when it is sent.
    pub waiting: BTreeMap<DestinationName, u64>,
    /// A fragment of each cluster.
    #[serde(skip)]
    pub fragments: Vec<FragmentId>,
}

/// An undo that is asked for.
#[derive(Clone, Debug)]
pub struct Undoing<'a> {
    /// Which evidence is meant.
    pub selector: &'a Selector,
    /// The rules in force.
    pub rules: &'a Rules,
    /// Now.
    pub now: Timestamp,
}

impl Undoing<'_> {
    /// Looks for the clusters that hold evidence that is meant, and tells what would become of them. `progress` hears
    /// how far it is; `None` when it broke off.
    ///
    /// # Errors
    /// Those of the store.
    pub fn preview(
        &self,
        store: &impl Store,
        mut progress: impl FnMut(Looked) -> ControlFlow<()>,
    ) -> Result<Option<UndoPreview>, PipelineError> {
        let mut found = UndoPreview::default();
        match self.selector {
            Selector::Edge { a, .. } => {
                if let Some((cluster, _)) = load_cluster(store, *a)? {
                    self.look(&cluster, &mut found);
                }
            }
            Selector::Event { .. } | Selector::Source { .. } => {
                let is_over = each_cluster(store, &mut progress, |cluster| self.look(cluster, &mut found))?;
                if is_over.is_break() {
                    return Ok(None);
                }
            }
        }
        found.waiting = self.waiting(store, &found.effect)?;
        Ok(Some(found))
    }

    fn look(&self, cluster: &Cluster, found: &mut UndoPreview) {
        let undone = Undone { id: UndoId(0), selector: self.selector.clone(), at: self.now };
        if !cluster.graph().is_meant_by(&undone) {
            return;
        }
        let Some(fragment) = cluster.ids().next() else { return };
        found.clusters += 1;
        found.fragments.push(fragment);
        let mut without = cluster.clone();
        without.undo(undone);
        without.resolve(&self.rules.namespaces);
        found.effect.compare(cluster, &without, self.rules, self.now);
    }

    fn waiting(
        &self,
        store: &impl Store,
        effect: &Regrouping,
    ) -> Result<BTreeMap<DestinationName, u64>, PipelineError> {
        let mut waiting = BTreeMap::new();
        if effect.people.is_empty() {
            return Ok(waiting);
        }
        let names: BTreeMap<[u8; 8], &DestinationName> =
            self.rules.destinations().map(|document| (prefix(&document.name), &document.name)).collect();
        for_each_row(store, &[Table::Outbox], |key, value| {
            let name = key.id().first_chunk::<8>().and_then(|prefix| names.get(prefix));
            if let (Some(name), true) = (name, effect.people.contains(&OutboxRow::decode(value)?.owner)) {
                *waiting.entry((*name).clone()).or_default() += 1;
            }
            Ok(())
        })?;
        Ok(waiting)
    }
}

/// Every cluster, page by page.
pub(crate) fn each_cluster(
    store: &impl Store,
    progress: &mut impl FnMut(Looked) -> ControlFlow<()>,
    mut each: impl FnMut(&Cluster),
) -> Result<ControlFlow<()>, PipelineError> {
    let totals = load_totals(store)?;
    let mut looked = Looked { profiles: 0, profiles_expected: totals.profiles + totals.accounts };
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(ControlFlow::Continue(())) };
        after = Some(*last);
        for (_, value) in &page {
            let Row::Cluster(cluster) = Row::decode(value)? else { continue };
            looked.profiles += as_u64(cluster.graph().components().len());
            each(&cluster);
        }
        if progress(looked).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// A fragment of each cluster that an undo touched. `None` when `progress` broke off.
///
/// # Errors
/// Those of the store.
pub fn clusters_undone_by(
    store: &impl Store,
    id: UndoId,
    mut progress: impl FnMut(Looked) -> ControlFlow<()>,
) -> Result<Option<Vec<FragmentId>>, PipelineError> {
    let mut found = Vec::new();
    let is_over = each_cluster(store, &mut progress, |cluster| {
        if cluster.graph().undone().any(|undone| undone.id == id) {
            found.extend(cluster.ids().next());
        }
    })?;
    Ok(is_over.is_continue().then_some(found))
}

fn undo_key(id: UndoId) -> Key {
    let mut bytes = vec![UNDO];
    bytes.extend(id.0.to_be_bytes());
    key_of(Table::Review, &bytes)
}

/// An undo that was ordered.
///
/// # Errors
/// Those of the store.
pub fn load_undo(store: &impl Store, id: UndoId) -> Result<Option<UndoRow>, PipelineError> {
    let found = store.load(&[undo_key(id)])?.into_iter().next().flatten();
    found.map(|bytes| serde_json::from_slice(&bytes).map_err(bad("undo"))).transpose()
}

/// Every undo that was ordered, the last first.
///
/// # Errors
/// Those of the store.
pub fn load_undos(store: &impl Store) -> Result<Vec<UndoRow>, PipelineError> {
    let mut found: Vec<UndoRow> = Vec::new();
    for_each_row(store, &[Table::Review], |key, value| {
        if key.id().first() == Some(&UNDO) {
            found.push(serde_json::from_slice(value).map_err(bad("undo"))?);
        }
        Ok(())
    })?;
    found.sort_by_key(|row| std::cmp::Reverse((row.ordered.at, row.id)));
    Ok(found)
}

/// The row of an undo, of which `clusters` more are ordered.
pub(crate) fn ordered(
    store: &impl Store,
    id: UndoId,
    selector: &Selector,
    clusters: usize,
    ordered: Ordered,
) -> Result<Change, PipelineError> {
    let known = load_undo(store, id)?;
    let mut row =
        known.unwrap_or(UndoRow { id, selector: selector.clone(), clusters: 0, ordered, taken_back: None });
    row.clusters += as_u64(clusters);
    rows::put(store, undo_key(id), Some(&row))
}

/// The row of an undo that is taken back.
pub(crate) fn taken_back(
    store: &impl Store,
    id: UndoId,
    ordered: Ordered,
) -> Result<Option<Change>, PipelineError> {
    let Some(mut row) = load_undo(store, id)? else { return Ok(None) };
    row.taken_back.get_or_insert(ordered);
    rows::put(store, undo_key(id), Some(&row)).map(Some)
}
