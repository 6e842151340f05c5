//! Going through a definition, part by part.

use crate::{Condition, Events, Filter, Operand, Sequence, Test, Window};

/// A part of a definition.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Condition(&'a Condition),
    Operand(&'a Operand),
    Events(&'a Events),
    Filter(&'a Filter),
    Test(&'a Test),
    /// A window, and of what.
    Window(Window),
}

/// Shows `visit` every part under `node`, itself first, with its depth from `depth` on.
pub(super) fn walk<'a>(node: Node<'a>, depth: usize, visit: &mut dyn FnMut(Node<'a>, usize)) {
    visit(node, depth);
    let below = depth + 1;
    match node {
        Node::Condition(condition) => below_condition(condition, below, visit),
        Node::Operand(operand) => below_operand(operand, below, visit),
        Node::Events(events) => {
            if let Some(filter) = &events.filter {
                walk(Node::Filter(filter), below, visit);
            }
        }
        Node::Filter(filter) => match filter {
            Filter::All(parts) | Filter::Any(parts) => {
                parts.iter().for_each(|part| walk(Node::Filter(part), below, visit));
            }
            Filter::Not(part) => walk(Node::Filter(part), below, visit),
            Filter::Property(property) => walk(Node::Test(&property.test), below, visit),
        },
        Node::Test(_) | Node::Window(_) => {}
    }
}

fn below_condition<'a>(condition: &'a Condition, below: usize, visit: &mut dyn FnMut(Node<'a>, usize)) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| walk(Node::Condition(part), below, visit));
        }
        Condition::Not(part) => walk(Node::Condition(part), below, visit),
        Condition::Value(value) => {
            walk(Node::Operand(&value.of), below, visit);
            walk(Node::Test(&value.test), below, visit);
        }
        Condition::Compare(both) => {
            walk(Node::Operand(&both.left), below, visit);
            walk(Node::Operand(&both.right), below, visit);
        }
        Condition::Date(date) => walk(Node::Operand(&date.of), below, visit),
        Condition::Sequence(sequence) => {
            selectors(sequence).for_each(|events| walk(Node::Events(events), below, visit));
            walk(Node::Window(sequence.window), below, visit);
        }
        Condition::Anniversary(_)
        | Condition::Audience(_)
        | Condition::Consent(_)
        | Condition::Subscription(_)
        | Condition::Sample(_) => {}
    }
}

fn below_operand<'a>(operand: &'a Operand, below: usize, visit: &mut dyn FnMut(Node<'a>, usize)) {
    match operand {
        Operand::Literal(_) | Operand::Trait(_) | Operand::Account(_) | Operand::Age(_) => {}
        Operand::Aggregate(aggregate) => {
            walk(Node::Events(&aggregate.of), below, visit);
            walk(Node::Window(aggregate.window), below, visit);
        }
        Operand::Arithmetic(arithmetic) => {
            walk(Node::Operand(&arithmetic.left), below, visit);
            walk(Node::Operand(&arithmetic.right), below, visit);
        }
        Operand::Rfm(rfm) => {
            walk(Node::Events(&rfm.of), below, visit);
            walk(Node::Window(rfm.window), below, visit);
        }
        Operand::Whether(condition) => walk(Node::Condition(condition), below, visit),
    }
}

/// Every selector of a sequence.
pub(super) fn selectors(sequence: &Sequence) -> impl Iterator<Item = &Events> {
    let steps = sequence.steps.iter().flat_map(|step| [&step.event].into_iter().chain(&step.without));
    steps.chain(sequence.then_no.iter().flat_map(|absence| &absence.events))
}
