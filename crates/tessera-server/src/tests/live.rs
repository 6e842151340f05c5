//! The live stream.

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;

use super::world::{BASIC, BEARER, World};

/// Reads until `count` events have come.
async fn read(body: &mut Body, count: usize) -> Vec<(String, serde_json::Value)> {
    let mut text = String::new();
    loop {
        let events: Vec<(String, serde_json::Value)> = text
            .split("\n\n")
            .filter_map(|event| {
                let kind = event.lines().find_map(|line| line.strip_prefix("event: "))?;
                let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
                Some((kind.to_owned(), serde_json::from_str(data).ok()?))
            })
            .collect();
        if events.len() >= count && text.ends_with("\n\n") {
            return events;
        }
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn the_stream_tells_what_happens_and_names_no_persons() {
    let world = World::new();
    let response = world.raw("GET", "/api/v1/live", &[BEARER], Body::empty()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let batch = json!({"batch": [
        {"type": "identify", "userId": "ada-17", "traits": {"email": "ada@example.com"}},
        {"type": "track", "event": "Order", "userId": "ada-17"},
        {"type": "track", "event": "Order"},
    ]});
    world.send("/v1/batch", &batch).await;
    let events = read(&mut body, 4).await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    for kind in ["accepted", "merged", "rejected"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let (_, accepted) = events.iter().find(|(_, data)| data["name"] == "Order").unwrap();
    assert_eq!(
        (&accepted["kind"], &accepted["source"], &accepted["call"]),
        (&json!("accepted"), &json!("web"), &json!("track"))
    );
    assert!(!format!("{events:?}").contains("ada"));
}

#[tokio::test]
async fn the_stream_has_only_the_kinds_asked_for() {
    let world = World::new();
    let response = world.raw("GET", "/api/v1/live?kind=rejected,split", &[BEARER], Body::empty()).await;
    let mut body = response.into_body();
    world.send("/v1/track", &json!({"event": "A", "userId": "u1"})).await;
    world.send("/v1/track", &json!({"event": "A"})).await;
    let events = read(&mut body, 1).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].0.as_str(), &events[0].1["code"]), ("rejected", &json!("TES-I006")));
    let answer = world.get("/api/v1/live?kind=gossip").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "TES-H003"));
    let answer = world.call("GET", "/api/v1/live", &[BASIC], "").await;
    assert_eq!(answer.code(), "TES-H002");
}

#[tokio::test]
async fn a_reader_who_lags_is_told_how_much_it_missed_and_goes_on() {
    let world = World::new();
    let mut body = world.raw("GET", "/api/v1/live?kind=rejected", &[BEARER], Body::empty()).await.into_body();
    for _ in 0..70 {
        world.send("/v1/track", &json!({"event": "A"})).await;
    }
    let events = read(&mut body, 65).await;
    assert_eq!((events[0].0.as_str(), &events[0].1), ("lagged", &json!({"missed": 6})));
    assert!(events[1..].iter().all(|(kind, _)| kind == "rejected"));
}
