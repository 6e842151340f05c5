//! Matchers, as far as they need no thread: it has tests of its own in the pipeline.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{World, documents};

fn with_matcher(matcher: &Value) -> Value {
    let mut all = documents().as_array().unwrap().clone();
    all.push(matcher.clone());
    json!({ "documents": all })
}

fn matcher() -> Value {
    json!({"kind": "Matcher", "name": "people", "purpose": "service", "columns": {"city": "traits.city"}})
}

#[tokio::test]
async fn a_matcher_is_listed_and_has_learned_nothing_yet() {
    let world = World::new();
    assert_eq!(world.get("/api/v1/match").await.json(), json!({"matchers": []}));
    let applied = world.put("/api/v1/workspace", &with_matcher(&matcher())).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    let list = world.get("/api/v1/match").await.json();
    assert_eq!(
        (&list["matchers"][0]["name"], &list["matchers"][0]["is_ready"]),
        (&json!("people"), &json!(false))
    );
    let explained = world.get("/api/v1/match/people/explain?a=user_id:a&b=user_id:b").await;
    assert_eq!((explained.status, explained.code().as_str()), (StatusCode::BAD_REQUEST, "TES-H003"));
}

#[tokio::test]
async fn nobody_is_found_by_a_matcher_that_is_not_live_or_by_what_it_does_not_compare() {
    let world = World::new();
    let applied = world.put("/api/v1/workspace", &with_matcher(&matcher())).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    for (values, status, code) in [
        (json!({"city": "Bath"}), StatusCode::CONFLICT, "TES-X030"),
        (json!({"secret-value": "Bath"}), StatusCode::BAD_REQUEST, "TES-X031"),
        (json!({}), StatusCode::BAD_REQUEST, "TES-X031"),
        (json!({"city": "x".repeat(1_025)}), StatusCode::BAD_REQUEST, "TES-X031"),
    ] {
        let body = json!({ "values": values }).to_string();
        let answer = world.call("POST", "/api/v1/match/people/find", &[super::world::BEARER], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text);
        assert!(!answer.text.contains("secret-value"), "{}", answer.text);
    }
}

#[tokio::test]
async fn what_is_no_matcher_is_not_found() {
    let world = World::new();
    for (method, path) in [("POST", "run"), ("DELETE", "run"), ("GET", "explain?a=user_id:a&b=user_id:b")] {
        let uri = format!("/api/v1/match/nobody/{path}");
        let answer = world.call(method, &uri, &[super::world::BEARER], "{}").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_matcher_that_cannot_be_is_refused_at_apply() {
    let world = World::new();
    for (member, value, field) in [
        ("model", json!({"blocking": [], "comparisons": []}), "model"),
        (
            "model",
            json!({"blocking": [], "comparisons": [{"column": "nobody", "levels": ["equal"]}]}),
            "model",
        ),
        ("columns", json!({}), "columns"),
        ("columns", json!({"page": "context.page"}), "columns"),
        ("columns", json!({"all": "traits.*"}), "columns"),
        ("review", json!(0.999), "link"),
        ("link", json!(2), "link"),
        ("purpose", json!("nothing"), "purpose"),
    ] {
        let mut wrong = matcher();
        wrong[member] = value.clone();
        let answer = world.put("/api/v1/workspace", &with_matcher(&wrong)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{member} {value}: {}", answer.text);
        assert_eq!(answer.json()["problems"][0]["field"], field, "{member} {value}: {}", answer.text);
    }
}
