//! `cargo xtask sim`: the seeded simulator.

use anyhow::Result;
use clap::Args;

use crate::{binaries, process};

/// Which days to simulate.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many seeds to run.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) seeds: u32,
    /// Run this seed alone: a failure prints its seed.
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut simulator = process::program(binaries::build()?.sim);
    simulator.arg("sim");
    match arguments.seed {
        Some(seed) => simulator.args(["--seed", &seed.to_string()]),
        None => simulator.args(["--seeds", &arguments.seeds.to_string()]),
    };
    process::run(&mut simulator)
}
