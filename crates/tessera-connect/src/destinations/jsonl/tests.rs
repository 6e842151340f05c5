//! The file against its cases, crashes, repeats and rotation.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tessera_model::Timestamp;
use tessera_policy::Permitted;

use super::map::{Tail, lines};
use super::{BATCH_MAX, CONNECTOR};
use crate::fixture::{self, Case, batch, delivery, permitted};
use crate::{Delivery, Destination, Outcome};

pub(super) fn open_with(folder: &Path, config: Value) -> Box<dyn Destination> {
    (CONNECTOR.open)(&fixture::context(folder), &fixture::config(config)).unwrap()
}

pub(super) fn open(folder: &Path) -> Box<dyn Destination> {
    open_with(folder, json!({}))
}

pub(super) fn deliver(destination: &mut Box<dyn Destination>, batch: &[Permitted<Delivery>]) {
    assert_eq!(destination.deliver(batch), Outcome::Delivered);
}

/// The message ids in a file, in order.
fn ids(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let id =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["message_id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

fn expected(positions: impl IntoIterator<Item = u64>) -> Vec<String> {
    positions.into_iter().map(|position| format!("m-{position}")).collect()
}

fn replay(position: u64) -> Permitted<Delivery> {
    let mut delivery = delivery(position);
    delivery.replay = true;
    permitted(delivery)
}

#[test]
fn lines_have_the_events_on_one_line_each() {
    let case: Case = serde_json::from_str(include_str!("cases/lines.json")).unwrap();
    let (bytes, _) =
        lines(Tail::default(), &case.batch().iter().map(Permitted::get).collect::<Vec<_>>()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with('\n') && !text.contains('\r'));
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(found), case.expected);
}

#[test]
fn a_repeated_batch_is_written_once_before_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    let mut first = open(folder.path());
    deliver(&mut first, &batch(1..=3));
    deliver(&mut first, &batch(1..=5));
    drop(first);
    let mut second = open(folder.path());
    deliver(&mut second, &batch(4..=7));
    assert_eq!(ids(&file), expected(1..=7));
}

#[test]
fn a_crash_at_any_byte_neither_loses_nor_doubles_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    deliver(&mut open(folder.path()), &batch(1..=2));
    let acknowledged = fs::read(&file).unwrap();
    deliver(&mut open(folder.path()), &[&batch(3..=4)[..], &[replay(0)]].concat());
    let whole = fs::read(&file).unwrap();
    for cut in acknowledged.len()..=whole.len() {
        fs::write(&file, &whole[..cut]).unwrap();
        deliver(&mut open(folder.path()), &[&batch(3..=4)[..], &[replay(0)], &batch(5..=5)[..]].concat());
        assert_eq!(ids(&file), expected([1, 2, 3, 4, 0, 5]), "cut at byte {cut}");
    }
}

#[test]
fn a_replayed_dead_letter_is_written_though_its_place_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    let mut first = open(folder.path());
    deliver(&mut first, &batch(5..=6));
    deliver(&mut first, &[replay(2)]);
    deliver(&mut first, &[replay(2)]);
    drop(first);
    let mut second = open(folder.path());
    deliver(&mut second, &[replay(2), replay(3)]);
    deliver(&mut second, &batch(6..=7));
    assert_eq!(ids(&file), expected([5, 6, 2, 3, 7]));
}

#[test]
fn events_older_than_the_lines_remembered_are_skipped_after_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    let many = 2 * BATCH_MAX as u64 + 10;
    deliver(&mut open(folder.path()), &batch(0..many));
    deliver(&mut open(folder.path()), &batch(0..=many));
    assert_eq!(ids(&file), expected(0..=many));
}

#[test]
fn events_of_a_new_log_are_not_taken_for_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    deliver(&mut open(folder.path()), &batch(100..=102));
    let mut fresh = delivery(1);
    fresh.message_id = "fresh".to_owned();
    fresh.received_at = Timestamp::parse("2024-01-01").unwrap();
    let mut again = open(folder.path());
    deliver(&mut again, &[permitted(fresh.clone())]);
    drop(again);
    deliver(&mut open(folder.path()), &[permitted(fresh)]);
    assert_eq!(ids(&file), ["m-100", "m-101", "m-102", "fresh"]);
}

