//! Bringing every cluster to the identity rules in force, after they changed. An event brings its own cluster to them; this
//! brings the rest, by orders through the log.
//!
//! Invariant: once a walk is done, every cluster is divided as the rules say, and a walk more orders nothing.

use tessera_model::{FragmentId, Rules};
use tessera_profile::{Cluster, Row};
use tessera_store::{Key, Store, Table};

use crate::undo::Looked;
use crate::{PipelineError, load_totals};

/// Most clusters in one order: one commit.
const ORDER_CLUSTERS_MAX: usize = 500;
const PAGE_ROWS: usize = 1024;
const RESOLVED: &str = "identity/resolved";

/// A cluster as these rules divide it.
pub(crate) fn resolved(cluster: &Cluster, rules: &Rules) -> Cluster {
    let mut cluster = cluster.clone();
    cluster.resolve(&rules.namespaces);
    cluster
}

/// What says who is one person, of all that a workspace says, as a number. 0: nothing that it says does.
pub(crate) fn identity_version(rules: &Rules) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut is_said = false;
    for document in rules.workspace.documents() {
        if matches!(document.kind(), "Namespace" | "Identity") {
            is_said = true;
            // Documents have been JSON before.
            hasher.update(&serde_json::to_vec(document).unwrap_or_default());
        }
    }
    let mut version = [0; 8];
    hasher.finalize_xof().fill(&mut version);
    if is_said { u64::from_le_bytes(version).max(1) } else { 0 }
}

/// Whether the identity rules changed since the last walk that was done.
///
/// # Errors
/// Those of the store.
pub fn is_resolving_due(store: &impl Store, rules: &Rules) -> Result<bool, PipelineError> {
    Ok(store.cursor(RESOLVED)?.unwrap_or(0) != identity_version(rules))
}

/// Calls `each` with a fragment of each cluster that the rules divide otherwise than it is, some hundreds at a time. Then
/// remembers that it was done for these rules.
///
/// # Errors
/// Those of the store, and of `each`.
pub fn for_each_unresolved<E: From<PipelineError>>(
    store: &impl Store,
    rules: &Rules,
    mut progress: impl FnMut(Looked),
    mut each: impl FnMut(Vec<FragmentId>) -> Result<(), E>,
) -> Result<(), E> {
    let totals = load_totals(store)?;
    let mut looked = Looked { profiles: 0, profiles_expected: totals.profiles + totals.accounts };
    let mut unresolved = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let rows = store
            .scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)
            .map_err(PipelineError::from)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        for (_, value) in &rows {
            let Row::Cluster(cluster) = Row::decode(value).map_err(PipelineError::from)? else { continue };
            looked.profiles += crate::apply::as_u64(cluster.graph().components().len());
            if resolved(&cluster, rules) != *cluster {
                unresolved.extend(cluster.ids().next());
            }
        }
        progress(looked);
        while unresolved.len() >= ORDER_CLUSTERS_MAX {
            let rest = unresolved.split_off(ORDER_CLUSTERS_MAX);
            each(std::mem::replace(&mut unresolved, rest))?;
        }
    }
    if !unresolved.is_empty() {
        each(unresolved)?;
    }
    store.set_cursor(RESOLVED, identity_version(rules)).map_err(PipelineError::from)?;
    Ok(())
}
