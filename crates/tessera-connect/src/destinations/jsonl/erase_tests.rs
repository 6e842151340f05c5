//! Erasing people from the file, its rotations included, through crashes and repeats.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tessera_policy::Permitted;

use super::tests::{deliver, open, open_with};
use crate::fixture::{delivery, exit, notice, permitted};
use crate::{Delivery, Destination, ForgetKind, Outcome};

const OTHER: &str = "ffffffffffffffffffffffffffffffff";

/// An event of somebody else.
fn other(position: u64) -> Permitted<Delivery> {
    with(position, json!({"type": "track", "event": "Order Completed", "userId": "bob@example.com"}))
}

/// An event of somebody else's profile, with whatever is in it.
fn with(position: u64, event: Value) -> Permitted<Delivery> {
    let mut delivery = delivery(position);
    delivery.profile = OTHER.to_owned();
    delivery.json = event.to_string();
    permitted(delivery)
}

fn ada(position: u64) -> Permitted<Delivery> {
    permitted(delivery(position))
}

fn erase(destination: &mut Box<dyn Destination>) {
    assert_eq!(destination.forget(&notice(ForgetKind::Erase)), Outcome::Delivered);
}

/// The message ids in a file, in order; a mark is empty.
fn ids(file: &Path) -> Vec<String> {
    let id =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message_id"].as_str().unwrap().to_owned();
    fs::read_to_string(file).unwrap().lines().map(id).collect()
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("deliveries/orders.jsonl")
}

#[test]
fn erasing_takes_the_lines_of_the_person_and_keeps_the_others_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path());
    let mut destination = open(folder.path());
    deliver(&mut destination, &[ada(1), other(2), ada(3), other(4)]);
    let kept: Vec<String> =
        fs::read_to_string(&file).unwrap().lines().skip(1).step_by(2).map(str::to_owned).collect();
    erase(&mut destination);
    assert_eq!(fs::read_to_string(&file).unwrap(), kept.join("\n") + "\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    deliver(&mut destination, &[other(5)]);
    assert_eq!(ids(&file), ["m-2", "m-4", "m-5"]);
}

#[test]
fn a_person_is_found_by_profile_by_message_and_by_identifiers_anywhere_in_the_event() {
    for (event, is_hers) in [
        (json!({"userId": "ada@example.com"}), true),
        (json!({"context": {"list": [{"deep": ["ada@example.com"]}]}}), true),
        (json!({"properties": {"email": "nada@example.com"}}), false),
        (json!({"properties": {"note": "wrote to ada@example.com"}}), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut destination = open(folder.path());
        deliver(&mut destination, &[with(1, event.clone()), other(2)]);
        erase(&mut destination);
        let expected: &[&str] = if is_hers { &["m-2"] } else { &["m-1", "m-2"] };
        assert_eq!(ids(&file_in(folder.path())), expected, "{event}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut destination = open(folder.path());
    deliver(&mut destination, &[other(1), other(2)]);
    let mut by_message = notice(ForgetKind::Erase);
    by_message.message_ids.insert("m-1".to_owned());
    assert_eq!(destination.forget(&by_message), Outcome::Delivered);
    assert_eq!(ids(&file_in(folder.path())), ["m-2"]);
}

#[test]
fn what_is_erased_does_not_come_back_when_it_is_delivered_again() {
    // Whose line is last, and whether any other is left.
    let batches: [Vec<Permitted<Delivery>>; 4] = [
        vec![other(1), ada(2), other(3)],
        vec![other(1), other(2), ada(3)],
        vec![ada(1), ada(2), ada(3)],
        vec![ada(1), other(2), ada(3)],
    ];
    for batch in batches {
        for is_reopened in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let file = file_in(folder.path());
            let mut destination = open(folder.path());
            deliver(&mut destination, &batch);
            erase(&mut destination);
            let erased = fs::read(&file).unwrap();
            assert!(!String::from_utf8_lossy(&erased).contains("ada@example.com"));
            for _ in 0..2 {
                if is_reopened {
                    drop(destination);
                    destination = open(folder.path());
                }
                deliver(&mut destination, &batch);
                assert_eq!(fs::read(&file).unwrap(), erased, "nothing came back and nothing twice");
                erase(&mut destination);
                assert_eq!(fs::read(&file).unwrap(), erased, "nothing more to erase");
            }
            deliver(&mut destination, &[other(4)]);
            assert_eq!(ids(&file).last().map(String::as_str), Some("m-4"));
        }
    }
}

#[test]
fn the_mark_of_an_erasure_is_replaced_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path());
    let mut destination = open(folder.path());
    for position in 1..=5 {
        deliver(&mut destination, &[ada(position)]);
        erase(&mut destination);
        let text = fs::read_to_string(&file).unwrap();
        // `delivery` counts seconds from 2023-11-14T22:13:20Z.
        let seconds = 20 + position;
        let mark = format!(
            "{{\"position\":{position},\"index\":0,\"erased\":true,\"message_id\":\"\",\
             \"received_at\":\"2023-11-14T22:13:{seconds}.000Z\"}}\n"
        );
        assert_eq!(text, mark);
    }
    deliver(&mut destination, &[other(6), ada(7), other(8)]);
    erase(&mut destination);
    assert_eq!(ids(&file), ["m-6", "m-8"], "no mark where the lines reach as far");
}

