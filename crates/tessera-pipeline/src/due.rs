//! Whose data is due to go: people of whom something is held that no purpose covers any more.

use tessera_model::{FragmentId, Rules, Timestamp};
use tessera_profile::{Cluster, Row};
use tessera_store::{Key, Store, Table};

use crate::PipelineError;
use crate::orders::{is_kept, kept_purposes};

/// Most people in one order: one commit.
const ORDER_PEOPLE_MAX: usize = 500;

/// Calls `each` with one fragment of each person of whom something is due to go, some hundreds at a time.
///
/// # Errors
/// Those of the store, and of `each`.
pub fn for_each_due<E: From<PipelineError>>(
    store: &impl Store,
    rules: &Rules,
    now: Timestamp,
    mut each: impl FnMut(Vec<FragmentId>) -> Result<(), E>,
) -> Result<(), E> {
    let mut due = Vec::new();
    let mut after: Option<Key> = None;
    loop {
        let rows =
            store.scan(Table::Cluster, after.as_ref().map(Key::id), 1024).map_err(PipelineError::from)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(*last);
        for (_, value) in &rows {
            let Row::Cluster(cluster) = Row::decode(value).map_err(PipelineError::from)? else { continue };
            due.extend(due_in(&cluster, rules, now));
            if due.len() >= ORDER_PEOPLE_MAX {
                each(std::mem::take(&mut due))?;
            }
        }
    }
    if due.is_empty() { Ok(()) } else { each(due) }
}

fn due_in(cluster: &Cluster, rules: &Rules, now: Timestamp) -> Vec<FragmentId> {
    let purposes = &rules.purposes;
    let is_due = |nodes: &Vec<usize>| {
        let node = nodes.first().copied()?;
        let covered = kept_purposes(cluster, node, purposes, now);
        let mut fragments = cluster.component(node).map(|(_, fragment)| fragment);
        let is = fragments
            .any(|fragment| fragment.any_value(|basis, at| !is_kept(purposes, covered, basis, at, now)));
        is.then(|| cluster.graph().nodes().get(node).map(|node| node.id)).flatten()
    };
    cluster.graph().components().iter().filter_map(is_due).collect()
}
