//! Ten questions, asked of Tessera and of DuckDB in turn, over the same Parquet files.
//!
//! Tessera answers as it always does: for a purpose, what it knows of permissions from earlier questions checked again for each owner. DuckDB
//! reads the files and asks nobody. Each question is asked once to warm up, then five times; the figure is the median. `sql_ratio_to_duckdb` is
//! the sum of Tessera's medians over the sum of DuckDB's: what somebody who asks the set waits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::queries::QUESTIONS;
use super::{Arguments, example, python};
use crate::bench::figures::Figures;

const RUNS: usize = 5;
const THREADS: usize = 2;

pub(super) fn measure(arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let work = arguments.work.canonicalize()?;
    let python = python::with_duckdb(&work)?;
    let script = work.join("sql.py");
    std::fs::write(&script, include_str!("sql.py"))?;
    let lake = work.join(format!("sql-{}", arguments.events));
    figures.say(&format!(
        "\nten questions over {} events: seconds, median of {RUNS}, asked in turn",
        arguments.events
    ));
    let mut tessera = Program::start(
        Command::new(example("questions")?)
            .arg(&lake)
            .args([arguments.events.to_string(), THREADS.to_string()]),
    )?;
    let mut duckdb = Program::start(
        Command::new(python).arg(script).arg(lake.join("lake/events")).arg(THREADS.to_string()),
    )?;
    let (mut ours, mut theirs) = (0.0, 0.0);
    for question in &QUESTIONS {
        let other = question.duckdb.unwrap_or(question.sql);
        let mut seconds = [Vec::new(), Vec::new()];
        for run in 0..=RUNS {
            let (mine, rows) = tessera.ask(question.sql)?;
            let (its, other_rows) = duckdb.ask(other)?;
            if !is_same(&rows, &other_rows) {
                bail!("`{}` has two answers:\n{rows}\n{other_rows}", question.name);
            }
            if run > 0 {
                seconds[0].push(mine);
                seconds[1].push(its);
            }
        }
        let [mine, its] = seconds.map(median);
        figures.add(&format!("sql_{}_seconds", question.name), mine, "s");
        figures.add(&format!("sql_{}_duckdb_seconds", question.name), its, "s");
        figures.add(&format!("sql_{}_ratio", question.name), mine / its, "ratio");
        ours += mine;
        theirs += its;
    }
    figures.add("sql_seconds", ours, "s");
    figures.add("sql_duckdb_seconds", theirs, "s");
    figures.add("sql_ratio_to_duckdb", ours / theirs, "ratio");
    tessera.end()?;
    duckdb.end()
}

pub(super) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}

/// Whether two answers are one, but for the last digits of sums.
fn is_same(one: &str, other: &str) -> bool {
    let same_cell = |(one, other): (&str, &str)| match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() <= 1e-6 * one.abs().max(1.0),
        _ => one == other,
    };
    let same_line = |(one, other): (&str, &str)| {
        one.split(',').count() == other.split(',').count()
            && one.split(',').zip(other.split(',')).all(same_cell)
    };
    one.lines().count() == other.lines().count() && one.lines().zip(other.lines()).all(same_line)
}

/// A program that answers a line by a line.
pub(super) struct Program {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Program {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().context("no standard input")?;
        let from = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut program = Self { child, to, from };
        program.read()?;
        Ok(program)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            bail!("a program that answers questions has ended");
        }
        serde_json::from_str(&line).with_context(|| format!("it says no JSON: {line}"))
    }

    fn ask(&mut self, sql: &str) -> Result<(f64, String)> {
        let told = self.tell(&json!({ "sql": sql }))?;
        let seconds =
            told.get("seconds").and_then(Value::as_f64).with_context(|| format!("no answer: {told}"))?;
        Ok((seconds, told.get("rows").and_then(Value::as_str).unwrap_or_default().to_owned()))
    }

    /// What it answers to a line.
    pub(super) fn tell(&mut self, line: &Value) -> Result<Value> {
        writeln!(self.to, "{line}")?;
        self.read()
    }

    pub(super) fn end(mut self) -> Result<()> {
        drop(self.to);
        self.child.wait()?;
        Ok(())
    }
}
