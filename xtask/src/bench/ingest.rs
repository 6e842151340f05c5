//! `cargo xtask bench ingest`: the spine's figures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::figures::Figures;
use super::server::Server;

/// How much to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One line of JSON per figure.
    #[arg(long)]
    json: bool,
    /// Profiles that are there before throughput and latency are measured.
    #[arg(long, default_value_t = 1_000_000)]
    profiles: u64,
    /// How long the sustained load lasts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Rounds of `kill -9`.
    #[arg(long, default_value_t = 50)]
    rounds: u64,
    /// Parts to measure: bare, ingest, latency, slope, crash.
    #[arg(long, value_delimiter = ',', default_value = "bare,ingest,latency,slope,crash")]
    parts: Vec<String>,
    /// Where to keep data meanwhile; removed afterwards.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

/// Memory for profiles while the slope is measured, in MiB: the same for both sizes, and enough that what is
/// compared is the cost of size and not of a cache too small for it.
const SLOPE_CACHE_MIB: u64 = 4096;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let known = ["bare", "ingest", "latency", "slope", "crash"];
    if let Some(part) = arguments.parts.iter().find(|part| !known.contains(&part.as_str())) {
        bail!("there is no part `{part}`: use {}", known.join(", "));
    }
    let mut figures = Figures::new(arguments.json);
    figures.say(&machine());
    figures.say("building with full optimisation");
    let (bin, sim) = build()?;
    if arguments.folder.exists() {
        std::fs::remove_dir_all(&arguments.folder)?;
    }
    let wants = |part: &str| arguments.parts.iter().any(|wanted| wanted == part);
    if wants("bare") {
        bare(&sim, &arguments.folder, &mut figures)?;
    }
    if wants("ingest") || wants("latency") {
        throughput_and_latency(arguments, &bin, &sim, &mut figures)?;
    }
    if wants("slope") {
        slope(arguments, &bin, &sim, &mut figures)?;
    }
    if wants("crash") {
        crash(arguments, &bin, &sim, &mut figures)?;
    }
    std::fs::remove_dir_all(&arguments.folder).context("cannot remove the bench's folder")
}

fn bare(sim: &Path, folder: &Path, figures: &mut Figures) -> Result<()> {
    figures.say("\na bare loop that only parses and appends the same bytes");
    let folder = folder.join("bare");
    std::fs::create_dir_all(&folder)?;
    let done = Command::new(sim).args(["bare", "--seconds", "10", "--folder"]).arg(&folder).output()?;
    if !done.status.success() {
        bail!("the bare loop failed: {}", String::from_utf8_lossy(&done.stderr));
    }
    std::fs::remove_dir_all(&folder)?;
    figures.take(&String::from_utf8(done.stdout)?)
}

fn throughput_and_latency(
    arguments: &Arguments,
    bin: &Path,
    sim: &Path,
    figures: &mut Figures,
) -> Result<()> {
    let profiles = arguments.profiles.to_string();
    let seconds = arguments.seconds.to_string();
    let server = Server::start(bin, &arguments.folder.join("ingest"), None)?;
    figures.say(&format!("\nfilling {profiles} profiles"));
    server.load(sim, &["fill", "--profiles", &profiles])?;
    let filled = server.totals()?;
    if arguments.parts.iter().any(|part| part == "ingest") {
        figures.say(&format!("\nbatches of 100 events of 700 bytes, {seconds} s, until the last is folded"));
        let (before, stages) = (server.usage()?, server.stages()?);
        let printed = server.load(sim, &["ingest", "--profiles", &profiles, "--seconds", &seconds])?;
        figures.take(&printed)?;
        let events = figures.get("ingest_events").unwrap_or(1.0);
        let after = server.usage()?;
        figures.add("cpu_us_per_event", (after.cpu_seconds - before.cpu_seconds) * 1e6 / events, "µs");
        for ((stage, now), (_, then)) in server.stages()?.into_iter().zip(stages) {
            figures.add(&format!("{stage}_us_per_event"), (now - then) * 1e6 / events, "µs");
        }
        if let (Some(rate), Some(bare)) =
            (figures.get("ingest_events_per_s"), figures.get("bare_events_per_s"))
        {
            figures.add("ingest_ratio_to_bare", rate / bare, "ratio");
        }
        figures.add("resident_mib", after.resident_mib, "MiB");
        figures.add("resident_peak_mib", after.peak_mib, "MiB");
        disk(&server, &filled, figures)?;
    }
    if arguments.parts.iter().any(|part| part == "latency") {
        figures.say("\nsingle events, 2,000 a second, 30 s");
        let printed = server.load(sim, &["latency", "--profiles", &profiles])?;
        figures.take(&printed)?;
    }
    server.stop()?;
    std::fs::remove_dir_all(arguments.folder.join("ingest"))?;
    Ok(())
}

