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

/// Forty people of two purposes; some have nothing but a profile, some said no to news.
fn crowd(server: &Server) {
    let at = |user: u32, name: &str| format!("u{user}-{name}");
    let mut events = Vec::new();
    for user in 0..40 {
        let id = format!("u{user}");
        events.push(json!({"type": "identify", "userId": id, "messageId": at(user, "i"),
            "traits": {"plan": if user % 3 == 0 { "pro" } else { "free" }}}));
        for number in 0..user % 4 {
            events.push(json!({"type": "track", "userId": id, "event": "Ordered", "messageId": at(user, &format!("o{number}")),
                "properties": {"total": user + number, "kind": if user % 2 == 0 { "shoe" } else { "hat" }}}));
        }
        if user % 5 == 0 {
            events.push(json!({"type": "track", "userId": id, "event": "Seen", "messageId": at(user, "s")}));
        }
    }
    for user in (0..40).step_by(2) {
        events.push(json!({"type": "consent", "userId": format!("u{user}"), "messageId": at(user, "c"), "consents": {"news": "given"}}));
    }
    server.send("/v1/batch", &json!({ "batch": events }));
    let again = (0..40).map(|user| {
        json!({"type": "track", "userId": format!("u{user}"), "event": "Read", "messageId": at(user, "r")})
    });
    server.send("/v1/batch", &json!({ "batch": again.collect::<Vec<_>>() }));
}

/// To ask everybody at once, and to ask page by page, which is what happens when one page is everybody, comes to the same.
#[test]
fn asking_everybody_at_once_counts_what_asking_page_by_page_counts() {
    let server = Server::start();
    server.apply(&format!(
        "{WORKSPACE}---
kind: ComputedTrait
name: spent
purpose: service
value: sum of total of \"Ordered\"
---
kind: Audience
name: readers
purpose: news
when: performed \"Read\" and not spent > 60
---
kind: Audience
name: buyers
purpose: service
when: performed \"Ordered\"
---
kind: Audience
name: rich
purpose: service
when: spent > 30
"
    ));
    crowd(&server);
    let sql = [
        "sql",
        "SELECT count(*) FROM events WHERE event = 'Read'",
        "--purpose",
        "service",
        "--format",
        "csv",
    ];
    eventually("the lake has them", || (server.run(&sql).ok().lines().nth(1) == Some("40")).then_some(()));
    let conditions = [
        "performed \"Ordered\" and plan = \"pro\"",
        "not performed \"Ordered\" or spent > 50 or (plan = \"free\" and not performed \"Seen\")",
        "count of \"Ordered\" where kind = \"hat\" >= 2 and (\"Ordered\" then \"Read\" within 1 hour)",
        "consent news is valid and performed \"Read\"",
        "not member of readers and performed \"Read\"",
        "member of readers or member of buyers and sample 50% of \"spring\"",
    ];
    for purpose in ["service", "news"] {
        for when in conditions {
            let preview = |sample: &str| {
                let asked =
                    ["audience", "preview", when, "--purpose", purpose, "--exact", "--sample", sample];
                let mut answer = server.json(&asked);
                let shown = answer["sample"].as_array().unwrap().len();
                answer["sample"] = json!(shown);
                // It is told of the first page.
                answer["bytes_per_person"] = Value::Null;
                answer
            };
            let (pages, at_once) = (preview("1000"), preview("7"));
            assert_eq!(pages, at_once, "{purpose}: {when}");
            assert_eq!(pages["is_exact"], json!(true));
            let (members, all) = (&pages["members"]["people"], &pages["everybody"]);
            let is_told_apart = members.as_u64() > Some(0) && members.as_u64() < all.as_u64();
            assert!(is_told_apart || purpose == "news", "{purpose}: {when}: {members} of {all}");
        }
    }
}

#[test]
fn what_audiences_of_many_people_share_is_counted_exactly() {
    let server = Server::start();
    let audience = |name: &str, event: &str| {
        format!("---\nkind: Audience\nname: {name}\npurpose: service\nwhen: performed \"{event}\"\n")
    };
    server.apply(&format!("{WORKSPACE}{}{}", audience("halves", "Half"), audience("thirds", "Third")));
    // More than are asked page by page.
    let done = |user: u32, event: &str| json!({"type": "track", "userId": format!("u{user}"), "event": event, "messageId": format!("{user}-{event}")});
    let halves = (0..1_200).filter(|user| user % 2 == 0).map(|user| done(user, "Half"));
    let thirds = (0..1_200).filter(|user| user % 3 == 0).map(|user| done(user, "Third"));
    let others = (0..1_200).map(|user| done(user, "Other"));
    let events: Vec<Value> = halves.chain(thirds).chain(others).collect();
    for events in events.chunks(500) {
        server.send("/v1/batch", &json!({ "batch": events }));
    }
    let sql = ["sql", "SELECT count(*) FROM events", "--purpose", "service", "--format", "csv"];
    eventually("the lake has them", || (server.run(&sql).ok().lines().nth(1) == Some("2200")).then_some(()));
    let overlap = server.json(&["audience", "overlap", "halves", "thirds", "--exact"]);
    assert_eq!((&overlap["looked_at"], &overlap["is_exact"]), (&json!(1_200), &json!(true)));
    let people = |of: &Value| {
        of.as_array()
            .unwrap()
            .iter()
            .map(|one| one["members"]["people"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(people(&overlap["audiences"]), [600, 400]);
    assert_eq!((people(&overlap["sets"]), people(&overlap["pairs"])), (vec![400, 200, 200], vec![200]));
    let file = server.folder.path().join("evidence");
    server.run(&["evidence", "export", "-o", file.to_str().unwrap()]).ok();
    let evidence = fs::read(file).unwrap();
    let is_on_record = String::from_utf8_lossy(&evidence).contains("everybody for audiences");
    assert!(is_on_record, "whoever asks for everybody is on record");
}
