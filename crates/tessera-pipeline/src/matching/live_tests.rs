//! Live matchers: each profile is compared as it comes or changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tessera_match::Model;
use tessera_model::{Document, Operation, Selector, UndoId, Verdict};
use tessera_policy::Labels;
use tessera_store::{Clock, Log, Store, Table};

use super::explain::MatchQuestion;
use super::find::{Description, FindError};
use super::tests::{World, again, id, name, pair, traits};

/// What the store has kept of the matcher.
fn kept(world: &World) -> String {
    let rows = world.store.scan(Table::Matcher, None, 9).unwrap();
    rows.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

/// The share of pairs that are one person, as it was learned.
fn prior(world: &World) -> f64 {
    let kept: serde_json::Value = serde_json::from_str(&kept(world)).unwrap();
    kept["model"]["prior"].as_f64().unwrap()
}

fn find(world: &World, values: &[(&str, &str)]) -> Result<Vec<(tessera_model::FragmentId, f64)>, FindError> {
    let rules = world.pipeline.lock().rules().load_full();
    let labels = Labels::new(&rules);
    let model: Arc<Model> = world.matching.model(&name()).unwrap();
    let matcher = rules.matchers().next().unwrap();
    let question =
        MatchQuestion { rules: &rules, labels: &labels, matcher, model: &model, now: world.clock.now() };
    let values: BTreeMap<String, String> =
        values.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect();
    let found = question.find(world.store.as_ref(), &world.matching, &Description { values, most: 5 })?;
    Ok(found.iter().map(|one| (one.profile, one.explanation.probability)).collect())
}

#[test]
fn who_comes_with_a_typing_error_is_linked_without_a_run_and_after_a_restart_too() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q7".to_owned(), again(7))]);
        world.until("one", || world.is_one("p7", "q7"));
    });
    let status = world.matching.statuses()[&name()].clone();
    assert_eq!((status.linked, status.is_live, status.last_run), (1, true, None));
    let (before, end) = (kept(&world), world.log.bounds().end);

    let world = world.restarted();
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        // What was kept was taken up, and nothing was learned anew.
        assert_eq!((kept(&world), world.log.bounds().end), (before, end));
        world.identify("web", [("q8".to_owned(), again(8))]);
        world.until("one", || world.is_one("p8", "q8"));
    });
}

#[test]
fn who_came_before_the_matcher_was_ready_is_compared_when_it_is() {
    let world = World::live(0.9, 0.5);
    // The pipeline has told of them, and nobody has listened yet.
    world.identify("web", [("q7".to_owned(), again(7))]);
    world.match_while(|| world.until("one", || world.is_one("p7", "q7")));
}

#[test]
fn who_was_linked_is_learned_from_all_the_same() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        // Twice, so that the second one finds nobody to link.
        assert_eq!(world.run(false).linked, 10);
        let first = prior(&world);
        assert_eq!(world.run(false).linked, 0);
        let second = prior(&world);
        assert!((second / first - 1.0).abs() < 0.01, "{first} before they were linked, {second} after");
        world.identify("web", [("q7".to_owned(), again(7))]);
        world.until("one", || world.is_one("p7", "q7"));
    });
}

#[test]
fn what_is_kept_of_a_model_holds_no_value_and_no_hash_of_one() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| world.until("ready", || world.is_ready()));
    let text = kept(&world);
    assert!(text.contains("strata") && !text.contains("\"frequent\""), "{text}");
    let model = world.matching.model(&name()).unwrap();
    assert!(serde_json::to_string(&*model).unwrap().contains("\"frequent\""), "frequent values are counted");
}

#[test]
fn two_who_come_together_are_compared_with_each_other() {
    let world = World::live(0.9, 0.5);
    let one =
        json!({"given": "Emmy", "family": "Noetherly", "born": "1982-03-23", "home": {"city": "Turin"}});
    let mut other = one.clone();
    other["family"] = json!("Noetherlay");
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q801".to_owned(), one), ("q802".to_owned(), other)]);
        world.until("one", || world.is_one("q801", "q802"));
    });
}

