//! The gates against a naive reading of the law: two programs written apart, asked the same, must agree.
//!
//! Not a proof of the rules themselves, only that Tessera does what they say. Invariant: `model` and `history`
//! name nothing of Tessera; `engine` and `compare` alone know it.

mod cases;
mod compare;
mod engine;
mod history;
mod model;
mod shrink;
mod story;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cases::Case;
use compare::{Disagreement, Tally, broken, compare};
pub use history::Rule;
use serde_json::json;
use shrink::shrink;
use tessera_store::{Clock as _, SystemClock};

use crate::sim::panic_text;

/// Disagreements that are shrunk and told; more are only counted.
const TOLD_MAX: u64 = 5;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Random histories, each of many decisions.
    pub histories: u64,
    /// Decisions that both made.
    pub decisions: u64,
    /// How many of them were yes.
    pub permitted: u64,
    /// Histories in which the two disagree.
    pub disagreements: u64,
    /// The first few of these, shrunk, in words.
    pub stories: Vec<String>,
}

/// Runs the histories of `cases` seeds from `seed` on; `off` are rules that the model ignores, to see that their loss
/// is noticed.
#[must_use]
pub fn examine(cases: u64, seed: u64, off: &[Rule]) -> Report {
    let mut report = Report::default();
    let mut tally = Tally::default();
    for seed in (0..cases).map(|number| seed.wrapping_add(number)) {
        let case = cases::case(seed);
        report.histories += 1;
        match both(&case, off) {
            Ok(asked) => tally.add(asked),
            Err(found) => {
                report.disagreements += 1;
                if report.disagreements <= TOLD_MAX {
                    report.stories.push(format!("seed {seed}\n{}", tell(case, found, off)));
                }
            }
        }
    }
    (report.decisions, report.permitted) = (tally.decisions, tally.permitted);
    report
}

/// A panic is a disagreement too.
fn both(case: &Case, off: &[Rule]) -> Result<Tally, Disagreement> {
    catch_unwind(AssertUnwindSafe(|| compare(case, off)))
        .unwrap_or_else(|panic| Err(broken(format!("panic: {}", panic_text(panic.as_ref())))))
}

/// The shortest history that still shows a disagreement of that kind, and what it is.
fn tell(case: Case, found: Disagreement, off: &[Rule]) -> String {
    let is_reason_only = found.is_reason_only;
    let fails = |case: &Case| both(case, off).err().filter(|found| found.is_reason_only == is_reason_only);
    let (case, found) = shrink(case, found, fails);
    format!("{case}{found}")
}

/// Runs histories, and prints the sums and what was found.
///
/// # Errors
/// When the two disagree.
#[expect(clippy::print_stdout, reason = "what was found is what this command is for")]
pub fn run(cases: u64, seed: u64, off: &[Rule], is_json: bool) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let report = examine(cases, seed, off);
    let millis = clock.monotonic_nanos() / 1_000_000;
    let per_second = report.decisions.saturating_mul(1000) / millis.max(1);
    if is_json {
        let figures = json!({
            "policy_histories": report.histories,
            "policy_cases": report.decisions,
            "policy_permitted": report.permitted,
            "policy_disagreements": report.disagreements,
            "policy_cases_per_s": per_second,
            "stories": report.stories,
        });
        println!("{figures}");
    } else {
        report.stories.iter().for_each(|story| println!("law: {story}"));
        println!(
            "law: {} histories, {} decisions ({} yes), {} disagreements, {per_second} decisions/s",
            report.histories, report.decisions, report.permitted, report.disagreements
        );
    }
    anyhow::ensure!(report.disagreements == 0, "{} disagreements", report.disagreements);
    Ok(())
}
