//! One event after the other.

use std::collections::BTreeSet;

use super::Oracle;
use super::when::Zone;
use crate::{Absence, Duration, Events, SEQUENCE_TIMES_MAX, Sequence, Step};

/// Times in milliseconds, each once.
type Times = BTreeSet<i64>;

impl Oracle<'_> {
    pub(super) fn sequence(&self, sequence: &Sequence, zone: &Zone) -> bool {
        let selectors = selectors(sequence);
        let times = |selector: &Events| -> Times {
            let events = self.events(selector, sequence.window, zone);
            events.iter().map(|event| event.at().as_millis()).collect()
        };
        // Where a selector has too many times, nothing before its earliest that counts is looked at.
        let horizons = selectors
            .iter()
            .filter_map(|selector| times(selector).iter().rev().nth(SEQUENCE_TIMES_MAX - 1).copied());
        let horizon = horizons.max().unwrap_or(i64::MIN);
        let times = |selector: &Events| -> Times { times(selector).split_off(&horizon) };
        let Some((first, later)) = sequence.steps.split_first() else { return false };
        times(&first.event).into_iter().any(|start| {
            let mut reached = Times::from([start]);
            for step in later {
                reached = next(&reached, step, &times);
            }
            reached.into_iter().any(|end| {
                is_within(start, end, sequence.within)
                    && sequence
                        .then_no
                        .as_ref()
                        .is_none_or(|absence| stays_away(end, absence, zone.now().as_millis(), &times))
            })
        })
    }
}

fn selectors(sequence: &Sequence) -> Vec<&Events> {
    let steps = sequence.steps.iter().flat_map(|step| step.without.iter().chain([&step.event]));
    steps.chain(sequence.then_no.iter().flat_map(|absence| &absence.events)).collect()
}

/// The times of a step that follow any of the times reached before.
fn next(reached: &Times, step: &Step, times: &dyn Fn(&Events) -> Times) -> Times {
    let forbidden: Times = step.without.iter().flat_map(times).collect();
    let follows = |before: i64, at: i64| {
        before < at
            && is_within(before, at, step.within)
            && !forbidden.iter().any(|forbidden| before < *forbidden && *forbidden < at)
    };
    times(&step.event).into_iter().filter(|at| reached.iter().any(|before| follows(*before, *at))).collect()
}

fn is_within(from: i64, to: i64, limit: Option<Duration>) -> bool {
    limit.is_none_or(|limit| to - from <= limit.millis())
}

fn stays_away(end: i64, absence: &Absence, now: i64, times: &dyn Fn(&Events) -> Times) -> bool {
    let until = end + absence.within.millis();
    let came = |selector: &Events| times(selector).iter().any(|at| end < *at && *at <= until);
    until <= now && !absence.events.iter().any(came)
}
