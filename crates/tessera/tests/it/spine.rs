//! Events in, one profile out.

use serde_json::json;

use crate::server::Server;

#[test]
fn a_profile_is_one_whatever_call_brought_its_parts() {
    let server = Server::start();
    server.send("/v1/track", &json!({"anonymousId": "a1", "event": "Product Viewed", "messageId": "m1"}));
    server.send(
        "/v1/identify",
        &json!({"userId": "u1", "anonymousId": "a1", "traits": {"email": "Ada@Example.com", "plan": "pro"}}),
    );
    server.send("/v1/group", &json!({"userId": "u1", "groupId": "acme", "traits": {"name": "Acme"}}));
    let by_email = server.profile("email:ada@example.com", |p| p["accounts"][0]["account_id"] == "acme");
    let by_device = server.profile("anonymous_id:a1", |_| true);
    assert_eq!(by_email["id"], by_device["id"]);
    assert_eq!(by_email["traits"], json!({"email": "Ada@Example.com", "plan": "pro"}));
    assert_eq!(by_email["provenance"]["plan"]["source"], "web");
    assert_eq!(by_email["events"].as_array().unwrap().len(), 3);
    assert_eq!(server.profile("account_id:acme", |_| true)["traits"]["name"], "Acme");
    let list = server.json(&["profile", "list", "--trait", "plan=pro"]);
    assert_eq!(list["profiles"].as_array().unwrap().len(), 1);
    let people = server.json(&["profile", "list"]);
    assert_eq!(people["profiles"].as_array().unwrap().len(), 1, "accounts are left out");
    let accounts = server.json(&["profile", "list", "--namespace", "account_id"]);
    assert_eq!(accounts["profiles"][0]["traits"]["name"], "Acme");
}

#[test]
fn a_purpose_sees_only_what_serves_it() {
    let server = Server::start();
    server.send("/v1/identify", &json!({"userId": "u1", "traits": {"plan": "pro"}}));
    server.profile("user_id:u1", |p| p["traits"]["plan"] == "pro");
    let refused = server.run(&["profile", "show", "user_id:u1", "--purpose", "news"]).failed();
    assert!(refused.contains("TES-P001"), "{refused}");
    server.run(&["profile", "show", "user_id:u1", "--purpose", "service"]).ok();
}

#[test]
fn write_keys_only_write_and_admin_tokens_only_administer() {
    let server = Server::start();
    let refused = server.run(&["profile", "list", "--token", "web-write-key"]).failed();
    assert!(refused.contains("TES-H002"), "{refused}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(server.data().join("admin.token")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn export_gives_back_what_was_applied() {
    let server = Server::start();
    let exported = server.run(&["export"]).ok();
    std::fs::write(server.folder.path().join("again.yaml"), exported).unwrap();
    let diff = server.run(&["diff", "-f", "again.yaml", "--prune"]).ok();
    assert_eq!(diff, "would change: 0, unchanged: 3\n");
}

#[test]
fn a_reject_is_listed_shown_and_replayed_once_its_cause_is_mended() {
    let server = Server::start();
    let workspace = format!(
        "{}---\nkind: Namespace\nname: card\nnormalise: email\nfrom: [properties.card]\n",
        crate::server::WORKSPACE
    );
    server.apply(&workspace);
    let external = json!([{"id": "4711", "type": "card", "collection": "users", "encoding": "none"}]);
    let event =
        json!({"type": "track", "event": "Paid", "messageId": "m1", "context": {"externalIds": external}});
    let (status, answer) = server.post("/v1/batch", json!({"batch": [event]}).to_string());
    assert_eq!((status, answer["rejected"][0]["code"].as_str()), (200, Some("TES-I007")), "{answer}");
    let id = crate::server::eventually("the reject is listed", || {
        let list = server.json(&["reject", "list"]);
        list["rejects"][0]["id"].as_str().map(str::to_owned)
    });
    let still = server.run(&["reject", "replay", &id]).failed();
    assert!(still.contains("TES-I007"), "{still}");
    server.apply(&workspace.replace("normalise: email", "normalise: exact"));
    assert_eq!(server.run(&["reject", "replay", &id]).ok(), "accepted: 1, still rejected: 0\n");
    assert_eq!(server.profile("card:4711", |_| true)["event_counts"]["Paid"]["count"], 1);
    assert_eq!(server.json(&["reject", "list"])["rejects"], json!([]));
}

#[test]
fn split_takes_an_identifier_out_of_a_profile() {
    let server = Server::start();
    server.send("/v1/track", &json!({"anonymousId": "a1", "event": "Seen"}));
    server.send("/v1/identify", &json!({"userId": "u1", "anonymousId": "a1", "traits": {"plan": "pro"}}));
    server.profile("anonymous_id:a1", |p| p["traits"]["plan"] == "pro");
    server.run(&["profile", "split", "user_id:u1", "anonymous_id:a1", "--reason", "a gift"]).ok();
    let apart =
        server.profile("anonymous_id:a1", |p| p["identifiers"].as_array().is_some_and(|i| i.len() == 1));
    assert_eq!(apart["merges"][0]["linked"], "cut");
}

#[test]
fn live_tells_of_events_as_they_come() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let server = Server::start();
    let mut live = Command::new(crate::server::binary())
        .args(["live", "--kind", "accepted,rejected"])
        .current_dir(server.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(live.stdout.take().unwrap()).lines();
    // The stream starts somewhen after the command: events are sent until one is told.
    let told = std::thread::scope(|scope| {
        let reader = scope.spawn(move || lines.next().unwrap().unwrap());
        let mut sent = 0;
        while !reader.is_finished() {
            sent += 1;
            server.send(
                "/v1/track",
                &json!({"userId": "u1", "event": "Seen", "messageId": format!("m{sent}")}),
            );
        }
        reader.join().unwrap()
    });
    live.kill().unwrap();
    live.wait().unwrap();
    assert!(told.starts_with("accepted   web Seen -> "), "{told}");
}

#[test]
fn no_personal_data_is_in_logs_and_metrics() {
    let mut server = Server::start();
    server.send("/v1/identify", &json!({"userId": "canary-user", "traits": {"email": "canary@example.com"}}));
    server.post("/v1/track", r#"{"userId": "canary-user", "event": 7}"#);
    server.post("/v1/track", r#"{"userId": "canary-user""#);
    server.profile("user_id:canary-user", |_| true);
    let metrics =
        ureq::get(format!("{}/metrics", server.url)).call().unwrap().body_mut().read_to_string().unwrap();
    server.stop();
    for (name, text) in [("metrics", metrics), ("log", server.log())] {
        assert!(!text.contains("canary"), "{name}: {text}");
    }
}
