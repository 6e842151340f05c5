//! `cargo xtask bench match`: how well and how fast records of one person are found, beside Splink in the same session.

mod goals;
mod spine;
mod splink;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use self::splink::{SETS, Set, Yard};
use super::figures::Figures;
use super::ingest::{build, machine};
use super::validation;
use crate::process;

/// How much to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One line of JSON per figure.
    #[arg(long)]
    json: bool,
    /// Parts to measure: accuracy, speed, incremental, scaling, em, validation, spine.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "accuracy,speed,incremental,scaling,em,validation,spine"
    )]
    parts: Vec<String>,
    /// Sets to measure accuracy on.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "febrl3,febrl4,fake_1000,historical,people_100k,people_1m"
    )]
    sets: Vec<String>,
    /// Leave Splink out: faster, and nothing to compare with.
    #[arg(long)]
    without_splink: bool,
    /// The folder of public data sets and of the yardstick's script.
    #[arg(long, env = "BENCH_DATA", default_value = "../shared/data")]
    data: PathBuf,
    /// Where Splink is installed and made-up people are kept from run to run.
    #[arg(long, default_value = "target/match")]
    work: PathBuf,
    /// Profiles that are there before the spine is measured.
    #[arg(long, default_value_t = 1_000_000)]
    profiles: u64,
    /// How long each load of the spine lasts.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where to keep the spine's data meanwhile; removed afterwards.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

const PARTS: [&str; 7] = ["accuracy", "speed", "incremental", "scaling", "em", "validation", "spine"];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(part) = arguments.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        bail!("there is no part `{part}`: use {}", PARTS.join(", "));
    }
    if let Some(set) = arguments.sets.iter().find(|name| SETS.iter().all(|set| set.name != *name)) {
        bail!("there is no set `{set}`: use {}", SETS.map(|set| set.name).join(", "));
    }
    let wants = |part: &str| arguments.parts.iter().any(|wanted| wanted == part);
    let mut figures = Figures::new(arguments.json);
    figures.say(&machine());
    figures.say("building with full optimisation");
    let (bin, sim) = build()?;
    match Yard::open(&arguments.data, &arguments.work)? {
        None => figures.say(&format!(
            "skipped: there is no data folder `{}`; name one with --data or BENCH_DATA",
            arguments.data.display()
        )),
        Some(yard) => {
            let bench = Bench { arguments, yard, bin: &bin };
            if wants("accuracy") {
                bench.accuracy(&mut figures)?;
            }
            if wants("speed") {
                bench.speed(&mut figures)?;
            }
            if wants("incremental") {
                bench.incremental(&mut figures)?;
            }
            if wants("scaling") {
                bench.scaling(&mut figures)?;
            }
            if wants("em") {
                Bench::known_parameters(&mut figures);
            }
        }
    }
    if wants("validation") {
        validation::run(&mut figures)?;
        for (name, of) in [("phones_per_s", "phone_per_s"), ("emails_per_s", "email_per_s")] {
            if let Some(value) = figures.get(of) {
                figures.add(name, value, "1/s");
            }
        }
    }
    if wants("spine") {
        spine::measure(arguments, &bin, &sim, &mut figures)?;
    }
    goals::table(&figures);
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    yard: Yard,
    bin: &'a Path,
}

