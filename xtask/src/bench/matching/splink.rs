//! Splink, in an environment of its own under `target`, and the data that both are given.
//!
//! Invariant: who is compared gets the same file; the sets and how Splink is told to read them are those of the
//! yardstick's script, which is not ours to improve.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process::output;

const PACKAGES: [&str; 6] =
    ["splink==5.0.0", "duckdb==2.0.0", "pyarrow==26.0.1", "pandas==3.1.1", "numpy==2.4.6", "names==0.3.0"];

/// A set of records with the truth in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    /// As its figures are called.
    pub(super) name: &'static str,
    /// As the yardstick's script calls it.
    splink: &'static str,
    /// The column that names each record.
    pub(super) id: &'static str,
    /// Whether two files are linked, rather than one rid of duplicates.
    pub(super) is_link: bool,
}

/// The sets, the small ones first.
pub(super) const SETS: [Set; 6] = [
    Set { name: "febrl3", splink: "febrl3", id: "rec_id", is_link: false },
    Set { name: "febrl4", splink: "febrl4", id: "rec_id", is_link: true },
    Set { name: "fake_1000", splink: "fake1000", id: "unique_id", is_link: false },
    Set { name: "historical", splink: "hist_strong", id: "unique_id", is_link: false },
    Set { name: "people_100k", splink: "people", id: "unique_id", is_link: false },
    Set { name: "people_1m", splink: "people", id: "unique_id", is_link: false },
];

/// What a program took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) seconds: f64,
    pub(super) mib: f64,
    pub(super) stdout: String,
}

/// The data folder, and Python with Splink.
pub(super) struct Yard {
    data: PathBuf,
    work: PathBuf,
    python: PathBuf,
}

impl Yard {
    /// Installs Splink unless it is there. `None`: the data folder is not there.
    pub(super) fn open(data: &Path, work: &Path) -> Result<Option<Self>> {
        if !data.join("scripts/splink_baseline.py").is_file() {
            return Ok(None);
        }
        std::fs::create_dir_all(work)?;
        let work = work.canonicalize()?;
        let python = work.join("venv/bin/python");
        let stamp = work.join("venv/packages");
        if std::fs::read_to_string(&stamp).ok() != Some(PACKAGES.join("\n")) {
            output(Command::new("python3").args(["-m", "venv"]).arg(work.join("venv")))?;
            output(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
            std::fs::write(stamp, PACKAGES.join("\n"))?;
        }
        for (name, text) in
            [("measure.py", include_str!("measure.py")), ("febrl.py", include_str!("febrl.py"))]
        {
            std::fs::write(work.join(name), text)?;
        }
        Ok(Some(Self { data: data.canonicalize()?, work, python }))
    }

    /// Where results may be written.
    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// The files of a set, made where the folder does not have them as they are.
    pub(super) fn files(&self, set: Set) -> Result<Vec<PathBuf>> {
        let febrl = |name: &str| {
            let made = self.work.join(format!("{name}.csv"));
            if !made.exists() {
                let script = self.work.join("febrl.py");
                let packed = self.data.join(format!("er/febrl_{name}.csv.gz"));
                output(Command::new(&self.python).arg(script).arg(packed).arg(&made))?;
            }
            anyhow::Ok(made)
        };
        Ok(match set.name {
            "febrl3" => vec![febrl("dataset3")?],
            "febrl4" => vec![febrl("dataset4a")?, febrl("dataset4b")?],
            "fake_1000" => vec![self.data.join("er/fake_1000.csv")],
            "historical" => vec![self.data.join("er/historical_figures_with_errors_50k.parquet")],
            "people_100k" => vec![self.people(100_000, 42)?],
            _ => vec![self.people(1_000_000, 42)?],
        })
    }

    /// Made-up people with the errors that people make; equal numbers give equal files.
    pub(super) fn people(&self, rows: u64, seed: u64) -> Result<PathBuf> {
        let file = self.work.join(format!("people_{rows}_{seed}.parquet"));
        if !file.exists() {
            let unfinished = self.work.join("unfinished.parquet");
            let script = self.data.join("scripts/gen_people.py");
            output(
                Command::new(&self.python)
                    .arg(script)
                    .args([rows.to_string(), seed.to_string()])
                    .arg(&unfinished),
            )?;
            std::fs::rename(unfinished, &file)?;
        }
        Ok(file)
    }

    /// Runs a program and tells what it took.
    pub(super) fn measured(&self, program: &Path, arguments: &[String]) -> Result<Taken> {
        let out = self.work.join("taken.json");
        let stdout = output(
            Command::new(&self.python)
                .arg(self.work.join("measure.py"))
                .arg(&out)
                .arg(program)
                .args(arguments)
                .current_dir(&self.work),
        )?;
        let taken: Value = serde_json::from_str(&std::fs::read_to_string(out)?)?;
        let number =
            |name: &str| taken.get(name).and_then(Value::as_f64).context("a measurement has no number");
        Ok(Taken { seconds: number("seconds")?, mib: number("mib")?, stdout })
    }

    /// Runs Splink on a set; what it says of itself, and what it took.
    pub(super) fn splink(&self, set: Set) -> Result<(Value, Taken)> {
        let mut arguments =
            vec![self.data.join("scripts/splink_baseline.py").display().to_string(), set.splink.to_owned()];
        arguments.push("2".to_owned());
        if let [people] = self.files(set)?.as_slice() {
            arguments.push(people.display().to_string());
        }
        let taken = self.measured(&self.python, &arguments)?;
        let line = taken.stdout.lines().rev().find(|line| line.starts_with('{'));
        let Some(line) = line else { bail!("Splink printed no figures for {}", set.name) };
        Ok((serde_json::from_str(line)?, taken))
    }
}
