//! One stored record: a cluster of identifiers, with the fragment of each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tessera_identity::{Evidence, Graph, Judgement, UndoId, Undone, Word};
use tessera_model::{FragmentId, Identified, NamespaceRules, Timestamp};

use crate::Fragment;

/// Names a profile: the id of the oldest fragment in it. A merged profile's old id still finds it, for it is the id
/// of one of its fragments.
pub type ProfileId = FragmentId;

/// A cluster: its graph, and one fragment for each of the graph's nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    graph: Graph,
    fragments: Vec<Fragment>,
}

impl Cluster {
    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many identifiers it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fragments.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// The fragment of a node.
    #[must_use]
    pub fn fragment(&self, node: usize) -> Option<&Fragment> {
        self.fragments.get(node)
    }

    /// The fragment of a node, to change.
    pub fn fragment_mut(&mut self, node: usize) -> Option<&mut Fragment> {
        self.fragments.get_mut(node)
    }

    /// The node of that fragment.
    #[must_use]
    pub fn find(&self, id: FragmentId) -> Option<usize> {
        self.graph.find(id)
    }

    /// Adds an identifier that no event has named yet, on its own, or learns the clear form of one that is there; returns
    /// its node.
    pub fn insert(&mut self, identified: &Identified) -> usize {
        let node = self.graph.insert(identified);
        if node == self.fragments.len() {
            self.fragments.push(Fragment::default());
        }
        node
    }

    /// Takes in another cluster. Profiles stay as they are.
    pub fn absorb(&mut self, other: Self) {
        self.graph.absorb(other.graph);
        self.fragments.extend(other.fragments);
    }

    /// Records evidence; returns whether it says anything new. [`Cluster::resolve`] must follow if so.
    pub fn link(&mut self, a: usize, b: usize, evidence: Evidence) -> bool {
        self.graph.link(a, b, evidence)
    }

    /// Records evidence that names a shared identifier of another cluster; returns whether it says anything new.
    /// [`Cluster::resolve`] must follow if so. `None`: the cluster is full.
    pub fn stand_with(&mut self, node: usize, shared: &Identified, evidence: Evidence) -> Option<bool> {
        self.graph.stand_with(node, shared.id, shared.identifier.namespace(), evidence)
    }

    /// Remembers that other clusters hold evidence which names this node.
    pub fn stands_elsewhere(&mut self, node: usize) {
        self.graph.stands_elsewhere(node);
    }

    /// Computes the profiles anew.
    pub fn resolve(&mut self, rules: &NamespaceRules) {
        let fragments = &self.fragments;
        let seen_at = |at: usize| fragments.get(at).map_or(Timestamp::MAX, |part| part.first_seen_at);
        self.graph.resolve(rules, seen_at);
    }

    /// Takes fragments out of the profile of `node`. [`Cluster::resolve`] must follow if it returns `true`.
    pub fn split(&mut self, node: usize, away: &BTreeSet<FragmentId>, at: Timestamp, word: Word) -> bool {
        self.graph.split(node, away, at, word)
    }

    /// Records what a steward says. [`Cluster::resolve`] must follow if it returns `true`.
    pub fn judge(&mut self, a: FragmentId, b: FragmentId, judgement: Judgement) -> bool {
        self.graph.judge(a, b, judgement)
    }

    /// Evidence counts no more. [`Cluster::resolve`] must follow if it returns `true`.
    pub fn undo(&mut self, undone: Undone) -> bool {
        self.graph.undo(undone)
    }

    /// Takes an undo back. [`Cluster::resolve`] must follow if it returns `true`.
    pub fn redo(&mut self, id: UndoId) -> bool {
        self.graph.redo(id)
    }

    /// Takes fragments out with all that is known of them. [`Cluster::resolve`] must follow.
    pub fn remove(&mut self, gone: &BTreeSet<FragmentId>) {
        let mut nodes = self.graph.nodes().iter();
        self.fragments.retain(|_| nodes.next().is_some_and(|node| !gone.contains(&node.id)));
        self.graph.remove(gone);
    }

    /// The ids of all fragments.
    pub fn ids(&self) -> impl Iterator<Item = FragmentId> {
        self.graph.nodes().iter().map(|node| node.id)
    }

    /// The fragments that make one profile with `node`.
    pub fn component(&self, node: usize) -> impl Iterator<Item = (usize, &Fragment)> + Clone {
        self.graph.component(node).filter_map(|at| self.fragments.get(at).map(|fragment| (at, fragment)))
    }

    /// The id of the profile that `node` is in: that of its oldest fragment.
    #[must_use]
    pub fn profile_id(&self, node: usize) -> ProfileId {
        let id = |at: usize| self.graph.nodes().get(at).map(|node| node.id).unwrap_or_default();
        self.component(node)
            .map(|(at, fragment)| (fragment.first_seen_at, id(at)))
            .min()
            .map(|(_, id)| id)
            .unwrap_or_default()
    }
}