#[test]
fn a_full_file_is_set_aside_under_the_next_number() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("deliveries");
    let config = || json!({"path": "shop/out.jsonl", "rotate_mb": 1});
    let large = |position| {
        let mut delivery = delivery(position);
        delivery.json = format!("\"{}\"", "x".repeat(600_000));
        permitted(delivery)
    };
    let mut first = open_with(folder.path(), config());
    deliver(&mut first, &[large(1), large(2)]);
    deliver(&mut first, &[large(1), large(2), large(3), large(4)]);
    deliver(&mut first, &batch([5]));
    drop(first);
    assert_eq!(ids(&files.join("shop/out.jsonl.1")), expected(1..=2));
    assert_eq!(ids(&files.join("shop/out.jsonl.2")), expected(3..=4));
    assert_eq!(ids(&files.join("shop/out.jsonl")), expected([5]));
    // As if the machine had stopped between setting aside and the next batch.
    fs::rename(files.join("shop/out.jsonl"), files.join("shop/out.jsonl.3")).unwrap();
    deliver(&mut open_with(folder.path(), config()), &batch(5..=6));
    assert_eq!(ids(&files.join("shop/out.jsonl")), expected([6]));
}

#[test]
fn a_file_that_is_moved_emptied_or_removed_is_begun_anew_without_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries/orders.jsonl");
    let mut destination = open(folder.path());
    deliver(&mut destination, &batch([1]));
    fs::rename(&file, folder.path().join("moved")).unwrap();
    deliver(&mut destination, &batch(1..=2));
    assert_eq!(ids(&file), expected([2]));
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    deliver(&mut destination, &batch(2..=3));
    assert_eq!(ids(&file), expected([3]));
    fs::remove_file(&file).unwrap();
    deliver(&mut destination, &batch(3..=4));
    assert_eq!(ids(&file), expected([4]));
}

#[test]
fn a_file_is_readable_by_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    deliver(&mut open(folder.path()), &batch([1]));
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("deliveries"), mode("deliveries/orders.jsonl")), (0o700, 0o600));
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { after_millis: None, reason } => reason,
        other @ (Outcome::Retry { .. } | Outcome::Delivered | Outcome::Refused { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn a_file_in_use_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (open(folder.path()), open(folder.path()));
    deliver(&mut first, &batch([1]));
    let reason = reason(second.deliver(&batch([2])));
    assert!(reason.ends_with("is in use by another process or destination"), "{reason}");
    drop(first);
    deliver(&mut second, &batch([2]));
    assert_eq!(ids(&folder.path().join("deliveries/orders.jsonl")), expected([1, 2]));
}

#[test]
fn a_file_of_somebody_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "my notes").unwrap();
    let reason = reason(open_with(folder.path(), json!({"path": file})).deliver(&batch([1])));
    assert!(reason.contains("byte 0 begins a line that Tessera did not write"), "{reason}");
    assert_eq!(fs::read(&file).unwrap(), b"my notes");
}

#[test]
fn a_file_that_cannot_be_made_is_retried() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("deliveries"), "a file where the folder should be").unwrap();
    let mut destination = open(folder.path());
    let reason = reason(destination.deliver(&batch([1])));
    assert!(reason.starts_with("cannot create `"), "{reason}");
    fs::remove_file(folder.path().join("deliveries")).unwrap();
    deliver(&mut destination, &batch([1]));
}

#[test]
fn a_batch_with_an_event_that_is_not_json_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = delivery(2);
    broken.json = "{\"cut".to_owned();
    let mut destination = open(folder.path());
    let outcome = destination.deliver(&[permitted(delivery(1)), permitted(broken)]);
    assert_eq!(outcome, Outcome::Refused { reason: "the stored event is not JSON".to_owned() });
    deliver(&mut destination, &batch([1]));
    assert_eq!(ids(&folder.path().join("deliveries/orders.jsonl")), expected([1]));
}

#[test]
fn settings_that_cannot_be_used_are_named_with_their_limit() {
    for (config, field, what) in [
        (json!({"paths": "x"}), "config.paths", "unknown field `paths`, expected `path` or `rotate_mb`"),
        (json!({"path": "../x.jsonl"}), "config.path", "holds `..`"),
        (json!({"path": "/var/../etc/x"}), "config.path", "holds `..`"),
        (json!({"path": ""}), "config.path", "names no file"),
        (json!({"path": "/"}), "config.path", "names no file"),
        (json!({"path": "shop/"}), "config.path", "names no file"),
        (json!({"path": "a\u{0}b"}), "config.path", "holds a control character"),
        (json!({"rotate_mb": 0}), "config.rotate_mb", "is 0, the limits are 1 and 1000000"),
    ] {
        let error = (CONNECTOR.check)(&fixture::config(config)).unwrap_err();
        assert_eq!((error.field.as_str(), error.what.as_str()), (field, what));
        assert!(!error.hint.is_empty());
    }
    (CONNECTOR.check)(&fixture::config(json!({}))).unwrap();
}
