//! What stewards and matchers say about who is who, brought into clusters. Pure, as all of applying is.

use std::collections::BTreeSet;

use tessera_identity::{Evidence, Judgement, Word};
use tessera_model::{
    FragmentId, LinkOrder, MessageId, MessageKey, OFFICE, Score, SourceName, Strength, Timestamp, Verdict,
};
use tessera_profile::Cluster;

use crate::apply::Application;
use crate::shared::Census;

impl Application<'_> {
    /// Takes pairs as evidence. Who is not there, or was erased, is nobody to link.
    pub(crate) fn link(&mut self, pairs: &[LinkOrder], at: Timestamp, position: u64) {
        for (number, pair) in pairs.iter().enumerate() {
            let strength = match pair.strength {
                strength @ (Strength::Manual | Strength::Probable) => strength,
                // An event says these, never an order.
                Strength::Declared | Strength::Deterministic => continue,
            };
            let name = if strength == Strength::Probable { pair.by.as_str() } else { OFFICE };
            let Some(message) = message(position, number) else { continue };
            let Ok(source) = SourceName::parse(name).or_else(|_| SourceName::parse(OFFICE)) else { continue };
            let word = Word { by: pair.by.as_str().into(), reason: pair.reason.as_str().into() };
            let score: Option<Score> = pair.score.filter(|_| strength == Strength::Probable);
            let evidence = Evidence {
                strength,
                score,
                at: pair.at.min(at),
                message,
                source,
                received_at: at,
                word: Some(Box::new(word)),
            };
            self.bind((pair.a, pair.b), |cluster, a, b| cluster.link(a, b, evidence));
        }
    }

    /// Puts a steward's word on record.
    pub(crate) fn judge(
        &mut self,
        (a, b): (FragmentId, FragmentId),
        verdict: Verdict,
        word: Word,
        (at, position): (Timestamp, u64),
    ) {
        let (Some(message), Ok(source)) = (message(position, 0), SourceName::parse(OFFICE)) else { return };
        let evidence = (verdict == Verdict::Same).then(|| Evidence {
            strength: Strength::Manual,
            score: None,
            at,
            message,
            source,
            received_at: at,
            word: Some(Box::new(word.clone())),
        });
        self.bind((a, b), |cluster, one, other| {
            let is_new = cluster.judge(a, b, Judgement { verdict, at, word });
            let is_linked = evidence.is_some_and(|evidence| cluster.link(one, other, evidence));
            is_new || is_linked
        });
    }

    /// Does something to each of the clusters, and computes its profiles anew if that changed anything.
    pub(crate) fn each_cluster(
        &mut self,
        fragments: &[FragmentId],
        mut what: impl FnMut(&mut Cluster) -> bool,
    ) {
        let mut done: BTreeSet<FragmentId> = BTreeSet::new();
        for id in fragments {
            if let Some(root) = self.view.root(*id).filter(|root| done.insert(*root)) {
                self.change(root, *id, &mut what);
            }
        }
    }

    /// Brings two fragments into one cluster, whether or not they become one profile.
    fn bind(
        &mut self,
        (a, b): (FragmentId, FragmentId),
        what: impl FnOnce(&mut Cluster, usize, usize) -> bool,
    ) {
        let (Some(one), Some(other)) = (self.view.root(a), self.view.root(b)) else { return };
        let Some(root) = self.join(one, other) else {
            self.view.totals_mut().overflowing_identifiers += 1;
            return;
        };
        self.view.shorten(a, root);
        self.view.shorten(b, root);
        self.change(root, a, |cluster| match (cluster.find(a), cluster.find(b)) {
            (Some(a), Some(b)) => what(cluster, a, b),
            (None, _) | (_, None) => false,
        });
    }

    /// Does something to a cluster; if that changed anything, computes its profiles anew, counts and tells.
    pub(crate) fn change(
        &mut self,
        root: FragmentId,
        own: FragmentId,
        what: impl FnOnce(&mut Cluster) -> bool,
    ) {
        let namespaces = &self.settings.rules.namespaces;
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let before = Census::of(cluster);
        if !what(cluster) {
            return;
        }
        cluster.resolve(namespaces);
        let own = cluster.find(own).map(|node| cluster.profile_id(node)).unwrap_or_default();
        let after = Census::of(cluster);
        if before.parts != after.parts {
            let changed = after.parts.iter().filter(|part| !before.parts.contains(part));
            let heads: Vec<FragmentId> =
                changed.filter_map(|part| Some(cluster.graph().nodes().get(*part.first()?)?.id)).collect();
            if self.is_following() {
                heads.into_iter().for_each(|id| self.asking.whole_in(root, id));
            }
        }
        self.tell_of(&before, &after, own);
    }
}

fn message(position: u64, number: usize) -> Option<MessageKey> {
    let id = MessageId::parse(&format!("order-{position}-{number}")).ok()?;
    Some(MessageKey::from(&id))
}
