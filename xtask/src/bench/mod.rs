//! `cargo xtask bench`: what Tessera reaches on this machine.
//!
//! Each bench prints a table for people or, with `--json`, one line per figure:
//! `{"figure": NAME, "value": NUMBER, "unit": UNIT}`. Figures are stated with the machine and the load; ratios are
//! against a bare loop run in the same session.

mod audience;
mod figures;
mod governance;
mod ingest;
mod matching;
mod server;
mod validation;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Events in: throughput, latency, memory, disk, crashes.
    Ingest(ingest::Arguments),
    /// What the gate, the evidence and erasure cost, and whether the gate keeps the law.
    Governance(governance::Arguments),
    /// How fast and how well contact data is read.
    Validation(validation::Arguments),
    /// How well and how fast records of one person are found, beside Splink.
    Match(matching::Arguments),
    /// How fast audiences and questions over the lake are.
    Audience(audience::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.bench {
        Bench::Ingest(arguments) => ingest::run(arguments),
        Bench::Governance(arguments) => governance::run(arguments),
        Bench::Validation(arguments) => validation::run_alone(arguments),
        Bench::Match(arguments) => matching::run(arguments),
        Bench::Audience(arguments) => audience::run(arguments),
    }
}
