//! What a simulation says is what then happens.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{
    Document, FragmentId, NamespaceRules, Operation, PurposeName, Rules, Timestamp, Workspace,
};
use tessera_pipeline::{
    PipelineError, Query, Simulation, ValueEffect, Walked, WhatIf, for_each_due, for_each_unresolved,
    is_resolving_due,
};
use tessera_policy::{Consents, Denial, Grant};
use tessera_profile::{Row, View};
use tessera_store::{Clock, Store, Table};

use crate::world::{NOON, World, identify, track};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Two purposes, their sources, and a destination for each; `with` goes over the documents of the same name.
fn documents(with: &Value) -> Vec<Document> {
    let base = json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service", "news"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
        {"kind": "Destination", "name": "crm", "type": "webhook", "purpose": "service"},
        {"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "news", "events": ["identify"]},
    ]);
    let mut documents: Vec<Value> = base.as_array().unwrap().clone();
    for changed in with.as_array().unwrap() {
        documents.retain(|known| (&known["kind"], &known["name"]) != (&changed["kind"], &changed["name"]));
        if changed["gone"] != true {
            documents.push(changed.clone());
        }
    }
    serde_json::from_value(Value::Array(documents)).unwrap()
}

fn world() -> World {
    let mut world = World::new();
    world.operate(Operation::Apply { documents: documents(&json!([])) });
    world
}

fn next(world: &World, documents: Vec<Document>) -> Rules {
    world.pipeline.rules().load().next(Workspace::new(documents).unwrap(), world.clock.now()).unwrap()
}

fn simulate_at(world: &World, with: &Value, at: Timestamp) -> Simulation {
    let (old, new) = (world.pipeline.rules().load_full(), next(world, documents(with)));
    let what = WhatIf { old: &old, new: &new, at };
    what.simulate(world.store.as_ref(), |_| ControlFlow::Continue(())).unwrap().unwrap()
}

fn simulate(world: &World, with: &Value) -> Simulation {
    simulate_at(world, with, world.clock.now())
}

/// Orders what brings everybody to the rules in force; returns how many clusters that took.
fn bring(world: &mut World) -> usize {
    let rules = world.pipeline.rules().load_full();
    let mut found = Vec::new();
    for_each_unresolved::<PipelineError>(
        world.store.as_ref(),
        &rules,
        |_| {},
        |fragments| {
            found.extend(fragments);
            Ok(())
        },
    )
    .unwrap();
    assert!(!is_resolving_due(world.store.as_ref(), &rules).unwrap());
    let clusters = found.len();
    if clusters > 0 {
        world.operate(Operation::Resolve { fragments: found });
    }
    clusters
}

#[test]
fn who_would_come_together_or_apart_by_other_limits_is_told_and_is_what_applying_does() {
    let mut world = world();
    // One tablet, three people: with one user id to a profile each stands alone.
    for (n, user) in ["ada", "bob", "cy"].into_iter().enumerate() {
        let at = NOON + i64::try_from(n).unwrap();
        let traits = json!({"name": user});
        world.send("web", &[identify(&format!("m{n}"), Some(user), Some("tablet"), traits, at)]);
    }
    world.send("web", &[identify("m9", Some("dora"), Some("phone"), json!({}), NOON)]);
    assert_eq!(world.totals().profiles, 4);
    let limits =
        |limit: u16| json!([{"kind": "Namespace", "name": "user_id", "priority": 10, "limit": limit}]);
    for (limit, profiles, merged, splitting) in [(2, 3, 1, 0), (3, 2, 1, 0), (1, 4, 0, 1)] {
        let now = world.totals().profiles;
        let told = simulate(&world, &limits(limit));
        assert_eq!((told.identity.merged, told.identity.splitting), (merged, splitting), "limit {limit}");
        assert_eq!(now - told.identity.profiles.before + told.identity.profiles.after, profiles);
        assert!(!told.is_without_effect());
        world.operate(Operation::Apply { documents: documents(&limits(limit)) });
        assert_eq!(world.totals().profiles, now, "applying alone waits for events");
        assert_eq!(bring(&mut world), 1, "the other cluster is as it should be");
        assert_eq!(world.totals().profiles, profiles, "limit {limit}");
        let together: BTreeSet<String> = ["ada", "bob", "cy"]
            .map(|user| world.profile(&format!("user_id:{user}"))["id"].to_string())
            .into_iter()
            .collect();
        assert_eq!(u64::try_from(together.len()).unwrap() + 1, profiles);
        assert_eq!(bring(&mut world), 0);
        assert!(simulate(&world, &limits(limit)).is_without_effect());
    }
}

