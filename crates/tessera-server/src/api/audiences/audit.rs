//! Announced members held against the oracle: for a sample of real people, over everything that is known of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_audience::{Audience, Definitions, Oracle};
use tessera_evidence::{Entry, Export};
use tessera_model::{AudienceId, FragmentId, LabelSet, NamespaceRules, Timestamp};
use tessera_pipeline::{Query, Standing, memberships_of, standing_of};
use tessera_profile::{Profile, Reader, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{Asked, in_force, named};
use super::members::{Reading, reading};
use super::recompute::{Differing, still_live};
use super::whole::{TOGETHER_MAX, Whole};
use crate::access::Viewer;
use crate::api::profiles::id_of;
use crate::api::query::{queries_of, refused};
use crate::api::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/definitions/audit";
/// So many people are gone through at once in the search for members.
const PAGE: usize = 1_000;
/// Most people who are gone through.
const WALK_MAX: usize = 100_000;
const SAMPLE_MAX: usize = 1_000;

/// What to audit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditOrder {
    /// Audiences; all whose purpose the account was granted, unless any are named.
    #[serde(default)]
    audiences: Vec<String>,
    /// So many people for each audience, half of them members if there are so many: 1 to 1,000, 100 unless given.
    sample: Option<usize>,
    /// Which people: another seed, others.
    #[serde(default)]
    seed: u64,
}

/// What an audit found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Audit {
    /// How many people were looked at, each for every audience.
    looked_at: u64,
    /// The audiences, by name.
    audiences: Vec<AuditedAudience>,
}

/// What an audit found of an audience.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditedAudience {
    /// The audience.
    audience: String,
    /// The purpose that it serves.
    purpose: String,
    /// Of how many announced members the oracle says the same.
    members: u64,
    /// Of how many others.
    others: u64,
    /// Members that were announced, and are none by the oracle.
    only_stream: Differing,
    /// Members by the oracle that were not announced.
    only_oracle: Differing,
    /// People who changed while they were asked: nothing follows from what was found of them.
    unsettled: u64,
}

/// What was found so far of an audience.
#[derive(Default)]
struct Found {
    members: u64,
    others: u64,
    only_stream: BTreeSet<FragmentId>,
    only_oracle: BTreeSet<FragmentId>,
    unsettled: u64,
}

