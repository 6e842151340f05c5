use serde_json::{Value, json};
use tessera_model::Timestamp;

use super::*;

const NOW: &str = "2026-03-29T11:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A person of events `(name, time, properties)`.
fn person(events: &[(&str, &str, Value)]) -> Person {
    let happened = events.iter().enumerate().map(|(number, (name, time, properties))| Happened {
        message_id: format!("m{number}"),
        name: (*name).to_owned(),
        timestamp: at(time),
        received_at: at(time),
        properties: properties.clone(),
        context: Value::Null,
    });
    Person {
        id: "00000000000000000000000000000001".to_owned(),
        events: happened.collect(),
        ..Person::default()
    }
}

fn holds_at(person: &Person, now: &str, zone: &str, condition: Value) -> bool {
    let condition: Condition = serde_json::from_value(condition).unwrap();
    Oracle::new(&Definitions::default(), person, at(now)).holds(&condition, &zone.parse().unwrap())
}

fn holds(person: &Person, condition: Value) -> bool {
    holds_at(person, NOW, "UTC", condition)
}

fn take(person: &Person, take: Value) -> Vec<Scalar> {
    let operand = json!({ "aggregate": { "take": take, "of": { "name": "Order" } } });
    let operand = serde_json::from_value(operand).unwrap();
    Oracle::new(&Definitions::default(), person, at(NOW)).values(&operand, &TimeZoneName::default())
}

fn count(window: Value, test: Value) -> Value {
    json!({ "value": {
        "of": { "aggregate": { "take": "count", "of": { "name": "Order" }, "window": window } },
        "test": test,
    } })
}

#[test]
fn a_sliding_window_leaves_an_event_behind_on_the_next_step() {
    let person = person(&[("Order", "2026-02-27T10:30:00Z", json!({}))]);
    let window = count(json!({ "last": "30 days" }), json!({ "at_least": 1 }));
    assert!(holds_at(&person, "2026-03-29T10:59:59.999Z", "UTC", window.clone()));
    assert!(!holds_at(&person, "2026-03-29T11:00:00Z", "UTC", window.clone()));
    assert!(!holds_at(&person, "2026-02-27T10:29:59.999Z", "UTC", window));
}

#[test]
fn calendar_windows_begin_in_the_definitions_time_zone() {
    // Half past eleven at night in UTC is the next day, week and month in Berlin.
    let person = person(&[("Order", "2026-05-31T22:30:00Z", json!({}))]);
    let once = json!({ "equals": 1 });
    for (window, utc, berlin) in [
        (json!({ "this": "day" }), false, true),
        (json!({ "this": "week" }), false, true),
        (json!({ "this": "month" }), false, true),
        (json!({ "this": "quarter" }), true, true),
        (json!({ "previous": { "count": 1, "unit": "day" } }), true, false),
        (json!({ "previous": { "count": 1, "unit": "month" } }), true, false),
    ] {
        let condition = count(window, once.clone());
        let now = "2026-06-01T08:00:00Z";
        assert_eq!(holds_at(&person, now, "UTC", condition.clone()), utc, "{condition}");
        assert_eq!(holds_at(&person, now, "Europe/Berlin", condition.clone()), berlin, "{condition}");
    }
}

#[test]
fn what_says_it_comes_from_the_future_counts_when_it_came() {
    let mut person = person(&[("Order", "2030-01-01T00:00:00Z", json!({}))]);
    let window = count(json!({ "last": "1 day" }), json!({ "equals": 1 }));
    assert!(!holds(&person, window.clone()));
    person.events[0].received_at = at("2026-03-29T10:00:00Z");
    assert!(holds(&person, window));
}

#[test]
fn a_message_that_came_twice_counts_once() {
    let mut person = person(&[("Order", "2026-03-29T10:00:00Z", json!({}))]);
    person.events.push(person.events[0].clone());
    assert!(holds(&person, count(json!("ever"), json!({ "equals": 1 }))));
}

#[test]
fn a_missing_value_passes_no_test_and_not_is_not_unequal() {
    let nobody = person(&[]);
    let plan = |test: Value| json!({ "value": { "of": { "trait": "plan" }, "test": test } });
    for test in [
        json!({ "equals": "pro" }),
        json!({ "not_equals": "pro" }),
        json!({ "not_in": ["pro"] }),
        json!({ "less": 5 }),
        json!("exists"),
    ] {
        assert!(!holds(&nobody, plan(test.clone())), "{test}");
        assert!(holds(&nobody, json!({ "not": plan(test.clone()) })), "{test}");
    }
}

