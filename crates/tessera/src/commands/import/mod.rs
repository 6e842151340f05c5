//! `tessera import`: rows of a file become events of a source.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Global;
use crate::output::Failure;

/// `tessera import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file: CSV, JSON Lines or Parquet.
    file: PathBuf,
}

impl Import {
    pub(crate) fn run(&self, _global: &Global) -> anyhow::Result<()> {
        let what = format!("cannot import `{}` yet", self.file.display());
        Err(Failure::new("TES-M001", what, "").into())
    }
}
