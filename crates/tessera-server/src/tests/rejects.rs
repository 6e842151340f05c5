//! Rejects: listed, shown, replayed, brought by imports.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{World, documents};

async fn ids(world: &World) -> Vec<String> {
    world.settle().await;
    let list = world.get("/api/v1/rejects").await.json();
    list["rejects"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn rejects_are_listed_by_page_and_code_without_their_payload() {
    let world = World::new();
    for body in [json!({"userId": "u"}), json!({"event": "A"}), json!({"event": "B"})] {
        world.send("/v1/track", &body).await;
    }
    let page = world.get("/api/v1/rejects?limit=2").await.json();
    let rejects = page["rejects"].as_array().unwrap();
    assert_eq!(
        rejects.iter().map(|r| r["code"].as_str().unwrap()).collect::<Vec<_>>(),
        ["TES-I008", "TES-I006"]
    );
    assert!(rejects.iter().all(|reject| reject.get("payload").is_none()));
    let next = format!("/api/v1/rejects?limit=2&after={}", page["next"].as_str().unwrap());
    let rest = world.get(&next).await.json();
    assert_eq!((rest["rejects"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    let only = world.get("/api/v1/rejects?code=TES-I008").await.json();
    assert_eq!(only["rejects"].as_array().unwrap().len(), 1);
    let id = only["rejects"][0]["id"].as_str().unwrap();
    let shown = world.get(&format!("/api/v1/rejects/{id}")).await.json();
    assert_eq!(
        (&shown["payload"], &shown["source"], &shown["call"]),
        (&json!(r#"{"userId":"u"}"#), &json!("web"), &json!("track"))
    );
    for (uri, code) in [
        ("/api/v1/rejects/99-0", "TES-H004"),
        ("/api/v1/rejects/x", "TES-H003"),
        ("/api/v1/rejects?code=TES-X", "TES-H003"),
        ("/api/v1/rejects?after=x", "TES-H003"),
    ] {
        assert_eq!(world.get(uri).await.code(), code, "{uri}");
    }
}

#[tokio::test]
async fn a_reject_is_replayed_once_its_cause_is_mended() {
    let world = World::new();
    let strict = json!({"documents": [{"kind": "Namespace", "name": "user_id", "priority": 10, "limit": 1, "blocked": ["^guest-"]}]});
    assert_eq!(world.put("/api/v1/workspace", &strict).await.status, StatusCode::OK);
    world.send("/v1/track", &json!({"event": "A", "userId": "guest-1"})).await;
    let batch = json!({"batch": [{"type": "track", "event": "B", "userId": "guest-1"}, {"type": "track", "event": "C", "userId": "u2"}]});
    world.send("/v1/batch", &batch).await;
    let rejects = ids(&world).await;
    assert_eq!(rejects.len(), 2);
    let uri = |id: &String| format!("/api/v1/rejects/{id}/replay");
    let refused = world.post(&uri(&rejects[0]), &json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "TES-I006"));
    assert_eq!(ids(&world).await, rejects, "a refused replay leaves the reject as it was");

    assert_eq!(
        world.put("/api/v1/workspace?prune=true", &json!({"documents": documents()})).await.status,
        StatusCode::OK
    );
    for id in &rejects {
        let answer = world.post(&uri(id), &json!({})).await;
        assert_eq!(answer.json(), json!({"success": true, "accepted": 1, "closed": true}));
    }
    assert_eq!(ids(&world).await, Vec::<String>::new());
    assert_eq!(world.post(&uri(&rejects[0]), &json!({})).await.code(), "TES-H004");
    let profile = world.get("/api/v1/profiles/user_id:guest-1?include=events").await.json();
    assert_eq!(
        (&profile["event_counts"]["A"]["count"], &profile["event_counts"]["B"]["count"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn what_was_cut_or_comes_from_a_file_cannot_be_replayed() {
    let world = World::new();
    let huge = json!({"event": "A", "userId": "u", "x": "x".repeat(100_000)});
    world.send("/v1/track", &huge).await;
    let rows = json!({"source": "web", "rows": [{"reason": "line 7 has 3 columns, not 4", "payload": "a;b;c", "line": 7}]});
    assert_eq!(world.post("/api/v1/rejects", &rows).await.json(), json!({"stored": 1}));
    let rejects = ids(&world).await;
    for id in &rejects {
        let answer = world.post(&format!("/api/v1/rejects/{id}/replay"), &json!({})).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "TES-H012"));
    }
    let row = world.get(&format!("/api/v1/rejects/{}", rejects[1])).await.json();
    assert_eq!(
        (&row["code"], &row["line"], &row["payload"]),
        (&json!("TES-I015"), &json!(7), &json!("a;b;c"))
    );
}

#[tokio::test]
async fn rows_of_files_are_refused_that_are_not_such() {
    let world = World::new();
    let row = json!({"reason": "r", "payload": "p"});
    for order in [
        json!({"source": "nobody", "rows": [row]}),
        json!({"source": "web", "rows": []}),
        json!({"source": "web", "rows": vec![row.clone(); 1001]}),
        json!({"source": "web", "rows": [{"code": "TES-I001", "reason": "r", "payload": "p"}]}),
        json!({"source": "web"}),
    ] {
        assert_eq!(world.post("/api/v1/rejects", &order).await.code(), "TES-H003");
    }
    assert_eq!(ids(&world).await, Vec::<String>::new());
}
