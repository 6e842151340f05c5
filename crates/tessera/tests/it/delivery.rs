//! Destinations: one queue each, the gate asked again at the moment of sending.

use std::fs;

use serde_json::{Value, json};
use tessera_connect::kit::{Answer, Receiver};

use crate::server::{Server, WORKSPACE, eventually};

fn workspace(url: &str) -> String {
    format!(
        "{WORKSPACE}---
kind: Destination
name: hook
type: webhook
purpose: service
events: [Bought]
config: {{url: '{url}', secret: a-secret-of-the-test}}
---
kind: Destination
name: file
type: jsonl
purpose: news
"
    )
}

fn lines(server: &Server) -> Vec<Value> {
    let text = fs::read_to_string(server.data().join("deliveries").join("file.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn consent(server: &Server, says: &str) {
    server.send("/v1/consent", &json!({"userId": "u1", "consents": {"news": says}}));
}

#[test]
fn a_dead_destination_slows_nothing_but_itself_and_is_served_when_it_is_back() {
    let dead = Receiver::start((0..3).map(|_| Answer::status(500))).unwrap();
    let server = Server::start();
    server.apply(&workspace(&dead.url()));
    consent(&server, "given");
    server.send("/v1/track", &json!({"userId": "u1", "event": "Bought", "messageId": "m1"}));
    eventually("the file has the purchase", || {
        lines(&server).iter().any(|l| l["message_id"] == "m1").then_some(())
    });
    let request = eventually("the webhook gets it in the end", || dead.requests().into_iter().nth(3));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["events"][0]["event"]["event"], "Bought");
    assert!(request.header("tessera-signature").is_some_and(|text| text.contains("v1=")));
    eventually("the queue is empty", || {
        let list = server.json(&["destination", "list"]);
        let hook = list["destinations"].as_array()?.iter().find(|d| d["name"] == "hook")?.clone();
        (hook["waiting"] == 0 && hook["delivered"] == 1).then_some(())
    });
}

#[test]
fn a_withdrawal_stops_what_is_still_waiting() {
    let server = Server::start();
    server.apply(&workspace("http://127.0.0.1:9"));
    consent(&server, "given");
    server.send("/v1/track", &json!({"userId": "u1", "event": "Seen", "messageId": "m1"}));
    eventually("the file has the first", || {
        lines(&server).iter().any(|l| l["message_id"] == "m1").then_some(())
    });
    consent(&server, "withdrawn");
    server.send("/v1/track", &json!({"userId": "u1", "event": "Seen", "messageId": "m2"}));
    server.profile("user_id:u1", |p| p["event_counts"]["Seen"]["count"] == 2);
    // Another person's event behind it shows that the queue went past it.
    server.send("/v1/consent", &json!({"userId": "u2", "consents": {"news": true}}));
    server.send("/v1/track", &json!({"userId": "u2", "event": "Seen", "messageId": "m3"}));
    eventually("the file has the other", || {
        lines(&server).iter().any(|l| l["message_id"] == "m3").then_some(())
    });
    assert!(!lines(&server).iter().any(|l| l["message_id"] == "m2"), "{:?}", lines(&server));
}

#[test]
fn what_is_refused_becomes_a_dead_letter_that_can_be_replayed() {
    let picky = Receiver::start([Answer::status(422)]).unwrap();
    let server = Server::start();
    server.apply(&workspace(&picky.url()));
    server.send("/v1/track", &json!({"userId": "u1", "event": "Bought", "messageId": "m1"}));
    let letter = eventually("there is a dead letter", || {
        let list = server.json(&["destination", "dead-letters", "hook"]);
        list["dead_letters"].get(0).cloned()
    });
    assert_eq!(letter["message_id"], "m1");
    assert!(server.run(&["destination", "replay", "hook"]).ok().contains("1 dead letter"));
    eventually("the webhook gets it", || dead_or_delivered(&server, &picky));
}

fn dead_or_delivered(server: &Server, receiver: &Receiver) -> Option<()> {
    let list = server.json(&["destination", "dead-letters", "hook"]);
    (receiver.requests().len() == 2 && list["dead_letters"] == json!([])).then_some(())
}
