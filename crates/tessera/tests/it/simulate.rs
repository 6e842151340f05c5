//! `tessera simulate`: what a change would do, told and not done.

use std::fs;

use serde_json::{Value, json};

use crate::server::{Server, WORKSPACE, eventually};

/// A destination that nobody answers for, so that what is for it waits.
const HOOK: &str = "---
kind: Destination
name: hook
type: webhook
purpose: news
events: [Seen]
config: {url: 'http://127.0.0.1:9', secret: a-secret-of-the-test}
";

/// Two people, one of whom agreed to news, and a delivery that waits.
fn start() -> Server {
    let server = Server::start();
    server.apply(&format!("{WORKSPACE}{HOOK}"));
    server.send("/v1/consent", &json!({"userId": "canary-ada", "consents": {"news": "given"}}));
    server.send("/v1/track", &json!({"userId": "canary-ada", "event": "Seen", "properties": {"total": 1}}));
    server.send("/v1/identify", &json!({"userId": "canary-bob", "traits": {"plan": "pro"}}));
    server.profile("user_id:canary-bob", |profile| profile["traits"]["plan"] == "pro");
    server
}

fn write(server: &Server, file: &str, text: &str) {
    fs::write(server.folder.path().join(file), text).unwrap();
}

#[test]
fn a_purpose_that_ends_shows_people_fields_and_deliveries_and_stays_until_it_is_applied() {
    let server = start();
    write(&server, "end.yaml", "kind: Purpose\nname: news\nbasis: consent\nretired: true\n");
    let told = server.json(&["simulate", "-f", "end.yaml"]);
    assert_eq!((&told["problems"], &told["change"]["changed"]), (&json!([]), &json!(["Purpose/news"])));
    assert_eq!(told["effect"]["purposes"]["news"]["permitted"], json!({"before": 1, "after": 0}));
    assert_eq!(told["effect"]["values"]["removed"], 0, "another purpose covers all of it");
    let hook = &told["effect"]["destinations"]["hook"];
    assert_eq!((&hook["waiting"], &hook["newly_denied"]), (&json!(1), &json!({"retired": 1})), "{told}");
    let printed = server.run(&["simulate", "-f", "end.yaml"]).ok();
    for line in ["~ Purpose/news", "2 people and 0 accounts, as of ", "nothing was changed"] {
        assert!(printed.lines().any(|known| known.starts_with(line)), "{line}: {printed}");
    }
    assert!(printed.contains("1 retired") && !printed.contains("canary"), "{printed}");
    server.run(&["profile", "show", "user_id:canary-ada", "--purpose", "news"]).ok();
    server.run(&["apply", "-f", "end.yaml"]).ok();
    let refused = server.run(&["profile", "show", "user_id:canary-ada", "--purpose", "news"]).failed();
    assert!(refused.contains("TES-P001"), "{refused}");
    eventually("the delivery is denied", || {
        let list = server.json(&["destination", "list"]);
        (list["destinations"][0]["waiting"] == 0).then_some(())
    });
}

#[test]
fn a_retention_shows_what_goes_by_a_later_day() {
    let server = start();
    let kept = "kind: Purpose\nname: service\nbasis: contract\nretention_days: 30\n---\n\
                kind: Purpose\nname: news\nbasis: consent\nretired: true\n";
    write(&server, "kept.yaml", kept);
    let removed = |arguments: &[&str]| -> Value {
        let told = server.json(&[&["simulate", "-f", "kept.yaml"], arguments].concat());
        told["effect"]["traits"]["plan"]["removed"].clone()
    };
    assert_eq!((removed(&[]), removed(&["--as-of", "2100-01-01"])), (json!(0), json!(1)));
    let printed = server.run(&["simulate", "-f", "kept.yaml", "--as-of", "2100-01-01"]).ok();
    assert!(
        printed.lines().any(|line| line.starts_with("traits.plan") && line.ends_with("out of time")),
        "{printed}"
    );
    for wrong in ["soon", "2001-01-01"] {
        let refused = server.run(&["simulate", "-f", "kept.yaml", "--as-of", wrong]).failed();
        assert!(refused.contains("TES-H003") && refused.contains("hint: "), "{refused}");
    }
}

#[test]
fn a_change_that_apply_refuses_is_told_with_file_and_line() {
    let server = start();
    write(&server, "swap.yaml", "kind: Purpose\nname: news\nversion: 2\nbasis: legitimate_interests\n");
    server.run(&["apply", "-f", "swap.yaml"]).failed();
    let printed = server.run(&["simulate", "-f", "swap.yaml"]);
    assert!(printed.is_ok && printed.err.contains("swap.yaml:4: "), "{}", printed.err);
    assert!(printed.out.contains("`apply` would refuse this"), "{}", printed.out);
    write(&server, "lost.yaml", "kind: Destination\nname: x\ntype: webhook\npurpose: nowhere\n");
    let refused = server.run(&["simulate", "-f", "lost.yaml"]).failed();
    assert!(refused.contains("lost.yaml:4: ") && refused.contains("TES-W001"), "{refused}");
}
