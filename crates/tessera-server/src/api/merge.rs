//! Merging two profiles by hand: a steward's word that they are one person.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use tessera_model::{FragmentId, NamespaceRules, Operation, Verdict};
use tessera_pipeline::{is_account, profile_of};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profile_answer::ProfileAnswer;
use super::profiles::{Asked, answer, not_found, parse_reference, path};
use super::read_json;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const REASON_CHARS_MAX: usize = 1000;

/// Who is the same person, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MergeOrder {
    /// `namespace:value`, or an id: the other profile.
    with: String,
    /// Why, for those who ask later. Name no persons: it stays in the log.
    reason: String,
}

/// Merges two profiles. Limits do not stand against it, and an earlier word that they are two people does not either; a
/// split or an undo takes it back.
#[utoipa::path(
    post, path = "/api/v1/profiles/{reference}/merge", tag = "stewardship",
    params(("reference" = String, Path, description = "As for `GET /api/v1/profiles/{reference}`")),
    request_body = MergeOrder,
    responses(
        (status = 200, description = "The one profile.", body = ProfileAnswer),
        (status = 400, description = "No such reference, or no reason.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
        (status = 409, description = "Too many identifiers for one profile.", body = ErrorAnswer),
        (status = 422, description = "One is a person, the other an account.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn merge<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ProfileAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let one = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    let order: MergeOrder = read_json(&app, request).await?;
    let other = parse_reference(&rules, &app.parts.key, &order.with)?;
    let reason = parse_reason(order.reason)?;
    judge(&app, &viewer, (one, other), Verdict::Same, reason).await?;
    blocking(move || {
        let look =
            Look { viewer: &viewer, route: "POST /api/v1/profiles/{reference}/merge", subject: Some(one) };
        answer(&app, &rules, look, Asked { id: one, ..Asked::default() }).map(Json)
    })
    .await
}

/// A reason in words that may stay in the log.
pub(super) fn parse_reason(reason: String) -> Result<String, ApiError> {
    if reason.trim().is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        let hint = format!("say why, in 1 to {REASON_CHARS_MAX} characters");
        return Err(ApiError::bad("`reason` is empty or too long", hint));
    }
    Ok(reason)
}

/// Puts a steward's word in the log, and waits until it has its effect.
pub(super) async fn judge<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    (a, b): (FragmentId, FragmentId),
    verdict: Verdict,
    reason: String,
) -> Result<(), ApiError> {
    let shared = Arc::clone(app);
    blocking(move || check(&shared, a, b)).await?;
    let by = viewer.actor.clone();
    let position = app.order(Operation::Judge { a, b, verdict, by, reason }).await?;
    app.settle(position).await?;
    if verdict != Verdict::Same {
        return Ok(());
    }
    let shared = Arc::clone(app);
    blocking(move || {
        let store = shared.parts.store.as_ref();
        if profile_of(store, a)? == profile_of(store, b)? {
            return Ok(());
        }
        let what =
            "the two stay two profiles: together they have too many identifiers, or a rule keeps them apart";
        let hint = "`tessera profile show REFERENCE --include merges` shows what stands against it";
        Err(ApiError::rights(StatusCode::CONFLICT, "TES-I041", what.to_owned(), hint))
    })
    .await
}

/// Both are there, two, and of one kind.
pub(super) fn check<L: Log, S: Store>(app: &App<L, S>, a: FragmentId, b: FragmentId) -> Result<(), ApiError> {
    let store = app.parts.store.as_ref();
    let (Some(one), Some(other)) = (is_account(store, a)?, is_account(store, b)?) else {
        return Err(not_found());
    };
    if a == b {
        return Err(ApiError::bad("both are the same identifier", "name one identifier of each profile"));
    }
    if one == other {
        return Ok(());
    }
    let what = format!("a person and an account (`{}`) are never one", NamespaceRules::ACCOUNT);
    Err(ApiError::rights_refused("TES-I040", what, "name two people, or two accounts"))
}
