//! Reading people as a reader sees them: profiles from the store, events through the engine of queries.
//!
//! Invariant: the evidence has on record whose data was looked at before any of it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;
use tessera_audience::{Audience, Definitions};
use tessera_evidence::{Entry, Export};
use tessera_model::{FragmentId, NamespaceRules, PurposeName, Rules, Timestamp};
use tessera_pipeline::{Query, QueryError};
use tessera_policy::{Labels, Permitted};
use tessera_profile::{Profile, Reader, View};
use tessera_store::{Log, Store};

use super::asked::Asked;
use super::seen::{EventRow, Seen};
use crate::access::Viewer;
use crate::api::profiles::id_of;
use crate::api::query::{Question, answered};
use crate::error::ApiError;
use crate::shared::{App, blocking};

/// Most people of one page: their ids have to fit a query.
pub(super) const PAGE_MAX: usize = 1_000;
const JSON: &str = "application/json";

/// Who looks at people for definitions, and at what time.
pub(super) struct Looking<L, S> {
    pub(super) app: App<L, S>,
    pub(super) viewer: Viewer,
    pub(super) rules: Arc<Rules>,
    pub(super) labels: Arc<Labels>,
    pub(super) asked: Asked,
    /// The purposes of the audiences themselves: whoever any of them permits is looked at.
    pub(super) purposes: BTreeSet<PurposeName>,
    pub(super) now: Timestamp,
    route: &'static str,
}

/// Some people, in an order that follows from hashes: the first of them stand for all.
pub(super) struct Page {
    pub(super) people: Vec<Seen>,
    /// Where the next page begins; `None`: that was everybody.
    pub(super) next: Option<String>,
}

