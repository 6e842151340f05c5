//! Whom queries have met, kept from query to query: a number for each, and what was decided about them.
//!
//! Invariant: what is kept of somebody is used only while a decision would be the same: the rows that it was made of have not changed
//! since, and no time has come at which it ends.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, StringArray, StringViewArray, StringViewBuilder};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tessera_model::{FragmentId, Purpose, Timestamp};
use tessera_pipeline::{MadeOf, Sight};
use tessera_policy::Standing;
use tessera_store::Marks;

/// People of whom something is kept when no query runs, at most; some 60 bytes each, and 50 for each purpose.
const PEOPLE_MAX: usize = 2_000_000;
/// Purposes of whose decisions something is kept.
const PURPOSES_MAX: usize = 4;

/// Memory for the numbers of lists in files, in bytes.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;
const LISTS_USUAL: usize = 4_096;

/// A person, or a fragment of one, in queries.
pub(crate) type Number = u32;

/// Numbers of all that queries have met.
#[derive(Default)]
pub(crate) struct Numbers(RwLock<(HashMap<FragmentId, Number, RandomState>, Vec<FragmentId>)>);

impl Numbers {
    /// The number of each.
    pub(crate) fn of(&self, ids: &[FragmentId]) -> Vec<Number> {
        let mut found: Vec<Option<Number>> = {
            let known = self.0.read();
            ids.iter().map(|id| known.0.get(id).copied()).collect()
        };
        if found.iter().any(Option::is_none) {
            let mut known = self.0.write();
            let (numbers, all) = &mut *known;
            for (id, number) in ids.iter().zip(&mut found).filter(|(_, number)| number.is_none()) {
                *number = Some(*numbers.entry(*id).or_insert_with(|| {
                    all.push(*id);
                    Number::try_from(all.len() - 1).unwrap_or(Number::MAX)
                }));
            }
        }
        found.into_iter().flatten().collect()
    }

    /// Whose numbers these are, in their order.
    pub(crate) fn ids(&self, numbers: impl Iterator<Item = Number>) -> Vec<FragmentId> {
        let known = self.0.read();
        numbers.filter_map(|number| known.1.get(usize::try_from(number).ok()?).copied()).collect()
    }

    /// The same as texts.
    pub(crate) fn texts(&self, numbers: impl ExactSizeIterator<Item = Option<Number>>) -> StringViewArray {
        let known = self.0.read();
        let mut texts = StringViewBuilder::with_capacity(numbers.len());
        for number in numbers {
            let id = number.and_then(|number| known.1.get(usize::try_from(number).ok()?));
            texts.append_option(id.map(FragmentId::to_string));
        }
        texts.finish()
    }

    fn len(&self) -> usize {
        self.0.read().1.len()
    }
}

/// Decisions about one purpose, by the number of whom they are about.
#[derive(Default)]
pub(crate) struct Standings(RwLock<Vec<Option<Stood>>>);

/// What is kept of the owner of events.
struct Stood {
    /// The profile that it is in, if the purpose may use it.
    profile: Option<Number>,
    standing: Standing,
    made_of: MadeOf,
}

impl Standings {
    /// What a decision at `now` would say of each of `owners`, as far as that is known.
    pub(crate) fn known(
        &self,
        owners: &[Number],
        marks: &Marks,
        now: Timestamp,
    ) -> Vec<Option<Option<Number>>> {
        let stood = self.0.read();
        let known = |owner: &Number| {
            let stood = stood.get(usize::try_from(*owner).ok()?)?.as_ref()?;
            (stood.standing.stands_at(now) && stood.made_of.is_unchanged(marks)).then_some(stood.profile)
        };
        owners.iter().map(known).collect()
    }

