//! Contact data: what is said of values, and what a profile shows of its contact points.

use axum::http::StatusCode;
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn values_are_validated_in_their_order_and_never_called_valid_by_their_looks() {
    let world = World::new();
    let order = json!({"country": "Germany", "values": [
        {"kind": "email", "value": "Info@Mailinator.com"},
        {"kind": "phone", "value": "030 123456"},
        {"kind": "phone", "value": "12"},
        {"kind": "address", "value": {"street": "Hauptstr. 5", "postalCode": "D-10117", "city": "Berlin"}},
        {"kind": "country", "value": "Allemagne"},
    ]});
    let answer = world.post("/api/v1/validate", &order).await.json();
    let results = answer["results"].as_array().unwrap();
    let told: Vec<_> =
        results.iter().map(|one| (one["status"].as_str().unwrap(), one["normalised"].as_str())).collect();
    assert_eq!(
        told,
        [
            ("unknown", Some("info@mailinator.com")),
            ("unknown", Some("+4930123456")),
            ("invalid", None),
            ("unknown", Some("Hauptstr. 5, 10117 Berlin, Germany")),
            ("valid", Some("DE")),
        ]
    );
    assert_eq!((&results[0]["disposable"], &results[0]["role_address"]), (&json!(true), &json!(true)));
    assert_eq!(results[1]["details"]["type"], "fixed_line");
}

#[tokio::test]
async fn what_cannot_be_validated_is_told() {
    let world = World::new();
    for order in [
        json!({"values": [{"kind": "shoe", "value": "x"}]}),
        json!({"country": "Atlantis", "values": []}),
        json!({"values": [{"kind": "email", "value": {"street": "x"}}]}),
        json!({"values": vec![json!({"kind": "email", "value": "x"}); 10_001]}),
        json!({"values": [{"kind": "email", "value": 7}]}),
    ] {
        assert_eq!(world.post("/api/v1/validate", &order).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_profile_shows_its_contact_points_raw_and_normalised() {
    let world = World::new();
    let traits = json!({"email": "Ada@B\u{fc}cher.example", "phone": "+49 (0)30 / 123-456"});
    world.send("/v1/identify", &json!({"userId": "u1", "traits": traits})).await;
    let profile = world.get("/api/v1/profiles/user_id:u1?include=contacts").await.json();
    assert_eq!(profile["traits"]["email"], "Ada@B\u{fc}cher.example", "traits keep what came");
    let contacts = profile["contacts"].as_array().unwrap();
    let told: Vec<_> = contacts
        .iter()
        .map(|one| {
            (
                one["raw"].as_str().unwrap(),
                one["normalised"].as_str().unwrap(),
                one["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("Ada@B\u{fc}cher.example", "ada@xn--bcher-kva.example", "unknown"),
            ("+49 (0)30 / 123-456", "+4930123456", "unknown"),
        ]
    );
    let found = world.get("/api/v1/profiles/phone:0049%2030%20123456").await;
    assert_eq!(found.status, StatusCode::OK, "found by another spelling");
}

#[tokio::test]
async fn a_trait_that_cannot_be_an_address_is_shown_as_invalid_and_links_nobody() {
    let world = World::new();
    world.send("/v1/identify", &json!({"userId": "u1", "traits": {"email": "a..da@x.org"}})).await;
    let profile = world.get("/api/v1/profiles/user_id:u1?include=contacts").await.json();
    assert_eq!(profile["identifiers"].as_array().unwrap().len(), 1);
    let contact = &profile["contacts"][0];
    assert_eq!((&contact["raw"], &contact["status"]), (&json!("a..da@x.org"), &json!("invalid")));
    assert_eq!((&contact["reason"], contact.get("normalised")), (&json!("local_dot"), None));
}
