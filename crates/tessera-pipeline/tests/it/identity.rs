//! Identity rules at work: hashes, shared values, strategies, windows.

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{Document, Operation};

use crate::world::{NOON, World, identify, track};

const STRATEGIES: [&str; 5] =
    ["default", "profile_conversion", "profile_link", "profile_isolation", "best_match"];

fn world(documents: Value) -> World {
    let mut world = World::new();
    world.apply(documents);
    world
}

/// The SHA-256 of an e-mail address, as an advertising platform sends it.
fn hash(world: &World, email: &str) -> String {
    let rules = world.pipeline.rules().load_full();
    rules.namespaces.parse_reference(&format!("email:{email}")).unwrap().spellings()[0].clone()
}

impl World {
    fn apply(&mut self, documents: Value) {
        let mut all = crate::world::workspace();
        all.extend(serde_json::from_value::<Vec<Document>>(documents).unwrap());
        self.operate(Operation::Apply { documents: all });
    }

    /// The reasons for which edges of a profile are refused.
    fn refusals(&self, reference: &str) -> Vec<Value> {
        let profile = self.profile(reference);
        let refused = profile["merges"].as_array().unwrap().iter().filter(|edge| edge["linked"] == "refused");
        refused.map(|edge| edge["refused_by"].clone()).collect()
    }
}

/// Somebody who stood with an address, each on a device of their own.
fn customer(n: usize) -> Value {
    let (user, device) = (format!("u{n}"), format!("d{n}"));
    identify(&format!("m{n}"), Some(&user), Some(&device), json!({"email": "test@test.com"}), NOON + n as i64)
}

#[test]
fn a_hash_and_its_clear_form_are_one_identifier_which_is_shown_clear() {
    let mut world = World::new();
    let hashed = hash(&world, "ada@x.org");
    world.send(
        "web",
        &[identify("m1", None, Some("d1"), json!({"email_sha256": hashed.to_uppercase()}), NOON)],
    );
    let known = world.profile(&format!("email_sha256:{hashed}"));
    assert_eq!(known["identifiers"][1], json!({"namespace": "email", "value": hashed, "is_hashed": true}));
    world.send("web", &[identify("m2", Some("ada"), None, json!({"email": "Ada@X.org"}), NOON + 1)]);
    let known = world.profile(&format!("email_sha256:{hashed}"));
    let clear = json!({"namespace": "email", "value": "ada@x.org"});
    assert_eq!(known["identifiers"][1], clear);
    assert_eq!(known["id"], world.profile("user_id:ada")["id"]);
    assert_eq!(known["id"], world.profile("anonymous_id:d1")["id"]);
    world.send("web", &[identify("m3", Some("ada"), None, json!({"email": hashed}), NOON + 2)]);
    assert_eq!(world.profile("user_id:ada")["identifiers"][1], clear);
    let mut imported = track("m4", None, Some("d2"), NOON + 3);
    imported["context"] = json!({"externalIds": [{"id": hashed, "type": "email_sha256"}]});
    world.send("web", &[imported]);
    assert_eq!(world.profile("anonymous_id:d2")["id"], known["id"]);
    assert_eq!(world.totals().identifiers, 4);
}

#[test]
fn a_value_with_too_many_people_is_demoted_and_brings_no_more_clusters_together() {
    let mut world = World::new();
    let people: Vec<Value> = (1..=40).map(customer).collect();
    world.send("web", &people);
    let totals = world.totals();
    assert_eq!((totals.profiles, totals.identifiers, totals.shared_identifiers), (41, 81, 1));
    assert_eq!((totals.refused_edges["shared"], totals.overflowing_identifiers), (40, 0));
    let listed = tessera_pipeline::shared_identifiers(world.store.as_ref()).unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.fragment, one.stood_with)).collect();
    assert_eq!(listed, [(world.id("email:test@test.com"), 40)]);
    let shared = json!({"reason": "shared", "namespace": "email"});
    for n in [1, 11, 12, 40] {
        let user = format!("user_id:u{n}");
        assert_eq!(world.refusals(&user), std::slice::from_ref(&shared));
        assert_eq!(world.profile(&user)["id"], world.profile(&format!("anonymous_id:d{n}"))["id"]);
    }
    let address = world.profile_for("email:test@test.com", None);
    assert_eq!(address, Err("never_asked".to_owned()), "nothing but itself is known of it");
    let largest = world.largest_cluster();
    assert!(largest <= 23, "eleven people with a device each, and the address: {largest}");
}

