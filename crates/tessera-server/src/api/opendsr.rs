//! OpenDSR under `/opendsr/v1`: how other controllers pass requests of data subjects on to us.
//!
//! The account that passes a request on answers for who the person is, and alone sees it here. Not done: answers are not
//! signed (`X-OpenDSR-Signature`), for which a certificate would be needed. Reference:
//! <https://github.com/opengdpr/OpenDSR/blob/master/specification.md>.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use tessera_model::{FragmentId, Rules};
use tessera_rights::opendsr::{
    API_VERSION, Cancellation, Discovery, ErrorBody, OpenDsrRequest, Receipt, may_cancel,
};
use tessera_rights::{Action, Actor, Request, SubjectRequestId, WireError, clock};
use tessera_store::{Log, Store};

use super::profiles::parse_reference;
use super::read_body;
use super::requests::callback::Callback;
use super::requests::stored::{Protocol, Stored, Via};
use super::requests::{calendar, no_such_request, parse_id};
use crate::access::Viewer;
use crate::body::drain;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared, to_the_end};

/// Takes a request for access, portability or erasure that another controller passes on.
#[utoipa::path(
    post, path = "/opendsr/v1/requests", tag = "protocols",
    request_body(content = Object, description = "As OpenDSR, section 7.2, describes it; identities as they are (`raw`)"),
    responses(
        (status = 201, description = "Taken.", body = Object),
        (status = 400, description = "Not a request of OpenDSR, or none of its identities can be looked up.", body = Object),
        (status = 409, description = "There is a request of that id.", body = ErrorAnswer),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn open<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let body = read_body(&app, request).await?;
    let parsed = OpenDsrRequest::parse(&body).and_then(|parsed| {
        let is_raw = parsed.raw_identities().next().is_some();
        let known = "raw: a hash leads to nobody, for identifiers are kept under hashes of our own";
        let field = || "subject_identities.identity_format".to_owned();
        if is_raw { Ok(parsed) } else { Err(WireError::Unsupported { field: field(), known }) }
    });
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return Ok((StatusCode::BAD_REQUEST, Json(ErrorBody::from(&error))).into_response()),
    };
    let rules = app.parts.rules.load_full();
    let subjects: Vec<FragmentId> = parsed
        .raw_identities()
        .map(|identity| {
            let reference = format!("{}:{}", identity.namespace(), identity.value.reveal());
            parse_reference(&rules, &app.parts.key, &reference)
        })
        .collect::<Result<_, _>>()?;
    let now = app.parts.clock.now();
    let mut stored = Stored::new(Request::open(parsed.opening(&viewer.actor, subjects, now))?);
    stored.via = Some(Via {
        protocol: Protocol::OpenDsr,
        account: viewer.actor.clone(),
        is_vouched_for: true,
        callbacks: parsed.callback_urls.into_iter().map(Callback::new).collect(),
        agent_request_id: None,
    });
    let stored = Arc::clone(&app).admit(stored).await?;
    let calendar = calendar(&rules)?;
    let expected = calendar.end_of(clock(&stored.request, &calendar, now).answer_by);
    let receipt = Receipt::new(&stored.request, &viewer.actor, now, expected, &body);
    Ok((StatusCode::CREATED, Json(receipt)).into_response())
}

