//! Which columns of events a reader sees for a purpose, and what of their JSON.
//!
//! Invariant: a column's value is shown only if the screen leaves it in an event that has it; JSON is screened row by row. Who
//! does not see what names a person sees of payloads only what the workspace names by a `Field` document: free text
//! may name a person wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tessera_model::{FieldPath, Label, LabelSet, Purpose};
use tessera_policy::{Labels, Screen};

use crate::columns::{FIELDS, From, fields_of};

/// What a reader sees of the JSON of one event, by column.
pub(crate) type Parts = BTreeMap<&'static str, Option<String>>;

pub(crate) struct Masks {
    screen: Screen,
    /// Columns that are null for this reader.
    hidden: BTreeSet<&'static str>,
    /// The fields that are shown to who does not see what names a person; `None`: sees it.
    declared: Option<Vec<FieldPath>>,
}

impl Masks {
    pub(crate) fn new(labels: &Labels, purpose: &Purpose, hidden_labels: LabelSet) -> Self {
        let screen = Screen::for_reader(labels, purpose, hidden_labels);
        let sees_identifiers = !hidden_labels.contains(Label::I1);
        let declared = (!sees_identifiers).then(|| {
            let is_declared = |origins: &BTreeMap<Label, tessera_policy::Origin>| {
                origins.values().any(tessera_policy::Origin::is_declared)
            };
            let shown = labels.known().filter(|(_, origins)| is_declared(origins));
            shown.map(|(path, _)| path.clone()).collect::<Vec<_>>()
        });
        let shown = |name: &str| probe(&screen, "event", name) && probe(&screen, "name", name);
        let may = |from: From| match (from, &declared) {
            (From::Context(path), Some(declared)) => {
                let path = format!("context.{path}");
                declared.iter().any(|known| known.covers(&path))
            }
            // What happened is counted by name for everybody.
            (From::Name, _) => true,
            (From::Top(_), Some(_)) => false,
            (_, _) => true,
        };
        let is_json =
            |from: From| matches!(from, From::Properties | From::Traits | From::ContextJson | From::Rest);
        let hidden = FIELDS
            .iter()
            .filter(|(name, from)| !(is_json(*from) || may(*from) && shown(name)))
            .map(|(name, _)| *name)
            .collect();
        Self { screen, hidden, declared }
    }

    pub(crate) fn hides(&self, column: &str) -> bool {
        self.hidden.contains(column) || (column == "message_id" && self.declared.is_some())
    }

    /// Whether JSON columns are shown as they are.
    pub(crate) fn is_open(&self) -> bool {
        self.screen.is_open() && self.declared.is_none()
    }

    /// What is shown of an event's JSON columns.
    pub(crate) fn parts(&self, json: &str) -> Parts {
        let screened = self.screen.screen(json);
        let texts = fields_of(&screened.json).unwrap_or_default();
        let parts = FIELDS.iter().zip(texts);
        parts
            .filter_map(|((name, from), text)| match from {
                From::Properties | From::Traits | From::ContextJson => {
                    Some((*name, text.and_then(|text| self.prune(name, text))))
                }
                From::Top(_) | From::Name | From::Context(_) | From::Rest => None,
            })
            .collect()
    }

    /// The part of a member that is shown.
    fn prune(&self, root: &str, text: String) -> Option<String> {
        let Some(declared) = &self.declared else { return Some(text) };
        let whole: Value = serde_json::from_str(&text).ok()?;
        let mut kept = Map::new();
        for path in declared {
            let mut parts: Vec<&str> = path.as_str().split('.').collect();
            if parts.last() == Some(&"*") {
                parts.pop();
            }
            let Some((first, rest)) = parts.split_first().filter(|(first, _)| **first == root) else {
                continue;
            };
            let _root = first;
            let Some(found) = rest.iter().try_fold(&whole, |value, part| value.get(*part)) else { continue };
            insert(&mut kept, rest, found);
        }
        (!kept.is_empty()).then(|| Value::Object(kept).to_string())
    }
}

fn insert(into: &mut Map<String, Value>, path: &[&str], value: &Value) {
    match path {
        [] => {
            if let Value::Object(members) = value {
                into.extend(members.clone());
            }
        }
        [last] => {
            into.insert((*last).to_owned(), value.clone());
        }
        [first, rest @ ..] => {
            let below = into.entry((*first).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

/// Whether the screen leaves the field of a column in an event that has it.
fn probe(screen: &Screen, name_member: &str, column: &str) -> bool {
    let mut context = Map::new();
    for (_, from) in FIELDS {
        let From::Context(path) = from else { continue };
        insert(&mut context, &path.split('.').collect::<Vec<_>>(), &json!("x"));
    }
    let event = json!({
        "type": "track", "userId": "x", "anonymousId": "x", "groupId": "x", "context": context, name_member: "x",
    });
    let text = event.to_string();
    let left = fields_of(&screen.screen(&text).json).unwrap_or_default();
    FIELDS.iter().zip(left).any(|((name, _), text)| *name == column && text.is_some())
}
