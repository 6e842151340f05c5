//! `cargo xtask test`: every check and every test, each step announced and timed.
//!
//! Not CI: CI calls it. Invariants: a step that fails does not keep the next from running; a step that was left out
//! says so and why.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use cargo_metadata::{MetadataCommand, TargetKind};
use clap::Args;

use crate::process::{cargo, run as run_program, succeeds, timed};
use crate::setup::{self, Purpose};
use crate::{binaries, codegen, fuzz, process, sim, tidy};

/// The test binaries that drive something whole: the pipeline's scenarios, and the finished product from outside.
const WHOLE: &str = "it";
/// The module of the black-box tests that drives real clients; `--fast` leaves it out.
const CLIENTS: &str = "clients::";

/// Which steps to run.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Leave out real clients, the simulator and the fuzzer.
    #[arg(long)]
    fast: bool,
    /// Run this step alone; may be given more than once.
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// Print the names of the steps.
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    is_slow: bool,
    run: fn(&Arguments) -> Result<Outcome>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

const STEPS: [Step; 12] = [
    Step { name: "setup", is_slow: false, run: set_up },
    Step { name: "fmt", is_slow: false, run: |_| done(&["fmt", "--all", "--check"]) },
    Step { name: "tidy", is_slow: false, run: |_| tidy::run().map(|()| Outcome::Passed) },
    Step { name: "clippy", is_slow: false, run: clippy },
    Step { name: "doc", is_slow: false, run: doc },
    Step { name: "deny", is_slow: false, run: deny },
    Step { name: "unit-tests", is_slow: false, run: unit_tests },
    Step { name: "build", is_slow: false, run: |_| binaries::build().map(|_| Outcome::Passed) },
    Step { name: "codegen", is_slow: false, run: generated },
    Step { name: "it-tests", is_slow: false, run: it_tests },
    Step { name: "sim", is_slow: true, run: simulate },
    Step {
        name: "fuzz",
        is_slow: true,
        run: |_| fuzz::run(&fuzz::Arguments { seconds: 20 }).map(|()| Outcome::Passed),
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        STEPS.iter().for_each(|step| println!("{}", step.name));
        return Ok(());
    }
    if let Some(unknown) = arguments.steps.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("there is no step `{unknown}`; `cargo xtask test --list` names them");
    }
    let mut results = Vec::new();
    for step in &STEPS {
        if !arguments.steps.is_empty() && !arguments.steps.iter().any(|name| name == step.name) {
            continue;
        }
        println!("\n==> {}", step.name);
        let (outcome, elapsed) = timed(|| take(step, arguments));
        println!("<== {}: {} ({})", step.name, words(&outcome), seconds(elapsed));
        results.push((step.name, outcome, elapsed));
    }
    println!("\n{}", summary(&results));
    if results.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_))) {
        bail!("not every step passed");
    }
    Ok(())
}

fn take(step: &Step, arguments: &Arguments) -> Outcome {
    if arguments.fast && step.is_slow {
        return Outcome::Skipped("left out by --fast");
    }
    match (step.run)(arguments) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn done(arguments: &[&str]) -> Result<Outcome> {
    run_program(&mut cargo(arguments))?;
    Ok(Outcome::Passed)
}

fn set_up(arguments: &Arguments) -> Result<Outcome> {
    setup::ready(if arguments.fast { Purpose::Fast } else { Purpose::Test })?;
    Ok(Outcome::Passed)
}

fn clippy(_: &Arguments) -> Result<Outcome> {
    // Not `RUSTFLAGS`: changed flags would compile every library again.
    done(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn doc(_: &Arguments) -> Result<Outcome> {
    run_program(cargo(&["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

fn deny(_: &Arguments) -> Result<Outcome> {
    if !succeeds("cargo", &["deny", "--version"]) {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed; tidy checked licences and doubles from deny.toml",
        ));
    }
    done(&["deny", "check", "bans", "licenses", "sources"])
}

/// Everything but the tests of something whole. The whole workspace is always selected, so that libraries are built with one
/// set of features and once.
fn unit_tests(_: &Arguments) -> Result<Outcome> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
    for name in test_binaries()? {
        command.args(["--test", &name]);
    }
    run_program(&mut command)?;
    Ok(Outcome::Passed)
}

fn test_binaries() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new().current_dir(process::root()).no_deps().exec()?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    Ok(targets
        .filter(|target| target.kind.contains(&TargetKind::Test) && target.name != WHOLE)
        .map(|target| target.name)
        .collect())
}

fn generated(_: &Arguments) -> Result<Outcome> {
    codegen::run(&codegen::Arguments { check: true, pages: Vec::new(), tessera: Some(built_tessera()?) })?;
    Ok(Outcome::Passed)
}

fn it_tests(arguments: &Arguments) -> Result<Outcome> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--test", WHOLE]);
    if arguments.fast {
        command.args(["--", "--skip", CLIENTS]);
    }
    run_program(command.env("TESSERA_BIN", built_tessera()?))?;
    Ok(Outcome::Passed)
}

/// The binary of the step `build`; built now if that step was not run.
fn built_tessera() -> Result<PathBuf> {
    Ok(binaries::build()?.tessera)
}

fn simulate(_: &Arguments) -> Result<Outcome> {
    sim::run(&sim::Arguments { seeds: 20, seed: None })?;
    Ok(Outcome::Passed)
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Failed(why) => format!("FAILED: {why}"),
        Outcome::Skipped(why) => format!("skipped: {why}"),
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

fn summary(results: &[(&str, Outcome, Duration)]) -> String {
    let mut text = String::from("step        took       result\n");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, outcome, elapsed) in results {
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
        text.push_str(&format!("{name:<11} {:>9}  {}\n", seconds(*elapsed), words(outcome)));
    }
    text.push_str(&format!("{passed} passed, {failed} failed"));
    if skipped > 0 {
        text.push_str(&format!(", {skipped} skipped"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_passed_failed_and_was_left_out() {
        let took = Duration::from_millis(1500);
        let results = [
            ("fmt", Outcome::Passed, took),
            ("tidy", Outcome::Failed("2 findings".to_owned()), took),
            ("deny", Outcome::Skipped("cargo-deny is not installed"), took),
        ];
        let summary = summary(&results);
        assert!(summary.contains("tidy            1.5 s  FAILED: 2 findings\n"), "{summary}");
        assert!(summary.ends_with("\n1 passed, 1 failed, 1 skipped"), "{summary}");
    }

    #[test]
    fn a_step_that_fails_is_told_with_its_reason() {
        let step = Step { name: "x", is_slow: true, run: |_| bail!("the reason") };
        let mut arguments = Arguments { fast: false, steps: Vec::new(), list: false };
        assert_eq!(take(&step, &arguments), Outcome::Failed("the reason".to_owned()));
        arguments.fast = true;
        assert_eq!(take(&step, &arguments), Outcome::Skipped("left out by --fast"));
    }
}