fn disk(server: &Server, filled: &serde_json::Value, figures: &mut Figures) -> Result<()> {
    let totals = server.totals()?;
    let number = |totals: &serde_json::Value, name: &str| {
        totals.get(name).and_then(serde_json::Value::as_f64).unwrap_or_default()
    };
    let events = number(&totals, "accepted").max(1.0);
    figures.add("disk_bytes_per_event", number(&totals, "log_bytes") / events, "bytes");
    let profiles = number(filled, "profiles").max(1.0);
    figures.add("disk_bytes_per_profile", number(&totals, "store_bytes") / profiles, "bytes");
    Ok(())
}

/// Processor time per event, the same load at two sizes.
fn slope(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    let mut costs = Vec::new();
    for (name, profiles) in [("100k", 100_000_u64), ("5m", 5_000_000)] {
        figures.say(&format!("\ncost per event at {profiles} profiles, cache of {SLOPE_CACHE_MIB} MiB"));
        let folder = arguments.folder.join("slope");
        let server = Server::start(bin, &folder, Some(SLOPE_CACHE_MIB))?;
        let profiles = profiles.to_string();
        server.load(sim, &["fill", "--profiles", &profiles])?;
        // What filling left to be written and merged is not the load's cost, and what the load leaves is.
        server.settle()?;
        let before = server.usage()?;
        let printed = server.load(sim, &["ingest", "--profiles", &profiles, "--seconds", "20"])?;
        server.settle()?;
        let mut measured = Figures::new(arguments.json);
        measured.take(&printed)?;
        let after = server.usage()?;
        let events = measured.get("ingest_events").unwrap_or(1.0);
        let cost = (after.cpu_seconds - before.cpu_seconds) * 1e6 / events;
        figures.add(&format!("cpu_us_per_event_{name}"), cost, "µs");
        figures.add(&format!("resident_{name}_mib"), after.resident_mib, "MiB");
        costs.push(cost);
        server.stop()?;
        std::fs::remove_dir_all(&folder)?;
    }
    if let [small, large] = costs.as_slice() {
        figures.add("cost_slope_5m_over_100k", large / small, "ratio");
    }
    Ok(())
}

fn crash(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    figures.say(&format!("\n{} rounds of kill -9 under load", arguments.rounds));
    let folder = arguments.folder.join("crash");
    std::fs::create_dir_all(&folder)?;
    let done = Command::new(sim)
        .args(["crash", "--rounds", &arguments.rounds.to_string()])
        .arg("--bin")
        .arg(bin)
        .arg("--data-dir")
        .arg(&folder)
        .output()?;
    figures.take(&String::from_utf8(done.stdout)?)?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr));
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Full optimisation, as a release has.
pub(super) fn build() -> Result<(PathBuf, PathBuf)> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--bins", "-p", "tessera", "-p", "tessera-sim"])
        .status()?;
    if !status.success() {
        bail!("the build failed");
    }
    let bin =
        |name: &str| PathBuf::from("target/release").join(name).canonicalize().context("a binary is missing");
    Ok((bin("tessera")?, bin("tessera-sim")?))
}

pub(super) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(':').nth(1));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{cores} cores of {}, {} GiB of memory",
        model.unwrap_or(" an unknown processor").trim(),
        kib / 1024 / 1024
    )
}
