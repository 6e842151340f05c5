//! What a query is let see of people: the only way from the store into the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tessera_model::{
    AudienceId, AudienceName, Document, FragmentId, LabelSet, NamespaceRules, PurposeName, Rules, Timestamp,
};
use tessera_pipeline::{
    PipelineError, ProfilePage, Query, QueryError, RejectId, RejectRow, Sight, list_rejects, members_of,
    memberships_of, sights_of,
};
use tessera_policy::Labels;
use tessera_profile::{Reader, View};
use tessera_store::Store;

use super::register::{Number, Register};

/// So many people at most are named one by one in the record of a query.
pub(crate) const NAMED_MAX: usize = 1_000;

/// The state, seen for one purpose by one reader at one moment.
pub(crate) trait People: Send + Sync + 'static {
    /// Whose profile each fragment is in, and whether that person's data may be used.
    fn sights(&self, owners: &[FragmentId]) -> Result<Vec<Sight>, PipelineError>;

    /// The fragments of a profile; more of them do no harm.
    fn fragments(&self, profile: FragmentId) -> Result<BTreeSet<FragmentId>, PipelineError>;

    /// Some profiles of people, as far as they may be seen.
    fn page(&self, after: Option<&str>) -> Result<ProfilePage, PipelineError>;

    /// The audiences of the purpose: nobody's membership in another is told.
    fn audiences(&self) -> BTreeMap<AudienceId, AudienceName>;

    /// As whose member a person was announced, and since when: of any purpose.
    fn memberships(&self, profile: FragmentId) -> Result<BTreeMap<AudienceId, Timestamp>, PipelineError>;

    /// Some rejects.
    fn rejects(&self, after: Option<RejectId>) -> Result<Vec<(RejectId, RejectRow)>, PipelineError>;
}

/// The state as it is while the query runs.
pub(crate) struct Live<S> {
    pub(crate) store: Arc<S>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) labels: Arc<Labels>,
    pub(crate) purpose: PurposeName,
    pub(crate) hidden: LabelSet,
    pub(crate) purposes: Option<BTreeSet<PurposeName>>,
    pub(crate) now: Timestamp,
}

const PAGE: usize = 256;

impl<S: Store> Live<S> {
    /// The traits of a profile, as far as they may be seen: none if there is no such profile.
    pub(crate) fn traits_of(&self, id: FragmentId) -> Result<BTreeMap<String, Box<RawValue>>, PipelineError> {
        let query =
            Query { rules: &self.rules, purpose: Some(&self.purpose), view: View::default(), now: self.now };
        let reader = Reader { labels: &self.labels, hidden: self.hidden, purposes: self.purposes.as_ref() };
        match query.seen_by(reader).by_id(self.store.as_ref(), id) {
            Ok(profile) => {
                Ok(profile.get().traits.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            Err(QueryError::NotFound | QueryError::Denied { .. }) => Ok(BTreeMap::new()),
            Err(QueryError::Failed(error)) => Err(error),
        }
    }
}

impl<S: Store> People for Live<S> {
    fn sights(&self, owners: &[FragmentId]) -> Result<Vec<Sight>, PipelineError> {
        let purpose = self.rules.purposes.get(&self.purpose);
        purpose.map_or(Ok(Vec::new()), |purpose| sights_of(self.store.as_ref(), owners, (purpose, self.now)))
    }

    fn fragments(&self, profile: FragmentId) -> Result<BTreeSet<FragmentId>, PipelineError> {
        members_of(self.store.as_ref(), profile)
    }

    fn page(&self, after: Option<&str>) -> Result<ProfilePage, PipelineError> {
        let query =
            Query { rules: &self.rules, purpose: Some(&self.purpose), view: View::default(), now: self.now };
        let reader = Reader { labels: &self.labels, hidden: self.hidden, purposes: self.purposes.as_ref() };
        query.seen_by(reader).list(self.store.as_ref(), after, PAGE, |profile| {
            profile.identifiers.iter().all(|identifier| identifier.namespace != NamespaceRules::ACCOUNT)
        })
    }

    fn audiences(&self) -> BTreeMap<AudienceId, AudienceName> {
        let mut audiences = BTreeMap::new();
        for document in self.rules.workspace.documents() {
            if let Document::Audience(one) = document
                && one.purpose == self.purpose
            {
                audiences.insert(AudienceId::of(&one.name, &one.purpose), one.name.clone());
            }
        }
        audiences
    }

    fn memberships(&self, profile: FragmentId) -> Result<BTreeMap<AudienceId, Timestamp>, PipelineError> {
        memberships_of(self.store.as_ref(), profile)
    }

    fn rejects(&self, after: Option<RejectId>) -> Result<Vec<(RejectId, RejectRow)>, PipelineError> {
        list_rejects(self.store.as_ref(), after, PAGE, |_| true)
    }
}

/// Whose data a query was given, and which fields of it: for the record.
pub(crate) struct Witness {
    register: Arc<Register>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// By number.
    is_noted: Vec<bool>,
    count: usize,
    /// The first of them.
    first: Vec<Number>,
    fields: BTreeSet<String>,
}

/// What a query was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Profiles whose rows it was given.
    pub people: usize,
    /// These, if they are so few that a record of each makes sense.
    pub named: Option<BTreeSet<FragmentId>>,
    /// Paths of the fields in them.
    pub fields: BTreeSet<String>,
}

impl Witness {
    pub(crate) fn new(register: Arc<Register>) -> Self {
        Self { register, noted: Mutex::default() }
    }

    /// Of each row, or more seldom, whose it is.
    pub(crate) fn note(
        &self,
        people: impl Iterator<Item = Number>,
        fields: impl IntoIterator<Item = String>,
    ) {
        let mut noted = self.noted.lock();
        for number in people {
            noted.add(number);
        }
        noted.fields.extend(fields);
    }

    /// A profile by its id.
    pub(crate) fn note_one(&self, id: Option<FragmentId>, fields: impl IntoIterator<Item = String>) {
        let numbers = self.register.numbers.of(id.as_slice());
        self.note(numbers.into_iter(), fields);
    }

    pub(crate) fn take(&self) -> Seen {
        let noted = std::mem::take(&mut *self.noted.lock());
        let named = || self.register.numbers.ids(noted.first.iter().copied()).into_iter().collect();
        let named = (noted.count <= NAMED_MAX).then(named);
        Seen { people: noted.count, named, fields: noted.fields }
    }
}

impl Noted {
    fn add(&mut self, number: Number) {
        let Ok(place) = usize::try_from(number) else { return };
        if self.is_noted.len() <= place {
            self.is_noted.resize(place + 1, false);
        }
        if let Some(is_noted @ false) = self.is_noted.get_mut(place) {
            *is_noted = true;
            self.count += 1;
            if self.first.len() < NAMED_MAX {
                self.first.push(number);
            }
        }
    }
}
