//! Profiles, splits, the workspace, destinations.

use std::task::Poll;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{BASIC, KEY, NEWS_KEY, World, documents};

async fn identify(world: &World, user: &str, email: &str, traits: Value) {
    let mut traits = traits;
    traits["email"] = json!(email);
    let answer = world.send("/v1/identify", &json!({"userId": user, "traits": traits})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_profile_is_found_by_every_identifier_and_by_its_id() {
    let world = World::new();
    identify(&world, "u/1:ä", "Ada@Example.com", json!({"plan": "gold"})).await;
    let profile = world.get("/api/v1/profiles/email:ada%40example.com").await.json();
    let id = profile["id"].as_str().unwrap();
    let keys: Vec<&String> = profile.as_object().unwrap().keys().collect();
    let wanted = ["id", "identifiers", "traits", "consents", "accounts", "first_seen_at", "last_seen_at"];
    assert!(
        wanted.iter().all(|key| keys.iter().any(|known| known == key)) && keys.len() == wanted.len(),
        "{keys:?}"
    );
    assert_eq!(
        profile["identifiers"],
        json!([
            {"namespace": "email", "value": "ada@example.com"}, {"namespace": "user_id", "value": "u/1:ä"}
        ])
    );
    assert_eq!(profile["traits"]["plan"], "gold");
    assert_eq!(profile["first_seen_at"], "2026-01-01T00:00:00.000Z");
    for reference in ["user_id:u%2F1%3A%C3%A4", "email:ADA@example.com", id] {
        assert_eq!(world.get(&format!("/api/v1/profiles/{reference}")).await.json()["id"], id, "{reference}");
    }
}

#[tokio::test]
async fn a_profile_includes_what_is_asked_for() {
    let world = World::new();
    identify(&world, "u1", "ada@example.com", json!({"plan": "gold"})).await;
    world.clock.advance_millis(1000);
    world.send("/v1/track", &json!({"userId": "u1", "event": "Order", "properties": {"total": 7}})).await;
    let profile = world.get("/api/v1/profiles/user_id:u1?include=provenance,events,merges").await.json();
    assert_eq!(profile["provenance"]["plan"]["source"], "web");
    assert_eq!(profile["event_counts"]["Order"]["count"], 1);
    let events = profile["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["source"], &events[0]["event"]["properties"]["total"]),
        (&json!("web"), &json!(7))
    );
    assert_eq!(events[0]["received_at"], "2026-01-01T00:00:01.000Z");
    assert_eq!(profile["merges"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let world = World::new();
    identify(&world, "u1", "grace@hopper.org", json!({})).await;
    for (uri, status, code) in [
        ("/api/v1/profiles/user_id:nobody", StatusCode::NOT_FOUND, "TES-H004"),
        ("/api/v1/profiles/00000000000000000000000000000000", StatusCode::NOT_FOUND, "TES-H004"),
        ("/api/v1/profiles/ada", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/email:ada", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/grace@hopper.org:x", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/user_id:%FF", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/user_id:u1?include=secrets", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/user_id:u1?purpose=spying", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/user_id:u1?verbose=1", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles/user_id:u1?purpose=marketing", StatusCode::FORBIDDEN, "TES-P001"),
        ("/api/v1/profiles?limit=0", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles?limit=501", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles?after=x", StatusCode::BAD_REQUEST, "TES-H003"),
        ("/api/v1/profiles?sort=name", StatusCode::BAD_REQUEST, "TES-H003"),
    ] {
        let answer = world.get(uri).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{uri}: {}", answer.text);
        assert!(!answer.text.contains("grace@hopper.org"), "{uri}: {}", answer.text);
    }
    assert_eq!(world.get("/api/v1/profiles/user_id:u1?purpose=service").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_person_who_said_no_is_shown_as_the_proof_of_it_and_no_more() {
    let world = World::new();
    let send = async |body: Value| {
        let answer = world.call("POST", "/v1/batch", &[("x-write-key", NEWS_KEY)], body.to_string()).await;
        assert_eq!(answer.status, StatusCode::OK);
        world.settle().await;
        world.clock.advance_millis(1000);
    };
    send(json!({"batch": [{"type": "consent", "userId": "u1", "consents": {"marketing": "given"}}]})).await;
    send(json!({"batch": [{"type": "identify", "userId": "u1", "traits": {"name": "Ada"}}]})).await;
    assert_eq!(world.get("/api/v1/profiles/user_id:u1").await.json()["traits"]["name"], "Ada");
    send(json!({"batch": [{"type": "consent", "userId": "u1", "consents": {"marketing": "withdrawn"}}]}))
        .await;
    // The other purpose of the workspace is permitted, but this data does not serve it.
    let profile = world.get("/api/v1/profiles/user_id:u1").await.json();
    assert_eq!(profile["denied"], "withdrawn");
    assert_eq!((&profile["identifiers"], &profile["traits"]), (&json!([]), &json!({})));
    assert_eq!(profile["consents"]["marketing"]["status"], "withdrawn");
    assert_eq!(world.get("/api/v1/profiles/user_id:u1?purpose=marketing").await.code(), "TES-P001");
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let world = World::new();
    for n in 0..7 {
        let plan = if n % 2 == 0 { "gold" } else { "free" };
        identify(&world, &format!("u{n}"), &format!("u{n}@example.com"), json!({"plan": plan, "age": n}))
            .await;
    }
    let (mut after, mut found) = (String::new(), Vec::new());
    loop {
        let page = world.get(&format!("/api/v1/profiles?limit=3{after}")).await.json();
        let profiles = page["profiles"].as_array().unwrap();
        found.extend(profiles.iter().map(|profile| profile["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
        assert_eq!(profiles.len(), 3);
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 7);
    for (filter, count) in [
        ("trait.plan=gold", 4),
        ("trait.plan=gold&trait.age=2", 1),
        ("trait.plan=none", 0),
        ("namespace=email", 7),
        ("namespace=phone", 0),
    ] {
        let page = world.get(&format!("/api/v1/profiles?{filter}")).await.json();
        assert_eq!(page["profiles"].as_array().unwrap().len(), count, "{filter}");
    }
}

#[tokio::test]
async fn accounts_have_profiles_of_their_own() {
    let world = World::new();
    world.send("/v1/group", &json!({"userId": "u1", "groupId": "acme", "traits": {"seats": 5}})).await;
    let account = world.get("/api/v1/profiles/account_id:acme").await.json();
    assert_eq!(account["traits"]["seats"], 5);
    let person = world.get("/api/v1/profiles/user_id:u1").await.json();
    assert_eq!(person["accounts"][0]["account_id"], "acme");
}

#[tokio::test]
async fn a_split_takes_identifiers_out_and_answers_what_there_is_now() {
    let world = World::new();
    world.send("/v1/track", &json!({"userId": "u1", "anonymousId": "tablet", "event": "A"})).await;
    let uri = "/api/v1/profiles/user_id:u1/split";
    for (order, status, code) in [
        (json!({"identifiers": [], "reason": "r"}), StatusCode::BAD_REQUEST, "TES-H003"),
        (json!({"identifiers": ["anonymous_id:tablet"], "reason": " "}), StatusCode::BAD_REQUEST, "TES-H003"),
        (json!({"identifiers": ["anonymous_id:other"], "reason": "r"}), StatusCode::BAD_REQUEST, "TES-H003"),
        (
            json!({"identifiers": ["anonymous_id:tablet", "user_id:u1"], "reason": "r"}),
            StatusCode::BAD_REQUEST,
            "TES-H003",
        ),
        (
            json!({"identifiers": ["anonymous_id:tablet"], "reason": "r", "force": true}),
            StatusCode::BAD_REQUEST,
            "TES-H003",
        ),
    ] {
        let answer = world.post(uri, &order).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{order}");
    }
    let order = json!({"identifiers": ["anonymous_id:tablet"], "reason": "a shared tablet"});
    assert_eq!(world.post("/api/v1/profiles/user_id:nobody/split", &order).await.code(), "TES-H004");
    let answer = world.post(uri, &order).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let profiles = answer["profiles"].as_array().unwrap();
    assert_eq!(profiles[0]["identifiers"], json!([{"namespace": "user_id", "value": "u1"}]));
    // No event is the tablet's own, so no purpose covers anything of it.
    assert_eq!((&profiles[1]["identifiers"], &profiles[1]["denied"]), (&json!([]), &json!("never_asked")));
    let tablet = world.get("/api/v1/profiles/anonymous_id:tablet").await.json();
    assert_eq!(tablet["id"], profiles[1]["id"]);
}

#[tokio::test]
async fn a_workspace_is_compared_applied_and_pruned() {
    let world = World::new();
    let extra = json!({"documents": [{"kind": "Source", "name": "till", "write_key": "till-write-key", "purposes": ["service"]}]});
    let expected = json!({"added": ["Source/till"], "changed": [], "removed": [], "unchanged": 4});
    assert_eq!(world.post("/api/v1/workspace/diff", &extra).await.json(), expected);
    assert_eq!(world.get("/api/v1/workspace").await.json()["version"], 1);
    assert_eq!(world.put("/api/v1/workspace", &extra).await.json(), expected);
    let sent = world.call(
        "POST",
        "/v1/track",
        &[("x-write-key", "till-write-key")],
        r#"{"event":"A","userId":"u"}"#,
    );
    assert_eq!(sent.await.status, StatusCode::OK);

    let all = json!({"documents": documents()});
    let again = world.put("/api/v1/workspace", &all).await.json();
    assert_eq!(again, json!({"added": [], "changed": [], "removed": [], "unchanged": 5}));
    assert_eq!(
        world.get("/api/v1/workspace").await.json()["version"],
        2,
        "what changes nothing is not applied"
    );
    let pruned = world.put("/api/v1/workspace?prune=true", &all).await.json();
    assert_eq!(pruned["removed"], json!(["Source/till"]));
    let workspace = world.get("/api/v1/workspace").await.json();
    assert_eq!((&workspace["version"], workspace["documents"].as_array().unwrap().len()), (&json!(3), 4));
}

#[tokio::test]
async fn a_workspace_with_problems_changes_nothing_and_names_them() {
    let world = World::new();
    for (document, name, field) in [
        (
            json!({"kind": "Source", "name": "x", "write_key": "x-write-key", "purposes": ["nope"]}),
            "x",
            "purposes",
        ),
        (json!({"kind": "Source", "name": "x", "write_key": KEY, "purposes": ["service"]}), "x", "write_key"),
        (json!({"kind": "Purpose", "name": "service", "basis": "consent"}), "service", "basis"),
        (json!({"kind": "Destination", "name": "d", "type": "pigeon", "purpose": "service"}), "d", "type"),
        (
            json!({"kind": "Destination", "name": "d", "type": "jsonl", "purpose": "service", "config": {"colour": 1}}),
            "d",
            "config.colour",
        ),
        (json!({"kind": "Person", "name": "a"}), "a", "document"),
        (
            json!({"kind": "Audience", "name": "a", "purpose": "nope", "when": "plan = \"pro\""}),
            "a",
            "purpose",
        ),
        (json!({"kind": "Audience", "name": "a", "purpose": "service", "when": "plan = "}), "a", "when"),
        (json!({"kind": "Audience", "name": "a", "purpose": "service", "when": "member of b"}), "a", "when"),
        (json!({"kind": "ComputedTrait", "name": "t", "purpose": "service", "value": "t + 1"}), "t", "value"),
        (json!({"kind": "Purpose", "name": "p", "basis": "contract", "odd": 1}), "p", "document"),
    ] {
        for (method, uri) in [("POST", "/api/v1/workspace/diff"), ("PUT", "/api/v1/workspace")] {
            let order = json!({"documents": [document]}).to_string();
            let answer = world.call(method, uri, &[super::world::BEARER], order).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::UNPROCESSABLE_ENTITY, "TES-W001")
            );
            let problem = answer.json()["problems"][0].take();
            assert_eq!((&problem["name"], &problem["field"]), (&json!(name), &json!(field)), "{problem}");
            assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
        }
    }
    assert_eq!(world.get("/api/v1/workspace").await.json()["version"], 1);
    assert_eq!(world.put("/api/v1/workspace?prune=yes", &json!({"documents": []})).await.code(), "TES-H003");
    assert_eq!(world.put("/api/v1/workspace", &json!([])).await.code(), "TES-H003");
}

#[tokio::test]
async fn a_destination_that_is_mapped_to_a_forbidden_field_is_refused_with_where_its_label_comes_from() {
    let world = World::new();
    let field = json!({"kind": "Field", "name": "traits.diagnosis", "labels": ["special"]});
    let policy = json!({"kind": "Policy", "name": "no-post", "labels": ["I1"], "uses": ["email_targeting"]});
    let destination = |extra: Value| {
        let mut document = json!({"kind": "Destination", "name": "d", "type": "jsonl", "purpose": "service"});
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        document
    };
    let special = "`traits.diagnosis` has label `special` (Field `traits.diagnosis`); purpose `service` does not list label `special`; source `web` may bring it";
    let post = "`identifiers.email` has label `I1` (built in); policy `no-post` forbids `email_targeting` of label `I1`; source `web` may bring it";
    for (documents, refused) in [
        (vec![field.clone(), destination(json!({}))], Some(special)),
        (vec![field.clone(), destination(json!({"except": ["traits.diagnosis"]}))], None),
        (
            vec![
                policy.clone(),
                destination(json!({"uses": ["email_targeting"], "fields": ["identifiers.email"]})),
            ],
            Some(post),
        ),
        // The destination above is there now, and the policy comes to it.
        (vec![destination(json!({"uses": ["analytics"], "except": ["traits.diagnosis"]})), policy], None),
        (vec![destination(json!({}))], Some(special)),
    ] {
        let order = json!({"documents": documents});
        let diff = world.post("/api/v1/workspace/diff", &order).await;
        let put = world.put("/api/v1/workspace", &order).await;
        for answer in [diff, put] {
            assert_eq!(
                answer.json()["problems"].get(0).and_then(|p| p["what"].as_str()),
                refused,
                "{}",
                answer.text
            );
            let (status, code) = match refused {
                Some(_) => (StatusCode::UNPROCESSABLE_ENTITY, "TES-W001"),
                None => (StatusCode::OK, ""),
            };
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
        }
    }
}

#[tokio::test]
async fn a_destination_appears_with_its_queue_when_the_workspace_names_it() {
    let world = World::new();
    assert_eq!(world.get("/api/v1/destinations").await.json(), json!({"destinations": []}));
    let order = json!({"documents": [{"kind": "Destination", "name": "files", "type": "jsonl", "purpose": "service"}]});
    assert_eq!(world.put("/api/v1/workspace", &order).await.status, StatusCode::OK);
    let status = world.get("/api/v1/destinations").await.json()["destinations"][0].take();
    assert_eq!(
        (&status["name"], &status["connector"], &status["purpose"]),
        (&json!("files"), &json!("jsonl"), &json!("service"))
    );
    assert_eq!(
        world.get("/api/v1/destinations/files/dead-letters").await.json(),
        json!({"dead_letters": []})
    );
    assert_eq!(
        world.post("/api/v1/destinations/files/replay", &json!({})).await.json(),
        json!({"replayed": 0})
    );
    assert_eq!(world.get("/api/v1/destinations/other/dead-letters").await.code(), "TES-H004");
    assert_eq!(world.post("/api/v1/destinations/other/replay", &json!({})).await.code(), "TES-H004");
}

#[tokio::test]
async fn totals_count_events_and_positions() {
    let world = World::new();
    identify(&world, "u1", "ada@example.com", json!({})).await;
    world.call("POST", "/v1/track", &[BASIC], "{").await;
    world.settle().await;
    let totals = world.get("/api/v1/totals").await.json();
    assert_eq!((&totals["accepted"], &totals["rejected"]), (&json!(1), &json!({"TES-I001": 1})));
    assert_eq!((&totals["profiles"], &totals["identifiers"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&totals["log_start"], &totals["log_end"], &totals["pipeline_position"]),
        (&json!(0), &json!(3), &json!(3))
    );
    assert!(totals["log_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_workspace_is_changed_to_the_end_when_its_sender_goes_away() {
    let world = World::new();
    let order = json!({"documents": [{"kind": "Destination", "name": "files", "type": "jsonl", "purpose": "service"}]});
    let mut request = Box::pin(world.put("/api/v1/workspace", &order));
    let is_done = std::future::poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_ready())).await;
    assert!(!is_done, "the order is on its way");
    drop(request);
    // The next change waits for the one before it.
    let diff = world.put("/api/v1/workspace", &order).await.json();
    assert_eq!(diff, json!({"added": [], "changed": [], "removed": [], "unchanged": 5}));
    assert_eq!(world.get("/api/v1/destinations").await.json()["destinations"][0]["name"], "files");
}
