//! What is kept of people from query to query is what a query without it would find out.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tessera_model::ConsentStatus;

use super::query::{Desk, OFFICER, Reader};
use super::world::World;
use crate::{Format, QueryLimits};

const DAY: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug)]
enum Step {
    Event(u8),
    Same(u8, u8),
    Say(u8, ConsentStatus),
    Days(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0_u8..4;
    let words = [ConsentStatus::Given, ConsentStatus::Withdrawn, ConsentStatus::Objected];
    prop_oneof![
        2 => who().prop_map(Step::Event),
        2 => (who(), who()).prop_map(|(one, other)| Step::Same(one, other)),
        3 => (who(), prop::sample::select(words.to_vec())).prop_map(|(who, word)| Step::Say(who, word)),
        1 => (1_i64..3).prop_map(Step::Days),
    ]
}

fn take(world: &mut World, step: &Step, number: usize) {
    match step {
        Step::Event(who) => {
            let event = json!({"type": "track", "userId": format!("u{who}"), "event": "Seen", "messageId": format!("m{number}")});
            world.send("web", &[event]);
        }
        Step::Same(one, other) => {
            let alias = json!({"type": "alias", "userId": format!("u{one}"), "previousId": format!("u{other}"), "messageId": format!("m{number}")});
            world.send("web", &[alias]);
        }
        Step::Say(who, word) => world.say(&format!("u{who}"), *word),
        Step::Days(days) => world.clock.advance_millis(days * DAY),
    }
    world.feed.flush().unwrap();
}

fn world() -> World {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "legitimate_interests"},
        {"kind": "Purpose", "name": "news", "basis": "consent", "consent_valid_days": 2},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service", "news"]},
    ]));
    for who in 0..4 {
        // Known first, then asked.
        take(&mut world, &Step::Event(who), 1_000 + usize::from(who));
        world.say(&format!("u{who}"), ConsentStatus::Given);
        take(&mut world, &Step::Event(who), 2_000 + usize::from(who));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_after_others_sees_what_a_first_one_would(steps in prop::collection::vec(step(), 1..10)) {
        let mut desk = Desk::of(world(), QueryLimits::default());
        for (number, step) in steps.iter().enumerate() {
            for purpose in ["service", "news"] {
                let reader = Reader { purpose, sees_identifiers: OFFICER };
                let ask = |desk: &Desk| {
                    let answer = desk.ask_as(reader, Format::Csv, "SELECT message_id, profile_id FROM events ORDER BY 1").unwrap();
                    (String::from_utf8(answer.body).unwrap(), answer.seen)
                };
                let kept = ask(&desk);
                let engine = desk.anew();
                let first = ask(&desk);
                prop_assert_eq!(kept, first, "{} before {:?}", purpose, step);
                desk.engine = engine;
            }
            take(&mut desk.world, step, number);
        }
    }
}

#[test]
fn what_is_kept_is_kept_for_one_store_and_one_version_of_a_purpose() {
    let mut desk = Desk::of(world(), QueryLimits::default());
    let reader = Reader { purpose: "news", sees_identifiers: OFFICER };
    let count =
        |desk: &Desk| desk.ask_as(reader, Format::Csv, "SELECT count(*) AS n FROM events").unwrap().body;
    assert_eq!(count(&desk), b"n\n4\n");
    // The same state in another store: what was known of the first says nothing of it.
    let engine = Arc::clone(&desk.engine);
    desk.world.restart(false);
    desk.world.say("u0", ConsentStatus::Withdrawn);
    assert!(Arc::ptr_eq(&engine, &desk.engine));
    assert_eq!(count(&desk), b"n\n3\n");
    let documents = json!([
        {"kind": "Purpose", "name": "service", "basis": "legitimate_interests"},
        {"kind": "Purpose", "name": "news", "basis": "consent", "minimum_age": 18},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service", "news"]},
    ]);
    let documents = serde_json::from_value(documents).unwrap();
    desk.world.operate(tessera_model::Operation::Apply { documents });
    assert_eq!(count(&desk), b"n\n0\n", "nobody's age is known");
}
