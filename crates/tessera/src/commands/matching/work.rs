//! Training, running and judging on files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Map, Value, json};
use tessera_match::{
    Clusters, Model as Trained, Rule, ScoredPairs, Table, cluster, evaluate as judge, exact, exact_rules,
    link, score_with,
};
use tessera_store::{Clock as _, SystemClock};

use super::files::{Records, bar};
use super::model::{Loaded, SEED};
use super::{Evaluate, Model, Run, Train, failed, picture};
use crate::cli::Global;
use crate::commands::print_json;
use crate::output::{self, Failure, count};

/// Seconds of each stage.
struct Stages {
    clock: SystemClock,
    since: u64,
    taken: Map<String, Value>,
}

impl Stages {
    fn new() -> Self {
        Self { clock: SystemClock::new(), since: 0, taken: Map::new() }
    }

    fn end(&mut self, stage: &str) {
        let now = self.clock.monotonic_nanos();
        let millis = now.saturating_sub(self.since) / 1_000_000;
        self.since = now;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a command are few")]
        let seconds = millis as f64 / 1_000.0;
        self.taken.insert(stage.to_owned(), json!(seconds));
    }
}

/// Tells that something goes on whose end cannot be told.
fn spinner(global: &Global, what: &'static str) -> ProgressBar {
    let target = if global.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let spinner = ProgressBar::with_draw_target(None, target).with_message(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}

impl Model {
    fn read(&self, global: &Global, truth: Option<&str>) -> anyhow::Result<Records> {
        self.columns.read(&self.files, truth, global.json)
    }

    fn load(&self, global: &Global, table: &Table) -> anyhow::Result<Loaded> {
        let going_on = spinner(global, "looking at the columns");
        let loaded = self.how.load(&self.columns, table);
        going_on.finish_and_clear();
        loaded
    }
}

/// Trains, unless the model is trained.
fn trained(global: &Global, loaded: Loaded, table: &Table) -> anyhow::Result<Trained> {
    let going_on = spinner(global, "training");
    let model = loaded.trained(table);
    going_on.finish_and_clear();
    model
}

/// Compares every pair once, and learns from what it finds unless the model is trained.
fn linked(global: &Global, table: &Table, loaded: Loaded) -> anyhow::Result<(Trained, ScoredPairs)> {
    let bar = bar(table.rows() as u64, "comparing", global.json);
    let progress = |done, _| bar.set_position(done);
    let linked = match loaded {
        Loaded::Spec(spec) => link(table, &spec, SEED, &progress),
        Loaded::Trained(model) => score_with(table, &model, &progress).map(|scored| (*model, scored)),
    };
    bar.finish_and_clear();
    linked.map_err(failed)
}

/// The model's exact rules, or those that fit the records.
fn rules(loaded: &Loaded, table: &Table) -> anyhow::Result<Vec<Rule>> {
    let own = &loaded.spec().exact_rules;
    if own.is_empty() { exact_rules(table).map_err(failed) } else { Ok(own.clone()) }
}

/// `tessera match model`.
pub(super) fn model(global: &Global, model: &Model) -> anyhow::Result<()> {
    let records = model.read(global, None)?;
    let loaded = model.load(global, &records.table)?;
    if global.json {
        return print_json(&serde_json::to_value(loaded.spec())?);
    }
    output::line(serde_saphyr::to_string(loaded.spec())?.trim_end());
    Ok(())
}

/// `tessera match estimate`.
pub(super) fn estimate(global: &Global, model: &Model) -> anyhow::Result<()> {
    let records = model.read(global, None)?;
    let loaded = model.load(global, &records.table)?;
    let estimate = tessera_match::estimate(&records.table, loaded.spec()).map_err(failed)?;
    if global.json {
        return print_json(&serde_json::to_value(&estimate)?);
    }
    output::line(format_args!("{:>14} {:>12} {:>12}  rule", "pairs", "records", "largest"));
    for cost in &estimate.rules {
        let rule = picture::rule(&cost.rule);
        output::line(format_args!(
            "{:>14} {:>12} {:>12}  {rule}",
            count(cost.pairs),
            count(cost.rows),
            count(cost.largest_block_rows)
        ));
        if cost.skipped_blocks > 0 {
            output::line(format_args!(
                "{:>14} {} groups of {} pairs are too large, and left out of this rule",
                "",
                count(cost.skipped_blocks),
                count(cost.skipped_pairs)
            ));
        }
    }
    output::line(format_args!(
        "at most {} pairs to compare, of {} that there are among {} records",
        count(estimate.pairs),
        count(estimate.possible_pairs),
        count(records.table.rows() as u64)
    ));
    Ok(())
}

/// `tessera match train`.
pub(super) fn train(global: &Global, train: &Train) -> anyhow::Result<()> {
    let mut stages = Stages::new();
    let records = train.on.read(global, None)?;
    stages.end("read");
    let loaded = train.on.load(global, &records.table)?;
    stages.end("look");
    let model = trained(global, loaded, &records.table)?;
    stages.end("train");
    write(&train.output, |out| Ok(serde_json::to_writer_pretty(out, &model)?))?;
    if global.json {
        return print_json(&json!({
            "records": records.table.rows(), "prior": model.prior(), "rounds": model.rounds(), "seconds": stages.taken
        }));
    }
    output::line(format_args!(
        "trained on {} records in {} rounds: of all pairs one in {} is one person",
        count(records.table.rows() as u64),
        model.rounds(),
        picture::one_in(model.prior())
    ));
    Ok(())
}

/// `tessera match run` on files.
pub(super) fn run(global: &Global, run: &Run) -> anyhow::Result<()> {
    let mut stages = Stages::new();
    let records = run.columns.read(&run.files, None, global.json)?;
    stages.end("read");
    let going_on = spinner(global, "looking at the columns");
    let loaded = run.how.load(&run.columns, &records.table);
    going_on.finish_and_clear();
    let loaded = loaded?;
    let (scored, clusters, review) = if run.exact_only {
        let rules = rules(&loaded, &records.table)?;
        stages.end("look");
        if rules.is_empty() {
            let what = "there are no exact rules";
            let hint = "leave --exact-only out, or name columns that identify a person under `exact_rules`";
            return Err(Failure::new("TES-X023", what, hint).into());
        }
        let clusters = exact(&records.table, &rules).map_err(failed)?;
        stages.end("exact");
        (ScoredPairs::default(), clusters, 1.0)
    } else {
        stages.end("look");
        let (model, scored) = linked(global, &records.table, loaded)?;
        stages.end("link");
        let clusters = cluster(&records.table, &model, &scored);
        stages.end("cluster");
        (scored, clusters, model.spec().thresholds.review)
    };
    if let Some(path) = &run.output {
        write_clusters(path, &records, &clusters, run.files.len() > 1)?;
    }
    let asked = write_pairs(run.pairs.as_deref(), &records, &scored, &clusters, review)?;
    stages.end("write");
    let sizes = Sizes::of(&clusters);
    if global.json {
        return print_json(&json!({
            "records": records.table.rows(), "clusters": sizes.clusters, "compared": scored.compared,
            "several": sizes.several, "largest": sizes.largest, "review": asked, "seconds": stages.taken
        }));
    }
    output::line(format_args!("records                {:>12}", count(records.table.rows() as u64)));
    output::line(format_args!("pairs compared         {:>12}", count(scored.compared)));
    output::line(format_args!("people                 {:>12}", count(sizes.clusters)));
    output::line(format_args!("  of several records   {:>12}", count(sizes.several)));
    output::line(format_args!("  the largest of       {:>12}", count(sizes.largest)));
    output::line(format_args!("pairs to be looked at  {:>12}", count(asked)));
    Ok(())
}

struct Sizes {
    clusters: u64,
    several: u64,
    largest: u64,
}

impl Sizes {
    fn of(clusters: &Clusters) -> Self {
        let mut sizes = vec![0_u64; clusters.ids.len()];
        for id in &clusters.ids {
            if let Some(size) = sizes.get_mut(*id as usize) {
                *size += 1;
            }
        }
        let count = |is: fn(u64) -> bool| sizes.iter().filter(|size| is(**size)).count() as u64;
        let (clusters, several) = (count(|size| size > 0), count(|size| size > 1));
        Self { clusters, several, largest: sizes.into_iter().max().unwrap_or(0) }
    }
}

fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let failure = || {
        let what = format!("cannot write `{}`", path.display());
        Failure::new("TES-X024", what, "check that the folder exists and has room")
    };
    let mut out = BufWriter::with_capacity(1 << 18, File::create(path).with_context(failure)?);
    content(&mut out).and_then(|()| Ok(out.flush()?)).with_context(failure)
}

