//! Bad input: told in words, nothing lost, memory bounded.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use serde_json::json;
use tokio_stream::Stream;

use super::world::{BASIC, World, gzip};

fn track(user_id: &str) -> Vec<u8> {
    json!({"event": "A", "userId": user_id}).to_string().into_bytes()
}

/// Single calls: path, body, status, code. An empty code: taken in.
fn single_calls() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let at = |time: &str| json!({"event": "A", "userId": "u", "timestamp": time}).to_string().into_bytes();
    let nested = |depth: usize| {
        format!(r#"{{"event":"A","userId":"u","properties":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
            .into_bytes()
    };
    vec![
        ("/v1/track", b"".to_vec(), 400, "TES-I001"),
        ("/v1/track", br#"{"event":"A","userId":"u"#.to_vec(), 400, "TES-I001"),
        ("/v1/track", b"[]".to_vec(), 400, "TES-I004"),
        ("/v1/track", br#"["track","u1",null,null,null,"Seen"]"#.to_vec(), 400, "TES-I004"),
        ("/v1/track", b"null".to_vec(), 400, "TES-I004"),
        ("/v1/track", nested(60), 200, ""),
        ("/v1/track", nested(100), 400, "TES-I010"),
        ("/v1/track", nested(30_000), 400, "TES-I003"),
        ("/v1/track", br#"{"event":"A","userId":"u","userId":"v"}"#.to_vec(), 400, "TES-I012"),
        ("/v1/track", b"{\"event\":\"A\xff\",\"userId\":\"u\"}".to_vec(), 400, "TES-I013"),
        ("/v1/track", b"\xff\xfe\x00".to_vec(), 400, "TES-I013"),
        ("/v1/track", br#"{"event":"A","userId":"u","properties":{"n":1e999}}"#.to_vec(), 400, "TES-I010"),
        ("/v1/track", at("-000001-01-01T00:00:00Z"), 400, "TES-I009"),
        ("/v1/track", at("10000-01-01T00:00:00Z"), 400, "TES-I009"),
        ("/v1/track", at("9999-12-30T00:00:00Z"), 200, ""),
        ("/v1/track", at("0001-01-01T00:00:00Z"), 200, ""),
        ("/v1/track", track(""), 400, "TES-I006"),
        ("/v1/track", track(&"x".repeat(300)), 400, "TES-I007"),
        ("/v1/track", track("a\u{7}b"), 400, "TES-I007"),
        ("/v1/track", track("null"), 400, "TES-I006"),
        ("/v1/track", track("-1"), 400, "TES-I006"),
        ("/v1/track", track("anonymous"), 400, "TES-I006"),
        ("/v1/track", br#"{"userId":"u"}"#.to_vec(), 400, "TES-I008"),
        (
            "/v1/track",
            format!(r#"{{"event":"A","userId":"u","x":"{}"}}"#, "x".repeat(40_000)).into_bytes(),
            400,
            "TES-I003",
        ),
        ("/v1/batch", b"{}".to_vec(), 400, "TES-I004"),
        ("/v1/batch", br#"[[{"type":"track","event":"A","userId":"u"}]]"#.to_vec(), 400, "TES-I004"),
        ("/v1/batch", br#"{"batch":7}"#.to_vec(), 400, "TES-I004"),
        ("/v1/batch", br#"{"batch":[]}"#.to_vec(), 200, ""),
    ]
}

#[tokio::test]
async fn what_is_refused_is_told_in_words_and_kept_as_a_reject() {
    let world = World::new();
    let mut expected = Vec::new();
    for (path, body, status, code) in single_calls() {
        let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        let answer = world.call("POST", path, &[BASIC], body).await;
        assert_eq!(answer.status, status, "{shown}: {}", answer.text);
        if code.is_empty() {
            continue;
        }
        let told = answer.json();
        assert_eq!(told["code"], code, "{shown}: {}", answer.text);
        assert!(told["message"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(told["hint"].as_str().is_some_and(|text| !text.is_empty()));
        assert!(told["message"].as_str().unwrap().len() < 300, "a message never quotes a payload");
        expected.push(code.to_owned());
    }
    assert_eq!(world.rejects().await, expected);
}

#[tokio::test]
async fn broken_and_bursting_compression_is_told_and_kept_without_payload() {
    let world = World::new();
    let bomb = gzip(&vec![b' '; 100 * 1024 * 1024]);
    assert!(bomb.len() < 500 * 1024);
    let half = gzip(&track("u")).slice(..20);
    for (encoding, body, status, code) in [
        ("gzip", bomb, 413, "TES-I002"),
        ("gzip", Bytes::from(track("u")), 400, "TES-I014"),
        ("gzip", half, 400, "TES-I014"),
        ("deflate", Bytes::from(track("u")), 400, "TES-I014"),
        ("br", Bytes::from(track("u")), 400, "TES-I014"),
    ] {
        let answer = world.call("POST", "/v1/track", &[BASIC, ("content-encoding", encoding)], body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{encoding}");
    }
    assert_eq!(world.rejects().await, ["TES-I002", "TES-I014", "TES-I014", "TES-I014", "TES-I014"]);
    let reject = world.get("/api/v1/rejects?limit=1").await.json()["rejects"][0]["id"].take();
    let reject = world.get(&format!("/api/v1/rejects/{}", reject.as_str().unwrap())).await.json();
    assert_eq!((&reject["payload"], &reject["is_cut"]), (&json!(""), &json!(true)));
}

/// A body of pieces of 100 KB that counts how many were asked for.
struct Pieces {
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Bytes::from(vec![b' '; 100 * 1024]))))
    }
}

#[tokio::test]
async fn a_body_of_100_mb_is_not_read_to_its_end() {
    let world = World::new();
    let taken = Arc::new(AtomicUsize::new(0));
    let body = Body::from_stream(Pieces { left: 1000, taken: Arc::clone(&taken) });
    let answer = world.call("POST", "/v1/batch", &[BASIC], body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "TES-I002"));
    assert!(taken.load(Ordering::SeqCst) < 100, "read {} pieces", taken.load(Ordering::SeqCst));
    assert_eq!(world.rejects().await, ["TES-I002"]);
}

#[tokio::test]
async fn a_claimed_length_beyond_the_limit_is_refused_before_a_byte_is_read() {
    let world = World::new();
    let body = Body::from(vec![b' '; 600 * 1024]);
    let answer = world.call("POST", "/v1/batch", &[BASIC], body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "TES-I002"));
}

#[tokio::test]
async fn refusals_without_a_payload_fill_the_log_only_at_a_bounded_rate() {
    let world = World::new();
    let before = world.log.end().0;
    let headers = [BASIC, ("content-encoding", "gzip")];
    for _ in 0..30 {
        assert_eq!(world.call("POST", "/v1/track", &headers, track("u")).await.code(), "TES-I014");
    }
    assert_eq!(world.log.end().0 - before, 10);
    let metrics = world.call("GET", "/metrics", &[], "").await.text;
    assert!(metrics.contains("tessera_ingest_unrecorded_refusals_total 20\n"), "{metrics}");
    world.clock.advance_millis(1000);
    assert_eq!(world.call("POST", "/v1/track", &headers, track("u")).await.code(), "TES-I014");
    assert_eq!(world.log.end().0 - before, 11);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::new();
    let body = Body::from_stream(tokio_stream::pending::<Result<Bytes, Infallible>>());
    let answer = world.call("POST", "/v1/batch", &[BASIC], body).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::REQUEST_TIMEOUT, "TES-H008"));
}

#[tokio::test]
async fn a_batch_of_many_bad_events_lists_the_first_hundred() {
    let world = World::new();
    let batch = json!({"batch": vec![json!(1); 250]});
    let answer = world.send("/v1/batch", &batch).await.json();
    assert_eq!((answer["rejected"].as_array().unwrap().len(), &answer["rejected_count"]), (100, &json!(250)));
    assert_eq!(world.rejects().await.len(), 250);
}