impl Bench<'_> {
    fn tessera(&self, command: &str, files: &[PathBuf], rest: &[&str]) -> Result<(Value, splink::Taken)> {
        let mut arguments = vec!["match".to_owned(), command.to_owned(), "--json".to_owned()];
        arguments.extend(files.iter().map(|file| file.display().to_string()));
        arguments.extend(rest.iter().map(|argument| (*argument).to_owned()));
        let taken = self.yard.measured(self.bin, &arguments)?;
        let told = serde_json::from_str(&taken.stdout).context("`tessera match` printed no JSON")?;
        Ok((told, taken))
    }

    /// Both, on every set, without a word about the set but which columns are its id and its truth.
    fn accuracy(&self, figures: &mut Figures) -> Result<()> {
        for set in SETS.iter().filter(|set| self.arguments.sets.iter().any(|wanted| wanted == set.name)) {
            figures.say(&format!("\n{}: found by themselves, judged by the truth", set.name));
            let files = self.yard.files(*set)?;
            let mut rest = vec!["--id", set.id, "--truth", "cluster"];
            rest.extend(set.is_link.then_some("--link-only"));
            let (told, taken) = self.tessera("evaluate", &files, &rest)?;
            judge(figures, set.name, &told)?;
            figures.add(&format!("{}_evaluate_seconds", set.name), taken.seconds, "s");
            calibration(figures, set.name, &told);
            // The million is measured with its speed: once is enough.
            let is_later = set.name == "people_1m" && self.arguments.parts.iter().any(|part| part == "speed");
            if !self.arguments.without_splink && !is_later {
                self.splink(*set, figures)?;
            }
        }
        Ok(())
    }

    fn splink(&self, set: Set, figures: &mut Figures) -> Result<()> {
        let (told, taken) = self.yard.splink(set)?;
        let name = format!("splink_{}", set.name);
        figures.add(&format!("{name}_best_f1"), number(&told, "/best/F1")?, "ratio");
        figures.add(&format!("{name}_cluster_f1"), number(&told, "/cluster95/F1")?, "ratio");
        // The third of its thresholds is .95.
        figures.add(&format!("{name}_precision_at_95"), number(&told, "/at/3/P")?, "ratio");
        // Without its imports, and without being judged.
        figures.add(&format!("{name}_seconds"), number(&told, "/stages/total_pipeline")?, "s");
        figures.add(&format!("{name}_mib"), taken.mib, "MiB");
        Ok(())
    }

    /// A million people, from the file to the clusters.
    fn speed(&self, figures: &mut Figures) -> Result<()> {
        figures.say("\na million people, from Parquet to clusters");
        let file = [self.yard.people(1_000_000, 42)?];
        let out = self.yard.work().join("clusters.csv").display().to_string();
        let ids = ["--id", "unique_id", "--ignore", "cluster", "-o", &out];
        let (told, taken) = self.tessera("run", &file, &ids)?;
        figures.add("people_1m_seconds", taken.seconds, "s");
        figures.add("people_1m_mib", taken.mib, "MiB");
        for (stage, seconds) in told.get("seconds").and_then(Value::as_object).into_iter().flatten() {
            figures.add(&format!("people_1m_{stage}_seconds"), seconds.as_f64().unwrap_or_default(), "s");
        }
        let exact = [ids.as_slice(), &["--exact-only"]].concat();
        let (told, taken) = self.tessera("run", &file, &exact)?;
        figures.add("exact_1m_file_to_file_seconds", taken.seconds, "s");
        figures.add("exact_1m_seconds", number(&told, "/seconds/exact")?, "s");
        if !self.arguments.without_splink {
            self.splink(SETS[5], figures)?;
            if let (Some(theirs), Some(ours)) =
                (figures.get("splink_people_1m_seconds"), figures.get("people_1m_seconds"))
            {
                figures.add("people_1m_speedup", theirs / ours, "times");
            }
        }
        Ok(())
    }

    /// One new record against a million: an example of the engine, for the program has files only.
    fn incremental(&self, figures: &mut Figures) -> Result<()> {
        figures.say("\none new record, matched against a million");
        let file = self.yard.people(1_000_000, 42)?.display().to_string();
        let run = ["run", "--release", "--quiet", "-p", "tessera-match", "--example", "linkage", "--"];
        let rest = [file.as_str(), "cluster", "unique_id", "@index"];
        figures.take(&process::output(&mut process::cargo(&[run.as_slice(), &rest].concat()))?)
    }

    /// What a record costs as there are more of them.
    fn scaling(&self, figures: &mut Figures) -> Result<()> {
        figures.say("\nseconds and memory from 100,000 to five million people");
        let out = self.yard.work().join("clusters.csv").display().to_string();
        let mut costs = Vec::new();
        for (name, rows) in [("100k", 100_000_u32), ("1m", 1_000_000), ("5m", 5_000_000)] {
            let file = [self.yard.people(u64::from(rows), 42)?];
            let ids = ["--id", "unique_id", "--ignore", "cluster", "-o", &out];
            let (_, taken) = self.tessera("run", &file, &ids)?;
            figures.add(&format!("scaling_{name}_seconds"), taken.seconds, "s");
            figures.add(&format!("scaling_{name}_mib"), taken.mib, "MiB");
            let cost = taken.seconds * 1e6 / f64::from(rows);
            figures.add(&format!("scaling_{name}_us_per_record"), cost, "µs");
            costs.push(cost);
        }
        if let [small, _, large] = costs.as_slice() {
            figures.add("scaling_5m_over_100k", large / small, "ratio");
        }
        Ok(())
    }

    /// Expectation-maximisation on comparison vectors whose parameters are known: a test of the engine's own.
    fn known_parameters(figures: &mut Figures) {
        figures.say("\nexpectation-maximisation, against parameters that are known, to a millionth");
        let test = "the_classical_algorithm_finds_known_parameters";
        let done = Command::new("cargo").args(["test", "--quiet", "-p", "tessera-match", test]).output();
        let is_found = done.is_ok_and(|done| {
            done.status.success() && String::from_utf8_lossy(&done.stdout).contains("1 passed")
        });
        figures.add("em_finds_known_parameters", f64::from(u8::from(is_found)), "of 1");
    }
}

fn judge(figures: &mut Figures, name: &str, told: &Value) -> Result<()> {
    figures.add(&format!("{name}_best_f1"), number(told, "/best/f1")?, "ratio");
    figures.add(&format!("{name}_cluster_f1"), number(told, "/clusters/f1")?, "ratio");
    // Pairs of a threshold and what it gives.
    let at = told.get("at").and_then(Value::as_array).context("there are no thresholds")?;
    let at = at.iter().find(|at| at.pointer("/0").and_then(Value::as_f64) == Some(0.95));
    let at = at.context("the threshold .95 is missing")?;
    figures.add(&format!("{name}_precision_at_95"), number(at, "/1/precision")?, "ratio");
    figures.add(&format!("{name}_recall_at_95"), number(at, "/1/recall")?, "ratio");
    figures.add(&format!("{name}_ceiling"), number(told, "/reachable")?, "ratio");
    figures.add(&format!("{name}_exact_cluster_f1"), number(told, "/exact/f1")?, "ratio");
    Ok(())
}

/// Whether a probability means what it says.
fn calibration(figures: &Figures, name: &str, told: &Value) {
    figures.say(&format!("  {name}: of the pairs said to be one person with this probability, so many are"));
    figures.say(&format!("  {:>19} {:>10} {:>8} {:>8}", "probability", "pairs", "said", "is"));
    for bin in told.get("calibration").and_then(Value::as_array).into_iter().flatten() {
        let of = |name: &str| bin.get(name).and_then(Value::as_f64).unwrap_or_default();
        if of("pairs") > 0.0 {
            figures.say(&format!(
                "  {:>8.3} to {:>7.3} {:>10.0} {:>8.4} {:>8.4}",
                of("from"),
                of("to"),
                of("pairs"),
                of("said"),
                of("is")
            ));
        }
    }
}

fn number(told: &Value, path: &str) -> Result<f64> {
    told.pointer(path).and_then(Value::as_f64).with_context(|| format!("there is no figure `{path}`"))
}
