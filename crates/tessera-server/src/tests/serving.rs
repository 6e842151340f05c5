//! Over a socket: connections, stopping.

use axum::Extension;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use super::world::World;
use crate::edge::Stopping;
use crate::{Limits, serve_limited};

struct Serving {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start(world: &World, connections_max: usize) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (router, limits) = (world.router.clone(), Limits { connections_max, ..Limits::default() });
    let served = tokio::spawn(async move { serve_limited(listener, router, &limits, stopped).await });
    Serving { address, stop, served }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until `wanted` has come.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(wanted) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

const TRACK: &str = r#"{"event":"A","userId":"u1"}"#;

fn track_head(len: usize) -> String {
    format!(
        "POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: web-write-key\r\nContent-Length: {len}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_server_stops() {
    let world = World::new();
    let serving = start(&world, 10).await;
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    let mut idle = TcpStream::connect(serving.address).await.unwrap();
    send(&mut idle, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut idle, "{\"status\":\"ok\"}").await;
    let mut live = TcpStream::connect(serving.address).await.unwrap();
    send(&mut live, "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n\r\n")
        .await;
    read_until(&mut live, "text/event-stream").await;
    // `Expect` makes the server say when the handler has begun to read the body.
    let head = track_head(TRACK.len()).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    send(&mut stream, &head).await;
    read_until(&mut stream, "100 Continue").await;
    serving.stop.send(()).unwrap();
    // Idle connections and live streams end at once.
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    read_until(&mut live, "0\r\n\r\n").await;
    send(&mut stream, TRACK).await;
    let answer = read_until(&mut stream, "accepted").await;
    assert!(answer.contains("200 OK") && answer.to_lowercase().contains("connection: close"), "{answer}");
    serving.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(serving.address).await.is_err());
    world.settle().await;
    assert_eq!(world.get("/api/v1/totals").await.json()["accepted"], 1);
}

#[tokio::test]
async fn further_connections_wait_for_one_to_end() {
    let world = World::new();
    let serving = start(&world, 1).await;
    let mut first = TcpStream::connect(serving.address).await.unwrap();
    send(&mut first, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut first, "{\"status\":\"ok\"}").await;
    let mut second = TcpStream::connect(serving.address).await.unwrap();
    send(&mut second, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for _ in 0..50 {
        send(&mut first, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
        read_until(&mut first, "{\"status\":\"ok\"}").await;
    }
    let early = second.try_read(&mut [0; 16]).unwrap_err();
    assert_eq!(
        early.kind(),
        std::io::ErrorKind::WouldBlock,
        "the second connection was served beside the first"
    );
    drop(first);
    read_until(&mut second, "{\"status\":\"ok\"}").await;
    serving.stop.send(()).unwrap();
    serving.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let world = World::new();
    let serving = start(&world, 10).await;
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    send(&mut stream, &format!("GET /health HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "x".repeat(70_000)))
        .await;
    read_until(&mut stream, "431").await;
    serving.stop.send(()).unwrap();
    serving.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_is_stopping_is_not_ready_but_still_healthy() {
    let mut world = World::new();
    let (stop, stopping) = watch::channel(false);
    world.router = world.router.clone().layer(Extension(Stopping(stopping)));
    assert_eq!(world.call("GET", "/ready", &[], "").await.status, StatusCode::OK);
    stop.send_replace(true);
    let ready = world.call("GET", "/ready", &[], "").await;
    assert_eq!((ready.status, ready.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "TES-H010"));
    assert_eq!(world.call("GET", "/health", &[], "").await.status, StatusCode::OK);
}
