//! Fuzzers for whatever reads bytes that somebody else wrote: the wire, the log, the rows of the store, snapshots.
//!
//! Not cargo-fuzz: that wants a nightly compiler and a sanitizer, and these must run wherever the tests do. So there is
//! no coverage to steer by; instead inputs start from real ones, are changed by steps that know the formats, and those
//! that show something new (another error, another shape) are kept and changed on. One seed gives one sequence of
//! inputs. Debug builds check for overflow. The import's readers are in the binary crate, which nothing may depend on:
//! property tests there try them, and `cargo xtask fuzz` runs those for many more cases. Reference: Zeller et al., "The Fuzzing Book", on mutation-based fuzzing.

mod log;
mod mutate;
mod row;
mod snapshot;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tessera_store::{Clock, SystemClock};

use crate::sim::panic_text;
use crate::sim::random::Random;

/// Inputs that are kept because they showed something new.
const KEPT_MAX: usize = 4_000;
/// After so many different failures a target has been tried enough.
const FAILURES_MAX: usize = 5;
/// How often the clock is read.
const EXECUTIONS_PER_LOOK: u64 = 64;

/// What to fuzz.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// Bodies of the tracking API, and log records.
    Wire,
    /// Segment files of the log.
    Log,
    /// Rows of the store.
    Row,
    /// Snapshots.
    Snapshot,
}

impl Target {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Wire, Self::Log, Self::Row, Self::Snapshot];
}

/// What is wrong, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken(String);

impl Broken {
    fn new(what: &str) -> Self {
        Self(what.to_owned())
    }

    fn of<E: fmt::Display>(error: E) -> Self {
        Self(error.to_string())
    }

    fn unless(holds: bool, what: &str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(what)) }
    }
}

/// Something that reads bytes.
trait Fuzzed {
    /// Its name, and that of its folder of regressions.
    fn name(&self) -> &'static str;

    /// Real inputs to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Changes an input; `other` lends parts.
    fn mutate(&self, random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
        mutate::mutate(random, input, other);
    }

    /// Reads the input. Says in short what was seen, so that what shows something new is known.
    fn check(&self, input: &[u8]) -> Result<String, Broken>;
}

fn make(target: Target) -> Result<Box<dyn Fuzzed>, Broken> {
    let state = || crate::sim::sample_state().map_err(|violation| Broken(violation.0));
    Ok(match target {
        Target::Wire => Box::new(wire::Wire::new()?),
        Target::Log => Box::new(log::Log::new()?),
        Target::Row => Box::new(row::Rows::new(&state()?)?),
        Target::Snapshot => Box::new(snapshot::Snapshot::new(&state()?)?),
    })
}

/// A text without its numbers and quoted parts: messages of one kind look the same.
fn shape(text: &str) -> String {
    let mut is_quoted = false;
    let kept = text.chars().filter(|c| {
        is_quoted ^= matches!(c, '`' | '"');
        !is_quoted && !c.is_ascii_digit()
    });
    kept.take(80).collect()
}

/// An input that breaks something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    input: Vec<u8>,
    what: String,
}

/// What came of fuzzing one target.
#[derive(Debug, Default)]
struct Report {
    executions: u64,
    kept: usize,
    found: Vec<Found>,
}

/// Tries one input; a panic is a failure.
fn attempt(fuzzed: &dyn Fuzzed, input: &[u8]) -> Result<String, String> {
    match catch_unwind(AssertUnwindSafe(|| fuzzed.check(input))) {
        Ok(checked) => checked.map_err(|Broken(what)| what),
        Err(panic) => Err(format!("panic: {}", panic_text(panic.as_ref()))),
    }
}

/// Goes on until `is_over`, which is given the number of executions.
fn fuzz(fuzzed: &dyn Fuzzed, seed: u64, mut is_over: impl FnMut(u64) -> bool) -> Report {
    let (mut random, mut report) = (Random::new(seed), Report::default());
    let (mut seen, mut known): (BTreeSet<String>, BTreeSet<String>) = (BTreeSet::new(), BTreeSet::new());
    let mut corpus = fuzzed.seeds();
    let mut waiting = corpus.clone();
    while report.found.len() < FAILURES_MAX && !is_over(report.executions) {
        // The seeds as they are come first.
        let input = waiting.pop().unwrap_or_else(|| {
            let other = random.pick(&corpus).cloned().unwrap_or_default();
            let mut input = random.pick(&corpus).cloned().unwrap_or_default();
            fuzzed.mutate(&mut random, &mut input, &other);
            input
        });
        report.executions += 1;
        match attempt(fuzzed, &input) {
            Ok(shape) => {
                if corpus.len() < KEPT_MAX && seen.insert(shape) {
                    corpus.push(input);
                    report.kept += 1;
                }
            }
            Err(what) => {
                if known.insert(shape(&what)) {
                    let input = smaller(fuzzed, input, &what);
                    report.found.push(Found { input, what });
                }
            }
        }
    }
    report
}

/// Leaves out of the input what is not needed for the same failure.
fn smaller(fuzzed: &dyn Fuzzed, mut input: Vec<u8>, what: &str) -> Vec<u8> {
    let mut part = input.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            drop(shorter.drain(at..(at + part).min(input.len())));
            if attempt(fuzzed, &shorter) == Err(what.to_owned()) {
                input = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    input
}

/// Where inputs that once broke something are kept: a test tries them for ever.
fn regressions(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(name)
}

/// Fuzzes `target`, or every one, for `seconds` in all; prints a line for each and whatever breaks.
///
/// # Errors
/// When something broke, or the input could not be kept.
#[expect(clippy::print_stdout, reason = "what was found is what this command is for")]
pub fn run(seconds: u64, seed: u64, target: Option<Target>) -> anyhow::Result<()> {
    let targets = target.map_or(Target::ALL.to_vec(), |target| vec![target]);
    let nanos_each = seconds.saturating_mul(1_000_000_000) / targets.len().max(1) as u64;
    let clock = SystemClock::new();
    let mut failures = 0;
    for target in targets {
        let fuzzed =
            make(target).map_err(|Broken(what)| anyhow::anyhow!("cannot begin {target:?}: {what}"))?;
        let start = clock.monotonic_nanos();
        let elapsed = || clock.monotonic_nanos().saturating_sub(start);
        let is_over = |executions: u64| {
            executions.is_multiple_of(EXECUTIONS_PER_LOOK) && executions > 0 && elapsed() >= nanos_each
        };
        let report = fuzz(fuzzed.as_ref(), seed, is_over);
        let millis = (elapsed() / 1_000_000).max(1);
        let rate = grouped(report.executions.saturating_mul(1_000) / millis);
        let (name, executions, kept) = (fuzzed.name(), grouped(report.executions), report.kept);
        println!(
            "fuzz {name}: {executions} executions, {} failures ({rate} a second, {kept} kept)",
            report.found.len()
        );
        for Found { input, what } in &report.found {
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("fuzz {name}: seed {seed}: {what}\n  input {hex}");
            let folder = regressions(name);
            let id = crate::sim::message::hash_key().hash128(&[input]);
            let file = folder.join(format!("{}.bin", tessera_model::FragmentId(id)));
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&file, input))
                .context("keep the input")?;
        }
        failures += report.found.len();
    }
    anyhow::ensure!(
        failures == 0,
        "{failures} inputs break something; each is kept in `crates/tessera-sim/regressions`"
    );
    Ok(())
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
