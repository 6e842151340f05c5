//! `tessera evidence`: who got what, when, why, on what ground; and the proof that a stranger can check.
//!
//! Invariant: `verify FILE` needs the file and the public key, no data folder and no server.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tessera_evidence::{FolderReader, Form, Verified, verify};

use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::client::encode;
use crate::data_dir::{DataDir, parse_hex};
use crate::governance::public_key;
use crate::output::{self, Failure, count};

/// How often a folder that is being written to is read again when it ended within a line.
const TORN_READS_MAX: u32 = 10;

/// `tessera evidence`.
#[derive(Debug, Subcommand)]
pub(crate) enum Evidence {
    /// Show what is recorded of a person: who got what, when, why, on what ground. Also after an erasure.
    Show {
        /// `email:ada@example.com`, or the id of a profile.
        person: String,
        /// Only this destination.
        #[arg(long)]
        destination: Option<String>,
        /// Only these kinds: delivery, outcome, disclosure, notice, erasure, ...
        #[arg(long, value_delimiter = ',')]
        kind: Vec<String>,
        /// Not before: a date, or an RFC 3339 time.
        #[arg(long)]
        from: Option<String>,
        /// Before: a date, or an RFC 3339 time.
        #[arg(long)]
        until: Option<String>,
    },
    /// Answer "why me?": on what ground a destination got a person's data.
    Why {
        /// `email:ada@example.com`, or the id of a profile.
        person: String,
        /// The destination.
        #[arg(long)]
        destination: String,
        /// The `messageId` of one event.
        #[arg(long)]
        message: Option<String>,
        /// Most deliveries to explain, the latest first.
        #[arg(long, default_value_t = 1)]
        limit: u16,
    },
    /// Write the evidence to a file that anybody can check.
    Export {
        /// The file.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Number of the first entry; all unless given.
        #[arg(long)]
        first: Option<u64>,
        /// Number of the last entry.
        #[arg(long)]
        last: Option<u64>,
    },
    /// Print the number and hash of the last entry, and the public key.
    Head,
    /// Check an export, or the data folder's evidence: nothing changed, dropped, added, reordered or cut off.
    Verify {
        /// An export; the data folder's own evidence unless given. Needs no data folder and no server.
        file: Option<PathBuf>,
        /// The public key, as whoever made the export told it: 64 hexadecimal digits.
        #[arg(long, value_name = "HEX")]
        public_key: Option<String>,
    },
}

impl Evidence {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Show { person, destination, kind, from, until } => {
                let mut query = vec![("person", person.clone())];
                query.extend(destination.clone().map(|text| ("destination", text)));
                query.extend((!kind.is_empty()).then(|| ("kind", kind.join(","))));
                query.extend(from.clone().map(|text| ("from", text)));
                query.extend(until.clone().map(|text| ("until", text)));
                show(global, person, &query)
            }
            Self::Why { person, destination, message, limit } => {
                let mut query = vec![
                    ("person", person.clone()),
                    ("destination", destination.clone()),
                    ("limit", limit.to_string()),
                ];
                query.extend(message.clone().map(|text| ("message", text)));
                why(global, destination, &query)
            }
            Self::Export { output, first, last } => export(global, output, [*first, *last]),
            Self::Head => head(global),
            Self::Verify { file: Some(file), public_key } => check(global, file, public_key.as_deref()),
            Self::Verify { file: None, public_key } => check_folder(global, public_key.as_deref()),
        }
    }
}

/// `?name=value&...`
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn show(global: &Global, person: &str, asked: &[(&str, String)]) -> anyhow::Result<()> {
    let client = client(global)?;
    let mut page = client.get(&format!("/api/v1/evidence{}&limit=1000", query(asked)))?;
    let fragments = list(&page, "fragments").to_vec();
    let (mut all, mut outcomes) = (Vec::new(), serde_json::Map::new());
    loop {
        let found = page.get("outcomes").and_then(Value::as_object);
        if global.json {
            all.extend(list(&page, "entries").iter().cloned());
            outcomes.extend(found.cloned().unwrap_or_default());
        } else {
            if all.is_empty() {
                output::line(format_args!(
                    "evidence about {person}, known by {} keyed hashes",
                    fragments.len()
                ));
                all.push(Value::Null);
            }
            for entry in list(&page, "entries") {
                let outcome = found.and_then(|all| all.get(&number(entry, "seq").to_string()));
                describe(entry, outcome);
            }
        }
        let Some(next) = page.get("next").and_then(Value::as_u64) else { break };
        page = client.get(&format!("/api/v1/evidence{}&limit=1000&after={next}", query(asked)))?;
    }
    match global.json {
        true => print_json(&json!({"fragments": fragments, "entries": all, "outcomes": outcomes})),
        false => Ok(()),
    }
}

