//! `cargo xtask bench governance`: what the gate, the evidence and erasure cost, and whether the gate keeps the law.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::figures::{Figures, parse};
use super::ingest::{build, machine};
use super::server::{Server, WRITE_KEY};

/// How much to measure.
#[derive(Args)]
pub(crate) struct Arguments {
    /// One line of JSON per figure.
    #[arg(long)]
    json: bool,
    /// Profiles that are there before anything is measured.
    #[arg(long, default_value_t = 1_000_000)]
    profiles: u64,
    /// How long each sustained load lasts.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often the loads with and without governance are measured, in turns.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Random histories, each of some 37 decisions, for which the gate and the naive reading of the law are both asked.
    #[arg(long, default_value_t = 3_000)]
    cases: u64,
    /// Parts to measure: gate, ledger, policy, erasure.
    #[arg(long, value_delimiter = ',', default_value = "gate,ledger,policy,erasure")]
    parts: Vec<String>,
    /// Where to keep data meanwhile; removed afterwards.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
}

/// Ten purposes by consent, ten on the other bases, all served by one source; labels and a policy.
fn workspace(with_destination: bool) -> String {
    let mut text = String::new();
    let mut names = Vec::new();
    let mut purpose = |name: String, rest: &str| {
        text.push_str(&format!("kind: Purpose\nname: {name}\n{rest}\n---\n"));
        names.push(name);
    };
    for n in 1..=10 {
        let rest = "basis: consent\nconsent_valid_days: 730\nretention_days: 730\nexplicit: true";
        purpose(format!("consent-{n:02}"), rest);
    }
    for n in 1..=4 {
        purpose(format!("interest-{n:02}"), "basis: legitimate_interests\nretention_days: 365");
    }
    for n in 1..=3 {
        purpose(format!("contract-{n:02}"), "basis: contract");
    }
    for (name, basis) in
        [("tax", "legal_obligation"), ("emergency", "vital_interests"), ("register", "public_task")]
    {
        purpose(name.to_owned(), &format!("basis: {basis}"));
    }
    text.push_str(&format!(
        "kind: Source\nname: load\nwrite_key: {WRITE_KEY}\npurposes: [{}]\n---\n",
        names.join(", ")
    ));
    text.push_str("kind: Field\nname: traits.loyalty_tier\nlabels: [C3]\n---\n");
    text.push_str("kind: Policy\nname: no-tiers-in-ads\nlabels: [C3]\nuses: [onsite_advertising]\n");
    if with_destination {
        text.push_str("---\nkind: Destination\nname: files\ntype: jsonl\npurpose: consent-01\n");
        text.push_str("uses: [analytics]\nconfig:\n  path: files.jsonl\n");
    }
    text
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let known = ["gate", "ledger", "policy", "erasure"];
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
    if wants("gate") {
        gate(arguments, &bin, &sim, &mut figures)?;
    }
    if wants("ledger") {
        ledger(arguments, &bin, &sim, &mut figures)?;
    }
    if wants("policy") {
        figures.say("\nrandom people, purposes, words and merges, against a naive reading of the law");
        let cases = arguments.cases.to_string();
        let told = printed(Command::new(&sim).args(["law", "--json", "--cases", &cases]))?;
        let told: serde_json::Value =
            serde_json::from_str(&told).context("the comparison printed no JSON")?;
        for (name, unit) in [("policy_cases", "decisions"), ("policy_disagreements", "decisions")] {
            let value = told.get(name).and_then(serde_json::Value::as_f64).context("a figure is missing")?;
            figures.add(name, value, unit);
        }
    }
    if wants("erasure") {
        erasure(arguments, &bin, &sim, &mut figures)?;
    }
    std::fs::remove_dir_all(&arguments.folder).context("cannot remove the bench's folder")
}

