//! `tessera quality`: how good the data is, what to do about it, and how it changes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;

use super::evidence::query;
use super::progress::walked;
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::output::{self, Failure, count};

/// `tessera quality`.
#[derive(Debug, Subcommand)]
pub(crate) enum Quality {
    /// Look at everybody's data now: how complete, valid, unique, timely and consistent it is, and what to do.
    Report {
        /// This source alone.
        #[arg(long)]
        source: Option<String>,
        /// Write a page with pictures that stands alone to this file.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Show the audits that were kept, oldest first.
    Trend {
        /// The last so many.
        #[arg(long, default_value_t = 30)]
        limit: usize,
    },
    /// Look at everybody's data now and keep the scores; the server does so by itself every `quality.audit_every_hours`.
    Audit,
}

impl Quality {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Report { source, html } => report(global, source.as_deref(), html.as_deref()),
            Self::Trend { limit } => trend(global, *limit),
            Self::Audit => audit(global),
        }
    }
}

fn report(global: &Global, source: Option<&str>, html: Option<&Path>) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    pairs.extend(source.map(|source| ("source", source.to_owned())));
    pairs.extend(html.map(|_| ("format", "html".to_owned())));
    let answer = walked(|each| client(global)?.stream(&format!("/api/v1/quality{}", query(&pairs)), each))?;
    if let Some(file) = html {
        std::fs::write(file, text(&answer, "html")).with_context(|| {
            let what = format!("cannot write `{}`", file.display());
            Failure::new(
                "TES-E005",
                what,
                "check that the folder exists and that this account may write to it",
            )
        })?;
        output::line(format_args!("written: {}", file.display()));
        return Ok(());
    }
    if global.json {
        return print_json(&answer);
    }
    print(&answer);
    Ok(())
}

fn print(report: &Value) {
    output::line(format_args!(
        "{} people, score {}",
        count(number(report, "people")),
        score(report.get("score"))
    ));
    let mut rows = vec![DIMENSIONS.map(str::to_owned).to_vec()];
    for source in list(report, "sources") {
        rows.push(row(text(source, "source"), number(source, "records"), source));
        for field in list(source, "fields") {
            rows.push(row(&format!("  {}", text(field, "path")), number(field, "filled"), field));
        }
    }
    output::line("");
    table(&rows);
    output::line("");
    for one in list(report, "findings") {
        let place: Vec<&str> =
            [text(one, "source"), text(one, "field")].into_iter().filter(|part| !part.is_empty()).collect();
        let of = match number(one, "of") {
            of if of > number(one, "count") => format!(" of {}", count(of)),
            _ => String::new(),
        };
        let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(" ")) };
        let (severity, many, what) = (text(one, "severity"), count(number(one, "count")), text(one, "what"));
        output::line(format_args!("{severity:6}  {place}{many}{of} {what}"));
        match text(one, "command") {
            "" => output::line(format_args!("        {}", text(one, "advice"))),
            command => output::line(format_args!("        {}: `{command}`", text(one, "advice"))),
        }
    }
    if list(report, "findings").is_empty() {
        output::line("nothing was found");
    }
}

const DIMENSIONS: [&str; 8] = ["", "count", "score", "complete", "valid", "unique", "timely", "consistent"];

fn row(name: &str, many: u64, of: &Value) -> Vec<String> {
    let share = |dimension: &str| match of.get(dimension).and_then(Value::as_f64) {
        Some(share) => format!("{:.1} %", share * 100.0),
        None => "-".to_owned(),
    };
    let mut cells = vec![name.to_owned(), count(many), score(of.get("score"))];
    cells.extend(["completeness", "validity", "uniqueness", "timeliness", "consistency"].map(share));
    cells
}

fn score(value: Option<&Value>) -> String {
    value.and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"))
}

/// Columns as wide as their widest cell; all but the first to the right.
fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        output::line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn trend(global: &Global, limit: usize) -> anyhow::Result<()> {
    let answer = client(global)?.get(&format!("/api/v1/quality/trend?limit={limit}"))?;
    if global.json {
        return print_json(&answer);
    }
    let mut rows =
        vec![["audit", "people", "score", "too many", "high", "medium", "low"].map(str::to_owned).to_vec()];
    for audit in list(&answer, "audits") {
        let mut cells = vec![
            text(audit, "at").to_owned(),
            count(number(audit, "people")),
            score(audit.get("score")),
            count(number(audit, "surplus")),
        ];
        let findings = list(audit, "findings").iter();
        cells.extend(findings.map(|many| count(many.as_u64().unwrap_or_default())));
        rows.push(cells);
    }
    if rows.len() == 1 {
        output::line("no audit was kept yet: `tessera quality audit` keeps one");
        return Ok(());
    }
    table(&rows);
    Ok(())
}

fn audit(global: &Global) -> anyhow::Result<()> {
    let answer = client(global)?.post("/api/v1/quality/audits", &Value::Null)?;
    if global.json {
        return print_json(&answer);
    }
    let audit = answer.get("audit").cloned().unwrap_or_default();
    output::line(format_args!(
        "kept: {} people, score {}",
        count(number(&audit, "people")),
        score(audit.get("score"))
    ));
    for fall in list(&answer, "falls") {
        let source = fall.get("source").and_then(Value::as_str).unwrap_or("all sources");
        output::line(format_args!(
            "fell: {source} from {} to {}",
            score(fall.get("before")),
            score(fall.get("after"))
        ));
    }
    Ok(())
}
