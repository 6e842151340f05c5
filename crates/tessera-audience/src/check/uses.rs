//! What a definition looks at: the graph of dependencies.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Definition;
use super::walk::{Node, walk};
use crate::{Audience, ComputedTrait, Condition, Definitions, Operand};

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
            Node::Condition(Condition::Anniversary(day)) => self.add_trait(day.of.first(), definitions),
            Node::Operand(Operand::Trait(path) | Operand::Age(path)) => {
                self.add_trait(path.first(), definitions)
            }
            Node::Operand(Operand::Account(path)) => {
                self.account_traits.insert(path.first().to_owned());
            }
            Node::Events(events) => match &events.name {
                Some(name) => {
                    self.events.insert(name.to_string());
                }
                None => self.any_event = true,
            },
            Node::Condition(_) | Node::Operand(_) | Node::Filter(_) | Node::Test(_) | Node::Window(_) => {}
        }
    }

    fn add_trait(&mut self, name: &str, definitions: &Definitions) {
        let is_computed = definitions.computed(name).is_some();
        let names = if is_computed { &mut self.computed_traits } else { &mut self.traits };
        names.insert(name.to_owned());
    }
}
