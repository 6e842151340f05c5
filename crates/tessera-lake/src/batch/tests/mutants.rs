//! Each operator broken on purpose: the test that holds SQL and oracle against each other must notice every one.
//!
//! A mutant is a definition in which one operator stands for another: SQL is written of the mutant, the oracle what was
//! meant.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value};

use super::*;

/// Cases looked at before a mutant counts as unnoticed.
const CASES_MAX: u64 = 40_000;
/// People of each case.
const PEOPLE: usize = 40;

/// One operator stands for another.
const RENAMED: [(&str, &str); 46] = [
    ("all", "any"),
    ("any", "all"),
    ("equals", "not_equals"),
    ("not_equals", "equals"),
    ("less", "at_most"),
    ("at_most", "less"),
    ("greater", "at_least"),
    ("at_least", "greater"),
    ("in", "not_in"),
    ("not_in", "in"),
    ("contains", "starts_with"),
    ("starts_with", "contains"),
    ("ends_with", "contains"),
    ("matches", "contains"),
    ("before", "since"),
    ("since", "until"),
    ("until", "since"),
    ("sum", "average"),
    ("average", "sum"),
    ("min", "max"),
    ("max", "min"),
    ("distinct", "unique_list"),
    ("unique_list", "distinct"),
    ("most_frequent", "first"),
    ("first", "last"),
    ("last", "first"),
    ("first_at", "last_at"),
    ("last_at", "first_at"),
    ("count", "first_at"),
    ("add", "subtract"),
    ("subtract", "add"),
    ("multiply", "divide"),
    ("divide", "multiply"),
    ("next", "last"),
    ("after", "before"),
    ("past", "future"),
    ("future", "past"),
    ("previous", "following"),
    ("following", "previous"),
    ("valid", "invalid"),
    ("invalid", "valid"),
    ("unknown", "valid"),
    ("subscribed", "unsubscribed"),
    ("unsubscribed", "subscribed"),
    ("did_not_subscribe", "subscribed"),
    ("trait", "account"),
];

/// Changes an object of a definition.
type Mutation = fn(&mut Map<String, Value>);

/// A part is left out, or lies elsewhere.
const CHANGED: [(&str, Mutation); 23] = [
    ("not", |map| {
        if let Some(inner) = map.remove("not") {
            map.insert("all".to_owned(), Value::Array(vec![inner]));
        }
    }),
    ("exists", |map| {
        if map.get("test").is_some_and(|test| test == "exists") {
            map.insert("test".to_owned(), serde_json::json!({ "equals": 0 }));
        }
    }),
    ("which unit of the calendar", |map| {
        if let Some(unit) = map.get_mut("this") {
            *unit = if *unit == "year" { "day".into() } else { "year".into() };
        }
    }),
    ("the limit of a step or sequence", |map| {
        if !map.contains_key("events") {
            map.remove("within");
        }
    }),
    ("without", |map| drop(map.remove("without"))),
    ("what must not follow", |map| {
        if map.get("steps").and_then(Value::as_array).is_some_and(|steps| steps.len() > 1) {
            map.remove("then_no");
        }
    }),
    ("how long it must not follow", |map| {
        if map.contains_key("events") {
            map.insert("within".to_owned(), "1 second".into());
        }
    }),
    ("the order of steps", |map| {
        if let Some(Value::Array(steps)) = map.get_mut("steps") {
            steps.reverse();
        }
    }),
    ("a filter", |map| drop(map.remove("where"))),
    ("an event's name", |map| {
        if map.contains_key("name") && !map.contains_key("purpose") {
            map.remove("name");
        }
    }),
    ("a window", |map| drop(map.remove("window"))),
    ("the time zone", |map| drop(map.remove("time_zone"))),
    ("the older edge", |map| {
        if map.contains_key("newest") {
            map.insert("oldest".to_owned(), "10 years".into());
        }
    }),
    ("the newer edge", |map| {
        if map.contains_key("newest") {
            map.insert("newest".to_owned(), "1 second".into());
        }
    }),
    ("the end of a fixed window", |map| {
        if map.contains_key("from") && map.get("to").is_some_and(Value::is_string) {
            map.insert("to".to_owned(), "2100-01-01".into());
        }
    }),
    ("the beginning of a fixed window", |map| {
        if map.contains_key("from") && map.get("to").is_some_and(Value::is_string) {
            map.insert("from".to_owned(), "1970-01-01".into());
        }
    }),
    ("how many units", |map| {
        if let Some(count) = map.get_mut("count").filter(|count| count.is_number()) {
            *count = 4.into();
        }
    }),
    ("how near an anniversary is", |map| {
        if map.contains_key("within_days") {
            map.insert("within_days".to_owned(), 366.into());
        }
    }),
    ("a topic", |map| {
        if map.contains_key("channel") {
            map.remove("topic");
        }
    }),
    ("the seed of a sample", |map| {
        if map.contains_key("seed") {
            map.insert("seed".to_owned(), "another".into());
        }
    }),
    ("recency", |map| {
        if map.contains_key("recency") {
            map.insert("recency".to_owned(), vec!["1 second"].into());
        }
    }),
    ("frequency", |map| {
        if map.contains_key("frequency") {
            map.insert("frequency".to_owned(), vec![1_000_000].into());
        }
    }),
    ("monetary value", |map| {
        if map.contains_key("monetary") {
            map.insert("monetary".to_owned(), vec![-1e15].into());
        }
    }),
];

