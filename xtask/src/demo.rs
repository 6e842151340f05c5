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
    #[arg(long, value_name = "FOLDER", default_value = "demo")]
    data_dir: PathBuf,
    /// The seed of the shop's year: equal seeds give equal years.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// The port of this machine to serve on.
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
    // From where the command was called, not from the folder of the workspace.
    tessera.arg("demo").arg("--data-dir").arg(std::path::absolute(&arguments.data_dir)?);
    if let Some(seed) = arguments.seed {
        tessera.args(["--seed", &seed.to_string()]);
    }
    if let Some(port) = arguments.port {
        tessera.args(["--listen", &format!("127.0.0.1:{port}")]);
    }
    tessera.args(&arguments.rest);
    // The demo takes this process's place, so Ctrl-C reaches it alone and its exit code is ours.
    Err(anyhow!(tessera.exec()).context("cannot start the binary that was just built"))
}
