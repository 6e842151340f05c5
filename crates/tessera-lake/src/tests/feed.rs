//! From the pipeline to the lake: what is kept comes once, what is erased goes.

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{ConsentStatus, Operation};
use tessera_store::Lake as _;

use super::lake::{holds, rows};
use super::world::World;

fn documents() -> Value {
    json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
    ])
}

fn track(user: &str, n: u32) -> Value {
    json!({"type": "track", "userId": user, "event": "Seen", "messageId": format!("m{n}"),
           "properties": {"n": n, "of": format!("about-{user}")}})
}

fn messages(world: &World) -> Vec<String> {
    let mut found: Vec<String> = rows(&world.lake).iter().map(|row| row.message_id.to_string()).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_kept_event_is_in_the_lake_once_whatever_crashes(
        steps in proptest::collection::vec((0_u32..40, 0_u8..6), 1..30),
    ) {
        let mut world = World::new(documents());
        let mut wanted = std::collections::BTreeSet::new();
        for (n, what) in steps {
            match what {
                0 => world.restart(true),
                1 => world.restart(false),
                2 => drop(world.feed.flush().unwrap()),
                // Repeats are many: the same few messages come again and again.
                _ => {
                    world.send("web", &[track("u1", n), track("u2", n + 100)]);
                    wanted.extend([format!("m{n}"), format!("m{}", n + 100)]);
                }
            }
        }
        world.feed.flush().unwrap();
        prop_assert_eq!(messages(&world), wanted.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(world.feed.flush().unwrap(), 0);
        let before = rows(&world.lake);
        world.refill();
        prop_assert_eq!(rows(&world.lake), before, "a lake that was lost is filled with the same rows");
    }
}

#[test]
fn an_event_that_no_purpose_covers_never_comes_to_the_lake() {
    let mut world = World::new(documents());
    world.send("form", &[track("u1", 1)]);
    world.send("web", &[track("u1", 2)]);
    world.feed.flush().unwrap();
    assert_eq!(messages(&world), ["m2"]);
    assert!(world.lake.position() <= world.end());
}

#[test]
fn who_is_erased_is_in_no_file_of_the_lake() {
    let mut world = World::new(documents());
    world.send("web", &[track("u1", 1), track("u2", 2)]);
    let named = json!({"type": "track", "userId": "u2", "event": "Seen", "messageId": "m3",
                       "properties": {"friend": "u1", "kept": "word"}});
    world.send("web", &[named]);
    world.feed.flush().unwrap();
    // One more that is still on its way when the order comes.
    world.send("web", &[track("u1", 4)]);
    let fragments = vec![world.id("user_id:u1")];
    world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    let eraser = world.eraser();
    let finished = eraser.erase(&mut |_| {}).unwrap().unwrap();
    eraser.done(&finished).unwrap();
    assert_eq!(messages(&world), ["m2", "m3"]);
    for text in ["about-u1", "\"u1\""] {
        assert!(!holds(world.lake.table(), text), "{text}");
    }
    assert!(holds(world.lake.table(), "\"kept\":\"word\""));
    let before = rows(&world.lake);
    assert_eq!(world.refill(), 2);
    assert_eq!(rows(&world.lake), before);
}

#[test]
fn what_no_purpose_covers_any_more_leaves_the_lake_and_a_later_yes_does_not_bring_it_back() {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
        {"kind": "Source", "name": "both", "write_key": "both-write-key", "purposes": ["service", "news"]},
    ]));
    world.send("web", &[track("u1", 1)]);
    world.say("u1", ConsentStatus::Given);
    world.send("form", &[track("u1", 2)]);
    world.send("both", &[track("u1", 3)]);
    world.feed.flush().unwrap();
    assert_eq!(messages(&world), ["m1", "m2", "m3"]);
    world.clock.advance_millis(1_000);
    world.say("u1", ConsentStatus::Withdrawn);
    world.eraser().sweep(&mut |_| {}).unwrap();
    assert_eq!(messages(&world), ["m1", "m3"]);
    world.clock.advance_millis(1_000);
    world.say("u1", ConsentStatus::Given);
    let served = rows(&world.lake).iter().map(|row| row.purposes.iter().count()).collect::<Vec<_>>();
    assert_eq!(served, [1, 1], "the yes that was taken back serves no event any more");
    let before = rows(&world.lake);
    world.refill();
    assert_eq!(rows(&world.lake), before, "nor does a lake that was lost and is filled anew");
}