/// Changes every object, innermost first.
fn change(value: &mut Value, by: &dyn Fn(&mut Value)) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|inner| change(inner, by)),
        Value::Array(items) => items.iter_mut().for_each(|inner| change(inner, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    by(value);
}

/// The definitions with a mutation; `None` where it changes nothing, or makes no definition.
fn mutant(definitions: &Definitions, by: &dyn Fn(&mut Value)) -> Option<Definitions> {
    let meant = serde_json::to_value(definitions).unwrap();
    let mut json = meant.clone();
    change(&mut json, by);
    (json != meant).then(|| serde_json::from_value(json).ok()).flatten()
}

/// A case of many people, so that one query tells much.
fn crowd(seed: u64) -> CrowdCase {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers = |count| (0..count).map(|_| random.next_u32()).collect::<Vec<_>>();
    let definitions = numbers(100);
    let people: Vec<Vec<u32>> = (0..PEOPLE).map(|_| numbers(200)).collect();
    CrowdCase::choose(&definitions, &people)
}

fn is_noticed(runtime: &Runtime, by: &dyn Fn(&mut Value)) -> bool {
    (0..CASES_MAX).any(|seed| {
        let definitions = crowd_definitions(seed);
        if mutant(&definitions, by).is_none() {
            return false;
        }
        let case = crowd(seed);
        let Some(mutant) = mutant(&case.definitions, by) else { return false };
        by_sql(runtime, &case, &mutant) != by_oracle(&case)
    })
}

/// The definitions of a case alone: most have not the operator that is looked for.
fn crowd_definitions(seed: u64) -> Definitions {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<u32> = (0..100).map(|_| random.next_u32()).collect();
    CrowdCase::choose(&numbers, &[]).definitions
}

#[test]
fn every_operator_that_stands_for_another_is_noticed() {
    let rename = |from: &'static str, to: &'static str| {
        move |value: &mut Value| match value {
            Value::Object(members) => {
                if let Some(inner) = members.remove(from) {
                    members.insert(to.to_owned(), inner);
                }
            }
            Value::String(text) if text == from => *text = to.to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    };
    let runtime = runtime();
    let unnoticed = RENAMED.iter().filter(|(from, to)| !is_noticed(&runtime, &rename(from, to)));
    let unnoticed: Vec<_> = unnoticed.collect();
    assert!(unnoticed.is_empty(), "SQL could take the one for the other: {unnoticed:?}");
}

#[test]
fn every_part_that_is_left_out_or_changed_is_noticed() {
    let runtime = runtime();
    let unnoticed = CHANGED.iter().filter(|(_, by)| {
        !is_noticed(&runtime, &|value: &mut Value| {
            if let Value::Object(members) = value {
                by(members);
            }
        })
    });
    let unnoticed: Vec<&str> = unnoticed.map(|(name, _)| *name).collect();
    assert!(unnoticed.is_empty(), "SQL could ignore {unnoticed:?}");
}