#[test]
fn who_becomes_alike_is_linked_and_who_may_not_be_compared_is_not() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        // For `news`, and nobody has said yes to it.
        world.identify("letter", [("q1".to_owned(), again(1))]);
        world.identify("web", [("q2".to_owned(), json!({"given": "Nobody"}))]);
        world.until_met();
        assert!(!world.is_one("p1", "q1") && !world.is_one("p2", "q2"));
        world.identify("web", [("q2".to_owned(), again(2))]);
        world.until("one", || world.is_one("p2", "q2"));
        assert!(!world.is_one("p1", "q1"));
    });
}

#[test]
fn limits_stand_against_a_live_matcher() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        // Two user ids are two people, however alike.
        world.identify("web", [("p900".to_owned(), again(9))]);
        world.until_met();
        assert!(!world.is_one("p9", "p900") && world.asked().is_empty());
    });
}

#[test]
fn what_a_steward_said_or_undid_is_never_linked_again_by_what_comes() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q4".to_owned(), again(4)), ("q6".to_owned(), again(6))]);
        world.until("linked", || world.is_one("p4", "q4") && world.is_one("p6", "q6"));
        let (by, reason) = ("steward".to_owned(), "twins".to_owned());
        world
            .order(Operation::Judge {
                a: id("p4"),
                b: id("q4"),
                verdict: Verdict::Different,
                by: by.clone(),
                reason: reason.clone(),
            })
            .unwrap();
        let selector = Selector::Edge { a: id("p6"), b: id("q6") };
        let fragments = vec![id("p6")];
        world.order(Operation::Undo { id: UndoId(1), selector, fragments, by, reason }).unwrap();
        assert!(!world.is_one("p4", "q4") && !world.is_one("p6", "q6"));
        // They change, and look like one person still.
        for (who, number) in [("q4", 4), ("p4", 4), ("q6", 6), ("p6", 6)] {
            let mut again = again(number);
            again["home"] = json!({"city": "Paris"});
            world.identify("web", [(who.to_owned(), again)]);
        }
        world.until_met();
        assert!(!world.is_one("p4", "q4") && !world.is_one("p6", "q6"));
        assert!(world.asked().is_empty());
    });
    let world = world.restarted();
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q4".to_owned(), again(4)), ("q6".to_owned(), again(6))]);
        world.until("taken", || world.matching.touched().is_empty());
        world.identify("web", [("q118".to_owned(), again(118))]);
        world.until("the last is one", || world.is_one("p118", "q118"));
        assert!(!world.is_one("p4", "q4") && !world.is_one("p6", "q6") && world.asked().is_empty());
    });
}

#[test]
fn who_is_unsure_is_put_before_a_person_once_however_often_they_change() {
    let world = World::live(1.0, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q3".to_owned(), again(3))]);
        world.until("asked", || world.asked() == [pair("p3", "q3")]);
        let end = world.log.bounds().end;
        // The same again: nothing is compared, nothing ordered.
        world.identify("web", [("q3".to_owned(), again(3))]);
        let after = world.log.bounds().end;
        world.until("taken", || world.matching.touched().is_empty());
        world.identify("web", [("q5".to_owned(), again(5))]);
        world.until("asked", || world.asked().len() == 2);
        assert!(end < after && !world.is_one("p3", "q3"));
        assert_eq!(world.matching.statuses()[&name()].asked, 2);
    });
}

#[test]
fn who_is_erased_leaves_the_index_at_once() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        let five = traits(5);
        let text = |name: &str| five[name].as_str().unwrap().to_owned();
        let (given, family, born) = (text("given"), text("family"), text("born"));
        let asked = [("given", given.as_str()), ("family", &family), ("born", &born)];
        assert_eq!(find(&world, &asked).unwrap()[0].0, id("p5"));
        world.order(Operation::Erase { fragments: vec![id("p5")], request: "r1".to_owned() }).unwrap();
        assert!(find(&world, &asked).unwrap().iter().all(|(who, _)| *who != id("p5")));
        world.identify("web", [("q5".to_owned(), again(5))]);
        world.until_met();
        assert!(!world.is_one("p5", "q5"));
        assert_eq!(world.matching.statuses()[&name()].profiles, 130, "one left, q5 came, q119 joined p119");
    });
}

