//! Bad files and bad flags: told in words, with nothing changed.

use std::fs;

use crate::server::{Server, WORKSPACE, tessera};

#[test]
fn an_unknown_key_in_a_workspace_file_names_file_line_and_hint() {
    let server = Server::start();
    let file = server.folder.path().join("bad.yaml");
    fs::write(&file, "kind: Purpose\nname: x\nbasis: contract\nbases: [contract]\n").unwrap();
    let refused = server.run(&["apply", "-f", "bad.yaml"]).failed();
    assert!(
        refused.contains("bad.yaml:4:") && refused.contains("bases") && refused.contains("hint:"),
        "{refused}"
    );
    assert_eq!(server.run(&["diff", "-f", "workspace.yaml"]).ok(), "would change: 0, unchanged: 3\n");
}

#[test]
fn a_reference_that_leads_nowhere_names_file_line_and_hint() {
    let server = Server::start();
    fs::write(
        server.folder.path().join("bad.yaml"),
        "kind: Source\nname: app\nwrite_key: app-write-key\npurposes: [sevrice]\n",
    )
    .unwrap();
    let refused = server.run(&["apply", "-f", "bad.yaml"]).failed();
    assert!(
        refused.contains("bad.yaml:4:") && refused.contains("sevrice") && refused.contains("service"),
        "{refused}"
    );
}

#[test]
fn a_swapped_legal_basis_is_refused() {
    let server = Server::start();
    let swapped = WORKSPACE.replace("basis: consent", "basis: legitimate_interests");
    fs::write(server.folder.path().join("bad.yaml"), swapped).unwrap();
    let refused = server.run(&["apply", "-f", "bad.yaml"]).failed();
    assert!(refused.contains("TES-W001") && refused.contains("cannot change from consent"), "{refused}");
}

#[test]
fn a_destination_with_a_bad_setting_is_refused() {
    let server = Server::start();
    let bad = "kind: Destination\nname: hook\ntype: webhook\npurpose: service\nconfig: {url: 'ftp://x', secret: a-secret-of-the-test}\n";
    fs::write(server.folder.path().join("bad.yaml"), bad).unwrap();
    let refused = server.run(&["apply", "-f", "bad.yaml"]).failed();
    assert!(refused.contains("bad.yaml:5:") && refused.contains("url"), "{refused}");
}

#[test]
fn an_unknown_key_in_the_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tessera.toml"), "[server]\nlisten_on = \"127.0.0.1:1\"\n").unwrap();
    let refused = tessera(&["serve", "--config", "tessera.toml"], folder.path()).failed();
    assert!(refused.contains("TES-C001") && refused.contains("listen_on"), "{refused}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_command_without_a_server_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let refused = tessera(&["profile", "list"], folder.path()).failed();
    assert!(refused.contains("TES-C005") && refused.contains("tessera serve"), "{refused}");
}

#[test]
fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = tessera(&["serve", "--listen", &address], folder.path()).failed();
    assert!(refused.contains("TES-C004") && refused.contains(&address), "{refused}");
}

#[test]
fn hostile_bodies_are_answered_in_words_and_the_server_stays_well() {
    let server = Server::start();
    let bodies: [(&str, Vec<u8>, u16, &str); 9] = [
        ("empty", Vec::new(), 400, "TES-I001"),
        ("truncated", br#"{"userId":"u1","event":"#.to_vec(), 400, "TES-I001"),
        ("deeply nested", deep(), 400, "TES-I010"),
        ("duplicate key", br#"{"userId":"u1","userId":"u2","event":"x"}"#.to_vec(), 400, "TES-I012"),
        ("not UTF-8", b"{\"userId\":\"\xff\xfe\",\"event\":\"x\"}".to_vec(), 400, "TES-I013"),
        ("beyond f64", br#"{"userId":"u1","event":"x","properties":{"n":1e999}}"#.to_vec(), 400, "TES-I010"),
        (
            "year -1",
            br#"{"userId":"u1","event":"x","timestamp":"-0001-01-01T00:00:00Z"}"#.to_vec(),
            400,
            "TES-I009",
        ),
        (
            "identifier of 300 bytes",
            format!(r#"{{"userId":"{}","event":"x"}}"#, "x".repeat(300)).into_bytes(),
            400,
            "TES-I007",
        ),
        ("nobody", br#"{"userId":"null","anonymousId":"-1","event":"x"}"#.to_vec(), 400, "TES-I006"),
    ];
    for (what, body, status, code) in bodies {
        let (answered, answer) = server.post("/v1/track", body);
        assert_eq!((answered, answer["code"].as_str()), (status, Some(code)), "{what}: {answer}");
        assert!(answer["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{what}: {answer}");
    }
    crate::server::eventually("the rejects are kept", || {
        let list = server.json(&["reject", "list"]);
        (list["rejects"].as_array()?.len() == 9).then_some(())
    });
    server.send(
        "/v1/track",
        &serde_json::json!({"userId": "u1", "event": "x", "timestamp": "9999-12-31T00:00:00Z"}),
    );
    server.send(
        "/v1/track",
        &serde_json::json!({"userId": "u1", "event": "x", "timestamp": "0001-01-01T00:00:00Z"}),
    );
    server.profile("user_id:u1", |p| p["event_counts"]["x"]["count"] == 2);
}

fn deep() -> Vec<u8> {
    format!(r#"{{"userId":"u1","event":"x","properties":{}{}}}"#, "[".repeat(5000), "]".repeat(5000))
        .into_bytes()
}
