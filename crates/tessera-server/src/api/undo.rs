//! Taking evidence away: what it would do, doing it, and taking that back.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{
    FragmentId, MessageId, MessageKey, Operation, Rules, Selector, SourceName, Timestamp, UndoId,
};
use tessera_pipeline::{Looked, UndoPreview, Undoing, clusters_undone_by, load_undo, load_undos, recipients};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::merge::parse_reason;
use super::profiles::parse_reference;
use super::progress::Hearing;
use super::read_json;
use super::undo_answer::{UndoEffect, effect};
use crate::access::Viewer;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking, to_the_end};

/// Most clusters in one order: one commit.
const ORDER_CLUSTERS_MAX: usize = 500;
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Which evidence is meant: exactly one of `edge`, `event` and `source`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoSelector {
    /// All between two identifiers: `["user_id:1", "anonymous_id:d1"]`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    edge: Option<[String; 2]>,
    /// All that the event with this message id said.
    #[serde(default)]
    event: Option<String>,
    /// All that a source, or a matcher, said.
    #[serde(default)]
    source: Option<String>,
    /// With `source`: only what was received from then on, RFC 3339.
    #[serde(default)]
    from: Option<String>,
    /// With `source`: only what was received before, RFC 3339. Now unless set; never later.
    #[serde(default)]
    to: Option<String>,
}

/// An undo that is ordered.
#[derive(Deserialize, ToSchema)]
pub(crate) struct UndoOrder {
    #[serde(flatten)]
    selector: UndoSelector,
    /// Why, for those who ask later. Name no persons: it stays in the log.
    reason: String,
}

/// Why an undo is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedoOrder {
    /// Why, for those who ask later. Name no persons: it stays in the log.
    reason: String,
}

/// An undo.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UndoAnswer {
    /// 32 hexadecimal digits.
    id: String,
    /// Which evidence: `edge` names two identifiers by hash, `event` a message id by hash.
    #[schema(value_type = Object)]
    selector: Selector,
    /// How many clusters it touched.
    clusters: u64,
    /// The account that ordered it.
    by: String,
    /// When, RFC 3339.
    at: String,
    /// Why.
    reason: String,
    /// When it was taken back, RFC 3339; null: it stands.
    taken_back_at: Option<String>,
    /// The account that took it back.
    taken_back_by: Option<String>,
    /// What it did; only in the answer to the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<UndoEffect>,
}

/// Every undo that was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UndoList {
    /// The last first.
    undos: Vec<UndoAnswer>,
}

