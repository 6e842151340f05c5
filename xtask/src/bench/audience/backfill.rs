//! Who is a member of an audience, of everybody: Tessera's batch, and a query written by hand for DuckDB, over the same Parquet files.
//!
//! Tessera asks each owner's permission, DuckDB nobody's. Both read `properties` as the JSON text that it is. Each is asked once to warm
//! up, then three times in turn; the figures are medians, and Tessera's peak of memory with the state of all people in it.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::sql::{Program, median};
use super::{Arguments, python};
use crate::bench::figures::Figures;
use crate::process;

const RUNS: usize = 3;
const THREADS: usize = 2;

/// The lake is asked on 2026-04-02.
const WHEN: &str = "count of \"Order Completed\" in last 30 days >= 2 and sum of total of \"Order Completed\" in last 30 days > 100";

const DUCKDB: &str = "SELECT count(*) FROM (SELECT fragment_id FROM events \
    WHERE type = 'track' AND event = 'Order Completed' \
      AND least(timestamp, received_at) > TIMESTAMPTZ '2026-03-03 00:00:00+00' \
      AND least(timestamp, received_at) <= TIMESTAMPTZ '2026-04-02 00:00:00+00' \
    GROUP BY fragment_id \
    HAVING count(*) >= 2 AND sum(CAST(json_extract_string(properties, '$.total') AS DECIMAL(38, 6))) > 100)";

pub(super) fn measure(arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let work = arguments.work.canonicalize()?;
    let python = python::with_duckdb(&work)?;
    let script = work.join("sql.py");
    std::fs::write(&script, include_str!("sql.py"))?;
    let lake = work.join(format!("sql-{}", arguments.backfill_events));
    figures.say(&format!(
        "\nthe members of one audience, of {} events: seconds, median of {RUNS}, asked in turn",
        arguments.backfill_events
    ));
    // With the server's features, so that the engine is compiled once.
    let packages = ["-p", "tessera", "-p", "tessera-sim", "-p", "tessera-lake", "--example", "questions"];
    process::output(process::cargo(&["build", "--release", "--quiet"]).args(packages))?;
    let program = process::root().join("target/release/examples/questions");
    let events = arguments.backfill_events.to_string();
    let mut tessera = Program::start(Command::new(program).arg(&lake).args([events, THREADS.to_string()]))?;
    let mut duckdb = Program::start(
        Command::new(python).arg(script).arg(lake.join("lake/events")).arg(THREADS.to_string()),
    )?;
    let audience = json!({"audience": {"name": "buyers", "purpose": "analytics", "when": WHEN}});
    let (mut seconds, mut mib) = ([Vec::new(), Vec::new()], 0.0_f64);
    for run in 0..=RUNS {
        let (mine, its) = (tessera.tell(&audience)?, duckdb.tell(&json!({ "sql": DUCKDB }))?);
        if mine.get("rows") != its.get("rows") {
            bail!("the audience has two sizes: {mine} and {its}");
        }
        let number = |told: &Value, name: &str| {
            told.get(name).and_then(Value::as_f64).with_context(|| format!("no `{name}` in {told}"))
        };
        mib = mib.max(number(&mine, "mib")?);
        if run > 0 {
            let [ours, theirs] = &mut seconds;
            ours.push(number(&mine, "seconds")?);
            theirs.push(number(&its, "seconds")?);
        }
    }
    let [mine, its] = seconds.map(median);
    figures.add("backfill_seconds", mine, "s");
    figures.add("backfill_duckdb_seconds", its, "s");
    figures.add("backfill_ratio_to_duckdb", mine / its, "ratio");
    figures.add("backfill_mib", mib, "MiB");
    tessera.end()?;
    duckdb.end()
}
