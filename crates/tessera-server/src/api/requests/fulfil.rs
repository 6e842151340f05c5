//! Doing what a request asks for.
//!
//! Invariant: nothing is done for a person who has not shown who they are, where that is needed. An erasure ends when
//! housekeeping is done with it, which [`super::work`] watches; everything else is done when this answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use tessera_evidence::{Entry, Notice, NoticeStatus, Right};
use tessera_model::{DestinationName, EVENT_BYTES_MAX, FragmentId, NAME_BYTES_MAX, Operation, TRAITS_MAX};
use tessera_pipeline::{fragments_of, load_erasures, profile_of, recipients, values_of};
use tessera_rights::{
    Action, Actor, Calendar, DenialReason, IdentityProof, RequestError, RequestType, Status,
    SubjectRequestId, Told, consent_orders,
};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::steps::{account, parse_reason};
use super::stored::Stored;
use super::{RequestAnswer, answer, calendar, parse_id};
use crate::access::Viewer;
use crate::api::erasures::CERTAIN_BYTES_MIN;
use crate::api::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared, blocking, to_the_end};

/// How often an erasure asks whether the pipeline has come to it, each time for [`crate::shared::SETTLE_MAX`].
const SETTLES_MAX: u32 = 30;

/// What is needed to fulfil a request besides the request itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FulfilOrder {
    /// Rectification: the right values by name of trait; null removes one.
    #[serde(default)]
    #[schema(value_type = Object)]
    traits: BTreeMap<String, Value>,
    /// The exceptions under which a part was kept or withheld: `legal_obligation`, ...
    #[serde(default)]
    except: Vec<String>,
    /// Erasure: hold the person's values in memory, so that `POST /api/v1/erasures/verify` can look for them afterwards.
    #[serde(default)]
    verify: bool,
}

struct Fulfilment {
    traits: BTreeMap<String, Value>,
    except: BTreeSet<DenialReason>,
    verify: bool,
}

impl FulfilOrder {
    fn parse(self) -> Result<Fulfilment, ApiError> {
        let Self { traits, except, verify } = self;
        let is_sound = |(name, value): (&String, &Value)| {
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && value.to_string().len() <= EVENT_BYTES_MAX
        };
        if traits.len() > TRAITS_MAX || !traits.iter().all(is_sound) {
            let hint = format!("at most {TRAITS_MAX} traits with names of 1 to {NAME_BYTES_MAX} bytes");
            return Err(ApiError::bad("`traits` has too many, or a name or value out of bounds", hint));
        }
        let except = except.iter().map(|text| parse_reason(text)).collect::<Result<_, _>>()?;
        Ok(Fulfilment { traits, except, verify })
    }
}

