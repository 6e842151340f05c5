//! Whether a purpose may use somebody's events, and whose profile they are today.

use std::collections::BTreeSet;

use tessera_model::{FragmentId, Purpose, Timestamp};
use tessera_policy::{Act, Standing};
use tessera_profile::Row;
use tessera_store::{Mark, Marks, Place, Store};

use crate::PipelineError;
use crate::query::load_cluster;
use crate::view::cluster_key;

/// Pointers from row to row that are followed.
const POINTERS_MAX: usize = 64;

/// What is known of the owner of some events.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// The profile that the owner is in; `None`: there is no such profile any more.
    pub profile: Option<FragmentId>,
    /// Whether the purpose may use that person's data.
    pub standing: Standing,
    /// Of which rows that was made.
    pub made_of: MadeOf,
}

/// The rows that a sight was made of, and how often they had changed before they were read.
#[derive(Clone, Copy, Debug)]
pub struct MadeOf {
    first: Place,
    last: Place,
    mark: Mark,
    /// There were more rows between the two: nobody looks whether those have changed.
    is_long: bool,
}

impl MadeOf {
    fn new(owner: FragmentId) -> Self {
        let place = Place::of(&owner.0);
        Self { first: place, last: place, mark: Mark::default(), is_long: false }
    }

    /// With the row that is read next.
    fn and(self, row: FragmentId) -> Self {
        Self { last: Place::of(&row.0), is_long: self.first != self.last, ..self }
    }

    fn mark(&self, marks: &Marks) -> Mark {
        let mark = |place| marks.mark(place);
        if self.first == self.last { mark(self.first) } else { mark(self.first).and(mark(self.last)) }
    }

    /// Whether the rows are still those.
    #[must_use]
    pub fn is_unchanged(&self, marks: &Marks) -> bool {
        !self.is_long && self.mark == self.mark(marks)
    }
}

/// What is known of each owner of events, in their order, and whether `purpose` may use that person's data at `now`.
///
/// # Errors
/// Those of the store.
pub fn sights_of(
    store: &impl Store,
    owners: &[FragmentId],
    (purpose, now): (&Purpose, Timestamp),
) -> Result<Vec<Sight>, PipelineError> {
    let mut sights: Vec<Option<Sight>> = owners.iter().map(|_| None).collect();
    // Each owner's row, then those that they point at, and so on.
    let mut asked: Vec<(usize, FragmentId, MadeOf)> =
        owners.iter().enumerate().map(|(place, owner)| (place, *owner, MadeOf::new(*owner))).collect();
    for _ in 0..POINTERS_MAX {
        // Marks come before rows.
        for (_, _, made_of) in &mut asked {
            made_of.mark = made_of.mark(store.marks());
        }
        let keys: Vec<_> = asked.iter().map(|(_, row, _)| cluster_key(*row)).collect();
        let rows = store.load(&keys)?;
        let mut next = Vec::new();
        for ((place, _, made_of), row) in asked.into_iter().zip(rows) {
            let row = row.map(|bytes| Row::decode(&bytes)).transpose()?;
            if let Some(Row::Pointer(target)) = row {
                next.push((place, target, made_of.and(target)));
            } else if let (Some(sight), Some(owner)) = (sights.get_mut(place), owners.get(place)) {
                *sight = Some(Sight::of(row, *owner, (purpose, now), made_of));
            }
        }
        asked = next;
        if asked.is_empty() {
            break;
        }
    }
    for (place, _, made_of) in asked {
        // Pointers that go round: the store is damaged, and nobody is there.
        sights
            .get_mut(place)
            .into_iter()
            .for_each(|sight| *sight = Some(Sight::nobody((purpose, now), made_of)));
    }
    Ok(sights.into_iter().flatten().collect())
}

impl Sight {
    fn of(
        row: Option<Row>,
        owner: FragmentId,
        (purpose, now): (&Purpose, Timestamp),
        made_of: MadeOf,
    ) -> Self {
        let Some(Row::Cluster(cluster)) = row else { return Self::nobody((purpose, now), made_of) };
        let Some(node) = cluster.find(owner) else { return Self::nobody((purpose, now), made_of) };
        let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let standing = Standing::of(purpose, Act::Use, fragments, now);
        Self { profile: Some(cluster.profile_id(node)), standing, made_of }
    }

    fn nobody((purpose, now): (&Purpose, Timestamp), made_of: MadeOf) -> Self {
        Self { profile: None, standing: Standing::of(purpose, Act::Use, [], now), made_of }
    }
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
