//! What leaves and what does not, by example and by property.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{FieldPath, Label, PurposeName, Rules};

use crate::fixture::rules;
use crate::{Labels, Reason, Screen};

/// The screen of the only destination.
fn screen(rules: &Rules) -> Screen {
    let purpose = Arc::clone(rules.purposes.get(&PurposeName::parse("p").unwrap()).unwrap());
    Screen::new(&Labels::new(rules), &purpose, rules.destinations().next().unwrap())
}

fn world(labels: &[(&str, &str)], destination: Value) -> Rules {
    let mut document = json!({"kind": "Destination", "name": "out", "type": "jsonl", "purpose": "p"});
    document.as_object_mut().unwrap().extend(destination.as_object().unwrap().clone());
    let mut documents = vec![document];
    documents
        .extend(labels.iter().map(|(path, label)| json!({"kind": "Field", "name": path, "labels": [label]})));
    rules(&documents)
}

/// Checks what leaves of `event`, and which fields that is.
fn check(labels: &[(&str, &str)], destination: Value, event: &str, expected: (&str, &str)) {
    let screened = screen(&world(labels, destination));
    let screened = screened.screen(event);
    assert_eq!((screened.json.as_ref(), screened.fields.join(" ").as_str()), expected);
}

#[test]
fn an_event_leaves_as_it_came_where_nothing_is_taken_out() {
    let event = r#" {"type":"track", "userId":7,"anonymousId":null,"properties":{ "total" : 1e2,"items":[1, 2]},
        "context":{"ip":"10.0.0.1","traits":{"email":"a@x.org"},"externalIds":[{"type":"email","id":"a@x.org"}]},
        "traits":{"email":"a@x.org"},"messageId":"m","odd":1} "#;
    let fields =
        "context.ip identifiers.email identifiers.user_id odd properties.items properties.total traits.email";
    check(&[], json!({}), event, (event, fields));
}