#[test]
fn values_in_lists_are_each_looked_at_and_kinds_do_not_mix() {
    let mut person = person(&[]);
    person.traits = serde_json::from_value(json!({
        "tags": ["a", ["b", null], 5, { "c": "d" }], "empty": [null, []], "object": {}, "five": "5",
    }))
    .unwrap();
    let test = |path: &str, test: Value| {
        holds(&person, json!({ "value": { "of": { "trait": path }, "test": test } }))
    };
    assert!(test("tags", json!({ "equals": "b" })));
    assert!(test("tags.c", json!({ "equals": "d" })));
    assert!(!test("tags", json!({ "not_equals": "a" })));
    assert!(test("tags", json!({ "not_equals": "z" })));
    assert!(!test("five", json!({ "equals": 5 })));
    assert!(!test("five", json!({ "at_least": 5 })));
    assert!(!test("empty", json!("exists")));
    assert!(test("object", json!("exists")));
}

#[test]
fn aggregates_take_what_the_reference_says() {
    let order = |time: &'static str, properties: Value| ("Order", time, properties);
    let person = person(&[
        order("2026-03-01T00:00:00Z", json!({ "total": 0.1, "item": "b", "tags": ["x", "y"] })),
        order("2026-03-02T00:00:00Z", json!({ "total": 0.2, "item": "a", "tags": "y" })),
        order("2026-03-03T00:00:00Z", json!({ "total": "free", "item": null, "tags": ["z"] })),
    ]);
    for (what, values) in [
        (json!("count"), json!([3])),
        (json!({ "sum": "total" }), json!([0.3])),
        (json!({ "average": "total" }), json!([0.15])),
        (json!({ "min": "total" }), json!([0.1])),
        (json!({ "max": "total" }), json!([0.2])),
        (json!({ "max": "nothing" }), json!([])),
        (json!({ "sum": "nothing" }), json!([0])),
        (json!({ "distinct": "tags" }), json!([3])),
        (json!({ "unique_list": "total" }), json!([0.1, 0.2, "free"])),
        (json!({ "most_frequent": "tags" }), json!(["y"])),
        (json!({ "most_frequent": "item" }), json!(["a"])),
        (json!({ "first": "item" }), json!(["b"])),
        (json!({ "last": "item" }), json!(["a"])),
        (json!({ "first": "tags" }), json!(["x"])),
        (json!("first_at"), json!(["2026-03-01T00:00:00.000Z"])),
        (json!("last_at"), json!(["2026-03-03T00:00:00.000Z"])),
    ] {
        assert_eq!(serde_json::to_value(take(&person, what.clone())).unwrap(), values, "{what}");
    }
}

#[test]
fn sequences_are_in_order_in_time_and_without_what_must_not_be_between() {
    let events = |list: &[(&'static str, &'static str)]| {
        let events: Vec<_> = list.iter().map(|(name, time)| (*name, *time, json!({}))).collect();
        person(&events)
    };
    let sequence = |extra: Value| {
        let mut step = json!({ "event": { "name": "B" }, "within": "1 hour" });
        step.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "sequence": { "steps": [{ "event": { "name": "A" } }, step] } })
    };
    let (plain, without) = (sequence(json!({})), sequence(json!({ "without": [{ "name": "C" }] })));
    let (a, b, late) =
        (("A", "2026-03-01T00:00:00Z"), ("B", "2026-03-01T01:00:00Z"), ("B", "2026-03-01T01:00:00.001Z"));
    let between = ("C", "2026-03-01T00:30:00Z");
    assert!(holds(&events(&[a, b]), plain.clone()));
    assert!(!holds(&events(&[a, late]), plain.clone()));
    assert!(!holds(&events(&[a, ("B", a.1)]), plain.clone()));
    assert!(holds(&events(&[b, between, a]), plain));
    assert!(!holds(&events(&[a, between, b]), without.clone()));
    assert!(holds(&events(&[a, ("C", a.1), ("C", b.1), b]), without.clone()));
    assert!(holds(&events(&[a, between, ("A", "2026-03-01T00:45:00Z"), b]), without));
}

#[test]
fn what_must_not_follow_is_waited_for() {
    let left = person(&[("Cart", "2026-03-29T10:00:00Z", json!({}))]);
    let bought =
        person(&[("Cart", "2026-03-29T10:00:00Z", json!({})), ("Order", "2026-03-29T11:00:00Z", json!({}))]);
    let abandoned = json!({ "sequence": {
        "steps": [{ "event": { "name": "Cart" } }],
        "then_no": { "events": [{ "name": "Order" }], "within": "1 hour" },
    } });
    assert!(!holds_at(&left, "2026-03-29T10:59:59.999Z", "UTC", abandoned.clone()));
    assert!(holds_at(&left, "2026-03-29T11:00:00Z", "UTC", abandoned.clone()));
    assert!(!holds_at(&bought, "2026-03-29T12:00:00Z", "UTC", abandoned));
}

