//! Who a person is to the evidence: every fragment by which the ledger may know them; and what is held of everybody.
//!
//! Shows nothing of anybody: keyed hashes and counts only.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::FragmentId;
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

fn count(cluster: &Cluster, counts: &mut BTreeMap<String, u64>) {
    for nodes in cluster.graph().components() {
        let fragments = nodes.iter().filter_map(|node| cluster.fragment(*node));
        let names: BTreeSet<&str> = fragments
            .flat_map(|fragment| fragment.traits.iter())
            .filter(|(entry, _)| entry.value.as_ref() != "null")
            .map(|(entry, _)| entry.name.as_ref())
            .collect();
        for name in names {
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(counts.insert(name.to_owned(), 1)),
            }
        }
    }
}
