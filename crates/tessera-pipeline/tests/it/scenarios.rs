//! What becomes of events, one story each.

use serde_json::{Value, json};
use tessera_model::{Entrance, Operation};
use tessera_pipeline::fragments_of;

use crate::world::{NOON, World, identify, track};

fn identifiers(profile: &Value) -> Vec<String> {
    let list = profile["identifiers"].as_array().unwrap();
    list.iter()
        .map(|i| format!("{}:{}", i["namespace"].as_str().unwrap(), i["value"].as_str().unwrap()))
        .collect()
}

#[test]
fn identify_joins_a_device_to_a_person_and_keeps_the_elder_id() {
    let mut world = World::new();
    world.send("web", &[track("m1", None, Some("dev-1"), NOON - 1000)]);
    let anonymous = world.profile("anonymous_id:dev-1");
    world.send(
        "web",
        &[identify("m2", Some("ada"), Some("dev-1"), json!({"email": "Ada@X.org", "plan": "pro"}), NOON)],
    );
    let known = world.profile("user_id:ada");
    assert_eq!(known["id"], anonymous["id"]);
    assert_eq!(identifiers(&known), ["anonymous_id:dev-1", "email:ada@x.org", "user_id:ada"]);
    assert_eq!(known["traits"], json!({"email": "Ada@X.org", "plan": "pro"}));
    assert_eq!(known["first_seen_at"], "2023-11-14T22:13:19.000Z");
    assert_eq!(known["event_counts"]["Product Viewed"]["count"], 1);
    assert_eq!(known["provenance"]["plan"]["source"], "web");
    assert_eq!(known["provenance"]["plan"]["message_id"], "m2");
    let totals = world.totals();
    assert_eq!((totals.accepted, totals.profiles, totals.identifiers), (2, 1, 3));
}

#[test]
fn a_repeat_is_counted_once_even_by_a_busy_owner() {
    let mut world = World::new();
    let events: Vec<Value> =
        (0..400).map(|n| track(&format!("m{n}"), Some("busy"), None, NOON + n)).collect();
    world.send("web", &events);
    world.send("web", &events);
    for event in &events {
        world.send("web", std::slice::from_ref(event));
    }
    assert_eq!(world.profile("user_id:busy")["event_counts"]["Product Viewed"]["count"], 400);
    assert_eq!((world.totals().accepted, world.totals().duplicates), (400, 800));
}

#[test]
fn a_message_older_than_the_window_is_new_again() {
    let mut world = World::new();
    world.send("web", &[track("m1", Some("u"), None, NOON)]);
    world.clock.advance_millis(73 * 60 * 60 * 1000);
    world.send("web", &[track("m2", Some("u"), None, NOON)]);
    world.send("web", &[track("m1", Some("u"), None, NOON)]);
    assert_eq!(world.totals().accepted, 3);
}

#[test]
fn an_event_that_no_purpose_covers_leaves_nothing_but_a_count() {
    let mut world = World::new();
    world.send("form", &[identify("m1", Some("bob"), None, json!({"plan": "pro"}), NOON)]);
    assert_eq!(world.profile_for("user_id:bob", None), Err("not found".to_owned()));
    assert_eq!(world.totals().denied["never_asked"], 1);
    assert_eq!(world.totals().accepted, 0);
}

#[test]
fn consent_opens_the_gate_and_withdrawal_closes_it_again() {
    let mut world = World::new();
    let mut event = identify("m1", Some("bob"), None, json!({"plan": "pro"}), NOON);
    event["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": true}}});
    world.send("form", &[event]);
    assert_eq!(world.profile_for("user_id:bob", Some("news")).unwrap()["traits"]["plan"], "pro");
    assert_eq!(world.profile_for("user_id:bob", Some("service")), Err("not_served".to_owned()));
    let consent = json!({"userId": "bob", "messageId": "m2", "consents": {"news": "withdrawn"},
                         "timestamp": "2023-11-15T00:00:00Z"});
    world.post("form", Entrance::Consent, &consent.to_string());
    assert_eq!(world.profile_for("user_id:bob", Some("news")), Err("withdrawn".to_owned()));
    world.send("form", &[identify("m3", Some("bob"), None, json!({"plan": "free"}), NOON + 1)]);
    assert_eq!(world.totals().denied["withdrawn"], 1);
}

#[test]
fn a_refusal_is_kept_as_proof_although_the_event_is_not() {
    let mut world = World::new();
    let mut event = identify("m1", Some("bob"), Some("d"), json!({"plan": "pro"}), NOON);
    event["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": false}}});
    world.send("form", &[event]);
    assert_eq!(world.totals().denied["refused"], 1);
    assert_eq!(world.profile_for("anonymous_id:d", None), Err("refused".to_owned()));
    assert_eq!(world.consents("anonymous_id:d")["news"]["status"], "refused");
    let device = world.id("anonymous_id:d");
    assert_eq!(fragments_of(world.store.as_ref(), device).unwrap(), [device].into(), "no link was made");
}

#[test]
fn merging_people_takes_the_stricter_answer() {
    let mut world = World::new();
    let consent = |user: &str, says: bool, message: &str| {
        json!({"type": "consent", "userId": user, "messageId": message, "consents": {"news": says},
               "timestamp": "2023-11-14T22:13:20Z"})
    };
    world.send("form", &[consent("a", true, "m1"), consent("b", false, "m2")]);
    let mut event = identify("m3", Some("a"), None, json!({"plan": "pro"}), NOON);
    world.send("form", &[event.clone()]);
    assert_eq!(world.totals().accepted, 3);
    world.send("web", &[json!({"type": "alias", "userId": "a", "previousId": "b", "messageId": "m4"})]);
    assert_eq!(world.profile("user_id:a")["id"], world.profile("user_id:b")["id"]);
    event["messageId"] = json!("m5");
    world.send("form", &[event]);
    assert_eq!(world.totals().denied["refused"], 1);
}