#[test]
fn nothing_that_must_not_happen_is_overlooked_for_want_of_room() {
    let mut events = vec![("A", "2026-03-01T00:00:00Z".to_owned()), ("C", "2026-03-01T00:00:01Z".to_owned())];
    events.push(("B", "2026-03-01T00:00:02Z".to_owned()));
    events.extend((0..100).map(|n| ("C", format!("2026-03-02T00:{:02}:{:02}Z", n / 60, n % 60))));
    let events: Vec<_> = events.iter().map(|(name, time)| (*name, time.as_str(), json!({}))).collect();
    let sequence = json!({ "sequence": { "steps": [
        { "event": { "name": "A" } },
        { "event": { "name": "B" }, "without": [{ "name": "C" }] },
    ] } });
    assert!(!holds(&person(&events), sequence));
}

#[test]
fn ages_and_anniversaries_follow_the_date_as_written() {
    let mut person = person(&[]);
    person.traits = serde_json::from_value(json!({ "born": "1992-02-29T23:00:00Z" })).unwrap();
    let age = |now: &str, zone: &str, years: i64| {
        let age = json!({ "value": { "of": { "age": "born" }, "test": { "equals": years } } });
        holds_at(&person, now, zone, age)
    };
    assert!(age("2026-02-28T23:30:00Z", "UTC", 33));
    assert!(age("2026-02-28T23:30:00Z", "Europe/Berlin", 34));
    assert!(age("2028-02-29T00:00:00Z", "UTC", 36));
    let day = |now: &str, within: u16| {
        holds_at(&person, now, "UTC", json!({ "anniversary": { "of": "born", "within_days": within } }))
    };
    assert!(day("2026-03-01T00:00:00Z", 0));
    assert!(!day("2026-02-28T00:00:00Z", 0));
    assert!(day("2026-02-22T00:00:00Z", 7));
    assert!(!day("2028-03-01T00:00:00Z", 0));
}

#[test]
fn definitions_speak_of_each_other_and_circles_end_in_no() {
    let definitions: Definitions = serde_json::from_value(json!({
        "audiences": [
            { "name": "vip", "purpose": "analytics", "when": { "value": { "of": { "trait": "spent" }, "test": { "at_least": 5 } } } },
            { "name": "rest", "purpose": "analytics", "when": { "not": { "audience": "vip" } } },
            { "name": "round", "purpose": "analytics", "when": { "audience": "round" } },
        ],
        "traits": [
            { "name": "spent", "purpose": "analytics", "value": { "aggregate": { "take": { "sum": "total" }, "of": { "name": "Order" } } } },
            { "name": "is_vip", "purpose": "analytics", "value": { "whether": { "audience": "vip" } } },
        ],
    }))
    .unwrap();
    let mut person = person(&[("Order", "2026-03-01T00:00:00Z", json!({ "total": 5 }))]);
    // A computed trait hides a trait of its name.
    person.traits = serde_json::from_value(json!({ "spent": 1 })).unwrap();
    let oracle = Oracle::new(&definitions, &person, at(NOW));
    let member = |name: &str| oracle.is_member(&AudienceName::parse(name).unwrap());
    assert_eq!(["vip", "rest", "round", "unheard"].map(member), [true, false, false, false]);
    assert_eq!(oracle.computed("is_vip"), [Scalar::Bool(true)]);
}

#[test]
fn a_sample_takes_its_part_of_all_people() {
    let mut taken = 0;
    for number in 0..2_000 {
        let someone = Person { id: format!("{number:032x}"), ..Person::default() };
        let part = |from: u32, to: u32| {
            holds(&someone, json!({ "sample": { "seed": "spring", "from": from, "to": to } }))
        };
        taken += u32::from(part(0, 10));
        assert_eq!([part(0, 10), part(10, 100)].iter().filter(|part| **part).count(), 1);
    }
    assert!((150..250).contains(&taken), "{taken}");
}

#[test]
fn a_definition_of_another_purpose_sees_what_that_purpose_does() {
    let definitions: Definitions = serde_json::from_value(json!({
        "audiences": [
            { "name": "buyers", "purpose": "orders", "when": "performed Order" },
            { "name": "strangers", "purpose": "news", "when": "not member of buyers and not performed Order" },
        ],
        "traits": [],
    }))
    .unwrap();
    let [orders, news] = ["orders", "news"].map(|name| PurposeName::parse(name).unwrap());
    let is_stranger = |sights: &BTreeMap<PurposeName, Person>| {
        let oracle = Oracle::for_purpose(&definitions, sights, &news, at(NOW));
        oracle.map(|oracle| oracle.is_member(&AudienceName::parse("strangers").unwrap()))
    };
    let bought = person(&[("Order", "2026-03-29T10:00:00Z", Value::Null)]);
    let both = BTreeMap::from([(orders.clone(), bought.clone()), (news.clone(), person(&[]))]);
    assert_eq!(is_stranger(&both), Some(false), "orders sees the order");
    let one = BTreeMap::from([(news.clone(), person(&[]))]);
    assert_eq!(is_stranger(&one), Some(true), "orders sees nobody");
    assert_eq!(is_stranger(&BTreeMap::from([(orders, bought)])), None);
}
