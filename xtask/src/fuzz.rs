//! `cargo xtask fuzz`: random bytes for the wire parser, the import and the recovery of the log.

use anyhow::Result;
use clap::Args;

use crate::{binaries, process};

/// How long to try.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many seconds to go on.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) seconds: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut fuzzer = process::program(binaries::build()?.sim);
    fuzzer.args(["fuzz", "--seconds", &arguments.seconds.to_string()]);
    process::run(&mut fuzzer)
}
