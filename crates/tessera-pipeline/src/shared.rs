//! Identifiers that stand with too many people, and what of people's clusters they may touch. Pure, as all of applying is.

use tessera_identity::{Evidence, RefusalReason};
use tessera_model::{FragmentId, Identified, IdentityStrategy, Timestamp};
use tessera_profile::Cluster;

use crate::apply::{Application, as_u64};

/// What is counted of a cluster.
pub(crate) struct Census {
    /// The profiles.
    pub(crate) profiles: Vec<FragmentId>,
    /// Which identifiers are one profile's.
    pub(crate) parts: Vec<Vec<usize>>,
    /// Its shared identifiers.
    shared: u64,
    /// Its refused edges, by reason.
    refused: Vec<RefusalReason>,
}

impl Census {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let graph = cluster.graph();
        let components = graph.components();
        let heads = components.iter().filter_map(|nodes| nodes.first());
        let profiles = heads.map(|node| cluster.profile_id(*node)).collect();
        Self {
            profiles,
            parts: components,
            shared: as_u64(graph.nodes().iter().filter(|node| node.is_shared()).count()),
            refused: {
                let edges = graph.edges().iter().filter_map(|edge| Some(edge.refusal()?.reason));
                edges.chain(graph.stubs().iter().map(|_| RefusalReason::Shared)).collect()
            },
        }
    }
}

impl Application<'_> {
    /// Keeps the totals when a cluster has become another.
    pub(crate) fn count(&mut self, before: &Census, after: &Census) {
        let totals = self.view.totals_mut();
        let moved = |total: u64, after: u64, before: u64| (total + after).saturating_sub(before);
        totals.profiles = moved(totals.profiles, as_u64(after.profiles.len()), as_u64(before.profiles.len()));
        totals.shared_identifiers = moved(totals.shared_identifiers, after.shared, before.shared);
        for reason in &after.refused {
            *totals.refused_edges.entry(reason.as_str().to_owned()).or_default() += 1;
        }
        for reason in &before.refused {
            if let Some(total) = totals.refused_edges.get_mut(reason.as_str()) {
                *total = total.saturating_sub(1);
            }
        }
        totals.refused_edges.retain(|_, total| *total > 0);
    }

    /// The identifier was seen at that time. Where since when a person is known decides who joins, an earlier sight may
    /// decide anew.
    pub(crate) fn saw(&mut self, root: FragmentId, identified: &Identified, at: Timestamp) {
        let strategy = self.settings.rules.namespaces.strategy();
        let is_following = self.is_following();
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let node = cluster.insert(identified);
        let Some(fragment) = cluster.fragment_mut(node) else { return };
        let is_earlier = at < fragment.first_seen_at;
        fragment.touch(at);
        if is_earlier && is_following {
            // Somebody new, or somebody whose profile may be called otherwise.
            self.asking.whole(identified.id);
        }
        if is_earlier
            && strategy == IdentityStrategy::ProfileConversion
            && !cluster.graph().edges().is_empty()
        {
            self.change(root, identified.id, |_| true);
        }
    }

    /// Keeps evidence that names a shared identifier at its other end alone, so that the shared one brings no more clusters
    /// together. `false`: neither is shared, or they are in one cluster already.
    pub(crate) fn keep_apart(&mut self, owner: &Identified, other: &Identified, evidence: Evidence) -> bool {
        let ends = [owner, other];
        let roots = ends.map(|end| self.view.root(end.id));
        if roots.first() == roots.last() {
            return false;
        }
        let is_shared = ends.map(|end| {
            let found =
                self.view.cluster_of(end.id).and_then(|(cluster, at)| cluster.graph().nodes().get(at));
            let namespaces = &self.settings.rules.namespaces;
            found.is_some_and(|node| {
                node.is_shared() && namespaces.limits(&node.namespace).shared_after.people().is_some()
            })
        });
        let (here, there) = match is_shared {
            [false, false] => return false,
            // Neither says anything of the other.
            [true, true] => (None, [Some(owner), Some(other)]),
            [false, true] => (Some(owner), [None, Some(other)]),
            [true, false] => (Some(other), [Some(owner), None]),
        };
        for shared in there.iter().copied().flatten() {
            let Some(cluster) = self.view.root(shared.id).and_then(|root| self.view.cluster_mut(root)) else {
                continue;
            };
            if let Some(node) = cluster.find(shared.id) {
                cluster.stands_elsewhere(node);
            }
        }
        let (Some(one), Some(shared)) = (here, there.into_iter().flatten().next()) else { return true };
        let root = self.place(one);
        let mut is_full = false;
        self.change(root, one.id, |cluster| {
            let node = cluster.insert(one);
            let said = cluster.stand_with(node, shared, evidence);
            is_full = said.is_none();
            said == Some(true)
        });
        if is_full {
            self.view.totals_mut().overflowing_identifiers += 1;
        }
        true
    }
}
