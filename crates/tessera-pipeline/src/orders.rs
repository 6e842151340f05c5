//! What people order about people: splits, consent, rectification, erasure, the end of data whose purposes are over.
//! Pure, as all of applying is.

use std::collections::BTreeSet;

use tessera_identity::{Undone, Word};
use tessera_model::{
    ConsentOrder, FragmentId, Json, LegalBasis, MessageId, MessageKey, OFFICE, Operation, PurposeSet,
    Purposes, Reject, SourceName, Timestamp, Trait,
};
use tessera_policy::{ConsentRecord, covering, is_in_time};
use tessera_profile::{Basis, Cluster};

use crate::apply::{Application, as_u64};
use crate::shared::Census;
use crate::{PipelineError, RejectId, RejectRow};

impl Application<'_> {
    /// Applies an order that concerns rows; the workspace is the pipeline's own business.
    pub(crate) fn operation(
        &mut self,
        operation: &Operation,
        at: Timestamp,
        position: u64,
    ) -> Result<(), PipelineError> {
        match operation {
            Operation::Split { fragments, reason } => self.split(fragments, reason, at),
            Operation::Link { pairs } => self.link(pairs, at, position),
            Operation::Judge { a, b, verdict, by, reason } => {
                self.judge(
                    (*a, *b),
                    *verdict,
                    Word { by: by.as_str().into(), reason: reason.as_str().into() },
                    (at, position),
                );
            }
            Operation::Undo { id, selector, fragments, .. } => {
                let undone = Undone { id: *id, selector: selector.clone(), at };
                self.each_cluster(fragments, |cluster| cluster.undo(undone.clone()));
            }
            Operation::Redo { id, fragments, .. } => {
                self.each_cluster(fragments, |cluster| cluster.redo(*id))
            }
            Operation::Resolve { fragments } => self.each_cluster(fragments, |_| true),
            Operation::Consents { fragments, words } => self.words(fragments, words, at),
            Operation::Rectify { fragment, traits, .. } => self.rectify(*fragment, traits, at, position),
            Operation::Erase { fragments, .. } => self.erase(fragments, at),
            Operation::LiftErasure { fragments } => self.lift(fragments),
            Operation::Expire { fragments } => self.expire(fragments, at),
            Operation::Reject { source, code, reason, payload, is_cut, line } => {
                let mut row =
                    RejectRow::of(&Reject::new(*code, reason.clone(), payload.as_bytes()), source, at);
                row.is_cut |= is_cut;
                row.line = *line;
                self.reject(RejectId { position, index: 0 }, &row)?;
            }
            Operation::Apply { .. }
            | Operation::ApplySealed { .. }
            | Operation::CloseReject { .. }
            | Operation::PutAccount { .. }
            | Operation::RemoveAccount { .. }
            | Operation::PutRequest { .. }
            | Operation::PutAudit { .. }
            | Operation::PutModel { .. }
            | Operation::Tick {}
            | Operation::FillAudience { .. }
            | Operation::AudienceFilled { .. }
            | Operation::PutReviews { .. }
            | Operation::PutAlert { .. } => {}
        }
        Ok(())
    }

    /// Takes fragments out of the profile they share with others.
    fn split(&mut self, fragments: &[FragmentId], reason: &str, at: Timestamp) {
        let Some(first) = fragments.first().copied() else { return };
        let Some(root) = self.view.root(first) else { return };
        let word = Word { by: OFFICE.into(), reason: reason.into() };
        self.change(root, first, |cluster| {
            let away = fragments.iter().copied().collect();
            cluster.find(first).is_some_and(|node| cluster.split(node, &away, at, word))
        });
    }

    /// Puts words on every fragment of the people meant.
    fn words(&mut self, fragments: &[FragmentId], words: &[ConsentOrder], at: Timestamp) {
        let Ok(source) = SourceName::parse(OFFICE) else { return };
        let purposes = &self.settings.rules.purposes;
        let mut records = Vec::with_capacity(words.len());
        for word in words {
            let purpose = match &word.purpose {
                None if word.status.is_personal() => None,
                Some(name) if !word.status.is_personal() => match purposes.get(name) {
                    Some(purpose) => Some(purpose.id),
                    None => continue,
                },
                None | Some(_) => continue,
            };
            let said_at = word.at.unwrap_or(at).min(at);
            records.push(ConsentRecord {
                purpose,
                status: word.status,
                expression: word.expression,
                version: word
                    .version
                    .or_else(|| purpose.map(|id| purposes.version_at(id, said_at)))
                    .unwrap_or(0),
                first_at: said_at,
                last_at: said_at,
                source: source.clone(),
                how: word.how.as_deref().map(Into::into),
                evidence: word.evidence.as_deref().map(Into::into),
            });
        }
        for id in fragments {
            let Some(root) = self.view.root(*id) else { continue };
            let Some(cluster) = self.view.cluster_mut(root) else { continue };
            let Some(node) = cluster.find(*id) else { continue };
            let nodes: Vec<usize> = cluster.component(node).map(|(at, _)| at).collect();
            for node in nodes {
                if let Some(fragment) = cluster.fragment_mut(node) {
                    records.iter().for_each(|record| fragment.consent(record.clone()));
                }
            }
        }
    }

    /// Puts traits right in the fragment that holds each, or in the one named.
    fn rectify(
        &mut self,
        id: FragmentId,
        traits: &std::collections::BTreeMap<String, serde_json::Value>,
        at: Timestamp,
        position: u64,
    ) {
        let (Some(root), Ok(source)) = (self.view.root(id), SourceName::parse(OFFICE)) else { return };
        let Ok(message) = MessageId::parse(&format!("rectification-{position}")) else { return };
        let Some(cluster) = self.view.cluster_mut(root) else { return };
        let Some(node) = cluster.find(id) else { return };
        for (name, value) in traits {
            let holders: Vec<(usize, Basis)> = holders(cluster, node, name);
            let Ok(json) = Json::parse(value.to_string()) else { continue };
            let right = [Trait { name: name.as_str().into(), value: json }];
            for (holder, basis) in holders {
                let basis = Basis { source: source.clone(), ..basis };
                if let Some(fragment) = cluster.fragment_mut(holder) {
                    fragment.rectify(&right, &basis, at, MessageKey::from(&message));
                }
            }
        }
    }

    /// Takes the people meant out of the state, and marks each of their identifiers. What the law obliges to keep of
    /// them stays, for that alone (GDPR Art. 17(3)(b)).
    fn erase(&mut self, fragments: &[FragmentId], at: Timestamp) {
        for id in fragments {
            if self.spare(*id, at) {
                continue;
            }
            self.erase_one(*id, at);
            // Also one that was never seen: what comes of it later is not kept.
            self.view.bury(*id, Some(at));
        }
    }

    /// Erases a person but for what the law obliges to keep. `false`: there is nothing of the kind.
    fn spare(&mut self, id: FragmentId, at: Timestamp) -> bool {
        let purposes = &self.settings.rules.purposes;
        let legal = obligations(purposes);
        let Some(root) = self.view.root(id) else { return false };
        let Some(cluster) = self.view.cluster_mut(root) else { return false };
        let Some(node) = cluster.find(id) else { return false };
        if !owes(cluster, node, purposes, at) {
            return false;
        }
        let mut removed = 0;
        let nodes: Vec<usize> = cluster.component(node).map(|(at, _)| at).collect();
        for node in nodes {
            let Some(fragment) = cluster.fragment_mut(node) else { continue };
            removed += fragment.narrow(legal, |basis, said| is_kept(purposes, legal, basis, said, at));
            fragment.consents.erase(at);
            fragment.forget_announcements();
        }
        let totals = self.view.totals_mut();
        totals.erased += 1;
        totals.expired += as_u64(removed);
        true
    }

    fn erase_one(&mut self, id: FragmentId, at: Timestamp) {
        let namespaces = &self.settings.rules.namespaces;
        let Some(root) = self.view.root(id) else { return };
        let Some(mut cluster) = self.view.take(root) else { return };
        let Some(node) = cluster.find(id) else { return };
        let before = Census::of(&cluster);
        let gone: BTreeSet<FragmentId> = cluster
            .component(node)
            .filter_map(|(at, _)| cluster.graph().nodes().get(at).map(|node| node.id))
            .collect();
        cluster.remove(&gone);
        cluster.resolve(namespaces);
        let after = Census::of(&cluster);
        self.count(&before, &after);
        for id in &gone {
            self.view.bury(*id, Some(at));
        }
        // Who stays is found straight, for the way there may have led over what went.
        let stay: Vec<FragmentId> = cluster.ids().collect();
        if let Some((root, others)) = stay.split_first() {
            self.view.put(*root, cluster);
            for other in others {
                self.view.point(*other, *root);
            }
        }
        let totals = self.view.totals_mut();
        totals.erased += 1;
        totals.identifiers = totals.identifiers.saturating_sub(as_u64(gone.len()));
    }

    fn lift(&mut self, fragments: &[FragmentId]) {
        for id in fragments {
            if self.view.is_erased(*id) {
                self.view.bury(*id, None);
            } else if let Some(cluster) = self.view.root(*id).and_then(|root| self.view.cluster_mut(root)) {
                let node = cluster.find(*id);
                if let Some(fragment) = node.and_then(|node| cluster.fragment_mut(node)) {
                    fragment.consents.lift_erasure();
                }
            }
        }
    }

    /// Removes what no purpose covers any more. A purpose covers data that serves it as long as it permits to keep it,
    /// and its time is not over.
    fn expire(&mut self, fragments: &[FragmentId], now: Timestamp) {
        let purposes = &self.settings.rules.purposes;
        let (mut removed, mut ended) = (0, Vec::new());
        for id in fragments {
            let Some((cluster, node)) = self.view.root(*id).and_then(|root| {
                let cluster = self.view.cluster_mut(root)?;
                let node = cluster.find(*id)?;
                Some((cluster, node))
            }) else {
                continue;
            };
            let covered = kept_purposes(cluster, node, purposes, now);
            let nodes: Vec<usize> = cluster.component(node).map(|(at, _)| at).collect();
            for node in nodes {
                if let Some(fragment) = cluster.fragment_mut(node) {
                    removed += fragment.retain(|basis, at| is_kept(purposes, covered, basis, at, now));
                }
            }
            let mut theirs = cluster.component(node).map(|(_, fragment)| fragment);
            let is_over =
                theirs.all(|fragment| fragment.consents.erased_at().is_some() && fragment.values() == 0);
            ended.extend(is_over.then_some(*id));
        }
        self.view.totals_mut().expired += as_u64(removed);
        // What the law obliged to keep of somebody erased is over.
        for id in ended {
            self.erase_one(id, now);
        }
    }
}

