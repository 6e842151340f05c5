//! Why an answer is what it is, condition by condition.
//!
//! Not a second evaluation: it asks the evaluator about each part of a condition. Invariant: the tree of reasons has the
//! form of the definition's tree of conditions.

use std::collections::BTreeSet;
use std::fmt;

use tessera_model::{MessageKey, Timestamp};

use super::compile::{Body, Compiled, Definition, Ordinal};
use super::evaluate::{Evaluator, time};
use super::plan::{FromTrait, Node, Source};
use super::sequence;
use super::view::View;
use crate::Scalar;

/// Most events that a reason names: the latest.
pub const REASON_EVENTS_MAX: usize = 5;

/// Why a condition holds or does not. Personal data: `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whether it holds; of a computed trait, whether it has a value.
    pub holds: bool,
    /// When that has to be asked again, if nothing happens before; `None`: never.
    pub next_change_at: Option<Timestamp>,
    /// The values that were tested; of a comparison the left side's. A count that only has to reach a number may say
    /// less than there is, never less than that number.
    pub values: Vec<Scalar>,
    /// The right side's values of a comparison.
    pub against: Vec<Scalar>,
    /// The latest events that it follows from; of a sequence one for each step, in their order.
    pub events: Vec<Because>,
    /// The parts of the condition in their order; of an audience, the reason why the person is a member of it.
    pub parts: Vec<Reason>,
}

/// An event that an answer follows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Because {
    /// When it happened.
    pub at: Timestamp,
    /// Its message id, where it is remembered.
    pub message: Option<MessageKey>,
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reason")
            .field("holds", &self.holds)
            .field("next_change_at", &self.next_change_at)
            .field("values", &self.values.len())
            .field("against", &self.against.len())
            .field("events", &self.events)
            .field("parts", &self.parts)
            .finish()
    }
}

impl Compiled {
    /// Why a definition says of a person what it says at `now`. `None`: there is no such definition.
    #[must_use]
    pub fn explain(&self, view: &dyn View, now: Timestamp, ordinal: Ordinal) -> Option<Reason> {
        Explaining { evaluator: Evaluator::new(self, view, now.as_millis()) }.definition(ordinal.0)
    }
}

struct Explaining<'e> {
    evaluator: Evaluator<'e>,
}

impl<'e> Explaining<'e> {
    fn definition(&mut self, number: usize) -> Option<Reason> {
        let definition = self.evaluator.compiled.definitions.get(number)?;
        Some(match &definition.body {
            Body::Audience(node) => self.node(definition, node),
            Body::Trait(source) => {
                let valued = self.evaluator.computed(number);
                Reason {
                    holds: !valued.found.values.is_empty(),
                    next_change_at: time(valued.until),
                    values: valued.found.values,
                    against: Vec::new(),
                    events: self.events(definition, &[source]),
                    parts: Vec::new(),
                }
            }
        })
    }

    fn node(&mut self, by: &'e Definition, node: &'e Node) -> Reason {
        let truth = self.evaluator.node(by, node);
        let mut reason = Reason {
            holds: truth.holds,
            next_change_at: time(truth.until),
            values: Vec::new(),
            against: Vec::new(),
            events: Vec::new(),
            parts: Vec::new(),
        };
        match node {
            Node::All(parts) | Node::Any(parts) => {
                reason.parts = parts.iter().map(|part| self.node(by, part)).collect();
            }
            Node::Not(part) => reason.parts = vec![self.node(by, part)],
            Node::Audience(number) => reason.parts = self.definition(*number).into_iter().collect(),
            Node::Value { of, .. } | Node::Date { of, .. } => {
                reason.values = self.evaluator.source(by, of).found.values;
                reason.events = self.events(by, &[of]);
            }
            Node::Compare { left, right, .. } => {
                reason.values = self.evaluator.source(by, left).found.values;
                reason.against = self.evaluator.source(by, right).found.values;
                reason.events = self.events(by, &[left, right]);
            }
            Node::Anniversary { of, .. } => {
                reason.values = self.evaluator.of_trait(by, of).found.values;
                reason.events = self.events_of_trait(of);
            }
            Node::Sequence(chain) => {
                let times = sequence::example(&mut self.evaluator, by, chain);
                let steps = times.iter().zip(&chain.steps);
                reason.events = steps.map(|(at, link)| self.because(by, link.event, *at)).collect();
            }
            Node::Consent { .. } | Node::Subscription(_) | Node::Sample { .. } => {}
        }
        reason
    }

    /// The event of a feature at that time, by its id if it is remembered.
    fn because(&mut self, by: &'e Definition, feature: usize, at: i64) -> Because {
        let slots = self.evaluator.slots(by, feature);
        let known = slots.iter().find(|slot| slot.mark.0 == at);
        Because { at: Timestamp::from_millis(at), message: known.map(|slot| slot.mark.1.clone()) }
    }

    /// The latest events that sources follow from.
    fn events(&mut self, by: &'e Definition, sources: &[&'e Source]) -> Vec<Because> {
        let mut all = BTreeSet::new();
        sources.iter().for_each(|source| self.gather(by, source, &mut all));
        all.into_iter().rev().take(REASON_EVENTS_MAX).collect()
    }

    fn events_of_trait(&mut self, of: &'e FromTrait) -> Vec<Because> {
        let mut all = BTreeSet::new();
        self.gather_trait(of, &mut all);
        all.into_iter().rev().take(REASON_EVENTS_MAX).collect()
    }

    fn gather(&mut self, by: &'e Definition, source: &'e Source, into: &mut BTreeSet<Because>) {
        match source {
            Source::Taken { feature, .. } => self.gather_feature(by, *feature, into),
            Source::Rfm(grid) => self.gather_feature(by, grid.latest, into),
            Source::Arithmetic(parts) => {
                self.gather(by, &parts.0, into);
                self.gather(by, &parts.2, into);
            }
            Source::Whether(node) => into.extend(self.node(by, node).all_events()),
            Source::Trait(of) | Source::Age(of) => self.gather_trait(of, into),
            Source::Literal(_) | Source::Account(_) => {}
        }
    }

    fn gather_trait(&mut self, of: &'e FromTrait, into: &mut BTreeSet<Because>) {
        let computed = of.computed.and_then(|number| self.evaluator.compiled.definitions.get(number));
        if let Some(definition @ Definition { body: Body::Trait(source), .. }) = computed {
            self.gather(definition, source, into);
        }
    }

    /// The latest event in the window, fragment by fragment.
    fn gather_feature(&mut self, by: &'e Definition, number: usize, into: &mut BTreeSet<Because>) {
        let Some(feature) = self.evaluator.compiled.feature(number) else { return };
        let (from, to) = feature.span.edges(self.evaluator.now);
        let slots = self.evaluator.slots(by, number);
        let inside = slots.iter().filter(|slot| (from..=to).contains(&feature.span.bucket(slot.mark.0)));
        into.extend(inside.map(|slot| Because {
            at: Timestamp::from_millis(slot.mark.0),
            message: Some(slot.mark.1.clone()),
        }));
    }
}

impl Reason {
    fn all_events(self) -> Vec<Because> {
        let below = self.parts.into_iter().flat_map(Self::all_events);
        self.events.into_iter().chain(below).collect()
    }
}
