//! Several sources' words on a trait: which survives, that the rule may change at any time, and that each word is asked for.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{Document, Operation};

use crate::world::{NOON, World, identify, track};

const SOURCES: [&str; 4] = ["web", "shop", "crm", "bought"];

fn documents(fields: &Value) -> Vec<Document> {
    let mut documents = vec![
        json!({"kind": "Purpose", "name": "service", "basis": "contract"}),
        json!({"kind": "Purpose", "name": "news", "basis": "consent"}),
        json!({"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"],
               "consent": {"Newsletter": "news"}}),
    ];
    documents.extend(SOURCES.map(|name| {
        let party = if name == "bought" { "third" } else { "first" };
        json!({"kind": "Source", "name": name, "write_key": format!("{name}-write-key"),
               "purposes": ["service"], "party": party})
    }));
    documents.extend(fields.as_array().unwrap().iter().cloned());
    serde_json::from_value(Value::Array(documents)).unwrap()
}

fn world(fields: &Value) -> World {
    let mut world = World::new();
    world.operate(Operation::Apply { documents: documents(fields) });
    world
}

fn rules() -> Vec<Value> {
    let of = |rule: Value| json!([{"kind": "Field", "name": "traits.*", "survivorship": rule}]);
    vec![
        of(json!({"rule": "most_recent"})),
        of(json!({"rule": "most_trusted_source", "sources": ["crm", "web"], "parties": ["third"]})),
        of(json!({"rule": "most_complete"})),
        of(json!({"rule": "most_frequent"})),
        of(json!({"rule": "longest"})),
        of(json!({"rule": "verified_first"})),
    ]
}

#[test]
fn a_rule_that_changes_chooses_anew_among_what_was_said_before() {
    let mut world = world(&json!([]));
    world.send("crm", &[identify("m1", Some("ada"), None, json!({"name": "Ada King Lovelace"}), NOON - 3)]);
    world.send("shop", &[identify("m2", Some("ada"), None, json!({"name": "Ada"}), NOON - 2)]);
    world.send("web", &[identify("m3", Some("ada"), Some("d1"), json!({"name": "ada"}), NOON - 1)]);
    let mut names = Vec::new();
    for rule in rules() {
        world.operate(Operation::Apply { documents: documents(&rule) });
        let profile = world.profile("user_id:ada");
        let provenance = &profile["provenance"]["name"];
        let others: Vec<&str> = profile["alternatives"]["name"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["source"].as_str())
            .collect();
        names.push(format!(
            "{} by {} ({}, {}), not {}",
            profile["traits"]["name"],
            provenance["source"],
            provenance["rule"],
            provenance["why"],
            others.join(" ")
        ));
    }
    assert_eq!(
        names.join("\n").replace('"', ""),
        "ada by web (most_recent, by its time), not shop crm\n\
         Ada King Lovelace by crm (most_trusted_source, number 1 in the order of trust), not web shop\n\
         Ada King Lovelace by crm (most_complete, says 3 parts), not web shop\n\
         ada by web (most_frequent, said by 2 of 3 records), not shop crm\n\
         Ada King Lovelace by crm (longest, 17 characters), not web shop\n\
         ada by web (verified_first, not verified by its source), not shop crm"
    );
}

#[test]
fn a_word_that_no_purpose_permits_is_shown_neither_as_the_survivor_nor_beside_it() {
    let mut world = world(&json!([]));
    let mut secret = identify("m1", Some("ada"), None, json!({"name": "Augusta"}), NOON - 9);
    secret["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": true}}});
    world.send("form", &[secret]);
    world.send("web", &[identify("m2", Some("ada"), None, json!({"name": "Ada"}), NOON - 8)]);
    let shown = |world: &World| world.profile("user_id:ada").to_string();
    assert!(shown(&world).contains("Augusta"), "{}", shown(&world));
    let mut no = track("m3", Some("ada"), None, NOON - 7);
    no["context"] = json!({"consent": {"categoryPreferences": {"news": false}}});
    world.send("web", &[no]);
    assert!(!shown(&world).contains("Augusta"), "{}", shown(&world));
    assert_eq!(world.profile("user_id:ada")["traits"]["name"], "Ada");
    // Were it the survivor, there would be no value at all rather than one that the rule did not choose.
    let longest = json!([{"kind": "Field", "name": "traits.name", "survivorship": {"rule": "longest"}}]);
    world.operate(Operation::Apply { documents: documents(&longest) });
    assert!(!shown(&world).contains("Augusta"), "{}", shown(&world));
    assert_eq!(world.profile("user_id:ada")["traits"]["name"], Value::Null);
}

