//! What audiences cost the spine, and how soon who enters and whose window ends is told.
//!
//! The spine's load with no audiences, with 100 mixed ones of which 30 are windows or sequences, with 100 of which an event
//! touches 10, and with 1,000 of which it touches 10, each on a server of its own. While the mixed ones are in force and the
//! load goes on, people who nobody else is are seen once every few milliseconds: `entered_p99_ms` is the time from the
//! request until `Audience Entered` is in the destination's file, `expiry_p99_ms` from the end of the window until
//! `Audience Exited` is.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use super::Arguments;
use crate::bench::figures::{Figures, parse};
use crate::bench::ingest;
use crate::bench::server::{Server, WRITE_KEY};

/// How long a probe's window is.
const WINDOW_MILLIS: u64 = 3_000;
const PROBES: usize = 400;
const PROBE_EVERY: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long the last probes may take to be told of.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names of events: the first two are what the load sends.
fn event(number: usize) -> String {
    match number {
        0 => "\"Product Viewed\"".to_owned(),
        1 => "page".to_owned(),
        _ => format!("\"Event {number}\""),
    }
}

/// A workspace with these audiences, and one that probes are told by.
fn workspace(conditions: &[String]) -> String {
    let mut text = format!(
        "kind: Purpose\nname: service\nbasis: contract\n---\nkind: Source\nname: load\nwrite_key: {WRITE_KEY}\npurposes: [service]\n"
    );
    for (number, when) in conditions.iter().enumerate() {
        let when = when.replace('\'', "''");
        text.push_str(&format!(
            "---\nkind: Audience\nname: audience-{number}\npurpose: service\nwhen: '{when}'\n"
        ));
    }
    text
}

/// Who is seen once, and told of to a destination of a purpose of their own.
const PROBE: &str = "\
---
kind: Purpose
name: probes
basis: contract
---
kind: Source
name: probe
write_key: bench-probe-key
purposes: [probes]
---
kind: Audience
name: probed
purpose: probes
when: performed Probe in last 3 seconds
---
kind: Destination
name: probed
type: jsonl
purpose: probes
events: [Audience Entered, Audience Exited]
";

/// Ten for each of ten names of events, three of which are windows or sequences.
fn mixed() -> Vec<String> {
    let of = |number: usize| {
        let (name, next) = (event(number / 10), event((number / 10 + 1) % 10));
        match number % 10 {
            0 => format!("performed {name} at least 2 times in last 30 days"),
            1 => format!("sum of price of {name} in last 90 days >= 500"),
            2 => format!("{name} then {next} within 1 day in last 30 days"),
            3 => format!("performed {name} at least 5 times"),
            4 => format!("performed {name} where price > 150"),
            5 => format!("max of price of {name} >= 190"),
            6 => format!("last of category of {name} = \"c3\""),
            7 => format!("plan = \"pro-{number}\""),
            8 => format!("plan = \"pro\" and sum of price of {name} >= 300"),
            _ => format!("not performed {name}"),
        }
    };
    (0..100).map(of).collect()
}

/// Counts in windows of different lengths, so that none shares what is kept, on so many names of events.
fn spread(audiences: usize, names: usize) -> Vec<String> {
    let of = |number: usize| {
        let (name, days) = (event(number % names), 20 + number / names);
        format!("performed {name} at least 2 times in last {days} days")
    };
    (0..audiences).map(of).collect()
}

pub(super) fn measure(arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let (bin, sim) = ingest::build()?;
    let cases = [
        ("none", Vec::new()),
        ("mixed", mixed()),
        ("touched_10_of_100", spread(100, 10)),
        ("touched_10_of_1000", spread(1_000, 100)),
    ];
    let mut found = Vec::new();
    for (name, conditions) in &cases {
        figures.say(&format!(
            "\nthe spine, audiences: {name}; {} profiles, {} s",
            arguments.profiles, arguments.seconds
        ));
        let one = spine(arguments, (&bin, &sim), conditions, figures)?;
        figures.add(&format!("audience_{name}_events_per_s"), one.events_per_second, "events/s");
        figures.add(&format!("audience_{name}_cpu_us_per_event"), one.cpu_micros, "µs");
        figures.add(&format!("audience_{name}_resident_mib"), one.resident_mib, "MiB");
        found.push(one);
    }
    let [none, mixed, few, many] = found.as_slice() else { bail!("a case was not measured") };
    figures.add("audience_events_ratio", mixed.events_per_second / none.events_per_second, "ratio");
    figures.add("audience_mib", mixed.resident_mib - none.resident_mib, "MiB");
    figures.add(
        "fanout_cost_ratio",
        (many.cpu_micros - none.cpu_micros) / (few.cpu_micros - none.cpu_micros),
        "ratio",
    );
    Ok(())
}

/// What a load came to.
struct Spine {
    events_per_second: f64,
    cpu_micros: f64,
    resident_mib: f64,
}

