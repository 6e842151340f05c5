use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cases::Case;

fn definitions(audiences: &[(&str, &str)], traits: &[(&str, &str)]) -> Definitions {
    let audiences: Vec<_> =
        audiences.iter().map(|(name, when)| json!({ "name": name, "purpose": "p", "when": when })).collect();
    let traits: Vec<_> =
        traits.iter().map(|(name, value)| json!({ "name": name, "purpose": "p", "value": value })).collect();
    serde_json::from_value(json!({ "audiences": audiences, "traits": traits })).unwrap()
}

fn findings(definitions: &Definitions, known: &Known) -> Vec<String> {
    check(definitions, known).iter().map(ToString::to_string).collect()
}

#[test]
fn an_audience_that_is_not_there_is_an_error_that_names_the_nearest() {
    let definitions = definitions(&[("big-spenders", "plan exists"), ("b", "member of big-spender")], &[]);
    assert_eq!(
        findings(&definitions, &Known::default()),
        ["TES-A023: Audience b: there is no audience `big-spender`\nhint: did you mean `big-spenders`?"]
    );
}

#[test]
fn circles_are_named_once_through_traits_too() {
    let definitions =
        definitions(&[("a", "member of b"), ("b", "score >= 1")], &[("score", "whether (member of a)")]);
    assert_eq!(
        findings(&definitions, &Known::default()),
        [
            "TES-A024: Audience a: speaks of itself: a -> b -> score -> a\nhint: take one of these references out"
        ]
    );
}

#[test]
fn names_that_nobody_has_seen_are_hints() {
    let definitions =
        definitions(&[("a", "performed \"Order Complete\" and pln = \"x\"")], &[("plan", "age of born")]);
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let known =
        Known { events: set(&["Order Completed"]), traits: set(&["born", "plan"]), ..Known::default() };
    assert_eq!(
        findings(&definitions, &known),
        [
            "Audience a: no event `Order Complete` has been seen\nhint: did you mean `Order Completed`?",
            "Audience a: no trait `pln` has been seen\nhint: did you mean `plan`?",
            "ComputedTrait plan: hides a trait of the same name that sources send\nhint: choose a name that no source sends",
        ]
    );
    assert!(findings(&definitions, &Known::default()).is_empty());
}

#[test]
fn shapes_that_types_cannot_hold_are_refused() {
    for (when, what) in [
        (json!({ "all": [] }), "of nothing"),
        (json!("any event where all (x = 1) from 1 day ago to 2 days ago >= 1"), "1 day ago to 2 days ago"),
        (json!("performed A from 2026-02-01 to 2026-01-01"), "ends before it begins"),
        (json!("performed A in previous 401 days"), "401 units"),
        (json!("sample 50% to 40% of \"x\""), "samples from 50% to 40%"),
        (json!("sample 101% of \"x\""), "samples from"),
        (json!("anniversary of born within 367 days"), "more than a year"),
        (json!({ "sequence": { "steps": [{ "event": { "name": "A" } }] } }), "one step, `A`"),
        (json!({ "sequence": { "steps": [] } }), "no steps"),
        (
            json!({ "sequence": { "steps": [{ "event": {}, "within": "1 day" }, { "event": {} }] } }),
            "first step, `any event`",
        ),
        (json!({ "value": { "of": { "trait": "a" }, "test": { "in": [] } } }), "list of 0 values"),
        (json!(format!("a = \"{}\"", "x".repeat(1_001))), "1001 bytes"),
        (json!(vec!["a = 1"; 200].join(" and ")), "parts, the limit is 500"),
        (json!({ "subscription": { "channel": "", "is": "unknown" } }), "no channel"),
    ] {
        let audience: Audience =
            serde_json::from_value(json!({ "name": "a", "purpose": "p", "when": when })).unwrap();
        let found =
            findings(&Definitions { audiences: vec![audience], traits: Vec::new() }, &Known::default());
        assert!(
            found.len() == 1 && found[0].starts_with("TES-A022") && found[0].contains(what),
            "{when}: {found:?}"
        );
    }
}

#[test]
fn a_definition_that_nests_too_deep_is_refused() {
    let when = format!("{}a = 1", "not ".repeat(33));
    let found = findings(&definitions(&[("a", &when)], &[]), &Known::default());
    assert!(found.len() == 1 && found[0].contains("nests"), "{found:?}");
}

#[test]
fn who_uses_what_is_told() {
    let when = "performed Order and any event in last 1 day >= 3 and plan = \"x\" and score > 1 and account seats > 2 \
                and member of b and consent marketing is valid and subscription sms is subscribed and age of born > 3";
    let definitions = definitions(&[("a", when), ("b", "x = 1")], &[("score", "count of Order")]);
    let uses = serde_json::to_value(Uses::of_audience(&definitions.audiences[0], &definitions)).unwrap();
    assert_eq!(
        uses,
        json!({
            "events": ["Order"], "any_event": true, "traits": ["born", "plan"], "computed_traits": ["score"],
            "account_traits": ["seats"], "audiences": ["b"], "purposes": ["marketing"], "channels": ["sms"],
            "fields": ["traits.born", "traits.plan", "traits.score", "traits.seats"],
        })
    );
}

#[test]
fn the_fields_that_a_definition_looks_at_are_told_as_labels_name_them() {
    let check = |value: serde_json::Value, expected: &[&str]| {
        let definitions = json!({ "traits": [{ "name": "t", "purpose": "p", "value": value }] });
        let definitions: Definitions = serde_json::from_value(definitions).unwrap();
        let uses = Uses::of_trait(&definitions.traits[0], &definitions);
        let fields: Vec<&str> = uses.fields.iter().map(String::as_str).collect();
        assert_eq!(fields, expected, "{value}");
    };
    check("address.city".into(), &["traits.address.city"]);
    check(json!({ "trait": "preferences\\.frequency" }), &["traits.preferences.frequency"]);
    check("whether (anniversary of born today)".into(), &["traits.born"]);
    check("sum of total of Order".into(), &["properties.total"]);
    check("last of context.page.path of page".into(), &["context.page.path"]);
    check("last of properties.a of group".into(), &["properties.a"]);
    check("last of plan of identify".into(), &["properties.plan", "traits.plan"]);
    check("first of x of any event".into(), &["properties.x", "traits.x"]);
    check(
        "count of Order where (a = 1 and not (b.c exists or context.ip exists))".into(),
        &["context.ip", "properties.a", "properties.b.c"],
    );
    check("whether (A then B where x = 1 without C where y = 1)".into(), &["properties.x", "properties.y"]);
    check("count of Order".into(), &[]);
}

#[test]
fn what_a_definition_may_cost_is_told() {
    let cost = |when: &str| Cost::of(&definitions(&[("a", when)], &[]).audiences[0]);
    assert_eq!(cost("plan = 1"), Cost::default());
    assert_eq!(
        cost("performed A in last 30 days"),
        Cost { selectors: 1, any_event: false, entries_max: 721 }
    );
    assert_eq!(cost("any event then B"), Cost { selectors: 2, any_event: true, entries_max: 200 });
    assert_eq!(cost("distinct of x of A >= 2").entries_max, 1_000);
}

proptest! {
    #[test]
    fn random_cases_hold_no_error(numbers in prop::collection::vec(any::<u32>(), 0..600)) {
        let case = Case::choose(&numbers);
        let errors: Vec<_> =
            check(&case.definitions, &Known::default()).into_iter().filter(Finding::is_error).collect();
        prop_assert!(errors.is_empty(), "{:?}", errors);
    }
}
