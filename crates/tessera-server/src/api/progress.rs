//! Long work that tells how far it is: as a plain answer at the end, or as a stream of server-sent events.
//!
//! Invariant: work breaks off when its client has gone away or the server stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde::Serialize;
use tessera_store::{Log, Store};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::edge::Stopping;
use crate::error::ApiError;
use crate::shared::{App, blocking};

/// How a client wants to hear.
pub(super) struct Hearing {
    is_streamed: bool,
    stopping: Option<Stopping>,
}

impl Hearing {
    pub(super) fn of(headers: &HeaderMap, stopping: Option<Extension<Stopping>>) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let is_streamed = accept.is_some_and(|accept| accept.contains("text/event-stream"));
        Self { is_streamed, stopping: stopping.map(|Extension(stopping)| stopping) }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.as_ref().is_some_and(|Stopping(receiver)| *receiver.borrow())
    }

    /// Does `work` where it may block. It tells how far it is, and breaks off when it is told `false`. In a stream the
    /// answer is `event: done`, an error `event: failed`.
    pub(super) async fn answer<P, T, L: Log, S: Store>(
        self,
        app: App<L, S>,
        work: impl FnOnce(&mut dyn FnMut(P) -> bool) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError>
    where
        P: Serialize + 'static,
        T: Serialize + IntoResponse + Send + 'static,
    {
        if self.is_streamed {
            return Ok(self.stream(app, work));
        }
        let gone = OnDrop::default();
        let seen = Arc::clone(&gone.0);
        let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
        let answer =
            blocking(move || work(&mut |_| !self.is_stopping() && !seen.load(Ordering::Relaxed))).await;
        drop((permit, gone));
        answer.map(IntoResponse::into_response)
    }

    fn stream<P, T, L: Log, S: Store>(
        self,
        app: App<L, S>,
        work: impl FnOnce(&mut dyn FnMut(P) -> bool) -> Result<T, ApiError> + Send + 'static,
    ) -> Response
    where
        P: Serialize + 'static,
        T: Serialize + Send + 'static,
    {
        // Holds one: progress that nobody reads in time is left out.
        let (sender, receiver) = mpsc::channel::<Event>(1);
        let told = sender.clone();
        tokio::spawn(async move {
            let done = async {
                let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
                let answer = blocking(move || {
                    work(&mut |progress: P| {
                        let event = Event::default().event("progress").json_data(progress);
                        let is_read = event.is_ok_and(|event| {
                            !matches!(told.try_send(event), Err(mpsc::error::TrySendError::Closed(_)))
                        });
                        is_read && !self.is_stopping()
                    })
                })
                .await;
                drop(permit);
                Event::default().event("done").json_data(answer?).map_err(|_| ApiError::Internal)
            };
            let end = match done.await {
                Ok(event) => event,
                Err(error) => failed(error).await,
            };
            // Fails when the client has gone away: there is nobody to tell.
            drop(sender.send(end).await);
        });
        let events = ReceiverStream::new(receiver).map(Ok::<Event, Infallible>);
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }
}

/// Tells work that nobody waits for it any more: a handler is dropped when its client goes away.
#[derive(Default)]
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The error as the body of its answer would be.
async fn failed(error: ApiError) -> Event {
    let body = error.into_response().into_body().collect().await;
    let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Event::default().event("failed").data(String::from_utf8_lossy(&bytes))
}
