//! Snapshots of profiles: whole or not at all, and without whoever is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datafusion::arrow::datatypes::Schema;
use serde_json::{Value, json};
use tessera_model::{ConsentStatus, FragmentId, Operation, Timestamp};
use tessera_pipeline::ProfileSnapshots;
use tessera_store::{LakeError, Position, ProfileFate, ProfileLake as _, ProfileRow, Store as _};

use super::world::{NOON, World};
use crate::action;
use crate::files::{Batches, Writing};
use crate::profiles::{PROFILES, rows_of};
use crate::table::TableLog;
use crate::{DeltaLake, LakeOptions};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn world() -> World {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
    ]));
    for user in ["u1", "u2", "u3"] {
        world.send("web", &[identify(user, "plan", &format!("plan-of-{user}"))]);
        world.say(user, ConsentStatus::Given);
        world.send("form", &[identify(user, "taste", &format!("taste-of-{user}"))]);
    }
    world.send("web", &[identify("u2", "friend", "u1")]);
    world
}

fn identify(user: &str, name: &str, value: &str) -> Value {
    json!({"type": "identify", "userId": user, "messageId": format!("{user}-{name}"), "traits": {name: value}})
}

fn snapshots(world: &World) -> ProfileSnapshots<tessera_store::MemoryStore> {
    ProfileSnapshots {
        store: Arc::clone(&world.store),
        lake: Arc::clone(&world.lake) as _,
        rules: world.pipeline.rules(),
        clock: world.clock.clone(),
    }
}

fn take(world: &World) -> u64 {
    snapshots(world).take(&mut |_| true).unwrap()
}

/// Every Parquet file in the folder, whether a version names it or not.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for day in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = day.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("day=") {
            let files = std::fs::read_dir(&day).unwrap().map(|file| file.unwrap().file_name());
            found.extend(files.map(|file| format!("{name}/{}", file.to_string_lossy())));
        }
    }
    found.sort();
    found
}

/// Every row of every file.
fn rows(world: &World) -> Vec<ProfileRow> {
    let folder = world.folder.path().join("lake").join("profiles");
    let mut found = Vec::new();
    for name in files(&folder) {
        for batch in Batches::open(&folder, &name, Arc::clone(&PROFILES)).unwrap() {
            found.extend(rows_of(&batch.unwrap(), &folder.join(&name)).unwrap());
        }
    }
    found
}

fn values(world: &World) -> BTreeSet<String> {
    rows(world).iter().flat_map(|row| &row.traits).map(|one| one.value.trim_matches('"').to_owned()).collect()
}

