//! Everything that definitions may look at of some people, as the oracle takes it: for each purpose what the gate permits, and not
//! limited by anybody's sight. Nothing of it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tessera_audience::{Person, Subscribed};
use tessera_model::{FragmentId, LabelSet, NamespaceRules, PurposeName, Rules, Timestamp};
use tessera_pipeline::{Query, QueryError, Standing, standing_of};
use tessera_policy::Labels;
use tessera_profile::{Profile, Reader, View};
use tessera_store::{Log, Store};

use super::seen::EventRow;
use crate::api::query::{queries_of, refused};
use crate::error::ApiError;
use crate::queries::QueryAsked;
use crate::shared::{App, blocking};

/// The whole histories of so many people are in memory at once.
pub(super) const TOGETHER_MAX: usize = 25;

/// What each purpose sees of one person.
pub(super) type Sights = BTreeMap<PurposeName, Person>;

/// Reads people wholly, as of one moment.
pub(super) struct Whole<L, S> {
    pub(super) app: App<L, S>,
    pub(super) rules: Arc<Rules>,
    pub(super) labels: Arc<Labels>,
    /// The purposes of the definitions that are asked.
    pub(super) purposes: BTreeSet<PurposeName>,
    pub(super) now: Timestamp,
}

impl<L: Log, S: Store> Whole<L, S> {
    /// What each purpose sees of some people, and which fields of events were read for it.
    pub(super) async fn people(
        self: &Arc<Self>,
        ids: Vec<FragmentId>,
    ) -> Result<(BTreeMap<FragmentId, Sights>, BTreeSet<String>), ApiError> {
        let whole = Arc::clone(self);
        let mut people = blocking(move || {
            ids.into_iter()
                .map(|id| Ok((id, whole.sights(id)?)))
                .collect::<Result<BTreeMap<_, _>, ApiError>>()
        })
        .await?;
        let mut fields = BTreeSet::new();
        for purpose in &self.purposes {
            let seen = people.values().filter_map(|sights| sights.get(purpose));
            let names: Vec<String> = seen.map(|person| format!("'{}'", person.id)).collect();
            if names.is_empty() {
                continue;
            }
            let (columns, names) = (EventRow::COLUMNS, names.join(","));
            let sql = format!("SELECT {columns} FROM events WHERE profile_id IN ({names})");
            let asked = QueryAsked {
                sql,
                purpose: purpose.clone(),
                media_type: "application/json",
                rules: Arc::clone(&self.rules),
                labels: Arc::clone(&self.labels),
                hidden: LabelSet::default(),
                purposes: None,
                now: self.now,
            };
            let answer = queries_of(&self.app)?.ask(asked).await.map_err(refused)?;
            fields.extend(answer.fields);
            let purpose = purpose.clone();
            people = blocking(move || with_events(people, &purpose, &answer.body)).await?;
        }
        Ok((people, fields))
    }

    /// What each purpose sees of a person's profile.
    fn sights(&self, id: FragmentId) -> Result<Sights, ApiError> {
        let mut sights = Sights::new();
        for purpose in &self.purposes {
            let Some(profile) = self.profile(id, purpose)? else { continue };
            let mut accounts = Vec::new();
            for account in &profile.accounts {
                let reference = format!("{}:{}", NamespaceRules::ACCOUNT, account.account_id);
                let Ok(identifier) = self.rules.namespaces.parse_reference(&reference) else { continue };
                let account = self.profile(FragmentId::of(&self.app.parts.key, &identifier), purpose)?;
                accounts.extend(account.map(|account| values(&account.traits)));
            }
            let subscriptions = profile.subscriptions.iter().map(|one| Subscribed {
                channel: one.channel.clone(),
                topic: one.topic.clone(),
                state: one.state,
            });
            let person = Person {
                id: profile.id.clone(),
                events: Vec::new(),
                traits: values(&profile.traits),
                accounts,
                consents: profile.consents.iter().map(|(of, word)| (of.clone(), word.status)).collect(),
                subscriptions: subscriptions.collect(),
            };
            sights.insert(purpose.clone(), person);
        }
        Ok(sights)
    }

    /// `None`: there is nobody, or the purpose permits nothing.
    fn profile(&self, id: FragmentId, purpose: &PurposeName) -> Result<Option<Profile>, ApiError> {
        let query =
            Query { rules: &self.rules, purpose: Some(purpose), view: View::default(), now: self.now };
        let reader = Reader { labels: &self.labels, hidden: LabelSet::default(), purposes: None };
        match query.seen_by(reader).by_id(self.app.parts.store.as_ref(), id) {
            Ok(profile) => Ok(Some(profile.into_inner())),
            Err(QueryError::NotFound | QueryError::Denied { .. }) => Ok(None),
            Err(QueryError::Failed(error)) => Err(error.into()),
        }
    }

    /// What is kept of some people at this moment.
    pub(super) async fn standings(
        self: &Arc<Self>,
        ids: Vec<FragmentId>,
    ) -> Result<BTreeMap<FragmentId, Option<Standing>>, ApiError> {
        let whole = Arc::clone(self);
        blocking(move || {
            let store = whole.app.parts.store.as_ref();
            ids.into_iter().map(|id| Ok((id, standing_of(store, id)?))).collect()
        })
        .await
    }
}

fn values(traits: &BTreeMap<String, Box<RawValue>>) -> Map<String, Value> {
    let value = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
    traits.iter().map(|(name, raw)| (name.clone(), value(raw))).collect()
}

fn with_events(
    mut people: BTreeMap<FragmentId, Sights>,
    purpose: &PurposeName,
    answer: &[u8],
) -> Result<BTreeMap<FragmentId, Sights>, ApiError> {
    let rows: Vec<EventRow> = serde_json::from_slice(answer).map_err(|_| ApiError::Internal)?;
    let mut by_name: BTreeMap<String, &mut Person> = BTreeMap::new();
    for person in people.values_mut().filter_map(|sights| sights.get_mut(purpose)) {
        by_name.insert(person.id.clone(), person);
    }
    for row in rows {
        if let Some(person) = by_name.get_mut(&row.profile_id) {
            person.events.extend(row.happened());
        }
    }
    Ok(people)
}
