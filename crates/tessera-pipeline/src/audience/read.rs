//! Reading memberships.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use tessera_model::{AudienceId, FragmentId, Timestamp};
use tessera_profile::Cluster;
use tessera_store::Store;

use crate::PipelineError;
use crate::query::{load_cluster, load_standing};

/// As whose member the person of a fragment was announced, and since when. Empty: of nothing, or there is nobody. Not what may be
/// shown: that is for the gate to say.
///
/// # Errors
/// Those of the store.
pub fn memberships_of(
    store: &impl Store,
    id: FragmentId,
) -> Result<BTreeMap<AudienceId, Timestamp>, PipelineError> {
    Ok(load_cluster(store, id)?.map(|(cluster, node)| memberships(&cluster, node)).unwrap_or_default())
}

/// As whose member the person of a node was announced, and since when. Not what may be shown.
pub(crate) fn memberships(cluster: &Cluster, node: usize) -> BTreeMap<AudienceId, Timestamp> {
    let mut memberships: BTreeMap<AudienceId, Timestamp> = BTreeMap::new();
    for (_, fragment) in cluster.component(node) {
        for one in fragment.announced() {
            let since = memberships.entry(one.audience).or_insert(one.since);
            *since = (*since).min(one.since);
        }
    }
    memberships
}

/// What is kept of somebody at one moment. If it is the same later, nothing of theirs has changed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// As whose member they were announced, and since when.
    pub memberships: BTreeMap<AudienceId, Timestamp>,
    /// A hash of all that is kept.
    kept: u64,
    wakes_at: Option<Timestamp>,
}

impl Standing {
    /// Whether the time has come at which they have to be asked again, and nobody has asked yet.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.wakes_at.is_some_and(|at| at <= now)
    }
}

/// What is kept of the person of a fragment. `None`: there is nobody. Not what may be shown: that is for the gate to say.
///
/// # Errors
/// Those of the store.
pub fn standing_of(store: &impl Store, id: FragmentId) -> Result<Option<Standing>, PipelineError> {
    let Some((kept, cluster, node)) = load_standing(store, id)? else { return Ok(None) };
    Ok(Some(Standing {
        memberships: memberships(&cluster, node),
        kept: FixedState::default().hash_one(kept.as_ref()),
        wakes_at: cluster.component(node).filter_map(|(_, fragment)| fragment.wakes_at()).min(),
    }))
}
