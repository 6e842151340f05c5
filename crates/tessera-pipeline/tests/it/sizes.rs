//! How many members there were on each day: what was counted as the log went on is what anybody would have counted then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{AudienceId, AudienceName, Operation, PurposeName, Timestamp};
use tessera_pipeline::{Catalogue, OutboxRow, PipelineOptions, audience_size};
use tessera_store::{Clock, Store, Table};

use crate::audiences::{AUDIENCES, History, MINUTE, Step, documents, step};
use crate::world::{NOON, World, identify};

const DAY: i64 = 24 * 60 * MINUTE;
const PRO: (&str, &str, &str) = ("pro", "service", "plan = \"pro\"");

fn id(name: &str, purpose: &str) -> AudienceId {
    AudienceId::of(&AudienceName::parse(name).unwrap(), &PurposeName::parse(purpose).unwrap())
}

fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY)
}

/// Days of which some are long over.
fn days() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![15 => step(), 1 => (600_i64..3_000).prop_map(Step::Pass)];
    proptest::collection::vec(step, 1..40)
}

/// A day, counted from that of the first record on, who entered, who left, and the members at its end.
type Day = (i64, u64, u64, u64);

fn days_up_to(store: &impl Store, (name, purpose): (&str, &str), asked: (Timestamp, u32)) -> Vec<Day> {
    let days = Catalogue::days_of_audience(store, id(name, purpose), asked).unwrap();
    let of = |at: Timestamp| day_of(at) - NOON.div_euclid(DAY);
    days.iter().map(|one| (of(one.day), one.entered, one.exited, one.members)).collect()
}

/// Every day from that of the first record on.
fn told(history: &History, audience: (&str, &str)) -> Vec<Day> {
    let now = history.world.clock.now();
    let count = u32::try_from(day_of(now) - NOON.div_euclid(DAY) + 1).unwrap();
    days_up_to(history.world.store.as_ref(), audience, (now, count))
}

