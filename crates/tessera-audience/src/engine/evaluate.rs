//! Answers: who is a member, what a computed trait's value is, and until when that stands if nothing happens.
//!
//! Invariants: an answer follows from the view and `now` alone; between `now` and the time it gives, the answer without a
//! further event is the same.

use std::fmt;

use tessera_model::{PurposeName, Timestamp};

use super::check::{any_compares, compares};
use super::compile::{Body, Compiled, Definition, Ordinal};
use super::dates;
use super::extract::Found;
use super::plan::{FromTrait, Grid, Node, Source, Taking};
use super::sequence;
use super::state::{FragmentState, Slot};
use super::taken::{Valued, taken};
use super::view::View;
use crate::{Comparator, ConsentState, Number, Operator, Scalar, SubscriptionTest};

/// Never.
pub(crate) const NEVER: i64 = i64::MAX;
/// How often a condition looks further ahead when what it follows from changes and it does not.
const LOOKS_AHEAD: usize = 16;

/// What a definition says of a person. Personal data: `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of an audience: whether the person is a member.
    Member(bool),
    /// Of a computed trait: its values; none, one, or those of a list.
    Values(Vec<Scalar>),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(holds) => write!(f, "Member({holds})"),
            Self::Values(values) => write!(f, "Values({} of them)", values.len()),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which definition.
    pub ordinal: Ordinal,
    /// What it says.
    pub outcome: Outcome,
    /// When it has to be asked again, if nothing happens before; `None`: never. It may then say the same.
    pub next_change_at: Option<Timestamp>,
}

impl Compiled {
    /// What the definitions `only` say of a person at `now`. `now` is not before any event applied.
    #[must_use]
    pub fn evaluate(
        &self,
        view: &dyn View,
        now: Timestamp,
        only: impl IntoIterator<Item = Ordinal>,
    ) -> Vec<Answer> {
        let mut evaluator = Evaluator::new(self, view, now.as_millis());
        let answers = only.into_iter().filter_map(|ordinal| {
            let definition = self.definitions.get(ordinal.0)?;
            let (outcome, until) = match &definition.body {
                Body::Audience(_) => {
                    let truth = evaluator.member(ordinal.0);
                    (Outcome::Member(truth.holds), truth.until)
                }
                Body::Trait(_) => {
                    let valued = evaluator.computed(ordinal.0);
                    (Outcome::Values(valued.found.values), valued.until)
                }
            };
            Some(Answer { ordinal, outcome, next_change_at: time(until) })
        });
        answers.collect()
    }
}

pub(crate) fn time(until: i64) -> Option<Timestamp> {
    (until < Timestamp::MAX.as_millis()).then(|| Timestamp::from_millis(until))
}

/// Whether something holds, and until when that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) holds: bool,
    pub(crate) until: i64,
}

impl Truth {
    pub(crate) const fn always(holds: bool) -> Self {
        Self { holds, until: NEVER }
    }
}

/// What a definition was found to say.
#[derive(Clone, Debug)]
enum Known {
    Member(Truth),
    Values(Valued),
}

/// One person at one time.
pub(crate) struct Evaluator<'e> {
    pub(crate) compiled: &'e Compiled,
    pub(crate) view: &'e dyn View,
    pub(crate) now: i64,
    looks_ahead: bool,
    known: Vec<(usize, Known)>,
    states: Vec<(&'e PurposeName, Vec<&'e FragmentState>)>,
}

impl<'e> Evaluator<'e> {
    pub(crate) fn new(compiled: &'e Compiled, view: &'e dyn View, now: i64) -> Self {
        Self { compiled, view, now, looks_ahead: true, known: Vec::new(), states: Vec::new() }
    }

    /// Asks as of another time, without looking further ahead.
    fn at<T>(&mut self, now: i64, ask: impl FnOnce(&mut Self) -> T) -> T {
        let known = std::mem::take(&mut self.known);
        let (before, looked_ahead) = (self.now, self.looks_ahead);
        (self.now, self.looks_ahead) = (now, false);
        let answer = ask(self);
        (self.now, self.looks_ahead, self.known) = (before, looked_ahead, known);
        answer
    }

    fn known(&self, number: usize) -> Option<&Known> {
        self.known.iter().find(|(known, _)| *known == number).map(|(_, known)| known)
    }

    /// Whether the person is a member of an audience.
    pub(crate) fn member(&mut self, number: usize) -> Truth {
        if let Some(Known::Member(truth)) = self.known(number) {
            return *truth;
        }
        let truth = match self.compiled.definitions.get(number) {
            Some(definition @ Definition { body: Body::Audience(node), .. })
                if self.view.permits(&definition.purpose) =>
            {
                self.node(definition, node)
            }
            Some(_) | None => Truth::always(false),
        };
        self.known.push((number, Known::Member(truth)));
        truth
    }

