//! Evidence by the real binary: who got what and why, the export that a stranger checks, records and reports.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Server, eventually, tessera};

const WORKSPACE: &str = "
kind: Controller
name: Shop Ltd
contact: privacy@shop.example
withdrawal: the link at the end of every mail
---
kind: Purpose
name: service
basis: contract
---
kind: Purpose
name: letters
version: 3
basis: consent
description: News about our shop
notice:
  en: We send you news by e-mail.
---
kind: Source
name: web
write_key: web-write-key
purposes: [service, letters]
---
kind: Field
name: traits.plan
labels: [I2]
---
kind: Destination
name: mailer
type: jsonl
purpose: letters
";

fn shop() -> Server {
    let server = Server::start();
    server.apply(WORKSPACE);
    server.send("/v1/consent", &json!({"userId": "u1", "messageId": "c1", "consents": {"letters": "given"}}));
    let identify = json!({"userId": "u1", "messageId": "m1", "traits": {"email": "ada@x.org", "plan": "gold", "hue": 1}});
    server.send("/v1/identify", &identify);
    eventually("the mailer got it", || {
        let told = server.json(&["evidence", "show", "email:ada@x.org", "--kind", "delivery"]);
        let outcomes = told["outcomes"].as_object()?;
        (!outcomes.is_empty() && told["entries"].as_array()?.iter().any(|e| has(e, "traits.plan")))
            .then_some(())
    });
    server
}

fn has(entry: &Value, field: &str) -> bool {
    entry["fields"].as_array().unwrap().iter().any(|known| known == field)
}

fn export(server: &Server, file: &str) -> String {
    server.run(&["evidence", "export", "-o", file]).ok();
    server.json(&["evidence", "head"])["public_key"].as_str().unwrap().to_owned()
}

fn token(server: &Server, name: &str, role: &[&str]) -> String {
    let printed = server.run(&[&["access", "add-token", name, "--role"], role].concat()).ok();
    printed.lines().find_map(|line| line.strip_prefix("token (shown once): ")).unwrap().to_owned()
}

fn says(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
}

#[test]
fn who_got_what_and_why_is_answered_without_personal_data() {
    let server = shop();
    server.run(&["profile", "show", "user_id:u1", "--include", "events"]).ok();
    let shown = server.run(&["evidence", "show", "email:ada@x.org"]).ok();
    says(
        &shown,
        &[
            "delivered to mailer",
            "for: letters (version 3), basis: consent",
            "consent: given at",
            "identifiers.user_id, traits.email, traits.hue, traits.plan",
            "shown to root through GET /api/v1/profiles/{reference}",
        ],
    );
    let why = ["evidence", "why", "user_id:u1", "--destination", "mailer", "--message", "m1"];
    let why = server.run(&why).ok();
    says(
        &why,
        &[
            "delivered to mailer",
            "what for: News about our shop",
            "legal ground: Art. 6(1)(a)",
            "notice (en): We send you news by e-mail.",
            "responsible: Shop Ltd privacy@shop.example",
            "to take a consent back: the link at the end of every mail",
        ],
    );
    let other = ["evidence", "why", "user_id:u2", "--destination", "mailer"];
    assert!(server.run(&other).ok().contains("nothing of that person went to mailer"));
    let bad = server.run(&["evidence", "show", "user_id:u1", "--kind", "gossip"]).failed();
    says(&bad, &["TES-H003", "known: delivery"]);

    export(&server, "evidence.jsonl");
    let exported = fs::read_to_string(server.folder.path().join("evidence.jsonl")).unwrap();
    for value in ["ada@x.org", "gold", "\"u1\"", "\"m1\""] {
        assert!(!exported.contains(value), "`{value}` is in the ledger");
    }
}