#[test]
fn what_has_a_forbidden_label_is_cut_out_and_the_rest_stays_as_it_was() {
    let labels = [
        ("traits.diagnosis", "special"),
        ("properties.card.number", "C12"),
        ("properties.basket.*", "C12"),
        ("context.traits.nick", "C12"),
    ];
    for (event, expected) in [
        (r#"{"traits":{"diagnosis":"flu"}}"#, (r#"{"traits":{}}"#, "")),
        (
            r#"{"traits":{ "a":1 , "diagnosis" : "flu" , "b":2 }}"#,
            (r#"{"traits":{ "a":1 , "b":2 }}"#, "traits.a traits.b"),
        ),
        (r#"{"traits":{"diagnosis":1,"diagnosis":2, "b":3}}"#, (r#"{"traits":{ "b":3}}"#, "traits.b")),
        (r#"{"traits":{"a":1,"diag\u006eosis":"flu"}}"#, (r#"{"traits":{"a":1}}"#, "traits.a")),
        (r#"{"traits":{"a":1},"traits":{"diagnosis":1}}"#, (r#"{"traits":{"a":1},"traits":{}}"#, "traits.a")),
        (
            r#"{"type":"x","context":{"traits":{"diagnosis":1}}}"#,
            (r#"{"type":"x","context":{"traits":{}}}"#, ""),
        ),
        (
            r#"{"context":{"traits":{"nick":1}},"traits":{"nick":1}}"#,
            (r#"{"context":{"traits":{}},"traits":{"nick":1}}"#, "traits.nick"),
        ),
        (
            r#"{"properties":{"card":{"number":4,"brand":"v"}}}"#,
            (r#"{"properties":{"card":{"brand":"v"}}}"#, "properties.card"),
        ),
        (
            r#"{"properties":{"card":[{"number":4},{"brand":"v","number":5}, 6]}}"#,
            (r#"{"properties":{"card":[{},{"brand":"v"}, 6]}}"#, "properties.card"),
        ),
        (r#"{"properties":{"card.number":4,"b":1}}"#, (r#"{"properties":{"b":1}}"#, "properties.b")),
        (
            r#"{"properties.card":{"number":4},"context.traits.nick":1}"#,
            (r#"{"properties.card":{}}"#, "properties.card"),
        ),
        (r#"{"context":{"traits.nick":1,"traits.diagnosis":2}}"#, (r#"{"context":{}}"#, "")),
        (
            r#"{"properties":{"basket":["a",["b"],{"c":"d"}]}}"#,
            (r#"{"properties":{"basket":[[],{}]}}"#, "properties.basket"),
        ),
        (
            r#"{"properties":{"basket":"whole"}}"#,
            (r#"{"properties":{"basket":"whole"}}"#, "properties.basket"),
        ),
        (r#"{"properties":"diagnosis: flu","type":"track"}"#, (r#"{"type":"track"}"#, "")),
        (r#"{"traits":["flu"],"type":"track"}"#, (r#"{"type":"track"}"#, "")),
        ("[1]", ("{}", "")),
        ("{", ("{}", "")),
    ] {
        check(&labels, json!({"uses": ["first_party"]}), event, expected);
    }
}

#[test]
fn identifiers_go_wherever_they_stand() {
    let labels =
        [("identifiers.email", "C12"), ("identifiers.user_id", "C12"), ("identifiers.account_id", "C12")];
    let event = r#"{"userId":"u","previousId":"old","groupId":"g","anonymousId":"a","traits":{"email":"x","plan":1},
        "context":{"groupId":"g","traits":{"email":"x"},"externalIds":[{"id":"x","type":"email"},{"id":"+49","type":"phone"},
        {"id":"x","type":"phone","type":"EMAIL"},{"id":"?"}],"messaging_subscriptions":[{"key":"x","type":"EMAIL"},{"key":"+49","type":"SMS"}]},
        "subscriptions":[{"type":"email","key":"x"}]}"#;
    check(
        &labels,
        json!({}),
        event,
        (
            r#"{"anonymousId":"a","traits":{"plan":1},
        "context":{"traits":{},"externalIds":[{"id":"+49","type":"phone"}],"messaging_subscriptions":[{"key":"+49","type":"SMS"}]},
        "subscriptions":[]}"#,
            "identifiers.anonymous_id identifiers.phone traits.plan",
        ),
    );
}

#[test]
fn a_destination_that_names_its_fields_gets_those_only() {
    let event = r#"{"type":"track","event":"Bought","userId":"u","anonymousId":"a","odd":1,"integrations":{},
        "properties":{"total":1,"card":{"brand":"v","number":4}},"traits":{"plan":1,"email":"x"},
        "context":{"ip":"1.2.3.4","page":{"url":"/"},"traits":{"plan":2,"email":"x"},"externalIds":[{"type":"email","id":"x"}]}}"#;
    for (fields, except, expected) in [
        (
            json!(["identifiers.user_id", "properties.card.brand"]),
            json!([]),
            (
                r#"{"type":"track","event":"Bought","userId":"u",
        "properties":{"card":{"brand":"v"}}}"#,
                "identifiers.user_id properties.card",
            ),
        ),
        (
            json!(["context.*", "traits.plan"]),
            json!(["context.ip"]),
            (
                r#"{"type":"track","event":"Bought","traits":{"plan":1},
        "context":{"page":{"url":"/"},"traits":{"plan":2}}}"#,
                "context.page traits.plan",
            ),
        ),
        (
            json!(["context.externalIds", "properties.*"]),
            json!(["properties.card.*"]),
            (
                r#"{"type":"track","event":"Bought",
        "properties":{"total":1,"card":{}},
        "context":{"externalIds":[{"type":"email","id":"x"}]}}"#,
                "identifiers.email properties.card properties.total",
            ),
        ),
        (json!(["traits.none"]), json!([]), (r#"{"type":"track","event":"Bought"}"#, "")),
    ] {
        check(&[], json!({"fields": fields, "except": except}), event, expected);
    }
}

#[test]
fn what_is_withheld_is_told_with_its_reason() {
    let rules = world(
        &[("traits.diagnosis", "special")],
        json!({"except": ["context.ip", "identifiers.previous_id"]}),
    );
    let event = r#"{"traits":{"diagnosis":1},"context":{"ip":1},"previousId":"x","properties":7}"#;
    let told: Vec<String> = screen(&rules)
        .screen(event)
        .withheld
        .into_iter()
        .map(|(path, reason)| format!("{path}: {reason}"))
        .collect();
    assert_eq!(
        told,
        [
            "traits.diagnosis: purpose `p` does not list label `special`",
            "context.ip: the destination's `except` names it",
            "identifiers.previous_id: the destination's `except` names it",
            "properties: it has another shape than the tracking API gives it",
        ]
    );
}

#[test]
fn what_cannot_be_read_does_not_leave() {
    let rules = world(&[], json!({}));
    let screened = screen(&rules);
    let screened = screened.screen("{\"traits\": ");
    assert_eq!(screened.json, "{}");
    assert_eq!(screened.withheld, [("*".to_owned(), Reason::Unreadable)]);
}

/// A made-up value below one of the roots, its text with odd spaces and escapes.
#[derive(Clone, Debug)]
enum Made {
    Leaf,
    Object(Vec<(String, Made)>),
    Array(Vec<Made>),
}

const KEYS: [&str; 8] = ["a", "b", "c", "email", "a.b", "b.c", "ip", ""];

fn made() -> impl Strategy<Value = Made> {
    Just(Made::Leaf).prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(
                (prop::sample::select(&KEYS[..]).prop_map(str::to_owned), inner.clone()),
                0..5
            )
            .prop_map(Made::Object),
            prop::collection::vec(inner, 0..4).prop_map(Made::Array),
        ]
    })
}

fn object() -> impl Strategy<Value = Made> {
    let member = (prop::sample::select(&KEYS[..]).prop_map(str::to_owned), made());
    prop::collection::vec(member, 0..6).prop_map(Made::Object)
}

fn pattern() -> impl Strategy<Value = String> {
    let root = prop::sample::select(vec!["traits", "properties", "context", "context.traits"]);
    let part = prop::sample::select(vec!["a", "b", "c", "email", "ip"]);
    (root, prop::collection::vec(part, 0..3), any::<bool>()).prop_map(|(root, parts, is_below)| {
        let mut path = root.to_owned();
        parts.iter().for_each(|part| write!(path, ".{part}").unwrap());
        if is_below || !path.contains('.') { format!("{path}.*") } else { path }
    })
}

/// Writes an event and, for each bare value in it, its path and its own text: no value occurs twice.
struct Writer {
    text: String,
    leaves: Vec<(String, String)>,
}

impl Writer {
    fn value(&mut self, path: &str, made: &Made, is_in_array: bool) {
        match made {
            Made::Leaf => {
                let value = format!("\"v{}\\u0041\"", self.leaves.len());
                self.text.push_str(&value);
                // A bare value in an array lies below it.
                let path = if is_in_array { format!("{path}.0") } else { path.to_owned() };
                self.leaves.push((path, value));
            }
            Made::Object(members) => {
                self.text.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    self.text.push_str(if i == 0 { " " } else { " ,\n" });
                    self.text.push_str(&key_text(key, self.leaves.len()));
                    self.text.push_str(" :\t");
                    self.value(&format!("{path}.{key}"), value, false);
                }
                self.text.push_str(" }");
            }
            Made::Array(elements) => {
                self.text.push('[');
                for (i, element) in elements.iter().enumerate() {
                    self.text.push_str(if i == 0 { "" } else { " , " });
                    self.value(path, element, true);
                }
                self.text.push_str("\n]");
            }
        }
    }
}

/// A key, with an escape now and then.
fn key_text(key: &str, n: usize) -> String {
    let mut rest = key.chars();
    match rest.next() {
        Some(first) if n.is_multiple_of(3) => format!("\"\\u{:04x}{}\"", u32::from(first), rest.as_str()),
        _ => format!("\"{key}\""),
    }
}

fn event(traits: &Made, properties: &Made, context: &Made, own: &Made) -> Writer {
    let mut writer = Writer { text: "{\"type\":\"track\"".to_owned(), leaves: Vec::new() };
    for (key, made) in [("traits", traits), ("properties", properties), ("context", context), ("traits", own)]
    {
        write!(writer.text, " , \"{key}\": ").unwrap();
        writer.value(key, made, false);
    }
    writer.text.push('}');
    writer
}

/// Whether a field may leave, read off the documents, pattern by pattern.
fn may_leave(rules: &Rules, path: &str) -> bool {
    let destination = rules.destinations().next().unwrap();
    let traits = path.strip_prefix("context.").filter(|rest| rest.starts_with("traits."));
    let covers =
        |pattern: &FieldPath| pattern.covers(path) || traits.is_some_and(|path| pattern.covers(path));
    let is_forbidden = rules.fields().any(|field| covers(&field.name));
    let names =
        |pattern: &FieldPath| covers(pattern) && (traits.is_none() || pattern.as_str() != "context.*");
    let is_named = destination.fields.is_empty() || destination.fields.iter().any(names);
    !is_forbidden && !destination.except.iter().any(covers) && is_named
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_forbidden_value_leaves_and_every_other_leaves_as_it_was(
        (traits, properties, context, own) in (object(), object(), object(), object()),
        inner in object(),
        has_traits in any::<bool>(),
        labelled in prop::collection::btree_set(pattern(), 0..4),
        except in prop::collection::btree_set(pattern(), 0..3),
        fields in prop::collection::btree_set(pattern(), 0..5),
    ) {
        let mut context = context;
        if let (true, Made::Object(members)) = (has_traits, &mut context) {
            members.push(("traits".to_owned(), inner));
        }
        // C12: forbidden whatever the destination does.
        let labels: Vec<(&str, &str)> = labelled.iter().map(|path| (path.as_str(), "C12")).collect();
        let rules = world(&labels, json!({"except": except, "fields": fields}));
        let written = event(&traits, &properties, &context, &own);
        let screen = screen(&rules);
        let screened = screen.screen(&written.text);
        let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&screened.json);
        prop_assert!(read.is_ok(), "not JSON: {}", screened.json);
        let mut rest = screened.json.as_ref();
        for (path, value) in &written.leaves {
            if may_leave(&rules, path) {
                let found = rest.split_once(value.as_str());
                prop_assert!(found.is_some(), "{path} = {value} is missing in {}", screened.json);
                rest = found.unwrap().1;
                let root_and_key = path.split('.').take(2).collect::<Vec<_>>().join(".");
                let is_listed = screened.fields.iter().any(|field| {
                    field.starts_with(&root_and_key) || root_and_key == "context.traits"
                });
                prop_assert!(is_listed, "{path} leaves but is not listed");
            } else {
                prop_assert!(!screened.json.contains(value), "{path} = {value} leaves in {}", screened.json);
            }
        }
        // Nothing is written anew: what leaves is what came, in order, less the cuts.
        let mut came = written.text.chars();
        prop_assert!(screened.json.chars().all(|c| came.any(|other| other == c)));
        prop_assert!(screened.withheld.is_empty() || screened.json.len() < written.text.len());
    }
}

#[test]
fn a_reader_sees_what_the_role_sees_and_the_purpose_may_use() {
    let purpose = json!({"kind": "Purpose", "name": "p", "basis": "contract"});
    let diagnosis = json!({"kind": "Field", "name": "traits.diagnosis", "labels": ["special"]});
    let rules = rules(&[purpose, diagnosis]);
    let purpose = Arc::clone(rules.purposes.get(&PurposeName::parse("p").unwrap()).unwrap());
    let event = r#"{"userId":"u","traits":{"email":"a@x.org","plan":1,"diagnosis":"flu"}}"#;
    for (hidden, expected) in [
        (&[][..], r#"{"userId":"u","traits":{"email":"a@x.org","plan":1}}"#),
        (&[Label::I1], r#"{"traits":{"plan":1}}"#),
        (&[Label::I2], r#"{"userId":"u","traits":{"email":"a@x.org","plan":1}}"#),
    ] {
        let hidden = hidden.iter().copied().collect();
        let screened = Screen::for_reader(&Labels::new(&rules), &purpose, hidden);
        assert_eq!(screened.screen(event).json, expected, "{hidden:?}");
    }
}
