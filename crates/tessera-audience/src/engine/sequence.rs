//! Sequences: one event after the other.

use std::collections::BTreeSet;

use super::compile::Definition;
use super::evaluate::{Evaluator, NEVER, Truth};
use super::feature::Data;
use super::plan::Chain;
use super::taken::Window;
use crate::SEQUENCE_TIMES_MAX;

/// Whether the sequence happened.
pub(crate) fn happened<'e>(evaluator: &mut Evaluator<'e>, by: &'e Definition, chain: &'e Chain) -> Truth {
    let times = Times::read_all(evaluator, by, chain);
    let layers = times.layers(chain);
    let ends = times.ends(chain, &layers);
    let now = evaluator.now;
    let over_at = |at: i64| at.saturating_add(chain.then_no.as_ref().map_or(0, |(_, within)| *within));
    let next = ends.iter().map(|at| over_at(*at)).filter(|over_at| *over_at > now).min();
    Truth { holds: ends.iter().any(|at| over_at(*at) <= now), until: times.until.min(next.unwrap_or(NEVER)) }
}

/// The times of the steps of the latest sequence that happened; empty when none did.
pub(crate) fn example<'e>(evaluator: &mut Evaluator<'e>, by: &'e Definition, chain: &'e Chain) -> Vec<i64> {
    let times = Times::read_all(evaluator, by, chain);
    let layers = times.layers(chain);
    let within = chain.then_no.as_ref().map_or(0, |(_, within)| *within);
    let ends = times.ends(chain, &layers);
    let Some(end) = ends.into_iter().filter(|at| at + within <= evaluator.now).max() else {
        return Vec::new();
    };
    let mut steps = vec![end];
    for (place, link) in chain.steps.iter().enumerate().skip(1).rev() {
        let (Some(after), Some(before)) = (steps.last().copied(), layers.get(place - 1)) else { break };
        let without = times.of_all(&link.without);
        // Of those that it can follow, the one that the chain was measured from.
        let step = before
            .iter()
            .filter(|before| !follow(&[**before], &[after], &without, link.within).is_empty())
            .max_by_key(|(at, began)| (*began, *at));
        steps.extend(step.map(|(at, _)| *at));
    }
    steps.reverse();
    steps
}

/// The ends of the next step.
fn follow(before: &[(i64, i64)], events: &[i64], without: &[i64], within: Option<i64>) -> Vec<(i64, i64)> {
    let began = |at: i64| {
        // What must not happen between: only what it came after is cut off.
        let barrier = without.partition_point(|between| *between < at);
        let barrier = barrier.checked_sub(1).and_then(|last| without.get(last));
        before
            .iter()
            .filter(|(end, _)| *end < at)
            .filter(|(end, _)| within.is_none_or(|within| at - end <= within))
            .filter(|(end, _)| barrier.is_none_or(|barrier| barrier <= end))
            .map(|(_, began)| *began)
            .max()
    };
    events.iter().filter_map(|at| began(*at).map(|began| (*at, began))).collect()
}

/// The times of the selectors of a sequence, and when they change.
struct Times {
    /// Earliest first.
    of: Vec<(usize, Vec<i64>)>,
    until: i64,
}

impl Times {
    /// Reads those of all selectors.
    fn read_all<'e>(evaluator: &mut Evaluator<'e>, by: &'e Definition, chain: &'e Chain) -> Self {
        let mut times = Self { of: Vec::new(), until: NEVER };
        let links = chain.steps.iter().flat_map(|link| link.without.iter().chain([&link.event]));
        let absent = chain.then_no.iter().flat_map(|(absent, _)| absent);
        links.chain(absent).for_each(|feature| times.read(evaluator, by, *feature));
        times.cut();
        times
    }

    /// Step by step, the times at which the sequence can have come so far, each with the latest at which it can have
    /// begun.
    fn layers(&self, chain: &Chain) -> Vec<Vec<(i64, i64)>> {
        let mut layers: Vec<Vec<(i64, i64)>> = Vec::new();
        for link in &chain.steps {
            let events = self.of(link.event);
            layers.push(match layers.last() {
                None => events.iter().map(|at| (*at, *at)).collect(),
                Some(before) => follow(before, events, &self.of_all(&link.without), link.within),
            });
        }
        layers
    }

    /// The times at which it ended in time, and nothing came after that must not.
    fn ends(&self, chain: &Chain, layers: &[Vec<(i64, i64)>]) -> Vec<i64> {
        let ends = layers.last().map(Vec::as_slice).unwrap_or_default();
        let in_time = ends.iter().filter(|(at, began)| chain.within.is_none_or(|most| at - began <= most));
        let ends = in_time.map(|(at, _)| *at);
        let Some((absent, within)) = &chain.then_no else { return ends.collect() };
        let absent = self.of_all(absent);
        let came_after = |at: i64| {
            let next = absent.partition_point(|came| *came <= at);
            absent.get(next).is_some_and(|came| *came <= at + within)
        };
        ends.filter(|at| !came_after(*at)).collect()
    }

    /// Reads the latest times in the window.
    fn read<'e>(&mut self, evaluator: &mut Evaluator<'e>, by: &'e Definition, number: usize) {
        let Some(feature) = evaluator.compiled.feature(number) else { return };
        if self.of.iter().any(|(known, _)| *known == number) {
            return;
        }
        let (span, now) = (&feature.span, evaluator.now);
        let (from, to) = span.edges(now);
        let (first, last) = (span.first_time(from), span.last_time(to));
        let mut window = Window { span, edges: None, now, until: self.until };
        let mut times: BTreeSet<i64> = BTreeSet::new();
        for slot in evaluator.slots(by, number) {
            let Data::Times(cells) = &slot.data else { continue };
            let (inside, next) = cells.within(first, last);
            let bucket = |at: i64| span.bucket(at);
            window.changes(inside.first().map(|(at, _)| bucket(*at)), next.map(bucket));
            times.extend(inside.iter().map(|(at, _)| *at));
        }
        self.until = window.until;
        let beyond = times.len().saturating_sub(SEQUENCE_TIMES_MAX);
        self.of.push((number, times.into_iter().skip(beyond).collect()));
    }

    /// Where a selector has too many times, nothing before its earliest that counts is looked at.
    fn cut(&mut self) {
        let full = self.of.iter().filter(|(_, times)| times.len() >= SEQUENCE_TIMES_MAX);
        let Some(from) = full.filter_map(|(_, times)| times.first()).max().copied() else { return };
        self.of.iter_mut().for_each(|(_, times)| times.retain(|at| *at >= from));
    }

    fn of(&self, number: usize) -> &[i64] {
        let found = self.of.iter().find(|(known, _)| *known == number);
        found.map(|(_, times)| times.as_slice()).unwrap_or_default()
    }

    /// The times of several, together.
    fn of_all(&self, numbers: &[usize]) -> Vec<i64> {
        let mut all: Vec<i64> = numbers.iter().flat_map(|number| self.of(*number)).copied().collect();
        all.sort_unstable();
        all
    }
}
