//! Tracking plans in the pipeline: what is refused, what goes on, what is counted, and that order does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{Document, Operation};
use tessera_pipeline::{PipelineOptions, load_seen, load_violations};

use crate::world::{NOON, World, identify, track, workspace};

fn planned(change: Value) -> World {
    let mut plan = json!({
        "kind": "TrackingPlan", "name": "shop", "sources": ["web", "form"], "unplanned_events": "pass",
        "events": {
            "Product Viewed": {"schema": {"properties": {"price": {"type": "number"}, "card": {"type": "string"}}}},
            "identify": {"schema": {"properties": {"email": {"type": "string"}}}},
        },
    });
    plan.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let mut world = World::new();
    let mut documents = workspace();
    documents.push(serde_json::from_value::<Document>(plan).unwrap());
    world.operate(Operation::Apply { documents });
    world
}

fn viewed(message: &str, price: Value) -> Value {
    let mut event = track(message, Some("u1"), None, NOON);
    event["properties"] = json!({"price": price});
    event
}

/// How often each violation came: `event path keyword reaction`.
fn counts(world: &World) -> BTreeMap<String, u64> {
    let violations = load_violations(world.store.as_ref()).unwrap();
    let name = |kind: &tessera_pipeline::ViolationKind| {
        format!("{} {} {} {}", kind.event, kind.path, kind.keyword, kind.reaction)
    };
    violations.iter().map(|(kind, count)| (name(kind), *count)).collect()
}

#[test]
fn what_is_refused_is_a_reject_with_its_violations_and_no_value_and_is_counted() {
    for (on_violation, code) in [("block", "TES-K001"), ("quarantine", "TES-K002")] {
        let mut world = planned(json!({"on_violation": on_violation}));
        world.send("web", &[viewed("m1", json!("canary")), viewed("m2", json!(5))]);
        let expected = format!("{code} tracking plan shop 1 wants properties.price: number (type)");
        assert_eq!(world.rejects(), [expected]);
        assert_eq!(world.totals().rejected, BTreeMap::from([(code.to_owned(), 1)]));
        assert_eq!(world.totals().accepted, 1);
        let counted = format!("Product Viewed properties.price type {on_violation}");
        assert_eq!(counts(&world), BTreeMap::from([(counted, 1)]));
    }
}

#[test]
fn what_passes_or_is_stripped_joins_the_profile_and_is_counted() {
    for on_violation in ["pass", "strip"] {
        let mut world = planned(json!({"on_violation": on_violation}));
        let traits = json!({"email": 7, "plan": "pro"});
        world.send("web", &[identify("m1", Some("u1"), None, traits, NOON)]);
        let traits = &world.profile("user_id:u1")["traits"];
        let expected = if on_violation == "pass" { json!(7) } else { Value::Null };
        assert_eq!((&traits["email"], &traits["plan"]), (&expected, &json!("pro")), "{on_violation}");
        assert!(world.rejects().is_empty());
        assert_eq!(counts(&world).into_values().sum::<u64>(), 1);
    }
}

#[test]
fn an_event_that_no_purpose_covers_leaves_nothing_but_a_count_also_when_it_violates_a_plan() {
    for on_violation in ["block", "quarantine", "strip", "pass"] {
        let mut world = planned(json!({"on_violation": on_violation}));
        let before = world.hash();
        // `form` needs consent to news, which nobody gave.
        world.send("form", &[viewed("m1", json!("canary"))]);
        assert!(world.rejects().is_empty() && counts(&world).is_empty(), "{on_violation}");
        assert!(load_seen(world.store.as_ref()).unwrap().is_empty(), "nothing was seen of it");
        assert_eq!(world.totals().denied.values().sum::<u64>(), 1);
        assert_ne!(before, world.hash(), "the count");
        assert_eq!(world.profiles().len(), 0);
    }
}

#[test]
fn a_word_about_purposes_on_a_refused_event_is_kept() {
    let mut world = planned(json!({"on_violation": "block"}));
    let mut event = viewed("m1", json!("canary"));
    event["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": false}}});
    world.send("form", &[event]);
    assert!(world.consents("user_id:u1").to_string().contains("news"));
}

