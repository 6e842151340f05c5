//! `cargo xtask demo`: from a fresh clone to a filled, serving Tessera.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::setup::{self, Purpose};
use crate::{binaries, process};

/// What `tessera demo` is given.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the demo keeps its data.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The seed of the shop's year: equal seeds give equal years.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// The port to serve on.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Anything else for `tessera demo`, after `--`.
    #[arg(last = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::ready(Purpose::Demo)?;
    println!("\nBuilding Tessera. The first time this takes some minutes.");
    process::run(&mut process::cargo(&["build", "--profile", "demo", "--package", "tessera"]))?;
    let mut tessera = process::program(binaries::target_folder()?.join("demo/tessera"));
    tessera.arg("demo");
    if let Some(folder) = &arguments.data_dir {
        tessera.arg("--data-dir").arg(std::path::absolute(folder)?);
    }
    if let Some(seed) = arguments.seed {
        tessera.args(["--seed", &seed.to_string()]);
    }
    if let Some(port) = arguments.port {
        tessera.args(["--port", &port.to_string()]);
    }
    tessera.args(&arguments.rest);
    // The demo takes this process's place, so Ctrl-C reaches it alone and its exit code is ours.
    Err(anyhow!(tessera.exec()).context("cannot start the binary that was just built"))
}