fn given(message: &str, user: &str, at: i64) -> Value {
    json!({"type": "consent", "userId": user, "messageId": message, "consents": {"news": "given"},
           "timestamp": Timestamp::from_millis(at).to_string()})
}

fn name(text: &str) -> PurposeName {
    PurposeName::parse(text).unwrap()
}

/// `removed/held` of an effect, with the reasons.
fn gone(effect: &ValueEffect) -> String {
    let reasons: Vec<String> =
        effect.reasons.iter().map(|(why, n)| format!("{} {n}", why.as_str())).collect();
    format!("{}/{} {}", effect.removed, effect.held, reasons.join(", ")).trim_end().to_owned()
}

#[test]
fn a_shorter_retention_says_how_many_values_go() {
    let mut world = world();
    world.send("web", &[identify("m1", Some("a"), None, json!({"plan": "pro", "size": 1}), NOON - 40 * DAY)]);
    world.send("web", &[identify("m2", Some("a"), None, json!({"plan": "max"}), NOON - DAY)]);
    world.send("web", &[identify("m3", Some("b"), None, json!({"size": 2}), NOON - 40 * DAY)]);
    let shorter = json!([{"kind": "Purpose", "name": "service", "basis": "contract", "retention_days": 30}]);
    let told = simulate(&world, &shorter);
    assert_eq!((told.people, told.people_losing_something, told.people_losing_everything), (2, 2, 1));
    assert_eq!(gone(&told.traits["plan"]), "0/1", "the later word stands");
    assert_eq!(gone(&told.traits["size"]), "2/2 not_served 2");
    assert_eq!(gone(&told.recent_events), "2/3 not_served 2");
    assert_eq!(gone(&told.event_counts), "1/2 not_served 1", "its last time counts");
    assert_eq!(gone(&told.values), "5/8 not_served 5");
    let service = &told.purposes[&name("service")];
    assert_eq!((service.permitted.before, service.permitted.after), (2, 2), "the purpose itself permits");
    assert_eq!((service.with_data.before, service.with_data.after), (2, 1));
    assert!(!told.is_without_effect());
}

#[test]
fn a_cut_off_in_the_future_shows_as_of_then() {
    let mut world = world();
    world.send("form", &[given("m1", "a", NOON - 2000), given("m2", "b", NOON - 2000)]);
    world.send("form", &[identify("m3", Some("a"), None, json!({"plan": "pro"}), NOON - 1000)]);
    let cutoff = Timestamp::from_millis(NOON + 30 * DAY);
    let changed = json!([{"kind": "Purpose", "name": "news", "basis": "consent", "version": 2,
                          "notice": {"en": "More news."},
                          "reconsent": {"version": 2, "cutoff": cutoff.to_string()}}]);
    let news = name("news");
    let told = simulate(&world, &changed);
    assert!(told.is_without_effect(), "{told:?}");
    assert_eq!(told.purposes[&news].permitted.after, 2);
    let told = simulate_at(&world, &changed, cutoff);
    assert_eq!((told.purposes[&news].permitted.before, told.purposes[&news].permitted.after), (2, 0));
    assert_eq!(told.purposes[&news].newly_denied[&Denial::Outdated], 2);
    assert_eq!(gone(&told.traits["plan"]), "1/1 outdated 1");
    // The proof is kept: only what rests on the consent goes.
    assert_eq!((told.people_losing_everything, told.people), (2, 2));
}