impl<L: Log, S: Store> Shared<L, S> {
    /// Puts a request on record that came in by a protocol; its id must be new.
    pub(super) async fn admit(self: Arc<Self>, mut stored: Stored) -> Result<Stored, ApiError> {
        to_the_end(async move {
            let _one = self.requests.lock().await;
            match self.load_request(stored.id()).await {
                Err(ApiError::Rights { status: StatusCode::NOT_FOUND, .. }) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    let what = "there is a request of that id".to_owned();
                    let hint = "ask for its status, or give a new request an id of its own";
                    return Err(ApiError::rights(StatusCode::CONFLICT, "TES-R026", what, hint));
                }
            }
            // The sender has an answer that says so: that is the acknowledgement that OpenDSR knows.
            let calendar = calendar(&self.parts.rules.load())?;
            stored.step(Actor::System, Action::Acknowledge, &calendar, self.parts.clock.now())?;
            // The answer tells the first status; calls begin with the next.
            let status = stored.protocol_status();
            let callbacks = stored.via.iter_mut().flat_map(|via| &mut via.callbacks);
            callbacks.for_each(|callback| callback.settled.clone_from(&status));
            self.put_request(&stored).await?;
            Ok(stored)
        })
        .await
    }

    /// The request, if `viewer` passed it on by that protocol.
    pub(super) async fn passed_on(
        self: &Arc<Self>,
        id: SubjectRequestId,
        viewer: &Viewer,
        protocol: Protocol,
    ) -> Result<Stored, ApiError> {
        let stored = self.load_request(id).await?;
        let is_theirs =
            stored.via.as_ref().is_some_and(|via| via.protocol == protocol && via.account == viewer.actor);
        if is_theirs { Ok(stored) } else { Err(no_such_request()) }
    }

    /// Where it stands, in the words of its protocol.
    pub(super) fn protocol_answer(&self, stored: &Stored) -> Result<Response, ApiError> {
        let calendar = calendar(&self.parts.rules.load())?;
        Ok(Json(stored.protocol_body(&calendar, self.parts.clock.now(), None)?).into_response())
    }

    /// The agent takes a request back.
    pub(super) async fn revoke(
        self: Arc<Self>,
        id: SubjectRequestId,
        agent: String,
        why: String,
    ) -> Result<Stored, ApiError> {
        let steps = vec![(Actor::Agent(agent.into()), Action::Cancel { why: why.into() })];
        to_the_end(async move { self.take_steps(id, steps).await }).await
    }
}

/// Where a request stands that was passed on.
#[utoipa::path(
    get, path = "/opendsr/v1/requests/{id}", tag = "protocols",
    params(("id" = String, Path, description = "`subject_request_id`")),
    responses(
        (status = 200, description = "Its status.", body = Object),
        (status = 404, description = "This account passed no such request on.", body = ErrorAnswer),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let stored = app.passed_on(parse_id(id)?, &viewer, Protocol::OpenDsr).await?;
    app.protocol_answer(&stored)
}

/// Takes a request back while it is pending.
#[utoipa::path(
    delete, path = "/opendsr/v1/requests/{id}", tag = "protocols",
    params(("id" = String, Path, description = "`subject_request_id`")),
    responses(
        (status = 202, description = "Cancelled.", body = Object),
        (status = 404, description = "This account passed no such request on.", body = ErrorAnswer),
        (status = 409, description = "It is being worked on, or closed.", body = ErrorAnswer),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn cancel<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    drain(request.into_body()).await;
    let id = parse_id(id)?;
    let stored = app.passed_on(id, &viewer, Protocol::OpenDsr).await?;
    if !may_cancel(&stored.request) {
        let what = "the request is no longer pending".to_owned();
        let hint = "only pending requests can be cancelled (section 9)";
        return Err(ApiError::rights(StatusCode::CONFLICT, "TES-R026", what, hint));
    }
    let received_time = app.parts.clock.now();
    app.revoke(id, viewer.actor.clone(), String::new()).await?;
    let controller_id = viewer.actor;
    let body =
        Cancellation { controller_id, subject_request_id: id, received_time, api_version: API_VERSION };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// What is understood of OpenDSR.
#[utoipa::path(
    get, path = "/opendsr/v1/discovery", tag = "protocols",
    responses((status = 200, description = "Identities and types of request.", body = Object)),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn discovery<L: Log, S: Store>(State(app): State<App<L, S>>) -> Response {
    let rules: Arc<Rules> = app.parts.rules.load_full();
    Json(Discovery::new("", |namespace| rules.namespaces.find(namespace).is_some())).into_response()
}