/// A cell of a CSV file.
fn cell(text: &str) -> std::borrow::Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

fn write_clusters(
    path: &Path,
    records: &Records,
    clusters: &Clusters,
    has_files: bool,
) -> anyhow::Result<()> {
    write(path, |out| {
        writeln!(out, "cluster,record{}", if has_files { ",file" } else { "" })?;
        for (row, id) in clusters.ids.iter().enumerate() {
            let head = records.name(*id as usize);
            // Records of different files may have the same name.
            let head = if has_files { format!("{}:{head}", records.file(*id as usize) + 1) } else { head };
            write!(out, "{},{}", cell(&head), cell(&records.name(row)))?;
            if has_files {
                write!(out, ",{}", records.file(row) + 1)?;
            }
            writeln!(out)?;
        }
        Ok(())
    })
}

/// Writes linked pairs and pairs to be looked at; tells how many the latter are.
fn write_pairs(
    path: Option<&Path>,
    records: &Records,
    scored: &ScoredPairs,
    clusters: &Clusters,
    review: f64,
) -> anyhow::Result<u64> {
    let is_linked = |left: u32, right: u32| {
        clusters.ids.get(left as usize).is_some_and(|id| clusters.ids.get(right as usize) == Some(id))
    };
    let likely = || scored.pairs.iter().filter(|pair| f64::from(pair.probability) >= review);
    if let Some(path) = path {
        write(path, |out| {
            writeln!(out, "a,b,probability,weight,decision")?;
            for pair in likely() {
                let decision = if is_linked(pair.left, pair.right) { "link" } else { "review" };
                let name = |row: u32| records.name(row as usize);
                let (a, b) = (name(pair.left), name(pair.right));
                let (a, b) = (cell(&a), cell(&b));
                writeln!(out, "{a},{b},{:.4},{:.2},{decision}", pair.probability, pair.weight)?;
            }
            Ok(())
        })?;
    }
    Ok(likely().filter(|pair| !is_linked(pair.left, pair.right)).count() as u64)
}