#[test]
fn a_retired_purpose_takes_only_what_no_other_covers() {
    let mut world = world();
    world.send("web", &[given("m1", "a", NOON - 2000)]);
    world.send("web", &[identify("m2", Some("a"), None, json!({"plan": "pro"}), NOON - 1000)]);
    world.send("form", &[identify("m3", Some("a"), None, json!({"hobby": "chess"}), NOON)]);
    let retired = json!([{"kind": "Purpose", "name": "news", "basis": "consent", "retired": true}]);
    let told = simulate(&world, &retired);
    assert_eq!(gone(&told.traits["plan"]), "0/1");
    assert_eq!(gone(&told.traits["hobby"]), "1/1 retired 1");
    assert_eq!(told.purposes[&name("news")].newly_denied[&Denial::Retired], 1);
    assert_eq!((told.people_losing_something, told.people_losing_everything), (1, 0));
    let mailer = told.destinations.values().next_back().unwrap();
    assert_eq!((mailer.people.before, mailer.people.after), (1, 0));
    assert_eq!((mailer.waiting, mailer.denied.before, mailer.denied.after), (2, 0, 2));
    assert_eq!(mailer.newly_denied[&Denial::Retired], 2);
}

#[test]
fn a_minimum_age_leaves_out_the_young_and_those_of_unknown_age() {
    let mut world = world();
    for (message, user, traits) in [
        ("m1", "old", json!({"birthday": "1980-02-01"})),
        ("m2", "young", json!({"birthday": "2015-02-01"})),
        ("m3", "silent", json!({"plan": "pro"})),
    ] {
        world.send("web", &[identify(message, Some(user), None, traits, NOON)]);
    }
    let older = json!([{"kind": "Purpose", "name": "service", "basis": "contract", "minimum_age": 16}]);
    let told = simulate(&world, &older);
    let service = &told.purposes[&name("service")];
    assert_eq!((service.permitted.before, service.permitted.after), (3, 1));
    assert_eq!((service.newly_denied[&Denial::AgeUnknown], service.newly_denied[&Denial::Underage]), (1, 1));
    assert_eq!(gone(&told.traits["plan"]), "1/1 age_unknown 1");
    assert_eq!(gone(&told.traits["birthday"]), "1/2 underage 1");
    assert_eq!(told.people_losing_everything, 2);
}