#[test]
fn what_was_recorded_is_found_after_an_erasure_by_every_identifier_that_the_person_had() {
    let server = shop();
    let seqs = |reference: &str| -> Vec<u64> {
        let told = server.json(&["evidence", "show", reference, "--kind", "delivery"]);
        told["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect()
    };
    let before = seqs("user_id:u1");
    assert!(!before.is_empty() && before == seqs("email:ada@x.org"));
    server.run(&["erase", "email:ada@x.org", "--identity", "knowledge", "--yes"]).ok();
    assert!(server.run(&["profile", "show", "user_id:u1"]).failed().contains("TES-H004"));
    for reference in ["user_id:u1", "email:ada@x.org"] {
        assert_eq!(seqs(reference), before, "{reference}");
        let shown = server.run(&["evidence", "show", reference]).ok();
        says(&shown, &["delivered to mailer", "erased, by request", "mailer was told of the erasure"]);
    }
    let why = server.run(&["evidence", "why", "email:ada@x.org", "--destination", "mailer"]).ok();
    says(&why, &["consent: given at", "legal ground: Art. 6(1)(a)"]);
    let breach = server.json(&["report", "breach", "--destination", "mailer"]);
    assert_eq!((&breach["people_count"], &breach["gone_count"]), (&json!(1), &json!(1)));
}

#[test]
fn every_read_is_recorded_with_its_fields_before_it_is_answered() {
    let server = shop();
    let recorded = |server: &Server| {
        let told = server.json(&["evidence", "show", "user_id:u1", "--kind", "disclosure"]);
        told["entries"].as_array().unwrap().clone()
    };
    let before = recorded(&server).len();
    server.run(&["profile", "show", "email:ada@x.org", "--purpose", "letters"]).ok();
    server.run(&["profile", "list"]).ok();
    let entries = recorded(&server);
    assert_eq!(entries.len(), before + 2);
    let (one, page) = (&entries[before], &entries[before + 1]);
    assert_eq!((&one["actor"], &one["purposes"]), (&json!("root"), &json!(["letters"])));
    assert_eq!(one["route"], "GET /api/v1/profiles/{reference}");
    assert_eq!(page["route"], "GET /api/v1/profiles");
    for field in
        ["identifiers.email", "identifiers.user_id", "traits.plan", "traits.email", "consents.letters"]
    {
        assert!(has(one, field) && has(page, field), "{field}: {entries:?}");
    }
    let eve = token(&server, "eve", &["analyst", "--purpose", "service"]);
    server.run(&["profile", "show", "user_id:u1", "--token", &eve]).ok();
    let mine = server.json(&["report", "breach", "--actor", "eve"]);
    assert_eq!((&mine["people_count"], &mine["people"][0]["touches"]), (&json!(1), &json!(1)));
    let fields = mine["people"][0]["fields"].as_array().unwrap();
    assert!(
        !fields.contains(&json!("identifiers.email")) && fields.contains(&json!("traits.plan")),
        "{fields:?}"
    );
}

/// Checks a changed export: it must fail, and say where and with which code.
fn refused(folder: &Path, text: &str, key: &str, expected: &[&str]) {
    fs::write(folder.join("changed.jsonl"), text).unwrap();
    says(&tessera(&["evidence", "verify", "changed.jsonl", "--public-key", key], folder).failed(), expected);
}

#[test]
fn an_export_is_checked_with_the_public_key_alone_and_shows_every_change() {
    let mut server = shop();
    let key = export(&server, "evidence.jsonl");
    let text = fs::read_to_string(server.folder.path().join("evidence.jsonl")).unwrap();
    server.run(&["evidence", "verify"]).ok();
    server.stop();
    // Somewhere without a data folder and without a server.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("evidence.jsonl"), &text).unwrap();
    let verify = ["evidence", "verify", "evidence.jsonl", "--public-key", &key];
    says(&tessera(&verify, elsewhere.path()).ok(), &["evidence verified:", "nothing is missing: sealed at"]);
    assert!(tessera(&verify[..3], elsewhere.path()).failed().contains("TES-E017"));
    let wrong = tessera(&["evidence", "verify", "evidence.jsonl", "--public-key", "12"], elsewhere.path());
    assert!(wrong.failed().contains("TES-E017"));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "verify makes no folder");

    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"kind\":\"delivery\"")).unwrap();
    let whole = |lines: &[&str]| format!("{}\n", lines.join("\n"));
    let line = format!("line {}", at + 2);
    let refused = |text: &str, key: &str, expected: &[&str]| refused(elsewhere.path(), text, key, expected);
    let changed = text.replacen("\"purpose\":\"letters\"", "\"purpose\":\"none\"", 1);
    refused(&changed, &key, &["TES-E011", &line, "hint:"]);
    let mut dropped = lines.clone();
    dropped.remove(at);
    refused(&whole(&dropped), &key, &["TES-E012", "dropped"]);
    let mut swapped = lines.clone();
    swapped.swap(at, at + 1);
    refused(&whole(&swapped), &key, &["TES-E012"]);
    refused(&whole(&lines[..lines.len() - 1]), &key, &["TES-E014", "there is no seal"]);
    refused(&text, &"ab".repeat(32), &["TES-E013"]);

    // The live folder: with its own key, and by `tessera verify` together with the state.
    says(&server.run(&["verify"]).ok(), &["verified:", "evidence verified:"]);
    let segment = fs::read_dir(server.data().join("evidence")).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, sound.replacen("\"purpose\":\"letters\"", "\"purpose\":\"none\"", 1)).unwrap();
    assert!(server.run(&["evidence", "verify"]).failed().contains("TES-E011"));
    assert!(server.run(&["verify"]).failed().contains("TES-E003"));
}

