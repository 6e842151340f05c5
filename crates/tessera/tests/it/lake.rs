//! The lake: lost and filled anew, and audiences filled from it through a kill.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::server::{Server, WORKSPACE, binary, eventually};

/// What each event of the lake says, in the order of the log.
fn rows(server: &Server) -> Vec<Value> {
    let sql = "SELECT message_id, fragment_id, profile_id, event, timestamp, properties FROM events ORDER BY message_id";
    let rows = server.run(&["sql", sql, "--purpose", "service", "--format", "json"]).ok();
    serde_json::from_str(&rows).unwrap()
}

fn rows_when(server: &Server, count: usize) -> Vec<Value> {
    eventually(&format!("{count} rows are in the lake"), || {
        Some(rows(server)).filter(|rows| rows.len() == count)
    })
}

fn see(server: &Server, users: std::ops::Range<u32>) {
    let events: Vec<Value> = users
        .map(|n| {
            json!({"type": "track", "userId": format!("u{}", n % 40), "event": "Seen", "messageId": format!("m{n:04}"),
                   "properties": {"n": n, "word": format!("of-u{}-", n % 40)}})
        })
        .collect();
    server.send("/v1/batch", &json!({"batch": events}));
}

#[test]
fn a_lake_that_was_lost_is_filled_anew_with_the_same_rows() {
    let mut server = Server::start();
    see(&server, 0..300);
    see(&server, 250..300);
    server.profile("user_id:u7", |_| true);
    server.run(&["erase", "user_id:u7", "--identity", "document", "--yes"]).ok();
    see(&server, 300..400);
    // Of u7, no event is left: they sent 8 of the first 300, and 2 that came when they were erased.
    let before = rows_when(&server, 400 - 10);
    server.stop();
    fs::remove_dir_all(server.data().join("lake")).unwrap();
    let told = server.run(&["rebuild"]).ok();
    assert!(told.contains("the lake was filled anew: it has 390 events"), "{told}");
    server.up();
    assert_eq!(rows(&server), before);
    assert!(!before.iter().any(|row| row.to_string().contains("of-u7-")));
    server.stop();
    assert!(!server.run(&["rebuild"]).ok().contains("filled anew"), "it is whole");

    // It is lost, and a server starts before anybody notices: what comes is there, what came is not until it is filled.
    fs::remove_dir_all(server.data().join("lake")).unwrap();
    server.up();
    see(&server, 400..410);
    let later = rows_when(&server, 9);
    assert!(server.log().contains("the lake lacks what came before it was made"));
    server.stop();
    let told = server.run(&["rebuild"]).ok();
    assert!(told.contains("the lake was filled anew: it has 399 events"), "{told}");
    server.up();
    let wanted: Vec<Value> = before.into_iter().chain(later).collect();
    assert_eq!(rows(&server), wanted);
    see(&server, 410..420);
    rows_when(&server, 409);
    server.stop();
    assert!(server.run(&["verify"]).ok().starts_with("verified: "));
}

const PEOPLE: u32 = 3_000;

fn seen(user: u32, time: u32) -> Value {
    json!({"type": "track", "userId": format!("p{user}"), "event": "Seen", "messageId": format!("p{user}-{time}")})
}

fn send_all(server: &Server, events: &[Value]) {
    for events in events.chunks(500) {
        server.send("/v1/batch", &json!({"batch": events}));
    }
}