fn printed(command: &mut Command) -> Result<String> {
    let done = command.output().context("cannot start a command")?;
    if !done.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// The same load, with one purpose that asks for nothing, and with twenty of which ten rest on consent.
fn gate(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    let (profiles, seconds) = (arguments.profiles.to_string(), arguments.seconds.to_string());
    let mut rates = [Vec::new(), Vec::new()];
    for round in 1..=arguments.rounds {
        for (governed, rates) in rates.iter_mut().enumerate() {
            let is_governed = governed == 1;
            let what = if is_governed { "twenty purposes, ten by consent" } else { "one purpose" };
            figures.say(&format!("\nround {round}: {what}; {profiles} profiles, {seconds} s"));
            let folder = arguments.folder.join("gate");
            let server = match is_governed {
                true => Server::start_with(bin, &folder, None, &workspace(false))?,
                false => Server::start(bin, &folder, None)?,
            };
            let mut fill = vec!["fill", "--profiles", &profiles];
            fill.extend(is_governed.then_some("--consenting"));
            server.load(sim, &fill)?;
            server.settle()?;
            let before = server.usage()?;
            let printed = server.load(sim, &["ingest", "--profiles", &profiles, "--seconds", &seconds])?;
            let measured = parse(&printed)?;
            let value =
                |name: &str| measured.iter().find(|figure| figure.name == name).map(|figure| figure.value);
            let after = server.usage()?;
            let events = value("ingest_events").unwrap_or(1.0);
            let name = if is_governed { "governed" } else { "spine" };
            figures.add(
                &format!("{name}_cpu_us_per_event"),
                (after.cpu_seconds - before.cpu_seconds) * 1e6 / events,
                "µs",
            );
            rates.push(value("ingest_events_per_s").unwrap_or(0.0));
            server.stop()?;
            std::fs::remove_dir_all(&folder)?;
        }
    }
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let [spine, governed] = [best(&rates[0]), best(&rates[1])];
    figures.add("spine_events_per_s", spine, "events/s");
    figures.add("governed_events_per_s", governed, "events/s");
    figures.add("governance_cost_pct", 100.0 * (1.0 - governed / spine), "%");
    Ok(())
}

/// Deliveries of events to a file, each field recorded before it leaves: fields a second, end to end.
fn ledger(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    figures.say("\ndeliveries to a file, each field recorded and durable before it leaves");
    let folder = arguments.folder.join("ledger");
    let server = Server::start_with(bin, &folder, None, &workspace(true))?;
    server.load(sim, &["fill", "--profiles", "20000", "--consenting"])?;
    server.load(sim, &["ingest", "--profiles", "20000", "--seconds", "5"])?;
    // Until the queue is empty.
    loop {
        let answer = server.json("/api/v1/destinations")?;
        let waiting = answer.pointer("/destinations/0/waiting").and_then(serde_json::Value::as_u64);
        if waiting == Some(0) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    server.stop()?;
    let (mut fields, mut deliveries, mut first, mut last) = (0_u64, 0_u64, None, None);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("evidence"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "jsonl")) {
        for line in std::io::BufReader::new(std::fs::File::open(file)?).lines() {
            let line: serde_json::Value = serde_json::from_str(&line?)?;
            let Some(named) = line.get("fields").and_then(serde_json::Value::as_array) else { continue };
            let at = line.get("at").and_then(serde_json::Value::as_str).unwrap_or_default();
            let at: jiff::Timestamp = at.parse()?;
            first.get_or_insert(at);
            last = Some(at);
            deliveries += 1;
            fields += u64::try_from(named.len())?;
        }
    }
    let (Some(first), Some(last)) = (first, last) else { bail!("nothing was delivered") };
    let seconds = last.duration_since(first).as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "figures are rounded for people anyway")]
    let (fields, deliveries) = (fields as f64, deliveries as f64);
    figures.add("delivery_fields", fields / deliveries, "fields");
    figures.add("deliveries_per_s", deliveries / seconds, "deliveries/s");
    figures.add("ledger_fields_per_s", fields / seconds, "fields/s");
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// One person of a million, while events go on arriving.
fn erasure(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    let profiles = arguments.profiles.to_string();
    figures.say(&format!("\nerasing one person of {profiles}, while events go on arriving"));
    let folder = arguments.folder.join("erasure");
    // Without obligations of the law, which would spare what serves them.
    let workspace = workspace(true)
        .replace("basis: legal_obligation", "basis: public_task")
        // So that the notice of the erasure does not stand behind a delivery for each profile.
        .replace("uses: [analytics]", "uses: [analytics]\nevents: [page]");
    let server = Server::start_with(bin, &folder, None, &workspace)?;
    server.load(sim, &["fill", "--profiles", &profiles, "--consenting"])?;
    let mut load =
        server.command(sim, &["ingest", "--profiles", &profiles, "--seconds", "60", "--connections", "2"]);
    let mut load = load.stdout(std::process::Stdio::null()).spawn()?;
    let erased = printed(
        Command::new(bin)
            .args([
                "erase",
                "user_id:user-000000000007",
                "--identity",
                "vouched_for",
                "--yes",
                "--verify",
                "--json",
            ])
            .arg("--data-dir")
            .arg(&folder),
    )?;
    let erased: serde_json::Value = serde_json::from_str(&erased).context("the command printed no JSON")?;
    let verify = erased.get("verify").context("the command did not verify")?;
    let number = |name: &str| verify.get(name).and_then(serde_json::Value::as_f64).unwrap_or_default();
    let places = verify.get("hits").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    let proofs = places.iter().filter(|place| place.get("is_proof") == Some(&serde_json::Value::Bool(true)));
    let found: f64 = proofs.filter_map(|place| place.get("count")?.as_f64()).sum();
    let housekeeping = server.json("/api/v1/housekeeping")?;
    let millis = housekeeping.pointer("/last_erasure/millis").and_then(serde_json::Value::as_f64);
    figures.add("erasure_seconds_1m", millis.context("no erasure has ended")? / 1000.0, "s");
    figures.add("erasure_scanned_gib", (number("bytes") + number("row_bytes")) / f64::from(1 << 30), "GiB");
    // The sum of nothing is -0.0.
    figures.add("erasure_bytes_found", found.abs(), "values");
    load.kill().ok();
    load.wait()?;
    server.stop()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
