//! `tessera lake`: what other engines read.

use clap::Subcommand;
use serde_json::json;

use super::progress::walked;
use super::{client, print_json};
use crate::cli::Global;
use crate::output;

/// `tessera lake`.
#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Take a snapshot of everybody's profiles now, in the place of that of the same day.
    Snapshot,
}

impl Lake {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let Self::Snapshot = self;
        let answer = walked(|each| client(global)?.post_stream("/api/v1/lake/snapshots", &json!({}), each))?;
        if global.json {
            return print_json(&answer);
        }
        let rows = answer.get("rows").and_then(serde_json::Value::as_u64).unwrap_or_default();
        output::line(format_args!(
            "a snapshot of the profiles is in `lake/profiles`: {} rows",
            output::count(rows)
        ));
        Ok(())
    }
}