    /// The values of a computed trait.
    pub(crate) fn computed(&mut self, number: usize) -> Valued {
        if let Some(Known::Values(valued)) = self.known(number) {
            return valued.clone();
        }
        let valued = match self.compiled.definitions.get(number) {
            Some(definition @ Definition { body: Body::Trait(source), .. })
                if self.view.permits(&definition.purpose) =>
            {
                self.source(definition, source)
            }
            Some(_) | None => Valued::default(),
        };
        self.known.push((number, Known::Values(valued.clone())));
        valued
    }

    /// Whether a condition holds.
    pub(crate) fn node(&mut self, by: &'e Definition, node: &'e Node) -> Truth {
        match node {
            Node::All(all) => self.every(by, all, true),
            // Any holds unless each does not.
            Node::Any(any) => self.every(by, any, false),
            Node::Not(one) => {
                let Truth { holds, until } = self.node(by, one);
                Truth { holds: !holds, until }
            }
            Node::Audience(number) => self.member(*number),
            Node::Consent { purpose, is } => Truth::always(self.consent(purpose, *is)),
            Node::Subscription(test) => Truth::always(self.subscription(test)),
            Node::Sample { seed, from, to } => {
                Truth::always(dates::is_in_sample(seed, self.view.id(), *from, *to))
            }
            Node::Value { .. }
            | Node::Compare { .. }
            | Node::Date { .. }
            | Node::Anniversary { .. }
            | Node::Sequence(_) => self.looking_ahead(|evaluator| evaluator.leaf(by, node)),
        }
    }

    /// Whether each condition is `wanted`, said as `wanted`. One that is not decides alone, as long as it is not.
    fn every(&mut self, by: &'e Definition, nodes: &'e [Node], wanted: bool) -> Truth {
        let (mut until, mut decided) = (NEVER, None);
        for node in nodes {
            let truth = self.node(by, node);
            if truth.holds == wanted {
                until = until.min(truth.until);
            } else {
                decided = decided.max(Some(truth.until));
                if truth.until == NEVER {
                    break;
                }
            }
        }
        match decided {
            Some(until) => Truth { holds: !wanted, until },
            None => Truth { holds: wanted, until },
        }
    }

    /// What changes does not always change the answer: looks at the next few changes.
    fn looking_ahead(&mut self, ask: impl Fn(&mut Self) -> Truth) -> Truth {
        let Truth { holds, mut until } = ask(self);
        if !self.looks_ahead {
            return Truth { holds, until };
        }
        for _ in 0..LOOKS_AHEAD {
            if until == NEVER {
                break;
            }
            let then = self.at(until, &ask);
            if then.holds != holds {
                break;
            }
            until = then.until;
        }
        Truth { holds, until }
    }

    fn leaf(&mut self, by: &'e Definition, node: &'e Node) -> Truth {
        match node {
            Node::Value { of, check } => {
                let valued = self.source(by, of);
                Truth { holds: check.passes(&valued.found), until: valued.until }
            }
            Node::Compare { left, comparator, right } => {
                let (left, right) = (self.source(by, left), self.source(by, right));
                let holds = any_compares(&left.found, *comparator, &right.found);
                Truth { holds, until: left.until.min(right.until) }
            }
            Node::Date { of, is } => {
                let valued = self.source(by, of);
                let truth = dates::lies(&valued.found.values, *is, self.now, &by.zone);
                Truth { until: truth.until.min(valued.until), ..truth }
            }
            Node::Anniversary { of, within_days } => {
                let valued = self.of_trait(by, of);
                let truth = dates::anniversary(&valued.found.values, *within_days, self.now, &by.zone);
                Truth { until: truth.until.min(valued.until), ..truth }
            }
            Node::Sequence(chain) => sequence::happened(self, by, chain),
            Node::All(_)
            | Node::Any(_)
            | Node::Not(_)
            | Node::Audience(_)
            | Node::Consent { .. }
            | Node::Subscription(_)
            | Node::Sample { .. } => self.node(by, node),
        }
    }

    fn consent(&self, purpose: &PurposeName, is: ConsentState) -> bool {
        let said = self.view.consent(purpose);
        match is {
            ConsentState::Valid => said.is_some_and(|status| status.is_valid()),
            ConsentState::Invalid => said.is_some_and(|status| !status.is_valid()),
            ConsentState::Unknown => said.is_none(),
            ConsentState::Status(status) => said == Some(status),
        }
    }

    fn subscription(&self, test: &SubscriptionTest) -> bool {
        let topic = test.topic.as_deref().unwrap_or_default();
        let subscriptions = self.view.subscriptions();
        let mut states = subscriptions
            .iter()
            .filter(|(channel, of, _)| *channel == test.channel.as_str() && *of == topic)
            .map(|(_, _, state)| *state);
        match test.is.state() {
            Some(wanted) => states.any(|state| state == wanted),
            None => states.next().is_none(),
        }
    }

