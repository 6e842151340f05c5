//! `tessera erase`, `tessera erasures` and `tessera sweep`: data that goes, to the last byte.

use std::io::{BufRead as _, stdin};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::dsr::{path, show};
use super::progress::{bar, ended};
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::client::Client;
use crate::output::{self, Failure, bytes, count};

/// Between two questions how far it is.
const PAUSE: Duration = Duration::from_millis(200);

/// `tessera erase`.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// Identifiers of the person: `email:ada@example.com`.
    #[arg(required = true, value_name = "REFERENCE")]
    subjects: Vec<String>,
    /// gdpr, ccpa or lgpd.
    #[arg(long, default_value = "gdpr")]
    regime: String,
    /// How the person has shown who they are: signed_in, contact_point, knowledge, document or vouched_for.
    #[arg(long, value_name = "HOW")]
    identity: String,
    /// Look through every byte of the data folder afterwards, for the person's identifiers and texts.
    #[arg(long)]
    verify: bool,
    /// A further value that must be nowhere afterwards; may be given more than once.
    #[arg(long = "canary", value_name = "VALUE", requires = "verify")]
    canaries: Vec<String>,
    /// Do not ask whether that is meant.
    #[arg(long)]
    yes: bool,
}

/// `tessera erasures`.
#[derive(Debug, Subcommand)]
pub(crate) enum Erasures {
    /// List the erasures that were ordered.
    List,
    /// Let what comes of erased identifiers be kept again: the person came back. What was erased stays gone.
    Lift {
        /// The identifiers.
        #[arg(required = true, value_name = "REFERENCE")]
        subjects: Vec<String>,
    },
    /// Look for values in every byte of the server's data folder.
    Verify {
        /// A value that must be nowhere; may be given more than once.
        #[arg(long = "canary", value_name = "VALUE", required = true)]
        canaries: Vec<String>,
    },
}

impl Erase {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        if !self.yes {
            confirm(self.subjects.len())?;
        }
        let order = json!({"type": "erasure", "subjects": self.subjects, "regime": self.regime});
        let request = client.post("/api/v1/requests", &order)?;
        let id = text(&request, "id");
        output::note(format_args!("request {id}"));
        client.post(&format!("{}/verify-identity", path(id)), &json!({"proof": self.identity}))?;
        client.post(&format!("{}/fulfil", path(id)), &json!({"verify": self.verify}))?;
        let request = wait(&client, id).with_context(|| {
            let hint = format!("`tessera dsr show {id}` says when it has ended");
            Failure::new("TES-C006", "the erasure was ordered and goes on without being watched", hint)
        })?;
        let found = match self.verify {
            true => Some(look(&client, &json!({"request": id, "values": self.canaries}))?),
            false => None,
        };
        if global.json {
            print_json(&json!({"request": request, "verify": found}))?;
        } else {
            show(&request);
            found.iter().for_each(print);
        }
        found.as_ref().map_or(Ok(()), clean)
    }
}

fn confirm(people: usize) -> anyhow::Result<()> {
    output::prompt(&format!(
        "everything held under {people} identifier(s), and under all that are linked to them, is erased for good; \
         type `erase` to go on: "
    ));
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the answer from standard input")?;
    if line.trim() == "erase" {
        return Ok(());
    }
    Err(Failure::new("TES-R028", "nothing was erased", "type `erase`, or give --yes").into())
}

/// Waits until the erasure has ended, and shows how far it is.
fn wait(client: &Client, id: &str) -> anyhow::Result<Value> {
    let bar = bar("erasing: {msg} {bar:40} {bytes} of {total_bytes} of log")?;
    loop {
        let request = client.get(&path(id))?;
        if text(&request, "status") != "in_progress" {
            bar.finish_and_clear();
            return Ok(request);
        }
        let housekeeping = client.get("/api/v1/housekeeping")?;
        if let Some(passing) = housekeeping.get("passing").filter(|passing| !passing.is_null()) {
            bar.set_message(text(passing, "stage").to_owned());
            bar.set_length(number(passing, "total"));
            bar.set_position(number(passing, "done"));
        } else {
            bar.set_message("waiting for the destinations that write files");
        }
        if let Some(trouble) = housekeeping.get("trouble").and_then(Value::as_str) {
            bar.set_message(format!("waiting: {trouble}"));
        }
        sleep(PAUSE);
    }
}