/// Hold announced members against a plain second reading of their definitions.
///
/// Takes a sample of members and of others, reads everything that is known of each - all events from the lake, the profile, consents -
/// and asks the naive evaluator that shares no code with the stream. Who changed meanwhile is told apart. Not limited by the account's
/// sight, so counts alone leave, and the ids of people whom it may see. On record in the evidence.
#[utoipa::path(
    post, path = "/api/v1/definitions/audit", tag = "audiences",
    request_body = AuditOrder,
    responses(
        (status = 200, description = "What was found.", body = Audit),
        (status = 403, description = "The account was not granted a purpose.", body = ErrorAnswer),
        (status = 404, description = "No such audience, or this server has no lake.", body = ErrorAnswer),
        (status = 409, description = "The members of an audience are not all announced yet, or the workspace changed meanwhile.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn audit<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Json<Audit>, ApiError> {
    let order: AuditOrder = read_json(&app, request).await?;
    let sample = order.sample.unwrap_or(100);
    if !(1..=SAMPLE_MAX).contains(&sample) {
        return Err(ApiError::bad(
            "`sample` is not from 1 to 1,000",
            "ask for fewer, and again with another seed",
        ));
    }
    let rules = app.parts.rules.load_full();
    let definitions = Arc::new(in_force(&rules)?);
    let audiences = wanted(&definitions, &viewer, &order.audiences)?;
    let asked = Asked::of(&definitions, &audiences.iter().collect::<Vec<_>>(), &viewer)?;
    still_live(&app, &rules, &definitions, audiences.clone()).await?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let (searching, sampled, seed) = (Arc::clone(&app), audiences.clone(), order.seed);
    let before = blocking(move || stood(&searching, &sampled, (sample, seed))).await?;
    let whole = Whole {
        labels: app.labels(&rules),
        app: Arc::clone(&app),
        rules: Arc::clone(&rules),
        purposes: asked.purposes,
        now: app.parts.clock.now(),
    };
    let auditing = Auditing { whole: Arc::new(whole), definitions: Arc::clone(&definitions), audiences };
    let (found, fields) = auditing.found(&before).await?;
    drop(permit);
    still_live(&app, &rules, &definitions, auditing.audiences.clone()).await?;
    let looked_at = u64::try_from(before.len()).unwrap_or(u64::MAX);
    let entry = Entry::Export(Export {
        actor: viewer.actor.as_str().into(),
        what: "an audit of audiences".into(),
        purposes: auditing.whole.purposes.iter().cloned().collect(),
        fields: fields.into_iter().map(String::into_boxed_str).collect(),
        count: looked_at,
    });
    let recording = Arc::clone(&app);
    blocking(move || Ok(recording.record_entries(&[entry])?)).await?;
    let mut answers = Vec::new();
    for (audience, found) in auditing.audiences.iter().zip(found) {
        let known = (Arc::clone(&app), viewer.clone());
        let answer = reading(known, audience.name.to_string(), move |reading, audience| {
            found.answer(reading, audience)
        });
        answers.push(answer.await?);
    }
    Ok(Json(Audit { looked_at, audiences: answers }))
}

/// The audiences of these names; all whose purpose the account was granted, if none are named.
fn wanted(definitions: &Definitions, viewer: &Viewer, names: &[String]) -> Result<Vec<Audience>, ApiError> {
    let mut audiences: Vec<Audience> = match names.is_empty() {
        true => definitions.audiences.iter().filter(|one| viewer.may_use(&one.purpose)).cloned().collect(),
        false => names.iter().map(|name| named(definitions, name).cloned()).collect::<Result<_, _>>()?,
    };
    audiences.sort_by(|a, b| a.name.cmp(&b.name));
    audiences.dedup_by(|a, b| a.name == b.name);
    Ok(audiences)
}

/// What is kept of some people.
type Standings = BTreeMap<FragmentId, Option<Standing>>;

/// A sample of people, and how they stand. When this returns, all events of whoever stands like this to the end are in the lake.
fn stood<L: Log, S: Store>(
    app: &App<L, S>,
    audiences: &[Audience],
    (sample, seed): (usize, u64),
) -> Result<Standings, ApiError> {
    let mut choosing = Choosing::new(audiences, sample);
    let first = first_of(seed);
    if choosing.walk(app, Some(first), None)? {
        // From the beginning up to where it began.
        choosing.walk(app, None, Some(first))?;
    }
    let store = app.parts.store.as_ref();
    let stood = choosing.chosen.into_iter().map(|id| Ok((id, standing_of(store, id)?)));
    let stood = stood.collect::<Result<_, ApiError>>()?;
    queries_of(app)?.catch_up().map_err(refused)?;
    Ok(stood)
}

/// Where a seed begins among the hashes of people.
fn first_of(seed: u64) -> FragmentId {
    // Weyl's sequence: seeds that follow each other begin far from each other.
    let high = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(high).for_each(|(byte, high)| *byte = high);
    FragmentId(bytes)
}

/// Chooses people until there are enough for each audience.
struct Choosing {
    ids: Vec<AudienceId>,
    /// Members and others that are wanted still, for each audience.
    wanted: Vec<[usize; 2]>,
    chosen: BTreeSet<FragmentId>,
    walked: usize,
}

impl Choosing {
    fn new(audiences: &[Audience], sample: usize) -> Self {
        let members = sample.div_ceil(2);
        Self {
            ids: audiences.iter().map(|one| AudienceId::of(&one.name, &one.purpose)).collect(),
            wanted: audiences.iter().map(|_| [members, sample - members]).collect(),
            chosen: BTreeSet::new(),
            walked: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.walked >= WALK_MAX || self.wanted.iter().all(|left| *left == [0, 0])
    }

    /// Goes through people between two ids. Returns whether there are not enough yet.
    fn walk<L: Log, S: Store>(
        &mut self,
        app: &App<L, S>,
        after: Option<FragmentId>,
        before: Option<FragmentId>,
    ) -> Result<bool, ApiError> {
        let (rules, store) = (app.parts.rules.load_full(), app.parts.store.as_ref());
        let labels = app.labels(&rules);
        let query = Query { rules: &rules, purpose: None, view: View::default(), now: app.parts.clock.now() };
        let everything = Reader { labels: &labels, hidden: LabelSet::default(), purposes: None };
        let is_person = |profile: &Profile| {
            profile.identifiers.iter().all(|known| known.namespace != NamespaceRules::ACCOUNT)
        };
        let mut after = after.map(|id| id.to_string());
        loop {
            let page = query.seen_by(everything).list(store, after.as_deref(), PAGE, is_person)?;
            for profile in &page.profiles {
                let id = id_of(&profile.get().id)?;
                if self.is_done() || before.is_some_and(|before| id > before) {
                    return Ok(!self.is_done());
                }
                self.look_at(id, &memberships_of(store, id)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(!self.is_done()),
            }
        }
    }

    /// Chooses a person if any audience wants one like them.
    fn look_at(&mut self, id: FragmentId, memberships: &BTreeMap<AudienceId, Timestamp>) {
        self.walked += 1;
        let mut is_wanted = false;
        for (audience, [members, others]) in self.ids.iter().zip(&mut self.wanted) {
            let left = if memberships.contains_key(audience) { members } else { others };
            is_wanted |= *left > 0;
            *left = left.saturating_sub(1);
        }
        if is_wanted {
            self.chosen.insert(id);
        }
    }
}

/// What is asked of whom.
struct Auditing<L, S> {
    whole: Arc<Whole<L, S>>,
    definitions: Arc<Definitions>,
    audiences: Vec<Audience>,
}

impl<L: Log, S: Store> Auditing<L, S> {
    /// What the oracle says of people, against how they stood; and the fields of events that were read for it.
    async fn found(&self, stood: &Standings) -> Result<(Vec<Found>, BTreeSet<String>), ApiError> {
        let mut found: Vec<Found> = self.audiences.iter().map(|_| Found::default()).collect();
        let (ids, mut fields) = (stood.keys().copied().collect::<Vec<_>>(), BTreeSet::new());
        for some in ids.chunks(TOGETHER_MAX) {
            let (people, read) = self.whole.people(some.to_vec()).await?;
            fields.extend(read);
            let after = self.whole.standings(some.to_vec()).await?;
            let (definitions, audiences, now) =
                (Arc::clone(&self.definitions), self.audiences.clone(), self.whole.now);
            let before = some.iter().map(|id| (*id, stood.get(id).cloned().flatten()));
            let before: Standings = before.collect();
            found = blocking(move || {
                for (id, sights) in &people {
                    let stood = before.get(id).and_then(Option::as_ref);
                    let is_settled = |stood: &&Standing| {
                        !stood.is_due(now) && after.get(id).and_then(Option::as_ref) == Some(*stood)
                    };
                    let settled = stood.filter(is_settled);
                    for (audience, found) in audiences.iter().zip(&mut found) {
                        let oracle = Oracle::for_purpose(&definitions, sights, &audience.purpose, now);
                        let says = oracle.is_some_and(|oracle| oracle.is_member(&audience.name));
                        found.add(*id, audience, says, settled);
                    }
                }
                Ok(found)
            })
            .await?;
        }
        Ok((found, fields))
    }
}

impl Found {
    /// Counts a person of whom the oracle says whether they are a member. `stood`: how they stand; `None`: that changed meanwhile.
    fn add(&mut self, id: FragmentId, audience: &Audience, says: bool, stood: Option<&Standing>) {
        let Some(stood) = stood else {
            self.unsettled += 1;
            return;
        };
        let audience = AudienceId::of(&audience.name, &audience.purpose);
        match (stood.memberships.contains_key(&audience), says) {
            (true, true) => self.members += 1,
            (false, false) => self.others += 1,
            (true, false) => drop(self.only_stream.insert(id)),
            (false, true) => drop(self.only_oracle.insert(id)),
        }
    }

    fn answer<L: Log, S: Store>(
        &self,
        reading: &Reading<'_, L, S>,
        audience: &Audience,
    ) -> Result<AuditedAudience, ApiError> {
        Ok(AuditedAudience {
            audience: audience.name.to_string(),
            purpose: audience.purpose.to_string(),
            members: self.members,
            others: self.others,
            only_stream: Differing::new(reading, ROUTE, &self.only_stream)?,
            only_oracle: Differing::new(reading, ROUTE, &self.only_oracle)?,
            unsettled: self.unsettled,
        })
    }
}

#[cfg(test)]
mod tests {
    use tessera_model::{AudienceName, PurposeName};

    use super::*;

    #[test]
    fn people_are_chosen_until_each_audience_has_members_and_others() {
        let purpose = PurposeName::parse("service").unwrap();
        let ids = ["many", "few"].map(|name| AudienceId::of(&AudienceName::parse(name).unwrap(), &purpose));
        let mut choosing =
            Choosing { ids: ids.to_vec(), wanted: vec![[2, 2]; 2], chosen: BTreeSet::new(), walked: 0 };
        let person = |number: u8| FragmentId([number; 16]);
        for number in 0..100 {
            let mut memberships = BTreeMap::new();
            if number % 2 == 0 {
                memberships.insert(ids[0], Timestamp::MIN);
            }
            if number >= 40 {
                memberships.insert(ids[1], Timestamp::MIN);
            }
            if !choosing.is_done() {
                choosing.look_at(person(number), &memberships);
            }
        }
        let chosen = [0, 1, 2, 3, 40, 41].map(person);
        assert_eq!(choosing.chosen, BTreeSet::from(chosen), "the first, and members of the rare one");
        assert_eq!(choosing.walked, 42, "nobody is looked at beyond that");
        assert!(first_of(0) < first_of(2) && first_of(2) < first_of(1), "seeds lie apart");
    }
}