#[test]
fn a_shared_value_that_owns_events_is_a_profile_of_its_own() {
    let mut world = World::new();
    let people: Vec<Value> = (1..=12).map(customer).collect();
    world.send("web", &people);
    world.send("web", &[identify("own", None, Some("kiosk"), json!({"email": "test@test.com"}), NOON)]);
    let own = world.profile("email:test@test.com");
    assert_eq!(
        own["identifiers"],
        json!([{"namespace": "email", "value": "test@test.com", "is_shared": true}])
    );
    assert_eq!(own["merges"], json!([]));
    world.send("web", &[track("seen", None, Some("kiosk"), NOON)]);
    assert_eq!(world.refusals("anonymous_id:kiosk"), [json!({"reason": "shared", "namespace": "email"})]);
}

#[test]
fn erasing_somebody_who_stood_with_a_shared_value_leaves_it_shared() {
    let mut world = World::new();
    let people: Vec<Value> = (1..=20).map(customer).collect();
    world.send("web", &people);
    let fragments = vec![world.id("user_id:u1")];
    world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    assert_eq!(world.totals().shared_identifiers, 1);
    world.send("web", &[customer(21), customer(22)]);
    assert_ne!(world.profile("user_id:u21")["id"], world.profile("user_id:u22")["id"]);
    let fragments = vec![world.id("email:test@test.com")];
    world.operate(Operation::Erase { fragments, request: "r2".to_owned() });
    assert_eq!(world.totals().shared_identifiers, 0);
}

#[test]
fn switching_the_finding_off_lets_people_meet_again() {
    let mut world = World::new();
    let people: Vec<Value> = (1..=20).map(customer).collect();
    world.send("web", &people);
    world.apply(json!([{"kind": "Namespace", "name": "email", "priority": 20, "normalise": "email",
        "from": ["traits.email"], "shared_after": "never"}]));
    world.send(
        "web",
        &[{
            let mut again = customer(20);
            again["messageId"] = json!("again");
            again
        }],
    );
    assert_eq!(world.totals().shared_identifiers, 0);
    assert_eq!(world.refusals("user_id:u20"), [json!({"reason": "limit", "namespace": "user_id"})]);
}

#[test]
fn erasing_finds_the_hash_of_what_it_erases_and_stops_it_too() {
    let mut world = World::new();
    let hashed = hash(&world, "ada@x.org");
    let spoken = format!("sent {hashed} on");
    world.send(
        "web",
        &[
            identify("m1", Some("ada"), None, json!({"email": "ada@x.org"}), NOON),
            identify("m2", None, Some("d1"), json!({"email_sha256": hashed, "note": "hers"}), NOON),
            identify("m3", Some("bob"), None, json!({"note": spoken}), NOON),
        ],
    );
    let fragments = vec![world.id("user_id:ada")];
    world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    for reference in ["user_id:ada", "anonymous_id:d1", &format!("email_sha256:{hashed}")] {
        assert_eq!(world.profile_for(reference, None), Err("not found".to_owned()), "{reference}");
    }
    world.send("web", &[identify("m4", None, Some("d2"), json!({"email_sha256": hashed}), NOON)]);
    assert_eq!(world.totals().denied["erased"], 1);
    let rules = world.pipeline.rules().load_full();
    let key = world.key();
    let mentions = tessera_pipeline::Mentions::new(&[world.id("email:ada@x.org")], &rules, &key);
    let upper = hashed.to_uppercase();
    for text in [&hashed, &upper, &spoken, &format!("{{\"em\": [\"{upper}\"]}}")] {
        assert!(mentions.in_text(text), "{text}");
    }
}

#[test]
fn what_strategies_make_of_a_sign_up_and_a_later_sign_in() {
    let story = [
        track("m1", None, Some("phone"), NOON),
        identify("m2", Some("ada"), Some("phone"), json!({}), NOON + 1),
        track("m3", None, Some("tablet"), NOON + 2),
        identify("m4", Some("ada"), Some("tablet"), json!({}), NOON + 3),
    ];
    for (strategy, with_phone, with_tablet) in [
        ("default", true, true),
        ("profile_conversion", true, false),
        ("profile_link", true, true),
        ("profile_isolation", false, false),
        ("best_match", true, true),
    ] {
        let mut world = world(json!([{"kind": "Identity", "name": "people", "strategy": strategy}]));
        world.send("web", &story);
        let ada = world.profile("user_id:ada")["id"].clone();
        let is_ada = |device: &str| world.profile(&format!("anonymous_id:{device}"))["id"] == ada;
        assert_eq!((is_ada("phone"), is_ada("tablet")), (with_phone, with_tablet), "{strategy}");
    }
}

