//! The queue of pairs that a steward is to look at, and what stewards said.
//!
//! Invariants: a pair that a steward has judged, or whose ends are one profile already, is not asked again; who is
//! erased leaves the queue. Rows name people by fragment and hold no values of theirs.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, ReviewOrder, Score, Selector, Timestamp, Verdict};
use tessera_profile::Cluster;
use tessera_store::{Change, Key, Store, Table};

use crate::replay::for_each_row;
use crate::rows::{self, bad};
use crate::view::{View, key_of};
use crate::{PipelineError, UndoRow};

const PAIR: u8 = b'p';

/// Names a pair, whichever is named first. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReviewId(u128);

impl ReviewId {
    /// Of two fragments.
    #[must_use]
    pub fn of(a: FragmentId, b: FragmentId) -> Self {
        let mut id = [0; 16];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&a.min(b).0).update(&a.max(b).0).finalize_xof().fill(&mut id);
        Self(u128::from_be_bytes(id))
    }

    /// Reads an id as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        tessera_model::UndoId::parse(text).map(|id| Self(id.0))
    }

    fn key(self) -> Key {
        let mut id = vec![PAIR];
        id.extend(self.0.to_be_bytes());
        key_of(Table::Review, &id)
    }
}

impl fmt::Display for ReviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Where a pair stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Nobody has judged it, or the judgement was taken back.
    Open,
    /// One person.
    Accepted,
    /// Two people.
    Rejected,
}

/// What a steward said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What.
    pub verdict: Verdict,
    /// The account.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A pair and what was said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewRow {
    /// One.
    pub a: FragmentId,
    /// The other.
    pub b: FragmentId,
    /// How likely they are one person; absent: nobody but a steward brought them up.
    pub score: Option<Score>,
    /// The matcher that asks; empty: none.
    pub matcher: String,
    /// How the score came about.
    pub waterfall: serde_json::Value,
    /// A word to the steward.
    pub note: String,
    /// Where it stands.
    pub state: ReviewState,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// What was said, the last word last.
    pub decisions: Vec<Decision>,
}

impl ReviewRow {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ReviewId {
        ReviewId::of(self.a, self.b)
    }
}

/// One pair.
///
/// # Errors
/// Those of the store.
pub fn load_review(store: &impl Store, id: ReviewId) -> Result<Option<ReviewRow>, PipelineError> {
    let found = store.load(&[id.key()])?.into_iter().next().flatten();
    found.map(|bytes| serde_json::from_slice(&bytes).map_err(bad("review"))).transpose()
}

/// Every pair for which `is_wanted` holds: the likeliest first, then the oldest.
///
/// # Errors
/// Those of the store.
pub fn load_reviews(
    store: &impl Store,
    is_wanted: impl Fn(&ReviewRow) -> bool,
) -> Result<Vec<ReviewRow>, PipelineError> {
    let mut found: Vec<ReviewRow> = Vec::new();
    for_each_row(store, &[Table::Review], |key, value| {
        if key.id().first() == Some(&PAIR) {
            let row: ReviewRow = serde_json::from_slice(value).map_err(bad("review"))?;
            found.extend(Some(row).filter(|row| is_wanted(row)));
        }
        Ok(())
    })?;
    found.sort_by_key(|row| (std::cmp::Reverse(row.score), row.asked_at, row.id()));
    Ok(found)
}

/// The rows of pairs that are to be asked. The view holds their clusters.
pub(crate) fn ask(
    store: &impl Store,
    view: &View,
    pairs: &[ReviewOrder],
    at: Timestamp,
) -> Result<Vec<Change>, PipelineError> {
    let (mut changes, mut asked) = (Vec::new(), BTreeSet::new());
    for pair in pairs {
        let id = ReviewId::of(pair.a, pair.b);
        if pair.a == pair.b || is_settled(view, pair.a, pair.b) || !asked.insert(id) {
            continue;
        }
        let known = load_review(store, id)?;
        if known.as_ref().is_some_and(|row| !row.decisions.is_empty()) {
            continue;
        }
        let row = ReviewRow {
            a: pair.a.min(pair.b),
            b: pair.a.max(pair.b),
            score: Some(pair.score),
            matcher: pair.matcher.clone(),
            waterfall: pair.waterfall.clone(),
            note: pair.note.clone(),
            state: ReviewState::Open,
            asked_at: known.map_or(at, |row| row.asked_at),
            decisions: Vec::new(),
        };
        changes.push(rows::put(store, id.key(), Some(&row))?);
    }
    Ok(changes)
}

