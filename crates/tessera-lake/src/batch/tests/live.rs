//! The batch over a lake and a state: what the gate gives each purpose, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tessera_audience::{DefinitionName, Definitions, Scalar};
use tessera_model::{ConsentStatus, Label, LabelSet, PurposeName};
use tessera_policy::Labels;
use tessera_store::Clock as _;

use crate::tests::world::{World, key};
use crate::{AskedOfEverybody, Engine, Everybody, QueryLimits, Sees};

const PEOPLE: [&str; 4] = ["ada", "bob", "eve", "kim"];

/// Ada and Eve ordered, Bob only looked, Kim said who she is. Ada and Bob want news, and Eve took that back.
fn world() -> World {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
        {"kind": "Field", "name": "properties.blood", "labels": ["special"]},
        {"kind": "Field", "name": "traits.plan", "labels": ["I2"]},
    ]));
    let track = |who: &str, number: u8, event: &str, properties: Value| {
        json!({"type": "track", "userId": who, "event": event, "messageId": format!("{who}-{event}-{number}"),
               "properties": properties, "context": {"page": {"path": "/x"}}})
    };
    world.send(
        "web",
        &[
            track("ada", 1, "Order", json!({"total": 60.5, "items": [{"kind": "shoe"}, {"kind": "hat"}]})),
            track("ada", 2, "Order", json!({"total": 40, "items": [{"kind": "shoe"}], "blood": "ab"})),
            track("eve", 1, "Order", json!({"total": 10})),
            track("bob", 1, "Seen", json!({})),
            json!({"type": "page", "userId": "bob", "name": "Home", "messageId": "p1"}),
            json!({"type": "identify", "userId": "kim", "messageId": "i1", "traits": {"plan": "pro", "total": 99}}),
            json!({"type": "group", "userId": "kim", "groupId": "acme", "messageId": "g1", "traits": {"seats": 7}}),
        ],
    );
    for who in ["ada", "bob", "eve"] {
        world.say(who, ConsentStatus::Given);
    }
    world.send("form", &[track("ada", 3, "Order", json!({"total": 5})), track("eve", 2, "Order", json!({}))]);
    world.clock.advance_millis(60_000);
    world.say("eve", ConsentStatus::Withdrawn);
    world.feed.flush().unwrap();
    world
}

fn ask(world: &World, definitions: Value) -> Vec<Everybody> {
    ask_as(world, definitions, Sees::default())
}