#[test]
fn files_set_aside_are_rewritten_too() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("deliveries");
    let config = || json!({"rotate_mb": 1});
    let pad = |position| with(position, json!({"pad": "x".repeat(1_100_000)}));
    let mut destination = open_with(folder.path(), config());
    for batch in [[ada(1), pad(2)], [pad(3), ada(4)], [ada(5), other(6)]] {
        deliver(&mut destination, &batch);
    }
    let untouched = files.join("orders.jsonl.bak");
    fs::write(&untouched, "ada@example.com").unwrap();
    erase(&mut destination);
    assert_eq!(ids(&files.join("orders.jsonl.1")), ["m-2"]);
    assert_eq!(ids(&files.join("orders.jsonl.2")), ["m-3", ""]);
    assert_eq!(ids(&files.join("orders.jsonl")), ["m-6"]);
    assert_eq!(fs::read(&untouched).unwrap(), b"ada@example.com", "not a file of ours");
    // As if the machine had stopped right after the last file was set aside.
    drop(destination);
    fs::remove_file(files.join("orders.jsonl")).unwrap();
    let mut destination = open_with(folder.path(), config());
    deliver(&mut destination, &[pad(3), ada(4), other(5)]);
    assert_eq!(ids(&files.join("orders.jsonl")), ["m-5"]);
}

#[test]
fn a_crash_at_any_byte_of_an_erasure_leaves_the_old_file_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path());
    deliver(&mut open(folder.path()), &[ada(1), other(2), ada(3)]);
    let old = fs::read(&file).unwrap();
    erase(&mut open(folder.path()));
    let new = fs::read(&file).unwrap();
    let drafts = ["orders.jsonl.erasing", "orders.jsonl.7.erasing"].map(|name| file.with_file_name(name));
    for cut in 0..=new.len() {
        fs::write(&file, &old).unwrap();
        drafts.iter().for_each(|draft| fs::write(draft, &new[..cut]).unwrap());
        let mut destination = open(folder.path());
        deliver(&mut destination, &[ada(1), other(2), ada(3)]);
        assert_eq!(fs::read(&file).unwrap(), old, "cut at byte {cut}");
        assert!(drafts.iter().all(|draft| !draft.exists()), "what was left over is removed");
        erase(&mut destination);
        assert_eq!(fs::read(&file).unwrap(), new);
    }
}

#[test]
fn an_erasure_opens_what_is_there_and_keeps_it_locked() {
    let folder = tempfile::tempdir().unwrap();
    let mut destination = open(folder.path());
    erase(&mut destination);
    assert!(!folder.path().join("deliveries").exists(), "nothing is made where nothing was");
    deliver(&mut destination, &[ada(1), other(2)]);
    drop(destination);
    let mut second = open(folder.path());
    erase(&mut second);
    let mut third = open(folder.path());
    let locked = third.forget(&notice(ForgetKind::Erase));
    assert!(matches!(locked, Outcome::Retry { .. }), "the new file is locked as the old one was: {locked:?}");
    assert_eq!(ids(&file_in(folder.path())), ["m-2"]);
}

#[test]
fn a_file_with_lines_of_somebody_else_is_not_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let aside = folder.path().join("deliveries/orders.jsonl.1");
    let mut destination = open(folder.path());
    deliver(&mut destination, &[ada(1), other(2)]);
    fs::write(&aside, "my notes about ada@example.com\n").unwrap();
    let outcome = destination.forget(&notice(ForgetKind::Erase));
    let Outcome::Retry { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("orders.jsonl.1") && !reason.contains("ada@"), "{reason}");
    assert_eq!(fs::read(&aside).unwrap(), b"my notes about ada@example.com\n");
    fs::remove_file(&aside).unwrap();
    erase(&mut destination);
    assert_eq!(ids(&file_in(folder.path())), ["m-2"]);
}

#[test]
fn a_file_cannot_be_told_to_restrict() {
    let folder = tempfile::tempdir().unwrap();
    let mut destination = open(folder.path());
    deliver(&mut destination, &[ada(1)]);
    for kind in [ForgetKind::Rectify, ForgetKind::Restrict, ForgetKind::Object] {
        let outcome = destination.forget(&notice(kind));
        assert!(
            matches!(&outcome, Outcome::Refused { reason } if reason.contains(kind.as_str())),
            "{outcome:?}"
        );
    }
    assert_eq!(ids(&file_in(folder.path())), ["m-1"]);
}

#[test]
fn who_left_an_audience_is_written_once_whatever_was_written_since_and_goes_with_the_person() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path());
    let mut destination = open(folder.path());
    deliver(&mut destination, &[ada(1), other(9)]);
    for _ in 0..2 {
        assert_eq!(destination.leave(&exit(3)), Outcome::Delivered);
    }
    drop(destination);
    let mut destination = open(folder.path());
    assert_eq!(destination.leave(&exit(3)), Outcome::Delivered);
    assert_eq!(ids(&file).iter().filter(|id| *id == "audience-3").count(), 1, "{:?}", ids(&file));
    erase(&mut destination);
    assert!(!fs::read_to_string(&file).unwrap().contains("audience-3"));
}