/// Most identifiers of two profiles that are looked through for a question between any two of them.
const QUESTIONS_MAX: usize = 256;

/// Whether two profiles were asked about already: under their ids, with the same score or judged since, or under others
/// of their identifiers.
pub(crate) fn is_asked(
    store: &impl Store,
    (one, a): (&Cluster, FragmentId),
    (other, b): (&Cluster, FragmentId),
    score: Option<Score>,
) -> Result<bool, PipelineError> {
    if let Some(row) = load_review(store, ReviewId::of(a, b))? {
        return Ok(!row.decisions.is_empty() || row.score == score);
    }
    let ids = |cluster: &Cluster, id: FragmentId| -> Vec<FragmentId> {
        let nodes = cluster.find(id).into_iter().flat_map(|node| cluster.graph().component(node));
        nodes.filter_map(|node| Some(cluster.graph().nodes().get(node)?.id)).collect()
    };
    let (left, right) = (ids(one, a), ids(other, b));
    let pairs = left.iter().flat_map(|one| right.iter().map(|other| ReviewId::of(*one, *other).key()));
    let keys: Vec<Key> = pairs.take(QUESTIONS_MAX).collect();
    Ok(store.load(&keys)?.iter().any(Option::is_some))
}

/// Whether there is nothing to ask: somebody is not there, they are one profile, or a steward has said that they are
/// two people.
fn is_settled(view: &View, a: FragmentId, b: FragmentId) -> bool {
    let (Some((one, x)), Some((other, y))) = (view.cluster_of(a), view.cluster_of(b)) else { return true };
    if view.root(a) != view.root(b) {
        return false;
    }
    if one.graph().is_same(x, y) {
        return true;
    }
    let is_in =
        |id: FragmentId, node: usize| other.find(id).is_some_and(|at| other.graph().is_same(at, node));
    let mut apart = one.graph().apart();
    apart.any(|(p, q)| (is_in(*p, x) && is_in(*q, y)) || (is_in(*p, y) && is_in(*q, x)))
}

/// The row of a pair that was judged.
pub(crate) fn judged(
    store: &impl Store,
    (a, b): (FragmentId, FragmentId),
    decision: Decision,
) -> Result<Change, PipelineError> {
    let id = ReviewId::of(a, b);
    let mut row = load_review(store, id)?.unwrap_or_else(|| ReviewRow {
        a: a.min(b),
        b: a.max(b),
        score: None,
        matcher: String::new(),
        waterfall: serde_json::Value::Null,
        note: String::new(),
        state: ReviewState::Open,
        asked_at: decision.at,
        decisions: Vec::new(),
    });
    row.state = match decision.verdict {
        Verdict::Same => ReviewState::Accepted,
        Verdict::Different => ReviewState::Rejected,
        Verdict::Unsure => ReviewState::Open,
    };
    row.decisions.push(decision);
    rows::put(store, id.key(), Some(&row))
}

/// The removal of every row that names one of these people.
pub(crate) fn of_people(
    store: &impl Store,
    is_meant: impl Fn(FragmentId) -> bool,
) -> Result<Vec<Change>, PipelineError> {
    let mut changes = Vec::new();
    for_each_row(store, &[Table::Review], |key, value| {
        let pair = if key.id().first() == Some(&PAIR) {
            let row: ReviewRow = serde_json::from_slice(value).map_err(bad("review"))?;
            Some((row.a, row.b))
        } else {
            let row: UndoRow = serde_json::from_slice(value).map_err(bad("undo"))?;
            if let Selector::Edge { a, b } = row.selector { Some((a, b)) } else { None }
        };
        if pair.is_some_and(|(a, b)| is_meant(a) || is_meant(b)) {
            changes.push(Change { key: *key, before: Some(value.into()), after: None });
        }
        Ok(())
    })?;
    Ok(changes)
}