#[test]
fn a_plan_applied_later_holds_for_what_comes_then_and_a_replay_agrees() {
    let mut world = World::new();
    world.send("web", &[viewed("m1", json!("text"))]);
    let mut documents = workspace();
    let plan = json!({"kind": "TrackingPlan", "name": "shop", "sources": ["web"], "on_violation": "block",
                      "events": {"Product Viewed": {"schema": {"properties": {"price": {"type": "number"}}}}}});
    documents.push(serde_json::from_value(plan).unwrap());
    world.operate(Operation::Apply { documents });
    world.send("web", &[viewed("m2", json!("text"))]);
    assert_eq!((world.totals().accepted, world.rejects().len()), (1, 1));
    let mut again = World::on(Arc::clone(&world.log), PipelineOptions::default());
    again.pipeline.catch_up().unwrap();
    assert_eq!(world.hash(), again.hash());
}

#[test]
fn what_was_seen_tells_events_properties_and_kinds_and_no_value() {
    let mut world = planned(json!({}));
    let mut odd = track("m3", Some("u1"), None, NOON);
    odd["event"] = json!("ada@example.com");
    world.send("web", &[viewed("m1", json!(5)), viewed("m2", json!(null)), odd]);
    let seen = load_seen(world.store.as_ref()).unwrap();
    let text = serde_json::to_string(&seen).unwrap();
    assert!(!text.contains("ada"), "{text}");
    let names: Vec<(&str, bool)> = seen.iter().map(|seen| (seen.event.as_str(), seen.is_planned)).collect();
    assert!(names.contains(&("Product Viewed", true)) && names.contains(&("*", false)), "{names:?}");
    let price = seen.iter().find_map(|seen| seen.properties.get("price")).unwrap();
    let kinds: Vec<&str> = price.kinds().map(tessera_contract::Kind::as_str).collect();
    assert_eq!((kinds, price.present), (vec!["null", "integer"], 1));
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    let value = prop_oneof![Just(json!(1)), Just(json!("text")), Just(json!(null)), Just(json!(["c1"]))];
    let name = "(Product Viewed|Odd|Other)";
    proptest::collection::vec((name, "u[1-3]", value, any::<bool>()), 1..30).prop_map(|events| {
        let event = |(n, (name, user, value, is_identify)): (usize, (String, String, Value, bool))| {
            let (message, at) = (format!("m{n}"), NOON - 1000);
            if is_identify {
                return identify(
                    &message,
                    Some(&user),
                    None,
                    json!({"email": value, "plan": n}),
                    at + n as i64,
                );
            }
            let mut event = track(&message, Some(&user), None, at + n as i64);
            (event["event"], event["properties"]) =
                (json!(name), json!({"price": value, "card": value, "more": 1}));
            event
        };
        events.into_iter().enumerate().map(event).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn batch_boundaries_do_not_show_under_a_plan(
        events in events(), size in 1_usize..9, commit in 1_usize..9, on_violation in "(pass|strip|quarantine|block)",
    ) {
        let mut world = planned(json!({"on_violation": on_violation, "unplanned_properties": "strip"}));
        events.chunks(size).for_each(|batch| world.send("web", batch));
        let options = PipelineOptions { batch_events_max: commit, read_bytes_max: 1, ..PipelineOptions::default() };
        let mut again = World::on(Arc::clone(&world.log), options);
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), again.hash());
    }

    #[test]
    fn shuffled_events_give_the_same_profiles_counts_and_observations_under_a_plan(
        (events, shuffled) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        on_violation in "(pass|strip|quarantine|block)",
    ) {
        let of = |events: &[Value]| {
            let mut world = planned(json!({"on_violation": on_violation, "unplanned_properties": "strip"}));
            events.iter().for_each(|event| world.send("web", std::slice::from_ref(event)));
            let seen = load_seen(world.store.as_ref()).unwrap();
            // Which message came at which place of the log is not part of it.
            let traits: Vec<String> = ["u1", "u2", "u3"]
                .map(|user| world.profile_for(&format!("user_id:{user}"), None))
                .map(|profile| profile.map_or_else(|error| error, |profile| profile["traits"].to_string()))
                .into();
            (traits, counts(&world), seen)
        };
        prop_assert_eq!(of(&events), of(&shuffled));
    }
}
