//! `cargo xtask oracle`: SQL, stream and oracle held against each other on random definitions and histories.

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
    let mut cargo = process::program("cargo");
    cargo.args(["run", "--quiet", "--package", "tessera-lake", "--example", "oracle", "--"]);
    cargo.args([arguments.cases.to_string(), arguments.seed.to_string()]);
    process::run(&mut cargo)
}
