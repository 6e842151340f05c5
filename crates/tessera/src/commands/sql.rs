//! `tessera sql`: a question over everybody, for one purpose.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use tessera_lake::Format;

use super::client;
use super::progress::bar;
use crate::cli::Global;
use crate::output::{self, Failure};

/// `tessera sql`.
#[derive(Debug, Args)]
pub(crate) struct Sql {
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE over `events`, `profiles`, `traits`, `identities`, `consents`, `audiences`,
    /// `rejects`; `-`: read from standard input.
    query: String,
    /// What the answer is for: what this purpose may not use is absent or null.
    #[arg(long)]
    purpose: String,
    /// The form of the answer. A table, unless the file's name says otherwise; JSON with --json.
    #[arg(long, value_parser = formats())]
    format: Option<Format>,
    /// Write the answer to this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .try_map(|name| Format::named(&name).ok_or("it is no format"))
}

impl Sql {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let usual = if global.json { Format::Json } else { Format::Table };
        let named = |file: &Path| Format::named(file.extension()?.to_str()?);
        let form = self.format.or_else(|| named(self.output.as_deref()?)).unwrap_or(usual);
        if !form.is_text() && self.output.is_none() && std::io::stdout().is_terminal() {
            let what = "Arrow and Parquet are no text";
            return Err(Failure::new("TES-Q008", what, "name a file with --output, or a pipe").into());
        }
        let body = json!({"sql": self.sql()?, "purpose": self.purpose});
        let waiting = bar("{spinner} asking, {elapsed}")?;
        waiting.enable_steady_tick(Duration::from_millis(120));
        let mut answer = Vec::new();
        let asked = client(global)?.post_download("/api/v1/query", &body, form.media_type(), &mut answer);
        waiting.finish_and_clear();
        asked?;
        match &self.output {
            None => write_out(&answer),
            Some(file) => {
                std::fs::write(file, &answer).with_context(|| {
                    let what = format!("cannot write `{}`", file.display());
                    let hint = "check that the folder exists and that this account may write to it";
                    Failure::new("TES-E005", what, hint)
                })?;
                output::note(format_args!("written: {}", file.display()));
                Ok(())
            }
        }
    }

    fn sql(&self) -> anyhow::Result<String> {
        if self.query != "-" {
            return Ok(self.query.clone());
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the query from standard input")?;
        Ok(text)
    }
}

fn write_out(answer: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let newline: &[u8] = if answer.ends_with(b"]") { b"\n" } else { b"" };
    match out.write_all(answer).and_then(|()| out.write_all(newline)).and_then(|()| out.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}
