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

/// Cases of each import property for a second of fuzzing: they take about as long.
const IMPORT_CASES_PER_SECOND: u64 = 2_000;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut fuzzer = process::program(binaries::build()?.sim);
    fuzzer.args(["fuzz", "--seconds", &arguments.seconds.to_string()]);
    process::run(&mut fuzzer)?;
    // The import's readers are in the binary crate, which nothing may depend on: its property tests over any bytes go on
    // for so many cases instead.
    let cases = u64::from(arguments.seconds) * IMPORT_CASES_PER_SECOND;
    let mut import =
        process::cargo(&["test", "--quiet", "-p", "tessera", "--bin", "tessera", "rows::tests::any"]);
    process::run(import.env("PROPTEST_CASES", cases.to_string()))
}
