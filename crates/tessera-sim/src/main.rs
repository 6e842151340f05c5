//! `tessera-sim`: what `cargo xtask bench` and `cargo xtask sim` run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tessera_sim::fuzz::{self, Target};
use tessera_sim::law::{self, Rule};
use tessera_sim::load::{bare, crash, ingest, latency};
use tessera_sim::sim::{self, Bug, Seeds};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "tessera-sim", about = "Load, crashes and simulated days for Tessera")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make sure that a server holds so many profiles.
    Fill {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        profiles: u64,
        /// Each says yes to the ten purposes of the governance bench.
        #[arg(long)]
        consenting: bool,
    },
    /// Batches as fast as they are acknowledged; prints events/s until the last is folded.
    Ingest {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        profiles: u64,
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[arg(long, default_value_t = 16)]
        connections: u64,
        /// Events a second at most; 0: as many as are answered.
        #[arg(long, default_value_t = 0)]
        rate: u64,
    },
    /// Single events at a steady rate; prints latencies.
    Latency {
        #[command(flatten)]
        server: Server,
        #[arg(long)]
        profiles: u64,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        #[arg(long, default_value_t = 2000)]
        rate: u64,
    },
    /// Kill -9 under load, again and again; prints what was lost and what was counted twice.
    Crash {
        #[arg(long)]
        bin: PathBuf,
        #[arg(long)]
        data_dir: PathBuf,
        #[arg(long, default_value_t = 50)]
        rounds: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Simulated days with crashes, against an oracle; prints the seed and step of each broken promise.
    Sim {
        /// Run the seeds from 1 to this one, and a crash at every step of a short day.
        #[arg(long, value_name = "N", default_value_t = 20)]
        seeds: u64,
        /// Run this seed alone.
        #[arg(long, conflicts_with = "seeds")]
        seed: Option<u64>,
        /// Switch on a deliberate bug, to see it found.
        #[arg(long)]
        bug: Option<Bug>,
    },
    /// Random histories of purposes and people, judged by Tessera and by a naive reading of the law's rules; prints
    /// each disagreement as a small story.
    Law {
        /// How many histories, each of many decisions.
        #[arg(long, value_name = "N", default_value_t = 3000)]
        cases: u64,
        /// The first of their seeds.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A rule that the naive reading is to ignore, to see its loss noticed.
        #[arg(long)]
        off: Vec<Rule>,
        /// Print figures as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Changed inputs for whatever reads bytes that somebody else wrote; keeps each that breaks something.
    Fuzz {
        /// How long, for all targets together.
        #[arg(long, value_name = "N", default_value_t = 20)]
        seconds: u64,
        /// Where the sequence of inputs begins.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// This target alone.
        #[arg(long)]
        target: Option<Target>,
    },
    /// The floor: a bare loop that only parses and appends the same bytes.
    Bare {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

/// Which server, and with which keys.
#[derive(Debug, clap::Args)]
struct Server {
    /// `127.0.0.1:8080`.
    #[arg(long)]
    address: String,
    #[arg(long)]
    write_key: String,
    #[arg(long)]
    token: String,
}

impl From<Server> for tessera_sim::load::Target {
    fn from(server: Server) -> Self {
        Self { address: server.address, write_key: server.write_key, token: server.token }
    }
}

#[expect(clippy::print_stderr, reason = "a command line tool tells why it failed")]
fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Fill { server, profiles, consenting } => ingest::fill(&server.into(), profiles, consenting),
        Command::Ingest { server, profiles, seconds, connections, rate } => {
            ingest::run(&server.into(), profiles, seconds, connections, rate)
        }
        Command::Latency { server, profiles, seconds, rate } => {
            latency::run(&server.into(), profiles, seconds, rate)
        }
        Command::Crash { bin, data_dir, rounds, seed } => crash::run(&bin, &data_dir, rounds, seed),
        Command::Sim { seeds, seed, bug } => sim::run(seed.map_or(Seeds::UpTo(seeds), Seeds::One), bug),
        Command::Fuzz { seconds, seed, target } => fuzz::run(seconds, seed, target),
        Command::Law { cases, seed, off, json } => law::run(cases, seed, &off, json),
        Command::Bare { folder, seconds } => bare::run(&folder, seconds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
