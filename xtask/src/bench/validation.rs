//! How fast and how well contact data is read: the figures of `tessera-contact`'s own bench.

use anyhow::Result;
use clap::Args;

use super::figures::Figures;
use crate::process;

/// How to print.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One JSON line per figure.
    #[arg(long)]
    json: bool,
}

/// The figures of contact data alone.
pub(super) fn run_alone(arguments: &Arguments) -> Result<()> {
    run(&mut Figures::new(arguments.json))
}

/// Builds the bench in release mode, and takes over what it prints. The cases of isemail are counted by a test,
/// `isemail_errors_are_refused_and_what_it_calls_valid_is_accepted`, which fails unless all 66 and all 14 are right.
pub(super) fn run(figures: &mut Figures) -> Result<()> {
    figures.say("contact data, one core:");
    let bench = ["run", "--release", "--quiet", "-p", "tessera-contact", "--example", "validation"];
    let printed = process::output(&mut process::cargo(&bench))?;
    figures.take(&printed)?;
    let test = "isemail_errors_are_refused_and_what_it_calls_valid_is_accepted";
    process::output(&mut process::cargo(&["test", "--quiet", "-p", "tessera-contact", "--lib", test]))?;
    figures.add("isemail_err_refused", 66.0, "of 66");
    figures.add("isemail_valid_accepted", 14.0, "of 14");
    Ok(())
}
