//! Real clients, unchanged but for the host: `cargo xtask setup` installs them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, WORKSPACE, eventually};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("clients")
}

/// Runs a driver and waits until the server has all that it sent.
fn check(program: &str, arguments: &[&str], mode: &[&str]) {
    let server = Server::start();
    let program =
        if program == "python" { folder().join(".venv/bin/python") } else { PathBuf::from(program) };
    let done = Command::new(&program)
        .current_dir(folder())
        .args(arguments)
        .args([server.url.as_str(), "web-write-key", "run1"])
        .args(mode)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask setup`", program.display()));
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{out}\n{}\n{}", String::from_utf8_lossy(&done.stderr), server.log());
    let sent: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let text = |name: &str| sent[name].as_str().unwrap_or_else(|| panic!("no {name} in {sent}")).to_owned();
    let wanted = sent["events"].as_u64().unwrap();
    eventually("every event is there", || (accepted(&server) >= wanted).then_some(()));
    assert_eq!(accepted(&server), wanted);
    assert_eq!(server.json(&["reject", "list"])["rejects"].as_array().unwrap().len(), 0);
    let person = server.profile(&format!("user_id:{}", text("user_id")), |_| true);
    for (name, value) in sent["traits"].as_object().unwrap() {
        assert_eq!(&person["traits"][name], value, "{name} of {person}");
    }
    let device = server.profile(&format!("anonymous_id:{}", text("anonymous_id")), |_| true);
    assert_eq!(device["id"], person["id"], "device and person are one profile");
    assert_eq!(person["accounts"][0]["account_id"], sent["group_id"]);
}

fn accepted(server: &Server) -> u64 {
    let token = std::fs::read_to_string(server.data().join("admin.token")).unwrap();
    let request = ureq::get(format!("{}/api/v1/totals", server.url));
    let totals: Value = request
        .header("Authorization", format!("Bearer {token}"))
        .call()
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap();
    totals["accepted"].as_u64().unwrap()
}

#[test]
fn duckdb_and_delta_rs_read_the_lake() {
    let server = Server::start();
    server.apply(&format!(
        "{WORKSPACE}---
kind: Audience
name: buyers
purpose: service
when: performed \"Ordered\"
---
kind: ComputedTrait
name: orders
purpose: service
value: count of \"Ordered\"
"
    ));
    let is_live = || server.json(&["audience", "show", "buyers"])["state"] == "live";
    eventually("the audience is live", || is_live().then_some(()));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    server.send(
        "/v1/identify",
        &serde_json::json!({"userId": "u1", "traits": {"plan": "pro"}, "messageId": "i1"}),
    );
    for number in 0..20 {
        let event = serde_json::json!({
            "userId": format!("u{}", number % 3), "event": "Ordered", "messageId": format!("m{number}"),
            "properties": {"total": number},
        });
        let request = agent.post(format!("{}/v1/track", server.url)).header("X-Write-Key", "web-write-key");
        assert_eq!(request.send(event.to_string()).unwrap().status(), 200);
    }
    let rows = || {
        let text = agent.get(format!("{}/metrics", server.url)).call().unwrap().body_mut().read_to_string();
        text.unwrap().lines().any(|line| line == "tessera_lake_rows 21").then_some(())
    };
    eventually("every event is in the lake", rows);
    assert!(server.run(&["lake", "snapshot"]).ok().contains("6 rows"));
    let program = folder().join(".venv/bin/python");
    let done = Command::new(&program)
        .current_dir(folder())
        .arg("lake.py")
        .arg(server.data().join("lake/events"))
        .arg(server.data().join("lake/profiles"))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask setup`", program.display()));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let wanted = serde_json::json!({
        "events": 21, "people": 3, "total": 190, "name": "Ordered", "is_by_day": true, "snapshot": [3, 3, "pro", true],
        "derived": [3, "buyers", 20, true],
    });
    assert_eq!(told, wanted);
}

#[test]
fn segments_node_client_works_unchanged() {
    check("node", &["node.mjs"], &[]);
}

#[test]
fn segments_python_client_works_unchanged() {
    check("python", &["python_client.py"], &[]);
}

#[test]
fn segments_python_client_works_with_gzip() {
    check("python", &["python_client.py"], &["gzip"]);
}

#[test]
fn segments_browser_client_works_unchanged() {
    check("node", &["browser.mjs"], &[]);
}

#[test]
fn rudderstacks_browser_client_works_unchanged() {
    check("node", &["browser.mjs"], &["rudderstack"]);
}

#[test]
fn jitsus_browser_client_works_unchanged() {
    check("node", &["browser.mjs"], &["jitsu"]);
}
