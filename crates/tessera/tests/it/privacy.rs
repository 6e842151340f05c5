//! What a privacy officer does, by the command line: consent, receipts, requests, an erasure to the last byte.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::server::{Server, WORKSPACE, eventually};

/// Values that are nowhere else: of the person, in every form in which they were sent.
const CANARIES: [&str; 6] = [
    "canary-user-4711",
    "Ada.Canary@Example.org",
    "canary-anonymous-0815",
    "Canary Lovelace \"née\"",
    "canary-property-x1",
    "canary-reject-y2",
];

fn workspace() -> String {
    format!(
        "{WORKSPACE}---
kind: Controller
name: Shop
contact: privacy@shop.example
---
kind: Destination
name: file
type: jsonl
purpose: service
"
    )
}

/// Somebody who is in the log, in the store, in a file of deliveries and among the rejects; and somebody else.
fn live(server: &Server) {
    let [user, email, anonymous, name, property, reject] = CANARIES;
    let call = |body: Value| server.send("/v1/batch", &json!({ "batch": [body] }));
    call(json!({"type": "track", "anonymousId": anonymous, "event": "Seen", "properties": {"x": property}}));
    call(json!({
        "type": "identify", "userId": user, "anonymousId": anonymous,
        "traits": {"email": email, "name": name},
    }));
    call(json!({"type": "track", "userId": user, "event": "", "properties": {"note": reject, "to": email}}));
    call(
        json!({"type": "track", "userId": "someone-else", "event": "Referred", "properties": {"by": email}}),
    );
    call(json!({"type": "track", "userId": "someone-else", "event": "Stayed"}));
    call(json!({"type": "consent", "userId": user, "consents": {"news": "given"}}));
    server.profile(&format!("user_id:{user}"), |p| p["consents"]["news"]["status"] == "given");
    eventually("the file has the purchase", || deliveries(server).contains(property).then_some(()));
}

fn deliveries(server: &Server) -> String {
    fs::read_to_string(server.data().join("deliveries").join("file.jsonl")).unwrap_or_default()
}

/// A text as it stands in JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned()
}

