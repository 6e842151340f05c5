//! Households and accounts at the API.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{NEWS_KEY, World, documents};

async fn world() -> World {
    let world = World::new();
    let mut all = documents().as_array().unwrap().clone();
    all.push(json!({"kind": "GroupType", "name": "household", "members_max": 3,
        "by": [{"traits": {"phone": "phone"}}, {"traits": {"last": "text", "zip": "exact"}}]}));
    all.push(json!({"kind": "GroupType", "name": "company", "by": [{"group_calls": true}]}));
    let applied = world.put("/api/v1/workspace", &json!({ "documents": all })).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    for user in ["ada", "bob"] {
        let traits = json!({"last": "King", "zip": "10115", "phone": "+4930123456"});
        world.send("/v1/identify", &json!({"userId": user, "traits": traits})).await;
    }
    world
}

fn ids(answer: &Value) -> Vec<String> {
    let user_id = |member: &Value| {
        let known = member["identifiers"].as_array().unwrap();
        let own = known.iter().find(|one| one["namespace"] == "user_id").unwrap();
        own["value"].as_str().unwrap().to_owned()
    };
    answer["members"].as_array().unwrap().iter().map(user_id).collect()
}

#[tokio::test]
async fn groups_are_listed_page_by_page_and_shown_by_id_and_by_value() {
    let world = world().await;
    let list = world.get("/api/v1/groups/household").await.json();
    let groups = list["groups"].as_array().unwrap();
    assert_eq!(
        groups.iter().map(|one| one["members"].as_u64().unwrap()).collect::<Vec<_>>(),
        [2, 2],
        "{list}"
    );
    let first = world.get("/api/v1/groups/household?limit=1").await.json();
    let next = first["next"].as_str().unwrap();
    let second = world.get(&format!("/api/v1/groups/household?limit=1&after={next}")).await.json();
    assert_eq!([&first["groups"][0], &second["groups"][0]], [&groups[0], &groups[1]]);
    for group in [groups[0]["id"].as_str().unwrap(), "%2B49%2030%20123456"] {
        let shown = world.get(&format!("/api/v1/groups/household/{group}")).await.json();
        let mut who = ids(&shown);
        who.sort();
        assert_eq!(
            (who, &shown["is_shared"]),
            (vec!["ada".to_owned(), "bob".to_owned()], &json!(false)),
            "{shown}"
        );
    }
    let one = world.get("/api/v1/groups/household/%2B4930123456?limit=1").await.json();
    let next = one["next"].as_str().unwrap();
    let other =
        world.get(&format!("/api/v1/groups/household/%2B4930123456?limit=1&after={next}")).await.json();
    assert_ne!(ids(&one), ids(&other));
    let profile = world.get("/api/v1/profiles/user_id:ada?include=groups").await.json();
    assert_eq!(profile["groups"].as_array().unwrap().len(), 2);
    assert!(world.get("/api/v1/profiles/user_id:ada").await.json().get("groups").is_none());
}

#[tokio::test]
async fn a_member_whom_no_purpose_permits_to_show_is_neither_shown_nor_counted() {
    let world = world().await;
    let key = [("x-write-key", NEWS_KEY)];
    let said = |status: &str| json!({"userId": "cy", "consents": {"marketing": status}}).to_string();
    let traits = json!({"last": "King", "zip": "10115"});
    world.call("POST", "/v1/consent", &key, said("given")).await;
    let body = json!({"userId": "cy", "traits": traits}).to_string();
    world.call("POST", "/v1/identify", &key, body).await;
    world.settle().await;
    let count = |list: &Value| {
        let groups = list["groups"].as_array().unwrap().iter();
        groups.map(|one| one["members"].as_u64().unwrap()).max().unwrap_or_default()
    };
    assert_eq!(count(&world.get("/api/v1/groups/household").await.json()), 3);
    assert_eq!(count(&world.get("/api/v1/groups/household?purpose=service").await.json()), 2);
    world.call("POST", "/v1/consent", &key, said("withdrawn")).await;
    world.settle().await;
    assert_eq!(count(&world.get("/api/v1/groups/household").await.json()), 2);
}

#[tokio::test]
async fn a_value_that_too_many_share_shows_nobody() {
    let world = world().await;
    for user in ["cy", "dora"] {
        world.send("/v1/identify", &json!({"userId": user, "traits": {"phone": "+4930123456"}})).await;
    }
    let shown = world.get("/api/v1/groups/household/%2B4930123456").await.json();
    assert_eq!((&shown["is_shared"], ids(&shown)), (&json!(true), vec![]));
    assert_eq!(world.get("/api/v1/groups/household").await.json()["groups"].as_array().unwrap().len(), 1);
    let profile = world.get("/api/v1/profiles/user_id:cy?include=groups").await.json();
    assert_eq!(profile["groups"], json!([]));
}

#[tokio::test]
async fn an_account_is_shown_with_its_traits() {
    let world = world().await;
    let call = json!({"userId": "ada", "groupId": "acme", "traits": {"plan": "wholesale"}});
    world.send("/v1/group", &call).await;
    let shown = world.get("/api/v1/groups/company/acme").await.json();
    assert_eq!(
        (ids(&shown), &shown["account"]["traits"]["plan"]),
        (vec!["ada".to_owned()], &json!("wholesale"))
    );
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_no_value_is_in_the_audit() {
    let world = world().await;
    for (path, status) in [
        ("nothing", StatusCode::NOT_FOUND),
        ("nothing/x", StatusCode::NOT_FOUND),
        ("household/%2B493099", StatusCode::NOT_FOUND),
        ("household?min_members=0", StatusCode::BAD_REQUEST),
        ("household?after=x", StatusCode::BAD_REQUEST),
        ("household?purpose=nothing", StatusCode::BAD_REQUEST),
        ("household/x?after=x", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.get(&format!("/api/v1/groups/{path}")).await.status, status, "{path}");
    }
    world.get("/api/v1/groups/household/4930123456").await;
    let audit = world.audit.lock();
    let last = &audit.last().unwrap().object;
    assert!(last.starts_with("GET /api/v1/groups/household/") && !last.contains("123456"), "{last}");
}
