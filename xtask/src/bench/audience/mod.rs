//! `cargo xtask bench audience`: how fast audiences and questions over the lake are, beside DuckDB in the same session.
//!
//! A part is a file of this folder with a function `measure`, and a line of [`PARTS`].

mod backfill;
mod differential;
mod python;
mod queries;
mod sql;
mod stream;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::figures::Figures;
use super::ingest::machine;
use crate::process;

/// How much to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One line of JSON per figure.
    #[arg(long)]
    json: bool,
    /// Parts to measure; all, unless some are named.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<String>,
    /// Events in the lake that questions are asked of.
    #[arg(long, default_value_t = 3_000_000)]
    events: u64,
    /// Events in the lake that an audience is answered of for everybody.
    #[arg(long, default_value_t = 100_000_000)]
    backfill_events: u64,
    /// Profiles of the spine's load.
    #[arg(long, default_value_t = 1_000_000)]
    profiles: u64,
    /// Seconds of the spine's load.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where lakes and programs for comparison are kept from run to run.
    #[arg(long, default_value = "target/audience")]
    work: PathBuf,
}

/// Measures one part.
type Measure = fn(&Arguments, &mut Figures) -> Result<()>;

/// The parts, in the order in which they are measured.
const PARTS: &[(&str, Measure)] = &[
    ("sql", sql::measure),
    ("backfill", backfill::measure),
    ("stream", stream::measure),
    ("differential", differential::measure),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(part) = arguments.parts.iter().find(|part| PARTS.iter().all(|(name, _)| name != part)) {
        let known: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no part `{part}`: use {}", known.join(", "));
    }
    let mut figures = Figures::new(arguments.json);
    figures.say(&machine());
    std::fs::create_dir_all(&arguments.work)?;
    for (name, measure) in PARTS {
        if arguments.parts.is_empty() || arguments.parts.iter().any(|part| part == name) {
            measure(arguments, &mut figures)?;
        }
    }
    Ok(())
}

/// Builds an example of the lake. With the server, so that both have the same features and the engine is compiled once.
fn example(name: &str) -> Result<PathBuf> {
    let packages = ["-p", "tessera", "-p", "tessera-sim", "-p", "tessera-lake"];
    let build = [&["build", "--release", "--quiet", "--example", name][..], &packages].concat();
    process::output(&mut process::cargo(&build))?;
    let program = process::root().join("target/release/examples").join(name);
    program.canonicalize().context("an example is missing")
}