/// The same with one identifier in each event, so that nobody is found to be somebody else.
fn alone(step: &Step) -> Option<Step> {
    let one = |event: &Value| {
        let mut event = event.clone();
        if event["userId"].is_string() {
            event.as_object_mut().unwrap().remove("anonymousId");
        }
        (event["type"] != "alias").then_some(event)
    };
    match step {
        Step::Event(event) => one(event).map(Step::Event),
        Step::Form(event) => one(event).map(Step::Form),
        Step::Words(..) | Step::Pass(_) => Some(step.clone()),
        Step::Split(_) | Step::Erase(_) | Step::Rules(_) | Step::Expire(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn each_day_ends_with_the_members_that_there_were(steps in days()) {
        let mut history = History::new(&AUDIENCES);
        let mut wanted: BTreeMap<&str, BTreeMap<i64, u64>> = BTreeMap::new();
        for step in &steps {
            history.apply(step);
            history.world.settle();
            let (kept, day) = (history.kept(), day_of(history.world.clock.now()) - NOON.div_euclid(DAY));
            let rules = history.world.pipeline.rules().load_full();
            for (name, ..) in &AUDIENCES {
                if rules.workspace.documents().any(|one| one.name() == *name) {
                    let members = kept.iter().filter(|(audience, _)| audience == name).count() as u64;
                    wanted.entry(name).or_default().insert(day, members);
                } else {
                    // It begins anew when it comes again.
                    wanted.remove(name);
                }
            }
        }
        for (name, purpose, _) in &AUDIENCES {
            let (mut members, mut sum) = (0, 0);
            for (day, entered, exited, size) in told(&history, (name, purpose)) {
                members = wanted.get(name).and_then(|days| days.get(&day)).copied().unwrap_or(members);
                sum = sum + entered - exited;
                prop_assert_eq!((size, sum), (members, members), "{} on day {}", name, day);
            }
            prop_assert_eq!(sum, audience_size(history.world.store.as_ref(), id(name, purpose)).unwrap());
        }
        // The same of any batches, and nothing of what is not in force.
        for batch_events_max in [1, 3, 2_000] {
            let options = PipelineOptions { batch_events_max, ..PipelineOptions::default() };
            let mut again = World::on(Arc::clone(&history.world.log), options);
            again.pipeline.catch_up().unwrap();
            prop_assert_eq!(history.world.hash(), again.hash());
        }
        let in_force: BTreeSet<[u8; 8]> =
            AUDIENCES.iter().filter(|one| wanted.contains_key(one.0)).map(|one| id(one.0, one.1).0).collect();
        for (key, _) in history.world.store.scan(Table::Audience, Some(b"day"), usize::MAX).unwrap() {
            if key.id().starts_with(b"day") {
                prop_assert!(in_force.contains(&key.id()[3..11]), "a row of an audience that is no more");
            }
        }
    }

    #[test]
    fn who_is_told_to_enter_or_leave_is_counted_that_day(steps in days()) {
        let mut history = History::new(&AUDIENCES);
        for step in steps.iter().filter_map(alone) {
            history.apply(&step);
            history.world.settle();
        }
        let mut wanted: BTreeMap<(String, i64), (u64, u64)> = BTreeMap::new();
        for (_, row) in history.world.store.scan(Table::Outbox, None, usize::MAX).unwrap() {
            let row = OutboxRow::decode(&row).unwrap();
            let event: Value = serde_json::from_str(&row.json).unwrap();
            let name = event["properties"]["audience_key"].as_str().unwrap().to_owned();
            let day = wanted.entry((name, day_of(row.at) - NOON.div_euclid(DAY))).or_default();
            if event["event"] == "Audience Entered" { day.0 += 1 } else { day.1 += 1 }
        }
        for (name, purpose, _) in &AUDIENCES {
            for (day, entered, exited, _) in told(&history, (name, purpose)) {
                let counted = wanted.remove(&((*name).to_owned(), day)).unwrap_or_default();
                prop_assert_eq!((entered, exited), counted, "{} on day {}", name, day);
            }
        }
        prop_assert!(wanted.is_empty(), "told, and not counted: {:?}", wanted);
    }
}

#[test]
fn a_day_counts_who_comes_goes_turns_out_to_be_one_comes_apart_and_is_erased() {
    let mut history = History::new(&[PRO]);
    let plan = |user, device, plan: &str| identify("", user, device, json!({"plan": plan}), 0);
    history.send("web", &plan(Some("u1"), None, "pro"));
    history.send("web", &plan(None, Some("d1"), "pro"));
    history.send("web", &plan(Some("u2"), None, "pro"));
    history.send("web", &plan(Some("u2"), None, "free"));
    history.world.clock.advance_millis(DAY);
    // Two members turn out to be one.
    history.send("web", &identify("", Some("u1"), Some("d1"), json!({}), 0));
    history.world.clock.advance_millis(2 * DAY);
    let fragments = vec![history.world.id("anonymous_id:d1")];
    history.world.operate(Operation::Split { fragments, reason: String::new() });
    let fragments = vec![history.world.id("user_id:u1")];
    history.world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    let wanted = [(0, 3, 1, 2), (1, 0, 1, 1), (2, 0, 0, 1), (3, 1, 1, 1)];
    assert_eq!(told(&history, ("pro", "service")), wanted);
    history.world.clock.advance_millis(DAY);
    assert_eq!(told(&history, ("pro", "service"))[3..], [(3, 1, 1, 1), (4, 0, 0, 1)], "carried over");
    // Who asks with a clock that is behind is told of the log's day.
    let behind = Timestamp::from_millis(NOON);
    let days = days_up_to(history.world.store.as_ref(), ("pro", "service"), (behind, 2));
    assert_eq!(days, [(2, 0, 0, 1), (3, 1, 1, 1)]);
}

#[test]
fn members_who_are_one_person_leave_once() {
    let mut history = History::new(&[PRO]);
    let plan = |user, device, plan: &str| identify("", user, device, json!({"plan": plan}), 0);
    history.send("web", &plan(Some("u1"), None, "pro"));
    history.send("web", &plan(None, Some("d1"), "pro"));
    history.send("web", &identify("", Some("u1"), Some("d1"), json!({}), 0));
    assert_eq!(told(&history, ("pro", "service")), [(0, 2, 1, 1)]);
    history.world.clock.advance_millis(DAY);
    history.send("web", &plan(Some("u1"), Some("d1"), "free"));
    assert_eq!(told(&history, ("pro", "service")), [(0, 2, 1, 1), (1, 0, 1, 0)]);
}

#[test]
fn records_of_two_days_in_one_batch_count_for_their_own() {
    let mut history = History::new(&[PRO]);
    history.send("web", &identify("", Some("u1"), None, json!({"plan": "pro"}), 0));
    history.world.clock.advance_millis(DAY);
    history.send("web", &identify("", Some("u2"), None, json!({"plan": "pro"}), 0));
    history.send("web", &identify("", Some("u1"), None, json!({"plan": "free"}), 0));
    let wanted = told(&history, ("pro", "service"));
    assert_eq!(wanted, [(0, 1, 0, 1), (1, 1, 1, 1)]);
    let mut again = World::on(Arc::clone(&history.world.log), PipelineOptions::default());
    again.pipeline.catch_up().unwrap();
    let days = days_up_to(again.store.as_ref(), ("pro", "service"), (history.world.clock.now(), 2));
    assert_eq!(days, wanted);
}

#[test]
fn an_audience_goes_on_when_its_definition_changes_and_begins_anew_when_it_was_gone() {
    let mut history = History::new(&[PRO]);
    for (user, plan) in [("u1", "pro"), ("u2", "free")] {
        history.send("web", &identify("", Some(user), None, json!({"plan": plan}), 0));
    }
    history.world.clock.advance_millis(DAY);
    let apply = |history: &mut History, audiences: &[(&str, &str, &str)]| {
        history.world.operate(Operation::Apply { documents: documents(audiences) });
        history.world.settle();
    };
    apply(&mut history, &[("pro", "service", "plan = \"free\"")]);
    assert_eq!(told(&history, ("pro", "service")), [(0, 1, 0, 1), (1, 1, 1, 1)]);
    apply(&mut history, &[]);
    assert_eq!(told(&history, ("pro", "service")), [(0, 0, 0, 0), (1, 0, 0, 0)]);
    apply(&mut history, &[PRO]);
    assert_eq!(told(&history, ("pro", "service")), [(0, 0, 0, 0), (1, 1, 0, 1)]);
}