/// What an undo would do. Changes nothing.
///
/// With `Accept: text/event-stream` the answer is a stream: `event: progress` now and then, and `event: done` with the
/// answer, or `event: failed` with an error, at the end.
#[utoipa::path(
    post, path = "/api/v1/undo/preview", tag = "stewardship",
    request_body = UndoSelector,
    responses(
        (status = 200, description = "What would happen.", body = UndoEffect),
        (status = 400, description = "Not one of `edge`, `event` and `source`.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn preview<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    stopping: Option<Extension<Stopping>>,
    request: Request,
) -> Result<Response, ApiError> {
    let hearing = Hearing::of(request.headers(), stopping);
    let selector: UndoSelector = read_json(&app, request).await?;
    let rules = app.parts.rules.load_full();
    let selector = parse(&app, &rules, selector)?;
    let shared = Arc::clone(&app);
    hearing
        .answer(app, move |progress| {
            let mut go_on = |looked: Looked| flow(progress(looked));
            let found = look_through(&shared, &rules, &selector, &mut go_on)?;
            let recipients = recipients(
                &shared.parts.evidence,
                &found.effect.people.iter().copied().collect::<Vec<FragmentId>>(),
            )?;
            let look = Look { viewer: &viewer, route: "POST /api/v1/undo/preview", subject: None };
            effect(&shared, &rules, look, found, recipients)
        })
        .await
}

/// Takes evidence away: what it held together comes apart, unless other evidence holds it, exactly as if it had never
/// come, and it does not count when it comes again.
#[utoipa::path(
    post, path = "/api/v1/undo", tag = "stewardship",
    request_body = UndoOrder,
    responses(
        (status = 200, description = "Done.", body = UndoAnswer),
        (status = 400, description = "Not one of `edge`, `event` and `source`, or no reason.", body = ErrorAnswer),
        (status = 409, description = "There is no such evidence.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn order<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Json<UndoAnswer>, ApiError> {
    let UndoOrder { selector, reason } = read_json(&app, request).await?;
    let reason = parse_reason(reason)?;
    let rules = app.parts.rules.load_full();
    let selector = parse(&app, &rules, selector)?;
    to_the_end(async move {
        let (shared, meant, now_rules) = (Arc::clone(&app), selector.clone(), Arc::clone(&rules));
        let found =
            blocking(move || look_through(&shared, &now_rules, &meant, &mut |_| ControlFlow::Continue(())))
                .await?;
        if found.clusters == 0 {
            let what = "no evidence that counts is meant by that".to_owned();
            let hint =
                "`tessera profile show REFERENCE --include merges` shows what holds a profile together";
            return Err(ApiError::rights(StatusCode::CONFLICT, "TES-I042", what, hint));
        }
        let id = UndoId(rand::random());
        for piece in found.fragments.chunks(ORDER_CLUSTERS_MAX) {
            let (selector, fragments) = (selector.clone(), piece.to_vec());
            let (by, reason) = (viewer.actor.clone(), reason.clone());
            let position = app.order(Operation::Undo { id, selector, fragments, by, reason }).await?;
            app.settle(position).await?;
        }
        blocking(move || {
            let recipients = recipients(
                &app.parts.evidence,
                &found.effect.people.iter().copied().collect::<Vec<FragmentId>>(),
            )?;
            let look = Look { viewer: &viewer, route: "POST /api/v1/undo", subject: None };
            let effect = effect(&app, &rules, look, found, recipients)?;
            let mut answer = find(&app, id)?;
            answer.effect = Some(effect);
            Ok(Json(answer))
        })
        .await
    })
    .await
}

/// Takes an undo back: the evidence counts again.
#[utoipa::path(
    post, path = "/api/v1/undo/{id}/redo", tag = "stewardship",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = RedoOrder,
    responses(
        (status = 200, description = "Done.", body = UndoAnswer),
        (status = 400, description = "No reason.", body = ErrorAnswer),
        (status = 404, description = "No such undo.", body = ErrorAnswer),
        (status = 409, description = "It was taken back before.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn redo<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<UndoAnswer>, ApiError> {
    let id = UndoId::parse(&id)
        .ok_or_else(|| ApiError::bad("that is not the id of an undo", "an id has 32 hexadecimal digits"))?;
    let RedoOrder { reason } = read_json(&app, request).await?;
    let reason = parse_reason(reason)?;
    to_the_end(async move {
        let shared = Arc::clone(&app);
        let fragments = blocking(move || {
            if find(&shared, id)?.taken_back_at.is_some() {
                let (what, hint) = ("the undo was taken back before".to_owned(), "order the undo again");
                return Err(ApiError::rights(StatusCode::CONFLICT, "TES-I043", what, hint));
            }
            let store = shared.parts.store.as_ref();
            clusters_undone_by(store, id, |_| ControlFlow::Continue(()))?.ok_or(ApiError::Stopping)
        })
        .await?;
        // An undo whose people were erased touches nobody: it is taken back all the same.
        let pieces: Vec<&[FragmentId]> = match fragments.is_empty() {
            true => vec![&[]],
            false => fragments.chunks(ORDER_CLUSTERS_MAX).collect(),
        };
        for piece in pieces {
            let (by, reason) = (viewer.actor.clone(), reason.clone());
            let position = app.order(Operation::Redo { id, fragments: piece.to_vec(), by, reason }).await?;
            app.settle(position).await?;
        }
        blocking(move || find(&app, id).map(Json)).await
    })
    .await
}

/// Every undo that was ordered.
#[utoipa::path(
    get, path = "/api/v1/undo", tag = "stewardship",
    responses((status = 200, description = "The last first.", body = UndoList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(State(app): State<App<L, S>>) -> Result<Json<UndoList>, ApiError> {
    blocking(move || {
        let undos = load_undos(app.parts.store.as_ref())?.into_iter().map(UndoAnswer::of).collect();
        Ok(Json(UndoList { undos }))
    })
    .await
}

impl UndoAnswer {
    fn of(row: tessera_pipeline::UndoRow) -> Self {
        Self {
            id: row.id.to_string(),
            selector: row.selector,
            clusters: row.clusters,
            by: row.ordered.by,
            at: row.ordered.at.to_string(),
            reason: row.ordered.reason,
            taken_back_at: row.taken_back.as_ref().map(|ordered| ordered.at.to_string()),
            taken_back_by: row.taken_back.map(|ordered| ordered.by),
            effect: None,
        }
    }
}

fn find<L: Log, S: Store>(app: &App<L, S>, id: UndoId) -> Result<UndoAnswer, ApiError> {
    let row = load_undo(app.parts.store.as_ref(), id)?
        .ok_or(ApiError::NotFound { what: "there is no such undo", hint: "`GET /api/v1/undo` lists them" })?;
    Ok(UndoAnswer::of(row))
}

const fn flow(is_wanted: bool) -> ControlFlow<()> {
    if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Whom the selector means, on a state that holds all that was acknowledged.
fn look_through<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    selector: &Selector,
    progress: &mut dyn FnMut(Looked) -> ControlFlow<()>,
) -> Result<UndoPreview, ApiError> {
    let end = app.parts.log.bounds().end;
    if !app.parts.progress.wait_until(end, SETTLE_MAX) {
        return Err(ApiError::NotYet);
    }
    let undoing = Undoing { selector, rules, now: app.parts.clock.now() };
    undoing.preview(app.parts.store.as_ref(), progress)?.ok_or(ApiError::Stopping)
}

fn parse<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    selector: UndoSelector,
) -> Result<Selector, ApiError> {
    let now = app.parts.clock.now();
    let is_timed = selector.from.is_some() || selector.to.is_some();
    match selector {
        UndoSelector { edge: Some([a, b]), event: None, source: None, .. } if !is_timed => {
            let parse = |text: &str| parse_reference(rules, &app.parts.key, text);
            Ok(Selector::Edge { a: parse(&a)?, b: parse(&b)? })
        }
        UndoSelector { edge: None, event: Some(event), source: None, .. } if !is_timed => {
            let id = MessageId::parse(&event)
                .map_err(|error| ApiError::bad(error.to_string(), "give the `messageId` of the event"))?;
            Ok(Selector::Event { message: MessageKey::from(&id).digest() })
        }
        UndoSelector { edge: None, event: None, source: Some(source), from, to } => {
            let source = SourceName::parse(&source)
                .map_err(|error| ApiError::bad(error.to_string(), "name a source, or a matcher"))?;
            let time = |text: Option<String>, name: &str| {
                let parse = |text: String| {
                    Timestamp::parse(&text).ok_or_else(|| {
                        let what = format!("`{name}` is no time");
                        ApiError::bad(what, "use RFC 3339, such as 2030-01-31T12:00:00Z, or a date")
                    })
                };
                text.map(parse).transpose()
            };
            let end = now.plus_millis(1);
            let (from, to) = (time(from, "from")?, time(to, "to")?.unwrap_or(end).min(end));
            if from.is_some_and(|from| from >= to) {
                return Err(ApiError::bad("`from` is not before `to`", "give a span that is over"));
            }
            Ok(Selector::Source { source, from, to })
        }
        UndoSelector { .. } => Err(ApiError::bad(
            "the body names none or several of `edge`, `event` and `source`",
            "give exactly one of them; `from` and `to` go with `source` alone",
        )),
    }
}
