//! One cluster of identifiers and the evidence between them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tessera_model::{FragmentId, Identified, Identifier, IdentifierForm, Namespace, Timestamp};

use crate::evidence::Overruled;
use crate::{Evidence, Judgement, Refusal, Stub, Undone};

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
    form: IdentifierForm,
    value: SmolStr,
    /// It stands with too many people to say who one is.
    pub(crate) is_shared: bool,
    /// Other clusters hold evidence that names it.
    pub(crate) is_elsewhere: bool,
    /// The profile it belongs to, named by the least index among its nodes.
    pub(crate) component: u16,
}

impl Node {
    /// The identifier itself.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        Identifier::from_stored(self.namespace.clone(), self.form, &self.value)
    }

    /// Whether it stands with too many people to say who one is.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Learns the clear form of a value that was known by its hash only.
    fn learn(&mut self, identifier: &Identifier) {
        if self.form == IdentifierForm::Hashed && identifier.form() == IdentifierForm::Clear {
            self.form = IdentifierForm::Clear;
            self.value = identifier.value().into();
        }
    }
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linked {
    /// Its two ends are one profile.
    Yes,
    /// A rule, or a person's word that they are two people, stood against it: see [`Edge::refusal`].
    Refused,
    /// A split took it away.
    Cut,
    /// An undo, or a steward who took a word back, left no evidence that counts.
    Undone,
}

/// Evidence between two nodes. Invariant: `a < b`; `evidence` is not empty, is ordered by weight, and has for each
/// (strength, source) at most six entries that count and six that do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) cut_at: Option<Timestamp>,
    pub(crate) linked: Linked,
    pub(crate) refusal: Option<Refusal>,
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

    /// What stood against it, if it was refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// When a split cut it.
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
    /// Pairs, the lesser id first, that stewards or splits said are two people, or took such a word back.
    pub(crate) judged: BTreeMap<(FragmentId, FragmentId), Judgement>,
    /// Words in `judged` that a steward said the opposite of later.
    pub(crate) overruled: BTreeSet<Overruled>,
    /// What undos took away.
    pub(crate) undone: BTreeSet<Undone>,
    /// Evidence that names shared identifiers whose own cluster is another.
    pub(crate) stubs: Vec<Stub>,
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

    /// Adds an identifier, on its own. Returns its index; one that is there already stays as it is, but that a clear
    /// value takes the place of its hash.
    pub fn insert(&mut self, identified: &Identified) -> usize {
        if let Some(at) = self.find(identified.id) {
            self.nodes.get_mut(at).into_iter().for_each(|node| node.learn(&identified.identifier));
            return at;
        }
        let at = self.nodes.len();
        self.nodes.push(Node {
            id: identified.id,
            namespace: identified.identifier.namespace().clone(),
            form: identified.identifier.form(),
            value: identified.identifier.value().into(),
            is_shared: false,
            is_elsewhere: false,
            component: index(at),
        });
        self.settle_stubs();
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
        for (pair, judgement) in other.judged {
            self.note(pair, judgement);
        }
        self.overruled.extend(other.overruled);
        self.undone.extend(other.undone);
        self.stubs.extend(other.stubs.into_iter().map(|mut stub| {
            stub.node += shift;
            stub
        }));
        self.settle_stubs();
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
        self.stubs.retain_mut(|stub| match place(stub.node) {
            Some(at) => {
                stub.node = at;
                !gone.contains(&stub.id)
            }
            None => false,
        });
        let is_here = |(x, y): &(FragmentId, FragmentId)| !gone.contains(x) && !gone.contains(y);
        self.judged.retain(|pair, _| is_here(pair));
        self.overruled.retain(|overruled| is_here(&overruled.pair) && is_here(&overruled.by));
    }
}

pub(crate) fn index(at: usize) -> u16 {
    // A cluster never holds more than `CLUSTER_NODES_MAX`, which its callers ask before adding.
    u16::try_from(at).unwrap_or(u16::MAX)
}
