//! Accounts: who may do what, sign-in, lock-out, limits, and what the audit is told.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tessera_pipeline::AppenderOptions;
use tessera_store::MemoryStore;
use tower::ServiceExt;

use super::world::{Answer, BEARER, TestLog, World};
use crate::access::{Need, Peer};
use crate::routes::routes;
use crate::{AccessSettings, AuditEvent, Limits, Role, allows};

const PASSWORD: &str = "correct horse battery";
const HOUR_MILLIS: i64 = 3_600_000;

impl World {
    /// Asks from an address, with a bearer token unless it is empty.
    async fn ask(&self, from: &str, method: &str, uri: &str, token: &str, body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(from.parse().unwrap(), 5000)));
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    async fn sign_in(&self, from: &str, name: &str, password: &str) -> Answer {
        let order = json!({"name": name, "password": password});
        self.ask(from, "POST", "/api/v1/sign-in", "", &order).await
    }

    /// Makes a token for a role.
    async fn token(&self, name: &str, order: Value) -> String {
        let answer = self.put(&format!("/api/v1/access/accounts/{name}"), &order).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    async fn person(&self, name: &str, role: &str) {
        let order = json!({"kind": "person", "role": role, "password": PASSWORD});
        let answer = self.put(&format!("/api/v1/access/accounts/{name}"), &order).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["token"], Value::Null);
    }

    fn last_audit(&self) -> AuditEvent {
        self.audit.lock().last().unwrap().clone()
    }
}

fn codes(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

const AWAY: &str = "192.0.2.7";
const TOTALS: &str = "/api/v1/totals";

#[tokio::test]
async fn every_route_lets_each_role_do_what_the_table_says() {
    let world = World::new();
    for role in Role::ALL {
        let name = role.as_str().replace('_', "-");
        let token = world.token(&name, json!({"kind": "token", "role": role})).await;
        let bearer = format!("Bearer {token}");
        let mut checked = 0;
        for route in routes::<TestLog, MemoryStore>().0 {
            let Need::Action(action) = route.need else { continue };
            let uri = route.path.replace("{reference}", "email:a@x.org").replace(['{', '}'], "");
            let method = route.method.to_uppercase();
            let answer = world.raw(&method, &uri, &[("authorization", &bearer)], "{}").await;
            let (head, body) = answer.into_parts();
            assert_ne!(head.status, StatusCode::UNAUTHORIZED, "{role:?} {method} {uri}");
            let is_refused = head.status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, !allows(role, action), "{role:?} {method} {uri} {}", head.status);
            if is_refused {
                let text = body.collect().await.unwrap().to_bytes();
                let answer: Value = serde_json::from_slice(&text).unwrap();
                assert_eq!(answer["code"], "TES-A002");
            }
            let told = world.last_audit();
            assert_eq!((told.actor.as_str(), told.role), (name.as_str(), Some(role)));
            assert_eq!((told.action, told.status), (action.as_str(), head.status.as_u16()));
            checked += 1;
        }
        assert!(checked > 15, "only {checked} routes");
    }
}