#[test]
fn records_and_reports_are_made_from_what_is_there() {
    let server = shop();
    let records =
        server.run(&["report", "records", "--stored-in", "EU", "--data-subjects", "customers"]).ok();
    says(&records, &["## letters (version 3)", "Shop Ltd", "| mailer |", "Stored in: EU"]);
    server.run(&["report", "records", "--html", "records.html"]).ok();
    let page = fs::read_to_string(server.folder.path().join("records.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("Shop Ltd") && !page.contains("<script"));
    assert_eq!(server.json(&["report", "records"])["activities"].as_array().unwrap().len(), 3);

    let report = server.run(&["report", "policy"]).ok();
    says(&report, &["Purpose/service", "Field/traits.hue"]);
    let answer = server.json(&["report", "policy"]);
    assert_eq!(answer["fields"], json!({"traits.email": 1, "traits.hue": 1, "traits.plan": 1}));
    assert!(answer["deliveries"]["mailer"].as_u64().unwrap() >= 1, "{answer}");
    let kinds = answer["findings"].as_array().unwrap().iter().map(|one| (&one["kind"], &one["rule"]));
    let rules = kinds.filter(|(kind, _)| *kind == "Destination").map(|(_, rule)| rule).collect::<Vec<_>>();
    assert_eq!(rules, ["no_region"], "it is used");
    assert!(!report.contains("traits.email"), "its label is built in: {report}");

    let breach = ["report", "breach", "--destination", "mailer", "--field", "traits.*"];
    let found = server.json(&breach);
    assert_eq!((&found["people_count"], &found["gone_count"]), (&json!(1), &json!(0)));
    assert_eq!(found["people"][0]["arrived"], 1, "{found}");
    assert!(found["people"][0].get("contacts").is_none());
    let later = server.json(&[&breach[..], &["--from", "2999-01-01"]].concat());
    assert_eq!(later["people_count"], 0);
    server.run(&[&breach[..], &["--contacts", "--csv", "touched.csv"]].concat()).ok();
    let csv = fs::read_to_string(server.folder.path().join("touched.csv")).unwrap();
    assert!(csv.contains("email:ada@x.org"), "{csv}");
    let ann = token(&server, "ann", &["auditor"]);
    server.run(&[&breach[..], &["--token", &ann]].concat()).ok();
    let refused = server.run(&[&breach[..], &["--contacts", "--token", &ann]].concat()).failed();
    assert!(refused.contains("TES-A002"), "{refused}");
}