    /// The values of a source.
    pub(crate) fn source(&mut self, by: &'e Definition, source: &'e Source) -> Valued {
        match source {
            Source::Literal(literal) => Valued::always(vec![literal.clone()]),
            Source::Trait(of) => self.of_trait(by, of),
            Source::Account(of) => {
                let mut found = Found::default();
                for json in self.view.accounts(&by.purpose, &of.name) {
                    of.rest.read(json, 1).into_iter().for_each(|more| found.add(more));
                }
                Valued { found, until: NEVER }
            }
            Source::Taken { feature, take } => {
                let Some(feature) = self.compiled.feature(*feature) else { return Valued::default() };
                let now = self.now;
                taken(feature, *take, self.states(by).iter().filter_map(|state| state.slot(feature.id)), now)
            }
            Source::Arithmetic(parts) => {
                let (left, operator, right) = parts.as_ref();
                let (left, right) = (self.source(by, left), self.source(by, right));
                let result = number(&left).zip(number(&right)).and_then(|(l, r)| calculate(l, *operator, r));
                Valued { until: left.until.min(right.until), ..Valued::of(result.map(Scalar::Number)) }
            }
            Source::Age(of) => {
                let valued = self.of_trait(by, of);
                let (ages, until) = dates::ages(&valued.found.values, self.now, &by.zone);
                Valued { until: until.min(valued.until), ..Valued::always(ages) }
            }
            Source::Rfm(grid) => self.grid(by, grid),
            Source::Whether(node) => {
                let Truth { holds, until } = self.node(by, node);
                Valued { until, ..Valued::of(Some(Scalar::Bool(holds))) }
            }
        }
    }

    pub(crate) fn of_trait(&mut self, by: &'e Definition, of: &'e FromTrait) -> Valued {
        if let Some(number) = of.computed {
            let valued = self.computed(number);
            // A computed value has nothing below it.
            return if of.rest.is_whole() { valued } else { Valued::default() };
        }
        let Some(json) = self.view.trait_of(&by.purpose, &of.name) else { return Valued::default() };
        let found = of.rest.read(json, 1).into_iter().next().unwrap_or_default();
        Valued { found, until: NEVER }
    }

    fn grid(&mut self, by: &'e Definition, grid: &'e Grid) -> Valued {
        let take = |evaluator: &mut Self, feature: usize, take: Taking| {
            let Some(feature) = evaluator.compiled.feature(feature) else { return Valued::default() };
            let now = evaluator.now;
            taken(feature, take, evaluator.states(by).iter().filter_map(|state| state.slot(feature.id)), now)
        };
        let latest = take(self, grid.latest, Taking::Last);
        let count = take(self, grid.count, Taking::Count);
        let sum = take(self, grid.sum, Taking::Sum);
        let until = latest.until.min(count.until).min(sum.until);
        let Some(Scalar::Text(at)) = latest.found.values.first() else {
            return Valued { until, ..Valued::default() };
        };
        let at = Timestamp::parse(at).map_or(0, Timestamp::as_millis);
        let ends = grid.recency.iter().map(|cut| at.saturating_add(cut.millis()));
        let recency = 1 + ends.clone().filter(|end| self.now < *end).count();
        let until = ends.filter(|end| self.now < *end).min().unwrap_or(NEVER).min(until);
        let count = number(&count).unwrap_or_default();
        let reached = |cut: &&u32| count >= Number::from_integer(i64::from(**cut));
        let frequency = 1 + grid.frequency.iter().filter(reached).count();
        let passed = |cut: &&Number| {
            let cut = Scalar::Number(**cut);
            sum.found.values.iter().any(|sum| compares(sum, Comparator::AtLeast, &cut))
        };
        let monetary = 1 + grid.monetary.iter().filter(passed).count();
        let text = format!("{recency}{frequency}{monetary}");
        Valued { until, ..Valued::of(Some(Scalar::Text(text.into()))) }
    }

    /// The states that a definition's purpose sees.
    pub(crate) fn states(&mut self, by: &'e Definition) -> &[&'e FragmentState] {
        let place = match self.states.iter().position(|(purpose, _)| *purpose == &by.purpose) {
            Some(place) => place,
            None => {
                let view: &'e dyn View = self.view;
                self.states.push((&by.purpose, view.states(&by.purpose)));
                self.states.len() - 1
            }
        };
        self.states.get(place).map(|(_, states)| states.as_slice()).unwrap_or_default()
    }

    /// What is kept of a feature, fragment by fragment.
    pub(crate) fn slots(&mut self, by: &'e Definition, feature: usize) -> Vec<&'e Slot> {
        let Some(feature) = self.compiled.feature(feature) else { return Vec::new() };
        self.states(by).iter().filter_map(|state| state.slot(feature.id)).collect()
    }
}

/// The value as a number, if it is one and the only one.
fn number(valued: &Valued) -> Option<Number> {
    match valued.found.values.as_slice() {
        [Scalar::Number(number)] => Some(*number),
        _ => None,
    }
}

fn calculate(left: Number, operator: Operator, right: Number) -> Option<Number> {
    match operator {
        Operator::Add => left.plus(right),
        Operator::Subtract => left.minus(right),
        Operator::Multiply => left.times(right),
        Operator::Divide => left.over(right),
    }
}
