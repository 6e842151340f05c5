//! Consents on record, receipts, and requests of data subjects.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tessera_model::Record;
use tessera_store::{Log as _, Position};

use super::world::{Answer, BASIC, KEY, NEWS_KEY, World};

const DAY_MILLIS: i64 = 86_400_000;
const PERSON: &str = "/api/v1/profiles/user_id:u1";

/// Somebody known to two sources, one of them a partner.
async fn world() -> World {
    let world = World::new();
    let documents = json!([
        {"kind": "Controller", "name": "Shop", "contact": "privacy@shop.example"},
        {"kind": "Purpose", "name": "service", "basis": "contract", "retention_days": 30},
        {"kind": "Purpose", "name": "marketing", "basis": "consent", "notice": {"en": "We <b>write</b>."}},
        {"kind": "Purpose", "name": "fraud", "basis": "legitimate_interests"},
        {"kind": "Purpose", "name": "ads", "basis": "consent", "sells_or_shares": true},
        {"kind": "Source", "name": "web", "write_key": KEY, "purposes": ["service"]},
        {"kind": "Source", "name": "news", "write_key": NEWS_KEY, "purposes": ["marketing"]},
        {"kind": "Source", "name": "partner", "write_key": "partner-key", "purposes": ["service"], "party": "third"},
        {"kind": "Source", "name": "watch", "write_key": "watch-key", "purposes": ["fraud"]},
    ]);
    let applied = world.put("/api/v1/workspace", &json!({ "documents": documents })).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    let identify = |traits: Value| json!({"userId": "u1", "traits": traits});
    world.send("/v1/identify", &identify(json!({"email": "ada@x.org", "plan": "<i>pro</i>"}))).await;
    world.send("/v1/track", &json!({"userId": "u1", "event": "Bought"})).await;
    world.send("/v1/identify", &json!({"userId": "u2", "traits": {"plan": "secret-of-another"}})).await;
    for (key, plan) in [("partner-key", "income"), ("watch-key", "risk")] {
        let body = identify(json!({ plan: "high" })).to_string();
        world.call("POST", "/v1/identify", &[("x-write-key", key)], body).await;
    }
    world.settle().await;
    world
}

async fn record(world: &World, words: Value) -> Answer {
    world.post(&format!("{PERSON}/consents"), &json!({ "words": words })).await
}