fn texts(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_snapshot_has_everybody_by_what_covers_them() {
    let world = world();
    assert_eq!(take(&world), 6, "each of three people, for each of two purposes");
    let all = ["plan-of-u1", "plan-of-u2", "plan-of-u3", "taste-of-u1", "taste-of-u2", "taste-of-u3", "u1"];
    assert_eq!(values(&world), texts(&all));
    let rows = rows(&world);
    let position = world.store.position().0;
    assert!(
        rows.iter().all(|row| row.profile == row.fragment && row.position == position && !row.is_restricted)
    );
    assert!(rows.iter().all(|row| row.purposes.iter().count() == 1 && row.first_seen_at <= row.last_seen_at));
}

#[test]
fn who_is_erased_is_in_no_file_of_any_snapshot_nor_is_what_names_them() {
    let mut world = world();
    take(&world);
    world.clock.advance_millis(DAY);
    take(&world);
    assert_eq!(files(&world.folder.path().join("lake/profiles")).len(), 2);
    let gone = world.id("user_id:u1");
    world.operate(Operation::Erase { fragments: vec![gone], request: "r1".to_owned() });
    // One that is taken after the order and before its end.
    take(&world);
    let eraser = world.eraser();
    let finished = eraser.erase(&mut |_| {}).unwrap().unwrap();
    eraser.done(&finished).unwrap();
    assert_eq!(values(&world), texts(&["plan-of-u2", "plan-of-u3", "taste-of-u2", "taste-of-u3"]));
    assert!(rows(&world).iter().all(|row| row.fragment != gone && row.profile != gone));
    assert_eq!(rows(&world).len(), 8, "two people, two purposes, two days");
}

#[test]
fn what_no_purpose_covers_any_more_leaves_every_snapshot_and_a_later_yes_does_not_bring_it_back() {
    let mut world = world();
    take(&world);
    world.clock.advance_millis(1_000);
    world.say("u1", ConsentStatus::Withdrawn);
    world.eraser().sweep(&mut |_| {}).unwrap();
    assert!(!values(&world).contains("taste-of-u1"));
    world.clock.advance_millis(1_000);
    world.say("u1", ConsentStatus::Given);
    world.eraser().sweep(&mut |_| {}).unwrap();
    assert_eq!(rows(&world).len(), 5);
    assert!(values(&world).contains("plan-of-u1") && values(&world).contains("taste-of-u2"));
}

#[test]
fn a_day_has_one_snapshot_and_old_days_go() {
    let world = world();
    let stop = AtomicBool::new(false);
    for day in 0..5 {
        assert_eq!(snapshots(&world).keep(3, &stop).unwrap(), Some(6), "day {day}");
        assert_eq!(snapshots(&world).keep(3, &stop).unwrap(), None, "there is one of day {day}");
        take(&world);
        world.clock.advance_millis(DAY);
    }
    let folder = world.folder.path().join("lake/profiles");
    let days: Vec<String> = files(&folder).iter().map(|name| name.chars().take(14).collect()).collect();
    assert_eq!(days, ["day=2023-11-16", "day=2023-11-17", "day=2023-11-18"]);
    assert_eq!(rows(&world).len(), 18);
}

#[test]
fn a_snapshot_that_is_cut_short_leaves_the_one_before_it_whole() {
    let mut world = world();
    take(&world);
    let before = rows(&world);
    let folder = world.folder.path().join("lake");
    let failed = |rows: &mut dyn Iterator<Item = Result<ProfileRow, LakeError>>| {
        world.lake.append_profiles(Timestamp::from_millis(NOON), Position(9), rows).unwrap_err()
    };
    let broken = LakeError::Decision("killed".to_owned());
    let mut half = before.iter().cloned().map(Ok).take(3).chain([Err(broken)]);
    assert_eq!(failed(&mut half).code(), "TES-L004");
    assert!(snapshots(&world).take(&mut |_| false).is_err(), "nobody waits for it");
    // The process dies: what the attempt has written goes when the table is opened again.
    let again = DeltaLake::open(&folder, LakeOptions::default(), Timestamp::from_millis(NOON)).unwrap();
    drop(again);
    assert_eq!(rows(&world), before);
    world.restart(true);
    take(&world);
    assert_eq!((rows(&world).len(), files(&folder.join("profiles")).len()), (6, 1));
}

/// Two purposes with an audience and a computed trait each; what somebody ordered last may name somebody else.
fn world_of_members() -> World {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service", "news"]},
        {"kind": "Audience", "name": "buyers", "purpose": "service", "when": "performed \"Ordered\""},
        {"kind": "Audience", "name": "readers", "purpose": "news", "when": "performed \"Ordered\""},
        {"kind": "ComputedTrait", "name": "orders", "purpose": "service", "value": "count of \"Ordered\""},
        {"kind": "ComputedTrait", "name": "last_for", "purpose": "news", "value": "last of friend of \"Ordered\""},
        {"kind": "ComputedTrait", "name": "secret", "purpose": "news", "value": "count of \"Ordered\""},
        {"kind": "Field", "name": "traits.secret", "labels": ["special"]},
    ]));
    for (user, friend) in [("u1", "nobody"), ("u2", "u1"), ("u3", "u2")] {
        world.send("web", &[identify(user, "plan", "pro")]);
        world.say(user, ConsentStatus::Given);
        world.send("web", &[ordered(user, friend)]);
    }
    world.say("u3", ConsentStatus::Withdrawn);
    world
}

fn ordered(user: &str, friend: &str) -> Value {
    json!({"type": "track", "userId": user, "event": "Ordered", "messageId": format!("{user}-ordered"), "properties": {"friend": friend}})
}

