//! Accepting connections, and stopping.
//!
//! Over TLS when there is a certificate. Invariants: no more connections than the limit, further ones wait in the system's queue; a head that does not
//! come in time closes its connection; after the signal nothing new is accepted and what is being served has
//! [`GRACE`] to finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::access::Peer;
use crate::edge::Stopping;
use crate::{Limits, Tls};

/// How long requests have to finish once the server is stopping.
const GRACE: Duration = Duration::from_secs(10);
/// How long the head of a request may take, and how long an idle connection is kept.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
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
    accept_all(listener, router, limits, None, shutdown).await
}

/// As [`serve_limited`], over TLS. Who speaks anything else is disconnected.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    tls: Arc<Tls>,
    shutdown: impl Future,
) -> io::Result<()> {
    accept_all(listener, router, limits, Some(tls), shutdown).await
}

async fn accept_all(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    tls: Option<Arc<Tls>>,
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
                if let Some((stream, peer, permit)) = accepted {
                    let connection = Connection { peer, router: router.clone(), stopping: stopping.clone() };
                    connections.spawn(connection.serve(stream, tls.clone(), permit));
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

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!("cannot accept a connection: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    stopping: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<Arc<Tls>>, permit: OwnedSemaphorePermit) {
        // Answers are small and must not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("cannot set TCP_NODELAY: {error}");
        }
        match tls {
            None => self.serve_http(stream).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE_MAX, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.serve_http(stream).await,
                Ok(Err(error)) => tracing::debug!("a TLS handshake failed: {error}"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
        drop(permit);
    }

    async fn serve_http(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { peer, router, mut stopping } = self;
        let inner = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            inner.call(request)
        });
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
    }
}
