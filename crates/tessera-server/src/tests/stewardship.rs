//! The review queue, merges by hand, undo.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::World;

/// Two people, each with a device.
async fn world() -> World {
    let world = World::new();
    for (user, device) in [("ada", "d1"), ("bob", "d2")] {
        let traits = json!({"email": format!("{user}@example.com"), "plan": user});
        let body = json!({"userId": user, "anonymousId": device, "traits": traits, "messageId": format!("m-{user}")});
        world.send("/v1/identify", &body).await;
        world.clock.advance_millis(10);
    }
    world
}

async fn id(world: &World, reference: &str) -> String {
    world.get(&format!("/api/v1/profiles/{reference}")).await.json()["id"].as_str().unwrap().to_owned()
}

async fn ok(world: &World, path: &str, body: Value) -> Value {
    world.clock.advance_millis(10);
    let answer = world.post(path, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.json()
}

const MERGE: &str = "/api/v1/profiles/user_id:ada/merge";

#[tokio::test]
async fn a_pair_is_reviewed_and_what_was_said_has_who_when_and_why() {
    let world = world().await;
    let pair = json!({"a": "user_id:ada", "b": "user_id:bob", "score": 0.8, "note": "same address"});
    let asked = ok(&world, "/api/v1/reviews", pair.clone()).await;
    let path = format!("/api/v1/reviews/{}", asked["id"].as_str().unwrap());
    let listed = world.get("/api/v1/reviews").await.json();
    assert_eq!((&listed["total"], &listed["reviews"][0]["score"]), (&json!(1), &json!(0.8)));
    assert!(!listed.to_string().contains("example.com"), "the list shows nobody: {listed}");
    let shown = world.get(&path).await.json();
    let mut plans = [&shown["a"]["traits"]["plan"], &shown["b"]["traits"]["plan"]].map(Value::to_string);
    plans.sort();
    assert_eq!(plans, ["\"ada\"", "\"bob\""]);
    let refused = world.post(&format!("{path}/accept"), &json!({"reason": " "})).await;
    assert_eq!(refused.code(), "TES-H003");
    let accepted = ok(&world, &format!("{path}/accept"), json!({"reason": "she called"})).await;
    assert_eq!((&accepted["state"], &accepted["is_one"]), (&json!("accepted"), &json!(true)));
    assert_eq!(accepted["decisions"][0]["by"], "root");
    assert_eq!(accepted["decisions"][0]["reason"], "she called");
    assert_eq!(id(&world, "user_id:ada").await, id(&world, "user_id:bob").await);
    assert_eq!(world.post("/api/v1/reviews", &pair).await.code(), "TES-I045");
    let reopened = ok(&world, &format!("{path}/reopen"), json!({"reason": "it was her sister"})).await;
    assert_eq!((&reopened["state"], &reopened["is_one"]), (&json!("open"), &json!(false)));
    ok(&world, &format!("{path}/reject"), json!({"reason": "two people"})).await;
    assert_eq!(world.get("/api/v1/reviews").await.json()["total"], 0);
    assert_eq!(world.get("/api/v1/reviews?state=rejected").await.json()["total"], 1);
    assert_eq!(world.get("/api/v1/reviews?state=else").await.code(), "TES-H003");
    assert_eq!(world.get(&format!("/api/v1/reviews/{}", "0".repeat(32))).await.code(), "TES-H004");
}

#[tokio::test]
async fn a_merge_by_hand_is_one_profile_and_a_person_is_no_account() {
    let world = world().await;
    let merged = ok(&world, MERGE, json!({"with": "user_id:bob", "reason": "one person"})).await;
    assert_eq!(merged["id"].as_str().unwrap(), id(&world, "user_id:bob").await);
    let group = json!({"userId": "ada", "groupId": "acme", "messageId": "g1"});
    world.send("/v1/group", &group).await;
    for (with, code) in
        [("account_id:acme", "TES-I040"), ("user_id:nobody", "TES-H004"), ("user_id:ada", "TES-H003")]
    {
        let answer = world.post(MERGE, &json!({"with": with, "reason": "r"})).await;
        assert_eq!(answer.code(), code, "{with}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_undo_is_told_before_it_is_done_and_can_be_taken_back() {
    let world = world().await;
    ok(&world, MERGE, json!({"with": "user_id:bob", "reason": "one person"})).await;
    let edge = json!({"edge": ["user_id:ada", "user_id:bob"]});
    let told = ok(&world, "/api/v1/undo/preview", edge.clone()).await;
    assert_eq!((&told["clusters"], &told["profiles"]), (&json!(1), &json!({"before": 1, "after": 2})));
    assert_eq!((&told["splitting"], &told["traits"]["plan"]), (&json!(1), &json!(1)));
    assert!(told["samples"].to_string().contains("ada@example.com"), "{told}");
    assert_eq!(id(&world, "user_id:ada").await, id(&world, "user_id:bob").await, "a preview changes nothing");
    let mut order = edge.clone();
    order["reason"] = json!("it was her sister");
    let mut done = ok(&world, "/api/v1/undo", order).await;
    let effect = done["effect"].take();
    assert_eq!(effect, told, "what was told is what was done");
    assert_ne!(id(&world, "user_id:ada").await, id(&world, "user_id:bob").await);
    let path = format!("/api/v1/undo/{}/redo", done["id"].as_str().unwrap());
    assert_eq!(world.get("/api/v1/undo").await.json()["undos"][0]["by"], "root");
    let redone = ok(&world, &path, json!({"reason": "no, it was her"})).await;
    assert_eq!(redone["taken_back_by"], "root");
    assert_eq!(id(&world, "user_id:ada").await, id(&world, "user_id:bob").await);
    assert_eq!(world.post(&path, &json!({"reason": "again"})).await.code(), "TES-I043");
}

#[tokio::test]
async fn what_one_event_or_one_source_said_can_be_undone() {
    let world = world().await;
    for selector in
        [json!({"event": "m-ada"}), json!({"source": "web"}), json!({"source": "web", "from": "2020-01-01"})]
    {
        let mut order = selector.clone();
        order["reason"] = json!("a wrong import");
        let done = ok(&world, "/api/v1/undo", order.clone()).await;
        assert_ne!(id(&world, "user_id:ada").await, id(&world, "anonymous_id:d1").await, "{selector}");
        assert_eq!(world.post("/api/v1/undo", &order).await.code(), "TES-I042", "it is undone already");
        let path = format!("/api/v1/undo/{}/redo", done["id"].as_str().unwrap());
        ok(&world, &path, json!({"reason": "it was right"})).await;
        assert_eq!(id(&world, "user_id:ada").await, id(&world, "anonymous_id:d1").await, "{selector}");
    }
    let wrong = [
        json!({}),
        json!({"event": "m", "source": "web"}),
        json!({"event": "m", "from": "2020-01-01"}),
        json!({"source": "web", "from": "soon"}),
        json!({"source": "web", "from": "2020-01-02", "to": "2020-01-01"}),
    ];
    for selector in wrong {
        assert_eq!(world.post("/api/v1/undo/preview", &selector).await.code(), "TES-H003", "{selector}");
    }
}