fn spine(
    arguments: &Arguments,
    (bin, sim): (&Path, &Path),
    conditions: &[String],
    figures: &mut Figures,
) -> Result<Spine> {
    let (profiles, seconds) = (arguments.profiles.to_string(), arguments.seconds.to_string());
    let folder = arguments.work.join("stream");
    // What a run that failed has left would make repeats of all that is sent.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let is_mixed = conditions.len() == mixed().len() && conditions == mixed();
    let text = workspace(conditions) + if is_mixed { PROBE } else { "" };
    let server = Server::start_with(bin, &folder, None, &text)?;
    server.load(sim, &["fill", "--profiles", &profiles])?;
    server.settle()?;
    let before = server.usage()?;
    let load = ["ingest", "--profiles", profiles.as_str(), "--seconds", seconds.as_str()];
    let printed = server.load(sim, &load)?;
    let after = server.usage()?;
    let measured = parse(&printed)?;
    let value = |name: &str| measured.iter().find(|figure| figure.name == name).map(|found| found.value);
    let events = value("ingest_events").unwrap_or(1.0);
    let spine = Spine {
        events_per_second: value("ingest_events_per_s").unwrap_or_default(),
        cpu_micros: (after.cpu_seconds - before.cpu_seconds) * 1e6 / events,
        resident_mib: after.resident_mib,
    };
    if is_mixed {
        probe(&server, sim, arguments, (spine.events_per_second / 2.0, figures))?;
    }
    server.stop()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(spine)
}

/// Sends probes while the load goes on at half of what the machine can do, and looks when they are told of.
fn probe(
    server: &Server,
    sim: &Path,
    arguments: &Arguments,
    (rate, figures): (f64, &mut Figures),
) -> Result<()> {
    let (profiles, seconds) = (arguments.profiles.to_string(), arguments.seconds.max(12).to_string());
    figures.add("probe_load_events_per_s", rate.round(), "events/s");
    let rate = format!("{rate:.0}");
    let load =
        ["ingest", "--profiles", &profiles, "--seconds", &seconds, "--connections", "4", "--rate", &rate];
    let mut load = server.command(sim, &load).stdout(std::process::Stdio::null()).spawn()?;
    let address = server.address.clone();
    let sending = std::thread::spawn(move || -> Result<Vec<u64>> {
        let mut sent = Vec::new();
        for number in 0..PROBES {
            sent.push(millis()?);
            send(&address, number)?;
            std::thread::sleep(PROBE_EVERY);
        }
        Ok(sent)
    });
    let told = told(&server.data_dir.join("deliveries").join("probed.jsonl"));
    load.wait()?;
    let sent = sending.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    let (entered, exited) = told?;
    let entered = entered.iter().zip(&sent).map(|(at, sent)| at.saturating_sub(*sent)).collect();
    // A window of up to an hour moves in steps of a second.
    let ends = |sent: &u64| sent.div_ceil(1_000) * 1_000 + WINDOW_MILLIS;
    let exited = exited.iter().zip(&sent).map(|(at, sent)| at.saturating_sub(ends(sent))).collect();
    figures.add("entered_p99_ms", p99(entered), "ms");
    figures.add("expiry_p99_ms", p99(exited), "ms");
    Ok(())
}

/// When each probe was told to have entered, and to have left.
fn told(file: &Path) -> Result<(Vec<u64>, Vec<u64>)> {
    let (mut entered, mut exited) = (vec![0; PROBES], vec![0; PROBES]);
    let (mut place, mut rest) = (0, String::new());
    let end = millis()? + u64::try_from((PROBE_EVERY * u32::try_from(PROBES)? + PATIENCE).as_millis())?;
    while exited.contains(&0) {
        std::thread::sleep(LOOK_EVERY);
        let now = millis()?;
        if now > end {
            bail!("{} of {PROBES} probes were not told of", exited.iter().filter(|at| **at == 0).count());
        }
        let Ok(mut file) = std::fs::File::open(file) else { continue };
        file.seek(SeekFrom::Start(place))?;
        let mut more = Vec::new();
        place += u64::try_from(file.read_to_end(&mut more)?)?;
        rest.push_str(&String::from_utf8_lossy(&more));
        while let Some((line, after)) = rest.split_once('\n') {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let user = line.pointer("/event/userId").and_then(serde_json::Value::as_str).unwrap_or_default();
            let is_in = line.pointer("/event/properties/probed").and_then(serde_json::Value::as_bool);
            let number: Option<usize> = user.strip_prefix("probe-").and_then(|text| text.parse().ok());
            let into = if is_in == Some(true) { &mut entered } else { &mut exited };
            if let Some(at) = number.and_then(|number| into.get_mut(number)) {
                *at = now;
            }
            rest = after.to_owned();
        }
    }
    Ok((entered, exited))
}

fn send(address: &str, number: usize) -> Result<()> {
    let body =
        format!("{{\"userId\":\"probe-{number}\",\"event\":\"Probe\",\"messageId\":\"probe-{number}\"}}");
    let mut stream = TcpStream::connect(address).context("cannot reach the server")?;
    write!(
        stream,
        "POST /v1/track HTTP/1.1\r\nHost: {address}\r\nX-Write-Key: bench-probe-key\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("a probe was refused") }
}

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn millis() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn p99(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    let place = values.len().saturating_sub(1) * 99 / 100;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a benchmark are few")]
    values.get(place).map_or(0.0, |value| *value as f64)
}
