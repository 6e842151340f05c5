//! Who is this? Candidates for what somebody says of themselves, by a live matcher.
//!
//! Invariant: nobody is looked for by a field that the account does not see; what is shown of each candidate is what the
//! matcher's purpose permits and the account sees, and is in the ledger before it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{MatcherDocument, Rules};
use tessera_pipeline::{Candidate, Description, FindError, MatchQuestion};
use tessera_policy::Mask;
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::matchers::matcher_named;
use super::profiles::path;
use super::read_json;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/match/{name}/find";
const CANDIDATES: usize = 5;
const CANDIDATES_MAX: usize = 20;
const VALUE_BYTES_MAX: usize = 1024;

/// Who is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindOrder {
    /// What they say of themselves, by the matcher's columns: `{"first_name": "Ada", "born": "1815-12-10"}`.
    values: BTreeMap<String, String>,
    /// Most candidates, 1 to 20; 5 unless given.
    #[serde(default)]
    limit: Option<usize>,
}

/// Who it may be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindAnswer {
    /// From this probability on two profiles become one.
    link: f64,
    /// From this probability on a person is asked.
    review: f64,
    /// The likeliest first; none who is hardly likely at all.
    candidates: Vec<CandidateAnswer>,
}

/// Somebody who may be meant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateAnswer {
    /// The profile's id.
    profile: String,
    /// The probability that it is the person described.
    probability: f64,
    /// What was compared, as far as the account sees it.
    values: Vec<CandidateValue>,
    /// How the probability came about: the weight that each comparison adds.
    #[schema(value_type = Object)]
    waterfall: serde_json::Value,
}

/// The value of a column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CandidateValue {
    /// The column of the matcher.
    column: String,
    /// Where it is found: `traits.first_name`.
    field: String,
    /// The value; null if there is none, or it is not shown.
    value: Option<String>,
}

/// The profiles that are most like what somebody says of themselves.
///
/// Takes a matcher with `live: true`. Compared is what the matcher's purpose permits; nobody is looked for by a field that the
/// account does not see. Each candidate shown is recorded in the evidence ledger before the answer leaves.
#[utoipa::path(
    post, path = "/api/v1/match/{name}/find", tag = "match",
    params(("name" = String, Path, description = "The matcher")),
    request_body = FindOrder,
    responses(
        (status = 200, description = "The candidates, maybe none.", body = FindAnswer),
        (status = 400, description = "The description does not fit the matcher.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the matcher's purpose, or does not see a field.", body = ErrorAnswer),
        (status = 404, description = "No such matcher.", body = ErrorAnswer),
        (status = 409, description = "The matcher is not live, or not ready.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn find<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<FindAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let matcher = matcher_named(&rules, &path(name)?)?.clone();
    let order: FindOrder = read_json(&app, request).await?;
    if !viewer.may_use(&matcher.purpose) {
        return Err(ApiError::NotGranted { purpose: matcher.purpose });
    }
    let description = described(&matcher, order)?;
    blocking(move || answer(&app, &viewer, (&rules, &matcher), &description).map(Json)).await
}

/// The description, if it is one.
fn described(matcher: &MatcherDocument, order: FindOrder) -> Result<Description, ApiError> {
    let misfit = |what: String| {
        let columns: Vec<&str> = matcher.columns.keys().map(String::as_str).collect();
        let hint = format!("describe the person by {}", columns.join(", "));
        ApiError::rights(StatusCode::BAD_REQUEST, "TES-X031", what, hint)
    };
    let FindOrder { values, limit } = order;
    let most = limit.unwrap_or(CANDIDATES);
    if !(1..=CANDIDATES_MAX).contains(&most) {
        return Err(misfit(format!("`limit` is not from 1 to {CANDIDATES_MAX}")));
    }
    // A name that is no column may be a value in the wrong place, so it is not repeated.
    if values.is_empty() || values.keys().any(|column| !matcher.columns.contains_key(column)) {
        return Err(misfit(format!(
            "the description has none, or others, of the columns of `{}`",
            matcher.name
        )));
    }
    if let Some((column, _)) = values.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        return Err(misfit(format!("the value of `{column}` is longer than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(Description { values, most })
}

fn answer<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    (rules, matcher): (&Rules, &MatcherDocument),
    description: &Description,
) -> Result<FindAnswer, ApiError> {
    let labels = app.labels(rules);
    let mask = Mask::new(Arc::clone(&labels), viewer.hidden());
    let asked = matcher.columns.iter().filter(|(column, _)| description.values.contains_key(*column));
    if let Some((_, field)) = asked.into_iter().find(|(_, field)| mask.hides(field.as_str())) {
        return Err(ApiError::Hidden { role: viewer.role, field: field.to_string() });
    }
    let not_live = || {
        let what = format!("the matcher `{}` is not live, or has not read everybody yet", matcher.name);
        let hint = "set `live: true` in its document and apply it; `tessera match list` says where it stands";
        ApiError::rights(StatusCode::CONFLICT, "TES-X030", what, hint)
    };
    if matcher.live {
        app.parts.matching.await_everybody(&matcher.name);
    }
    let model = app.parts.matching.model(&matcher.name).ok_or_else(not_live)?;
    let now = app.parts.clock.now();
    let question = MatchQuestion { rules, labels: &labels, matcher, model: &model, now };
    let found = question.find(app.parts.store.as_ref(), &app.parts.matching, description);
    let found = found.map_err(|error| match error {
        FindError::NotLive => not_live(),
        FindError::Match(error) => {
            tracing::error!(code = error.code(), "a model does not fit its matcher: {error}");
            ApiError::Internal
        }
        FindError::Failed(error) => error.into(),
    })?;
    let mut shown = Vec::new();
    let candidates: Vec<CandidateAnswer> = found
        .into_iter()
        .map(|candidate| {
            let profile = candidate.profile;
            let (answer, seen) = seen(candidate, matcher, &mask)?;
            shown.push((profile, seen));
            Ok(answer)
        })
        .collect::<Result<_, ApiError>>()?;
    app.record(Look { viewer, route: ROUTE, subject: None }, shown)?;
    Ok(FindAnswer { link: matcher.link, review: matcher.review, candidates })
}

/// A candidate as the account sees it.
fn seen(
    candidate: Candidate,
    matcher: &MatcherDocument,
    mask: &Mask,
) -> Result<(CandidateAnswer, Shown), ApiError> {
    let mut shown = Shown::default();
    shown.purposes.insert(matcher.purpose.clone());
    let values = matcher.columns.iter().zip(candidate.values).map(|((column, field), value)| {
        let value = value.filter(|_| !mask.hides(field.as_str()));
        if value.is_some() {
            shown.fields.insert(field.as_str().to_owned());
        }
        CandidateValue { column: column.clone(), field: field.to_string(), value: value.map(String::from) }
    });
    let answer = CandidateAnswer {
        values: values.collect(),
        profile: candidate.profile.to_string(),
        probability: candidate.explanation.probability,
        waterfall: serde_json::to_value(&candidate.explanation).map_err(|_| ApiError::Internal)?,
    };
    Ok((answer, shown))
}
