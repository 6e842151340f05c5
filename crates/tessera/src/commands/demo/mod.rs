//! `tessera demo`: a shop's year, made from a seed, sent through the real API, and measured against the truth.

use std::net::SocketAddr;

use clap::Args;

use crate::cli::Global;
use crate::output;

/// `tessera demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The same seed makes the same year.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many people shop there.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) people: u32,
    /// Address and port to serve; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Stop when all is measured.
    #[arg(long)]
    pub(crate) no_serve: bool,
}

impl Demo {
    /// Makes the year, loads, measures, serves.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        output::line(format_args!("{self:?} in {}", global.data_dir.display()));
        Ok(())
    }
}
