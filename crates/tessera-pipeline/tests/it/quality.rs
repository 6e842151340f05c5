//! The survey of a small installation: who is counted as what, and what is kept of it.

use serde_json::{Value, json};
use tessera_model::Operation;
use tessera_pipeline::{load_audits, survey};
use tessera_quality::{Audit, DuplicateKey, Report, Usage};
use tessera_store::Clock as _;

use crate::governance::DAY;
use crate::world::{NOON, World, identify, track};

fn report(world: &World) -> Report {
    let rules = world.pipeline.rules().load_full();
    let survey = survey(world.store.as_ref(), &rules, &world.key(), world.clock.now(), &mut |_| true)
        .unwrap()
        .unwrap();
    survey.report(&Usage::default())
}

fn mail(user: &str, traits: Value, at: i64) -> Value {
    identify(&format!("m-{user}-{at}"), Some(user), None, traits, at)
}

#[test]
fn everybody_is_counted_as_what_they_are() {
    let mut world = World::new();
    world.send(
        "web",
        &[
            mail(
                "ada",
                json!({"email": "ada@shop.co.uk", "name": "Ada King", "birthday": "1985-12-10"}),
                NOON - DAY,
            ),
            mail(
                "ada2",
                json!({"email": "ADA@shop.co.uk", "name": "ada king", "birthday": "1985-12-10"}),
                NOON - DAY,
            ),
            mail("old", json!({"phone": "+493012345678"}), NOON - 800 * DAY),
            track("m-dev", None, Some("tablet"), NOON - 400 * DAY),
        ],
    );
    let mut bounced = track("m-bounce", Some("ada"), None, NOON);
    bounced["event"] = json!("Email Bounced");
    let mut company = track("m-group", Some("old"), None, NOON - 799 * DAY);
    (company["type"], company["groupId"], company["traits"]) =
        (json!("group"), json!("g1"), json!({"size": 3}));
    world.send("web", &[bounced, company]);
    // Of somebody who says no to everything nothing may be used.
    let mut news = mail("eve", json!({"email": "eve@shop.co.uk"}), NOON - DAY);
    news["context"] = json!({"consent": {"categoryPreferences": {"news": true}}});
    world.send("form", &[news]);
    let mut no = track("m-no", Some("eve"), None, NOON);
    no["context"] = json!({"consent": {"categoryPreferences": {"news": false}}});
    world.send("form", &[no]);
    let report = report(&world);
    let contacts = &report.contacts;
    assert_eq!(contacts.people, 5, "an account is nobody");
    assert_eq!((contacts.with_email, contacts.with_phone), (3, 1));
    assert_eq!((contacts.reachable, contacts.bounced, contacts.unpermitted), (2, 1, 1));
    assert_eq!((contacts.stale, contacts.stale_devices), (1, 1));
    let surplus = |key| report.duplicates.iter().find(|one| one.key == key).unwrap().surplus;
    assert_eq!(surplus(DuplicateKey::Email), 1, "a limit keeps the two user ids apart");
    assert_eq!(surplus(DuplicateKey::NameAndBirthDate), 1);
    assert_eq!(surplus(DuplicateKey::Phone), 0);
    let sources: Vec<(&str, u64)> =
        report.sources.iter().map(|one| (one.source.as_str(), one.records)).collect();
    assert_eq!(sources, [("form", 1), ("web", 3)], "a record has traits");
}

#[test]
fn a_survey_that_nobody_waits_for_breaks_off() {
    let mut world = World::new();
    world.send("web", &[mail("ada", json!({"plan": "pro"}), NOON)]);
    let rules = world.pipeline.rules().load_full();
    let broken =
        survey(world.store.as_ref(), &rules, &world.key(), world.clock.now(), &mut |_| false).unwrap();
    assert!(broken.is_none());
}

#[test]
fn audits_are_kept_up_to_a_number_and_replay_to_the_same_state() {
    let mut world = World::new();
    world.send("web", &[mail("ada", json!({"plan": "pro"}), NOON)]);
    let first = Audit::from(&report(&world));
    for n in 0..403_u64 {
        let audit = Audit { people: n, ..first.clone() };
        world.operate(Operation::PutAudit { audit: serde_json::to_value(audit).unwrap() });
    }
    let kept = load_audits(world.store.as_ref()).unwrap();
    let ends = (kept.first().unwrap().people, kept.last().unwrap().people);
    assert_eq!((kept.len(), ends), (400, (3, 402)));
    let mut again = World::on(std::sync::Arc::clone(&world.log), Default::default());
    again.pipeline.catch_up().unwrap();
    assert_eq!(world.hash(), again.hash());
}
