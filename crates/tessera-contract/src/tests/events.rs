//! What plans say of events.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Contract, OnViolation, Planned, Strip, TrackingPlanDocument};

fn plan(change: Value) -> TrackingPlanDocument {
    let mut plan = json!({
        "kind": "TrackingPlan", "name": "shop", "version": 3, "sources": ["web"],
        "events": {
            "Order Completed": {"schema": {
                "type": "object",
                "required": ["order_id"],
                "properties": {
                    "order_id": {"type": "string"},
                    "total": {"type": "number", "minimum": 0},
                    "currency": {"enum": ["EUR", "USD"]},
                    "items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}},
                },
            }},
            "identify": {"schema": {"properties": {"email": {"type": "string", "format": "email"}}}},
        },
    });
    if let (Value::Object(plan), Value::Object(change)) = (&mut plan, change) {
        plan.extend(change);
    }
    serde_json::from_value(plan).unwrap()
}

fn contract(change: Value) -> Contract {
    Contract::compile(&plan(change)).unwrap().remove("web").unwrap()
}

/// What the plan says of an order with these properties, one violation a line.
fn check(contract: &Contract, properties: &Value) -> (String, Strip) {
    let body = properties.to_string();
    let (checked, strip) =
        contract.check(contract.find("track", Some("Order Completed")), Some(&body), "properties");
    let line = |one: &crate::Violation| format!("{} {} {}", one.path, one.keyword, one.expected);
    (checked.violations.iter().map(line).collect::<Vec<_>>().join("\n"), strip)
}

#[test]
fn violations_name_path_keyword_and_what_was_expected_and_no_value() {
    let contract = contract(json!({}));
    for (properties, expected) in [
        (json!({"order_id": "a", "total": 1.5, "currency": "EUR"}), ""),
        (json!({"order_id": "a", "other": "planned or not, nobody asks"}), ""),
        (json!({}), "properties.order_id required present"),
        (
            json!({"order_id": 7, "total": "ada@example.com"}),
            "properties.order_id type string\nproperties.total type number",
        ),
        (json!({"order_id": "a", "total": -5}), "properties.total minimum at least 0"),
        (json!({"order_id": "a", "currency": "ada"}), "properties.currency enum one of \"EUR\", \"USD\""),
        (
            json!({"order_id": "a", "items": [{"price": "1"}, {"price": 2}, {"price": "3"}]}),
            "properties.items.*.price type number",
        ),
        (json!("ada"), "properties type object"),
        (json!(["ada"]), "properties type object"),
    ] {
        assert_eq!(check(&contract, &properties).0, expected, "{properties}");
    }
}

#[test]
fn names_that_senders_chose_are_shown_only_when_they_look_like_names() {
    let contract = contract(json!({"unplanned_properties": "pass"}));
    let found =
        check(&contract, &json!({"order_id": "a", "ada@example.com": 1, "utm_source": 2, "491701234567": 3}))
            .0;
    let unplanned = "unplanned a property that the plan names";
    assert_eq!(found, format!("properties.* {unplanned}\nproperties.utm_source {unplanned}"));
}

#[test]
fn the_event_beats_the_source_and_the_source_the_plan() {
    let reaction = |change: Value| {
        let contract = contract(change);
        contract.check(contract.find("track", Some("Order Completed")), Some("{}"), "properties").0.reaction
    };
    assert_eq!(reaction(json!({})), OnViolation::Pass);
    assert_eq!(reaction(json!({"on_violation": "block"})), OnViolation::Block);
    assert_eq!(reaction(json!({"on_violation": "block", "by_source": {"web": "strip"}})), OnViolation::Strip);
    let event = json!({"Order Completed": {"on_violation": "quarantine", "schema": {"required": ["a"]}}});
    assert_eq!(reaction(json!({"by_source": {"web": "strip"}, "events": event})), OnViolation::Quarantine);
}

