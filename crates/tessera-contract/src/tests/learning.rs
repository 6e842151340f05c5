//! What is learnt, and what must not be.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Contract, LearnOptions, Learner, OnViolation};

/// The schema learnt from these, one person each, with three people enough.
fn learnt(bodies: &[Value]) -> Value {
    let mut learner = Learner::new(LearnOptions { people_min: 3 });
    for (body, person) in bodies.iter().zip(0..) {
        learner.learn("Order Completed", Some(&body.to_string()), person);
    }
    let plan = learner.plan("learnt", "web");
    plan.events.get("Order Completed").unwrap().schema.clone().unwrap()
}

#[test]
fn types_required_fields_formats_ranges_and_few_values_are_learnt() {
    let order = |n: i64, currency: &str, coupon: Value| {
        json!({"total": n, "currency": currency, "at": "2026-01-31T12:00:00Z", "coupon": coupon,
               "items": [{"sku": format!("sku-{n}"), "price": 1.5}]})
    };
    let bodies: Vec<Value> = (0..12)
        .map(|n| {
            order(n * 7, if n % 2 == 0 { "EUR" } else { "USD" }, if n == 5 { json!(null) } else { json!(n) })
        })
        .collect();
    assert_eq!(
        learnt(&bodies),
        json!({
            "type": "object",
            "required": ["at", "coupon", "currency", "items", "total"],
            "properties": {
                "at": {"type": "string", "format": "date-time"},
                "coupon": {"type": ["null", "integer"], "minimum": 0, "maximum": 100},
                "currency": {"enum": ["EUR", "USD"]},
                "items": {"type": "array", "items": {
                    "type": "object", "required": ["price", "sku"],
                    "properties": {
                        "price": {"type": "number", "minimum": 0, "maximum": 10},
                        "sku": {"type": "string"},
                    },
                }},
                "total": {"type": "integer", "minimum": 0, "maximum": 100},
            },
        })
    );
}

#[test]
fn a_value_that_few_people_brought_is_not_told() {
    // Many times the same, from two people: it may be their name.
    let mut learner = Learner::new(LearnOptions { people_min: 3 });
    for n in 0..100 {
        learner.learn("identify", Some(r#"{"nick": "canary", "mail": "canary@example.com"}"#), n % 2);
        learner.learn("identify", Some(r#"{"nick": "other"}"#), n);
    }
    let text = serde_json::to_string(&learner.plan("learnt", "web")).unwrap();
    assert!(!text.contains("canary") && !text.contains("other"), "{text}");
}

#[test]
fn names_that_do_not_look_like_names_are_left_out() {
    let mut learner = Learner::new(LearnOptions { people_min: 1 });
    learner.learn("ada@example.com", None, 1);
    learner.learn("Seen", Some(r#"{"ada@example.com": 1, "491701234567": 2, "page": 3}"#), 1);
    let text = serde_json::to_string(&learner.plan("learnt", "web")).unwrap();
    assert!(!text.contains("ada") && !text.contains("4917") && text.contains("page"), "{text}");
    assert_eq!(learner.left_out(), 1);
}

fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("finite", |number| serde_json::Number::from_f64(number).map(Value::from)),
        "[a-c]{0,2}".prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!("2026-01-31")),
        Just(json!("ada@example.com")),
        Just(json!("10.0.0.1")),
        Just(json!("https://example.com/a")),
    ];
    leaf.prop_recursive(6, 30, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("([a-d]|[a-d] x)", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_learnt_plan_accepts_what_it_was_learnt_from(
        bodies in proptest::collection::vec((any_body(), 0_u64..4), 1..12), people_min in 1_usize..4,
    ) {
        let mut learner = Learner::new(LearnOptions { people_min });
        for (body, person) in &bodies {
            learner.learn("Seen", Some(&body.to_string()), *person);
        }
        let plan = learner.plan("learnt", "web");
        let contract = Contract::compile(&plan).unwrap().remove("web").unwrap();
        for (body, _) in &bodies {
            let (checked, _) = contract.check(contract.find("track", Some("Seen")), Some(&body.to_string()), "properties");
            prop_assert_eq!(checked.reaction, OnViolation::Allow, "{} against {:?}: {}", body, plan, checked.reason());
        }
    }

    /// A text that only one person brought, however often, is nowhere in the plan.
    #[test]
    fn no_value_of_one_person_is_told(values in proptest::collection::vec("[a-z]{1,3}", 1..8), secret in "zz[a-z]{6}") {
        let mut learner = Learner::new(LearnOptions { people_min: 2 });
        for (value, person) in values.iter().zip(0..) {
            learner.learn("Seen", Some(&json!({"a": value, "b": [value]}).to_string()), person);
            learner.learn("Seen", Some(&json!({"a": secret, "b": [secret], "c": {"d": secret}}).to_string()), 99);
        }
        let text = serde_json::to_string(&learner.plan("learnt", "web")).unwrap();
        prop_assert!(!text.contains(&secret), "{}", text);
        let distinct: BTreeSet<&String> = values.iter().collect();
        prop_assert!(!distinct.is_empty());
    }
}