impl<L: Log, S: Store> Looking<L, S> {
    /// To answer for these audiences.
    pub(super) fn new(
        (app, viewer, route): (&App<L, S>, &Viewer, &'static str),
        rules: &Arc<Rules>,
        definitions: &Definitions,
        audiences: &[&Audience],
    ) -> Result<Arc<Self>, ApiError> {
        Ok(Arc::new(Self {
            asked: Asked::of(definitions, audiences, viewer)?,
            purposes: audiences.iter().map(|one| one.purpose.clone()).collect(),
            labels: app.labels(rules),
            app: Arc::clone(app),
            viewer: viewer.clone(),
            rules: Arc::clone(rules),
            now: app.parts.clock.now(),
            route,
        }))
    }

    /// The person of a fragment, permitted for the purpose of the first audience; `Err` says why not.
    pub(super) async fn person(
        self: &Arc<Self>,
        id: FragmentId,
        purpose: PurposeName,
    ) -> Result<Seen, ApiError> {
        let looking = Arc::clone(self);
        let person = blocking(move || {
            let profile = match looking.profile(id, Some(&purpose)) {
                Ok(profile) => profile,
                Err(QueryError::NotFound) => return Err(crate::api::profiles::not_found()),
                Err(QueryError::Denied { denial, .. }) => return Err(ApiError::Denied { purpose, denial }),
                Err(QueryError::Failed(error)) => return Err(error.into()),
            };
            looking.seen(profile, Some(&purpose))
        })
        .await?;
        let mut people = self.with_events(vec![person]).await?;
        people.pop().ok_or(ApiError::Internal)
    }

    /// Up to `limit` people after a cursor, and at most a cluster more.
    pub(super) async fn page(
        self: &Arc<Self>,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page, ApiError> {
        let looking = Arc::clone(self);
        let permit = self.app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
        let page = blocking(move || looking.profiles(after.as_deref(), limit)).await;
        drop(permit);
        let Page { people, next } = page?;
        Ok(Page { people: self.with_events(people).await?, next })
    }

    fn profiles(&self, after: Option<&str>, limit: usize) -> Result<Page, ApiError> {
        let mut purposes = self.purposes.iter();
        // One purpose decides who is looked at; of several, whoever any of them permits is.
        let one = purposes.next().filter(|_| purposes.next().is_none());
        let query = self.query(one);
        let is_person = |profile: &Profile| {
            !profile.identifiers.iter().any(|known| known.namespace == NamespaceRules::ACCOUNT)
        };
        let store = self.app.parts.store.as_ref();
        let page = query.seen_by(self.reader()).list(store, after, limit.min(PAGE_MAX), is_person)?;
        let fields: BTreeSet<String> =
            page.profiles.iter().flat_map(|profile| profile.get().shown.fields.iter().cloned()).collect();
        self.record("people for audiences", fields, page.profiles.len())?;
        let people = page.profiles.into_iter().map(|profile| self.seen(profile, one));
        let mut people: Vec<Seen> = people.collect::<Result<_, _>>()?;
        people.retain(|one| self.purposes.iter().any(|purpose| one.is_seen_for(purpose)));
        Ok(Page { people, next: page.next })
    }

    /// Records that so many people were looked at.
    pub(super) fn record(&self, what: &str, fields: BTreeSet<String>, count: usize) -> Result<(), ApiError> {
        let export = Entry::Export(Export {
            actor: self.viewer.actor.as_str().into(),
            what: what.into(),
            purposes: self.asked.purposes.iter().cloned().collect(),
            fields: fields.into_iter().map(String::into_boxed_str).collect(),
            count: u64::try_from(count).unwrap_or(u64::MAX),
        });
        Ok(self.app.record_entries(&[export])?)
    }

    fn reader(&self) -> Reader<'_> {
        Reader { labels: &self.labels, hidden: self.viewer.hidden(), purposes: self.viewer.purposes.as_ref() }
    }

    fn query<'q>(&'q self, purpose: Option<&'q PurposeName>) -> Query<'q> {
        Query { rules: &self.rules, purpose, view: View::default(), now: self.now }
    }

    fn profile(
        &self,
        id: FragmentId,
        purpose: Option<&PurposeName>,
    ) -> Result<Permitted<Profile>, QueryError> {
        self.query(purpose).seen_by(self.reader()).by_id(self.app.parts.store.as_ref(), id)
    }

    /// The same for each purpose that is asked; `None`: that one does not permit it.
    fn profile_for(
        &self,
        id: FragmentId,
        purpose: &PurposeName,
    ) -> Result<Option<Permitted<Profile>>, ApiError> {
        match self.profile(id, Some(purpose)) {
            Ok(profile) => Ok(Some(profile)),
            Err(QueryError::Denied { .. } | QueryError::NotFound) => Ok(None),
            Err(QueryError::Failed(error)) => Err(error.into()),
        }
    }

    /// Some people for a purpose, as far as they may be seen.
    pub(super) async fn shown(
        self: &Arc<Self>,
        ids: Vec<FragmentId>,
        purpose: PurposeName,
    ) -> Result<Vec<Permitted<Profile>>, ApiError> {
        let looking = Arc::clone(self);
        blocking(move || {
            let profiles = ids.into_iter().map(|id| looking.profile_for(id, &purpose));
            Ok(profiles.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
        .await
    }

    /// A person for every purpose, without events.
    fn seen(&self, profile: Permitted<Profile>, of: Option<&PurposeName>) -> Result<Seen, ApiError> {
        let id = id_of(&profile.get().id)?;
        let mut seen = Seen::new(profile.get().id.clone());
        for purpose in &self.asked.purposes {
            let other = match of == Some(purpose) {
                true => None,
                false => match self.profile_for(id, purpose)? {
                    Some(other) => Some(other),
                    None => continue,
                },
            };
            let shown = other.as_ref().unwrap_or(&profile).get();
            seen.add_profile(purpose, shown, self.accounts(shown, purpose)?);
        }
        seen.profile = Some(profile);
        Ok(seen)
    }

    /// The traits of the accounts of a person, if any definition looks at such.
    fn accounts(
        &self,
        profile: &Profile,
        purpose: &PurposeName,
    ) -> Result<Vec<BTreeMap<String, Box<RawValue>>>, ApiError> {
        let mut all = Vec::new();
        for account in profile.accounts.iter().filter(|_| self.asked.has_accounts) {
            let reference = format!("{}:{}", NamespaceRules::ACCOUNT, account.account_id);
            let Ok(identifier) = self.rules.namespaces.parse_reference(&reference) else { continue };
            let id = FragmentId::of(&self.app.parts.key, &identifier);
            all.extend(self.profile_for(id, purpose)?.map(|account| account.into_inner().traits));
        }
        Ok(all)
    }

    /// People with the events that any definition looks at.
    async fn with_events(self: &Arc<Self>, mut people: Vec<Seen>) -> Result<Vec<Seen>, ApiError> {
        if people.is_empty() || (self.asked.events.is_empty() && !self.asked.any_event) {
            return Ok(people);
        }
        for purpose in &self.asked.purposes {
            let ids = people.iter().filter(|one| one.is_seen_for(purpose)).map(|one| one.id.clone());
            let ids: Vec<String> = ids.collect();
            for ids in ids.chunks(PAGE_MAX) {
                let (what, sql) = ("events for audiences", self.sql(ids));
                let question = Question { route: self.route, what, sql, media_type: JSON };
                let answer = answered(&self.app, self.viewer.clone(), purpose.as_str(), question).await?;
                people = self.counted(people, purpose.clone(), answer.body).await?;
            }
        }
        Ok(people)
    }

    /// People with the events of an answer.
    async fn counted(
        self: &Arc<Self>,
        mut people: Vec<Seen>,
        purpose: PurposeName,
        answer: Vec<u8>,
    ) -> Result<Vec<Seen>, ApiError> {
        let looking = Arc::clone(self);
        blocking(move || {
            let rows: Vec<EventRow> = serde_json::from_slice(&answer).map_err(|_| ApiError::Internal)?;
            let place: BTreeMap<String, usize> =
                people.iter().enumerate().map(|(place, one)| (one.id.clone(), place)).collect();
            for (number, row) in rows.iter().enumerate() {
                let person = place.get(&row.profile_id).and_then(|place| people.get_mut(*place));
                if let Some(person) = person {
                    person.add_event(&looking.asked.compiled, &purpose, row, number);
                }
            }
            Ok(people)
        })
        .await
    }

    /// Asks for the events of these people that can count.
    fn sql(&self, ids: &[String]) -> String {
        let quoted = |names: &mut dyn Iterator<Item = &str>| {
            names.map(|name| format!("'{}'", name.replace('\'', "''"))).collect::<Vec<_>>().join(",")
        };
        let mut sql = format!(
            "SELECT {} FROM events WHERE profile_id IN ({})",
            EventRow::COLUMNS,
            quoted(&mut ids.iter().map(String::as_str))
        );
        // Writing to a `String` cannot fail.
        if !self.asked.any_event {
            let names = quoted(&mut self.asked.events.iter().map(String::as_str));
            let _written = write!(sql, " AND CASE WHEN type = 'track' THEN event ELSE type END IN ({names})");
        }
        let compiled = &self.asked.compiled;
        let times = compiled.features().map(|feature| compiled.reaches_back_to(feature, self.now));
        // Before the year 1, for definitions that look at all times, is no time of SQL.
        let first = times.flatten().min().filter(|first| first.as_millis() > 0);
        if let Some(first) = first {
            let _written = write!(sql, " AND timestamp >= TIMESTAMPTZ '{first}'");
        }
        sql
    }
}
