//! `tessera undo` and `tessera undos`: what evidence held together comes apart again, after a look at what that does.

use std::io::{BufRead as _, stdin};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::progress::walked;
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::client::encode;
use crate::output::{self, Failure, count};

/// `tessera undos`.
#[derive(Debug, Subcommand)]
pub(crate) enum Undos {
    /// List what was undone, the last first.
    List,
    /// Take an undo back: the evidence counts again.
    Redo {
        /// Its id, from the list.
        id: String,
        /// Why, for those who ask later. Name no persons.
        #[arg(long)]
        reason: String,
    },
}

/// `tessera undo`.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// All evidence between two identifiers: `user_id:1 anonymous_id:d1`.
    #[arg(long, num_args = 2, value_names = ["A", "B"], required_unless_present_any = ["event", "source"])]
    edge: Vec<String>,
    /// All that the event with this message id said.
    #[arg(long, value_name = "MESSAGE_ID", conflicts_with = "edge")]
    event: Option<String>,
    /// All that a source, or a matcher, said.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["edge", "event"])]
    source: Option<String>,
    /// Only what was received from then on: 2030-01-31 or 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "DATE", requires = "source")]
    from: Option<String>,
    /// Only what was received before. Now unless given.
    #[arg(long, value_name = "DATE", requires = "source")]
    to: Option<String>,
    /// Why, for those who ask later. Name no persons.
    #[arg(long, required_unless_present = "preview")]
    reason: Option<String>,
    /// Show what it would do, and do nothing.
    #[arg(long)]
    preview: bool,
    /// Do not ask whether that is meant.
    #[arg(long)]
    yes: bool,
}

impl Undos {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let answer = client(global)?.get("/api/v1/undo")?;
                if global.json {
                    return print_json(&answer);
                }
                list(&answer, "undos").iter().for_each(line);
                Ok(())
            }
            Self::Redo { id, reason } => {
                let path = format!("/api/v1/undo/{}/redo", encode(id));
                let answer = client(global)?.post(&path, &json!({ "reason": reason }))?;
                if global.json {
                    return print_json(&answer);
                }
                line(&answer);
                Ok(())
            }
        }
    }
}

impl Undo {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        let mut body = Map::new();
        if !self.edge.is_empty() {
            body.insert("edge".to_owned(), json!(self.edge));
        }
        let given =
            [("event", &self.event), ("source", &self.source), ("from", &self.from), ("to", &self.to)];
        for (name, value) in given {
            body.extend(value.iter().map(|value| (name.to_owned(), json!(value))));
        }
        let preview =
            walked(|each| client.post_stream("/api/v1/undo/preview", &Value::Object(body.clone()), each))?;
        if self.preview && global.json {
            return print_json(&preview);
        }
        if !global.json {
            report(&preview);
        }
        if self.preview {
            output::line("nothing was changed");
            return Ok(());
        }
        if !self.yes {
            confirm()?;
        }
        body.insert("reason".to_owned(), json!(self.reason));
        let answer = client.post("/api/v1/undo", &Value::Object(body))?;
        if global.json {
            return print_json(&answer);
        }
        line(&answer);
        output::line(format_args!("`tessera undos redo {} --reason ...` takes it back", text(&answer, "id")));
        Ok(())
    }
}

fn confirm() -> anyhow::Result<()> {
    output::prompt("type `undo` to go on: ");
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read the answer from standard input")?;
    if line.trim() == "undo" {
        return Ok(());
    }
    Err(Failure::new("TES-I044", "nothing was undone", "type `undo`, or give --yes").into())
}

fn line(undo: &Value) {
    let taken_back = match text(undo, "taken_back_at") {
        "" => String::new(),
        at => format!("  taken back {at} by {}", text(undo, "taken_back_by")),
    };
    let selector = undo.get("selector").and_then(Value::as_object);
    let kind = selector.and_then(|selector| selector.iter().next());
    let what = kind.map_or_else(String::new, |(kind, one)| match text(one, "source") {
        "" => kind.clone(),
        source => format!("{kind} {source}"),
    });
    output::line(format_args!(
        "{}  {}  {what}  {} touched  by {}: {}{taken_back}",
        text(undo, "id"),
        text(undo, "at"),
        some(number(undo, "clusters"), "cluster", "clusters"),
        text(undo, "by"),
        text(undo, "reason")
    ));
}

/// What becomes of people, as `undo` and `simulate` show it.
pub(crate) fn people(effect: &Value) -> Vec<String> {
    let profiles = effect.get("profiles").unwrap_or(&Value::Null);
    let mut lines = vec![format!(
        "{} would become {}: {} come apart, {} come together",
        some(number(profiles, "before"), "profile", "profiles"),
        count(number(profiles, "after")),
        count(number(effect, "splitting")),
        count(number(effect, "merged"))
    )];
    lines.extend(counts(effect, "identifiers_moved", "identifiers that move"));
    lines.extend(counts(effect, "traits", "profiles in which a trait is another"));
    for (purpose, change) in effect.get("purposes").and_then(Value::as_object).into_iter().flatten() {
        let (yes, no) = (number(change, "newly_permitted"), number(change, "newly_denied"));
        lines.push(format!("purpose {purpose}: {} newly permitted, {} newly denied", count(yes), count(no)));
    }
    for sample in list(effect, "samples") {
        let shown = |side: &str| {
            let parts = list(sample, side).iter().map(|part| {
                let identifiers = list(part, "identifiers").iter().map(|one| match text(one, "value") {
                    "" => format!("{}:(hidden)", text(one, "namespace")),
                    value => format!("{}:{value}", text(one, "namespace")),
                });
                format!("[{}]", identifiers.collect::<Vec<String>>().join(" "))
            });
            parts.collect::<Vec<String>>().join(" ")
        };
        lines.push(format!("for example {} -> {}", shown("before"), shown("after")));
    }
    lines
}

fn report(preview: &Value) {
    output::line(format_args!(
        "evidence is meant in {}",
        some(number(preview, "clusters"), "cluster", "clusters")
    ));
    people(preview).into_iter().for_each(output::line);
    counts(preview, "waiting", "deliveries that wait").into_iter().for_each(output::line);
    let recipients: Vec<&str> = list(preview, "recipients").iter().filter_map(Value::as_str).collect();
    if !recipients.is_empty() {
        output::line(format_args!(
            "have had something of these people, and are told nothing: {}",
            recipients.join(", ")
        ));
    }
}

/// `identifiers that move: email 3, phone 1`, if any.
fn counts(value: &Value, name: &str, what: &str) -> Option<String> {
    let members = value.get(name).and_then(Value::as_object)?;
    let shown: Vec<String> = members
        .iter()
        .map(|(name, number)| format!("{name} {}", count(number.as_u64().unwrap_or_default())))
        .collect();
    (!shown.is_empty()).then(|| format!("{what}: {}", shown.join(", ")))
}

fn some(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}
