//! The review queue: pairs that a matcher is unsure of, and what stewards say of them.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Operation, ReviewOrder, Score, Verdict};
use tessera_pipeline::{Decision, ReviewId, ReviewRow, ReviewState, load_review, load_reviews, profile_of};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::merge::{check, judge, parse_reason};
use super::profile_answer::ProfileAnswer;
use super::profiles::{Asked, answer, parse_reference};
use super::{Params, read_json};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LIST_DEFAULT: usize = 50;
const LIST_MAX: usize = 500;
const NOTE_CHARS_MAX: usize = 1000;

/// A pair, without the people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewSummary {
    /// 32 hexadecimal digits.
    id: String,
    /// `open`, `accepted` (one person) or `rejected` (two people).
    #[schema(value_type = String)]
    state: ReviewState,
    /// From 0 to 1: how likely they are one person; null when no matcher asks.
    #[schema(value_type = Option<f64>)]
    score: Option<Score>,
    /// The matcher that asks; empty: none.
    matcher: String,
    /// A word to the steward.
    note: String,
    /// When it was asked first, RFC 3339.
    asked_at: String,
    /// The ids of the two profiles; null for one that is not there any more.
    profiles: [Option<String>; 2],
    /// Whether they are one profile already, by other evidence.
    is_one: bool,
    /// What was said, the last word last.
    decisions: Vec<DecisionAnswer>,
}

/// What a steward said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionAnswer {
    /// `same`, `different` or `unsure` (an earlier word taken back).
    #[schema(value_type = String)]
    verdict: Verdict,
    /// The account.
    by: String,
    /// When, RFC 3339.
    at: String,
    /// Why.
    reason: String,
}

/// A pair with the people, as far as the account sees them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewAnswer {
    #[serde(flatten)]
    summary: ReviewSummary,
    /// How the score came about, as the matcher tells it: comparisons, levels, weights.
    #[schema(value_type = Object)]
    waterfall: serde_json::Value,
    /// The one profile.
    a: ProfileAnswer,
    /// The other.
    b: ProfileAnswer,
}

/// A page of the queue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewList {
    /// The pairs, the likeliest first.
    reviews: Vec<ReviewSummary>,
    /// How many there are in all.
    total: usize,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeOrder {
    /// Why, for those who ask later. Name no persons: it stays in the log.
    reason: String,
}

/// A pair that somebody wants a steward to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskOrder {
    /// `namespace:value`, or an id.
    a: String,
    /// The same of the other.
    b: String,
    /// From 0 to 1: how likely they are one person.
    #[schema(value_type = f64)]
    score: Score,
    /// A word to the steward. Name no persons: it stays in the log.
    #[serde(default)]
    note: String,
}