/// Opens a request and returns its path.
async fn open(world: &World, request_type: &str, subject: &str) -> String {
    let answer = world.post("/api/v1/requests", &json!({"type": request_type, "subjects": [subject]})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(!answer.text.contains(subject));
    format!("/api/v1/requests/{}", answer.json()["id"].as_str().unwrap())
}

async fn verified(world: &World, request_type: &str, subject: &str) -> String {
    let path = open(world, request_type, subject).await;
    let answer = world.post(&format!("{path}/verify-identity"), &json!({"proof": "contact_point"})).await;
    assert_eq!(answer.json()["is_verified"], true, "{}", answer.text);
    path
}

async fn fulfilled(world: &World, path: &str, order: Value) -> Value {
    let answer = world.post(&format!("{path}/fulfil"), &order).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

/// Kinds of the entries in the evidence ledger, with the actor and the fields.
async fn evidence(world: &World, kind: &str) -> Vec<Value> {
    let answer = world.get(&format!("/api/v1/evidence?kind={kind}")).await;
    answer.json()["entries"].as_array().unwrap_or_else(|| panic!("{}", answer.text)).clone()
}

#[tokio::test]
async fn a_word_on_record_holds_at_once_and_shows_with_its_history() {
    let world = world().await;
    let asked = world.get(&format!("{PERSON}/consents")).await.json();
    assert_eq!(asked["purposes"]["marketing"]["denied"], "never_asked");
    let given = record(&world, json!([{"purpose": "marketing", "status": "given", "how": "counter"}])).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    assert_eq!(given.json()["purposes"]["marketing"]["is_permitted"], true);
    world.clock.advance_millis(1000);
    record(&world, json!([{"purpose": "marketing", "status": "withdrawn"}])).await;
    let shown = world.get("/api/v1/profiles/email:ADA@x.org/consents").await.json();
    let marketing = &shown["purposes"]["marketing"];
    assert_eq!((&marketing["is_permitted"], &marketing["denied"]), (&json!(false), &json!("withdrawn")));
    let words: Vec<&str> =
        marketing["history"].as_array().unwrap().iter().map(|w| w["status"].as_str().unwrap()).collect();
    assert_eq!(words, ["given", "withdrawn"]);
    assert_eq!(marketing["history"][0]["how"], "counter");
    assert!(!evidence(&world, "disclosure").await.is_empty());
}

#[tokio::test]
async fn words_that_cannot_be_are_refused_with_the_reason() {
    let world = world().await;
    for (word, status, code) in [
        (json!({"purpose": "marketing", "status": "overruled"}), 422, "TES-R027"),
        (json!({"purpose": "nothing", "status": "given"}), 400, "TES-H003"),
        (json!({"status": "given"}), 400, "TES-H003"),
        (json!({"purpose": "marketing", "status": "restricted"}), 400, "TES-H003"),
        (json!({"purpose": "marketing", "status": "given", "version": 9}), 400, "TES-H003"),
        (json!({"purpose": "marketing", "status": "given", "at": "2999-01-01"}), 400, "TES-H003"),
        (json!({"purpose": "marketing", "status": "given", "how": " "}), 400, "TES-H003"),
        (json!({"purpose": "marketing", "status": "agreed"}), 400, "TES-H003"),
    ] {
        let answer = record(&world, json!([word])).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{word} {}",
            answer.text
        );
    }
    assert_eq!(record(&world, json!([])).await.status, StatusCode::BAD_REQUEST);
    let overruled = record(&world, json!([{"purpose": "fraud", "status": "overruled"}])).await;
    assert_eq!(overruled.status, StatusCode::OK, "{}", overruled.text);
    let nobody = world
        .post(
            "/api/v1/profiles/user_id:nobody/consents",
            &json!({"words": [{"purpose": "fraud", "status": "objected"}]}),
        )
        .await;
    assert_eq!((nobody.status, nobody.code().as_str()), (StatusCode::NOT_FOUND, "TES-H004"));
}

#[tokio::test]
async fn a_service_agent_records_consent_and_no_restriction() {
    let world = World::new();
    world.send("/v1/identify", &json!({"userId": "u1"})).await;
    let order = json!({"kind": "token", "role": "service_agent", "purposes": ["service"]});
    let token = world.put("/api/v1/access/accounts/desk", &order).await.json()["token"].clone();
    let bearer = format!("Bearer {}", token.as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let say = async |word: Value| {
        let body = json!({ "words": [word] }).to_string();
        world.call("POST", &format!("{PERSON}/consents"), &headers, body).await
    };
    let withdrawn = say(json!({"purpose": "marketing", "status": "withdrawn"})).await;
    assert_eq!(withdrawn.status, StatusCode::OK, "{}", withdrawn.text);
    // What was not granted to it is not shown to it.
    assert_eq!(withdrawn.json()["purposes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["service"]);
    assert_eq!(say(json!({"status": "restricted"})).await.code(), "TES-R027");
    let all = world.get(&format!("{PERSON}/consents")).await.json();
    assert_eq!(all["purposes"]["marketing"]["denied"], "withdrawn");
}

#[tokio::test]
async fn a_receipt_is_json_or_a_page_that_shows_text_as_text() {
    let world = world().await;
    let path = format!("{PERSON}/receipts");
    assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND);
    record(
        &world,
        json!([{"purpose": "marketing", "status": "given"}, {"purpose": "ads", "status": "refused"}]),
    )
    .await;
    let all = world.get(&path).await.json();
    assert_eq!(all["receipts"].as_array().unwrap().len(), 2);
    let one = world.get(&format!("{path}?purpose=marketing")).await.json();
    let processing = &one["receipts"][0]["pii_processing"];
    assert_eq!(processing["purposes"][0]["purpose_type"], "marketing");
    let page = world.get(&format!("{path}?purpose=marketing&format=html")).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains("We &lt;b&gt;write&lt;/b&gt;.") && !page.text.contains("<script"));
    for wrong in ["?format=html", "?format=pdf", "?purpose=nothing", "?x=y"] {
        assert_eq!(world.get(&format!("{path}{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn nothing_is_given_out_before_the_person_has_shown_who_they_are() {
    let world = world().await;
    let path = open(&world, "access", "email:ada@x.org").await;
    let report = format!("{path}/report");
    for (method, uri) in [("GET", report.clone()), ("POST", format!("{path}/fulfil"))] {
        let answer = world.call(method, &uri, &[super::world::BEARER], "{}").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "TES-R013"), "{uri}");
        assert!(!answer.text.contains("ada"));
    }
    assert!(evidence(&world, "export").await.is_empty());
    world.post(&format!("{path}/verify-identity"), &json!({"proof": "contact_point"})).await;
    let answer = world.get(&report).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.contains("ada@x.org"));
    let exports = evidence(&world, "export").await;
    assert_eq!((&exports[0]["actor"], exports.len()), (&json!("root"), 1));
    assert!(!exports[0].to_string().contains("ada@x.org"));
}

#[tokio::test]
async fn an_access_report_has_everything_and_nothing_of_others() {
    let world = world().await;
    record(&world, json!([{"status": "restricted"}])).await;
    world.call("POST", "/v1/track", &[BASIC], r#"{"event": 7, "userId": "u1", "note": "bad-call"}"#).await;
    world.settle().await;
    let path = verified(&world, "access", "user_id:u1").await;
    fulfilled(&world, &path, json!({})).await;
    let report = world.get(&format!("{path}/report")).await;
    let json = report.json();
    let profile = &json["profiles"][0];
    let traits: Vec<&str> =
        profile["traits"].as_array().unwrap().iter().map(|held| held["name"].as_str().unwrap()).collect();
    for name in ["email", "plan", "income", "risk"] {
        assert!(traits.contains(&name), "{traits:?}");
    }
    let plan = profile["traits"].as_array().unwrap().iter().find(|held| held["name"] == "plan").unwrap();
    assert_eq!((&plan["source"], &plan["purposes"][0]["basis"]), (&json!("web"), &json!("contract")));
    assert!(plan["purposes"][0]["until"].as_str().unwrap().starts_with("2026-01-31"), "{plan}");
    assert_eq!(profile["consents"][0]["status"], "restricted");
    assert_eq!(json["events"].as_array().unwrap().len(), 4);
    assert_eq!(json["rejects"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["requests"].as_array().unwrap().len(), 1);
    assert_eq!((&json["ground"], &json["controller"]["name"]), (&json!("GDPR Art. 15"), &json!("Shop")));
    assert!(!report.text.contains("secret-of-another"));
    let page = world.get(&format!("{path}/report?format=html")).await;
    assert!(page.text.contains("&lt;i&gt;pro&lt;/i&gt;") && !page.text.contains("<i>"), "{}", page.text);
    assert!(page.text.contains("bad-call") && !page.text.contains("secret-of-another"));
}

#[tokio::test]
async fn portable_is_what_the_person_gave_on_consent_or_contract() {
    let world = world().await;
    let path = verified(&world, "portability", "user_id:u1").await;
    fulfilled(&world, &path, json!({})).await;
    let report = world.get(&format!("{path}/report")).await;
    let json = report.json();
    let traits: Vec<&str> = json["profiles"][0]["traits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["name"].as_str().unwrap())
        .collect();
    assert_eq!(traits, ["email", "plan"]);
    assert_eq!(json["events"].as_array().unwrap().len(), 2);
    for absent in ["income", "risk", "deliveries", "rights"] {
        assert!(!report.text.contains(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_report_comes_as_a_stream_that_ends_with_it() {
    let world = world().await;
    let path = verified(&world, "access", "user_id:u1").await;
    let headers = [super::world::BEARER, ("accept", "text/event-stream")];
    let answer = world.call("GET", &format!("{path}/report?format=html"), &headers, "").await;
    let done = answer.text.split("event: done\ndata: ").nth(1).unwrap_or_else(|| panic!("{}", answer.text));
    let done: Value = serde_json::from_str(done.trim()).unwrap();
    assert!(done["html"].as_str().unwrap().contains("ada@x.org"));
}

#[tokio::test]
async fn only_access_and_portability_have_a_report() {
    let world = world().await;
    let path = verified(&world, "rectification", "user_id:u1").await;
    let answer = world.get(&format!("{path}/report")).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "TES-R026"));
}

#[tokio::test]
async fn a_rectification_puts_right_what_every_source_said() {
    let world = world().await;
    let path = verified(&world, "rectification", "email:ada@x.org").await;
    let nothing = world.post(&format!("{path}/fulfil"), &json!({})).await;
    assert_eq!((nothing.status, nothing.code().as_str()), (StatusCode::BAD_REQUEST, "TES-R028"));
    world.clock.advance_millis(1000);
    let done = fulfilled(&world, &path, json!({"traits": {"plan": "basic", "email": null}})).await;
    assert_eq!(done["status"], "completed");
    let profile = world.get(PERSON).await.json();
    assert_eq!((&profile["traits"]["plan"], &profile["traits"]["email"]), (&json!("basic"), &Value::Null));
    // What was right is in the request's order alone, never in the request.
    let shown = world.get(&path).await;
    assert!(!shown.text.contains("basic"), "{}", shown.text);
}

#[tokio::test]
async fn restriction_objection_and_opt_out_stop_the_use_and_lifting_brings_it_back() {
    let world = world().await;
    record(&world, json!([{"purpose": "ads", "status": "given"}])).await;
    let denied = async |purpose: &str| {
        let shown = world.get(&format!("{PERSON}/consents")).await.json();
        shown["purposes"][purpose]["denied"].clone()
    };
    assert_eq!(denied("ads").await, Value::Null);
    let order = json!({"type": "opt_out_of_sale", "regime": "ccpa", "subjects": ["user_id:u1"]});
    world.clock.advance_millis(1000);
    let opened = world.post("/api/v1/requests", &order).await.json();
    let path = format!("/api/v1/requests/{}", opened["id"].as_str().unwrap());
    assert_eq!(fulfilled(&world, &path, json!({})).await["status"], "completed");
    assert_eq!(denied("ads").await, "objected");
    let path = open(&world, "objection", "user_id:u1").await;
    fulfilled(&world, &path, json!({})).await;
    assert_eq!((denied("fraud").await, denied("service").await), (json!("objected"), Value::Null));
    let path = open(&world, "restriction", "user_id:u1").await;
    fulfilled(&world, &path, json!({})).await;
    assert_eq!(denied("service").await, "restricted");
    world.clock.advance_millis(1000);
    let path = open(&world, "lift_restriction", "user_id:u1").await;
    assert_eq!(world.post(&format!("{path}/fulfil"), &json!({})).await.code(), "TES-R013");
    world.post(&format!("{path}/verify-identity"), &json!({"proof": "signed_in"})).await;
    fulfilled(&world, &path, json!({})).await;
    assert_eq!(denied("service").await, Value::Null);
}

#[tokio::test]
async fn a_request_for_somebody_unknown_is_completed_without_data() {
    let world = world().await;
    for request_type in ["access", "portability", "restriction"] {
        let path = match request_type {
            "restriction" => open(&world, request_type, "email:nobody@x.org").await,
            _ => verified(&world, request_type, "email:nobody@x.org").await,
        };
        let done = fulfilled(&world, &path, json!({})).await;
        assert_eq!((&done["status"], &done["no_data_found"]), (&json!("completed"), &json!(true)));
    }
    let path = verified(&world, "access", "email:nobody@x.org").await;
    let page = world.get(&format!("{path}/report?format=html")).await;
    assert!(page.text.contains("We hold no data"), "{}", page.text);
}

#[tokio::test]
async fn requests_are_listed_by_what_must_be_answered_first() {
    let world = world().await;
    let late = open(&world, "access", "user_id:u1").await;
    world.clock.advance_millis(40 * DAY_MILLIS);
    let fresh = open(&world, "access", "user_id:u1").await;
    let closed = open(&world, "access", "user_id:u1").await;
    let deny = json!({"reason": "excessive", "why": "the third within a month"});
    assert_eq!(
        world.post(&format!("{closed}/deny"), &deny).await.json()["denied"]["article"],
        "Art. 12(5)(b)"
    );
    let ids = async |query: &str| {
        let list = world.get(&format!("/api/v1/requests{query}")).await.json();
        let path = |one: &Value| format!("/api/v1/requests/{}", one["id"].as_str().unwrap());
        list["requests"].as_array().unwrap().iter().map(path).collect::<Vec<_>>()
    };
    let paths = |these: &[&String]| these.iter().map(|path| (*path).clone()).collect::<Vec<_>>();
    assert_eq!(ids("").await, paths(&[&late, &fresh, &closed]));
    assert_eq!(ids("?overdue=true").await, paths(&[&late]));
    assert_eq!(ids("?status=open&overdue=false").await, paths(&[&fresh]));
    assert_eq!(ids("?status=denied").await, paths(&[&closed]));
    for wrong in ["?status=lost", "?overdue=perhaps", "?x=y"] {
        assert_eq!(world.get(&format!("/api/v1/requests{wrong}")).await.status, StatusCode::BAD_REQUEST);
    }
    let clock = &world.get(&late).await.json()["clock"];
    assert_eq!((&clock["is_overdue"], &clock["answer_by"]), (&json!(true), &json!("2026-02-02")));
}

#[tokio::test]
async fn steps_are_on_record_and_those_that_do_not_fit_are_refused() {
    let world = world().await;
    let path = open(&world, "access", "user_id:u1").await;
    for (step, order, status, code) in [
        ("acknowledge", json!({}), 200, ""),
        ("acknowledge", json!({}), 409, "TES-R019"),
        ("verify-identity", json!({}), 400, "TES-H003"),
        ("verify-identity", json!({"proof": "trust"}), 400, "TES-H003"),
        ("verify-identity", json!({"ask_until": "2020-01-01"}), 400, "TES-H003"),
        ("verify-identity", json!({"ask_until": "2026-01-15"}), 200, ""),
        ("expire", json!({}), 409, "TES-R017"),
        ("extend", json!({"why": ""}), 422, "TES-R020"),
        ("extend", json!({"why": "many sources"}), 200, ""),
        ("deny", json!({"reason": "because"}), 400, "TES-H003"),
        ("deny", json!({"reason": "not_sold"}), 422, "TES-R016"),
        ("tell", json!({"destination": "file", "receipt": ""}), 409, "TES-R011"),
        ("cancel", json!({"why": "changed their mind"}), 200, ""),
        ("cancel", json!({}), 409, "TES-R011"),
    ] {
        let answer = world.post(&format!("{path}/{step}"), &order).await;
        let told = if status == 200 { String::new() } else { answer.code() };
        assert_eq!((answer.status.as_u16(), told.as_str()), (status, code), "{step} {order} {}", answer.text);
    }
    let shown = world.get(&path).await.json();
    let done: Vec<&str> =
        shown["history"].as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(done, ["acknowledge", "ask_identity", "extend", "cancel"]);
    for unknown in ["nothing", "a7551968-d5d6-44b2-9831-815ac9017798"] {
        let answer = world.get(&format!("/api/v1/requests/{unknown}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "TES-R025"));
    }
}

/// Everything that the log holds.
fn log_text(world: &World, from: Position) -> String {
    let mut text = String::new();
    for entry in world.log.read(from, usize::MAX).unwrap() {
        text += &String::from_utf8_lossy(&entry.record);
        assert!(Record::decode(&Bytes::copy_from_slice(&entry.record)).is_ok());
    }
    text
}

#[tokio::test]
async fn nothing_about_somebody_erased_reaches_the_log_and_the_sender_does_not_hear_of_it() {
    let world = world().await;
    let path = verified(&world, "erasure", "email:ada@x.org").await;
    let ordered = fulfilled(&world, &path, json!({})).await;
    assert_eq!(ordered["status"], "in_progress");
    // It is ordered once, and can be neither denied nor cancelled.
    assert_eq!(fulfilled(&world, &path, json!({})).await["history"], ordered["history"]);
    for (step, order) in [("cancel", json!({})), ("deny", json!({"reason": "legal_obligation"}))] {
        let answer = world.post(&format!("{path}/{step}"), &order).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::CONFLICT, "TES-R026"), "{step}");
    }
    let list = world.get("/api/v1/erasures").await.json();
    assert_eq!(list["erasures"][0]["identifiers"], 2);

    let end = world.log.end();
    let batch = json!({"batch": [
        {"type": "track", "userId": "u1", "event": "Canary of hers"},
        {"type": "track", "userId": "u3", "event": "Kept of another"},
        {"type": "identify", "userId": "u3", "traits": {"email": "ADA@x.org", "plan": "kept"}},
        {"type": "track", "event": "", "properties": {"who": "ada@x.org"}},
    ]});
    let answer = world.send("/v1/batch", &batch).await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (StatusCode::OK, &json!(3)), "{}", answer.text);
    let single = world.send("/v1/track", &json!({"userId": "u1", "event": "Canary alone"})).await;
    assert_eq!((single.status, &single.json()["accepted"]), (StatusCode::OK, &json!(1)));
    let text = log_text(&world, end);
    for gone in ["Canary", "u1", "ada@x.org", "ADA@x.org"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    assert!(text.contains("Kept of another") && text.contains("kept"), "{text}");
    assert_eq!(world.get(PERSON).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/v1/profiles/user_id:u3").await.json()["traits"]["plan"], "kept");

    let lifted =
        world.post("/api/v1/erasures/lift", &json!({"subjects": ["user_id:u1", "user_id:u9"]})).await;
    assert_eq!(lifted.json()["lifted"], 1, "{}", lifted.text);
    world.send("/v1/track", &json!({"userId": "u1", "event": "Back again"})).await;
    assert_eq!(world.get(PERSON).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_the_law_obliges_to_keep_is_kept_and_still_taken_in() {
    let world = World::new();
    let documents = json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "tax", "basis": "legal_obligation"},
        {"kind": "Source", "name": "web", "write_key": KEY, "purposes": ["service"]},
        {"kind": "Source", "name": "books", "write_key": "books-key", "purposes": ["tax"]},
    ]);
    world.put("/api/v1/workspace", &json!({ "documents": documents })).await;
    world.send("/v1/identify", &json!({"userId": "u1", "traits": {"plan": "pro"}})).await;
    let invoice = async |number: &str| {
        let body = json!({"userId": "u1", "traits": {"invoice": number}}).to_string();
        let answer = world.call("POST", "/v1/identify", &[("x-write-key", "books-key")], body).await;
        assert_eq!(answer.status, StatusCode::OK);
        world.settle().await;
    };
    invoice("first").await;
    let path = verified(&world, "erasure", "user_id:u1").await;
    fulfilled(&world, &path, json!({})).await;
    let traits = world.get(PERSON).await.json()["traits"].clone();
    assert_eq!(traits, json!({"invoice": "first"}));
    world.clock.advance_millis(1000);
    invoice("second").await;
    assert_eq!(world.get(PERSON).await.json()["traits"], json!({"invoice": "second"}));
    let list = world.get("/api/v1/erasures").await.json();
    assert_eq!(list["erasures"][0]["spared"], 1, "{list}");
}

#[tokio::test]
async fn an_erasure_of_somebody_unknown_keeps_out_what_comes_later() {
    let world = world().await;
    let path = verified(&world, "erasure", "user_id:later").await;
    let ordered = fulfilled(&world, &path, json!({})).await;
    assert_eq!(ordered["no_data_found"], true);
    world.send("/v1/track", &json!({"userId": "later", "event": "Came"})).await;
    assert_eq!(world.get("/api/v1/profiles/user_id:later").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn verifying_needs_something_to_look_for_and_an_erasure_that_has_ended() {
    let world = world().await;
    let path = verified(&world, "erasure", "user_id:u1").await;
    fulfilled(&world, &path, json!({"verify": true})).await;
    let id = path.rsplit('/').next().unwrap();
    let early = world.post("/api/v1/erasures/verify", &json!({ "request": id })).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "TES-R026"));
    for nothing in [json!({}), json!({"values": [""]})] {
        assert_eq!(world.post("/api/v1/erasures/verify", &nothing).await.status, StatusCode::BAD_REQUEST);
    }
    let found = world.post("/api/v1/erasures/verify", &json!({"values": ["secret-of-another"]})).await.json();
    assert_eq!((&found["is_clean"], &found["traces"][0]["value"]), (&json!(false), &json!("value 1")));
    assert_eq!(found["traces"][0]["place"], "rows of Cluster");
    assert!(!found.to_string().contains("secret"));
}

async fn partner(world: &World) -> String {
    let order = json!({"kind": "token", "role": "privacy_officer"});
    let answer = world.put("/api/v1/access/accounts/partner", &order).await.json();
    format!("Basic {}", STANDARD.encode(format!("partner:{}", answer["token"].as_str().unwrap())))
}

const OPENDSR: &str = "a7551968-d5d6-44b2-9831-815ac9017798";

fn opendsr(format: &str) -> String {
    json!({
        "regulation": "gdpr", "subject_request_id": OPENDSR, "subject_request_type": "access",
        "submitted_time": "2025-12-30T10:00:00Z", "api_version": "2.0",
        "subject_identities": [{"identity_type": "email", "identity_value": "ada@x.org", "identity_format": format}],
        "status_callback_urls": ["https://169.254.169.254/status"],
    })
    .to_string()
}

#[tokio::test]
async fn a_request_by_opendsr_is_vouched_for_and_seen_by_who_passed_it_on() {
    let world = world().await;
    let basic = partner(&world).await;
    let headers = [("authorization", basic.as_str())];
    let path = format!("/opendsr/v1/requests/{OPENDSR}");
    let hashed = world.call("POST", "/opendsr/v1/requests", &headers, opendsr("sha256")).await;
    assert_eq!((hashed.status, &hashed.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(400)));
    let taken = world.call("POST", "/opendsr/v1/requests", &headers, opendsr("raw")).await;
    assert_eq!((taken.status, &taken.json()["subject_request_id"]), (StatusCode::CREATED, &json!(OPENDSR)));
    assert!(taken.json()["expected_completion_time"].as_str().unwrap().starts_with("2026-01-30"));
    let twice = world.call("POST", "/opendsr/v1/requests", &headers, opendsr("raw")).await;
    assert_eq!((twice.status, twice.code().as_str()), (StatusCode::CONFLICT, "TES-R026"));
    assert_eq!(world.call("GET", &path, &headers, "").await.json()["request_status"], "pending");
    assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND, "root did not pass it on");
    // The admin API takes no Basic authentication.
    assert_eq!(world.call("GET", "/api/v1/requests", &headers, "").await.status, StatusCode::UNAUTHORIZED);
    let done = fulfilled(&world, &format!("/api/v1/requests/{OPENDSR}"), json!({})).await;
    assert_eq!((&done["status"], &done["is_verified"]), (&json!("completed"), &json!(true)));
    let status = world.call("GET", &path, &headers, "").await.json();
    assert_eq!(status["request_status"], "completed");
    assert_eq!(status["results_url"], format!("/api/v1/requests/{OPENDSR}/report"));
    assert_eq!(world.call("DELETE", &path, &headers, "").await.status, StatusCode::CONFLICT);
    let discovery = world.call("GET", "/opendsr/v1/discovery", &headers, "").await.json();
    let known = discovery["supported_identities"].as_array().unwrap();
    assert!(known.contains(&json!({"identity_type": "email", "identity_format": "raw"})), "{discovery}");
}

#[tokio::test]
async fn a_pending_request_by_opendsr_can_be_cancelled() {
    let world = world().await;
    let basic = partner(&world).await;
    let headers = [("authorization", basic.as_str())];
    world.call("POST", "/opendsr/v1/requests", &headers, opendsr("raw")).await;
    let path = format!("/opendsr/v1/requests/{OPENDSR}");
    assert_eq!(world.call("DELETE", &path, &headers, "").await.status, StatusCode::ACCEPTED);
    assert_eq!(world.call("GET", &path, &headers, "").await.json()["request_status"], "cancelled");
}

#[tokio::test]
async fn a_request_by_an_agent_of_the_data_rights_protocol_is_not_vouched_for() {
    let world = world().await;
    let basic = partner(&world).await;
    let headers = [("authorization", basic.as_str())];
    let order = |business: &str, exercise: &str| {
        json!({
            "agent-id": "partner", "business-id": business, "drp.version": "1.0", "exercise": exercise,
            "issued-at": "2025-12-31T00:00:00Z", "expires-at": "2027-01-01T00:00:00Z", "regime": "ccpa",
            "email": "ada@x.org", "email_verified": true,
        })
        .to_string()
    };
    let post = async |body: String| world.call("POST", "/drp/v1/data-rights-request", &headers, body).await;
    assert_eq!(post(order("Other", "access")).await.json()["fatal"], true);
    assert_eq!(post(order("Shop", "sale:opt-in")).await.status, StatusCode::BAD_REQUEST);
    let signed = STANDARD.encode([vec![0; 64], order("Shop", "deletion").into_bytes()].concat());
    let taken = post(signed).await;
    assert_eq!(
        (taken.status, &taken.json()["status"]),
        (StatusCode::OK, &json!("in_progress")),
        "{}",
        taken.text
    );
    let id = taken.json()["request_id"].as_str().unwrap().to_owned();
    let fulfil = world.post(&format!("/api/v1/requests/{id}/fulfil"), &json!({})).await;
    assert_eq!(fulfil.code(), "TES-R013");
    let path = format!("/drp/v1/data-rights-request/{id}");
    let revoked = world.call("DELETE", &path, &headers, r#"{"reason": "no longer wanted by ada"}"#).await;
    assert_eq!(revoked.json()["status"], "revoked");
    assert!(!world.get(&format!("/api/v1/requests/{id}")).await.text.contains("ada"));
}