#[test]
fn what_was_put_right_is_not_undone_by_a_rule() {
    for rule in rules() {
        let mut world = world(&rule);
        let long = json!({"name": "Adelaide von Holstein", "name_verified": true});
        world.send("crm", &[identify("m1", Some("ada"), None, long.clone(), NOON - 9)]);
        world.send("web", &[identify("m2", None, Some("d1"), long.clone(), NOON - 8)]);
        world.send("web", &[track("m3", Some("ada"), Some("d1"), NOON - 7)]);
        let fragment = world.id("user_id:ada");
        let traits = [("name".to_owned(), json!("Ada"))].into();
        world.operate(Operation::Rectify { fragment, traits, request: "r1".to_owned() });
        // What comes late and was said before.
        world.send("bought", &[identify("m4", Some("ada"), None, long, NOON - 6)]);
        let profile = world.profile("user_id:ada");
        assert_eq!(profile["traits"]["name"], "Ada", "{rule}");
        assert!(!profile.to_string().contains("Adelaide"), "{rule}: {profile}");
    }
}

/// A source, a person or a device, a moment, and what is said.
fn said() -> impl Strategy<Value = Vec<(usize, Value)>> {
    let name = prop::sample::select(vec!["name", "name", "city", "name_verified"]);
    let value =
        prop::sample::select(vec![json!("Ada"), json!("ada "), json!({"a": "b"}), json!(true), Value::Null]);
    let one =
        (0..SOURCES.len(), 0_u8..6, name, value, 0_i64..8).prop_map(|(source, who, name, value, at)| {
            let (user, device) = match who {
                0 | 1 => (Some("u1"), None),
                2 => (Some("u1"), Some("d1")),
                3 => (Some("u2"), Some("d2")),
                _ => (None, Some(if who == 4 { "d1" } else { "d2" })),
            };
            (source, identify("", user, device, json!({name: value}), NOON - 100 + at))
        });
    prop::collection::vec(one, 1..30).prop_map(|mut said| {
        for (n, (_, event)) in said.iter_mut().enumerate() {
            event["messageId"] = json!(format!("m{n}"));
        }
        said
    })
}

fn told(fields: &Value, said: &[(usize, Value)]) -> World {
    let mut world = world(fields);
    for (source, event) in said {
        world.send(SOURCES[*source], std::slice::from_ref(event));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_rule_chooses_the_same_whenever_it_comes_and_in_whatever_order_words_do(
        (said, shuffled) in said().prop_flat_map(|said| (Just(said.clone()), Just(said).prop_shuffle())),
        repeats in 0_usize..10,
        before in 0_usize..6,
    ) {
        let mut changed = told(&rules()[before], &said);
        for rule in rules() {
            let repeated: Vec<_> = shuffled.iter().chain(shuffled.iter().take(repeats)).cloned().collect();
            let from_the_start = told(&rule, &repeated);
            changed.operate(Operation::Apply { documents: documents(&rule) });
            prop_assert_eq!(changed.profiles(), from_the_start.profiles(), "{}", rule);
        }
    }

    #[test]
    fn a_merge_that_was_split_leaves_every_words_survivor_as_it_was(said in said(), rule in 0_usize..6) {
        let device = [
            (0, identify("x1", None, Some("x"), json!({"name": "Eve"}), NOON - 101)),
            (2, identify("x2", None, Some("x"), json!({"name": "Eve Adams", "city": "Ur"}), NOON - 40)),
        ];
        let seen = [
            (0, track("u-first", Some("u1"), None, NOON - 1_000)),
            (0, track("u-last", Some("u1"), None, NOON)),
        ];
        let link = |device| (0, track("link", Some("u1"), device, NOON - 50));
        let rule = &rules()[rule];
        let never = told(rule, &[&said[..], &seen, &device, &[link(None)]].concat());
        let mut split = told(rule, &[&said[..], &seen, &device, &[link(Some("x"))]].concat());
        let fragments = vec![split.id("anonymous_id:x")];
        split.operate(Operation::Split { fragments, reason: "two people".to_owned() });
        for reference in ["user_id:u1", "anonymous_id:x"] {
            let (mut one, mut other) = (never.profile(reference), split.profile(reference));
            one["merges"] = Value::Null;
            other["merges"] = Value::Null;
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn words_replay_to_the_same_state(said in said(), rule in 0_usize..6) {
        let world = told(&rules()[rule], &said);
        let mut again = World::on(Arc::clone(&world.log), Default::default());
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), again.hash());
    }
}
