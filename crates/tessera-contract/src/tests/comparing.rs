//! Which changes of a plan break those who send.

use serde_json::{Value, json};

use crate::{Change, TrackingPlanDocument, compare};

fn plan(schema: &Value) -> TrackingPlanDocument {
    let plan = json!({
        "kind": "TrackingPlan", "name": "shop", "sources": ["web"], "events": {"Order Completed": {"schema": schema}},
    });
    serde_json::from_value(plan).unwrap()
}

/// Checks the differences between two schemas, `!` before those that break senders.
fn check(old: &Value, new: &Value, expected: &[&str]) {
    let found: Vec<String> = compare(&plan(old), &plan(new))
        .into_iter()
        .map(|difference| {
            let sign = if difference.change == Change::Breaking { "!" } else { "" };
            format!("{sign}{}", difference.at.trim_start_matches("events.Order Completed.schema"))
        })
        .collect();
    assert_eq!(found, expected, "{old} => {new}");
}

#[test]
fn what_permits_more_is_compatible_and_what_may_permit_less_is_breaking() {
    let text = json!({"properties": {"a": {"type": "string"}}});
    check(&text, &text, &[]);
    check(&text, &json!({"properties": {"a": {"type": ["string", "null"]}}}), &["/properties/a/type"]);
    check(&text, &json!({"properties": {"a": {"type": "integer"}}}), &["!/properties/a/type"]);
    check(&text, &json!({"properties": {}}), &["!/properties/a"]);
    check(
        &text,
        &json!({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}}),
        &["!/properties/b"],
    );
    check(&text, &json!({"properties": {"a": {"type": "string"}, "b": {}}}), &["/properties/b"]);
    check(&json!({"type": "integer"}), &json!({"type": "number"}), &["/type"]);
    check(&json!({"required": ["a", "b"]}), &json!({"required": ["a"]}), &["/required"]);
    check(&json!({"required": ["a"]}), &json!({"required": ["a", "b"]}), &["!/required"]);
    check(&json!({"minimum": 0}), &json!({"minimum": 5}), &["!/minimum"]);
    check(&json!({"maximum": 9}), &json!({"maximum": 10}), &["/maximum"]);
    check(&json!({"enum": ["a"]}), &json!({"enum": ["a", "b"]}), &["/enum"]);
    check(&json!({}), &json!({"additionalProperties": false}), &["!/additionalProperties"]);
    check(&json!({"pattern": "a"}), &json!({"pattern": "b"}), &["!/pattern"]);
    check(&json!({"description": "a"}), &json!({"description": "b"}), &[]);
}

#[test]
fn events_that_come_are_compatible_and_events_that_go_are_breaking() {
    let both: TrackingPlanDocument = serde_json::from_value(json!({
        "kind": "TrackingPlan", "name": "shop", "sources": ["web"], "events": {"A": {}, "B": {}},
    }))
    .unwrap();
    let mut one = both.clone();
    one.events.remove("B");
    assert_eq!(compare(&one, &both).first().map(|one| one.change), Some(Change::Compatible));
    assert_eq!(compare(&both, &one).first().map(|one| one.change), Some(Change::Breaking));
}
