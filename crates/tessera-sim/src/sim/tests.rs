//! The simulator on fixed seeds, on itself, and on bugs that it must find.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::message::Address;
use super::systematic::sweep;
use super::{Bug, simulate, whole_day};

#[test]
fn promises_hold_through_simulated_days() {
    for seed in [1, 2, 3] {
        let day = simulate(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(day.crashes > 5, "seed {seed} crashed {} times only", day.crashes);
    }
}

#[test]
fn promises_hold_through_a_crash_at_every_step() {
    let swept = sweep(None).unwrap_or_else(|violation| panic!("{}", violation.0));
    assert!(swept.days > 100, "{swept:?}");
    assert!(swept.crashes >= swept.days - 1, "every day but the last has its crash: {swept:?}");
}

#[test]
fn one_seed_is_one_history() {
    let one = simulate(7, None).unwrap();
    assert_eq!(one, simulate(7, None).unwrap());
    assert_ne!(one.trace, simulate(8, None).unwrap().trace);
}

#[test]
fn a_failure_is_the_same_each_time() {
    let bug = Some(Bug::SkipsSync);
    let failing = (1..20).find(|seed| simulate(*seed, bug).is_err()).unwrap();
    assert_eq!(simulate(failing, bug), simulate(failing, bug));
}

#[test]
fn every_deliberate_bug_is_found_soon() {
    for (bug, sign) in [
        (Bug::AcknowledgesBeforeAppend, "was acknowledged and is not in the log"),
        (Bug::SkipsSync, "log"),
        (Bug::KeepsPositionWithoutRows, ""),
        (Bug::ForgetsRepeats, "accepted, not"),
        (Bug::CutsPastThePipeline, "after the checkpoint"),
    ] {
        let failure = (1..=3).find_map(|seed| simulate(seed, Some(bug)).err());
        let failure = failure.unwrap_or_else(|| panic!("{bug:?} was not found"));
        assert!(failure.what.contains(sign), "{bug:?}: {failure}");
    }
}

#[test]
fn a_crash_at_every_step_finds_a_skipped_sync() {
    assert!(sweep(Some(Bug::SkipsSync)).is_err());
}

#[test]
fn a_day_holds_everything_that_hurts() {
    let run = whole_day(1, None, &Cell::new(0)).unwrap_or_else(|violation| panic!("{}", violation.0));
    let oracle = &run.oracle;
    let expected = &oracle.expected;
    assert!(oracle.failures > 5, "{} appends failed", oracle.failures);
    assert!(oracle.survivors > 0, "nothing survived that was not acknowledged");
    assert!(oracle.asked_upto.0 > 0, "retention removed nothing");
    assert!(expected.duplicates > 50, "{} duplicates", expected.duplicates);
    assert!(expected.denied.len() == 2, "{:?}", expected.denied);
    assert!(expected.rejected.len() > 8, "{:?}", expected.rejected);
    let people = expected.people.heard();
    assert!(people.undos > 0 && people.apart > 0 && people.hashed > 0, "{people:?}");
    let mut counts: BTreeMap<&Address, usize> = BTreeMap::new();
    expected.seen.iter().for_each(|(owner, _)| *counts.entry(owner).or_default() += 1);
    let busiest = counts.into_values().max().unwrap();
    assert!(busiest > tessera_profile::SEEN_INLINE_MAX, "nobody is busy: {busiest}");
}
