//! Reading memberships.

use std::collections::BTreeMap;

use tessera_model::{AudienceId, FragmentId, Timestamp};
use tessera_store::Store;

use crate::PipelineError;
use crate::query::load_cluster;

/// As whose member the person of a fragment was announced, and since when. Empty: of nothing, or there is nobody. Not what may be
/// shown: that is for the gate to say.
///
/// # Errors
/// Those of the store.
pub fn memberships_of(
    store: &impl Store,
    id: FragmentId,
) -> Result<BTreeMap<AudienceId, Timestamp>, PipelineError> {
    let mut memberships: BTreeMap<AudienceId, Timestamp> = BTreeMap::new();
    let Some((cluster, node)) = load_cluster(store, id)? else { return Ok(memberships) };
    for (_, fragment) in cluster.component(node) {
        for one in fragment.announced() {
            let since = memberships.entry(one.audience).or_insert(one.since);
            *since = (*since).min(one.since);
        }
    }
    Ok(memberships)
}