    /// Keeps what was decided, and says which profile each of `owners` is in, if the purpose may use it.
    pub(crate) fn keep(&self, owners: &[Number], sights: &[Sight], numbers: &Numbers) -> Vec<Option<Number>> {
        let seen = sights.iter().map(|sight| sight.profile.filter(|_| sight.standing.is_permitted));
        let seen: Vec<Option<FragmentId>> = seen.collect();
        let mut profiles = numbers.of(&seen.iter().copied().flatten().collect::<Vec<_>>()).into_iter();
        let profiles: Vec<_> = seen.iter().map(|seen| seen.and_then(|_| profiles.next())).collect();
        let mut stood = self.0.write();
        for ((owner, sight), profile) in owners.iter().zip(sights).zip(&profiles) {
            let Ok(place) = usize::try_from(*owner) else { continue };
            if stood.len() <= place {
                stood.resize_with(place + 1, || None);
            }
            if let Some(stood) = stood.get_mut(place) {
                let (standing, made_of) = (sight.standing, sight.made_of);
                *stood = Some(Stood { profile: *profile, standing, made_of });
            }
        }
        profiles
    }
}

/// The numbers of the owners in lists of texts, as files have them: reading and looking up each costs more than all that follows.
struct Lists {
    known: Cache<(u64, u64), Arc<[Number]>, ListWeight>,
    /// Two, chosen by chance: that two lists are taken for one is as good as impossible, and nobody can bring it about.
    hashers: [RandomState; 2],
}

#[derive(Clone)]
struct ListWeight;

impl Weighter<(u64, u64), Arc<[Number]>> for ListWeight {
    fn weight(&self, _: &(u64, u64), numbers: &Arc<[Number]>) -> u64 {
        u64::try_from(size_of_val::<[Number]>(numbers)).unwrap_or(u64::MAX).saturating_add(64)
    }
}

impl Default for Lists {
    fn default() -> Self {
        let known = Cache::with_weighter(LISTS_USUAL, LIST_BYTES_MAX, ListWeight);
        Self { known, hashers: [RandomState::default(), RandomState::default()] }
    }
}

/// All that is kept, of the people of one store.
#[derive(Default)]
pub(crate) struct Register {
    pub(crate) numbers: Numbers,
    lists: Lists,
    purposes: Mutex<Vec<(Arc<Purpose>, Arc<Standings>)>>,
    pub(crate) marks: Arc<Marks>,
}

impl Register {
    /// This one, if it is of the store with these marks and not too large; a new one otherwise.
    pub(crate) fn renewed(self: &Arc<Self>, marks: &Arc<Marks>) -> Arc<Self> {
        match Arc::ptr_eq(&self.marks, marks) && self.numbers.len() <= PEOPLE_MAX {
            true => Arc::clone(self),
            false => Arc::new(Self { marks: Arc::clone(marks), ..Self::default() }),
        }
    }

    /// The numbers of the owners in a list of ids; `None`: one is no id.
    pub(crate) fn owners(&self, list: &StringArray) -> Option<Arc<[Number]>> {
        let [one, other] = &self.lists.hashers;
        // The texts, and where each ends.
        let texts = (list.value_data(), list.value_offsets());
        let name = (one.hash_one(texts), other.hash_one(texts));
        if let Some(numbers) = self.lists.known.get(&name) {
            return Some(numbers);
        }
        let ids: Option<Vec<FragmentId>> = (0..list.len()).map(|at| list.value(at).parse().ok()).collect();
        let numbers: Arc<[Number]> = self.numbers.of(&ids?).into();
        self.lists.known.insert(name, Arc::clone(&numbers));
        Some(numbers)
    }

    /// What was decided for a purpose. Of the purposes that were asked for last some are kept.
    pub(crate) fn standings(&self, purpose: &Arc<Purpose>) -> Arc<Standings> {
        let mut purposes = self.purposes.lock();
        // Another version of a purpose is another purpose: what was decided for it says nothing.
        let found = purposes.iter().position(|(known, _)| known == purpose).map(|at| purposes.remove(at));
        let found = found.unwrap_or_else(|| (Arc::clone(purpose), Arc::default()));
        let standings = Arc::clone(&found.1);
        purposes.insert(0, found);
        purposes.truncate(PURPOSES_MAX);
        standings
    }
}