fn look(client: &Client, order: &Value) -> anyhow::Result<Value> {
    let bar = bar("verifying {bar:40} {bytes} of about {total_bytes}, {eta} left")?;
    ended(&bar, |each| client.post_stream("/api/v1/erasures/verify", order, each))
}

fn print(found: &Value) {
    output::line(format_args!(
        "looked for {} values ({} of the person's) in {} files with {}, and in {} rows with {}",
        count(number(found, "values")),
        count(number(found, "from_profile")),
        count(number(found, "files")),
        bytes(number(found, "bytes")),
        count(number(found, "rows")),
        bytes(number(found, "row_bytes"))
    ));
    for trace in list(found, "traces") {
        let is_proof = trace.get("is_proof") == Some(&Value::Bool(true));
        let what = if is_proof { "FOUND" } else { "found, which others may have too" };
        let (value, place, times) = (text(trace, "value"), text(trace, "place"), number(trace, "count"));
        output::line(format_args!("  {what}: {value} in {place}, {} times", count(times)));
    }
    if found.get("is_clean") == Some(&Value::Bool(true)) {
        output::line("nothing is left");
    }
}

/// Fails if something is left.
fn clean(found: &Value) -> anyhow::Result<()> {
    if found.get("is_clean") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let hint = "the places are listed above; a file that Tessera does not write must be cleaned by hand";
    Err(Failure::new("TES-R030", "something of the person is left", hint).into())
}

impl Erasures {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        match self {
            Self::List => {
                let answer = client.get("/api/v1/erasures")?;
                if global.json {
                    return print_json(&answer);
                }
                for one in list(&answer, "erasures") {
                    let is_done = one.get("is_done") == Some(&Value::Bool(true));
                    output::line(format_args!(
                        "{}  {}  {} identifiers, {} spared by law, {} lifted  {}",
                        text(one, "request"),
                        text(one, "at"),
                        count(number(one, "identifiers")),
                        count(number(one, "spared")),
                        count(number(one, "lifted")),
                        if is_done { "done" } else { "going on" }
                    ));
                }
                Ok(())
            }
            Self::Lift { subjects } => {
                let answer = client.post("/api/v1/erasures/lift", &json!({ "subjects": subjects }))?;
                if global.json {
                    return print_json(&answer);
                }
                output::line(format_args!("lifted: {}", count(number(&answer, "lifted"))));
                Ok(())
            }
            Self::Verify { canaries } => {
                let found = look(&client, &json!({ "values": canaries }))?;
                if global.json {
                    print_json(&found)?
                } else {
                    print(&found)
                }
                clean(&found)
            }
        }
    }
}

/// `tessera sweep`: removes now what no purpose covers any more, and waits for the end.
pub(crate) fn sweep(global: &Global) -> anyhow::Result<()> {
    let client = client(global)?;
    let sweep = number(&client.post("/api/v1/sweeps", &json!({}))?, "sweep");
    let bar = bar("sweeping: {msg} {bar:40} {bytes} of {total_bytes} of log")?;
    let answer = loop {
        let answer = client.get(&format!("/api/v1/sweeps/{sweep}"))?;
        if answer.get("is_done") == Some(&Value::Bool(true)) {
            break answer;
        }
        let housekeeping = answer.get("housekeeping").unwrap_or(&Value::Null);
        if let Some(trouble) = housekeeping.get("trouble").and_then(Value::as_str) {
            bar.finish_and_clear();
            let hint = "mend the cause and sweep again; the server's log has more";
            return Err(Failure::new("TES-R029", format!("the sweep cannot go on: {trouble}"), hint).into());
        }
        if let Some(passing) = housekeeping.get("passing").filter(|passing| !passing.is_null()) {
            bar.set_message(text(passing, "stage").to_owned());
            bar.set_length(number(passing, "total"));
            bar.set_position(number(passing, "done"));
        }
    };
    bar.finish_and_clear();
    if global.json {
        return print_json(&answer);
    }
    let log = answer.pointer("/housekeeping/last_sweep/log").unwrap_or(&Value::Null);
    let (events, segments) = (number(log, "events"), number(log, "segments"));
    output::line(format_args!(
        "swept: {} events made unreadable, {} segments of log rewritten",
        count(events),
        count(segments)
    ));
    Ok(())
}
