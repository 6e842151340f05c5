//! One cluster of identifiers and the evidence between them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Identified, Identifier, Namespace, Timestamp};

use crate::Evidence;

/// Most identifiers that one cluster may hold (Segment's own limit for a profile is 1,000). Beyond it new evidence
/// is not recorded: an identifier shared by so many says nothing.
pub const CLUSTER_NODES_MAX: usize = 1000;

/// One identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its fragment.
    pub id: FragmentId,
    /// Its namespace.
    pub namespace: Namespace,
    value: Box<str>,
    /// The profile it belongs to, named by the least index among its nodes.
    pub(crate) component: u16,
}

impl Node {
    /// The identifier itself.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        Identifier::from_stored(self.namespace.clone(), &self.value)
    }
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linked {
    /// Its two ends are one profile.
    Yes,
    /// A limit, or a person's word that they are two people, stood against it.
    Refused,
    /// A person took it away.
    Cut,
}

/// Evidence between two nodes. Invariant: `a < b`; `evidence` is not empty, is ordered by weight, and has one entry
/// for each (strength, source).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) cut_at: Option<Timestamp>,
    pub(crate) linked: Linked,
}

impl Edge {
    /// The indices of its ends.
    #[must_use]
    pub fn ends(&self) -> (usize, usize) {
        (usize::from(self.a), usize::from(self.b))
    }

    /// The evidence, weightiest first.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// What became of it.
    #[must_use]
    pub fn linked(&self) -> Linked {
        self.linked
    }

    /// When a person cut it.
    #[must_use]
    pub fn cut_at(&self) -> Option<Timestamp> {
        self.cut_at
    }
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// Pairs that a person said are two people.
    pub(crate) apart: BTreeSet<(FragmentId, FragmentId)>,
}

impl Graph {
    /// The nodes, in the order in which they came.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The index of the node of that fragment.
    #[must_use]
    pub fn find(&self, id: FragmentId) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// Adds an identifier, on its own. Returns its index; one that is there already stays as it is.
    pub fn insert(&mut self, identified: &Identified) -> usize {
        if let Some(at) = self.find(identified.id) {
            return at;
        }
        let at = self.nodes.len();
        self.nodes.push(Node {
            id: identified.id,
            namespace: identified.identifier.namespace().clone(),
            value: identified.identifier.value().into(),
            component: index(at),
        });
        at
    }

    /// Takes in all of `other`, whose nodes keep their order behind the ones here. The two must share no node.
    pub fn absorb(&mut self, other: Self) {
        let shift = index(self.nodes.len());
        self.nodes.extend(other.nodes.into_iter().map(|mut node| {
            node.component += shift;
            node
        }));
        self.edges.extend(other.edges.into_iter().map(|mut edge| {
            edge.a += shift;
            edge.b += shift;
            edge
        }));
        self.apart.extend(other.apart);
    }

    /// Records that `evidence` holds `a` and `b` together. Returns whether that says anything new: if so,
    /// [`Graph::resolve`] must follow.
    pub fn link(&mut self, a: usize, b: usize, evidence: Evidence) -> bool {
        let (a, b) = (index(a.min(b)), index(a.max(b)));
        if a == b {
            return false;
        }
        let Some(edge) = self.edges.iter_mut().find(|edge| (edge.a, edge.b) == (a, b)) else {
            self.edges.push(Edge { a, b, evidence: vec![evidence], cut_at: None, linked: Linked::Refused });
            return true;
        };
        let same = |known: &Evidence| known.strength == evidence.strength && known.source == evidence.source;
        match edge.evidence.iter_mut().find(|known| same(known)) {
            Some(known) if *known <= evidence => return false,
            Some(known) => *known = evidence,
            None => edge.evidence.push(evidence),
        }
        edge.evidence.sort();
        true
    }

    /// The indices of the nodes that are one profile with `node`, in order.
    pub fn component(&self, node: usize) -> impl Iterator<Item = usize> + Clone {
        let component = self.nodes.get(node).map(|node| node.component);
        (0..self.nodes.len()).filter(move |at| self.nodes.get(*at).map(|node| node.component) == component)
    }

    /// Whether two nodes are one profile.
    #[must_use]
    pub fn is_same(&self, a: usize, b: usize) -> bool {
        self.nodes.get(a).map(|node| node.component) == self.nodes.get(b).map(|node| node.component)
    }

    /// The profiles: the node indices of each.
    #[must_use]
    pub fn components(&self) -> Vec<Vec<usize>> {
        let heads = (0..self.nodes.len())
            .filter(|at| self.nodes.get(*at).is_some_and(|n| usize::from(n.component) == *at));
        heads.map(|head| self.component(head).collect()).collect()
    }

    /// Takes the fragments `away` out of the profile of `from`, and keeps them together as far as evidence does.
    /// Every edge between the two sides is cut, and later evidence does not join them again. Returns whether
    /// anything was cut. [`Graph::resolve`] must follow.
    pub fn split(&mut self, from: usize, away: &BTreeSet<FragmentId>, at: Timestamp) -> bool {
        let members: BTreeSet<usize> = self.component(from).collect();
        let is_away = |node: usize| self.nodes.get(node).is_some_and(|node| away.contains(&node.id));
        let (gone, stay): (Vec<usize>, Vec<usize>) = members.iter().partition(|node| is_away(**node));
        let (Some(first_gone), Some(first_stay)) = (gone.first(), stay.first()) else { return false };
        let id = |node: &usize| self.nodes.get(*node).map(|node| node.id).unwrap_or_default();
        let (x, y) = (id(first_gone), id(first_stay));
        self.apart.insert((x.min(y), x.max(y)));
        for edge in &mut self.edges {
            let (a, b) = edge.ends();
            let crosses =
                members.contains(&a) && members.contains(&b) && gone.contains(&a) != gone.contains(&b);
            if crosses && edge.cut_at.is_none() {
                edge.cut_at = Some(at);
            }
        }
        true
    }
}

impl Graph {
    /// Takes nodes out with all that is known of them, as if they had never been. [`Graph::resolve`] must follow.
    pub fn remove(&mut self, gone: &BTreeSet<FragmentId>) {
        let mut places: Vec<Option<u16>> = Vec::with_capacity(self.nodes.len());
        let mut kept = 0;
        for node in &self.nodes {
            let is_kept = !gone.contains(&node.id);
            places.push(is_kept.then(|| index(kept)));
            kept += usize::from(is_kept);
        }
        self.nodes.retain(|node| !gone.contains(&node.id));
        for (at, node) in self.nodes.iter_mut().enumerate() {
            node.component = index(at);
        }
        let place = |at: u16| places.get(usize::from(at)).copied().flatten();
        self.edges.retain_mut(|edge| match (place(edge.a), place(edge.b)) {
            (Some(a), Some(b)) => {
                (edge.a, edge.b) = (a, b);
                true
            }
            (None, _) | (_, None) => false,
        });
        self.apart.retain(|(x, y)| !gone.contains(x) && !gone.contains(y));
    }
}

fn index(at: usize) -> u16 {
    // A cluster never holds more than `CLUSTER_NODES_MAX`, which its callers ask before adding.
    u16::try_from(at).unwrap_or(u16::MAX)
}
