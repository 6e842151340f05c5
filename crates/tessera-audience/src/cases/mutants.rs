//! Operators broken on purpose: whoever holds an evaluator against the oracle must notice every one.
//!
//! A mutant is a definition in which one operator stands for another, or a part is left out: the evaluator reads the mutant, the
//! oracle what was meant.

use serde_json::{Map, Value};

use crate::Definitions;

/// Cases looked at before a mutant counts as unnoticed.
const CASES_MAX: u64 = 40_000;

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
type Change = fn(&mut Map<String, Value>);

/// A part is left out, or lies elsewhere.
const CHANGED: [(&str, Change); 23] = [
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

/// One way to break definitions.
#[derive(Clone, Copy)]
pub struct Mutation(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Renamed(&'static str, &'static str),
    Changed(&'static str, Change),
}

impl Mutation {
    /// Each operator stands for another.
    pub fn operators() -> impl Iterator<Item = Self> {
        RENAMED.into_iter().map(|(from, to)| Self(Kind::Renamed(from, to)))
    }

    /// Each part is left out, or lies elsewhere.
    pub fn parts() -> impl Iterator<Item = Self> {
        CHANGED.into_iter().map(|(name, change)| Self(Kind::Changed(name, change)))
    }

    /// The definitions with it; `None` where it changes nothing, or makes no definition.
    #[must_use]
    pub fn of(&self, definitions: &Definitions) -> Option<Definitions> {
        let meant = serde_json::to_value(definitions).ok()?;
        let mut json = meant.clone();
        change(&mut json, &|value| self.apply(value));
        (json != meant).then(|| serde_json::from_value(json).ok()).flatten()
    }

    /// Whether `notices` says so of any case, by the case's seed.
    pub fn is_noticed(&self, mut notices: impl FnMut(u64) -> bool) -> bool {
        (0..CASES_MAX).any(&mut notices)
    }

    fn apply(&self, value: &mut Value) {
        match (self.0, value) {
            (Kind::Changed(_, change), Value::Object(members)) => change(members),
            (Kind::Renamed(from, to), Value::Object(members)) => {
                if let Some(inner) = members.remove(from) {
                    members.insert(to.to_owned(), inner);
                }
            }
            (Kind::Renamed(from, to), Value::String(text)) if text == from => *text = to.to_owned(),
            (_, _) => {}
        }
    }
}

impl std::fmt::Debug for Mutation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Kind::Renamed(from, to) => write!(f, "`{from}` for `{to}`"),
            Kind::Changed(name, _) => f.write_str(name),
        }
    }
}

/// Changes every object, innermost first.
fn change(value: &mut Value, by: &dyn Fn(&mut Value)) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|inner| change(inner, by)),
        Value::Array(items) => items.iter_mut().for_each(|inner| change(inner, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    by(value);
}
