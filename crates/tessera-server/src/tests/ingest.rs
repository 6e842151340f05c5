//! Real clients' requests, and overload.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::json;
use tessera_pipeline::AppenderOptions;

use super::world::{BASIC, KEY, World, gzip};
use crate::Limits;
use crate::ingest::PATHS;

#[tokio::test]
async fn every_path_takes_its_call_from_every_place_of_the_write_key() {
    let world = World::new();
    let mut expected = 0;
    for (path, entrance) in PATHS {
        let call = json!({
            "type": entrance.call().unwrap_or("track"), "userId": "u1", "event": "Seen", "groupId": "acme",
            "previousId": "u0", "consents": {"marketing": "given"}, "writeKey": KEY,
        });
        let body = match entrance.call() {
            Some(_) => call,
            None => json!({"batch": [call], "writeKey": KEY}),
        };
        let uri = format!("{path}?writeKey={KEY}");
        let (header, jitsu) = (("x-write-key", "web-write-key:secret"), ("content-type", "text/plain"));
        for (uri, headers) in
            [(*path, vec![BASIC, jitsu]), (path, vec![header]), (&uri, vec![]), (path, vec![])]
        {
            let answer = world.call("POST", uri, &headers, body.to_string()).await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (StatusCode::OK, r#"{"success":true,"accepted":1}"#),
                "{uri}"
            );
            expected += 1;
        }
    }
    world.settle().await;
    assert_eq!(world.get("/api/v1/totals").await.json()["accepted"], expected);
    assert_eq!(world.rejects().await, Vec::<String>::new());
}

#[tokio::test]
async fn gzip_is_unpacked_whatever_the_content_type_says() {
    let world = World::new();
    let body =
        gzip(json!({"batch": [{"type": "track", "event": "A", "userId": "u1"}]}).to_string().as_bytes());
    let form = ("content-type", "application/x-www-form-urlencoded");
    let answer = world.call("POST", "/v1/batch", &[BASIC, form, ("content-encoding", "gzip")], body).await;
    assert_eq!(answer.json(), json!({"success": true, "accepted": 1}));
}

#[tokio::test]
async fn one_bad_event_never_condemns_its_batch() {
    let world = World::new();
    let batch = json!({"batch": [
        {"type": "track", "event": "A", "userId": "u1"},
        {"type": "track", "event": "B"},
        {"type": "identify", "userId": "u1", "traits": {"name": "Ada"}},
    ]});
    let answer = world.send("/v1/batch", &batch).await.json();
    assert_eq!(
        (&answer["success"], &answer["accepted"], &answer["rejected_count"]),
        (&json!(true), &json!(2), &json!(1))
    );
    assert_eq!(
        (&answer["rejected"][0]["index"], &answer["rejected"][0]["code"]),
        (&json!(1), &json!("TES-I006"))
    );
    assert_eq!(world.rejects().await, ["TES-I006"]);
}

#[tokio::test]
async fn a_masked_key_in_the_body_is_not_compared_with_the_header() {
    let world = World::new();
    let body = json!({"type": "track", "event": "A", "userId": "u1", "writeKey": "web-write-key:***"});
    let answer =
        world.call("POST", "/api/s/track", &[("x-write-key", "web-write-key:s")], body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn overload_is_429_with_retry_after_and_nothing_is_taken() {
    let options = AppenderOptions { in_flight_bytes_max: 10, ..AppenderOptions::default() };
    let world = World::with(options, Limits::default());
    let before = world.log.end();
    let body = json!({"batch": [{"type": "track", "event": "A", "userId": "u1"}]});
    let answer = world.call("POST", "/v1/batch", &[BASIC], body.to_string()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(answer.code(), "TES-H009");
    assert_eq!(world.metrics.overloaded.load(Ordering::Relaxed), 1);
    assert_eq!(world.log.end(), before);
}

#[tokio::test]
async fn a_full_disk_is_503_and_nothing_is_acknowledged_until_it_is_mended() {
    let world = World::new();
    world.log.is_full.store(true, Ordering::SeqCst);
    let body = json!({"event": "A", "userId": "u1"});
    let answer = world.call("POST", "/v1/track", &[BASIC], body.to_string()).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "TES-S001"));
    assert_ne!(answer.header("retry-after"), "");
    world.log.is_full.store(false, Ordering::SeqCst);
    assert_eq!(world.send("/v1/track", &body).await.status, StatusCode::OK);
    assert_eq!(world.get("/api/v1/totals").await.json()["accepted"], 1);
}

#[tokio::test]
async fn browser_settings_lead_back_to_the_host_that_was_asked() {
    let world = World::new();
    let host = ("host", "cdp.example.com:8080");
    let answer = world.call("GET", "/v1/projects/web-write-key/settings", &[host], "").await;
    let segment = &answer.json()["integrations"]["Segment.io"];
    assert_eq!(segment["apiKey"], KEY);
    assert_eq!(
        (&segment["apiHost"], &segment["protocol"]),
        (&json!("cdp.example.com:8080/v1"), &json!("http"))
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["integrations"].as_object().unwrap().len(), 1);

    let forwarded = [host, ("x-forwarded-proto", "https")];
    let secure = world.call("GET", "/v1/projects/web-write-key/settings", &forwarded, "").await;
    assert_eq!(secure.json()["integrations"]["Segment.io"]["protocol"], "https");
    let odd = world.call("GET", "/v1/projects/web-write-key/settings", &[("host", "a/b")], "").await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    let unknown = world.call("GET", "/v1/projects/nobodys-key/settings", &[host], "").await;
    assert_eq!(unknown.code(), "TES-H001");
}

#[tokio::test]
async fn rudderstack_gets_the_source_that_it_needs_to_start() {
    let world = World::new();
    for uri in ["/sourceConfig/?p=npm&writeKey=web-write-key", "/sourceConfig?writeKey=web-write-key"] {
        let source = world.call("GET", uri, &[], "").await.json()["source"].take();
        assert_eq!((&source["id"], &source["enabled"]), (&json!("web"), &json!(true)));
        assert!(source["config"].is_object() && source["destinations"].is_array());
    }
    assert_eq!(world.call("GET", "/sourceConfig/", &[BASIC], "").await.status, StatusCode::OK);
    assert_eq!(world.call("GET", "/sourceConfig/", &[], "").await.code(), "TES-H001");
}

#[tokio::test]
async fn the_clients_own_metrics_are_dropped_with_success() {
    let answer =
        World::new().call("POST", "/v1/m", &[("content-type", "text/plain")], r#"{"series":[]}"#).await;
    assert_eq!(answer.json(), json!({"success": true}));
}
