//! Audiences: who enters and leaves is told to destinations, once each, whatever happens to the server.

use std::fs;

use serde_json::{Value, json};

use crate::server::{Server, WORKSPACE, eventually};

fn lines(server: &Server) -> Vec<Value> {
    let text = fs::read_to_string(server.data().join("deliveries").join("file.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What was told of a person: whether they are in, in the order in which it was told.
fn told(server: &Server, user: &str) -> Vec<bool> {
    let lines = lines(server);
    let own = lines.iter().filter(|line| line["event"]["userId"] == user);
    own.map(|line| line["event"]["properties"]["viewers"].as_bool().unwrap()).collect()
}

#[test]
fn who_enters_and_whose_window_ends_is_told_once_each_through_a_kill() {
    let mut server = Server::start();
    server.apply(&format!(
        "{WORKSPACE}---
kind: Audience
name: viewers
purpose: service
when: performed \"Seen\" in last 2 seconds
---
kind: Destination
name: file
type: jsonl
purpose: service
events: [Audience Entered, Audience Exited]
"
    ));
    server.send("/v1/track", &json!({"userId": "u1", "event": "Seen", "messageId": "m1"}));
    eventually("entered", || (told(&server, "u1") == [true]).then_some(()));
    eventually("its window ends", || (told(&server, "u1") == [true, false]).then_some(()));
    server.send("/v1/track", &json!({"userId": "u2", "event": "Seen", "messageId": "m2"}));
    server.kill();
    server.up();
    eventually("both are told", || (told(&server, "u2") == [true, false]).then_some(()));
    assert_eq!(told(&server, "u1"), [true, false]);
    let event = &lines(&server)[0]["event"];
    assert_eq!(
        (
            &event["event"],
            &event["context"]["personas"]["computation_key"],
            &event["properties"]["audience_key"]
        ),
        (&json!("Audience Entered"), &json!("viewers"), &json!("viewers"))
    );
    server.stop();
    assert!(server.run(&["verify"]).ok().starts_with("verified: "));
}