#[test]
fn a_person_known_before_the_visit_is_no_conversion_whenever_that_is_told() {
    let identity = json!([{"kind": "Identity", "name": "people", "strategy": "profile_conversion"}]);
    let visit = identify("m1", Some("ada"), Some("phone"), json!({}), NOON);
    let imported = identify("m0", Some("ada"), None, json!({"plan": "pro"}), NOON - 1);
    for order in [[&imported, &visit], [&visit, &imported]] {
        let mut world = world(identity.clone());
        order.into_iter().for_each(|event| world.send("web", std::slice::from_ref(event)));
        let profile = world.profile("user_id:ada");
        assert_eq!(profile["identifiers"].as_array().unwrap().len(), 1);
        assert_eq!(profile["merges"][0]["refused_by"], json!({"reason": "strategy"}));
    }
}

fn event() -> impl Strategy<Value = Value> {
    let one_of = |name: &'static str, of: u8| (1..=of).prop_map(move |n| format!("{name}{n}"));
    let user = proptest::option::weighted(0.6, one_of("u", 8));
    let device = proptest::option::weighted(0.6, one_of("d", 8));
    let email = proptest::option::weighted(0.6, one_of("e", 4));
    (user, device, email, 0_i64..4, 0_u8..8).prop_map(|(user, device, email, day, kind)| {
        let at = NOON - 10_000 + day * 60_000;
        let device =
            if user.is_none() && email.is_none() { device.or(Some("d1".to_owned())) } else { device };
        let mut traits = json!({"day": day});
        if let Some(email) = email {
            traits[if kind < 3 { "email_sha256" } else { "email" }] = json!(format!("{email}@x.org"));
        }
        let mut event = identify("", user.as_deref(), device.as_deref(), traits, at);
        if kind == 7 {
            event["type"] = json!("alias");
            event["previousId"] = json!(format!("u{}", day + 1));
        }
        event
    })
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(event(), 1..40).prop_map(|mut events| {
        let world = World::new();
        for (n, event) in events.iter_mut().enumerate() {
            event["messageId"] = json!(format!("m{n}"));
            if let Some(email) = event["traits"]["email_sha256"].as_str().map(str::to_owned) {
                event["traits"]["email_sha256"] = json!(hash(&world, &email));
            }
        }
        events
    })
}

fn rules() -> impl Strategy<Value = Value> {
    let windows = proptest::sample::select(vec!["ever", "daily"]);
    (proptest::sample::select(STRATEGIES.to_vec()), 1_u16..4, 1_u16..4, windows).prop_map(
        |(strategy, limit, shared_after, window)| {
            json!([
                {"kind": "Identity", "name": "people", "strategy": strategy},
                {"kind": "Namespace", "name": "email", "priority": 20, "normalise": "email", "limit": limit,
                 "from": ["traits.email"], "window": window, "shared_after": shared_after},
                {"kind": "Namespace", "name": "anonymous_id", "priority": 1000, "limit": 100,
                 "shared_after": shared_after},
            ])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shuffled_and_repeated_events_give_the_same_profiles_under_every_rule(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        rules in rules(),
        repeats in 0_usize..10,
    ) {
        let (mut one, mut other) = (world(rules.clone()), world(rules));
        one.send("web", &events);
        let repeated: Vec<Value> = shuffled.iter().chain(shuffled.iter().take(repeats)).cloned().collect();
        repeated.chunks(3).for_each(|chunk| other.send("web", chunk));
        let (left, right) = (one.profiles(), other.profiles());
        let differ: Vec<&String> = left.symmetric_difference(&right).collect();
        prop_assert!(differ.is_empty(), "{differ:#?}");
        prop_assert_eq!(one.totals().profiles, other.totals().profiles);
        prop_assert_eq!(one.totals().shared_identifiers, other.totals().shared_identifiers);
    }
}
