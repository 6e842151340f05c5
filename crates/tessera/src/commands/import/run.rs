//! The course of an import: open, map, send, tell.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use serde_json::{Value, json};
use tessera_model::{HASHED_SUFFIX, SourceName};
use tessera_store::{Clock as _, SystemClock};

use super::assemble::Assembler;
use super::journal::{Journal, Key, Progress};
use super::options::{Import, Opened, failure, tell};
use super::report::{Report, bar};
use super::rows::{Mapper, Mapping, suggest};
use super::send::{Sender, Sent};
use crate::cli::Global;
use crate::commands::{client, list, print_json, text};
use crate::output::{self, Failure};

/// How many events a dry run shows.
const SHOWN_EVENTS: usize = 3;
/// How many batches may wait for the server while more rows are read: about 4 MB.
const WAITING_BATCHES: usize = 8;
/// The namespaces that are there without being declared.
const BUILT_IN: [&str; 4] = ["user_id", "anonymous_id", "email", "phone"];

/// Runs `tessera import`.
pub(super) fn run(import: &Import, global: &Global) -> anyhow::Result<()> {
    let mut opened = import.open()?;
    if import.suggest {
        output::line(suggest(&mut opened.reader).map_err(failure)?.trim_end());
        return Ok(());
    }
    let mapping = import.mapping()?;
    let mapper = Mapper::new(&mapping, opened.reader.columns()).map_err(failure)?;
    let assembler = Assembler::new(mapper, import.source.as_deref().unwrap_or_default(), import.limit);
    if import.dry_run {
        return dry_run(global, opened, assembler);
    }
    send(import, global, &mapping, opened, assembler)
}

fn dry_run(global: &Global, mut opened: Opened, mut assembler: Assembler) -> anyhow::Result<()> {
    tell(global, &opened);
    let clock = SystemClock::new();
    let mut shown: Vec<Value> = Vec::new();
    let result = assembler.run(&mut opened.reader, |batch| {
        if shown.is_empty() && batch.events > 0 {
            let body: Value = serde_json::from_slice(&[&batch.body[..], b"]}"].concat()).unwrap_or_default();
            shown = list(&body, "batch").iter().take(SHOWN_EVENTS).cloned().collect();
        }
        true
    });
    let report = report(assembler, Sent::default(), clock.monotonic_nanos());
    if global.json {
        let mut value = report.json();
        if let Some(members) = value.as_object_mut() {
            members.insert("first_events".to_owned(), Value::Array(shown));
        }
        print_json(&value)?;
    } else {
        for event in &shown {
            print_json(event)?;
        }
        report.print(true);
    }
    result.map_err(failure)?;
    check_some(&report)
}

fn send(
    import: &Import,
    global: &Global,
    mapping: &Mapping,
    mut opened: Opened,
    mut assembler: Assembler,
) -> anyhow::Result<()> {
    let source = import.source.as_deref().unwrap_or_default();
    let source = SourceName::parse(source).map_err(|error| {
        Failure::new("TES-M009", format!("--source: {error}"), "name a source of the workspace")
    })?;
    let client = client(global)?;
    let write_key = write_key(&client.get("/api/v1/workspace")?, &source, mapping)?;
    let Some(mut journal) = journal(import, global, mapping)? else { return Ok(()) };
    tell(global, &opened);
    if journal.progress.rows > 0 && !global.json {
        output::note(format_args!("goes on after row {}", output::count(journal.progress.rows)));
    }
    assembler.skip = journal.progress.rows;
    let clock = SystemClock::new();
    let bar = bar(opened.bytes, global.json);
    let (give, taken) = sync_channel(WAITING_BATCHES);
    let (read, sent) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            // Moved in, so that a sender that gave up ends the reading, too.
            let taken = taken;
            let sender = Sender {
                client: &client,
                write_key: &write_key,
                source: source.as_str(),
                pause: &std::thread::sleep,
                on_wait: &|what| bar.suspend(|| output::note(what)),
                on_rows: &|rows| bar.set_message(format!("{} rows", output::count(rows))),
            };
            sender.run(taken.iter(), &mut journal)
        });
        let read = assembler.run(&mut opened.reader, |batch| {
            bar.set_position(opened.read.load(Ordering::Relaxed));
            give.send(batch).is_ok()
        });
        drop(give);
        let sent = sending
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that sends has ended in its middle")));
        (read, sent)
    });
    bar.finish_and_clear();
    let sent = sent?;
    let report = report(assembler, sent, clock.monotonic_nanos());
    if report.tally.is_whole {
        journal.progress.finished_at = Some(clock.now().to_string());
        journal.save()?;
    }
    if global.json {
        print_json(&report.json())?
    } else {
        report.print(false)
    }
    read.map_err(failure)?;
    check_some(&report)
}

