//! Tracking plans from outside: every reaction, hostile schemas, learning, trying, alerts.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::server::{Server, WORKSPACE, eventually};

fn plan(on_violation: &str, more: &str) -> String {
    format!(
        "{WORKSPACE}---
kind: Destination
name: file
type: jsonl
purpose: service
config: {{}}
---
kind: TrackingPlan
name: shop
sources: [web]
on_violation: {on_violation}
{more}
events:
  Order Completed:
    schema: {{required: [order_id], properties: {{order_id: {{type: string}}, total: {{type: number}}}}}}
  identify:
    schema: {{properties: {{plan: {{type: string}}, age: {{type: integer}}}}}}
"
    )
}

fn order(message: &str, total: &Value) -> Value {
    json!({"type": "track", "messageId": message, "userId": "u1", "event": "Order Completed",
           "properties": {"order_id": "o1", "total": total}})
}

/// What was delivered.
fn delivered(server: &Server, count: usize) -> Vec<Value> {
    eventually("the events are delivered", || {
        let text = fs::read_to_string(server.data().join("deliveries/file.jsonl")).ok()?;
        let found: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn what_passes_and_what_is_stripped_goes_on_with_a_mark_to_profile_and_destination() {
    for on_violation in ["pass", "strip"] {
        let server = Server::start();
        server.apply(&plan(on_violation, ""));
        let (status, answer) = server.post("/v1/track", order("m1", &json!("canary-total")).to_string());
        assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "{answer}");
        server.send(
            "/v1/identify",
            &json!({"userId": "u1", "messageId": "m2", "traits": {"plan": "pro", "age": "canary-age"}}),
        );
        let profile = server.profile("user_id:u1", |profile| profile["traits"]["plan"] == "pro");
        let is_stripped = on_violation == "strip";
        assert_eq!(profile["traits"].get("age").is_none(), is_stripped, "{profile}");
        let delivered = Value::from(delivered(&server, 2)).to_string();
        for text in [profile["events"].to_string(), delivered] {
            assert_eq!(text.contains("canary-total"), !is_stripped, "{text}");
            assert_eq!(text.contains("canary-age"), !is_stripped, "{text}");
            assert!(text.contains("properties.total") && text.contains("traits.age"), "{text}");
        }
        let counted = server.json(&["plan", "violations"]);
        assert_eq!(counted["violations"].as_array().unwrap().len(), 2, "{counted}");
        assert_eq!(counted["violations"][0]["reaction"], on_violation);
        assert!(!server.log().contains("canary"));
    }
}

#[test]
fn what_is_refused_is_answered_listed_by_plan_and_replayed_once_the_plan_is_mended() {
    for (on_violation, code) in [("block", "TES-K001"), ("quarantine", "TES-K002")] {
        let server = Server::start();
        server.apply(&plan(on_violation, "unplanned_events: block"));
        let (status, answer) = server.post("/v1/track", order("m1", &json!("7")).to_string());
        let message = "tracking plan shop 1 wants properties.total: number (type)";
        assert_eq!((status, &answer["code"], &answer["message"]), (400, &json!(code), &json!(message)));
        let odd = json!({"type": "track", "userId": "u1", "event": "Odd"});
        let batch = json!({"batch": [order("m2", &json!(1)), odd]});
        let (status, answer) = server.post("/v1/batch", batch.to_string());
        assert_eq!(
            (status, &answer["accepted"], &answer["rejected"][0]["code"]),
            (200, &json!(1), &json!("TES-K001"))
        );
        let rejects = eventually("both are listed", || {
            let list = server.json(&["reject", "list", "--plan", "shop"]);
            (list["rejects"].as_array().unwrap().len() == 2).then_some(list)
        });
        assert!(!rejects.to_string().contains("\"7\""), "{rejects}");
        assert_eq!(server.json(&["reject", "list", "--plan", "other"])["rejects"], json!([]));
        assert_eq!(server.json(&["reject", "list", "--code", code])["rejects"][0]["reason"], message);
        // The client was right.
        let mended = plan(on_violation, "unplanned_events: allow")
            .replace("{type: number}", "{type: [number, string]}");
        server.apply(&mended);
        let replayed = server.run(&["reject", "replay", "--plan", "shop"]).ok();
        assert!(replayed.contains("accepted: 2"), "{replayed}");
        server.profile("user_id:u1", |profile| profile.to_string().contains("Odd"));
        assert_eq!(server.json(&["reject", "list"])["rejects"], json!([]));
    }
}

#[test]
fn hostile_schemas_are_refused_with_a_pointer_and_the_server_stays_well() {
    let server = Server::start();
    let deep = format!("{}1{}", "{items: ".repeat(60), "}".repeat(60));
    let huge = format!("{{description: {}}}", "x".repeat(80_000));
    for (schema, what) in [
        ("{properties: {total: {typ: number}}}", "/properties/total/typ"),
        ("{$ref: '#'}", "in a circle"),
        ("{$ref: 'https://example.com/a.json'}", "outside of the schema"),
        ("{properties: {a: {pattern: '((a{1000}){1000}){1000}'}}}", "/properties/a"),
        ("{minimum: zero}", "/minimum"),
        (deep.as_str(), "32 levels"),
        (huge.as_str(), "the limit is 65536"),
    ] {
        let text = format!(
            "{WORKSPACE}---\nkind: TrackingPlan\nname: bad\nsources: [web]\nevents:\n  A:\n    schema: {schema}\n"
        );
        fs::write(server.folder.path().join("bad.yaml"), text).unwrap();
        let told = server.run(&["apply", "-f", "bad.yaml"]).failed();
        assert!(told.contains(what) && told.contains("hint: "), "{what}: {told}");
    }
    let twice = format!(
        "{}---\nkind: TrackingPlan\nname: zwei\nsources: [web, till]\nevents: {{}}\n",
        plan("pass", "")
    );
    fs::write(server.folder.path().join("bad.yaml"), twice).unwrap();
    let told = server.run(&["apply", "-f", "bad.yaml"]).failed();
    assert!(
        told.contains("has the plan `shop` already") && told.contains("source `till` is not declared"),
        "{told}"
    );
    server.send("/v1/track", &order("m1", &json!(1)));
}

#[test]
fn a_plan_is_learnt_tried_on_history_and_on_a_file_and_compared() {
    let server = Server::start();
    let batch: Vec<Value> = (0..60)
        .map(|n| {
            json!({"type": "track", "messageId": format!("m{n}"), "userId": format!("canary-{n}"), "event": "Order Completed",
                   "properties": {"order_id": format!("canary-{n}"), "total": n * 3, "currency": if n % 2 == 0 { "EUR" } else { "USD" }}})
        })
        .collect();
    server.send("/v1/batch", &json!({ "batch": batch }));
    server.profile("user_id:canary-59", |_| true);
    let learnt = server.run(&["plan", "infer", "--source", "web", "--name", "shop"]).ok();
    assert!(!learnt.contains("canary") && learnt.contains("currency"), "{learnt}");
    fs::write(server.folder.path().join("learnt.yaml"), &learnt).unwrap();
    let tried = server.json(&["plan", "check", "learnt.yaml"]);
    assert_eq!(
        (&tried["tally"]["events"], &tried["tally"]["well_formed"]),
        (&json!(60), &json!(60)),
        "{tried}"
    );
    let schema = "{properties: {total: {type: number, maximum: 100}}}";
    let tighter = format!(
        "kind: TrackingPlan\nname: shop\nversion: 2\nsources: [web]\non_violation: block\nevents:\n  Order Completed:\n    schema: {schema}\n"
    );
    fs::write(server.folder.path().join("tighter.yaml"), tighter).unwrap();
    let tried = server.json(&["plan", "check", "tighter.yaml"]);
    assert_eq!(
        (&tried["tally"]["reactions"]["block"], &tried["violations"][0]["path"]),
        (&json!(26), &json!("properties.total"))
    );
    assert!(server.run(&["plan", "check", "tighter.yaml", "--strict"]).failed().contains("TES-K003"));
    fs::write(
        server.folder.path().join("events.jsonl"),
        format!("{}\n{}\nno json\n", order("a", &json!(5)), order("b", &json!(500))),
    )
    .unwrap();
    let tried = server.run(&["plan", "check", "tighter.yaml", "events.jsonl"]).ok();
    assert!(tried.contains("block        1") && !tried.contains("500"), "{tried}");
    server.run(&["apply", "-f", "learnt.yaml"]).ok();
    let compared = server.json(&["plan", "diff", "tighter.yaml"]);
    assert!(compared["breaking"].as_u64().unwrap() > 0, "{compared}");
    assert!(server.run(&["plan", "diff", "tighter.yaml", "--strict"]).failed().contains("TES-K003"));
    assert_eq!(server.json(&["plan", "diff", "learnt.yaml"])["differences"], json!([]));
}

/// Takes one request, answers 200, and gives its body.
fn one_body(listener: &TcpListener) -> Value {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn an_alert_is_raised_told_acknowledged_kept_over_a_restart_and_over_once_the_plan_is_mended() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let environment = vec![("TESSERA_GOVERNANCE__ALERTS_EVERY_SECONDS", "1".to_owned())];
    let mut server = Server::start_in(tempfile::tempdir().unwrap(), environment);
    let hook = format!(
        "---\nkind: Destination\nname: on-call\ntype: webhook\npurpose: service\nalerts: true\nconfig: {{url: '{url}', secret: a-secret-of-the-test}}\n"
    );
    server.apply(&format!("{}{hook}", plan("pass", "")));
    server.send("/v1/track", &json!({"userId": "canary-ada", "event": "Odd", "properties": {"canary": 1}}));
    let told = one_body(&listener);
    assert_eq!(
        (&told["type"], &told["alert"]["kind"], &told["alert"]["event"]),
        (&json!("alert"), &json!("unplanned_event"), &json!("Odd"))
    );
    assert!(!told.to_string().contains("canary"), "{told}");
    let id = told["alert"]["id"].as_str().unwrap().to_owned();
    let line = server.run(&["alert", "list"]).ok();
    assert!(line.contains(&id) && line.contains("web / Odd"), "{line}");
    assert!(server.log().contains("an alert was raised") && !server.log().contains("canary"));
    server.run(&["alert", "ack", &id]).ok();
    server.kill();
    server.up();
    let alerts = server.json(&["alert", "list"]);
    assert_eq!(
        (&alerts["alerts"][0]["state"], &alerts["alerts"][0]["acknowledged_by"]),
        (&json!("acknowledged"), &json!("root"))
    );
    let mended = plan("pass", "").replace("events:\n", "events:\n  Odd: {}\n");
    server.apply(&format!("{mended}{hook}"));
    assert_eq!(one_body(&listener)["alert"]["state"], "resolved");
    eventually("it is over", || (server.json(&["alert", "list"])["alerts"] == json!([])).then_some(()));
    assert_eq!(server.json(&["alert", "list", "--all"])["alerts"][0]["state"], "resolved");
}
