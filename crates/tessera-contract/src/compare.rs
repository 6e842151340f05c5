//! What a new version of a plan changes for those who send, and whether all that was well formed still is.
//!
//! A comparison of the schemas' words, not of the sets of values that they permit: what it cannot tell to be compatible it
//! calls breaking.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::TrackingPlanDocument;

/// Whether senders who kept to the old version keep to the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// They do.
    Compatible,
    /// They may not.
    Breaking,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Whether it breaks senders.
    pub change: Change,
    /// Where: `events.Order Completed.schema/properties/total/type`.
    pub at: String,
    /// What.
    pub what: String,
}

/// What `new` changes of `old`, breaking differences last.
#[must_use]
pub fn compare(old: &TrackingPlanDocument, new: &TrackingPlanDocument) -> Vec<Difference> {
    let mut found = BTreeSet::new();
    for (name, event) in &new.events {
        let at = format!("events.{name}");
        match old.events.get(name) {
            None => add(&mut found, Change::Compatible, at, "is planned now"),
            Some(before) => {
                let (before, after) = (schema(before.schema.as_ref()), schema(event.schema.as_ref()));
                schemas(&before, &after, &format!("{at}.schema"), &mut found);
            }
        }
    }
    for name in old.events.keys().filter(|name| !new.events.contains_key(*name)) {
        add(&mut found, Change::Breaking, format!("events.{name}"), "is planned no more");
    }
    let rules = [
        ("on_violation", old.on_violation, new.on_violation),
        ("unplanned_events", old.unplanned_events, new.unplanned_events),
        ("unplanned_properties", old.unplanned_properties, new.unplanned_properties),
    ];
    for (field, before, after) in rules.into_iter().filter(|(_, before, after)| before != after) {
        let change = if after > before { Change::Breaking } else { Change::Compatible };
        add(&mut found, change, field.to_owned(), &format!("{} becomes {}", before.as_str(), after.as_str()));
    }
    for source in new.sources.difference(&old.sources) {
        add(&mut found, Change::Breaking, "sources".to_owned(), &format!("holds for `{source}` as well"));
    }
    for source in old.sources.difference(&new.sources) {
        add(&mut found, Change::Compatible, "sources".to_owned(), &format!("holds for `{source}` no more"));
    }
    found.into_iter().collect()
}

fn schema(schema: Option<&Value>) -> Value {
    schema.cloned().unwrap_or_else(|| Value::Object(Map::new()))
}

fn add(found: &mut BTreeSet<Difference>, change: Change, at: String, what: &str) {
    found.insert(Difference { change, at, what: what.to_owned() });
}

/// Keywords that say nothing about values.
const WORDS: [&str; 8] =
    ["title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"];

fn schemas(old: &Value, new: &Value, at: &str, found: &mut BTreeSet<Difference>) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        if old != new {
            let change = if new == &Value::Bool(true) { Change::Compatible } else { Change::Breaking };
            add(found, change, at.to_owned(), "changes");
        }
        return;
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| !WORDS.contains(&name.as_str())) {
        let below = format!("{at}/{name}");
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) => changed(name, old, new, &below, found),
            // Without a keyword more is well formed; but for what it gave names to.
            (Some(_), None) if matches!(name.as_str(), "$defs" | "definitions" | "then" | "else" | "if") => {
                add(found, Change::Breaking, below, "is gone");
            }
            (Some(_), None) => add(found, Change::Compatible, below, "is gone"),
            (None, Some(new)) => appeared(name, new, &below, found),
            (None, None) => {}
        }
    }
}

/// A keyword that was not there.
fn appeared(name: &str, new: &Value, at: &str, found: &mut BTreeSet<Difference>) {
    match (name, new) {
        ("properties", Value::Object(new)) => {
            let empty = Map::new();
            properties(&empty, new, at, found);
        }
        ("$defs" | "definitions", _) | ("additionalProperties", Value::Bool(true)) => {
            add(found, Change::Compatible, at.to_owned(), "is new");
        }
        _ => add(found, Change::Breaking, at.to_owned(), "is new"),
    }
}

/// A keyword that says something else.
fn changed(name: &str, old: &Value, new: &Value, at: &str, found: &mut BTreeSet<Difference>) {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let is_wider = match name {
        "properties" => {
            if let (Some(old), Some(new)) = (old.as_object(), new.as_object()) {
                properties(old, new, at, found);
            }
            return;
        }
        "items" | "additionalProperties" | "contains" => return schemas(old, new, at, found),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            number(new) <= number(old)
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            number(new) >= number(old)
        }
        "type" => {
            let (old, mut new) = (listed(old), listed(new));
            if new.contains("number") {
                new.insert("integer".to_owned());
            }
            old.is_subset(&new)
        }
        "enum" => listed(old).is_subset(&listed(new)),
        "required" => listed(new).is_subset(&listed(old)),
        "uniqueItems" => new == &Value::Bool(false),
        _ => false,
    };
    let (change, what) = match is_wider {
        true => (Change::Compatible, "permits more"),
        false => (Change::Breaking, "may permit less"),
    };
    add(found, change, at.to_owned(), what);
}

fn properties(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    found: &mut BTreeSet<Difference>,
) {
    for (name, after) in new {
        let below = format!("{at}/{name}");
        match old.get(name) {
            Some(before) => schemas(before, after, &below, found),
            // Until now it could be anything.
            None if after == &Value::Bool(true) || after.as_object().is_some_and(Map::is_empty) => {
                add(found, Change::Compatible, below, "is described now");
            }
            None => add(found, Change::Breaking, below, "is described now, and could be anything before"),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        // It may be an additional property now, which may be forbidden.
        add(found, Change::Breaking, format!("{at}/{name}"), "is described no more");
    }
}

fn listed(value: &Value) -> BTreeSet<String> {
    match value.as_array() {
        Some(values) => values.iter().map(text).collect(),
        None => BTreeSet::from([text(value)]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
