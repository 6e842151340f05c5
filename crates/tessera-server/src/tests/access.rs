//! Who may do what, and what every answer carries.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tessera_store::MemoryStore;

use super::world::{BASIC, BEARER, KEY, NEWS_KEY, TestLog, World};
use crate::routes::listed;

const TRACK: &str = r#"{"event":"A","userId":"u1"}"#;

#[tokio::test]
async fn write_keys_only_write_and_the_admin_token_only_administers() {
    let world = World::new();
    let basic_admin = ("authorization", "Basic YWRtaW4tdG9rZW46");
    let bearer_key = ("authorization", "Bearer web-write-key");
    for headers in
        [vec![], vec![BEARER], vec![basic_admin], vec![("x-write-key", "admin-token")], vec![bearer_key]]
    {
        let answer = world.call("POST", "/v1/track", &headers, TRACK).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNAUTHORIZED, "TES-H001"),
            "{headers:?}"
        );
    }
    let by_query = format!("/api/v1/totals?writeKey={KEY}");
    for (uri, headers) in [
        ("/api/v1/totals", vec![]),
        ("/api/v1/totals", vec![BASIC]),
        ("/api/v1/totals", vec![bearer_key]),
        ("/api/v1/totals", vec![("x-write-key", KEY)]),
        ("/api/v1/totals", vec![("authorization", "Bearer admin-toke")]),
        ("/api/v1/totals", vec![("authorization", "Bearer ")]),
        (&by_query, vec![]),
    ] {
        let answer = world.call("GET", uri, &headers, "").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNAUTHORIZED, "TES-H002"),
            "{headers:?}"
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(world.get("/api/v1/totals").await.status, StatusCode::OK);
    assert_eq!(world.get("/api/v1/totals").await.json()["accepted"], 0);
}

#[tokio::test]
async fn no_admin_path_answers_without_the_token() {
    let world = World::new();
    for (method, path) in listed::<TestLog, MemoryStore>() {
        // It brings its own credentials.
        if path == "/api/v1/sign-in" {
            continue;
        }
        let answer = world.call(&method.to_uppercase(), &path.replace(['{', '}'], ""), &[BASIC], "{}").await;
        assert_eq!(
            answer.status == StatusCode::UNAUTHORIZED,
            ["/api/v1/", "/opendsr/", "/drp/", "/v1/projects"].iter().any(|base| path.starts_with(base)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_answer_to_a_client_may_be_read_by_any_page() {
    let world = World::new();
    for (method, uri, headers, body) in [
        ("POST", "/v1/track", vec![BASIC], TRACK),
        ("POST", "/v1/track", vec![], TRACK),
        ("POST", "/v1/track", vec![BASIC], "{"),
        ("GET", "/v1/track", vec![], ""),
        ("GET", "/nowhere", vec![], ""),
    ] {
        let answer = world.call(method, uri, &headers, body).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {uri}");
        assert_eq!(answer.header("access-control-expose-headers"), "Retry-After");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    for uri in ["/v1/batch", "/v1/t", "/sourceConfig/", "/api/s/track", "/nowhere"] {
        let asked = [
            ("access-control-request-headers", "authorization,x-new"),
            ("access-control-request-private-network", "true"),
        ];
        let answer = world.call("OPTIONS", uri, &asked, "").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-headers"), "authorization,x-new");
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, OPTIONS, HEAD");
        assert_eq!(answer.header("access-control-max-age"), "86400");
        assert_eq!(answer.header("access-control-allow-private-network"), "true");
        let plain = world.call("OPTIONS", uri, &[], "").await;
        assert!(plain.header("access-control-allow-headers").starts_with("Authorization,"));
        assert_eq!(plain.header("access-control-allow-private-network"), "");
    }
}

#[tokio::test]
async fn the_admin_api_is_for_no_other_page_and_for_no_cache() {
    let world = World::new();
    for headers in [vec![BEARER], vec![]] {
        let answer = world.call("GET", "/api/v1/totals", &headers, "").await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let preflight = world.call("OPTIONS", "/api/v1/totals", &[], "").await;
    assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_as_json() {
    let world = World::new();
    for (method, uri, status, code) in [
        ("GET", "/nowhere", StatusCode::NOT_FOUND, "TES-H005"),
        ("POST", "/v1/unknown", StatusCode::NOT_FOUND, "TES-H005"),
        ("GET", "/api/v1/nowhere", StatusCode::NOT_FOUND, "TES-H005"),
        ("GET", "/v1/track", StatusCode::METHOD_NOT_ALLOWED, "TES-H006"),
        ("DELETE", "/api/v1/workspace", StatusCode::METHOD_NOT_ALLOWED, "TES-H006"),
    ] {
        let answer = world.call(method, uri, &[BEARER], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {uri}");
    }
}

#[tokio::test]
async fn the_system_paths_are_open_and_hold_no_personal_data() {
    let world = World::new();
    world.send("/v1/identify", &json!({"userId": "ada-17", "traits": {"email": "ada@example.com"}})).await;
    assert_eq!(world.call("GET", "/health", &[], "").await.json(), json!({"status": "ok"}));
    assert_eq!(world.call("GET", "/ready", &[], "").await.json(), json!({"status": "ready"}));
    let metrics = world.call("GET", "/metrics", &[], "").await.text;
    for line in [
        r#"tessera_http_requests_total{group="ingest",status="2xx"} 1"#,
        "tessera_state_accepted_events_total 1",
        "tessera_state_profiles 1",
        r#"tessera_pipeline_stage_seconds_total{stage="log"}"#,
        "tessera_log_records_total 1",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|known| known.starts_with(line)), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("ada"));
}

#[test]
fn the_openapi_document_lists_exactly_what_is_served() {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let served: BTreeSet<(String, String)> = listed::<TestLog, MemoryStore>()
        .into_iter()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(described, served);
    let ids: Vec<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{ids:?}");
}

#[test]
fn the_committed_openapi_document_is_what_the_code_says() {
    assert_eq!(
        crate::openapi(),
        include_str!("../../../../docs/reference/openapi.json"),
        "run `cargo xtask codegen`"
    );
}

#[test]
fn the_metric_reference_names_every_metric_once() {
    let page = crate::metric_reference();
    let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
    assert!(names.iter().all(|name| name.starts_with("tessera_")), "{page}");
    assert!(names.len() > 20);
}

#[tokio::test]
async fn keys_of_two_sources_lead_to_two_sources() {
    let world = World::new();
    let news = [("x-write-key", NEWS_KEY)];
    world.call("POST", "/v1/track", &news, TRACK).await;
    world.call("POST", "/v1/track", &[BASIC], TRACK).await;
    world.settle().await;
    let totals = world.get("/api/v1/totals").await.json();
    assert_eq!((&totals["accepted"], &totals["denied"]), (&json!(1), &json!({"never_asked": 1})));
}