/// What was worked out, a line for each row: `u1: buyers orders=1`.
fn derived(world: &World, users: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = rows(world)
        .iter()
        .filter_map(|row| {
            if row.made_of.is_empty() {
                return None;
            }
            assert!(row.traits.is_empty() && row.fragment == row.profile && row.purposes.iter().count() == 1);
            let is_theirs = |user: &&&str| world.id(&format!("user_id:{user}")) == row.fragment;
            let user = users.iter().find(is_theirs).unwrap();
            let audiences = row.audiences.iter().map(|(name, _)| name.to_string());
            let values = row.computed_traits.iter().map(|(name, value)| format!("{name}={value}"));
            Some(format!("{user}: {}", audiences.chain(values).collect::<Vec<_>>().join(" ")))
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn memberships_and_computed_traits_are_in_a_snapshot_as_far_as_their_purpose_sees() {
    let world = world_of_members();
    take(&world);
    let wanted = [
        "u1: buyers orders=1",
        "u1: readers last_for=\"nobody\"",
        "u2: buyers orders=1",
        "u2: readers last_for=\"u1\"",
        "u3: buyers orders=1",
    ];
    assert_eq!(derived(&world, &["u1", "u2", "u3"]), wanted);
    let all = rows(&world);
    let since = all.iter().flat_map(|row| &row.audiences);
    assert!(since.map(|(_, since)| since.as_millis()).all(|since| since == NOON));
}

#[test]
fn what_was_worked_out_goes_with_anybody_it_was_made_of_and_with_its_purpose() {
    let mut world = world_of_members();
    take(&world);
    world.clock.advance_millis(1_000);
    world.say("u2", ConsentStatus::Withdrawn);
    world.eraser().sweep(&mut |_| {}).unwrap();
    let wanted = [
        "u1: buyers orders=1",
        "u1: readers last_for=\"nobody\"",
        "u2: buyers orders=1",
        "u3: buyers orders=1",
    ];
    assert_eq!(derived(&world, &["u1", "u2", "u3"]), wanted);
    erase(&mut world, "user_id:u1");
    assert_eq!(derived(&world, &["u2", "u3"]), ["u2: buyers orders=1", "u3: buyers orders=1"]);
}

#[test]
fn a_computed_trait_that_names_somebody_who_is_erased_leaves_every_snapshot() {
    let mut world = world_of_members();
    take(&world);
    erase(&mut world, "user_id:u1");
    let wanted = ["u2: buyers orders=1", "u2: readers", "u3: buyers orders=1"];
    assert_eq!(derived(&world, &["u2", "u3"]).iter().map(|line| line.trim()).collect::<Vec<_>>(), wanted);
}

#[test]
fn what_was_worked_out_of_two_who_were_one_goes_with_either() {
    let mut world = world_of_members();
    world.send(
        "web",
        &[
            json!({"type": "track", "anonymousId": "a1", "event": "Ordered", "messageId": "a1-ordered"}),
            json!({"type": "identify", "anonymousId": "a1", "userId": "u1", "messageId": "one"}),
        ],
    );
    take(&world);
    let derived_rows = || rows(&world).into_iter().filter(|row| !row.made_of.is_empty());
    let (one, other) = ("user_id:u1", "anonymous_id:a1");
    let both = BTreeSet::from([world.id(one), world.id(other)]);
    let is_of_both = |made_of: &[FragmentId]| made_of.iter().copied().collect::<BTreeSet<_>>() == both;
    let of_both: Vec<_> = derived_rows().filter(|row| is_of_both(&row.made_of)).collect();
    let mut values = of_both.iter().flat_map(|row| &row.computed_traits);
    assert!(values.any(|(name, value)| (&**name, &**value) == ("orders", "2")));
    let profile = of_both[0].profile;
    let is_one = profile == world.id(one);
    let erased = if is_one { other } else { one };
    // They turn out to be two, and one of them is erased.
    let fragments = vec![world.id(erased)];
    world.operate(Operation::Split { fragments, reason: "two people".to_owned() });
    erase(&mut world, erased);
    assert!(rows(&world).iter().any(|row| row.profile == profile), "the other one is still there");
    assert!(rows(&world).iter().all(|row| row.profile != profile || row.made_of.is_empty()));
}

fn erase(world: &mut World, reference: &str) {
    let gone = world.id(reference);
    world.operate(Operation::Erase { fragments: vec![gone], request: format!("of-{reference}") });
    let eraser = world.eraser();
    let finished = eraser.erase(&mut |_| {}).unwrap().unwrap();
    eraser.done(&finished).unwrap();
}

#[test]
fn a_snapshot_of_an_older_version_is_read_and_rewritten_and_its_table_stays_the_same_one() {
    let world = world();
    take(&world);
    let wanted = rows(&world);
    let source = world.folder.path().join("lake/profiles");
    // The same rows in a table that was made before there were the last three columns.
    let folder = tempfile::tempdir().unwrap();
    let (table, now) = (folder.path().join("profiles"), Timestamp::from_millis(NOON));
    let older = Arc::new(Schema::new(PROFILES.fields()[..PROFILES.fields().len() - 3].to_vec()));
    let (log, mut version) = TableLog::open_or_create(&table, &older, now).unwrap();
    let mut writing = Writing::of(&older, &table, "2023-11-14", "000000000001-0000").unwrap();
    for batch in Batches::open(&source, &files(&source)[0], Arc::clone(&older)).unwrap() {
        writing.write(&batch.unwrap()).unwrap();
    }
    let file = writing.end(now).unwrap().unwrap();
    log.commit(&mut version, vec![action::position(1, now), file.add(true)]).unwrap();
    let lake = DeltaLake::open(folder.path(), LakeOptions::default(), now).unwrap();
    let mut seen = Vec::new();
    let mut sift = |row: &ProfileRow| {
        seen.push(row.clone());
        let is_first = row.fragment == wanted[0].fragment;
        Ok(if is_first { ProfileFate::Remove } else { ProfileFate::Keep })
    };
    lake.rewrite_profiles(&mut sift, now).unwrap();
    assert_eq!(seen, wanted);
    seen.clear();
    lake.rewrite_profiles(
        &mut |row| {
            seen.push(row.clone());
            Ok(ProfileFate::Keep)
        },
        now,
    )
    .unwrap();
    assert_eq!(
        seen,
        wanted.iter().filter(|row| row.fragment != wanted[0].fragment).cloned().collect::<Vec<_>>()
    );
    let mut ids = BTreeSet::new();
    for commit in std::fs::read_dir(table.join("_delta_log")).unwrap() {
        let text = std::fs::read_to_string(commit.unwrap().path()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        ids.extend(lines.filter_map(|line| line.pointer("/metaData/id").map(Value::to_string)));
    }
    assert_eq!(ids.len(), 1, "whoever follows the table goes on following it");
}
