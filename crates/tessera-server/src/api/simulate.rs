//! What if: what another workspace would do to the people that are there, before it is applied. Changes nothing.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http_body_util::BodyExt as _;
use tessera_model::{Problem, Rules, Timestamp, Workspace};
use tessera_pipeline::{Walked, WhatIf};
use tessera_store::{Log, Store};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::disclosure::Look;
use super::read_json;
use super::simulate_answer::{SimulationAnswer, SimulationOrder};
use super::undo_answer::regrouping;
use super::workspace::{WorkspaceDiff, check, compare, draft, parse_prune};
use crate::access::Viewer;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// What `PUT` of the same documents would do to people, values and deliveries. Changes nothing.
///
/// A change that `PUT` would refuse is answered too, with why in `problems`, as long as it makes a workspace. With
/// `Accept: text/event-stream` the answer is a stream: `event: progress` now and then, and `event: done` with the
/// answer, or `event: failed` with an error, at the end. The walk ends when the client goes away.
#[utoipa::path(
    post, path = "/api/v1/workspace/simulate", tag = "workspace",
    params(("prune" = Option<bool>, Query, description = "As for `PUT`")),
    request_body = SimulationOrder,
    responses(
        (status = 200, description = "What would happen.", body = SimulationAnswer),
        (status = 400, description = "Not a time from now on.", body = ErrorAnswer),
        (status = 422, description = "Not a workspace.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn simulate<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    stopping: Option<Extension<Stopping>>,
    uri: Uri,
    request: Request,
) -> Result<Response, ApiError> {
    let prune = parse_prune(&uri)?;
    let is_streamed = accepts_stream(request.headers());
    let order: SimulationOrder = read_json(&app, request).await?;
    let question = Question::new(&app, order, prune)?;
    let is_stopping =
        move || stopping.as_ref().is_some_and(|Extension(Stopping(receiver))| *receiver.borrow());
    if is_streamed {
        return Ok(stream(app, (question, viewer), is_stopping));
    }
    let is_over = OnDrop::default();
    let seen = Arc::clone(&is_over.0);
    let answer =
        question.walk(app, viewer, move |_| go_on(!is_stopping() && !seen.load(Ordering::Relaxed))).await;
    drop(is_over);
    answer.map(|answer| Json(answer).into_response())
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

const fn go_on(is_wanted: bool) -> ControlFlow<()> {
    if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// Tells a walk that nobody waits for it any more: a handler is dropped when its client goes away.
#[derive(Default)]
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers with how far the walk is, and at the end with what it found.
fn stream<L: Log, S: Store>(
    app: App<L, S>,
    (question, viewer): (Question, Viewer),
    is_stopping: impl Fn() -> bool + Send + 'static,
) -> Response {
    // Holds one: progress that nobody reads in time is left out.
    let (sender, receiver) = mpsc::channel::<Event>(1);
    let told = sender.clone();
    let on_progress = move |walked: Walked| {
        let event = Event::default().event("progress").json_data(walked);
        let is_read = event
            .is_ok_and(|event| !matches!(told.try_send(event), Err(mpsc::error::TrySendError::Closed(_))));
        go_on(is_read && !is_stopping())
    };
    tokio::spawn(async move {
        let end = match question.walk(app, viewer, on_progress).await {
            Ok(answer) => Event::default().event("done").json_data(answer).map_err(|_| ApiError::Internal),
            Err(error) => Err(error),
        };
        let end = match end {
            Ok(event) => event,
            Err(error) => failed(error).await,
        };
        // Fails when the client has gone away: there is nobody to tell.
        drop(sender.send(end).await);
    });
    let events = ReceiverStream::new(receiver).map(Ok::<Event, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// The error as the body of its answer would be.
async fn failed(error: ApiError) -> Event {
    let body = error.into_response().into_body().collect().await;
    let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Event::default().event("failed").data(String::from_utf8_lossy(&bytes))
}

/// A change to ask about, known to make a workspace.
struct Question {
    old: Arc<Rules>,
    new: Rules,
    at: Timestamp,
    problems: Vec<Problem>,
    change: WorkspaceDiff,
}

impl Question {
    fn new<L: Log, S: Store>(app: &App<L, S>, order: SimulationOrder, prune: bool) -> Result<Self, ApiError> {
        let now = app.parts.clock.now();
        let at = order.as_of.as_deref().map_or(Ok(now), |text| parse_as_of(text, now))?;
        let old = app.parts.rules.load_full();
        let workspace = draft(&old, order.documents, prune)?;
        let problems = refusals(&old, &workspace)?;
        let change = compare(&old.workspace, &workspace);
        let new = old.next(workspace, now).map_err(ApiError::Workspace)?;
        Ok(Self { old, new, at, problems, change })
    }

    /// Walks over everybody where it may block, until it is done or `progress` breaks off.
    async fn walk<L: Log, S: Store>(
        self,
        app: App<L, S>,
        viewer: Viewer,
        progress: impl FnMut(Walked) -> ControlFlow<()> + Send + 'static,
    ) -> Result<SimulationAnswer, ApiError> {
        let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
        let (store, shared) = (Arc::clone(&app.parts.store), Arc::clone(&app));
        let answer = blocking(move || {
            let Self { old, new, at, problems, change } = self;
            let what = WhatIf { old: &old, new: &new, at };
            // Who has gone away reads no answer; who is still there is told that the server stops.
            let mut effect = what.simulate(store.as_ref(), progress)?.ok_or(ApiError::Stopping)?;
            let look = Look { viewer: &viewer, route: "POST /api/v1/workspace/simulate", subject: None };
            let identity = regrouping(&shared, &old, look, std::mem::take(&mut effect.identity))?;
            Ok(SimulationAnswer { problems, change, effect, identity })
        })
        .await;
        drop(permit);
        answer
    }
}

/// Why the draft may not take the place of the workspace in force.
fn refusals(old: &Rules, draft: &Workspace) -> Result<Vec<Problem>, ApiError> {
    match check(old, draft.clone()) {
        Ok(_) => Ok(Vec::new()),
        Err(ApiError::Workspace(problems)) => Ok(problems),
        Err(error) => Err(error),
    }
}

fn parse_as_of(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let hint = "use a time from now on, such as 2030-01-31 or 2030-01-31T12:00:00Z";
    match Timestamp::parse(text) {
        None => Err(ApiError::bad("`as_of` is no time", hint)),
        Some(at) if at < now => Err(ApiError::bad("`as_of` lies in the past", hint)),
        Some(at) => Ok(at),
    }
}