/// `tessera match evaluate`.
pub(super) fn evaluate(global: &Global, evaluate: &Evaluate) -> anyhow::Result<()> {
    let mut stages = Stages::new();
    let records = evaluate.on.read(global, Some(&evaluate.truth))?;
    let truth = records.truth.as_deref().unwrap_or_default();
    stages.end("read");
    let loaded = evaluate.on.load(global, &records.table)?;
    stages.end("look");
    let rules = rules(&loaded, &records.table)?;
    stages.end("rules");
    let by_rule = exact(&records.table, &rules).map_err(failed)?;
    stages.end("exact");
    let (model, scored) = linked(global, &records.table, loaded)?;
    stages.end("link");
    let clusters = cluster(&records.table, &model, &scored);
    stages.end("cluster");
    let pairs = model.spec().pairs;
    let told = judge(&records.table, pairs, &scored, &clusters, truth);
    let exact = judge(&records.table, pairs, &ScoredPairs::default(), &by_rule, truth).clusters;
    if let Some(path) = &evaluate.svg {
        let drawn = picture::calibration_svg(&told.calibration);
        write(path, |out| Ok(out.write_all(drawn.as_bytes())?))?;
    }
    if global.json {
        let mut value = serde_json::to_value(&told)?;
        if let Some(members) = value.as_object_mut() {
            members.insert("exact".to_owned(), serde_json::to_value(exact)?);
            members.insert("seconds".to_owned(), Value::Object(stages.taken));
            members.insert("link".to_owned(), json!(model.spec().thresholds.link));
        }
        return print_json(&value);
    }
    for line in picture::evaluation(&told, &exact, model.spec().thresholds.link) {
        output::line(line);
    }
    Ok(())
}
