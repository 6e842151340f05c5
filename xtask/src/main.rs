//! Chores of the workspace, each one command: `cargo xtask --help` lists them.
//!
//! Not part of the product: nothing here is shipped. Invariant: CI does nothing that a person cannot do with one
//! of these commands.

#![expect(clippy::print_stdout, reason = "a command line talks to the person who ran it")]

mod bench;
mod binaries;
mod codegen;
mod demo;
mod fuzz;
mod oracle;
mod process;
mod setup;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the Tessera workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Make this machine ready: says what is missing, then installs it.
    Setup(setup::Arguments),
    /// Build Tessera, fill it with a shop's year and serve it.
    Demo(demo::Arguments),
    /// Run every check and every test, set-up included.
    Test(test::Arguments),
    /// Check the rules of the house that no compiler checks.
    Tidy,
    /// Write the generated pages of docs/reference, or check that they are fresh.
    Codegen(codegen::Arguments),
    /// Measure.
    Bench(bench::Arguments),
    /// Simulate days with crashes, torn writes and full disks, from seeds.
    Sim(sim::Arguments),
    /// Hold SQL, stream and oracle against each other on random audiences and histories.
    Oracle(oracle::Arguments),
    /// Feed random bytes to the parsers and to the recovery of the log.
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Setup(arguments) => setup::run(&arguments),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Tidy => tidy::run(),
        Chore::Codegen(arguments) => codegen::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Sim(arguments) => sim::run(&arguments),
        Chore::Oracle(arguments) => oracle::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
