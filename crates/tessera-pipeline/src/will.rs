//! What a person said about purposes, with what follows from it; and the values by which somebody who was erased could be
//! found again.
//!
//! Not a profile: of everything else a person is, only [`crate::Query`] and [`crate::Search`] tell.

use std::collections::BTreeSet;

use tessera_identity::Node;
use tessera_model::{FragmentId, PurposeName, Rules, Secret, Timestamp};
use tessera_policy::{ConsentRecord, Grant};
use tessera_profile::{Cluster, SubscriptionView, fold, subscriptions};
use tessera_store::Store;

use crate::PipelineError;
use crate::query::load_cluster;

/// What a person said about purposes, all of it, and what follows from it now. It is the proof of every decision, so
/// that it may be shown whatever is decided.
#[derive(Debug)]
pub struct Will {
    /// The profile.
    pub profile: FragmentId,
    /// Every fragment of the person.
    pub fragments: Vec<FragmentId>,
    /// Every word, by purpose and then by time; absent: about the whole person.
    pub words: Vec<(Option<PurposeName>, ConsentRecord)>,
    /// Which contact points take messages.
    pub subscriptions: Vec<SubscriptionView>,
    /// What each purpose is decided now.
    pub grant: Grant,
}

/// What the person of `id` said about purposes. `None`: there is nobody.
///
/// # Errors
/// Those of the store.
pub fn will_of(
    store: &impl Store,
    rules: &Rules,
    id: FragmentId,
    now: Timestamp,
) -> Result<Option<Will>, PipelineError> {
    let Some((cluster, node)) = load_cluster(store, id)? else { return Ok(None) };
    let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
    let distinct: BTreeSet<ConsentRecord> = consents().flat_map(|consents| consents.iter()).collect();
    let mut words: Vec<(Option<PurposeName>, ConsentRecord)> = distinct
        .into_iter()
        .map(|record| (record.purpose.and_then(|id| rules.purposes.name(id)).cloned(), record))
        .collect();
    words.sort_by(|(a, x), (b, y)| {
        (a, x.first_at, x.last_at, x.status).cmp(&(b, y.first_at, y.last_at, y.status))
    });
    Ok(Some(Will {
        profile: cluster.profile_id(node),
        fragments: ids_of(&cluster, node),
        words,
        subscriptions: fold(&cluster, node, &rules.survivorship)
            .map(|folded| subscriptions(&cluster, &folded))
            .unwrap_or_default(),
        grant: Grant::decide(rules.purposes.iter(), consents(), now),
    }))
}

/// Every fragment of the profile that `node` is in.
pub(crate) fn ids_of(cluster: &Cluster, node: usize) -> Vec<FragmentId> {
    cluster
        .component(node)
        .filter_map(|(at, _)| cluster.graph().nodes().get(at).map(|node| node.id))
        .collect()
}

/// Values by which a person could be found again, to look for them after an erasure. They are for a scan of one's own
/// data folder and leave the process nowhere.
#[derive(Clone, Debug, Default)]
pub struct PersonValues {
    /// Identifiers, by namespace.
    pub identifiers: Vec<(String, Secret)>,
    /// Texts in traits, by name: others may have the same.
    pub texts: Vec<(String, Secret)>,
}

/// The values of the people of `ids`; texts of fewer than `bytes_min` bytes are left out, for they are found by chance.
///
/// # Errors
/// Those of the store.
pub fn values_of(
    store: &impl Store,
    ids: &[FragmentId],
    bytes_min: usize,
) -> Result<PersonValues, PipelineError> {
    let mut values = PersonValues::default();
    for id in ids {
        let Some((cluster, node)) = load_cluster(store, *id)? else { continue };
        for (at, fragment) in cluster.component(node) {
            if let Some(identifier) = cluster.graph().nodes().get(at).map(Node::identifier) {
                let namespace = identifier.namespace().as_str().to_owned();
                values.identifiers.push((namespace, Secret::new(identifier.value())));
            }
            for (entry, _) in fragment.traits.iter() {
                if let Ok(text) = serde_json::from_str::<String>(&entry.value)
                    && text.len() >= bytes_min
                {
                    values.texts.push((entry.name.to_string(), Secret::new(text)));
                }
            }
        }
    }
    Ok(values)
}
