//! `tessera match explain`: two records or two profiles, comparison by comparison.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};
use tessera_match::explain;

use super::files::Records;
use super::{Explain, failed, waterfall};
use crate::cli::Global;
use crate::client::encode;
use crate::commands::{client, list as members, print_json, text};
use crate::output::{self, Failure};

pub(super) fn run(global: &Global, explain: &Explain) -> anyhow::Result<()> {
    let [files @ .., a, b] = explain.what.as_slice() else {
        // The command line asks for two at least.
        return Ok(());
    };
    let answer = if files.is_empty() {
        of_profiles(global, explain.matcher.as_deref(), (a, b))?
    } else {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        of_records(global, explain, &files, (a, b))?
    };
    if let Some(path) = &explain.html {
        std::fs::write(path, waterfall::page(&answer)).with_context(|| {
            let what = format!("cannot write `{}`", path.display());
            Failure::new("TES-X024", what, "check that the folder exists and has room")
        })?;
    }
    if global.json {
        return print_json(&answer);
    }
    waterfall::lines(&answer).into_iter().for_each(output::line);
    Ok(())
}

/// The server compares, and says what the account may see.
fn of_profiles(global: &Global, matcher: Option<&str>, (a, b): (&str, &str)) -> anyhow::Result<Value> {
    let matcher = meant(global, matcher)?;
    client(global)?.get(&format!(
        "/api/v1/match/{}/explain?a={}&b={}",
        encode(&matcher),
        encode(a),
        encode(b)
    ))
}

/// The matcher that is named, or the only one.
pub(super) fn meant(global: &Global, matcher: Option<&str>) -> anyhow::Result<String> {
    if let Some(matcher) = matcher {
        return Ok(matcher.to_owned());
    }
    let answer = client(global)?.get("/api/v1/match")?;
    match members(&answer, "matchers") {
        [one] => Ok(text(one, "name").to_owned()),
        several => {
            let what = format!("the workspace has {} matchers", several.len());
            let hint = "name one with --matcher: `tessera match list` shows them";
            Err(Failure::new("TES-X025", what, hint).into())
        }
    }
}

fn of_records(
    global: &Global,
    flags: &Explain,
    files: &[PathBuf],
    (a, b): (&str, &str),
) -> anyhow::Result<Value> {
    let records: Records = flags.columns.read(files, None, global.json)?;
    let (a, b) = (records.find(a)?, records.find(b)?);
    let model = flags.how.load(&flags.columns, &records.table)?.trained(&records.table)?;

    let explained = explain(&records.table, &model, a, b).map_err(failed)?;
    let value = |column: &tessera_match::Column, row: usize| column.value(row).map(ToOwned::to_owned);
    let values: Vec<Value> = records
        .table
        .columns()
        .iter()
        .map(|column| {
            json!({ "column": column.name(), "field": column.name(), "a": value(column, a), "b": value(column, b) })
        })
        .collect();
    let thresholds = model.spec().thresholds;
    Ok(json!({
        "profiles": [records.name(a), records.name(b)],
        "probability": explained.probability,
        "link": thresholds.link,
        "review": thresholds.review,
        "values": values,
        "waterfall": explained,
    }))
}