/// Does what a request asks for.
///
/// Access and portability: the report may be read from now on. Rectification, restriction, objection, opt-out: done when
/// this answers. Erasure: ordered when this answers, and the request is completed once no byte is left. A request for
/// somebody unknown is completed with `no_data_found`; an erasure keeps out all the same what comes later.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/fulfil", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = FulfilOrder,
    responses(
        (status = 200, description = "Done, or ordered.", body = RequestAnswer),
        (status = 400, description = "No traits to put right, or too many.", body = ErrorAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "It is closed, or the person has not shown who they are.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn fulfil<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let order: FulfilOrder = read_json(&app, request).await?;
    let (id, order) = (parse_id(id)?, order.parse()?);
    let (shared, by) = (Arc::clone(&app), account(&viewer));
    let stored = to_the_end(async move { shared.fulfil(id, by, order).await }).await?;
    answer(&app, &stored).map(Json)
}

/// Who is meant, and who got anything of theirs.
struct People {
    /// Every fragment of them.
    fragments: BTreeSet<FragmentId>,
    /// One fragment of each profile that there is.
    known: Vec<FragmentId>,
    recipients: BTreeSet<DestinationName>,
}

impl<L: Log, S: Store> Shared<L, S> {
    async fn fulfil(
        self: &Arc<Self>,
        id: SubjectRequestId,
        by: Actor,
        order: Fulfilment,
    ) -> Result<Stored, ApiError> {
        let _one = self.requests.lock().await;
        let mut stored = self.load_request(id).await?;
        let calendar = calendar(&self.parts.rules.load())?;
        let request_type = stored.request.opening().request_type;
        if request_type == RequestType::Erasure && self.is_erasure_ordered(&stored).await? {
            return Ok(stored);
        }
        self.begin(&mut stored, &by, &calendar)?;
        let people = self.people(stored.request.opening().subjects.clone()).await?;
        stored.no_data_found = people.known.is_empty();
        stored.except = order.except;
        if stored.no_data_found {
            stored.except.insert(DenialReason::NoMatch);
        }
        let now = self.parts.clock.now();
        match request_type {
            RequestType::Access | RequestType::Portability => {}
            RequestType::Erasure => return self.erase(stored, &calendar, people, order.verify).await,
            RequestType::Rectification => self.rectify(id, &people, order.traits).await?,
            RequestType::Restriction
            | RequestType::LiftRestriction
            | RequestType::Objection
            | RequestType::OptOutOfSale => {
                let words = consent_orders(&stored.request, &self.parts.rules.load().workspace, now);
                if !words.is_empty() && !people.known.is_empty() {
                    self.operate(Operation::Consents { fragments: people.known.clone(), words }).await?;
                }
            }
        }
        let except = stored.except.clone();
        stored.step(by, Action::Complete { except }, &calendar, now)?;
        if request_type.tells_recipients() && !stored.no_data_found {
            self.tell_by_hand(&mut stored, &calendar, &people).await?;
        }
        self.put_request(&stored).await?;
        self.look_after(&stored);
        Ok(stored)
    }

    /// Brings a request to the point at which it may be worked on.
    fn begin(&self, stored: &mut Stored, by: &Actor, calendar: &Calendar) -> Result<(), ApiError> {
        let (request_type, status) = (stored.request.opening().request_type, stored.request.status());
        let now = self.parts.clock.now();
        let is_verified = stored.request.identity_confirmed_at().is_some();
        let unproven = RequestError::Identity { id: stored.id(), request_type };
        match status {
            Status::Received | Status::IdentityCheck if request_type.needs_identity() => {
                let Some(via) = stored.via.clone().filter(|via| via.is_vouched_for) else {
                    return Err(unproven.into());
                };
                let proof = Action::ConfirmIdentity { proof: IdentityProof::VouchedFor };
                stored.step(Actor::Agent(via.account.as_str().into()), proof, calendar, now)
            }
            Status::IdentityCheck => Err(unproven.into()),
            Status::Received => stored.step(by.clone(), Action::Start, calendar, now),
            Status::InProgress if request_type.needs_identity() && !is_verified => Err(unproven.into()),
            Status::InProgress => Ok(()),
            Status::Completed | Status::Denied(_) | Status::Cancelled | Status::Expired => {
                Err(RequestError::Status { action: "complete", status: status.as_str() }.into())
            }
        }
    }

    pub(crate) async fn operate(&self, operation: Operation) -> Result<(), ApiError> {
        let position = self.order(operation).await?;
        self.settle(position).await
    }

    pub(crate) async fn is_erasure_ordered(self: &Arc<Self>, stored: &Stored) -> Result<bool, ApiError> {
        let (app, id) = (Arc::clone(self), stored.id().to_string());
        blocking(move || {
            Ok(load_erasures(app.parts.store.as_ref())?.iter().any(|erasure| erasure.request == id))
        })
        .await
    }

    async fn people(self: &Arc<Self>, subjects: Vec<FragmentId>) -> Result<People, ApiError> {
        let app = Arc::clone(self);
        blocking(move || {
            let store = app.parts.store.as_ref();
            let (mut fragments, mut known) = (BTreeSet::new(), BTreeMap::new());
            for id in subjects {
                fragments.extend(fragments_of(store, id)?);
                if let Some(profile) = profile_of(store, id)? {
                    known.entry(profile).or_insert(id);
                }
            }
            let everybody: Vec<FragmentId> = fragments.iter().copied().collect();
            let recipients = recipients(&app.parts.evidence, &everybody)?;
            Ok(People { fragments, known: known.into_values().collect(), recipients })
        })
        .await
    }

    async fn rectify(
        &self,
        id: SubjectRequestId,
        people: &People,
        traits: BTreeMap<String, Value>,
    ) -> Result<(), ApiError> {
        if traits.is_empty() {
            let what = "there is nothing to put right".to_owned();
            let hint = "give the right values in `traits`; null removes one";
            return Err(ApiError::rights(StatusCode::BAD_REQUEST, "TES-R028", what, hint));
        }
        for fragment in &people.known {
            let (fragment, traits, request) = (*fragment, traits.clone(), id.to_string());
            self.operate(Operation::Rectify { fragment, traits, request }).await?;
        }
        Ok(())
    }

    /// Orders an erasure; housekeeping does the rest.
    async fn erase(
        self: &Arc<Self>,
        mut stored: Stored,
        calendar: &Calendar,
        people: People,
        verify: bool,
    ) -> Result<Stored, ApiError> {
        let People { fragments, known, recipients } = people;
        if verify {
            let app = Arc::clone(self);
            let values =
                blocking(move || Ok(values_of(app.parts.store.as_ref(), &known, CERTAIN_BYTES_MIN)?)).await?;
            self.remember_values(stored.id(), values);
        }
        for destination in recipients {
            let tell = Action::TellRecipient { destination, told: Told::Pending };
            stored.step(Actor::System, tell, calendar, self.parts.clock.now())?;
        }
        stored.is_erasing = true;
        self.put_request(&stored).await?;
        // From here on nothing about these people is written down; what was, stands before the order.
        self.erased.write().ordered.extend(fragments.iter().copied());
        let order = Operation::Erase {
            fragments: stored.request.opening().subjects.clone(),
            request: stored.id().to_string(),
        };
        let ordered = self.operate_surely(order).await;
        self.reload_erased().await?;
        ordered?;
        self.look_after(&stored);
        Ok(stored)
    }

    /// Waits for longer than a request should, for what must not be left in the middle.
    async fn operate_surely(&self, operation: Operation) -> Result<(), ApiError> {
        let position = self.order(operation).await?;
        for _ in 0..SETTLES_MAX {
            match self.settle(position).await {
                Err(ApiError::NotYet) => {}
                other => return other,
            }
        }
        Err(ApiError::NotYet)
    }

    /// Recipients are told by themselves of erasures alone: of everything else somebody has to write to them.
    async fn tell_by_hand(
        self: &Arc<Self>,
        stored: &mut Stored,
        calendar: &Calendar,
        people: &People,
    ) -> Result<(), ApiError> {
        let right = match stored.request.opening().request_type {
            RequestType::Rectification => Some(Right::Rectification),
            RequestType::Restriction => Some(Right::Restriction),
            RequestType::Access
            | RequestType::Portability
            | RequestType::Erasure
            | RequestType::LiftRestriction
            | RequestType::Objection
            | RequestType::OptOutOfSale => None,
        };
        let mut entries = Vec::new();
        for destination in &people.recipients {
            let tell = Action::TellRecipient { destination: destination.clone(), told: Told::Pending };
            stored.step(Actor::System, tell, calendar, self.parts.clock.now())?;
            if let (Some(right), Some(subject)) = (right, people.known.first()) {
                entries.push(Entry::Notice(Notice {
                    destination: destination.clone(),
                    request: stored.id().to_string().into(),
                    subject: *subject,
                    right,
                    status: NoticeStatus::Unsupported,
                    detail: Some("somebody has to write to the recipient".into()),
                }));
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        let app = Arc::clone(self);
        blocking(move || Ok(app.record_entries(&entries)?)).await
    }
}
