//! Which rows of files a purpose may use: each owner is asked about once in a query, and looked up once in a list of texts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use parking_lot::RwLock;
use tessera_model::{FragmentId, PurposeSet};
use tessera_pipeline::PipelineError;
use tessera_policy::Permit;

use super::error::QueryFailure;
use super::people::People;
use crate::coded::Memo;
use crate::columns::{Columns, from_micros};

/// What a query keeps of an owner whose data it may use.
pub(crate) trait Known {
    /// The permit.
    fn permit(&self) -> &Permit;
}

/// What is known of an owner; `None`: nothing permits it.
type Sight<K> = Option<Arc<K>>;

/// Owners, and what keeps them: made of the profile that an owner is in today, and the permit.
pub(crate) struct Sights<K> {
    known: RwLock<HashMap<FragmentId, Sight<K>, foldhash::fast::RandomState>>,
    people: Arc<dyn People>,
    keep: Box<dyn Fn(FragmentId, Permit) -> K + Send + Sync>,
}

impl<K: Known> Sights<K> {
    pub(crate) fn new(
        people: Arc<dyn People>,
        keep: impl Fn(FragmentId, Permit) -> K + Send + Sync + 'static,
    ) -> Self {
        Self { known: RwLock::default(), people, keep: Box::new(keep) }
    }

    /// What is known of each, in their order.
    fn of(&self, owners: &[FragmentId]) -> Result<Vec<Sight<K>>, PipelineError> {
        let mut found: Vec<Option<Sight<K>>> = {
            let known = self.known.read();
            owners.iter().map(|owner| known.get(owner).cloned()).collect()
        };
        for (owner, sight) in owners.iter().zip(&mut found).filter(|(_, sight)| sight.is_none()) {
            let asked = self.people.sight(*owner)?;
            *sight = Some(asked.map(|(profile, permit)| Arc::new((self.keep)(profile, permit))));
        }
        let mut known = self.known.write();
        let new = owners.iter().zip(found);
        Ok(new.map(|(owner, sight)| known.entry(*owner).or_insert(sight.flatten()).clone()).collect())
    }
}

enum Slot<K> {
    Unasked,
    Asked(Sight<K>),
}

/// The rows of one reader of files, batch by batch.
pub(crate) struct Owners<K> {
    slots: Memo<Slot<K>>,
    purposes: Memo<Option<PurposeSet>>,
}

impl<K> Default for Owners<K> {
    fn default() -> Self {
        Self { slots: Memo::default(), purposes: Memo::default() }
    }
}

impl<K: Known> Owners<K> {
    /// Of each row what is known of its owner, if the purpose may use the row. `batch` has `fragment_id`, `purposes` and
    /// `timestamp`.
    pub(crate) fn permitted(
        &mut self,
        sights: &Sights<K>,
        batch: &RecordBatch,
        file: &Path,
    ) -> Result<Vec<Option<&K>>, QueryFailure> {
        let columns = Columns::of(batch, file);
        let codes = |name: &str| {
            let codes = columns.codes(name)?;
            Ok::<_, QueryFailure>((codes.numbers(), codes.texts().ok_or_else(|| columns.corrupt(name))?))
        };
        let (owners, ids) = codes("fragment_id")?;
        let (served, sets) = codes("purposes")?;
        let at = columns.times("timestamp")?;
        self.slots.renew(ids, |_| Slot::Unasked);
        self.purposes.renew(sets, |text| serde_json::from_str(text).ok());

        let (mut asked, mut places) = (Vec::new(), Vec::new());
        for number in owners {
            let place = usize::try_from(*number).map_err(|_| columns.corrupt("fragment_id"))?;
            let slot = self.slots.values.get_mut(place).ok_or_else(|| columns.corrupt("fragment_id"))?;
            if matches!(slot, Slot::Unasked) {
                *slot = Slot::Asked(None);
                asked.push(ids.value(place).parse().map_err(|_| columns.corrupt("fragment_id"))?);
                places.push(place);
            }
        }
        if !asked.is_empty() {
            let sights = sights.of(&asked).map_err(QueryFailure::State)?;
            for (place, sight) in places.into_iter().zip(sights) {
                if let Some(slot) = self.slots.values.get_mut(place) {
                    *slot = Slot::Asked(sight);
                }
            }
        }

        let rows = owners.iter().zip(served).zip(at.values());
        let permitted = rows.map(|((owner, served), at)| {
            let served = self.purposes.get(*served).copied().flatten();
            let served = served.ok_or_else(|| QueryFailure::Lake(columns.corrupt("purposes")))?;
            let Some(Slot::Asked(Some(known))) = self.slots.get(*owner) else { return Ok(None) };
            Ok(known.permit().covers(served, from_micros(*at)).then_some(known.as_ref()))
        });
        permitted.collect()
    }
}