fn words(value: &Value, name: &str) -> String {
    let words: Vec<&str> = list(value, name).iter().filter_map(Value::as_str).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn describe(entry: &Value, outcome: Option<&Value>) {
    let at = text(entry, "at");
    let head = |what: String| output::line(format_args!("{at}  #{}  {what}", number(entry, "seq")));
    let more = |what: String| output::line(format_args!("    {what}"));
    match text(entry, "kind") {
        "delivery" => {
            head(format!("{} to {}{}", ended(outcome), text(entry, "destination"), region(entry)));
            ground(entry, &more);
        }
        "disclosure" => {
            head(format!("shown to {} through {}", text(entry, "actor"), text(entry, "route")));
            more(format!("for: {}", words(entry, "purposes")));
            more(format!("fields: {}", words(entry, "fields")));
        }
        "notice" => {
            let (to, right) = (text(entry, "destination"), text(entry, "right"));
            head(format!("{to} was told of the {right}: {}", text(entry, "status")));
        }
        "erasure" => head(format!("erased, by request {}", text(entry, "request"))),
        kind => head(format!("{kind} {} {}", text(entry, "actor"), text(entry, "what"))),
    }
}

/// How a delivery ended, in words.
fn ended(outcome: Option<&Value>) -> String {
    let reason = outcome.map(|outcome| text(outcome, "reason")).unwrap_or_default();
    match outcome.map(|outcome| text(outcome, "result")) {
        None => "left (nothing is known of its end)".to_owned(),
        Some("delivered") => "delivered".to_owned(),
        Some(other) => format!("{other} ({reason})"),
    }
}

fn region(entry: &Value) -> String {
    match text(entry, "region") {
        "" => String::new(),
        region => format!(" ({region})"),
    }
}

/// The ground of a delivery.
fn ground(entry: &Value, more: &impl Fn(String)) {
    more(format!(
        "for: {} (version {}), basis: {}, policies of workspace {}",
        text(entry, "purpose"),
        number(entry, "purpose_version"),
        text(entry, "basis").replace('_', " "),
        number(entry, "policy_version"),
    ));
    if let Some(consent) = entry.get("consent").filter(|consent| consent.is_object()) {
        more(format!(
            "consent: {} at {} through {}, to version {}",
            text(consent, "status"),
            text(consent, "at"),
            text(consent, "source"),
            number(consent, "version"),
        ));
    }
    more(format!("fields: {}", words(entry, "fields")));
    for withheld in list(entry, "withheld") {
        more(format!("withheld: {}, for {}", text(withheld, "field"), text(withheld, "reason")));
    }
}

fn why(global: &Global, destination: &str, asked: &[(&str, String)]) -> anyhow::Result<()> {
    let answer = client(global)?.get(&format!("/api/v1/evidence/why{}", query(asked)))?;
    if global.json {
        return print_json(&answer);
    }
    let more = |what: String| output::line(format_args!("  {what}"));
    for delivery in list(&answer, "deliveries") {
        let outcome = delivery.get("outcome").filter(|outcome| outcome.is_object());
        output::line(format_args!(
            "{} to {destination}{} at {} (entry {})",
            ended(outcome),
            region(delivery),
            text(delivery, "at"),
            number(delivery, "seq")
        ));
        let description = text(delivery, "description");
        if !description.is_empty() {
            more(format!("what for: {description}"));
        }
        more(format!("legal ground: {}", text(delivery, "article")));
        ground(delivery, &more);
        match delivery.get("notice").and_then(Value::as_object) {
            Some(notices) if notices.is_empty() => more("notice: none is declared".to_owned()),
            Some(notices) => {
                for (language, notice) in notices {
                    more(format!("notice ({language}): {}", notice.as_str().unwrap_or_default()));
                }
            }
            None => more(format!(
                "notice: version {} of the purpose is not the declared one any more",
                number(delivery, "purpose_version")
            )),
        }
    }
    if list(&answer, "deliveries").is_empty() {
        output::line(format_args!("nothing of that person went to {destination}"));
    }
    if let Some(controller) = answer.get("controller").filter(|controller| controller.is_object()) {
        output::line(format_args!(
            "responsible: {} {}",
            text(controller, "name"),
            text(controller, "contact")
        ));
        let withdrawal = text(controller, "withdrawal");
        if !withdrawal.is_empty() {
            output::line(format_args!("to take a consent back: {withdrawal}"));
        }
    }
    Ok(())
}

fn export(global: &Global, file: &Path, [first, last]: [Option<u64>; 2]) -> anyhow::Result<()> {
    let client = client(global)?;
    let mut asked = Vec::new();
    asked.extend(first.map(|first| ("first", first.to_string())));
    asked.extend(last.map(|last| ("last", last.to_string())));
    let head = client.get("/api/v1/evidence/head")?;
    // Written beside and renamed: what has the name is whole.
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let failure = || {
        let what = format!("cannot write `{}`", partial.display());
        Failure::new("TES-E005", what, "check that the folder exists and that this account may write to it")
    };
    let written = File::create(&partial).with_context(failure)?;
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template("exporting {bytes}, {bytes_per_sec}")?);
    let mut out = BufWriter::new(bar.wrap_write(&written));
    let bytes = client.download(&format!("/api/v1/evidence/export{}", query(&asked)), &mut out);
    let bytes = bytes.and_then(|bytes| {
        out.flush().with_context(failure)?;
        Ok(bytes)
    });
    bar.finish_and_clear();
    if bytes.is_err() {
        drop(std::fs::remove_file(&partial));
    }
    let bytes = bytes?;
    written.sync_all().and_then(|()| std::fs::rename(&partial, file)).with_context(failure)?;
    if global.json {
        return print_json(&json!({"file": file, "bytes": bytes, "public_key": text(&head, "public_key")}));
    }
    output::line(format_args!("exported {} to {}", output::bytes(bytes), file.display()));
    output::line(format_args!(
        "anybody can check it: tessera evidence verify {} --public-key {}",
        file.display(),
        text(&head, "public_key")
    ));
    Ok(())
}

