//! What must always hold, on random histories.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::Operation;
use tessera_pipeline::PipelineOptions;

use crate::world::{NOON, World, identify, track};

/// Few people and devices, so that they meet; times that tie; calls of every kind.
fn event() -> impl Strategy<Value = Value> {
    let user = proptest::option::weighted(0.6, "u[1-3]");
    let device = proptest::option::weighted(0.7, "d[1-4]");
    (user, device, 0_u8..10, 0_i64..6, proptest::option::weighted(0.3, "e[1-3]"), 0_u8..4).prop_map(
        |(user, device, kind, at, email, value)| {
            let device = if user.is_none() { device.or(Some("d1".to_owned())) } else { device };
            let (user, device) = (user.as_deref(), device.as_deref());
            let at = NOON - 10_000 + at;
            match kind {
                0..=3 => track("", user, device, at),
                4..=7 => {
                    let mut traits = json!({"value": value, format!("t{value}"): at});
                    if let Some(email) = email {
                        traits["email"] = json!(format!("{email}@x.org"));
                    }
                    identify("", user, device, traits, at)
                }
                8 => {
                    let mut group = track("", user, device, at);
                    group["type"] = json!("group");
                    group["groupId"] = json!(format!("g{value}"));
                    group["traits"] = json!({"size": value});
                    group
                }
                _ => {
                    let mut alias = track("", user.or(Some("u1")), device, at);
                    alias["type"] = json!("alias");
                    alias["previousId"] = json!(format!("u{}", value + 1));
                    alias
                }
            }
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(event(), 1..40).prop_map(|mut events| {
        for (n, event) in events.iter_mut().enumerate() {
            event["messageId"] = json!(format!("m{n}"));
        }
        events
    })
}

fn world_of(batches: &[&[Value]]) -> World {
    let mut world = World::new();
    batches.iter().for_each(|batch| world.send("web", batch));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn batch_boundaries_do_not_show(events in events(), size in 1_usize..9, commit in 1_usize..9) {
        let chunks: Vec<&[Value]> = events.chunks(size).collect();
        let world = world_of(&chunks);
        let options = PipelineOptions { batch_events_max: commit, read_bytes_max: 1, ..PipelineOptions::default() };
        let mut again = World::on(Arc::clone(&world.log), options);
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), again.hash());
        let mut at_once = World::on(Arc::clone(&world.log), PipelineOptions::default());
        at_once.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), at_once.hash());
    }

    #[test]
    fn shuffled_and_repeated_events_give_the_same_profiles(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        repeats in 0_usize..10,
    ) {
        let world = world_of(&[&events]);
        let repeated: Vec<Value> = shuffled.iter().chain(shuffled.iter().take(repeats)).cloned().collect();
        let other = world_of(&repeated.chunks(3).collect::<Vec<_>>());
        prop_assert_eq!(world.profiles(), other.profiles());
        prop_assert_eq!(world.totals().accepted, other.totals().accepted);
        prop_assert_eq!(world.totals().profiles, other.totals().profiles);
    }

    #[test]
    fn a_crash_at_any_record_replays_to_the_same_state(events in events(), checkpoint in 0_usize..12, crash in 0_usize..12) {
        use tessera_store::{Log, Store};
        let chunks: Vec<&[Value]> = events.chunks(4).collect();
        let mut world = World::new();
        for (n, chunk) in chunks.iter().enumerate() {
            world.send("web", chunk);
            if n == checkpoint {
                world.store.checkpoint().unwrap();
            }
            if n == crash {
                world.store.crash();
                world.reopen();
                world.pipeline.catch_up().unwrap();
            }
        }
        prop_assert_eq!(world.store.position(), world.log.bounds().end);
        prop_assert_eq!(world.hash(), world_of(&chunks).hash());
    }

    #[test]
    fn merge_then_split_is_as_if_never_merged(events in events(), user in 1_u8..4, device in 1_u8..5) {
        // A person and a device that nothing else connects, so that the one event is what merges them.
        let (user, device) = (format!("u{user}"), format!("x{device}"));
        let device_events = [
            identify("x1", None, Some(&device), json!({"colour": "red"}), NOON - 9_000),
            identify("x2", None, Some(&device), json!({"colour": "blue"}), NOON - 1_000),
        ];
        let seen = [track("u-first", Some(&user), None, NOON - 20_000), track("u-last", Some(&user), None, NOON)];
        let apart = track("link", Some(&user), None, NOON - 5_000);
        let together = track("link", Some(&user), Some(&device), NOON - 5_000);
        let never = world_of(&[&events, &seen, &device_events, &[apart]]);
        let mut split = world_of(&[&events, &seen, &device_events, &[together]]);
        let fragments = vec![split.id(&format!("anonymous_id:{device}"))];
        split.operate(Operation::Split { fragments, reason: "two people".to_owned() });
        for reference in [format!("user_id:{user}"), format!("anonymous_id:{device}")] {
            let (mut one, mut other) = (never.profile(&reference), split.profile(&reference));
            // What is left of the merge is the evidence that was cut.
            one["merges"] = Value::Null;
            other["merges"] = Value::Null;
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(never.totals().profiles, split.totals().profiles);
    }
}
