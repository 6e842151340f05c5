//! Names that definitions speak of, and circles among them.

use std::collections::BTreeSet;

use super::{Definition, Finding, Uses};
use crate::text::nearest;
use crate::{Definitions, Events};

/// What a workspace knows. Of an empty set nothing is said: nothing may have arrived yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Names of events that have been seen or planned.
    pub events: BTreeSet<String>,
    /// Names of traits that have been seen.
    pub traits: BTreeSet<String>,
    /// Names of accounts' traits that have been seen.
    pub account_traits: BTreeSet<String>,
    /// Declared purposes.
    pub purposes: BTreeSet<String>,
}

pub(super) fn check(
    definition: Definition<'_>,
    definitions: &Definitions,
    known: &Known,
    findings: &mut Vec<Finding>,
) {
    let uses = Uses::of(definition, definitions);
    let names: Vec<&str> = definitions.audiences.iter().map(|audience| audience.name.as_str()).collect();
    for name in uses.audiences.iter().filter(|name| !names.contains(&name.as_str())) {
        let meant = nearest(name, names.iter().copied());
        let hint = meant.map_or_else(|| "declare it, or take the condition out".to_owned(), did_you_mean);
        findings.push(definition.error("TES-A023", format!("there is no audience `{name}`"), hint));
    }
    let twice = Definition::all(definitions)
        .filter(|other| other.kind() == definition.kind() && other.name() == definition.name())
        .count();
    if twice > 1 {
        findings.push(definition.error(
            "TES-A022",
            "is defined more than once",
            "keep one definition of each name",
        ));
    }
    let kinds = [
        ("event", &uses.events, &known.events, "has been seen"),
        ("trait", &uses.traits, &known.traits, "has been seen"),
        ("trait of accounts", &uses.account_traits, &known.account_traits, "has been seen"),
        ("purpose", &uses.purposes, &known.purposes, "is declared"),
    ];
    for (what, used, known, seen) in kinds {
        for name in used.iter().filter(|name| !known.is_empty() && !known.contains(*name)) {
            let meant = nearest(name, known.iter().map(String::as_str));
            let hint = meant.map_or_else(|| "it counts as soon as it comes".to_owned(), did_you_mean);
            findings.push(definition.hint(format!("no {what} `{name}` {seen}"), hint));
        }
    }
    if let Definition::Computed(computed) = definition
        && known.traits.contains(computed.name.as_str())
    {
        let what = "hides a trait of the same name that sources send";
        findings.push(definition.hint(what, "choose a name that no source sends"));
    }
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Finds each circle once, and names those in it.
pub(super) fn circles(definitions: &Definitions, findings: &mut Vec<Finding>) {
    let mut search = Search { definitions, done: BTreeSet::new(), path: Vec::new(), findings };
    for definition in Definition::all(definitions) {
        search.visit(definition);
    }
}

/// A definition's kind and name.
type Key = (&'static str, String);

struct Search<'a> {
    definitions: &'a Definitions,
    done: BTreeSet<Key>,
    path: Vec<Key>,
    findings: &'a mut Vec<Finding>,
}

impl Search<'_> {
    fn visit(&mut self, definition: Definition<'_>) {
        let key = (definition.kind(), definition.name().to_owned());
        if let Some(from) = self.path.iter().position(|other| *other == key) {
            let circle = self.path.get(from..).unwrap_or_default().iter().chain([&key]);
            let names: Vec<&str> = circle.map(|(_, name)| name.as_str()).collect();
            let what = format!("speaks of itself: {}", names.join(" -> "));
            let hint = "take one of these references out";
            self.findings.push(definition.error("TES-A024", what, hint));
            return;
        }
        if self.done.contains(&key) {
            return;
        }
        self.path.push(key.clone());
        let definitions = self.definitions;
        let uses = Uses::of(definition, definitions);
        for other in Definition::all(definitions) {
            let is_used = match other {
                Definition::Audience(audience) => uses.audiences.contains(audience.name.as_str()),
                Definition::Computed(computed) => uses.computed_traits.contains(computed.name.as_str()),
            };
            if is_used {
                self.visit(other);
            }
        }
        self.path.pop();
        self.done.insert(key);
    }
}

/// A name for a selector, for findings.
pub(super) fn name_of(events: &Events) -> &str {
    events.name.as_ref().map_or("any event", |name| name.as_str())
}