/// Puts a pair into the queue, as a matcher does.
#[utoipa::path(
    post, path = "/api/v1/reviews", tag = "stewardship",
    request_body = AskOrder,
    responses(
        (status = 200, description = "In the queue.", body = ReviewSummary),
        (status = 400, description = "No such reference or score.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
        (status = 409, description = "There is nothing to ask: it was judged, or they are one profile.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn ask<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<ReviewSummary>, ApiError> {
    let rules = app.parts.rules.load_full();
    let AskOrder { a, b, score, note } = read_json(&app, request).await?;
    if note.chars().count() > NOTE_CHARS_MAX {
        let hint = format!("use at most {NOTE_CHARS_MAX} characters");
        return Err(ApiError::bad("`note` is too long", hint));
    }
    let parse = |text: &str| parse_reference(&rules, &app.parts.key, text);
    let (a, b) = (parse(&a)?, parse(&b)?);
    let shared = Arc::clone(&app);
    blocking(move || check(&shared, a, b)).await?;
    let (matcher, waterfall) = (String::new(), serde_json::Value::Null);
    let pairs = vec![ReviewOrder { a, b, score, matcher, waterfall, note }];
    let position = app.order(Operation::PutReviews { pairs }).await?;
    app.settle(position).await?;
    blocking(move || {
        let row = load_review(app.parts.store.as_ref(), ReviewId::of(a, b))?;
        match row.filter(|row| row.state == ReviewState::Open) {
            Some(row) => summary(&app, &row).map(Json),
            None => {
                let what = "there is nothing to ask: a steward has judged the pair, or they are one profile"
                    .to_owned();
                let hint = "`tessera review list --state all` shows what was said; `reopen` takes it back";
                Err(ApiError::rights(StatusCode::CONFLICT, "TES-I045", what, hint))
            }
        }
    })
    .await
}

fn summary<L: Log, S: Store>(app: &App<L, S>, row: &ReviewRow) -> Result<ReviewSummary, ApiError> {
    let profile = |id: FragmentId| profile_of(app.parts.store.as_ref(), id);
    let profiles = [profile(row.a)?, profile(row.b)?];
    let decision = |decision: &Decision| DecisionAnswer {
        verdict: decision.verdict,
        by: decision.by.clone(),
        at: decision.at.to_string(),
        reason: decision.reason.clone(),
    };
    Ok(ReviewSummary {
        id: row.id().to_string(),
        state: row.state,
        score: row.score,
        matcher: row.matcher.clone(),
        note: row.note.clone(),
        asked_at: row.asked_at.to_string(),
        is_one: profiles[0].is_some() && profiles[0] == profiles[1],
        profiles: profiles.map(|id| id.map(|id| id.to_string())),
        decisions: row.decisions.iter().map(decision).collect(),
    })
}

/// The queue, the likeliest pairs first.
#[utoipa::path(
    get, path = "/api/v1/reviews", tag = "stewardship",
    params(
        ("state" = Option<String>, Query, description = "`open` unless set, `accepted`, `rejected` or `all`"),
        ("matcher" = Option<String>, Query, description = "Only pairs of this matcher"),
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page.", body = ReviewList),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<ReviewList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(LIST_DEFAULT, LIST_MAX)?;
    let state = parse_state(params.take("state").as_deref())?;
    let matcher = params.take("matcher");
    let after = params.take("after").map(|text| parse_id(&text)).transpose()?;
    params.finish("state, matcher, limit, after")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let page = blocking(move || {
        let is_wanted = |row: &ReviewRow| {
            state.is_none_or(|state| row.state == state)
                && matcher.as_ref().is_none_or(|matcher| row.matcher == *matcher)
        };
        let rows = load_reviews(shared.parts.store.as_ref(), is_wanted)?;
        let start =
            after.and_then(|after| rows.iter().position(|row| row.id() == after)).map_or(0, |at| at + 1);
        let page: Vec<&ReviewRow> = rows.iter().skip(start).take(limit).collect();
        let is_last = start + page.len() >= rows.len();
        let next = page.last().filter(|_| !is_last).map(|row| row.id().to_string());
        let reviews = page.into_iter().map(|row| summary(&shared, row)).collect::<Result<_, _>>()?;
        Ok(Json(ReviewList { reviews, total: rows.len(), next }))
    })
    .await;
    drop(permit);
    page
}

/// One pair: why the matcher is unsure, and both profiles as far as the account sees them. Recorded in the evidence ledger
/// before it is answered.
#[utoipa::path(
    get, path = "/api/v1/reviews/{id}", tag = "stewardship",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    responses(
        (status = 200, description = "The pair.", body = ReviewAnswer),
        (status = 404, description = "No such pair, or one of the people is not there any more.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
) -> Result<Json<ReviewAnswer>, ApiError> {
    let id = parse_id(&id)?;
    blocking(move || shown(&app, &viewer, id, "GET /api/v1/reviews/{id}").map(Json)).await
}

/// They are one person: their profiles are merged.
#[utoipa::path(
    post, path = "/api/v1/reviews/{id}/accept", tag = "stewardship",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = JudgeOrder,
    responses(
        (status = 200, description = "Merged.", body = ReviewSummary),
        (status = 400, description = "No reason.", body = ErrorAnswer),
        (status = 404, description = "No such pair, or one of the people is not there any more.", body = ErrorAnswer),
        (status = 409, description = "Too many identifiers for one profile.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn accept<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ReviewSummary>, ApiError> {
    decide(app, viewer, id, Verdict::Same, request).await
}

/// They are two people: no evidence joins them any more, but a steward's.
#[utoipa::path(
    post, path = "/api/v1/reviews/{id}/reject", tag = "stewardship",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = JudgeOrder,
    responses(
        (status = 200, description = "Kept apart.", body = ReviewSummary),
        (status = 400, description = "No reason.", body = ErrorAnswer),
        (status = 404, description = "No such pair, or one of the people is not there any more.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn reject<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ReviewSummary>, ApiError> {
    decide(app, viewer, id, Verdict::Different, request).await
}

/// What was said is taken back: the pair is open again.
#[utoipa::path(
    post, path = "/api/v1/reviews/{id}/reopen", tag = "stewardship",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = JudgeOrder,
    responses(
        (status = 200, description = "Open.", body = ReviewSummary),
        (status = 400, description = "No reason.", body = ErrorAnswer),
        (status = 404, description = "No such pair, or one of the people is not there any more.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn reopen<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<ReviewSummary>, ApiError> {
    decide(app, viewer, id, Verdict::Unsure, request).await
}

async fn decide<L: Log, S: Store>(
    app: App<L, S>,
    viewer: Viewer,
    id: String,
    verdict: Verdict,
    request: Request,
) -> Result<Json<ReviewSummary>, ApiError> {
    let id = parse_id(&id)?;
    let order: JudgeOrder = read_json(&app, request).await?;
    let reason = parse_reason(order.reason)?;
    let shared = Arc::clone(&app);
    let row = blocking(move || find(&shared, id)).await?;
    judge(&app, &viewer, (row.a, row.b), verdict, reason).await?;
    blocking(move || {
        let row = find(&app, id)?;
        summary(&app, &row).map(Json)
    })
    .await
}

fn shown<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    id: ReviewId,
    route: &'static str,
) -> Result<ReviewAnswer, ApiError> {
    let row = find(app, id)?;
    let rules = app.parts.rules.load_full();
    let person = |id: FragmentId| {
        answer(app, &rules, Look { viewer, route, subject: Some(id) }, Asked { id, ..Asked::default() })
    };
    let (a, b) = (person(row.a)?, person(row.b)?);
    Ok(ReviewAnswer { summary: summary(app, &row)?, waterfall: row.waterfall, a, b })
}

fn find<L: Log, S: Store>(app: &App<L, S>, id: ReviewId) -> Result<ReviewRow, ApiError> {
    load_review(app.parts.store.as_ref(), id)?.ok_or(ApiError::NotFound {
        what: "there is no such pair in the review queue",
        hint: "`GET /api/v1/reviews` lists them",
    })
}

fn parse_id(text: &str) -> Result<ReviewId, ApiError> {
    ReviewId::parse(text)
        .ok_or_else(|| ApiError::bad("that is not the id of a pair", "an id has 32 hexadecimal digits"))
}

fn parse_state(text: Option<&str>) -> Result<Option<ReviewState>, ApiError> {
    match text {
        None | Some("open") => Ok(Some(ReviewState::Open)),
        Some("accepted") => Ok(Some(ReviewState::Accepted)),
        Some("rejected") => Ok(Some(ReviewState::Rejected)),
        Some("all") => Ok(None),
        Some(_) => Err(ApiError::bad("there is no such `state`", "known: open, accepted, rejected, all")),
    }
}
