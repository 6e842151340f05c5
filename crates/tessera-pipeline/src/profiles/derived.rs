//! What snapshots tell of people that nobody said: of which audiences they were members, and their computed traits.
//!
//! Invariant: a row serves one purpose, and has what a reader for that purpose would have been shown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tessera_model::{
    AudienceId, AudienceName, Document, FragmentId, NamespaceRules, Purpose, PurposeName, PurposeSet, Rules,
    Timestamp,
};
use tessera_policy::{Grant, Labels};
use tessera_profile::{Cluster, Folded, fold, is_served};
use tessera_store::{ProfileRow, Store};

use super::is_restricted;
use crate::PipelineError;
use crate::audience::{Computing, memberships};

/// What follows of somebody for one purpose.
#[derive(Default)]
struct Derived {
    audiences: Vec<(Box<str>, Timestamp)>,
    computed_traits: Vec<(Box<str>, Box<str>)>,
}

/// Works out what follows of people.
pub(super) struct Deriving<'a, S> {
    store: &'a S,
    rules: &'a Rules,
    labels: Labels,
    computing: Option<Computing>,
    audiences: BTreeMap<AudienceId, (AudienceName, PurposeName)>,
    now: Timestamp,
}

impl<'a, S: Store> Deriving<'a, S> {
    pub(super) fn of(store: &'a S, rules: &'a Rules, now: Timestamp) -> Result<Self, PipelineError> {
        let mut audiences = BTreeMap::new();
        for document in rules.workspace.documents() {
            if let Document::Audience(one) = document {
                let named = (one.name.clone(), one.purpose.clone());
                audiences.insert(AudienceId::of(&one.name, &one.purpose), named);
            }
        }
        Ok(Self {
            store,
            rules,
            labels: Labels::new(rules),
            computing: Computing::of(store, rules)?,
            audiences,
            now,
        })
    }

    /// A row for each person of the cluster and each purpose that anything is worked out for.
    pub(super) fn rows_of(
        &self,
        cluster: &Cluster,
        position: u64,
        into: &mut VecDeque<ProfileRow>,
    ) -> Result<(), PipelineError> {
        if self.audiences.is_empty() && self.computing.is_none() {
            return Ok(());
        }
        let nodes = cluster.graph().nodes();
        for component in cluster.graph().components() {
            let is_account = |at: &usize| {
                nodes.get(*at).is_some_and(|node| node.namespace.as_str() == NamespaceRules::ACCOUNT)
            };
            let Some(node) = component.first().copied().filter(|_| !component.iter().any(is_account)) else {
                continue;
            };
            let found = self.found(cluster, node)?;
            if found.is_empty() {
                continue;
            }
            let Some(folded) = fold(cluster, node, &self.rules.survivorship) else { continue };
            for (purpose, derived) in found {
                if let Some(purpose) = self.rules.purposes.get(&purpose)
                    && self.may_use(cluster, &folded, purpose)
                {
                    into.push_back(self.row((cluster, &folded), (purpose, derived), position));
                }
            }
        }
        Ok(())
    }

    /// What there is for each purpose, whether or not it may be used.
    fn found(&self, cluster: &Cluster, node: usize) -> Result<BTreeMap<PurposeName, Derived>, PipelineError> {
        let mut found: BTreeMap<PurposeName, Derived> = BTreeMap::new();
        let known = memberships(cluster, node).into_iter();
        for ((name, purpose), since) in
            known.filter_map(|(id, since)| Some((self.audiences.get(&id)?, since)))
        {
            found.entry(purpose.clone()).or_default().audiences.push((name.as_str().into(), since));
        }
        if let Some(computing) = &self.computing {
            for (name, (purpose, value)) in
                computing.values((cluster, node), (self.store, self.rules, self.now))?
            {
                let value = value.filter(|_| self.may_hold(&name, &purpose));
                if let Some(value) = value {
                    found.entry(purpose).or_default().computed_traits.push((name.into(), value.get().into()));
                }
            }
        }
        Ok(found)
    }

    /// Whether no label keeps a computed trait from the purpose that it serves.
    fn may_hold(&self, name: &str, purpose: &PurposeName) -> bool {
        let labels = self.labels.labels_within(&format!("traits.{name}"));
        let purpose = self.rules.purposes.get(purpose);
        purpose.is_some_and(|purpose| self.labels.forbidden(labels, purpose, None).is_none())
    }

    fn may_use(&self, cluster: &Cluster, folded: &Folded<'_>, purpose: &Arc<Purpose>) -> bool {
        let node = folded.nodes.first().copied().unwrap_or_default();
        let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let grant = Grant::decide([purpose], fragments, self.now);
        !grant.permits().is_empty() && is_served(cluster, folded, &grant)
    }

    fn row(
        &self,
        (cluster, folded): (&Cluster, &Folded<'_>),
        (purpose, derived): (&Purpose, Derived),
        position: u64,
    ) -> ProfileRow {
        let nodes = cluster.graph().nodes();
        let node = folded.nodes.first().copied().unwrap_or_default();
        let own = cluster.component(node).filter_map(|(at, _)| nodes.get(at));
        let made_of: Vec<FragmentId> = own.map(|own| own.id).collect();
        ProfileRow {
            position,
            taken_at: self.now,
            profile: folded.id,
            fragment: folded.id,
            purposes: PurposeSet::from_iter([purpose.id]),
            first_seen_at: folded.first_seen_at,
            last_seen_at: folded.last_seen_at,
            is_restricted: is_restricted(cluster, node),
            traits: Vec::new(),
            audiences: derived.audiences,
            computed_traits: derived.computed_traits,
            made_of,
        }
    }
}
