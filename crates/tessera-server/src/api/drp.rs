//! The Data Rights Protocol under `/drp/v1`: how authorised agents exercise people's rights with us.
//!
//! An agent is an account that may work on requests, and its name is the `agent-id`; `business-id` is the name of the
//! controller document. Not done: the Ed25519 signature before the JSON is cut off and not checked, for there is no
//! directory of agents' keys; the bearer token alone says which agent it is. So an agent does not vouch for the person
//! here: somebody must verify who they are. Reference:
//! <https://github.com/consumer-reports-innovation-lab/data-rights-protocol>.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tessera_model::FragmentId;
use tessera_rights::drp::{DrpRequest, ErrorBody, Expected, Revocation};
use tessera_rights::{Regime, Request, SubjectRequestId, WireError};
use tessera_store::{Log, Store};

use super::profiles::parse_reference;
use super::read_body;
use super::requests::callback::Callback;
use super::requests::parse_id;
use super::requests::stored::{Protocol, Stored, Via};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

const SIGNATURE_BYTES: usize = 64;

/// The JSON of a body: as it is, or behind a signature in Base64.
fn unsigned(body: &Bytes) -> Bytes {
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match STANDARD.decode(&text) {
        Ok(signed) => signed.get(SIGNATURE_BYTES..).map(Bytes::copy_from_slice).unwrap_or_default(),
        Err(_) => body.clone(),
    }
}

fn refused(error: &WireError) -> Response {
    (StatusCode::BAD_REQUEST, Json(ErrorBody::from(error))).into_response()
}

/// Takes a request that an agent makes for a person.
#[utoipa::path(
    post, path = "/drp/v1/data-rights-request", tag = "protocols",
    request_body(content = Object, description = "As the protocol, section 2.02, describes it"),
    responses(
        (status = 200, description = "Taken: its status.", body = Object),
        (status = 400, description = "Not a request of the protocol, or not for us.", body = Object),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn open<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let body = unsigned(&read_body(&app, request).await?);
    let rules = app.parts.rules.load_full();
    let now = app.parts.clock.now();
    let business_id = rules.controller().map(|controller| controller.name.as_str()).unwrap_or_default();
    let expected = Expected { agent_id: &viewer.actor, business_id, now };
    let parsed = match DrpRequest::parse(&body, &expected) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(refused(&error)),
    };
    let subjects: Vec<FragmentId> = parsed
        .claims
        .verified()
        .map(|(namespace, value)| {
            parse_reference(&rules, &app.parts.key, &format!("{namespace}:{}", value.reveal()))
        })
        .collect::<Result<_, _>>()?;
    if subjects.is_empty() {
        let (field, known) =
            ("email_verified".to_owned(), "an address or number that the agent has verified");
        return Ok(refused(&WireError::Unsupported { field, known }));
    }
    let id = SubjectRequestId::from_random(rand::random());
    let Some(opening) = parsed.opening(id, subjects, now, Regime::Ccpa) else {
        let known = "sale:opt-out, deletion, access; an opt-in is a consent: let the person give it";
        return Ok(refused(&WireError::Unsupported { field: "exercise".to_owned(), known }));
    };
    let mut stored = Stored::new(Request::open(opening)?);
    stored.via = Some(Via {
        protocol: Protocol::Drp,
        account: viewer.actor.clone(),
        is_vouched_for: false,
        callbacks: parsed.status_callback.into_iter().map(Callback::new).collect(),
        agent_request_id: parsed.agent_request_id,
    });
    let stored = Arc::clone(&app).admit(stored).await?;
    app.protocol_answer(&stored)
}

/// Where a request stands that an agent made.
#[utoipa::path(
    get, path = "/drp/v1/data-rights-request/{id}", tag = "protocols",
    params(("id" = String, Path, description = "`request_id`")),
    responses(
        (status = 200, description = "Its status.", body = Object),
        (status = 404, description = "This agent made no such request.", body = ErrorAnswer),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let stored = app.passed_on(parse_id(id)?, &viewer, Protocol::Drp).await?;
    app.protocol_answer(&stored)
}

/// Takes a request back.
#[utoipa::path(
    delete, path = "/drp/v1/data-rights-request/{id}", tag = "protocols",
    params(("id" = String, Path, description = "`request_id`")),
    request_body(content = Object, description = "`{\"reason\": ...}`, as the protocol, section 2.04, describes it"),
    responses(
        (status = 200, description = "Revoked: its status.", body = Object),
        (status = 404, description = "This agent made no such request.", body = ErrorAnswer),
        (status = 409, description = "It is closed.", body = ErrorAnswer),
    ),
    security(("admin_token" = []), ("account" = []))
)]
pub(crate) async fn revoke<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let id = parse_id(id)?;
    let body = unsigned(&read_body(&app, request).await?);
    // Words may name somebody, and a request names nobody: it is read to be checked, and not kept.
    if let Err(error) = if body.is_empty() { Ok(()) } else { Revocation::parse(&body).map(drop) } {
        return Ok(refused(&error));
    }
    app.passed_on(id, &viewer, Protocol::Drp).await?;
    let stored = Arc::clone(&app).revoke(id, viewer.actor, String::new()).await?;
    app.protocol_answer(&stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_before_the_json_is_cut_off() {
        let json = Bytes::from_static(b"{\"agent-id\": \"a\"}");
        assert_eq!(unsigned(&json), json);
        let signed = [vec![7; SIGNATURE_BYTES], json.to_vec()].concat();
        assert_eq!(unsigned(&STANDARD.encode(signed).into()), json);
        assert_eq!(unsigned(&STANDARD.encode([7; 10]).into()), Bytes::new());
    }
}
