//! Whether a purpose may use somebody's events, and whose profile they are today.

use std::collections::BTreeSet;

use tessera_model::{FragmentId, PurposeName, Rules, Timestamp};
use tessera_policy::{Act, Permit, decide};
use tessera_store::Store;

use crate::PipelineError;
use crate::query::load_cluster;

/// The profile that a fragment is in, and the permit of `purpose` for that person's data. `None`: there is no such profile
/// any more, or the purpose may not.
///
/// # Errors
/// Those of the store.
pub fn sight_of(
    store: &impl Store,
    owner: FragmentId,
    (rules, purpose, now): (&Rules, &PurposeName, Timestamp),
) -> Result<Option<(FragmentId, Permit)>, PipelineError> {
    let Some(purpose) = rules.purposes.get(purpose) else { return Ok(None) };
    let Some((cluster, node)) = load_cluster(store, owner)? else { return Ok(None) };
    let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
    let permit = decide(purpose, Act::Use, fragments, now).ok();
    Ok(permit.map(|permit| (cluster.profile_id(node), permit)))
}

/// The fragments of the profile that `id` is a fragment of today; none if there is no such profile.
///
/// # Errors
/// Those of the store.
pub fn members_of(store: &impl Store, id: FragmentId) -> Result<BTreeSet<FragmentId>, PipelineError> {
    let Some((cluster, node)) = load_cluster(store, id)? else { return Ok(BTreeSet::new()) };
    let ids: Vec<FragmentId> = cluster.ids().collect();
    Ok(cluster.component(node).filter_map(|(at, _)| ids.get(at).copied()).collect())
}