#[test]
fn a_description_finds_the_person_and_a_matcher_that_is_not_live_says_so() {
    let world = World::live(0.9, 0.5);
    let number = 17;
    let told = again(number);
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let (given, family, born) = (text("given"), text("family"), text("born"));
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        let found = find(&world, &[("given", &given), ("family", &family), ("born", &born)]).unwrap();
        assert_eq!(found[0].0, id("p17"), "{found:?}");
        assert!(found[0].1 > 0.5 && found.windows(2).all(|two| two[0].1 >= two[1].1), "{found:?}");
    });
    let world = Arc::new(World::new(0.9, 0.5));
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        assert!(matches!(find(&world, &[("given", &given)]), Err(FindError::NotLive)));
    });
}

#[test]
fn other_thresholds_hold_at_once_and_nothing_is_learned_for_them() {
    let world = World::live(1.0, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        let before = kept(&world);
        let mut documents: Vec<Document> =
            world.pipeline.lock().rules().load().workspace.documents().cloned().collect();
        for document in &mut documents {
            if let Document::Matcher(matcher) = document {
                matcher.link = 0.9;
            }
        }
        world.order(Operation::Apply { documents }).unwrap();
        world.identify("web", [("q7".to_owned(), again(7))]);
        world.until("one", || world.is_one("p7", "q7"));
        assert_eq!(kept(&world), before);
    });
}

#[test]
fn a_replay_of_the_log_gives_the_model_that_was_kept() {
    let world = World::live(0.9, 0.5);
    world.match_while(|| {
        world.until("ready", || world.is_ready());
        world.identify("web", [("q7".to_owned(), again(7))]);
        world.until("one", || world.is_one("p7", "q7"));
    });
    let replayed = tessera_store::MemoryStore::new();
    let shared: Arc<dyn Clock> = world.clock.clone();
    let replayed = Arc::new(replayed);
    let mut pipeline = crate::Pipeline::open(
        Arc::clone(&world.log),
        Arc::clone(&replayed),
        super::tests::key(),
        shared,
        crate::PipelineOptions::default(),
    )
    .unwrap();
    pipeline.catch_up().unwrap();
    assert_eq!(
        crate::state_hash(replayed.as_ref()).unwrap(),
        crate::state_hash(world.store.as_ref()).unwrap()
    );
}

/// The workspace in force, with its matcher changed.
fn changed(world: &World, change: impl Fn(&mut tessera_model::MatcherDocument)) -> Vec<Document> {
    let mut documents: Vec<Document> =
        world.pipeline.lock().rules().load().workspace.documents().cloned().collect();
    for document in &mut documents {
        if let Document::Matcher(matcher) = document {
            change(matcher);
        }
    }
    documents
}

fn simulated(world: &World, documents: Vec<Document>) -> crate::MatcherEffect {
    let old = world.pipeline.lock().rules().load_full();
    let now = world.clock.now();
    let new = old.next(tessera_model::Workspace::new(documents).unwrap(), now).unwrap();
    let what = crate::WhatIf { old: &old, new: &new, at: now };
    let simulation = what.simulate(world.store.as_ref(), |_| std::ops::ControlFlow::Continue(())).unwrap();
    simulation.unwrap().matchers.remove(&name()).unwrap_or_default()
}

#[test]
fn other_thresholds_are_told_before_they_are_applied_and_are_what_a_run_does() {
    let world = Arc::new(World::new(1.0, 0.5));
    world.identify("web", (0..10).map(|number| (format!("q{number}"), again(number))));
    let end = world.log.bounds().end;
    let lower = changed(&world, |matcher| matcher.link = 0.9);
    let told = simulated(&world, lower.clone());
    assert_eq!((told.linked.before, told.linked.after), (0, 10), "{told:?}");
    assert_eq!((told.asked.before, told.asked.after), (10, 0), "{told:?}");
    assert_eq!((told.samples.len(), told.on_record, world.log.bounds().end), (10, 0, end));
    assert_eq!(simulated(&world, changed(&world, |_| {})), crate::MatcherEffect::default());

    world.order(Operation::Apply { documents: lower }).unwrap();
    let report = world.match_while(|| world.run(false));
    assert_eq!((report.linked, report.asked), (10, 0));

    // Back again: nothing that was linked comes apart by itself, and it is told what would.
    let told = simulated(&world, changed(&world, |matcher| matcher.link = 1.0));
    assert_eq!((told.on_record, told.below, told.splitting), (10, 10, 10), "{told:?}");
    assert_eq!((told.linked.before, told.linked.after, told.asked.after), (0, 0, 0));
}
