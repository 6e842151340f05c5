//! What people do about a request, besides fulfilling it.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::{Extension, Json};
use serde::Deserialize;
use tessera_model::{DestinationName, Timestamp};
use tessera_rights::{Action, Actor, DenialReason, IdentityProof, Told};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::{RequestAnswer, answer, parse_id};
use crate::access::Viewer;
use crate::api::read_json;
use crate::body::drain;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, to_the_end};

const WORDS_CHARS_MAX: usize = 1000;

pub(super) fn account(viewer: &Viewer) -> Actor {
    Actor::Account(viewer.actor.as_str().into())
}

async fn step<L: Log, S: Store>(
    app: App<L, S>,
    viewer: &Viewer,
    id: Result<Path<String>, PathRejection>,
    action: Action,
) -> Result<Json<RequestAnswer>, ApiError> {
    let (id, steps) = (parse_id(id)?, vec![(account(viewer), action)]);
    let shared = Arc::clone(&app);
    let stored = to_the_end(async move { shared.take_steps(id, steps).await }).await?;
    answer(&app, &stored).map(Json)
}

/// How the person showed who they are, or until when they may.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityOrder {
    /// `signed_in`, `contact_point`, `knowledge`, `document` or `vouched_for`: they have.
    proof: Option<String>,
    /// RFC 3339: they were asked, and may answer until then. Where the law says so the clock stands still meanwhile.
    ask_until: Option<String>,
}

/// Records that the person has shown who they are (`proof`), or was asked to (`ask_until`).
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/verify-identity", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = IdentityOrder,
    responses(
        (status = 200, description = "On record.", body = RequestAnswer),
        (status = 400, description = "Neither or both, or no such proof.", body = ErrorAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "It does not fit where the request stands.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn verify_identity<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let order: IdentityOrder = read_json(&app, request).await?;
    let action = match (order.proof, order.ask_until) {
        (Some(proof), None) => Action::ConfirmIdentity { proof: parse_proof(&proof)? },
        (None, Some(until)) => {
            let answer_until = Timestamp::parse(&until).filter(|until| *until > app.parts.clock.now());
            let answer_until = answer_until.ok_or_else(|| {
                ApiError::bad("`ask_until` is no time from now on", "write it as 2030-01-31T12:00:00Z")
            })?;
            Action::AskIdentity { answer_until }
        }
        (None, None) | (Some(_), Some(_)) => {
            let hint =
                "give `proof` when the person has shown who they are, `ask_until` when they were asked";
            return Err(ApiError::bad("give either `proof` or `ask_until`", hint));
        }
    };
    step(app, &viewer, id, action).await
}

fn parse_proof(text: &str) -> Result<IdentityProof, ApiError> {
    IdentityProof::ALL.into_iter().find(|proof| proof.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = IdentityProof::ALL.iter().map(|proof| proof.as_str()).collect();
        ApiError::bad("`proof` is not one that there is", format!("known: {}", known.join(", ")))
    })
}

/// Records that the person was told that the request has arrived.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/acknowledge", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "On record.", body = RequestAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "It was done before.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn acknowledge<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    drain(request.into_body()).await;
    step(app, &viewer, id, Action::Acknowledge).await
}

/// Why nothing is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DenyOrder {
    /// The ground: `manifestly_unfounded`, `identity_not_proven`, `legal_obligation`, ...
    reason: String,
    /// In words, which the person is told. Names nobody: it is kept for as long as the request is.
    #[serde(default)]
    why: String,
}

/// Denies a request, on a ground that the law knows for it.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/deny", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = DenyOrder,
    responses(
        (status = 200, description = "Denied.", body = RequestAnswer),
        (status = 400, description = "No such reason.", body = ErrorAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "It is closed.", body = ErrorAnswer),
        (status = 422, description = "The law does not know that ground for it.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn deny<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let DenyOrder { reason, why } = read_json(&app, request).await?;
    let reason = parse_reason(&reason)?;
    step(app, &viewer, id, Action::Deny { reason, why: words("why", why)? }).await
}

pub(super) fn parse_reason(text: &str) -> Result<DenialReason, ApiError> {
    DenialReason::parse(text).ok_or_else(|| {
        let known: Vec<&str> = DenialReason::ALL.iter().map(|reason| reason.as_str()).collect();
        ApiError::bad("`reason` is not one that there is", format!("known: {}", known.join(", ")))
    })
}

fn words(field: &str, text: String) -> Result<Box<str>, ApiError> {
    if text.chars().count() > WORDS_CHARS_MAX {
        return Err(ApiError::bad(
            format!("`{field}` is too long"),
            "use up to 1000 characters; name nobody",
        ));
    }
    Ok(text.into())
}

/// Why, in words.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyOrder {
    /// In words. Names nobody: it is kept for as long as the request is.
    #[serde(default)]
    why: String,
}

/// Records that the person was told that it takes longer, and why.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/extend", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = WhyOrder,
    responses(
        (status = 200, description = "On record; the clock has the new day.", body = RequestAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "The law gives no extension, or none any more.", body = ErrorAnswer),
        (status = 422, description = "No words.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn extend<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let WhyOrder { why } = read_json(&app, request).await?;
    step(app, &viewer, id, Action::Extend { why: words("why", why)? }).await
}

/// Records that the person took the request back.
///
/// What was begun is not undone: an erasure that was ordered goes on.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/cancel", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = WhyOrder,
    responses(
        (status = 200, description = "Cancelled.", body = RequestAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "It is closed.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn cancel<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let WhyOrder { why } = read_json(&app, request).await?;
    step(app, &viewer, id, Action::Cancel { why: words("why", why)? }).await
}

/// Ends a request whose person did not show who they are in time.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/expire", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "Expired.", body = RequestAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "The person may still answer, or was not asked.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn expire<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    drain(request.into_body()).await;
    step(app, &viewer, id, Action::Expire).await
}

/// What became of telling a recipient.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TellOrder {
    /// The recipient.
    destination: String,
    /// It took note: the number or id that it answered with, or an empty text.
    receipt: Option<String>,
    /// It cannot be told: why.
    impossible: Option<String>,
}

/// Records what became of telling a recipient that Tessera cannot tell by itself.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/tell", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    request_body = TellOrder,
    responses(
        (status = 200, description = "On record.", body = RequestAnswer),
        (status = 400, description = "Neither or both.", body = ErrorAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "Nobody is told of a request that stands there.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn tell<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    request: HttpRequest,
) -> Result<Json<RequestAnswer>, ApiError> {
    let order: TellOrder = read_json(&app, request).await?;
    let destination = DestinationName::parse(&order.destination)
        .map_err(|_| ApiError::bad("`destination` is no name", "`tessera destination list` lists them"))?;
    let told = match (order.receipt, order.impossible) {
        (Some(receipt), None) => Told::Acknowledged { receipt: words("receipt", receipt)? },
        (None, Some(why)) => Told::Impossible { why: words("impossible", why)? },
        (None, None) | (Some(_), Some(_)) => {
            let hint = "`receipt` when it took note, `impossible` when it cannot be told";
            return Err(ApiError::bad("give either `receipt` or `impossible`", hint));
        }
    };
    step(app, &viewer, id, Action::TellRecipient { destination, told }).await
}