#[test]
fn an_event_that_is_not_planned_is_a_violation_only_if_the_plan_says_so() {
    for (unplanned, expected) in [("allow", 0), ("pass", 1), ("quarantine", 1), ("block", 1)] {
        let contract = contract(json!({"unplanned_events": unplanned}));
        let (checked, _) = contract.check(contract.find("track", Some("Other")), Some("{}"), "properties");
        assert_eq!(checked.violations.len(), expected, "{unplanned}");
        assert_eq!(checked.planned, None);
        // Calls that a plan does not name are nobody's violation.
        for call in ["page", "group", "alias", "consent"] {
            assert!(matches!(contract.find(call, None), Planned::Exempt), "{call}");
        }
    }
}

#[test]
fn plans_that_cannot_be_used_are_refused_with_the_field() {
    for (change, field) in [
        (json!({"version": 0}), "version"),
        (json!({"name": "a b"}), "name"),
        (json!({"sources": []}), "sources"),
        (json!({"by_source": {"till": "pass"}}), "by_source"),
        (json!({"on_violation": "allow"}), "on_violation"),
        (json!({"unplanned_events": "strip"}), "unplanned_events"),
        (json!({"events": {"track": {}}}), "events"),
        (json!({"events": {"A": {"schema": {"typo": 1}}}}), "events.A.schema/typo"),
        (json!({"events": {"A": {"expect": {"per_hour": {"min": 2, "max": 1}}}}}), "events.A.expect"),
        (json!({"expect": {"null_share": {"a": 1.5}}}), "expect"),
    ] {
        let problems = Contract::compile(&plan(change.clone())).unwrap_err();
        assert!(problems.iter().any(|problem| problem.field == field), "{change}: {problems:?}");
    }
}

#[test]
fn many_violations_are_listed_up_to_twenty_and_counted() {
    let contract = contract(json!({"unplanned_properties": "pass"}));
    let many: Map<String, Value> = (0..30).map(|n| (format!("p{n}"), json!(1))).collect();
    let (checked, _) = contract.check(
        contract.find("track", Some("Order Completed")),
        Some(&Value::Object(many).to_string()),
        "properties",
    );
    assert_eq!((checked.violations.len(), checked.unlisted), (20, 11));
    assert!(checked.reason().ends_with("; and 11 more"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
        Just(json!("EUR")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("(price|total|[a-z]{1,2})", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_properties() -> impl Strategy<Value = Value> {
    let name = "(order_id|total|currency|items|other)";
    proptest::collection::btree_map(name, any_value(), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    /// What is left after stripping violates only by what is missing.
    #[test]
    fn what_is_left_after_stripping_has_nothing_more_to_strip(properties in any_properties()) {
        let contract = contract(json!({"on_violation": "strip", "unplanned_properties": "strip"}));
        let (_, strip) = check(&contract, &properties);
        let mut left = properties.as_object().unwrap().clone();
        left.retain(|name, _| !strip.takes(name));
        let (found, again) = check(&contract, &Value::Object(left));
        prop_assert_eq!(again, Strip::Names(BTreeSet::new()));
        prop_assert!(found.is_empty() || found == "properties.order_id required present", "{}", found);
    }

    /// Nothing of an event's values is in what is told of it.
    #[test]
    fn no_value_is_in_a_violation(properties in any_properties(), secret in "zz[a-z]{6}") {
        let contract = contract(json!({"on_violation": "block", "unplanned_properties": "pass"}));
        let hidden = replace_texts(properties, &secret);
        let body = hidden.to_string();
        let (checked, _) = contract.check(contract.find("track", Some("Order Completed")), Some(&body), "properties");
        prop_assert!(!checked.reason().contains(&secret));
        prop_assert!(!checked.mark().to_string().contains(&secret));
    }
}

fn replace_texts(value: Value, text: &str) -> Value {
    match value {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Array(items) => items.into_iter().map(|item| replace_texts(item, text)).collect(),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, replace_texts(value, text))).collect(),
        ),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}
