//! What if: what a change would do, told before it is applied.

use axum::Extension;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::world::{BEARER, NEWS_KEY, World};
use crate::edge::Stopping;

const PATH: &str = "/api/v1/workspace/simulate";

/// A buyer, and somebody who said yes to marketing.
async fn world() -> World {
    let world = World::new();
    world
        .send("/v1/identify", &json!({"userId": "canary-1", "traits": {"email": "canary@example.com"}}))
        .await;
    let yes = json!({"context": {"consent": {"categoryPreferences": {"marketing": true}}}, "userId": "canary-2",
                     "traits": {"hobby": "chess"}});
    let answer = world.call("POST", "/v1/identify", &[("x-write-key", NEWS_KEY)], yes.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK);
    world.settle().await;
    world
}

fn marketing(with: Value) -> Value {
    let mut purpose = json!({"kind": "Purpose", "name": "marketing", "basis": "consent"});
    purpose.as_object_mut().unwrap().append(with.clone().as_object_mut().unwrap());
    json!({"documents": [purpose]})
}

#[tokio::test]
async fn a_change_is_told_and_not_made() {
    let world = world().await;
    let before = world.get("/api/v1/workspace").await.text;
    let answer = world.post(PATH, &marketing(json!({"retired": true}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(!answer.text.contains("canary"), "{}", answer.text);
    let told = answer.json();
    assert_eq!((&told["problems"], &told["change"]["changed"]), (&json!([]), &json!(["Purpose/marketing"])));
    let effect = &told["effect"];
    assert_eq!(effect["as_of"], "2026-01-01T00:00:00.000Z");
    assert_eq!((&effect["people"], &effect["people_losing_everything"]), (&json!(2), &json!(1)));
    assert_eq!(effect["purposes"]["marketing"]["permitted"], json!({"before": 1, "after": 0}));
    assert_eq!(effect["purposes"]["marketing"]["newly_denied"], json!({"retired": 1}));
    assert_eq!(
        effect["traits"]["hobby"],
        json!({"held": 1, "removed": 1, "reasons": {"retired": 1}, "removed_anyway": 0, "kept_after_all": 0})
    );
    assert_eq!(effect["traits"]["email"]["removed"], 0);
    assert_eq!(world.get("/api/v1/workspace").await.text, before);
    assert_eq!(world.get("/api/v1/profiles/user_id:canary-2").await.json()["traits"]["hobby"], "chess");
}

#[tokio::test]
async fn a_change_that_would_be_refused_is_told_with_why() {
    let world = world().await;
    let looser =
        json!({"documents": [{"kind": "Purpose", "name": "marketing", "basis": "legitimate_interests"}]});
    assert_eq!(world.put("/api/v1/workspace", &looser).await.code(), "TES-W001");
    let told = world.post(PATH, &looser).await.json();
    assert_eq!(told["problems"][0]["field"], "basis");
    assert_eq!(told["effect"]["purposes"]["marketing"]["permitted"], json!({"before": 1, "after": 2}));
    assert_eq!(told["effect"]["purposes"]["marketing"]["newly_permitted"], 1);
}

#[tokio::test]
async fn a_later_moment_shows_what_has_not_come_yet() {
    let world = world().await;
    let mut order = marketing(json!({"consent_valid_days": 30}));
    assert_eq!(world.post(PATH, &order).await.json()["effect"]["values"]["removed"], 0);
    order["as_of"] = json!("2026-03-01");
    let effect = world.post(PATH, &order).await.json()["effect"].clone();
    assert_eq!(effect["as_of"], "2026-03-01T00:00:00.000Z");
    assert_eq!(effect["values"]["reasons"], json!({"expired": effect["values"]["removed"]}));
    assert_eq!(effect["purposes"]["marketing"]["newly_denied"], json!({"expired": 1}));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_here_too() {
    let world = World::new();
    let as_of = |text: &str| json!({"documents": [], "as_of": text});
    let undeclared =
        json!({"documents": [{"kind": "Destination", "name": "x", "type": "webhook", "purpose": "no"}]});
    for (uri, body, status, code) in [
        (PATH, as_of("soon"), StatusCode::BAD_REQUEST, "TES-H003"),
        (PATH, as_of("2025-12-31"), StatusCode::BAD_REQUEST, "TES-H003"),
        (PATH, json!({"documents": [], "when": "now"}), StatusCode::BAD_REQUEST, "TES-H003"),
        (PATH, json!({"documents": [{"kind": "Purpose"}]}), StatusCode::UNPROCESSABLE_ENTITY, "TES-W001"),
        (PATH, undeclared, StatusCode::UNPROCESSABLE_ENTITY, "TES-W001"),
        ("/api/v1/workspace/simulate?prune=x", as_of("2030-01-01"), StatusCode::BAD_REQUEST, "TES-H003"),
    ] {
        let answer = world.post(uri, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text);
    }
}

/// The kind and data of every event of a stream.
fn events(text: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for block in text.split("\n\n") {
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let (Some(kind), Some(data)) = (line("event:"), line("data:")) {
            found.push((kind.to_owned(), serde_json::from_str(data).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn a_stream_tells_how_far_it_is_and_ends_with_the_answer() {
    let world = world().await;
    let order = marketing(json!({"retired": true}));
    let headers = [BEARER, ("accept", "text/event-stream")];
    let streamed = world.call("POST", PATH, &headers, order.to_string()).await;
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    let events = events(&streamed.text);
    let (end, progress) = events.split_last().unwrap();
    assert_eq!(end, &("done".to_owned(), world.post(PATH, &order).await.json()));
    assert!(!progress.is_empty());
    for (kind, walked) in progress {
        assert_eq!((kind.as_str(), walked["profiles_expected"].as_u64()), ("progress", Some(2)), "{walked}");
    }
}

#[tokio::test]
async fn a_walk_ends_when_the_server_stops() {
    let mut world = world().await;
    let (_sender, stopping) = watch::channel(true);
    world.router = world.router.clone().layer(Extension(Stopping(stopping)));
    let order = marketing(json!({"retired": true}));
    let answer = world.post(PATH, &order).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "TES-H010"));
    let headers = [BEARER, ("accept", "text/event-stream")];
    let streamed = world.call("POST", PATH, &headers, order.to_string()).await;
    let (kind, error) = events(&streamed.text).pop().unwrap();
    assert_eq!((kind.as_str(), &error["code"]), ("failed", &json!("TES-H010")));
}
