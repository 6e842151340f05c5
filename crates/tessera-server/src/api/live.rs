//! What happens, as it happens: a stream of server-sent events for people who watch. Holds no personal data in clear.
//! Who does not see everything is told how much happens, and not to whom.
//!
//! A stream ends when accounts change, for its reader may be one who has lost access.
//! Nothing waits for a reader: one who lags is told how many it missed and goes on.
//! Reference: WHATWG HTML, server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tessera_pipeline::Notice;
use tessera_store::{Log, Store};
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::Params;
use crate::access::Viewer;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KINDS: [&str; 8] =
    ["accepted", "rejected", "denied", "duplicate", "merged", "split", "applied", "alert"];

/// Events as they are accepted, rejected, denied; profiles as they are merged and split; alerts of tracking plans.
///
/// Each is `event: KIND` and `data: JSON`. An account that does not see identifiers, or not every purpose, gets counts
/// alone: `data: {"kind":"accepted","count":12}`. The stream ends when accounts change: ask again. `event: lagged` says how many were missed.
#[utoipa::path(
    get, path = "/api/v1/live", tag = "system",
    params(("kind" = Option<String>, Query,
        description = "Only these: any of `accepted,rejected,denied,duplicate,merged,split,applied,alert`")),
    responses(
        (status = 200, description = "A stream that does not end.", body = String, content_type = "text/event-stream"),
        (status = 400, description = "No such kind.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn live<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    stopping: Option<Extension<Stopping>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let kinds = params.take("kind").map(|text| parse_kinds(&text)).transpose()?;
    params.finish("kind")?;
    let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = match stopping {
        Some(Extension(Stopping(mut receiver))) => Box::pin(async move {
            // An error means that the server is gone, which is stopping too.
            drop(receiver.wait_for(|is_stopping| *is_stopping).await);
        }),
        None => Box::pin(std::future::pending()),
    };
    let is_counted = !viewer.sees_identifiers() || viewer.purposes.is_some();
    let mut changed = app.access.changed.subscribe();
    let stopped = Box::pin(async move {
        tokio::select! {
            () = stopped => {}
            _ = changed.changed(), if viewer.may_end() => {}
        }
    });
    let stream = Live {
        is_counted,
        notices: BroadcastStream::new(app.parts.notices.subscribe()),
        kinds,
        pending: VecDeque::new(),
        stopped,
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn parse_kinds(text: &str) -> Result<Vec<&'static str>, ApiError> {
    let wanted = text.split(',').filter(|kind| !kind.is_empty());
    let find = |wanted: &str| KINDS.into_iter().find(|kind| *kind == wanted);
    wanted
        .map(|kind| {
            find(kind).ok_or_else(|| {
                let kind: String = kind.chars().take(80).collect();
                ApiError::bad(
                    format!("`{kind}` is no kind of notice"),
                    format!("known: {}", KINDS.join(", ")),
                )
            })
        })
        .collect()
}

/// How often something happened, for those who may not know to whom.
#[derive(Serialize)]
struct Count {
    kind: &'static str,
    count: usize,
}

struct Live {
    is_counted: bool,
    notices: BroadcastStream<Arc<Vec<Notice>>>,
    kinds: Option<Vec<&'static str>>,
    pending: VecDeque<Event>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Live {
    fn take(&mut self, notices: &[Notice]) {
        let is_wanted = |kind| self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        let events: Vec<_> = if self.is_counted {
            let counts = KINDS.into_iter().filter(|kind| is_wanted(*kind)).map(|wanted| Count {
                kind: wanted,
                count: notices.iter().filter(|notice| kind(notice) == wanted).count(),
            });
            counts
                .filter(|one| one.count > 0)
                .map(|one| Event::default().event(one.kind).json_data(&one))
                .collect()
        } else {
            let wanted = notices.iter().filter(|notice| is_wanted(kind(notice)));
            wanted.map(|notice| Event::default().event(kind(notice)).json_data(notice)).collect()
        };
        for event in events {
            match event {
                Ok(event) => self.pending.push_back(event),
                Err(error) => tracing::error!("cannot write a notice: {error}"),
            }
        }
    }
}

impl Stream for Live {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            match std::task::ready!(Pin::new(&mut self.notices).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(notices)) => self.take(&notices),
                Some(Err(BroadcastStreamRecvError::Lagged(missed))) => {
                    let event = Event::default().event("lagged").data(format!("{{\"missed\":{missed}}}"));
                    self.pending.push_back(event);
                }
            }
        }
    }
}

const fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::Accepted { .. } => "accepted",
        Notice::Rejected { .. } => "rejected",
        Notice::Denied { .. } => "denied",
        Notice::Duplicate { .. } => "duplicate",
        Notice::Merged { .. } => "merged",
        Notice::Split { .. } => "split",
        Notice::Applied { .. } => "applied",
        Notice::Alert { .. } => "alert",
    }
}