/// The journal of this import; `None`, and a word about it, when it was finished before.
fn journal(import: &Import, global: &Global, mapping: &Mapping) -> anyhow::Result<Option<Journal>> {
    let source = import.source.as_deref().unwrap_or_default();
    let mut key = Key::new();
    key.add_file(&import.file).with_context(|| {
        let what = format!("cannot read `{}`", import.file.display());
        Failure::new("TES-M001", what, "check that the file is still there")
    })?;
    for part in [source, import.reading().as_str(), global.url.as_deref().unwrap_or_default()] {
        key.add(part.as_bytes());
    }
    key.add(&serde_json::to_vec(mapping)?);
    let fresh = Progress {
        file: import.file.display().to_string(),
        source: source.to_owned(),
        ..Progress::default()
    };
    let mut journal = Journal::open(&global.data_dir, &key, fresh.clone())?;
    if import.from_start {
        journal.progress = fresh;
    }
    let Some(at) = &journal.progress.finished_at else { return Ok(Some(journal)) };
    if global.json {
        print_json(&json!({"already_imported_at": at, "rows": journal.progress.rows}))?;
    } else {
        output::line(format_args!("already imported on {at}; --from-start imports it again"));
    }
    Ok(None)
}

fn report(assembler: Assembler, sent: Sent, nanos: u64) -> Report {
    let unseen = assembler.mapper.unseen();
    let unseen = if assembler.tally.events > 0 { unseen } else { Vec::new() };
    Report { tally: assembler.tally, sent, nanos, unseen }
}

/// An import of which nothing was taken has failed.
fn check_some(report: &Report) -> anyhow::Result<()> {
    let tally = &report.tally;
    let rejected = tally.rejected + report.sent.rejected;
    if rejected == 0 || rejected < tally.rows - tally.skipped {
        return Ok(());
    }
    let what = match tally.is_hopeless {
        true => {
            format!("the first {} rows were all rejected, so the rest was not tried", output::count(rejected))
        }
        false => format!("all {} rows were rejected", output::count(rejected)),
    };
    let hint = "the mapping does not fit the file: see the reasons above, and try with --dry-run";
    Err(Failure::new("TES-M011", what, hint).into())
}

/// The write key of the source. The namespaces of the mapping must be known, or their identifiers would be left out.
pub(super) fn write_key(workspace: &Value, source: &SourceName, mapping: &Mapping) -> anyhow::Result<String> {
    let documents = list(workspace, "documents");
    let named = |kind: &'static str| documents.iter().filter(move |document| text(document, "kind") == kind);
    for namespace in mapping.identifiers.keys() {
        let is_known = BUILT_IN.contains(&namespace.as_str())
            || named("Namespace").any(|found| text(found, "name") == namespace)
            || namespace.strip_suffix(HASHED_SUFFIX).is_some_and(|clear| {
                let is_hashable = |found: &Value| ["email", "phone"].contains(&text(found, "normalise"));
                ["email", "phone"].contains(&clear)
                    || named("Namespace").any(|found| text(found, "name") == clear && is_hashable(found))
            });
        if !is_known {
            let what = format!("namespace `{namespace}` of the mapping is not in the workspace");
            return Err(
                Failure::new("TES-M003", what, "declare it (`kind: Namespace`) and `tessera apply`").into()
            );
        }
    }
    let Some(found) = named("Source").find(|found| text(found, "name") == source.as_str()) else {
        let sources: Vec<&str> = named("Source").map(|found| text(found, "name")).collect();
        let hint = match sources.as_slice() {
            [] => "declare it (`kind: Source`) and `tessera apply`".to_owned(),
            names => {
                format!("there is {}; or declare it (`kind: Source`) and `tessera apply`", names.join(", "))
            }
        };
        return Err(
            Failure::new("TES-M009", format!("source `{source}` is not in the workspace"), hint).into()
        );
    };
    Ok(text(found, "write_key").to_owned())
}