fn ask_as(world: &World, definitions: Value, sees: Sees) -> Vec<Everybody> {
    let definitions: Definitions = serde_json::from_value(definitions).unwrap();
    let traits = definitions.traits.iter().map(|one| DefinitionName::ComputedTrait(one.name.clone()));
    let audiences = definitions.audiences.iter().map(|one| DefinitionName::Audience(one.name.clone()));
    let names = traits.chain(audiences).collect();
    let rules = world.pipeline.rules().load_full();
    let labels = Arc::new(Labels::new(&rules));
    let spill = world.folder.path().join("spill");
    let engine = Arc::new(Engine::new(Arc::clone(&world.lake), spill, QueryLimits::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let asked = AskedOfEverybody { definitions: Arc::new(definitions), names, now: world.clock.now(), sees };
    let asking = engine.ask_everybody(Arc::clone(&world.store), (rules, labels, key()), asked);
    runtime.block_on(asking).unwrap()
}

fn who(world: &World, answer: &Everybody) -> Vec<&'static str> {
    let members = match answer {
        Everybody::Members(members) => members.clone(),
        Everybody::Values(values) => values.keys().copied().collect(),
    };
    let known: BTreeSet<_> = PEOPLE.iter().map(|name| world.id(&format!("user_id:{name}"))).collect();
    assert!(members.is_subset(&known), "somebody is a member whom nobody knows");
    PEOPLE.into_iter().filter(|name| members.contains(&world.id(&format!("user_id:{name}")))).collect()
}

#[test]
fn a_definition_sees_of_lake_and_state_what_its_purpose_permits() {
    let world = world();
    let members: [(&str, &str, &[&str]); 15] = [
        ("service", "orders >= 2", &["ada"]),
        ("service", "orders >= 1", &["ada", "eve"]),
        ("service", "not performed \"Order\"", &["bob", "kim"]),
        ("service", "sum of total of \"Order\" in last 30 days > 100", &["ada"]),
        ("service", "performed page", &["bob"]),
        ("service", "performed identify where total = 99", &["kim"]),
        ("service", "count of \"Order\" where items.kind = \"hat\" >= 1", &["ada"]),
        ("service", "count of any event where context.page.path = \"/x\" >= 1", &["ada", "bob", "eve"]),
        ("service", "distinct of items.kind of \"Order\" = 2", &["ada"]),
        ("service", "plan = \"pro\" and account seats > 5", &["kim"]),
        ("service", "consent news is valid", &["ada", "bob"]),
        // A label keeps it from every purpose that does not have it.
        ("service", "count of \"Order\" where blood exists >= 1", &[]),
        // Nobody sees of others what they took back or never gave.
        ("news", "performed \"Order\"", &["ada"]),
        ("news", "sum of total of \"Order\" = 5", &["ada"]),
        ("news", "plan exists", &[]),
    ];
    let audiences: Vec<Value> = members
        .iter()
        .enumerate()
        .map(|(number, (purpose, when, _))| {
            let when = when.replace("orders >=", "count of \"Order\" >=");
            json!({"name": format!("a{number}"), "purpose": purpose, "when": when})
        })
        .collect();
    let answers = ask(&world, json!({ "audiences": audiences }));
    for (answer, (purpose, when, expected)) in answers.iter().zip(members) {
        assert_eq!(who(&world, answer), expected, "{purpose}: {when}");
    }
}

#[test]
fn definitions_that_speak_of_others_are_asked_each_for_its_own_purpose() {
    let world = world();
    let answers = ask(
        &world,
        json!({
            "traits": [{"name": "spent", "purpose": "service", "value": "sum of total of \"Order\""}],
            "audiences": [
                {"name": "buyers", "purpose": "news", "when": "performed \"Order\" and spent > 50"},
                {"name": "others", "purpose": "service", "when": "not member of buyers"},
            ],
        }),
    );
    let Everybody::Values(spent) = &answers[0] else { panic!("a trait has values") };
    let of_ada = &spent[&world.id("user_id:ada")];
    assert_eq!(
        of_ada[..],
        [Scalar::Number("100.5".parse::<f64>().ok().and_then(tessera_audience::Number::from_f64).unwrap())]
    );
    assert_eq!(who(&world, &answers[1]), ["ada"]);
    assert_eq!(who(&world, &answers[2]), ["bob", "eve", "kim"]);
}

#[test]
fn who_does_not_see_everything_finds_nothing_by_what_they_do_not_see() {
    let world = world();
    let audiences = json!({"audiences": [
        {"name": "paying", "purpose": "service", "when": "plan = \"pro\""},
        {"name": "wanting", "purpose": "service", "when": "consent news is valid"},
        {"name": "buyers", "purpose": "service", "when": "sum of total of \"Order\" > 100"},
    ]});
    let found = |sees: Sees| {
        let answers = ask_as(&world, audiences.clone(), sees);
        answers.iter().map(|answer| who(&world, answer)).collect::<Vec<_>>()
    };
    assert_eq!(found(Sees::default()), [vec!["kim"], vec!["ada", "bob"], vec!["ada"]]);
    let hidden = [Label::I2].into_iter().collect::<LabelSet>();
    assert_eq!(found(Sees { hidden, purposes: None })[0], Vec::<&str>::new());
    let purposes = Some(BTreeSet::from([PurposeName::parse("service").unwrap()]));
    assert_eq!(found(Sees { purposes, ..Sees::default() }), [vec!["kim"], vec![], vec!["ada"]]);
}
