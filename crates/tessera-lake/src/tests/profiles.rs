//! Snapshots of profiles: whole or not at all, and without whoever is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use tessera_model::{ConsentStatus, Operation, Timestamp};
use tessera_pipeline::ProfileSnapshots;
use tessera_store::{LakeError, Position, ProfileLake as _, ProfileRow, Store as _};

use super::world::{NOON, World};
use crate::files::Batches;
use crate::profiles::{PROFILES, rows_of};
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
    snapshots(world).take(&AtomicBool::new(false)).unwrap()
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
    assert!(snapshots(&world).take(&AtomicBool::new(true)).is_err(), "it is stopped");
    // The process dies: what the attempt has written goes when the table is opened again.
    let again = DeltaLake::open(&folder, LakeOptions::default(), Timestamp::from_millis(NOON)).unwrap();
    drop(again);
    assert_eq!(rows(&world), before);
    world.restart(true);
    take(&world);
    assert_eq!((rows(&world).len(), files(&folder.join("profiles")).len()), (6, 1));
}
