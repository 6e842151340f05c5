//! The `tessera` binary: command line, settings, wiring. The only place that names an implementation of a seam.

mod cli;
mod client;
mod commands;
mod data_dir;
mod filling;
mod governance;
mod lake;
mod matching;
mod output;
mod retention;
mod serve;
mod settings;
mod yaml;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