fn log_bytes(server: &Server) -> u64 {
    let files = fs::read_dir(server.data().join("log")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Whose entering was told, each as often as it was.
fn entered(server: &Server) -> Vec<String> {
    let text = fs::read_to_string(server.data().join("deliveries").join("file.jsonl")).unwrap_or_default();
    // The last line may still be on its way.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["event"]["userId"].as_str().unwrap().to_owned()).collect()
}

/// Everybody did something before the audience came; the server is killed again and again while it counts that.
#[test]
fn a_filling_goes_on_after_kills_and_tells_of_each_member_once() {
    let mut server = Server::start();
    let twice = |user: &u32| user.is_multiple_of(3);
    let past: Vec<Value> = (0..PEOPLE)
        .flat_map(|user| [Some(seen(user, 0)), Some(seen(user, 1)).filter(|_| twice(&user))])
        .flatten()
        .collect();
    send_all(&server, &past);
    rows_when_counted(&server, past.len());
    server.apply(&format!(
        "{WORKSPACE}---
kind: Audience
name: regulars
purpose: service
when: count of \"Seen\" >= 2
---
kind: Destination
name: file
type: jsonl
purpose: service
events: [Audience Entered, Audience Exited]
"
    ));
    let mut members: BTreeSet<u32> = (0..PEOPLE).filter(twice).collect();
    let mut is_killed_while_filling = 0;
    for round in 0..4 {
        let before = log_bytes(&server);
        eventually("some parts are filled", || {
            let state = state(&server);
            (state == "live" || log_bytes(&server) > before + 40_000).then_some(())
        });
        is_killed_while_filling += u32::from(state(&server) == "filling");
        server.kill();
        server.up();
        // These did something once before, and now again.
        let again: Vec<u32> = (0..PEOPLE).filter(|user| user % 300 == 1 + round).collect();
        send_all(&server, &again.iter().map(|user| seen(*user, 2)).collect::<Vec<_>>());
        members.extend(again.iter().filter(|user| !twice(user)));
    }
    assert!(is_killed_while_filling > 0, "no kill came while it was being filled");
    eventually("it is live", || (state(&server) == "live").then_some(()));
    // When some have been told, once more.
    eventually("some are told", || (!entered(&server).is_empty()).then_some(()));
    server.kill();
    server.up();
    let wanted: BTreeSet<String> = members.iter().map(|user| format!("p{user}")).collect();
    eventually("all are told", || (entered(&server).len() >= wanted.len()).then_some(()));
    server.stop();
    let told = entered(&server);
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (wanted.len(), wanted.clone()));
    server.up();
    let by = |sql: &str| {
        let rows = server.run(&["sql", sql, "--purpose", "service", "--format", "csv"]).ok();
        rows.lines().skip(1).map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let announced =
        "SELECT value FROM audiences JOIN identities USING (profile_id) WHERE namespace = 'user_id'";
    let counted = "SELECT user_id FROM events WHERE event = 'Seen' GROUP BY 1 HAVING count(*) >= 2";
    assert_eq!(by(announced), wanted);
    assert_eq!(by(counted), wanted);
    let exact = server.json(&["audience", "preview", "regulars", "--exact"]);
    assert_eq!(exact["members"]["people"], json!(wanted.len()), "{exact}");
}

fn state(server: &Server) -> String {
    server.json(&["audience", "show", "regulars"])["state"].as_str().unwrap().to_owned()
}

fn rows_when_counted(server: &Server, count: usize) {
    let sql = ["sql", "SELECT count(*) FROM events", "--purpose", "service", "--format", "csv"];
    eventually("the lake has them", || {
        (server.run(&sql).ok().lines().nth(1) == Some(&count.to_string())).then_some(())
    });
}

/// The files of the snapshots of profiles that are on disk, and those that the table names, with their rows.
fn snapshot_files(server: &Server) -> (BTreeSet<String>, BTreeSet<String>, u64) {
    let table = server.data().join("lake").join("profiles");
    let names = |folder: &std::path::Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    let days = names(&table).into_iter().filter(|name| name.starts_with("day="));
    let on_disk =
        days.flat_map(|day| names(&table.join(&day)).into_iter().map(move |name| format!("{day}/{name}")));
    let on_disk = on_disk.collect();
    let (mut named, mut rows) = (BTreeSet::new(), std::collections::BTreeMap::new());
    for commit in names(&table.join("_delta_log")).iter().filter(|name| name.ends_with(".json")) {
        let text = fs::read_to_string(table.join("_delta_log").join(commit)).unwrap();
        for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            if let Some(added) = line["add"]["path"].as_str() {
                let stats: Value = serde_json::from_str(line["add"]["stats"].as_str().unwrap()).unwrap();
                rows.insert(added.to_owned(), stats["numRecords"].as_u64().unwrap());
                named.insert(added.to_owned());
            }
            if let Some(removed) = line["remove"]["path"].as_str() {
                named.remove(removed);
            }
        }
    }
    let rows = named.iter().map(|name| rows[name]).sum();
    (on_disk, named, rows)
}

#[test]
fn a_kill_in_a_snapshot_leaves_the_one_before_it_whole_and_nothing_of_its_own() {
    let mut server = Server::start();
    let all = |from: u32| (from..from + 10_000).map(|user| seen(user, 0)).collect::<Vec<_>>();
    send_all(&server, &all(0));
    rows_when_counted(&server, 10_000);
    assert_eq!(server.json(&["lake", "snapshot"])["rows"], json!(10_000));
    let before = snapshot_files(&server);
    assert_eq!((&before.0, before.2), (&before.1, 10_000));
    send_all(&server, &all(10_000));
    rows_when_counted(&server, 20_000);
    let is_begun = |(on_disk, named, _): &(BTreeSet<String>, BTreeSet<String>, u64)| on_disk != named;
    let mut is_killed_within = 0;
    for _ in 0..3 {
        let mut order = Command::new(binary())
            .args(["lake", "snapshot"])
            .current_dir(server.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A snapshot that has begun has a file that the table does not name yet.
        eventually("it has begun", || is_begun(&snapshot_files(&server)).then_some(()));
        server.kill();
        order.wait().unwrap();
        let (on_disk, named, rows) = snapshot_files(&server);
        is_killed_within += u32::from(named == before.1 && on_disk.len() > 1);
        // Unless it had ended before the kill came, that is the one before it.
        assert!(named == before.1 || rows == 20_000);
        server.up();
        let (on_disk, still_named, _) = snapshot_files(&server);
        assert_eq!((&on_disk, &still_named), (&named, &named), "a whole snapshot, and nothing else");
    }
    assert!(is_killed_within > 0, "no kill came while one was being taken");
    assert_eq!(server.json(&["lake", "snapshot"])["rows"], json!(20_000));
    let (on_disk, named, rows) = snapshot_files(&server);
    assert_eq!((on_disk, named.len(), rows), (named.clone(), 1, 20_000));
}
