//! `cargo xtask oracle`: SQL, stream and oracle held against each other on random definitions and histories.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::process;

/// How many cases.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many pairs of a definition and a person's history.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    cases: u64,
    /// Another seed gives other cases; a difference prints its seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    process::run(&mut command(arguments.cases, arguments.seed))
}

/// The program that compares them.
pub(crate) fn command(cases: u64, seed: u64) -> Command {
    let mut cargo = process::program("cargo");
    cargo.args(["run", "--quiet", "--package", "tessera-lake", "--example", "oracle", "--"]);
    cargo.args([cases.to_string(), seed.to_string()]);
    cargo
}