/// The files below `folder` that hold `canary` as it is or as JSON escapes it. Written apart from the scan of the server.
fn holding(folder: &Path, canary: &str) -> Vec<String> {
    let escaped = escaped(canary);
    let forms = [canary.to_lowercase(), escaped.to_lowercase()];
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        // A file may go away while this looks.
        let Ok(what) = entry.metadata() else { continue };
        if what.is_dir() {
            found.extend(holding(&entry.path(), canary));
        } else if let Ok(bytes) = fs::read(entry.path()) {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if forms.iter().any(|form| text.contains(form)) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

fn nothing_is_left(server: &Server) {
    let arguments = CANARIES.iter().flat_map(|canary| ["--canary", canary]);
    let arguments: Vec<&str> = ["erasures", "verify"].into_iter().chain(arguments).collect();
    let printed = server.run(&arguments).ok();
    assert!(printed.contains("nothing is left"), "{printed}");
    for canary in CANARIES {
        let found = holding(&server.data(), canary);
        assert!(found.is_empty(), "{canary} is in {found:?}");
    }
}

fn id(printed: &Value) -> String {
    printed["id"].as_str().unwrap().to_owned()
}

#[test]
fn consent_is_shown_recorded_and_receipted() {
    let server = Server::start();
    server.apply(&workspace());
    live(&server);
    let person = format!("email:{}", CANARIES[1]);
    let shown = server.run(&["consent", "show", &person]).ok();
    assert!(shown.contains("news  consent  permitted") && shown.contains("explicit given"), "{shown}");
    let said = ["consent", "record", &person, "news=withdrawn", "--how", "telephone"];
    let recorded = server.run(&said).ok();
    assert!(recorded.contains("denied: withdrawn") && recorded.contains("telephone"), "{recorded}");
    let receipt = server.json(&["consent", "receipt", &person, "--purpose", "news"]);
    let words: Vec<&str> = receipt["receipts"][0]["event"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_state"].as_str().unwrap().rsplit('#').next().unwrap())
        .collect();
    assert_eq!(words, ["ConsentGiven", "ConsentWithdrawn"]);
    server.run(&["consent", "receipt", &person, "--purpose", "news", "--html", "receipt.html"]).ok();
    let page = fs::read_to_string(server.folder.path().join("receipt.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("Shop"), "{page}");
    let refused = server.run(&["consent", "record", &person, "news=overruled"]).failed();
    assert!(refused.contains("TES-R027") && refused.contains("hint:"), "{refused}");
}

#[test]
fn access_is_given_to_who_has_shown_who_they_are_and_it_is_on_record() {
    let server = Server::start();
    server.apply(&workspace());
    live(&server);
    let person = format!("email:{}", CANARIES[1]);
    let request = id(&server.json(&["dsr", "open", "access", &person]));
    for arguments in [["dsr", "report", &request], ["dsr", "fulfil", &request]] {
        assert!(server.run(&arguments).failed().contains("TES-R013"));
    }
    server.run(&["dsr", "verify-identity", &request, "--proof", "contact_point"]).ok();
    server.run(&["dsr", "fulfil", &request]).ok();
    let report: Value = serde_json::from_str(&server.run(&["dsr", "report", &request]).ok()).unwrap();
    let text = report.to_string();
    for canary in CANARIES {
        let is_there = text.contains(&escaped(canary)) || text.contains(canary);
        // A payload that could not be taken in is a text within the text.
        assert!(is_there || text.contains(&canary.replace('"', "\\\\\\\"")), "{canary} is not in {text}");
    }
    assert_eq!(report["deliveries"][0]["destination"], "file");
    assert!(!text.contains("Referred"), "what is about others is not theirs");
    let page = ["dsr", "report", &request, "--html", "-o", "report.html"];
    server.run(&page).ok();
    let page = fs::read_to_string(server.folder.path().join("report.html")).unwrap();
    assert!(page.contains("Canary Lovelace") && !page.contains("<script"), "{page}");
    let evidence = server.run(&["evidence", "show", &person]).ok();
    assert!(evidence.contains("GET /api/v1/requests/{id}/report"), "{evidence}");
    let shown = server.run(&["dsr", "show", &request]).ok();
    assert!(shown.contains("completed") && shown.contains("answer by"), "{shown}");
    assert!(!shown.contains("Ada"), "{shown}");
}

#[test]
fn an_erasure_leaves_no_byte_while_events_go_on_arriving() {
    let mut server = Server::start();
    server.apply(&workspace());
    live(&server);
    let [user, email, anonymous, ..] = CANARIES;
    assert!(!holding(&server.data(), CANARIES[4]).is_empty(), "there is something to erase");

    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let (server, stop) = (&server, &stop);
        let sender = scope.spawn(move || {
            let mut sent = 0_u64;
            while !stop.load(Ordering::SeqCst) && sent < 20_000 {
                sent += 1;
                let of_hers = json!({"type": "track", "userId": user, "event": CANARIES[4], "messageId": format!("c{sent}")});
                let other = json!({"type": "track", "userId": format!("other-{}", sent % 50), "event": "Seen"});
                server.send("/v1/batch", &json!({"batch": [of_hers, other]}));
            }
            sent
        });
        let mut arguments = vec!["erase", "--identity", "contact_point", "--verify", "--yes"];
        arguments.extend(CANARIES.iter().flat_map(|canary| ["--canary", canary]));
        let person = format!("email:{email}");
        arguments.push(&person);
        let erased = server.run(&arguments);
        stop.store(true, Ordering::SeqCst);
        let sent = sender.join().unwrap();
        let printed = erased.ok();
        assert!(printed.contains("completed") && printed.contains("nothing is left"), "{printed}");
        sent
    });
    assert!(sent > 5, "only {sent} bodies were sent meanwhile");
    nothing_is_left(&server);
    assert!(deliveries(&server).contains("Stayed"), "what is about others alone stays");
    let request = server.json(&["dsr", "list"])["requests"][0].clone();
    assert_eq!(request["recipients"][0]["destination"], "file", "{request}");

    // An import from a backup brings nobody back.
    let again =
        json!({"userId": user, "anonymousId": anonymous, "traits": {"email": email, "name": CANARIES[3]}});
    server.send("/v1/identify", &again);
    server.send("/v1/track", &json!({"userId": "someone-else", "event": "Later"}));
    server.profile("user_id:someone-else", |p| p["event_counts"]["Later"]["count"] == 1);
    assert!(server.run(&["profile", "show", &format!("user_id:{user}")]).failed().contains("TES-H004"));
    nothing_is_left(&server);
    server.stop();
    server.run(&["verify"]).ok();
    server.up();
    nothing_is_left(&server);
    server.send("/v1/identify", &again);
    nothing_is_left(&server);
    assert!(server.run(&["erasures", "list"]).ok().contains("done"));
}

#[test]
fn an_erasure_that_was_killed_in_the_middle_ends_after_the_restart() {
    let mut server = Server::start();
    server.apply(&workspace());
    live(&server);
    // Enough of a log that the pass over it is not over at once.
    for round in 0..40 {
        let filler = "x".repeat(400);
        let event = |n: usize| json!({"type": "track", "userId": format!("f{round}-{n}"), "event": "Seen", "properties": {"x": filler}});
        let batch: Vec<Value> = (0..400).map(event).collect();
        server.send("/v1/batch", &json!({ "batch": batch }));
    }
    let person = format!("email:{}", CANARIES[1]);
    let request = id(&server.json(&["dsr", "open", "erasure", &person]));
    server.run(&["dsr", "verify-identity", &request, "--proof", "document"]).ok();
    let ordered = server.json(&["dsr", "fulfil", &request]);
    server.kill();
    assert_eq!(ordered["status"], "in_progress");
    server.up();
    let done = eventually("the request is completed", || {
        let shown = server.json(&["dsr", "show", &request]);
        (shown["status"] == "completed").then_some(shown)
    });
    assert_eq!(done["no_data_found"], false);
    nothing_is_left(&server);
    server.stop();
    server.run(&["verify"]).ok();
    for canary in CANARIES {
        assert!(holding(&server.data(), canary).is_empty(), "{canary}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_restored_backup_beside_newer_evidence_is_erased_again() {
    let mut server = Server::start();
    server.apply(&workspace());
    live(&server);
    let backup = tempfile::tempdir().unwrap();
    server.stop();
    copy(&server.data(), backup.path());
    server.up();
    let person = format!("email:{}", CANARIES[1]);
    server.run(&["erase", "--identity", "document", "--yes", &person]).ok();
    eventually("the file is clean too", || holding(&server.data(), CANARIES[4]).is_empty().then_some(()));
    nothing_is_left(&server);
    server.stop();

    // As `docs/guide/for-privacy-officers.md` says: the backup, and the newest evidence.
    let newest = tempfile::tempdir().unwrap();
    copy(&server.data().join("evidence"), newest.path());
    fs::remove_dir_all(server.data()).unwrap();
    copy(backup.path(), &server.data());
    fs::remove_dir_all(server.data().join("evidence")).unwrap();
    copy(newest.path(), &server.data().join("evidence"));
    for canary in CANARIES {
        assert!(!holding(&server.data(), canary).is_empty(), "the backup holds {canary}");
    }
    server.up();
    eventually("all of it is gone again", || {
        CANARIES.iter().all(|canary| holding(&server.data(), canary).is_empty()).then_some(())
    });
    assert!(server.log().contains("erasing again what a backup brought back"));
    nothing_is_left(&server);
    assert!(server.run(&["profile", "show", &person]).failed().contains("TES-H004"));
    assert!(deliveries(&server).contains("Stayed"), "what is about others alone is there again");
    server.stop();
    server.run(&["verify"]).ok();
}

#[test]
fn a_file_that_holds_a_copy_is_found_and_the_command_fails() {
    let server = Server::start();
    server.send("/v1/identify", &json!({"userId": "canary-user-4711", "traits": {"email": "canary@x.org"}}));
    server.profile("email:canary@x.org", |_| true);
    fs::write(server.data().join("copy.csv"), "id,mail\n1,Canary@X.org\n").unwrap();
    let erase = ["erase", "email:canary@x.org", "--identity", "signed_in", "--verify", "--yes"];
    let printed = server.run(&erase);
    assert!(printed.out.contains("FOUND: identifier email in copy.csv, 1 times"), "{}", printed.out);
    assert!(!printed.out.contains("canary@x.org"), "{}", printed.out);
    assert!(printed.failed().contains("TES-R030"));
    fs::remove_file(server.data().join("copy.csv")).unwrap();
    server.run(&["erasures", "verify", "--canary", "canary@x.org"]).ok();
    assert!(
        server.feed(&["erase", "user_id:u", "--identity", "document"], "no\n").failed().contains("TES-R028")
    );
    assert_eq!(server.run(&["erasures", "lift", "email:canary@x.org"]).ok(), "lifted: 1\n");
}

#[test]
fn what_was_withdrawn_is_gone_after_a_sweep() {
    let server = Server::start();
    let workspace = WORKSPACE.replace("purposes: [service, news]", "purposes: [news]");
    server.apply(&workspace);
    server.send("/v1/consent", &json!({"userId": "u1", "consents": {"news": "given"}}));
    server.send("/v1/identify", &json!({"userId": "u1", "traits": {"hobby": "canary-hobby-z3"}}));
    server.profile("user_id:u1", |p| p["traits"]["hobby"] == "canary-hobby-z3");
    server.run(&["consent", "record", "user_id:u1", "news=withdrawn"]).ok();
    assert!(server.run(&["erasures", "verify", "--canary", "canary-hobby-z3"]).failed().contains("TES-R030"));
    assert!(server.run(&["sweep"]).ok().starts_with("swept: "));
    server.run(&["erasures", "verify", "--canary", "canary-hobby-z3"]).ok();
    assert_eq!(holding(&server.data(), "canary-hobby-z3"), Vec::<String>::new());
    let shown = server.run(&["consent", "show", "user_id:u1"]).ok();
    assert!(shown.contains("withdrawn"), "the proof stays: {shown}");
}
