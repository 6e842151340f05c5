//! Taking identifiers out of a profile: the order that undoes a merge.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Operation, Rules};
use tessera_pipeline::{Query, QueryError};
use tessera_profile::View;
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
const IDENTIFIERS_MAX: usize = 1000;

/// What leaves a profile, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SplitOrder {
    /// `namespace:value` of each identifier that goes; together they become a profile of their own.
    identifiers: Vec<String>,
    /// Why, for those who ask later. Name no persons: it stays in the log.
    reason: String,
}

/// What a split came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SplitAnswer {
    /// The profiles that there are now.
    profiles: Vec<ProfileAnswer>,
}

/// Takes identifiers out of a profile, exactly as if they had never been linked to the rest.
#[utoipa::path(
    post, path = "/api/v1/profiles/{reference}/split", tag = "profiles",
    params(("reference" = String, Path, description = "As for `GET /api/v1/profiles/{reference}`")),
    request_body = SplitOrder,
    responses(
        (status = 200, description = "Done.", body = SplitAnswer),
        (status = 400, description = "An identifier is not the profile's, or nothing would be left.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn split<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<SplitAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let reference = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    let order: SplitOrder = read_json(&app, request).await?;
    if order.reason.trim().is_empty() || order.reason.chars().count() > REASON_CHARS_MAX {
        let hint = format!("say why, in 1 to {REASON_CHARS_MAX} characters");
        return Err(ApiError::bad("`reason` is empty or too long", hint));
    }
    if order.identifiers.is_empty() || order.identifiers.len() > IDENTIFIERS_MAX {
        let hint = format!("name 1 to {IDENTIFIERS_MAX} identifiers");
        return Err(ApiError::bad("`identifiers` has none or too many", hint));
    }
    let parse = |text: &String| parse_reference(&rules, &app.parts.key, text);
    let mut fragments: Vec<FragmentId> = Vec::new();
    for id in order.identifiers.iter().map(parse) {
        let id = id?;
        if fragments.contains(&id) {
            return Err(ApiError::bad("`identifiers` names one twice", "name each once"));
        }
        fragments.push(id);
    }
    let (shared, now_rules, going) = (Arc::clone(&app), Arc::clone(&rules), fragments.clone());
    blocking(move || check(&shared, &now_rules, reference, &going)).await?;
    let operation = Operation::Split { fragments: fragments.clone(), reason: order.reason };
    let position = app.order(operation).await?;
    app.settle(position).await?;
    blocking(move || {
        let mut profiles: Vec<ProfileAnswer> = Vec::new();
        for id in [reference].into_iter().chain(fragments) {
            let look =
                Look { viewer: &viewer, route: "POST /api/v1/profiles/{reference}/split", subject: Some(id) };
            let profile = answer(&app, &rules, look, Asked { id, ..Asked::default() })?;
            if profiles.iter().all(|known| known.id != profile.id) {
                profiles.push(profile);
            }
        }
        Ok(Json(SplitAnswer { profiles }))
    })
    .await
}

/// All that goes must be in the profile, and something must stay.
fn check<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    reference: FragmentId,
    going: &[FragmentId],
) -> Result<(), ApiError> {
    let query = Query { rules, purpose: None, view: View::default(), now: app.parts.clock.now() };
    // The profile's id, and how many identifiers it has if they may be seen.
    let find = |id| match query.by_id(app.parts.store.as_ref(), id) {
        Ok(profile) => Ok((profile.get().id.clone(), Some(profile.get().identifiers.len()))),
        Err(QueryError::Denied { id, .. }) => Ok((id, None)),
        Err(QueryError::NotFound) => Err(not_found()),
        Err(QueryError::Failed(error)) => Err(error.into()),
    };
    let (profile, len) = find(reference)?;
    for (number, id) in (1_usize..).zip(going) {
        match find(*id) {
            Ok((found, _)) if found == profile => {}
            Ok(_) | Err(ApiError::NotFound { .. }) => {
                let what = format!("identifier {number} is not one of the profile's");
                return Err(ApiError::bad(
                    what,
                    "name identifiers that `GET /api/v1/profiles/{reference}` shows",
                ));
            }
            Err(error) => return Err(error),
        }
    }
    if len.is_some_and(|len| len <= going.len()) {
        return Err(ApiError::bad(
            "nothing would be left of the profile",
            "leave at least one identifier out",
        ));
    }
    Ok(())
}
