//! DuckDB, in an environment of its own under `target`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::process::output;

const PACKAGES: [&str; 1] = ["duckdb==2.0.0"];

/// Installs DuckDB unless it is there. Returns the Python that has it.
pub(super) fn with_duckdb(work: &Path) -> Result<PathBuf> {
    let work = work.canonicalize()?;
    let python = work.join("venv/bin/python");
    let stamp = work.join("venv/packages");
    if std::fs::read_to_string(&stamp).ok() != Some(PACKAGES.join("\n")) {
        output(Command::new("python3").args(["-m", "venv"]).arg(work.join("venv")))?;
        output(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(stamp, PACKAGES.join("\n"))?;
    }
    Ok(python)
}
