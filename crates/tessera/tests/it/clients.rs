//! Real clients, unchanged but for the host: `cargo xtask setup` installs them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, eventually};

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
