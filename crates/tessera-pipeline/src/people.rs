//! Who a person is to the evidence: every fragment by which the ledger may know them; and what is held of everybody.
//!
//! Shows nothing of anybody: keyed hashes and counts only.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{FragmentId, Namespace, NamespaceRules};
use tessera_profile::{Cluster, Row};
use tessera_store::{Key, Store, Table};

use crate::query::load_cluster;
use crate::{PipelineError, load_erasures};

const PAGE_ROWS: usize = 256;

/// All fragments of the person that `id` is a fragment of: those of the profile that there is now, and those that were
/// erased together with any of them. At least `id` itself.
///
/// # Errors
/// Those of the store.
pub fn fragments_of(store: &impl Store, id: FragmentId) -> Result<BTreeSet<FragmentId>, PipelineError> {
    let mut found: BTreeSet<FragmentId> = [id].into();
    if let Some((cluster, node)) = load_cluster(store, id)? {
        let ids: Vec<FragmentId> = cluster.ids().collect();
        found.extend(cluster.component(node).filter_map(|(at, _)| ids.get(at).copied()));
    }
    let erasures = load_erasures(store)?;
    // An erasure may lead to another: each was asked for by an identifier that the person had then.
    loop {
        let before = found.len();
        for row in &erasures {
            if row.fragments.iter().any(|fragment| found.contains(fragment)) {
                found.extend(row.fragments.iter().copied());
            }
        }
        if found.len() == before {
            return Ok(found);
        }
    }
}

/// The profile that a fragment is in now; `None`: there is none any more.
///
/// # Errors
/// Those of the store.
pub fn profile_of(store: &impl Store, id: FragmentId) -> Result<Option<FragmentId>, PipelineError> {
    Ok(load_cluster(store, id)?.map(|(cluster, node)| cluster.profile_id(node)))
}

/// Whether a fragment is an account's and not a person's; `None`: there is none any more.
///
/// # Errors
/// Those of the store.
pub fn is_account(store: &impl Store, id: FragmentId) -> Result<Option<bool>, PipelineError> {
    let Some((cluster, node)) = load_cluster(store, id)? else { return Ok(None) };
    let namespace = cluster.graph().nodes().get(node).map(|node| node.namespace.as_str());
    Ok(Some(namespace == Some(NamespaceRules::ACCOUNT)))
}

/// How many profiles hold each trait, by path. Walks through everybody.
///
/// # Errors
/// Those of the store.
pub fn count_fields(store: &impl Store) -> Result<BTreeMap<String, u64>, PipelineError> {
    let mut counts = BTreeMap::new();
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (_, value) in &page {
            if let Row::Cluster(cluster) = Row::decode(value)? {
                count(&cluster, &mut counts);
            }
        }
    }
    Ok(counts.into_iter().map(|(name, count)| (format!("traits.{name}"), count)).collect())
}

/// An identifier that stands with too many people. Named by its fragment: whose value it is may not be anybody's to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedIdentifier {
    /// Its fragment.
    pub fragment: FragmentId,
    /// Its namespace.
    pub namespace: Namespace,
    /// With how many identifiers it stood.
    pub stood_with: u64,
}

/// The identifiers that stand with too many people, those with the most first. Walks through everybody.
///
/// # Errors
/// Those of the store.
pub fn shared_identifiers(store: &impl Store) -> Result<Vec<SharedIdentifier>, PipelineError> {
    let mut stood: BTreeMap<FragmentId, u64> = BTreeMap::new();
    let mut found: BTreeMap<FragmentId, Namespace> = BTreeMap::new();
    crate::replay::for_each_row(store, &[Table::Cluster], |_, value| {
        let Row::Cluster(cluster) = Row::decode(value)? else { return Ok(()) };
        let graph = cluster.graph();
        let shared = graph.nodes().iter().enumerate().filter(|(_, node)| node.is_shared());
        for (at, node) in shared {
            let edges = graph.edges().iter().filter(|edge| edge.ends().0 == at || edge.ends().1 == at);
            *stood.entry(node.id).or_default() += u64::try_from(edges.count()).unwrap_or(u64::MAX);
            found.insert(node.id, node.namespace.clone());
        }
        for stub in graph.stubs() {
            *stood.entry(stub.id).or_default() += 1;
        }
        Ok(())
    })?;
    let counted = |(fragment, namespace)| {
        let stood_with = stood.get(&fragment).copied().unwrap_or(0);
        SharedIdentifier { fragment, namespace, stood_with }
    };
    let mut all: Vec<SharedIdentifier> = found.into_iter().map(counted).collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.stood_with), one.fragment));
    Ok(all)
}

fn count(cluster: &Cluster, counts: &mut BTreeMap<String, u64>) {
    for nodes in cluster.graph().components() {
        let fragments = nodes.iter().filter_map(|node| cluster.fragment(*node));
        let names: BTreeSet<&str> = fragments
            .flat_map(|fragment| fragment.traits.iter())
            .filter(|(entry, _)| entry.value != "null")
            .map(|(entry, _)| entry.name.as_str())
            .collect();
        for name in names {
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(counts.insert(name.to_owned(), 1)),
            }
        }
    }
}
