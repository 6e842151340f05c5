//! What stewards and matchers say, and what takes it back.

use serde_json::json;
use tessera_model::{
    LinkOrder, Operation, ReviewOrder, Score, Selector, SourceName, Strength, UndoId, Verdict,
};
use tessera_pipeline::{ReviewId, ReviewRow, ReviewState, load_review, load_reviews};
use tessera_store::Clock;

use crate::world::{NOON, World, identify, track};

/// Two people, each with a device.
fn two() -> World {
    let mut world = World::new();
    world.send("web", &[identify("m1", Some("ada"), Some("d1"), json!({"plan": "pro"}), NOON - 1000)]);
    world.send("web", &[identify("m2", None, Some("d2"), json!({"city": "Bath"}), NOON - 500)]);
    world.clock.advance_millis(1000);
    world
}

fn order(world: &World, (a, b): (&str, &str), strength: Strength) -> LinkOrder {
    LinkOrder {
        a: world.id(a),
        b: world.id(b),
        strength,
        score: Score::of(0.97),
        by: "people".to_owned(),
        reason: String::new(),
        at: world.clock.now(),
    }
}

fn link(world: &mut World, pair: (&str, &str), strength: Strength) {
    let pairs = vec![order(world, pair, strength)];
    world.operate(Operation::Link { pairs });
    world.clock.advance_millis(1000);
}

fn judge(world: &mut World, (a, b): (&str, &str), verdict: Verdict) {
    let (a, b) = (world.id(a), world.id(b));
    let (by, reason) = ("ruth".to_owned(), "she called".to_owned());
    world.operate(Operation::Judge { a, b, verdict, by, reason });
    world.clock.advance_millis(1000);
}

fn ask(world: &mut World, (a, b): (&str, &str), score: f64) {
    let pair = ReviewOrder {
        a: world.id(a),
        b: world.id(b),
        score: Score::of(score).unwrap(),
        matcher: "people".to_owned(),
        waterfall: json!([{"comparison": "name", "weight": 3.5}]),
        note: String::new(),
    };
    world.operate(Operation::PutReviews { pairs: vec![pair] });
}

fn review(world: &World, (a, b): (&str, &str)) -> Option<ReviewRow> {
    load_review(world.store.as_ref(), ReviewId::of(world.id(a), world.id(b))).unwrap()
}

fn is_one(world: &World, a: &str, b: &str) -> bool {
    world.profile(a)["id"] == world.profile(b)["id"]
}

const ADA: &str = "user_id:ada";
const D2: &str = "anonymous_id:d2";

#[test]
fn a_matchers_word_joins_two_profiles_and_is_shown_with_its_score() {
    let mut world = two();
    assert!(!is_one(&world, ADA, D2));
    link(&mut world, (ADA, D2), Strength::Probable);
    assert!(is_one(&world, ADA, D2));
    assert_eq!(world.totals().profiles, 1);
    let profile = world.profile(ADA);
    let edges = profile["merges"].as_array().unwrap();
    let words: Vec<_> = edges.iter().map(|edge| &edge["evidence"][0]).collect();
    let word = words.iter().find(|word| word["strength"] == "probable").unwrap();
    assert_eq!((&word["score"], &word["said_by"]), (&json!(0.97), &json!("people")));
}

#[test]
fn a_matcher_is_bound_by_limits_and_a_steward_is_not() {
    let mut world = two();
    world.send("web", &[track("m3", Some("bob"), Some("d2"), NOON)]);
    link(&mut world, (ADA, "user_id:bob"), Strength::Probable);
    assert!(!is_one(&world, ADA, "user_id:bob"));
    judge(&mut world, (ADA, "user_id:bob"), Verdict::Same);
    assert!(is_one(&world, ADA, "user_id:bob"));
    assert_eq!(review(&world, (ADA, "user_id:bob")).unwrap().state, ReviewState::Accepted);
}

#[test]
fn who_is_not_there_is_nobody_to_link() {
    let mut world = two();
    link(&mut world, (ADA, "anonymous_id:nobody"), Strength::Manual);
    assert_eq!(world.totals().profiles, 2);
}

#[test]
fn a_pair_is_asked_once_and_what_was_said_is_remembered() {
    let mut world = two();
    ask(&mut world, (ADA, D2), 0.8);
    ask(&mut world, (D2, ADA), 0.9);
    let open = load_reviews(world.store.as_ref(), |row| row.state == ReviewState::Open).unwrap();
    assert_eq!(open.iter().map(|row| row.score.unwrap().as_f64()).collect::<Vec<_>>(), [0.9]);
    judge(&mut world, (D2, ADA), Verdict::Different);
    // Neither the pair itself, nor other identifiers of the two.
    ask(&mut world, (ADA, D2), 0.99);
    ask(&mut world, ("anonymous_id:d1", D2), 0.99);
    let rows = load_reviews(world.store.as_ref(), |_| true).unwrap();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [ReviewState::Rejected]);
    assert_eq!(rows[0].decisions[0].by, "ruth");
    link(&mut world, (ADA, D2), Strength::Probable);
    assert!(!is_one(&world, ADA, D2), "a steward said that they are two");
    judge(&mut world, (ADA, D2), Verdict::Unsure);
    assert_eq!(review(&world, (ADA, D2)).unwrap().state, ReviewState::Open);
    assert!(is_one(&world, ADA, D2), "the matcher's word is heard again");
}

#[test]
fn who_is_erased_leaves_the_queue() {
    let mut world = two();
    ask(&mut world, (ADA, D2), 0.8);
    let fragments = vec![world.id(ADA)];
    world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    assert_eq!(load_reviews(world.store.as_ref(), |_| true).unwrap(), []);
    ask(&mut world, (ADA, D2), 0.8);
    assert_eq!(load_reviews(world.store.as_ref(), |_| true).unwrap(), []);
}

#[test]
fn an_undo_takes_a_link_back_and_can_be_taken_back() {
    let mut world = two();
    link(&mut world, (ADA, D2), Strength::Probable);
    let selector =
        Selector::Source { source: SourceName::parse("people").unwrap(), from: None, to: world.clock.now() };
    let (id, fragments) = (UndoId(1), vec![world.id(D2)]);
    let (by, reason) = ("ruth".to_owned(), "the matcher was wrong".to_owned());
    world.operate(Operation::Undo {
        id,
        selector,
        fragments: fragments.clone(),
        by: by.clone(),
        reason: reason.clone(),
    });
    assert!(!is_one(&world, ADA, D2));
    assert_eq!(world.totals().profiles, 2);
    world.operate(Operation::Redo { id, fragments, by, reason });
    assert!(is_one(&world, ADA, D2));
}