fn holders(cluster: &Cluster, node: usize, name: &str) -> Vec<(usize, Basis)> {
    let of = |fragment: &tessera_profile::Fragment| {
        let (_, word) = fragment.traits.iter().find(|(entry, _)| entry.name.as_str() == name)?;
        fragment.basis_of(word.basis).cloned()
    };
    let found: Vec<(usize, Basis)> =
        cluster.component(node).filter_map(|(at, fragment)| Some((at, of(fragment)?))).collect();
    if !found.is_empty() {
        return found;
    }
    // A trait that nobody has said yet stands on the ground of whatever else is known.
    let any = cluster.component(node).find_map(|(at, f)| f.bases().first().map(|basis| (at, basis.clone())));
    any.into_iter().collect()
}

/// The purposes that rest on an obligation of the law.
pub(crate) fn obligations(purposes: &Purposes) -> PurposeSet {
    let is_legal = |purpose: &&std::sync::Arc<tessera_model::Purpose>| {
        purpose.document.basis == LegalBasis::LegalObligation && !purpose.document.retired
    };
    purposes.iter().filter(is_legal).map(|purpose| purpose.id).collect()
}

/// Whether the law obliges to keep anything of a person.
pub(crate) fn owes(cluster: &Cluster, node: usize, purposes: &Purposes, now: Timestamp) -> bool {
    let legal = obligations(purposes);
    let mut theirs = cluster.component(node).map(|(_, fragment)| fragment);
    theirs.any(|fragment| fragment.any_value(|basis, at| is_kept(purposes, legal, basis, at, now)))
}

/// The purposes that permit to keep the data of a profile.
pub(crate) fn kept_purposes(
    cluster: &Cluster,
    node: usize,
    purposes: &Purposes,
    now: Timestamp,
) -> PurposeSet {
    let all = purposes.iter().map(|purpose| purpose.id).collect();
    let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
    covering(purposes, all, fragments, now).0
}

/// Whether a value on this basis and of this time is still covered.
pub(crate) fn is_kept(
    purposes: &Purposes,
    covered: PurposeSet,
    basis: &Basis,
    at: Timestamp,
    now: Timestamp,
) -> bool {
    basis
        .purposes
        .and(covered)
        .iter()
        .filter_map(|id| purposes.by_id(id))
        .any(|purpose| is_in_time(purpose, at, now))
}
