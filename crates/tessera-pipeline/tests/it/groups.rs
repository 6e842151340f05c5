//! Households and accounts: what the store says of them is what the plain definition says of everybody's profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{Document, FragmentId, Operation, PurposeName};
use tessera_pipeline::{
    PipelineError, PipelineOptions, Query, for_each_group, group_members, groups_of, load_rules,
};
use tessera_profile::View;
use tessera_store::{Clock, Store, Table};

use crate::world::{NOON, World, identify, track, workspace};

fn documents(more: &Value) -> Vec<Document> {
    let mut all = workspace();
    all.extend(serde_json::from_value::<Vec<Document>>(more.clone()).unwrap());
    all
}

/// Rules that a history changes between.
fn rules(number: u8) -> Vec<Document> {
    let household = json!({"kind": "GroupType", "name": "household", "members_max": 50, "per_person_max": 64, "by": [
        {"traits": {"last": "text", "address.zip": "exact"}}, {"traits": {"phone": "phone"}}, {"identifier": "card"}]});
    let company = json!({"kind": "GroupType", "name": "company", "members_max": 50, "per_person_max": 64,
        "by": [{"group_calls": true}, {"email_domain": true}]});
    documents(&match number {
        0 => json!([]),
        1 => json!([household]),
        2 => json!([household, company]),
        _ => json!([household, company,
            {"kind": "Field", "name": "traits.last", "survivorship": {"rule": "longest"}}]),
    })
}

#[derive(Clone, Debug)]
enum Step {
    Event(Value),
    Split(u8),
    Erase(u8),
    Rules(u8),
}

fn event() -> impl Strategy<Value = Value> {
    let user = proptest::option::weighted(0.8, 1_u8..5);
    (user, 1_u8..4, 0_u8..12, 0_i64..6, 0_u8..3).prop_map(|(user, device, kind, at, value)| {
        let (user, device) = (user.map(|user| format!("u{user}")), format!("d{device}"));
        // A known person is seldom seen on a device, so that not everybody becomes one.
        let device = (user.is_none() || kind == 11).then_some(device);
        let (user, device) = (user.as_deref(), device.as_deref());
        let at = NOON - 10_000 + at;
        let said = |traits: Value| identify("", user, device, traits, at);
        match kind {
            0 => said(json!({"last": (["Lovelace", "LOVELACE ", "King"][usize::from(value)])})),
            1 => said(json!({"address": {"zip": format!("1000{value}")}})),
            2 => said(json!({"last": "King", "address": {"zip": format!("1000{value}")}})),
            3 => said(json!({"last": null})),
            4 => said(json!({"phone": (["+4930123456", "+49 30 123456", "call me"][usize::from(value)])})),
            5 => said(json!({"email": format!("{}@{}", user.unwrap_or("x"), ["acme.example", "gmail.com", "x.org"][usize::from(value)])})),
            6 => said(json!({"email": format!("somebody@acme{value}.example")})),
            7 | 8 => said(json!({"card": format!("k{value}")})),
            9 => {
                let mut group = track("", user, device, at);
                group["type"] = json!("group");
                group["groupId"] = json!(format!("a{value}"));
                group["traits"] = json!({"size": value, "last": "King", "address": {"zip": "10000"}});
                group
            }
            10 => {
                let mut alias = track("", user.or(Some("u1")), device, at);
                alias["type"] = json!("alias");
                alias["previousId"] = json!(format!("u{}", value + 1));
                alias
            }
            _ => track("", user, device, at),
        }
    })
}

fn numbered(mut steps: Vec<Step>) -> Vec<Step> {
    for (number, step) in steps.iter_mut().enumerate() {
        if let Step::Event(event) = step {
            event["messageId"] = json!(format!("m-{number}"));
        }
    }
    steps
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => event().prop_map(Step::Event),
        1 => (1_u8..4).prop_map(Step::Split),
        1 => (1_u8..5).prop_map(Step::Erase),
        2 => (0_u8..4).prop_map(Step::Rules),
    ];
    proptest::collection::vec(step, 1..30).prop_map(numbered)
}

fn events() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(event(), 1..24).prop_map(|events| {
        let steps = numbered(events.into_iter().map(Step::Event).collect());
        let of = |step| if let Step::Event(event) = step { event } else { Value::Null };
        steps.into_iter().map(of).collect()
    })
}

fn apply(world: &mut World, step: &Step) {
    match step {
        Step::Event(event) => world.send("web", std::slice::from_ref(event)),
        Step::Split(device) => {
            let fragments = vec![world.id(&format!("anonymous_id:d{device}"))];
            world.operate(Operation::Split { fragments, reason: String::new() });
        }
        Step::Erase(user) => {
            let fragments = vec![world.id(&format!("user_id:u{user}"))];
            world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
        }
        Step::Rules(number) => world.operate(Operation::Apply { documents: rules(*number) }),
    }
    world.clock.advance_millis(10);
}

