//! Whole days from a seed: the real log and pipeline on simulated disks, crashed at every turn, against an oracle.
//!
//! Not a load test and not threads: one seed is one history, and a failure prints the seed and the step that show it.
//! What is checked is DESIGN's promises 1 (nothing acknowledged is lost, nothing counted twice), 2 (nothing vanishes
//! silently) and 5 (the same log gives the same state), and that audiences have the members that they should, told once. Reference: the simulators of FoundationDB and TigerBeetle.

mod audiences;
mod brittle;
mod check;
mod expected;
mod machine;
pub(crate) mod message;
mod oracle;
mod people;
pub(crate) mod random;
mod run;
mod stewardship;
mod systematic;
#[cfg(test)]
mod tests;
mod workload;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use run::Run;
use tessera_model::Entrance;
use tessera_store::MemoryStore;

/// Steps of one day.
const STEPS: u64 = 500;
/// 2023-11-14T22:13:20Z.
pub(crate) const START_MILLIS: i64 = 1_700_000_000_000;

/// A deliberate bug, to see that the simulator finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Bug {
    /// The client is told that its request is safe although the append failed.
    AcknowledgesBeforeAppend,
    /// The log's disk does not sync.
    SkipsSync,
    /// A checkpoint stores its position, but only half of its rows.
    KeepsPositionWithoutRows,
    /// The de-duplication window is nothing.
    ForgetsRepeats,
    /// Retention removes what the pipeline would need after a crash.
    CutsPastThePipeline,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::AcknowledgesBeforeAppend,
        Self::SkipsSync,
        Self::KeepsPositionWithoutRows,
        Self::ForgetsRepeats,
        Self::CutsPastThePipeline,
    ];
}

/// A promise that was broken, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

impl Violation {
    /// Something failed that must not.
    fn of<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("cannot {what}: {error}"))
    }
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// What one seed came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Steps taken.
    pub steps: u64,
    /// How often the machine lost power.
    pub crashes: u64,
    /// A hash of all that happened: equal for equal seeds.
    pub trace: [u8; 16],
}

/// A broken promise, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, step {step}: {what}")]
pub struct Failure {
    /// `tessera-sim sim --seed SEED` shows it again.
    pub seed: u64,
    /// At which step.
    pub step: u64,
    /// What is broken.
    pub what: String,
}

/// Simulates the day of one seed.
///
/// # Errors
/// The first broken promise; a panic is one.
pub fn simulate(seed: u64, bug: Option<Bug>) -> Result<Day, Failure> {
    let step = Cell::new(0);
    let day = || -> Checked<Day> {
        let run = whole_day(seed, bug, &step)?;
        Ok(Day { steps: run.steps, crashes: run.crashes(), trace: run.trace() })
    };
    let broken = |what| Failure { seed, step: step.get(), what };
    match catch_unwind(AssertUnwindSafe(day)) {
        Ok(Ok(day)) => Ok(day),
        Ok(Err(Violation(what))) => Err(broken(what)),
        Err(panic) => Err(broken(format!("panic: {}", panic_text(panic.as_ref())))),
    }
}

fn whole_day(seed: u64, bug: Option<Bug>, step: &Cell<u64>) -> Checked<Run> {
    let mut run = Run::new(seed, !seed, bug, None)?;
    for _ in 0..STEPS {
        step.set(run.steps + 1);
        run.step()?;
    }
    step.set(run.steps + 1);
    run.settle()?;
    Ok(run)
}

/// The state after a whole day: real rows for the fuzzers.
pub(crate) fn sample_state() -> Checked<MemoryStore> {
    whole_day(1, None, &Cell::new(0))?.state()
}

/// Bodies that clients send, each with its entrance: real requests for the fuzzers.
pub(crate) fn sample_bodies(count: usize) -> Vec<(Entrance, Bytes)> {
    let (mut random, mut workload) = (random::Random::new(1), workload::Workload::default());
    let requests = std::iter::repeat_with(|| workload.request(&mut random, START_MILLIS));
    requests.take(count).map(|request| (request.entrance, request.body)).collect()
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Which days to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// From 1 to this one, and the crashes at every step.
    UpTo(u64),
    /// This one alone.
    One(u64),
}

/// Simulates, and prints a line for each failure and the sums.
///
/// # Errors
/// When a promise was broken.
#[expect(clippy::print_stdout, reason = "what was found is what this command is for")]
pub fn run(seeds: Seeds, bug: Option<Bug>) -> anyhow::Result<()> {
    let (first, last) = match seeds {
        Seeds::UpTo(last) => (1, last),
        Seeds::One(seed) => (seed, seed),
    };
    let (mut days, mut steps, mut crashes, mut failures) = (0, 0, 0, 0);
    for seed in first..=last {
        days += 1;
        match simulate(seed, bug) {
            Ok(day) => {
                steps += day.steps;
                crashes += day.crashes;
            }
            Err(failure) => {
                steps += failure.step;
                failures += 1;
                println!("sim: {failure}");
            }
        }
    }
    println!("sim: {days} seeds, {steps} steps, {crashes} crashes, {failures} failures");
    if let Seeds::UpTo(_) = seeds {
        match catch_unwind(|| systematic::sweep(bug)) {
            Ok(Ok(swept)) => {
                let systematic::Swept { days, steps, crashes } = swept;
                println!(
                    "sim: a crash at every step: {days} days, {steps} steps, {crashes} crashes, 0 failures"
                );
            }
            Ok(Err(Violation(what))) => {
                failures += 1;
                println!("sim: a crash at every step: {what}");
            }
            Err(panic) => {
                failures += 1;
                println!("sim: a crash at every step: panic: {}", panic_text(panic.as_ref()));
            }
        }
    }
    anyhow::ensure!(failures == 0, "{failures} broken promises");
    Ok(())
}