#[test]
fn a_shared_tablet_does_not_make_one_person_of_two() {
    let mut world = World::new();
    world.send("web", &[identify("m1", Some("u1"), Some("tablet"), json!({"name": "One"}), NOON)]);
    world.send("web", &[identify("m2", Some("u2"), Some("tablet"), json!({"name": "Two"}), NOON + 1)]);
    assert_ne!(world.profile("user_id:u1")["id"], world.profile("user_id:u2")["id"]);
    assert_eq!(world.profile("anonymous_id:tablet")["id"], world.profile("user_id:u1")["id"]);
    assert_eq!(world.profile("user_id:u2")["traits"]["name"], "Two");
    let merges = world.profile("user_id:u2")["merges"].clone();
    assert_eq!(merges[0]["linked"], "refused", "{merges}");
}

#[test]
fn group_calls_give_account_profiles() {
    let mut world = World::new();
    let group = json!({"type": "group", "userId": "u1", "groupId": "acme", "traits": {"name": "Acme", "email": "office@acme.org"}, "messageId": "m1"});
    world.send("web", &[group]);
    assert_eq!(world.profile("account_id:acme")["traits"]["name"], "Acme");
    assert_eq!(world.profile("user_id:u1")["accounts"][0]["account_id"], "acme");
    assert_eq!(
        identifiers(&world.profile("user_id:u1")),
        ["user_id:u1"],
        "the account's e-mail is not the person's"
    );
    assert_eq!(world.totals().accounts, 1);
}

#[test]
fn split_gives_back_what_there_was_and_later_events_do_not_join_again() {
    let mut world = World::new();
    world.send("web", &[identify("m1", Some("u1"), Some("d1"), json!({"name": "One"}), NOON)]);
    world.send("web", &[identify("m2", None, Some("d2"), json!({"colour": "red"}), NOON + 1)]);
    world.send("web", &[identify("m3", Some("u1"), Some("d2"), json!({}), NOON + 2)]);
    assert_eq!(world.profile("user_id:u1")["traits"], json!({"name": "One", "colour": "red"}));
    let away = vec![world.id("anonymous_id:d2")];
    world.operate(Operation::Split { fragments: away, reason: "a gift".to_owned() });
    assert_eq!(world.profile("user_id:u1")["traits"], json!({"name": "One"}));
    assert_eq!(world.profile("anonymous_id:d2")["traits"], json!({"colour": "red"}));
    world.send("web", &[identify("m4", Some("u1"), Some("d2"), json!({}), NOON + 3)]);
    assert_ne!(world.profile("user_id:u1")["id"], world.profile("anonymous_id:d2")["id"]);
    assert_eq!(world.totals().profiles, 2);
}

#[test]
fn one_bad_event_does_not_condemn_its_batch() {
    let mut world = World::new();
    let bad = json!({"type": "track", "userId": "u1", "messageId": "m2"});
    world.send(
        "web",
        &[track("m1", Some("u1"), None, NOON), bad, json!(7), track("m3", Some("u1"), None, NOON)],
    );
    assert_eq!(world.totals().accepted, 2);
    let rejects = world.rejects();
    assert_eq!(rejects.len(), 2);
    assert_eq!(rejects[0], "TES-I008 a track call needs `event`");
    assert!(rejects[1].starts_with("TES-I004"), "{}", rejects[1]);
}

#[test]
fn a_custom_namespace_is_read_from_where_the_workspace_says() {
    let mut world = World::new();
    let mut till = track("m1", None, Some("till-7"), NOON);
    till["properties"] = json!({"card": "4711", "total": 12.5});
    world.send("web", &[till]);
    assert_eq!(identifiers(&world.profile("card:4711")), ["anonymous_id:till-7", "card:4711"]);
}

#[test]
fn null_takes_a_trait_away_and_an_earlier_word_does_not_bring_it_back() {
    let mut world = World::new();
    world.send("web", &[identify("m2", Some("u"), None, json!({"plan": null}), NOON)]);
    world.send("web", &[identify("m1", Some("u"), None, json!({"plan": "pro"}), NOON - 1)]);
    assert_eq!(world.profile("user_id:u")["traits"], json!({}));
}

#[test]
fn alias_joins_an_anonymous_id_or_a_user_id_and_shows_only_those_that_events_name() {
    let mut world = World::new();
    world.send(
        "web",
        &[json!({"type": "alias", "userId": "u1", "previousId": "device 7", "messageId": "m1"})],
    );
    world.send("web", &[json!({"type": "alias", "userId": "u1", "previousId": "old", "messageId": "m2"})]);
    assert_eq!(identifiers(&world.profile("user_id:u1")), ["user_id:u1"]);
    world.send("web", &[track("m3", None, Some("device 7"), NOON), track("m4", Some("old"), None, NOON)]);
    assert_eq!(
        identifiers(&world.profile("user_id:u1")),
        ["anonymous_id:device 7", "user_id:old", "user_id:u1"]
    );
}

#[test]
fn identify_takes_traits_from_the_context_when_it_has_none_of_its_own() {
    let mut world = World::new();
    let mut event = identify("m1", Some("u"), None, json!(null), NOON);
    event["context"] = json!({"traits": {"plan": "pro"}});
    world.send("web", &[event]);
    assert_eq!(world.profile("user_id:u")["traits"], json!({"plan": "pro"}));
}
