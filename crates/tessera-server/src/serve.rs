//! Accepting connections, and stopping.
//!
//! Invariants: no more connections than the limit, further ones wait in the system's queue; a head that does not
//! come in time closes its connection; after the signal nothing new is accepted and what is being served has
//! [`GRACE`] to finish.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::Limits;
use crate::edge::Stopping;

/// How long requests have to finish once the server is stopping.
const GRACE: Duration = Duration::from_secs(10);
/// How long the head of a request may take, and how long an idle connection is kept.
const HEAD_MAX: Duration = Duration::from_secs(60);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// One batch of usual size arrives in one or two reads.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// What a failing `accept` waits before it tries again: mostly the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown` is done, then finishes what is being served, for 10 seconds at
/// most. Nothing of the router is left when it returns.
///
/// # Errors
/// None at present: a connection that fails concerns nobody else.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future) -> io::Result<()> {
    serve_limited(listener, router, &Limits::default(), shutdown).await
}

/// As [`serve`], with the connection limit of `limits`.
///
/// # Errors
/// As [`serve`].
pub async fn serve_limited(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    shutdown: impl Future,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let router = router.layer(Extension(Stopping(stopping.clone())));
    let room = Arc::new(Semaphore::new(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            _ = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &room) => {
                if let Some((stream, permit)) = accepted {
                    connections.spawn(connection(stream, permit, router.clone(), stopping.clone()));
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        tracing::warn!("requests were cut off because they took too long to finish");
        connections.shutdown().await;
    }
    Ok(())
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!("cannot accept a connection: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and must not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {error}");
    }
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let is_stopping = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = is_stopping => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    // A client that went away is nothing to report, and who it was is nobody's business.
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
    drop(permit);
}