fn head(global: &Global) -> anyhow::Result<()> {
    let head = client(global)?.get("/api/v1/evidence/head")?;
    if global.json {
        return print_json(&head);
    }
    output::line(format_args!("entry       {}", number(&head, "seq")));
    output::line(format_args!("hash        {}", text(&head, "hash")));
    output::line(format_args!("public key  {}", text(&head, "public_key")));
    Ok(())
}

fn check(global: &Global, file: &Path, key: Option<&str>) -> anyhow::Result<()> {
    let Some(key) = key else {
        let hint = "ask whoever made the export for it, on another way than the export came: `tessera evidence head` prints it";
        return Err(Failure::new("TES-E017", "an export is checked with a public key", hint).into());
    };
    let key = parse_key(key)?;
    let unread = || {
        let what = format!("cannot read `{}`", file.display());
        Failure::new("TES-E016", what, "check the file and the disk")
    };
    let opened = File::open(file).with_context(unread)?;
    let bar = bar(opened.metadata().map_or(0, |data| data.len()))?;
    let reader = BufReader::with_capacity(1 << 18, bar.wrap_read(opened));
    let verified = verify(reader, &key, Form::Export, |_| {});
    bar.finish_and_clear();
    report(global, &verified.with_context(|| unsound(file))?)
}

fn check_folder(global: &Global, key: Option<&str>) -> anyhow::Result<()> {
    let key = match key {
        Some(key) => parse_key(key)?,
        None => DataDir::key_of(&global.data_dir).and_then(|key| public_key(&key)).ok_or_else(|| {
            let what = format!("`{}` is no data folder: it has no key", global.data_dir.display());
            Failure::new("TES-C002", what, "name the folder with --data-dir, or an export")
        })?,
    };
    report(global, &verify_folder(&global.data_dir, &key)?)
}

/// Checks the evidence of a data folder.
pub(super) fn verify_folder(data: &Path, key: &[u8; 32]) -> anyhow::Result<Verified> {
    let folder = data.join("evidence");
    let mut reads = 0;
    loop {
        let files = std::fs::read_dir(&folder).with_context(|| unsound(&folder))?;
        let bytes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
        let bar = bar(bytes)?;
        let reader = FolderReader::open(&folder).with_context(|| unsound(&folder))?;
        let verified = verify(BufReader::new(bar.wrap_read(reader)), key, Form::Folder, |_| {});
        bar.finish_and_clear();
        reads += 1;
        match verified {
            // A server that writes may have been in the middle of a line.
            Err(error) if error.code() == "TES-E014" && reads < TORN_READS_MAX => {}
            verified => return verified.with_context(|| unsound(&folder)),
        }
    }
}

fn unsound(path: &Path) -> String {
    format!("the evidence in `{}` does not verify", path.display())
}

fn bar(bytes: u64) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(bytes);
    bar.set_style(ProgressStyle::with_template(
        "verifying {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )?);
    Ok(bar)
}

fn parse_key(key: &str) -> anyhow::Result<[u8; 32]> {
    parse_hex(&key.trim().to_ascii_lowercase()).ok_or_else(|| {
        let hint = "give the 64 hexadecimal digits that `tessera evidence head` prints";
        Failure::new("TES-E017", "that is no public key", hint).into()
    })
}

fn report(global: &Global, verified: &Verified) -> anyhow::Result<()> {
    if global.json {
        return print_json(&as_json(verified));
    }
    told(verified);
    Ok(())
}

/// What was verified, for programs.
pub(super) fn as_json(verified: &Verified) -> Value {
    json!({
        "verified": true, "entries": verified.entries, "first": verified.first, "last": verified.last,
        "from_at": verified.from_at, "to_at": verified.to_at, "checkpoints": verified.checkpoints,
        "head": verified.head.to_string(), "unsigned": verified.unsigned, "sealed_at": verified.sealed_at,
    })
}

/// What was verified, for people.
pub(super) fn told(verified: &Verified) {
    let Verified { entries, first, last, from_at, to_at, checkpoints, unsigned, .. } = verified;
    output::line(format_args!(
        "evidence verified: {} entries, {first} to {last}, from {from_at} to {to_at}, {} signed checkpoints, head {}",
        count(*entries),
        count(*checkpoints),
        verified.head
    ));
    match &verified.sealed_at {
        Some(at) => output::line(format_args!("nothing is missing: sealed at {at}")),
        None if *unsigned > 0 => {
            output::line(format_args!("the last {} entries are chained but not signed yet", count(*unsigned)))
        }
        None => {}
    }
}