#[test]
fn only_the_admin_api_is_guarded_and_all_of_it_is() {
    for route in routes::<TestLog, MemoryStore>().0 {
        let is_admin = ["/api/v1/", "/opendsr/", "/drp/"].iter().any(|base| route.path.starts_with(base));
        assert_eq!(route.need.is_guarded(), is_admin, "{}", route.path);
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_no_credential_ever_again() {
    let world = World::new();
    let token = world.token("nightly", json!({"kind": "token", "role": "auditor"})).await;
    assert!(token.starts_with("tsr_"));
    world.person("ada", "analyst").await;
    for uri in ["/api/v1/access/accounts", "/api/v1/access/accounts/nightly", "/api/v1/access/accounts/ada"] {
        let answer = world.get(uri).await;
        assert_eq!(answer.status, StatusCode::OK);
        for secret in [&token, "argon2", "blake3", "hash", PASSWORD] {
            assert!(!answer.text.contains(secret), "{uri}: {}", answer.text);
        }
    }
    let again =
        world.put("/api/v1/access/accounts/nightly", &json!({"kind": "token", "role": "admin"})).await;
    assert_eq!((&again.json()["is_new"], &again.json()["token"]), (&json!(false), &Value::Null));
    assert_eq!(world.ask(AWAY, "GET", "/api/v1/access/accounts", &token, &Value::Null).await.status, 200);
    let list = world.get("/api/v1/access/accounts").await.json();
    let names: Vec<&str> =
        list["accounts"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ada", "nightly"]);
    assert_eq!(list["accounts"][1]["last_used_on"], "2026-01-01");
    assert_eq!(list["accounts"][0]["last_used_on"], Value::Null);
}

#[tokio::test]
async fn a_token_ends_when_it_is_rotated_removed_or_has_expired() {
    let world = World::new();
    let order = json!({"kind": "token", "role": "analyst", "purposes": ["service"], "expires_days": 7});
    let first = world.token("report", order).await;
    let status = async |token: &str| codes(&world.ask(AWAY, "GET", TOTALS, token, &Value::Null).await);
    assert_eq!(status(&first).await.0, 200);
    let rotated = world.post("/api/v1/access/accounts/report/rotate", &json!({})).await.json();
    let second = rotated["token"].as_str().unwrap();
    assert_eq!(status(&first).await, (401, "TES-H002".to_owned()));
    assert_eq!(status(second).await.0, 200);
    world.clock.advance_millis(7 * 24 * HOUR_MILLIS - 1);
    assert_eq!(status(second).await.0, 200);
    world.clock.advance_millis(1);
    assert_eq!(status(second).await, (401, "TES-A003".to_owned()));
    let removed = world.call("DELETE", "/api/v1/access/accounts/report", &[BEARER], "").await;
    assert_eq!(removed.json(), json!({"removed": "report"}));
    assert_eq!(status(second).await, (401, "TES-H002".to_owned()));
    for (method, uri) in [
        ("DELETE", "/api/v1/access/accounts/report"),
        ("GET", "/api/v1/access/accounts/report"),
        ("POST", "/api/v1/access/accounts/report/rotate"),
    ] {
        let answer = world.call(method, uri, &[BEARER], "{}").await;
        assert_eq!(codes(&answer), (404, "TES-A007".to_owned()));
    }
}

#[tokio::test]
async fn a_live_stream_ends_with_the_access_of_its_reader_and_goes_on_for_root() {
    let world = World::new();
    let token = world.token("watcher", json!({"kind": "token", "role": "analyst"})).await;
    let bearer = format!("Bearer {token}");
    let stream = world.raw("GET", "/api/v1/live", &[("authorization", &bearer)], "").await;
    let mut of_root = world.raw("GET", "/api/v1/live?kind=accepted", &[BEARER], "").await.into_body();
    assert_eq!(stream.status(), StatusCode::OK);
    world.call("DELETE", "/api/v1/access/accounts/watcher", &[BEARER], "").await.json();
    assert_eq!(stream.into_body().collect().await.unwrap().to_bytes(), "");
    world.send("/v1/track", &json!({"event": "A", "userId": "u1"})).await;
    let frame = of_root.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(frame.starts_with(b"event: accepted"));
}

#[tokio::test]
async fn a_person_signs_in_and_out() {
    let world = World::new();
    world.person("ada", "privacy_officer").await;
    let session = world.sign_in(AWAY, "ada", PASSWORD).await.json();
    assert_eq!((&session["name"], &session["role"]), (&json!("ada"), &json!("privacy_officer")));
    assert_eq!(session["expires_at"], "2026-01-01T12:00:00.000Z");
    let told = world.last_audit();
    assert_eq!((told.actor.as_str(), told.action, told.status), ("ada", "sign_in", 200));
    let token = session["token"].as_str().unwrap();
    let me = world.ask(AWAY, "GET", "/api/v1/access/whoami", token, &Value::Null).await.json();
    assert_eq!((&me["name"], &me["way"], &me["purposes"]), (&json!("ada"), &json!("session"), &Value::Null));
    let out = world.ask(AWAY, "POST", "/api/v1/sign-out", token, &Value::Null).await;
    assert_eq!(out.json(), json!({"signed_out": true}));
    assert_eq!(codes(&world.ask(AWAY, "GET", TOTALS, token, &Value::Null).await).1, "TES-H002");
    let root = world.call("POST", "/api/v1/sign-out", &[BEARER], "").await;
    assert_eq!(codes(&root), (400, "TES-H003".to_owned()));
}

#[tokio::test]
async fn a_session_ends_with_the_password_the_account_and_the_day() {
    let world = World::new();
    let session = async || {
        let answer = world.sign_in(AWAY, "ada", PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let status =
        async |token: &str| world.ask(AWAY, "GET", TOTALS, token, &Value::Null).await.status.as_u16();
    world.person("ada", "analyst").await;
    let late = session().await;
    assert_eq!(status(&late).await, 200);
    world.clock.advance_millis(12 * HOUR_MILLIS);
    assert_eq!(status(&late).await, 401);

    let rotated = session().await;
    let other = json!({"password": "another long password"});
    world.post("/api/v1/access/accounts/ada/rotate", &other).await.json();
    assert_eq!(status(&rotated).await, 401);
    assert_eq!(codes(&world.sign_in(AWAY, "ada", PASSWORD).await), (401, "TES-A001".to_owned()));
    world.person("ada", "analyst").await;

    let own = session().await;
    let order = json!({"old": "wrong old password", "new": "yet another password"});
    let wrong = world.ask(AWAY, "POST", "/api/v1/access/password", &own, &order).await;
    assert_eq!(codes(&wrong), (401, "TES-A001".to_owned()));
    assert_eq!(status(&own).await, 200);
    let order = json!({"old": PASSWORD, "new": "yet another password"});
    let changed = world.ask(AWAY, "POST", "/api/v1/access/password", &own, &order).await;
    assert_eq!(changed.json(), json!({"changed": true}));
    assert_eq!(status(&own).await, 401);
    assert_eq!(world.sign_in(AWAY, "ada", "yet another password").await.status, 200);
    world.person("ada", "analyst").await;

    let removed = session().await;
    world.call("DELETE", "/api/v1/access/accounts/ada", &[BEARER], "").await.json();
    assert_eq!(status(&removed).await, 401);
    assert_eq!(codes(&world.sign_in(AWAY, "ada", PASSWORD).await), (401, "TES-A001".to_owned()));
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_account_from_everywhere_and_the_address_for_everybody() {
    let world = World::new();
    world.person("ada", "analyst").await;
    world.person("bob", "analyst").await;
    for _ in 0..5 {
        let answer = world.sign_in(AWAY, "ada", "wrong password").await;
        assert_eq!(codes(&answer), (401, "TES-A001".to_owned()));
    }
    for (from, name) in [(AWAY, "ada"), ("198.51.100.1", "ada"), (AWAY, "bob")] {
        let answer = world.sign_in(from, name, PASSWORD).await;
        assert_eq!(codes(&answer), (429, "TES-A004".to_owned()), "{from} {name}");
        assert_eq!(answer.header("retry-after"), "60");
    }
    assert_eq!(world.last_audit().code, Some("TES-A004"));
    assert_eq!(world.sign_in("198.51.100.1", "bob", PASSWORD).await.status, StatusCode::OK);
    world.clock.advance_millis(59_000);
    assert_eq!(world.sign_in(AWAY, "ada", PASSWORD).await.header("retry-after"), "1");
    world.clock.advance_millis(1_000);
    assert_eq!(world.sign_in(AWAY, "ada", PASSWORD).await.status, StatusCode::OK);
    for _ in 0..5 {
        assert_eq!(world.sign_in(AWAY, "ada", "wrong password").await.status, 401);
    }
    // The account's failures were forgotten when it signed in; those of the address were not.
    assert_eq!(world.sign_in("198.51.100.1", "ada", PASSWORD).await.header("retry-after"), "60");
    assert_eq!(world.sign_in(AWAY, "bob", PASSWORD).await.header("retry-after"), "120");
}

#[tokio::test]
async fn names_that_do_not_exist_are_refused_and_locked_like_those_that_do() {
    let world = World::new();
    world.token("robot", json!({"kind": "token", "role": "analyst"})).await;
    for name in ["nobody-here", "robot", "root"] {
        for at in 0..5 {
            let answer = world.sign_in(&format!("203.0.113.{at}"), name, PASSWORD).await;
            assert_eq!(codes(&answer), (401, "TES-A001".to_owned()), "{name}");
        }
        let answer = world.sign_in("203.0.113.99", name, PASSWORD).await;
        assert_eq!(codes(&answer), (429, "TES-A004".to_owned()), "{name}");
        world.clock.advance_millis(HOUR_MILLIS);
    }
    // What was typed as a name may be a password.
    assert!(world.audit.lock().iter().all(|told| ["root", "robot", "nobody"].contains(&told.actor.as_str())));
    assert!(!format!("{:?}", world.audit.lock()).contains("nobody-here"));
}

#[tokio::test]
async fn wrong_tokens_lock_an_address_out_and_right_ones_never() {
    let world = World::new();
    let right = world.token("report", json!({"kind": "token", "role": "analyst"})).await;
    let ask =
        async |from: &str, token: &str| codes(&world.ask(from, "GET", TOTALS, token, &Value::Null).await);
    for at in 0..5 {
        assert_eq!(ask(AWAY, &format!("tsr_{at:064}")).await, (401, "TES-H002".to_owned()));
    }
    let wrong = format!("tsr_{:064}", 9);
    let locked = world.ask(AWAY, "GET", TOTALS, &wrong, &Value::Null).await;
    assert_eq!((codes(&locked), locked.header("retry-after")), ((429, "TES-A004".to_owned()), "60"));
    assert_eq!(world.last_audit().actor, "nobody");
    assert_eq!(ask("198.51.100.1", &wrong).await, (401, "TES-H002".to_owned()));
    // 256 random bits are not guessed: a lock keeps out guesses, not the holder of a token at the same address.
    assert_eq!(ask(AWAY, &right).await.0, 200);
    assert_eq!(ask(AWAY, "admin-token").await.0, 200);
    for _ in 0..20 {
        ask("127.0.0.1", &wrong).await;
    }
    assert_eq!(ask("127.0.0.1", &wrong).await.0, 429);
    assert_eq!(ask("127.0.0.1", "admin-token").await.0, 200);
    // A page whose session has ended does not keep its person from signing in again.
    world.person("ada", "analyst").await;
    assert_eq!(world.sign_in(AWAY, "ada", PASSWORD).await.status, StatusCode::OK);
    // Who shows nothing guesses nothing.
    for _ in 0..20 {
        assert_eq!(ask("203.0.113.5", "").await, (401, "TES-H002".to_owned()));
    }
}

#[tokio::test]
async fn requests_beyond_the_rate_wait() {
    let access = AccessSettings { requests_per_second: 10, burst: 3, trusted_proxies: Vec::new() };
    let world = World::guarded(AppenderOptions::default(), Limits::default(), access);
    let token = world.token("report", json!({"kind": "token", "role": "analyst"})).await;
    let ask = async |from: &str, token: &str| world.ask(from, "GET", TOTALS, token, &Value::Null).await;
    for _ in 0..3 {
        assert_eq!(ask(AWAY, &token).await.status, StatusCode::OK);
    }
    let refused = ask(AWAY, &token).await;
    assert_eq!((codes(&refused), refused.header("retry-after")), ((429, "TES-A005".to_owned()), "1"));
    // Another address has a bucket of its own, the account has not.
    let elsewhere = ask("198.51.100.1", &token).await;
    assert_eq!((codes(&elsewhere).1.as_str(), world.last_audit().actor.as_str()), ("TES-A005", "report"));
    assert_eq!(ask("198.51.100.1", "").await.status, 401);
    world.clock.advance_millis(100);
    assert_eq!(ask(AWAY, &token).await.status, StatusCode::OK);
    assert_eq!(ask(AWAY, &token).await.status, 429);
    // The operator at the machine itself is never kept waiting; elsewhere the same token is.
    for _ in 0..50 {
        assert_eq!(ask("127.0.0.1", "admin-token").await.status, StatusCode::OK);
    }
    for expected in [200, 200, 200, 429] {
        assert_eq!(ask("203.0.113.8", "admin-token").await.status, expected);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_limits() {
    let access = AccessSettings {
        requests_per_second: 1,
        burst: 1,
        trusted_proxies: vec!["10.0.0.1".parse().unwrap()],
    };
    let world = World::guarded(AppenderOptions::default(), Limits::default(), access);
    let ask = async |client: &str| {
        let mut request = Request::builder().uri(TOTALS).header("x-forwarded-for", client);
        request = request.extension(Peer(SocketAddr::from(([10, 0, 0, 1], 5000))));
        world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!([ask("192.0.2.1").await, ask("192.0.2.1").await, ask("192.0.2.2").await], [401, 429, 401]);
}

#[tokio::test]
async fn a_service_agent_looks_people_up_by_what_they_say_and_no_other_way() {
    let world = World::new();
    world.send("/v1/identify", &json!({"userId": "u1", "traits": {"email": "ada@example.com"}})).await;
    let id = world.get("/api/v1/profiles/user_id:u1").await.json()["id"].as_str().unwrap().to_owned();
    let order = json!({"kind": "token", "role": "service_agent", "purposes": ["service"]});
    let token = world.token("desk", order).await;
    let ask = async |uri: &str| world.ask(AWAY, "GET", uri, &token, &Value::Null).await;
    assert_eq!(ask("/api/v1/profiles/email:ada@example.com").await.status, StatusCode::OK);
    assert_eq!(ask("/api/v1/profiles/email%3Aada%40example.com").await.status, StatusCode::OK);
    let by_id = ask(&format!("/api/v1/profiles/{id}")).await;
    assert_eq!(codes(&by_id), (403, "TES-A008".to_owned()));
    assert_eq!(codes(&ask("/api/v1/profiles").await), (403, "TES-A002".to_owned()));
    assert_eq!(world.get(&format!("/api/v1/profiles/{id}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn secrets_in_the_workspace_are_shown_to_those_who_may_change_them() {
    let world = World::new();
    let hook = json!({"documents": [{"kind": "Destination", "name": "crm", "type": "webhook", "purpose": "service",
        "config": {"url": "https://crm.example/hook", "secret": "hook-secret-of-the-crm"}}]});
    assert_eq!(world.put("/api/v1/workspace", &hook).await.status, StatusCode::OK);
    for role in [Role::Admin, Role::PrivacyOfficer, Role::Marketer, Role::Analyst, Role::Auditor] {
        let name = role.as_str().replace('_', "-");
        let token = world.token(&name, json!({"kind": "token", "role": role})).await;
        let shown = world.ask(AWAY, "GET", "/api/v1/workspace", &token, &Value::Null).await.text;
        let sees = matches!(role, Role::Admin | Role::PrivacyOfficer);
        for secret in ["web-write-key", "news-write-key", "hook-secret-of-the-crm"] {
            assert_eq!(shown.contains(secret), sees, "{role:?} {shown}");
        }
        assert!(shown.contains("crm") && shown.contains("marketing"), "{shown}");
    }
}

#[tokio::test]
async fn the_audit_is_told_every_request_and_never_whom_it_was_about() {
    let world = World::new();
    world.send("/v1/identify", &json!({"userId": "u1", "traits": {"email": "ada@example.com"}})).await;
    let email_id = "/api/v1/profiles/email%3Aada%40example.com?include=events&purpose=service";
    let token = world.token("report", json!({"kind": "token", "role": "auditor"})).await;
    world.audit.lock().clear();
    world.get(email_id).await;
    world.get("/api/v1/profiles?trait.email=ada%40example.com").await;
    world.ask(AWAY, "GET", email_id, &token, &Value::Null).await;
    world.ask(AWAY, "GET", email_id, "tsr_wrong", &Value::Null).await;
    world.get("/api/v1/profiles/ada%40example.com").await;
    world.get("/api/v1/rejects/0-0").await;
    world.get("/api/v1/destinations/ada%40example.com/dead-letters").await;
    let told = world.audit.lock().clone();
    let shown = format!("{told:?}");
    assert!(!shown.contains("ada") && !shown.contains("tsr_") && !shown.contains("admin-token"), "{shown}");
    let is: Vec<_> = told.iter().map(|t| (t.actor.as_str(), t.status, t.code.unwrap_or("-"))).collect();
    assert_eq!(
        is,
        [
            ("root", 200, "-"),
            ("root", 200, "-"),
            ("report", 403, "TES-A002"),
            ("nobody", 401, "TES-H002"),
            ("root", 400, "TES-H003"),
            ("root", 404, "TES-H004"),
            ("root", 404, "TES-H004"),
        ]
    );
    let id = told[0].object.strip_prefix("GET /api/v1/profiles/").unwrap();
    assert_eq!((id.len(), told[0].route.as_str()), (32, "GET /api/v1/profiles/{reference}"));
    assert_eq!(told[3].object, told[0].object, "the same person is the same hash");
    assert_eq!(told[4].object, "GET /api/v1/profiles/?");
    assert_eq!(told[5].object, "GET /api/v1/rejects/0-0");
    assert_eq!(told[6].object, "GET /api/v1/destinations/?/dead-letters");
}

#[tokio::test]
async fn accounts_that_cannot_be_are_refused_with_the_reason() {
    let world = World::new();
    let token = json!({"kind": "token", "role": "analyst"});
    let long = "a".repeat(65);
    for name in ["Ada", "1st", "ada%40example.com", "root", "nobody", "system", "-x", "a%20b", &long] {
        let answer = world.put(&format!("/api/v1/access/accounts/{name}"), &token).await;
        assert_eq!(codes(&answer), (422, "TES-A006".to_owned()), "{name}");
    }
    world.person("there", "analyst").await;
    for (order, status) in [
        (json!({"kind": "token", "role": "analyst", "purposes": ["unheard-of"]}), 422),
        (json!({"kind": "token", "role": "admin", "purposes": ["service"]}), 422),
        (json!({"kind": "token", "role": "auditor", "purposes": ["service"]}), 422),
        (json!({"kind": "token", "role": "auditor", "labels": ["I1"]}), 422),
        (json!({"kind": "token", "role": "analyst", "labels": ["I9"]}), 422),
        (json!({"kind": "token", "role": "analyst", "expires_days": 0}), 422),
        (json!({"kind": "token", "role": "analyst", "expires_days": 3651}), 422),
        (json!({"kind": "token", "role": "analyst", "expires_days": i64::MIN}), 422),
        (json!({"kind": "token", "role": "analyst", "password": PASSWORD}), 422),
        (json!({"kind": "person", "role": "analyst"}), 422),
        (json!({"kind": "person", "role": "analyst", "password": "short"}), 422),
        (json!({"kind": "person", "role": "analyst", "password": "x".repeat(2000)}), 422),
        (json!({"kind": "token", "role": "king"}), 400),
        (json!({"kind": "robot", "role": "analyst"}), 400),
        (json!({"kind": "token", "role": "analyst", "colour": "blue"}), 400),
        (json!({"role": "analyst"}), 400),
        (json!([]), 400),
    ] {
        let answer = world.put("/api/v1/access/accounts/new", &order).await;
        assert_eq!(answer.status.as_u16(), status, "{order} {}", answer.text);
        assert!(!answer.text.contains(PASSWORD));
    }
    assert_eq!(codes(&world.get("/api/v1/access/accounts/new").await), (404, "TES-A007".to_owned()));
    let other = world.put("/api/v1/access/accounts/there", &token).await;
    assert_eq!(codes(&other), (422, "TES-A006".to_owned()));
    let rotate = world.post("/api/v1/access/accounts/there/rotate", &json!({})).await;
    assert_eq!(codes(&rotate), (422, "TES-A006".to_owned()));
}

#[tokio::test]
async fn sign_in_survives_bad_input() {
    let world = World::new();
    world.person("ada", "analyst").await;
    let long = "x".repeat(100_000);
    for (body, status) in [
        (String::new(), 400),
        ("{".to_owned(), 400),
        ("[]".to_owned(), 400),
        (r#"{"name":"ada"}"#.to_owned(), 400),
        (r#"{"name":"ada","password":1}"#.to_owned(), 400),
        (r#"{"name":"ada","password":"x","more":1}"#.to_owned(), 400),
        (json!({"name": "ada", "password": long}).to_string(), 401),
        (json!({"name": long, "password": "x"}).to_string(), 401),
        (json!({"name": "\u{0}", "password": "\u{0}"}).to_string(), 401),
        (" ".repeat(9 * 1024 * 1024), 413),
    ] {
        let start: String = body.chars().take(40).collect();
        let answer = world.call("POST", "/api/v1/sign-in", &[], body).await;
        assert_eq!(answer.status.as_u16(), status, "{start} {}", answer.text);
    }
    for header in ["Bearer ", "bearer  ", "Basic YTpi", "tsr_x", "Bearer"] {
        let answer = world.call("GET", TOTALS, &[("authorization", header)], "").await;
        assert_eq!(codes(&answer), (401, "TES-H002".to_owned()), "{header}");
    }
}