fn world_after(steps: &[Step]) -> World {
    let mut world = World::new();
    apply(&mut world, &Step::Rules(2));
    steps.iter().for_each(|step| apply(&mut world, step));
    world
}

/// The members of every group, as the store's rows have them: type and members, without the groups' names.
fn kept(world: &World) -> Vec<(String, BTreeSet<String>)> {
    let rules = world.pipeline.rules().load_full();
    let mut found = Vec::new();
    for group_type in rules.groups.iter() {
        for_each_group(world.store.as_ref(), group_type, None, |group| {
            let members = group.profiles.iter().map(ToString::to_string).collect();
            found.push((group_type.document.name.to_string(), members));
            Ok::<_, PipelineError>(true)
        })
        .unwrap();
    }
    found.sort();
    found
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// The same, by reading every profile as it is shown and asking what its members have in common. Knows of no row.
fn plainly(world: &World) -> Vec<(String, BTreeSet<String>)> {
    let rules = world.pipeline.rules().load_full();
    let mut groups: BTreeMap<(&str, String), BTreeSet<String>> = BTreeMap::new();
    for profile in world.profiles() {
        let profile: Value = serde_json::from_str(&profile).unwrap();
        let id = profile["id"].as_str().unwrap().to_owned();
        let identifiers = profile["identifiers"].as_array().unwrap();
        if identifiers.iter().any(|one| one["namespace"] == "account_id") {
            continue;
        }
        let mut belongs = |of, value: String| groups.entry((of, value)).or_default().extend([id.clone()]);
        let traits = &profile["traits"];
        if let (Some(last), Some(zip)) = (text(traits, "/last"), text(traits, "/address/zip")) {
            belongs("household", format!("{} in {zip}", last.trim().to_lowercase()));
        }
        if let Some(phone) = text(traits, "/phone").filter(|phone| phone.starts_with('+')) {
            belongs("household", phone.replace(' ', ""));
        }
        for account in profile["accounts"].as_array().unwrap() {
            belongs("company", account["account_id"].as_str().unwrap().to_owned());
        }
        let of =
            |namespace: &'static str| identifiers.iter().filter(move |one| one["namespace"] == namespace);
        for address in of("email") {
            let (_, domain) = address["value"].as_str().unwrap().split_once('@').unwrap();
            if domain != "gmail.com" {
                belongs("company", format!("@{domain}"));
            }
        }
        for card in of("card") {
            belongs("household", card["value"].as_str().unwrap().to_owned());
        }
        // A card that a limit kept from them stands on a link that was refused.
        for edge in profile["merges"].as_array().unwrap() {
            let is_kept = matches!(text(edge, "/refused_by/reason"), Some("limit" | "window"));
            for (end, other) in [("a", "b"), ("b", "a")] {
                if is_kept && edge[other]["namespace"] == "card" && identifiers.contains(&edge[end]) {
                    belongs("household", edge[other]["value"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    let is_declared = |name: &str| rules.groups.get(name).is_some();
    let declared = groups.into_iter().filter(|((of, _), _)| is_declared(of));
    let mut found: Vec<_> = declared.map(|((of, _), members)| (of.to_owned(), members)).collect();
    found.sort();
    found
}

/// What somebody sees of a person's groups, for a purpose or for any.
fn seen(world: &World, reference: &str, purpose: Option<&str>) -> Vec<(String, Option<String>, Vec<String>)> {
    let rules = world.pipeline.rules().load_full();
    let labels = tessera_policy::Labels::new(&rules);
    let purpose = purpose.map(|name| PurposeName::parse(name).unwrap());
    let query =
        Query { rules: &rules, purpose: purpose.as_ref(), view: View::default(), now: world.clock.now() };
    let reader = tessera_profile::Reader {
        labels: &labels,
        hidden: tessera_model::LabelSet::default(),
        purposes: None,
    };
    let key = world.key();
    let found = query.seen_by(reader).with_groups(&key).by_id(world.store.as_ref(), world.id(reference));
    let groups = found.map(|profile| profile.get().groups.clone().unwrap()).unwrap_or_default();
    groups.into_iter().map(|group| (group.group_type, group.value, group.by)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn groups_are_what_the_plain_definition_says_after_any_history(steps in steps()) {
        let world = world_after(&steps);
        prop_assert_eq!(kept(&world), plainly(&world));
        // A replay, in one batch and under the same rules, gives the same rows.
        let mut again = World::on(Arc::clone(&world.log), PipelineOptions::default());
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), again.hash());
    }

    #[test]
    fn groups_do_not_depend_on_order_repetition_or_when_their_type_was_declared(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        repeats in 0_usize..6,
        at in 0_usize..24,
    ) {
        let mut world = world_after(&[]);
        world.send("web", &events);
        let mut other = World::new();
        let repeated: Vec<Value> = shuffled.iter().chain(shuffled.iter().take(repeats)).cloned().collect();
        let (early, late) = repeated.split_at(at.min(repeated.len()));
        early.chunks(3).for_each(|chunk| other.send("web", chunk));
        apply(&mut other, &Step::Rules(2));
        late.chunks(2).for_each(|chunk| other.send("web", chunk));
        prop_assert_eq!(kept(&world), kept(&other));
        prop_assert_eq!(kept(&world), plainly(&world));
    }

    #[test]
    fn a_crash_in_the_midst_of_grouping_everybody_leaves_the_same_rows(events in events(), checkpoint in any::<bool>()) {
        let mut world = World::new();
        world.send("web", &events);
        world.store.checkpoint().unwrap();
        apply(&mut world, &Step::Rules(2));
        let before = world.hash();
        if checkpoint {
            world.store.checkpoint().unwrap();
        }
        world.store.crash();
        world.reopen();
        world.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), before);
    }
}

fn three() -> World {
    let mut world = world_after(&[]);
    let home = |name: &str, zip: &str| json!({"last": name, "address": {"zip": zip}});
    world.send(
        "web",
        &[
            identify("1", Some("u1"), None, home("Lovelace", "10001"), NOON - 9000),
            identify("2", Some("u2"), None, home("LOVELACE", "10001"), NOON - 8000),
            identify("3", Some("u3"), Some("d3"), home("Lovelace", "20002"), NOON - 7000),
        ],
    );
    world
}

fn household(world: &World, reference: &str) -> Vec<FragmentId> {
    let rules = world.pipeline.rules().load_full();
    let groups = groups_of(world.store.as_ref(), &rules, &world.key(), world.id(reference)).unwrap();
    let Some(group) = groups.first() else { return Vec::new() };
    let group_type = rules.groups.get("household").unwrap();
    group_members(world.store.as_ref(), group_type, group.group).unwrap().unwrap().profiles
}

#[test]
fn a_merge_unites_memberships_and_a_split_parts_them() {
    let mut world = three();
    let before = kept(&world);
    assert_eq!(household(&world, "user_id:u1").len(), 2);
    let mut alias = track("4", Some("u1"), None, NOON - 6000);
    alias["type"] = json!("alias");
    alias["previousId"] = json!("u2");
    world.send("web", &[alias]);
    assert_eq!(household(&world, "user_id:u1"), [world.id("user_id:u1")], "two who are one are one member");
    let fragments = vec![world.id("user_id:u2")];
    world.operate(Operation::Split { fragments, reason: String::new() });
    assert_eq!(kept(&world), before);
}

#[test]
fn who_moves_away_leaves_and_who_is_erased_is_in_no_row() {
    let mut world = three();
    let u2 = world.id("user_id:u2");
    let moved = json!({"address": {"zip": "20002"}});
    world.send("web", &[identify("4", Some("u1"), None, moved, NOON - 6000)]);
    assert_eq!(household(&world, "user_id:u2"), [u2]);
    assert_eq!(household(&world, "user_id:u3").len(), 2);
    world.operate(Operation::Erase { fragments: vec![u2], request: "r1".to_owned() });
    let rows = world.store.scan(Table::Group, None, usize::MAX).unwrap();
    assert!(!rows.is_empty());
    for (key, value) in rows {
        assert!(!value.windows(16).any(|part| part == u2.0) && !key.id().ends_with(&u2.0[..10]));
    }
}

#[test]
fn a_value_that_too_many_share_makes_no_group_until_there_are_fewer() {
    let mut world = World::new();
    let few = json!([{"kind": "GroupType", "name": "household", "members_max": 2, "by": [{"traits": {"phone": "phone"}}]}]);
    world.operate(Operation::Apply { documents: documents(&few) });
    let call = |n: u8, phone: &str| {
        let n = n.to_string();
        identify(&format!("{n}{phone}"), Some(&n), None, json!({"phone": phone}), NOON - 9000)
    };
    // The number holds nobody together as one person: a limit of one user id stands against it.
    world.send("web", &[call(1, "+4930123456"), call(2, "+4930123456"), call(3, "+4930123456")]);
    let rules = world.pipeline.rules().load_full();
    let group_type = rules.groups.get("household").unwrap();
    let id = group_type.groups_called(&world.key(), &rules.namespaces, "030 123456");
    assert_eq!(id.len(), 1, "one rule, one group");
    let id = group_type.groups_called(&world.key(), &rules.namespaces, "+49 30 123456")[0];
    let members = || group_members(world.store.as_ref(), group_type, id).unwrap().unwrap();
    assert!(members().is_shared && members().profiles.is_empty());
    assert!(groups_of(world.store.as_ref(), &rules, &world.key(), world.id("user_id:1")).unwrap().is_empty());
    let fragments = vec![world.id("user_id:3")];
    world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    let rules = world.pipeline.rules().load_full();
    let group_type = rules.groups.get("household").unwrap();
    let members = group_members(world.store.as_ref(), group_type, id).unwrap().unwrap();
    assert!(!members.is_shared && members.profiles.len() == 2);
}

#[test]
fn an_identifier_that_many_share_makes_no_person_of_them_but_a_group() {
    let mut world = World::new();
    let by = json!([{"kind": "GroupType", "name": "household", "members_max": 50, "by": [{"identifier": "card"}]}]);
    world.operate(Operation::Apply { documents: documents(&by) });
    // More than ten: the card is found shared, and stands with the last ones in clusters of their own.
    for n in 0..16 {
        let event =
            identify(&format!("m{n}"), Some(&format!("u{n}")), None, json!({"card": "k1"}), NOON - 9000 + n);
        world.send("web", &[event]);
    }
    let kept = kept(&world);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1.len(), 16, "all who stood with it, wherever that is kept");
}

#[test]
fn a_membership_is_shown_for_purposes_that_cover_what_says_so_and_for_no_other() {
    let mut world = world_after(&[]);
    let (given, withdrawn) = (json!({"Newsletter": true}), json!({"Newsletter": false}));
    let mut said = identify("1", Some("u1"), None, json!({"last": "King"}), NOON - 9000);
    said["context"] = json!({"consent": {"categoryPreferences": given}});
    world.send("form", &[said]);
    let here = json!({"address": {"zip": "10001"}});
    world.send("web", &[identify("2", Some("u1"), None, here, NOON - 8000)]);
    let both = json!({"last": "King", "address": {"zip": "10001"}});
    world.send("web", &[identify("3", Some("u2"), None, both, NOON - 8000)]);
    assert_eq!(seen(&world, "user_id:u1", None).len(), 1);
    assert_eq!(
        seen(&world, "user_id:u2", Some("service"))[0].2,
        ["traits.address", "traits.last"],
        "the fields that say so"
    );
    // Half of what says so came for the news alone.
    assert_eq!(seen(&world, "user_id:u1", Some("service")), []);
    let mut no = track("4", Some("u1"), None, NOON - 7000);
    no["context"] = json!({"consent": {"categoryPreferences": withdrawn}});
    world.send("form", &[no]);
    assert_eq!(seen(&world, "user_id:u1", None), [], "nor is it shown by the other member's permission");
    assert_eq!(seen(&world, "user_id:u2", None).len(), 1);
}

#[test]
fn the_groups_of_a_person_come_with_the_traits_of_their_account() {
    let mut world = world_after(&[]);
    let mut group = track("1", Some("u1"), None, NOON - 9000);
    group["type"] = json!("group");
    group["groupId"] = json!("acme");
    group["traits"] = json!({"plan": "wholesale"});
    world.send("web", &[group]);
    let rules = world.pipeline.rules().load_full();
    let groups = groups_of(world.store.as_ref(), &rules, &world.key(), world.id("user_id:u1")).unwrap();
    assert_eq!(groups.len(), 1);
    let account = groups[0].account.as_ref().unwrap();
    let said: Vec<_> =
        account.fragment(0).unwrap().traits.iter().map(|(entry, _)| entry.value.as_str()).collect();
    assert_eq!((groups[0].group_type.as_str(), said), ("company", vec!["\"wholesale\""]));
    assert_eq!(
        seen(&world, "user_id:u1", None),
        [("company".to_owned(), Some("acme".to_owned()), vec!["identifiers.account_id".to_owned()])]
    );
}

#[test]
fn a_workspace_without_group_types_keeps_no_rows() {
    let mut world = three();
    assert!(!kept(&world).is_empty());
    apply(&mut world, &Step::Rules(0));
    assert_eq!(world.store.scan(Table::Group, None, 1).unwrap(), []);
    world.send("web", &[identify("9", Some("u9"), None, json!({"phone": "+4930123456"}), NOON)]);
    assert_eq!(world.store.scan(Table::Group, None, 1).unwrap(), []);
    assert!(load_rules(world.store.as_ref(), &world.key()).unwrap().groups.is_empty());
}
