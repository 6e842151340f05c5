//! What a definition looks at: the graph of dependencies.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Definition;
use super::walk::{Node, walk};
use crate::{Audience, ComputedTrait, Condition, Definitions, Events, Filter, Operand, Path};

/// What a definition looks at, each by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Uses {
    /// Names of events.
    pub events: BTreeSet<String>,
    /// Whether it looks at events of every name.
    pub any_event: bool,
    /// Traits, those that are computed left aside.
    pub traits: BTreeSet<String>,
    /// Computed traits.
    pub computed_traits: BTreeSet<String>,
    /// Traits of accounts.
    pub account_traits: BTreeSet<String>,
    /// Other audiences.
    pub audiences: BTreeSet<String>,
    /// Purposes whose consent it looks at.
    pub purposes: BTreeSet<String>,
    /// Channels whose subscriptions it looks at.
    pub channels: BTreeSet<String>,
    /// Fields of events and profiles that it looks at, as labels name them: `traits.plan`, `properties.total`.
    pub fields: BTreeSet<String>,
}

impl Uses {
    /// What an audience looks at.
    #[must_use]
    pub fn of_audience(audience: &Audience, definitions: &Definitions) -> Self {
        Self::of(Definition::Audience(audience), definitions)
    }

    /// What a computed trait looks at.
    #[must_use]
    pub fn of_trait(computed: &ComputedTrait, definitions: &Definitions) -> Self {
        Self::of(Definition::Computed(computed), definitions)
    }

    pub(super) fn of(definition: Definition<'_>, definitions: &Definitions) -> Self {
        let mut uses = Self::default();
        walk(definition.root(), 0, &mut |node, _| uses.add(node, definitions));
        uses
    }

    fn add(&mut self, node: Node<'_>, definitions: &Definitions) {
        match node {
            Node::Condition(Condition::Audience(name)) => {
                self.audiences.insert(name.to_string());
            }
            Node::Condition(Condition::Consent(test)) => {
                self.purposes.insert(test.purpose.to_string());
            }
            Node::Condition(Condition::Subscription(test)) => {
                self.channels.insert(test.channel.to_string());
            }
            Node::Condition(Condition::Anniversary(day)) => self.add_trait(&day.of, definitions),
            Node::Operand(Operand::Trait(path) | Operand::Age(path)) => self.add_trait(path, definitions),
            Node::Operand(Operand::Account(path)) => {
                self.account_traits.insert(path.first().to_owned());
                self.fields.insert(field("traits", path));
            }
            Node::Operand(Operand::Aggregate(aggregate)) => {
                aggregate.take.path().into_iter().for_each(|path| self.add_event_path(&aggregate.of, path));
            }
            Node::Operand(Operand::Rfm(rfm)) => self.add_event_path(&rfm.of, &rfm.amount),
            Node::Events(events) => {
                match &events.name {
                    Some(name) => {
                        self.events.insert(name.to_string());
                    }
                    None => self.any_event = true,
                }
                events.filter.iter().for_each(|filter| self.add_filter(events, filter));
            }
            Node::Condition(_) | Node::Operand(_) | Node::Filter(_) | Node::Test(_) | Node::Window(_) => {}
        }
    }

    fn add_trait(&mut self, path: &Path, definitions: &Definitions) {
        let name = path.first();
        let is_computed = definitions.computed(name).is_some();
        let names = if is_computed { &mut self.computed_traits } else { &mut self.traits };
        names.insert(name.to_owned());
        self.fields.insert(field("traits", path));
    }

    fn add_filter(&mut self, events: &Events, filter: &Filter) {
        match filter {
            Filter::All(parts) | Filter::Any(parts) => {
                parts.iter().for_each(|part| self.add_filter(events, part));
            }
            Filter::Not(part) => self.add_filter(events, part),
            Filter::Property(property) => self.add_event_path(events, &property.path),
        }
    }

    /// A path of events: it starts in `properties`, of identify and group calls in `traits`.
    fn add_event_path(&mut self, events: &Events, path: &Path) {
        if matches!(path.first(), "context" | "properties") {
            self.fields.insert(names(path));
            return;
        }
        self.fields.insert(field("properties", path));
        if events.name.as_ref().is_none_or(|name| matches!(name.as_str(), "identify" | "group")) {
            self.fields.insert(field("traits", path));
        }
    }
}

/// Names with dots between them, as labels are given to them: a dot within a name is not told apart there.
fn names(path: &Path) -> String {
    path.names().join(".")
}

fn field(root: &str, path: &Path) -> String {
    format!("{root}.{}", names(path))
}