#[test]
fn deliveries_that_wait_are_asked_again_and_those_of_a_destination_that_goes_are_stranded() {
    let mut world = world();
    world.send("web", &[given("m1", "a", NOON), identify("m2", Some("a"), None, json!({"x": 1}), NOON)]);
    world.send("web", &[track("m3", Some("b"), None, NOON)]);
    let signed_off = json!({"type": "consent", "userId": "a", "messageId": "m4",
        "traits": {"email": "a@x.org"}, "subscriptions": [{"key": "a@x.org", "type": "EMAIL", "status": "UNSUBSCRIBED"}],
        "timestamp": Timestamp::from_millis(NOON).to_string()});
    world.send("web", &[signed_off]);
    let changed = json!([
        {"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "news", "events": ["identify"],
         "channel": "email"},
        {"kind": "Destination", "name": "crm", "gone": true},
        {"kind": "Destination", "name": "lake", "type": "jsonl", "purpose": "service"},
    ]);
    let told = simulate(&world, &changed);
    let effects: Vec<_> = told.destinations.iter().map(|(name, one)| (name.as_str(), one)).collect();
    let [("crm", crm), ("lake", lake), ("mailer", mailer)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert!(crm.waiting >= 3 && crm.stranded == crm.waiting, "{crm:?}");
    assert_eq!((crm.people.before, crm.people.after), (2, 0));
    assert_eq!((lake.waiting, lake.people.before, lake.people.after), (0, 0, 2));
    assert_eq!((mailer.waiting, mailer.denied.before, mailer.denied.after), (1, 0, 1));
    assert_eq!(mailer.newly_denied[&Denial::Unsubscribed], 1);
    assert_eq!((mailer.people.before, mailer.people.after), (1, 0));
    assert_eq!(told.values.removed, 0);
}

#[test]
fn a_label_or_a_mapping_shows_the_fields_that_leave_no_more() {
    let mut world = world();
    world.send("web", &[identify("m1", Some("a"), None, json!({"plan": "pro", "illness": "flu"}), NOON)]);
    world.send("web", &[identify("m2", Some("b"), None, json!({"plan": "pro", "a@x.org": 1}), NOON)]);
    let crm = |told: &Simulation| {
        let effect = told.destinations.values().next().unwrap().clone();
        let shown = effect.fields.iter().filter(|(_, pair)| pair.before != pair.after);
        let shown = shown.map(|(path, pair)| format!("{path} {}->{}", pair.before, pair.after));
        assert_eq!((effect.waiting, effect.denied.after), (2, 0));
        assert!(effect.fields.keys().all(|path| !path.contains('@')), "{:?}", effect.fields);
        shown.collect::<Vec<_>>()
    };
    let labelled = json!([{"kind": "Field", "name": "traits.illness", "labels": ["special"]}]);
    let told = simulate(&world, &labelled);
    assert_eq!(crm(&told), ["traits.illness 1->0"]);
    assert!(!told.is_without_effect());
    let mapped = json!([{"kind": "Destination", "name": "crm", "type": "webhook", "purpose": "service",
                         "except": ["traits.plan"]}]);
    assert_eq!(crm(&simulate(&world, &mapped)), ["traits.plan 2->0"]);
    let same = simulate(&world, &json!([]));
    assert_eq!((crm(&same), same.is_without_effect()), (Vec::<String>::new(), true));
    assert_eq!(same.destinations.values().next().unwrap().fields["traits.plan"].before, 2);
}

#[test]
fn what_no_purpose_covers_any_more_is_not_put_down_to_the_change() {
    let mut world = World::new();
    let short = json!([{"kind": "Purpose", "name": "service", "basis": "contract", "retention_days": 10}]);
    world.operate(Operation::Apply { documents: documents(&short) });
    world.send("web", &[track("m1", Some("a"), None, NOON)]);
    let later = Timestamp::from_millis(NOON + 20 * DAY);
    let told = simulate_at(&world, &short, later);
    assert_eq!((told.values.held, told.values.removed, told.values.removed_anyway), (2, 0, 2));
    assert!(told.is_without_effect());
    let told = simulate_at(&world, &json!([]), later);
    assert_eq!((told.values.kept_after_all, told.values.removed_anyway), (2, 0));
}

#[test]
fn names_of_traits_that_look_like_data_are_not_repeated() {
    let mut world = world();
    let traits = json!({"ada@x.org": 1, "+49 30 123456": 1, "4711": 1, "plan": 1, "n".repeat(65): 1});
    world.send("web", &[identify("m1", Some("a"), None, traits, NOON)]);
    let many = (0..1500).map(|n| (format!("t{n}"), json!(n)));
    for (at, chunk) in many.collect::<Vec<_>>().chunks(100).enumerate() {
        let traits = Value::Object(chunk.iter().cloned().collect());
        world.send("web", &[identify(&format!("n{at}"), Some("a"), None, traits, NOON)]);
    }
    let told = simulate(&world, &json!([]));
    assert!(told.traits.keys().all(|name| name == "plan" || name == "(other)" || name.starts_with('t')));
    assert!(told.traits.len() <= 1001, "{}", told.traits.len());
    let held: u64 = told.traits.values().map(|effect| effect.held).sum();
    assert_eq!(held, 1505);
}

#[test]
fn a_walk_tells_how_far_it_is_and_breaks_off_when_told_to() {
    let mut world = world();
    let events: Vec<Value> =
        (0..600).map(|n| track(&format!("m{n}"), Some(&format!("u{n}")), None, NOON)).collect();
    world.send("web", &events);
    let rules = world.pipeline.rules().load_full();
    let what = WhatIf { old: &rules, new: &rules, at: world.clock.now() };
    let mut told: Vec<Walked> = Vec::new();
    let broken = what
        .simulate(world.store.as_ref(), |walked| {
            told.push(walked);
            if told.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((broken, told.len()), (None, 2));
    assert_eq!((told[1].profiles, told[1].profiles_expected), (512, 600));
    let mut last = Walked::default();
    what.simulate(world.store.as_ref(), |walked| {
        last = walked;
        ControlFlow::Continue(())
    })
    .unwrap()
    .unwrap();
    assert_eq!(last, Walked { profiles: 600, profiles_expected: 600, deliveries: 600 });
}

/// Few people and devices over two months, with consents, days of birth, accounts and subscriptions.
fn event() -> impl Strategy<Value = Value> {
    let user = proptest::option::weighted(0.8, "u[1-4]");
    (user, "d[1-4]", 0_u8..12, 0_i64..60, 0_usize..4).prop_map(|(user, device, kind, days, pick)| {
        let at = NOON - days * DAY;
        let (user, device) = (user.as_deref(), Some(device.as_str()));
        match kind {
            0..=2 => track("", user, device, at),
            3..=5 => identify("", user, device, json!({format!("t{pick}"): pick}), at),
            6 => {
                let birthday = ["1980-01-01", "2004-11-15", "2010-05-05", "2015-01-01"][pick];
                identify("", user, device, json!({"birthday": birthday}), at)
            }
            7 => {
                let mut group = track("", user, device, at);
                group["type"] = json!("group");
                group["groupId"] = json!(format!("g{pick}"));
                group["traits"] = json!({"size": pick});
                group
            }
            8 => {
                let mut event = identify("", user, device, json!({"email": "e1@x.org"}), at);
                let status = if pick == 0 { "UNSUBSCRIBED" } else { "SUBSCRIBED" };
                event["context"] = json!({"messaging_subscriptions":
                    [{"key": "e1@x.org", "type": "EMAIL", "status": status}]});
                event
            }
            _ => {
                let mut event = identify("", user, device, json!({format!("t{pick}"): true}), at);
                let said = ["given", "given", "refused", "withdrawn"][pick];
                event["context"] = json!({"consent": {"categoryPreferences": {"news": said}}});
                event
            }
        }
    })
}

fn events() -> impl Strategy<Value = Vec<(bool, Value)>> {
    proptest::collection::vec((proptest::bool::weighted(0.6), event()), 1..40).prop_map(|mut events| {
        for (n, (_, event)) in events.iter_mut().enumerate() {
            event["messageId"] = json!(format!("m{n}"));
        }
        events
    })
}

/// Any change of purposes and destinations, also such as the server would refuse.
fn change() -> impl Strategy<Value = Value> {
    let days = || proptest::option::weighted(0.4, 1_u32..60);
    let service = (days(), proptest::option::weighted(0.3, 14_u8..20), proptest::bool::weighted(0.15));
    let news = (days(), days(), proptest::option::weighted(0.3, -30_i64..30), proptest::bool::weighted(0.15));
    (service, news, proptest::bool::ANY, 0_u8..3).prop_map(|(service, news, has_channel, crm)| {
        let mut mailer = json!({"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "news",
                                "events": ["identify"]});
        if has_channel {
            mailer["channel"] = json!("email");
        }
        let crm = match crm {
            0 => json!({"kind": "Destination", "name": "crm", "type": "webhook", "purpose": "service"}),
            1 => json!({"kind": "Destination", "name": "crm", "type": "webhook", "purpose": "news"}),
            _ => json!({"kind": "Destination", "name": "crm", "gone": true}),
        };
        let reconsent = news.2.map(
            |days| json!({"version": 2, "cutoff": Timestamp::from_millis(NOON + days * DAY).to_string()}),
        );
        json!([
            {"kind": "Purpose", "name": "service", "basis": "contract", "retention_days": service.0,
             "minimum_age": service.1, "retired": service.2},
            {"kind": "Purpose", "name": "news", "basis": "consent", "version": 2, "retention_days": news.0,
             "consent_valid_days": news.1, "reconsent": reconsent, "retired": news.3},
            mailer, crm,
        ])
    })
}

fn history(old: &Value, events: &[(bool, Value)]) -> World {
    let mut world = World::new();
    world.operate(Operation::Apply { documents: documents(old) });
    for (is_web, event) in events {
        world.send(if *is_web { "web" } else { "form" }, std::slice::from_ref(event));
    }
    world
}

struct Stored {
    /// One of its fragments.
    id: FragmentId,
    is_person: bool,
    consents: Vec<Consents>,
}

fn profiles(world: &World) -> Vec<Stored> {
    let rows = world.store.scan(Table::Cluster, None, usize::MAX).unwrap();
    let mut found = Vec::new();
    for (_, value) in rows {
        let Row::Cluster(cluster) = Row::decode(&value).unwrap() else { continue };
        let nodes = cluster.graph().nodes();
        for component in cluster.graph().components() {
            let is_account = nodes[component[0]].namespace.as_str() == NamespaceRules::ACCOUNT;
            let consents = component.iter().map(|at| cluster.fragment(*at).unwrap().consents.clone());
            found.push(Stored {
                id: nodes[component[0]].id,
                is_person: !is_account,
                consents: consents.collect(),
            });
        }
    }
    found
}

/// People whom the purpose may be pursued for now, and those of whom the profile API shows it something.
fn shown(world: &World, purpose: &PurposeName) -> (u64, u64) {
    let rules = world.pipeline.rules().load_full();
    let view = View { events: true, ..View::default() };
    let query = Query { rules: &rules, purpose: Some(purpose), view, now: world.clock.now() };
    let (mut permitted, mut with_data) = (0, 0);
    for profile in profiles(world).into_iter().filter(|profile| profile.is_person) {
        let grant = Grant::decide(rules.purposes.get(purpose), profile.consents.iter(), world.clock.now());
        permitted += grant.permits().len() as u64;
        let shown = query.by_id(world.store.as_ref(), profile.id);
        with_data += u64::from(shown.is_ok_and(|profile| !profile.get().recent.is_empty()));
    }
    (permitted, with_data)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_workspace_against_itself_changes_nothing(
        workspace in change(), events in events(), days in 0_i64..90,
    ) {
        let world = history(&workspace, &events);
        let told = simulate_at(&world, &workspace, Timestamp::from_millis(NOON + days * DAY));
        prop_assert!(told.is_without_effect(), "{:?}", told);
        prop_assert_eq!((told.people_losing_something, told.people_losing_everything), (0, 0));
        prop_assert!(told.values.reasons.is_empty());
    }

    #[test]
    fn what_is_told_is_what_applying_and_expiring_do(
        old in change(), new in change(), events in events(),
    ) {
        let mut world = history(&old, &events);
        let told = simulate(&world, &new);
        for (purpose, effect) in &told.purposes {
            prop_assert_eq!(shown(&world, purpose), (effect.permitted.before, effect.with_data.before), "{}", purpose);
        }
        world.operate(Operation::Apply { documents: documents(&new) });
        for (purpose, effect) in &told.purposes {
            prop_assert_eq!(shown(&world, purpose), (effect.permitted.after, effect.with_data.after), "{}", purpose);
            let denied: u64 = effect.newly_denied.values().sum();
            prop_assert_eq!(
                effect.permitted.before + effect.newly_permitted,
                effect.permitted.after + denied
            );
        }
        let before = world.totals().expired;
        let (mut due, rules) = (Vec::new(), world.pipeline.rules().load_full());
        for_each_due::<PipelineError>(world.store.as_ref(), &rules, world.clock.now(), |fragments| {
            due.push(fragments);
            Ok(())
        }).unwrap();
        due.into_iter().for_each(|fragments| world.operate(Operation::Expire { fragments }));
        let expired = world.totals().expired - before;
        prop_assert_eq!(expired, told.values.removed + told.values.removed_anyway);
        prop_assert_eq!(told.values.removed, told.values.reasons.values().sum::<u64>());
        let left = simulate(&world, &new);
        let rest = |effect: &ValueEffect| effect.held - effect.removed - effect.removed_anyway;
        prop_assert_eq!(left.values.held, rest(&told.values));
        prop_assert_eq!(left.recent_events.held, rest(&told.recent_events));
        prop_assert_eq!(left.event_counts.held, rest(&told.event_counts));
        prop_assert_eq!(left.memberships.held, rest(&told.memberships));
        for (name, effect) in &told.traits {
            prop_assert_eq!(left.traits.get(name).map_or(0, |left| left.held), rest(effect), "{}", name);
        }
    }
}
