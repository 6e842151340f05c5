//! Which rows of files a purpose may use: each owner is asked about once in a query, and looked up once in a list of texts.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use parking_lot::Mutex;
use tessera_model::{Purpose, Timestamp};
use tessera_pipeline::PipelineError;
use tessera_policy::Reach;

use super::error::QueryFailure;
use super::people::People;
use super::register::{Number, Register, Standings};
use crate::coded::Memo;
use crate::columns::{Columns, from_micros};

/// What a query knows of an owner.
#[derive(Clone, Copy, Default)]
enum Told {
    #[default]
    Unasked,
    /// Nothing permits the use of that person's data.
    Nobody,
    /// It may be used; the number of the profile that the owner is in today.
    Person(Number),
}

impl From<Option<Number>> for Told {
    fn from(profile: Option<Number>) -> Self {
        profile.map_or(Self::Nobody, Self::Person)
    }
}

/// Owners, and what a query was told of each: the same as long as it runs.
pub(crate) struct Sights {
    people: Arc<dyn People>,
    register: Arc<Register>,
    standings: Arc<Standings>,
    reach: Reach,
    now: Timestamp,
    /// By the numbers of owners.
    told: Mutex<Vec<Told>>,
}

impl Sights {
    pub(crate) fn new(
        people: Arc<dyn People>,
        register: Arc<Register>,
        (purpose, now): (&Arc<Purpose>, Timestamp),
    ) -> Self {
        let (standings, reach) = (register.standings(purpose), Reach::new(Arc::clone(purpose), now));
        Self { people, register, standings, reach, now, told: Mutex::default() }
    }

    /// Whom numbers stand for.
    pub(crate) fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// What is known of each, in their order.
    fn of(&self, owners: &[Number]) -> Result<Vec<Told>, PipelineError> {
        let mut found: Vec<Told> = {
            let told = self.told.lock();
            owners.iter().map(|owner| get(&told, *owner)).collect()
        };
        let is_unasked = |known: &Told| matches!(known, Told::Unasked);
        let unasked: Vec<Number> = owners
            .iter()
            .zip(&found)
            .filter(|(_, known)| is_unasked(known))
            .map(|(owner, _)| *owner)
            .collect();
        if !unasked.is_empty() {
            let mut asked = self.ask(unasked)?.into_iter();
            let gaps = found.iter_mut().filter(|known| is_unasked(known));
            gaps.for_each(|known| *known = asked.next().unwrap_or_default());
        }
        Ok(found)
    }

    /// What earlier queries have kept of each, or else the store says.
    fn ask(&self, owners: Vec<Number>) -> Result<Vec<Told>, PipelineError> {
        let mut found = self.standings.known(&owners, &self.register.marks, self.now);
        let unknown = owners.iter().zip(&found).filter(|(_, found)| found.is_none());
        let unknown: Vec<Number> = unknown.map(|(owner, _)| *owner).collect();
        if !unknown.is_empty() {
            let sights = self.people.sights(&self.register.numbers.ids(unknown.iter().copied()))?;
            let mut kept = self.standings.keep(&unknown, &sights, &self.register.numbers).into_iter();
            found.iter_mut().filter(|found| found.is_none()).for_each(|found| *found = kept.next());
        }
        let mut told = self.told.lock();
        let told = owners.into_iter().zip(found).map(|(owner, profile)| {
            let place = usize::try_from(owner).ok()?;
            if told.len() <= place {
                told.resize(place + 1, Told::Unasked);
            }
            let told = told.get_mut(place)?;
            // Whoever was told of in the meantime stays as they were told.
            if let (Told::Unasked, Some(profile)) = (&*told, profile) {
                *told = profile.into();
            }
            Some(*told)
        });
        Ok(told.map(Option::unwrap_or_default).collect())
    }
}

fn get(told: &[Told], number: Number) -> Told {
    usize::try_from(number).ok().and_then(|place| told.get(place).copied()).unwrap_or_default()
}

/// The rows of one reader of files, batch by batch.
#[derive(Default)]
pub(crate) struct Owners {
    /// The numbers of the owners in the list of texts, and what is known of each.
    numbers: Arc<[Number]>,
    slots: Memo<Told>,
    /// Whether rows that serve those purposes serve this one.
    purposes: Memo<Option<bool>>,
}

impl Owners {
    /// Of each row the number of the profile that its owner is in, if the purpose may use the row. `batch` has `fragment_id`,
    /// `purposes` and `timestamp`.
    pub(crate) fn permitted(
        &mut self,
        sights: &Sights,
        batch: &RecordBatch,
        file: &Path,
    ) -> Result<Vec<Option<Number>>, QueryFailure> {
        let columns = Columns::of(batch, file);
        let codes = |name: &str| {
            let codes = columns.codes(name)?;
            Ok::<_, QueryFailure>((codes.numbers(), codes.texts().ok_or_else(|| columns.corrupt(name))?))
        };
        let (owners, ids) = codes("fragment_id")?;
        let (served, sets) = codes("purposes")?;
        let at = columns.times("timestamp")?;
        if self.slots.renew(ids, |_| Told::Unasked) {
            self.numbers = sights.register.owners(ids).ok_or_else(|| columns.corrupt("fragment_id"))?;
        }
        let serves = |text: &str| Some(sights.reach.serves(serde_json::from_str(text).ok()?));
        self.purposes.renew(sets, serves);
        self.ask(sights, owners)
            .ok_or_else(|| columns.corrupt("fragment_id"))?
            .map_err(QueryFailure::State)?;

        let mut permitted = Vec::with_capacity(owners.len());
        for ((owner, served), at) in owners.iter().zip(served).zip(at.values()) {
            let serves = self.purposes.get(*served).copied().flatten();
            let serves = serves.ok_or_else(|| QueryFailure::Lake(columns.corrupt("purposes")))?;
            permitted.push(match self.slots.get(*owner) {
                Some(Told::Person(number)) if serves && sights.reach.is_in_time(from_micros(*at)) => {
                    Some(*number)
                }
                _ => None,
            });
        }
        Ok(permitted)
    }

    /// Asks about those of the list who have rows in a batch. `None`: a row has an owner who is not in the list.
    fn ask(&mut self, sights: &Sights, owners: &[i32]) -> Option<Result<(), PipelineError>> {
        let (mut asked, mut places) = (Vec::new(), Vec::new());
        for number in owners {
            let place = usize::try_from(*number).ok()?;
            let slot = self.slots.values.get_mut(place)?;
            if matches!(slot, Told::Unasked) {
                *slot = Told::Nobody;
                asked.push(*self.numbers.get(place)?);
                places.push(place);
            }
        }
        if asked.is_empty() {
            return Some(Ok(()));
        }
        let told = sights.of(&asked).map(|told| {
            for (place, told) in places.into_iter().zip(told) {
                self.slots.values.get_mut(place).into_iter().for_each(|slot| *slot = told);
            }
        });
        Some(told)
    }
}
