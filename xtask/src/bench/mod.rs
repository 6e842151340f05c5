//! `cargo xtask bench`: what Tessera reaches on this machine.

use anyhow::{Result, bail};
use clap::Args;

/// What to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The bench and its options, `ingest --json` say.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    bail!("there is no bench `{}` in this version", arguments.bench.join(" "))
}
