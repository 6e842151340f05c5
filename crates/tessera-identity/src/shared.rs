//! Identifiers that stand with too many people: a call centre's number, `test@test.com`.
//!
//! An identifier is shared when it has stood, on events, with more different identifiers of one stronger namespace than
//! its own namespace allows. More evidence never takes that back, so the order in which evidence comes does not matter. Its
//! edges are all refused; and so that a thousand people do not become one record because of it, later evidence that names
//! it is kept at the other end alone, as a [`Stub`]. What stands there counts as the edge would.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Namespace, NamespaceRules};

use crate::graph::index;
use crate::{CLUSTER_NODES_MAX, Evidence, Graph, Node};

/// Evidence that holds a node to a shared identifier of another cluster. It joins nothing. Holds no value: the shared
/// identifier is erased in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stub {
    pub(crate) node: u16,
    /// The fragment of the shared identifier.
    pub id: FragmentId,
    /// Its namespace.
    pub namespace: Namespace,
    pub(crate) evidence: Vec<Evidence>,
}

impl Stub {
    /// The index of the node that stood with it.
    #[must_use]
    pub fn node(&self) -> usize {
        usize::from(self.node)
    }

    /// The evidence, weightiest first.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }
}

impl Graph {
    /// The evidence that names shared identifiers of other clusters.
    #[must_use]
    pub fn stubs(&self) -> &[Stub] {
        &self.stubs
    }

    /// Records that a node stood with a shared identifier whose own cluster is another. Returns whether that says anything
    /// new: if so, [`Graph::resolve`] must follow. `None`: the cluster is full.
    pub fn stand_with(
        &mut self,
        node: usize,
        id: FragmentId,
        namespace: &Namespace,
        evidence: Evidence,
    ) -> Option<bool> {
        let node = index(node);
        if let Some(at) = self.stubs.iter().position(|stub| stub.node == node && stub.id == id) {
            let pair = self.stubs.get(at).map(|stub| self.stub_pair(stub)).unwrap_or_default();
            let known = self.stubs.get_mut(at).map(|stub| std::mem::take(&mut stub.evidence));
            let mut words = known.unwrap_or_default();
            let is_news = self.learn(pair, None, &mut words, evidence);
            self.stubs.get_mut(at).into_iter().for_each(|stub| stub.evidence = std::mem::take(&mut words));
            return Some(is_news);
        }
        if self.nodes.len() + self.stubs.len() >= CLUSTER_NODES_MAX {
            return None;
        }
        self.stubs.push(Stub { node, id, namespace: namespace.clone(), evidence: vec![evidence] });
        Some(true)
    }

    /// Remembers that other clusters hold evidence which names this node, so that losing some of the evidence here does
    /// not make it one person's again.
    pub fn stands_elsewhere(&mut self, node: usize) {
        self.nodes.get_mut(node).into_iter().for_each(|node| node.is_elsewhere = true);
    }

    /// A stub whose identifier has come into this cluster becomes an edge.
    pub(crate) fn settle_stubs(&mut self) {
        if self.stubs.is_empty() {
            return;
        }
        for stub in std::mem::take(&mut self.stubs) {
            match self.find(stub.id) {
                None => self.stubs.push(stub),
                Some(other) => {
                    for evidence in stub.evidence {
                        self.link(usize::from(stub.node), other, evidence);
                    }
                }
            }
        }
    }

    /// Marks the shared identifiers.
    pub(crate) fn find_shared(&mut self, rules: &NamespaceRules) {
        let mut degrees = vec![0_u16; self.nodes.len()];
        let mut count = |at: usize| degrees.get_mut(at).into_iter().for_each(|degree| *degree += 1);
        for edge in &self.edges {
            let (a, b) = edge.ends();
            count(a);
            count(b);
        }
        self.stubs.iter().for_each(|stub| count(stub.node()));
        for (at, degree) in degrees.into_iter().enumerate() {
            let Some(node) = self.nodes.get(at) else { continue };
            let limits = rules.limits(&node.namespace);
            let is_shared = limits.shared_after.people().is_some_and(|people| {
                let is_crowd = degree > people && self.people_with(at, rules) > usize::from(people);
                is_crowd || (node.is_shared && node.is_elsewhere && !self.is_taken_back(at))
            });
            self.nodes.get_mut(at).into_iter().for_each(|node| node.is_shared = is_shared);
        }
    }

    /// With how many people a node stood on events: the most identifiers of any one stronger namespace.
    fn people_with(&self, at: usize, rules: &NamespaceRules) -> usize {
        let Some(node) = self.nodes.get(at) else { return 0 };
        let own = rules.limits(&node.namespace).rank;
        let edges = self.edges.iter().filter_map(|edge| {
            let other = self.other_end(edge.ends(), at)?;
            let stood = edge.evidence.iter().any(|word| word.is_sight() && self.counts(edge, word));
            stood.then_some((&other.namespace, other.id))
        });
        let stubs = self.stubs.iter().filter(|stub| {
            let mut words = stub.evidence.iter();
            stub.node() == at && words.any(|word| word.is_sight() && self.counts_in_stub(stub, word))
        });
        let all = edges.chain(stubs.map(|stub| (&stub.namespace, stub.id)));
        let found: BTreeSet<(&Namespace, FragmentId)> =
            all.filter(|(namespace, _)| rules.limits(namespace).rank < own).collect();
        let namespaces: BTreeSet<&Namespace> = found.iter().map(|(namespace, _)| *namespace).collect();
        namespaces.into_iter().map(|one| found.iter().filter(|(of, _)| *of == one).count()).max().unwrap_or(0)
    }

    /// Whether evidence that names the node was taken back: what was known of it then counts no more.
    fn is_taken_back(&self, at: usize) -> bool {
        let mut edges = self.edges.iter().filter(|edge| self.other_end(edge.ends(), at).is_some());
        edges.any(|edge| edge.evidence.iter().any(|word| !self.counts(edge, word)))
    }

    fn other_end(&self, (a, b): (usize, usize), at: usize) -> Option<&Node> {
        let other = if a == at { b } else { a };
        self.nodes.get(other).filter(|_| a == at || b == at)
    }
}
