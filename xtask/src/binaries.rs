//! Builds the binaries that a newcomer would run, in the profile `demo`: optimised, but built in minutes.
//!
//! Both are always built by one cargo command: built apart, they would ask their libraries for different features
//! and compile these twice.

use std::path::PathBuf;

use anyhow::Result;
use cargo_metadata::MetadataCommand;

use crate::process;

/// Where the binaries are.
pub(crate) struct Binaries {
    /// The product.
    pub(crate) tessera: PathBuf,
    /// The simulator and the fuzzer.
    pub(crate) sim: PathBuf,
}

/// Builds `tessera` and `tessera-sim` and tells where they are.
pub(crate) fn build() -> Result<Binaries> {
    process::run(&mut process::cargo(&[
        "build",
        "--profile",
        "demo",
        "--bins",
        "--package",
        "tessera",
        "--package",
        "tessera-sim",
    ]))?;
    let folder = target_folder()?.join("demo");
    Ok(Binaries { tessera: folder.join("tessera"), sim: folder.join("tessera-sim") })
}

/// The folder that cargo builds into.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().current_dir(process::root()).no_deps().exec()?;
    Ok(metadata.target_directory.into_std_path_buf())
}
