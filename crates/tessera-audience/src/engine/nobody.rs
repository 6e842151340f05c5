//! What definitions say of somebody of whom nothing is known.
//!
//! Whatever a definition says of a person follows from what is known of them. So who changed as a whole - somebody new, or
//! merged, or split - needs to be asked only for the definitions that concern what they have, and for these.

use tessera_model::{ConsentStatus, PurposeName, SubscriptionState, Timestamp};

use super::compile::{Body, Compiled, Ordinal};
use super::evaluate::Outcome;
use super::plan::{Node, Source};
use super::state::FragmentState;
use super::view::View;

/// Somebody of whom nothing is known.
struct Nobody;

impl View for Nobody {
    fn id(&self) -> &str {
        ""
    }

    fn states(&self, _: &PurposeName) -> Vec<&FragmentState> {
        Vec::new()
    }

    fn trait_of(&self, _: &PurposeName, _: &str) -> Option<&str> {
        None
    }

    fn accounts(&self, _: &PurposeName, _: &str) -> Vec<&str> {
        Vec::new()
    }

    fn consent(&self, _: &PurposeName) -> Option<ConsentStatus> {
        None
    }

    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)> {
        Vec::new()
    }
}

impl Compiled {
    /// The audiences that may have somebody as a member of whom nothing is known: each either has everybody, or chooses by
    /// chance. What another says of such a person is no, and stays no until something is known that concerns it.
    #[must_use]
    pub fn of_nobody(&self) -> Vec<Ordinal> {
        let answers = self.evaluate(&Nobody, Timestamp::MIN, self.all());
        let may_have = |ordinal: &Ordinal| {
            let says = answers.iter().find(|answer| answer.ordinal == *ordinal);
            says.is_some_and(|answer| {
                answer.next_change_at.is_some() || matches!(answer.outcome, Outcome::Member(true))
            }) || self.chooses(ordinal.0)
        };
        self.all().filter(may_have).collect()
    }

    /// Whether a definition, or one that it speaks of, chooses people by their ids.
    fn chooses(&self, number: usize) -> bool {
        match self.definitions.get(number).map(|definition| &definition.body) {
            Some(Body::Audience(node)) => self.node_chooses(node),
            Some(Body::Trait(source)) => self.source_chooses(source),
            None => false,
        }
    }

    fn node_chooses(&self, node: &Node) -> bool {
        match node {
            Node::Sample { .. } => true,
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(|node| self.node_chooses(node)),
            Node::Not(node) => self.node_chooses(node),
            Node::Audience(number) => self.chooses(*number),
            Node::Value { of, .. } | Node::Date { of, .. } => self.source_chooses(of),
            Node::Compare { left, right, .. } => self.source_chooses(left) || self.source_chooses(right),
            Node::Anniversary { of, .. } => of.computed.is_some_and(|number| self.chooses(number)),
            Node::Sequence(_) | Node::Consent { .. } | Node::Subscription(_) => false,
        }
    }

    fn source_chooses(&self, source: &Source) -> bool {
        match source {
            Source::Trait(of) | Source::Age(of) => of.computed.is_some_and(|number| self.chooses(number)),
            Source::Arithmetic(parts) => self.source_chooses(&parts.0) || self.source_chooses(&parts.2),
            Source::Whether(node) => self.node_chooses(node),
            Source::Literal(_) | Source::Account(_) | Source::Taken { .. } | Source::Rfm(_) => false,
        }
    }
}
