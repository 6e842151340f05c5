//! `tessera dsr`: requests of data subjects.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::progress::{bar, ended};
use super::{client, list, print_json, text};
use crate::cli::Global;
use crate::client::{Client, encode};
use crate::output::{self, Failure};

/// `tessera dsr`.
#[derive(Debug, Subcommand)]
pub(crate) enum Dsr {
    /// Open a request. The identifiers are hashed at once; none is kept.
    Open {
        /// access, portability, rectification, erasure, restriction, lift_restriction, objection or opt_out_of_sale.
        #[arg(value_name = "TYPE")]
        request_type: String,
        /// Identifiers of the person: `email:ada@example.com`.
        #[arg(required = true, value_name = "REFERENCE")]
        subjects: Vec<String>,
        /// gdpr, ccpa or lgpd.
        #[arg(long, default_value = "gdpr")]
        regime: String,
        /// A purpose that it is about; may be given more than once. All unless given.
        #[arg(long = "purpose", value_name = "PURPOSE")]
        purposes: Vec<String>,
        /// When the person asked, if earlier: an RFC 3339 time. The clock counts from there.
        #[arg(long, value_name = "TIME")]
        received_at: Option<String>,
    },
    /// List requests, those that must be answered first in front.
    List {
        /// Only these: open, received, identity_check, in_progress, completed, denied, cancelled, expired.
        #[arg(long)]
        status: Option<String>,
        /// Only those whose last day has passed.
        #[arg(long)]
        overdue: bool,
    },
    /// Show a request with its clock and its history.
    Show {
        /// Its id.
        id: String,
    },
    /// Record how the person has shown who they are, or that they were asked to.
    VerifyIdentity {
        /// Its id.
        id: String,
        /// signed_in, contact_point, knowledge, document or vouched_for.
        #[arg(long, value_name = "HOW", required_unless_present = "ask_until")]
        proof: Option<String>,
        /// They were asked, and may answer until then: an RFC 3339 time.
        #[arg(long, value_name = "TIME", conflicts_with = "proof")]
        ask_until: Option<String>,
    },
    /// Record that the person was told that the request has arrived.
    Acknowledge {
        /// Its id.
        id: String,
    },
    /// Do what the request asks for.
    Fulfil {
        /// Its id.
        id: String,
        /// Rectification: the right value of a trait, as JSON or text; may be given more than once.
        #[arg(long = "trait", value_name = "NAME=VALUE")]
        traits: Vec<String>,
        /// Rectification: a trait that goes; may be given more than once.
        #[arg(long = "remove-trait", value_name = "NAME")]
        removed: Vec<String>,
        /// An exception under which a part is kept or withheld: legal_obligation, ...; may be given more than once.
        #[arg(long, value_name = "REASON")]
        except: Vec<String>,
    },
    /// Deny a request, on a ground that the law knows for it.
    Deny {
        /// Its id.
        id: String,
        /// The ground: manifestly_unfounded, identity_not_proven, legal_obligation, ...
        #[arg(long)]
        reason: String,
        /// In words, which the person is told. Name nobody.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Record that the person was told that it takes longer.
    Extend {
        /// Its id.
        id: String,
        /// The reasons, which the person is told. Name nobody.
        #[arg(long)]
        why: String,
    },
    /// Record that the person took the request back.
    Cancel {
        /// Its id.
        id: String,
        /// Why, if they said so. Name nobody.
        #[arg(long, default_value = "")]
        why: String,
    },
    /// End a request whose person did not show who they are in time.
    Expire {
        /// Its id.
        id: String,
    },
    /// Record what became of telling a recipient that Tessera cannot tell by itself.
    Tell {
        /// Its id.
        id: String,
        /// The recipient.
        destination: String,
        /// It took note: the number it answered with, or an empty text.
        #[arg(long, required_unless_present = "impossible")]
        receipt: Option<String>,
        /// It cannot be told: why.
        #[arg(long, conflicts_with = "receipt")]
        impossible: Option<String>,
    },
    /// Make the report for the person of a request for access or portability.
    Report {
        /// Its id.
        id: String,
        /// As a page that can be read and printed, not as JSON.
        #[arg(long)]
        html: bool,
        /// Where to write it; standard output unless given.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

const REQUESTS: &str = "/api/v1/requests";

pub(super) fn path(id: &str) -> String {
    format!("{REQUESTS}/{}", encode(id))
}

impl Dsr {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        let step = |id: &str, step: &str, body: Value| {
            let answer = client.post(&format!("{}/{step}", path(id)), &body)?;
            print(global, &answer)
        };
        match self {
            Self::Open { request_type, subjects, regime, purposes, received_at } => {
                let order = json!({
                    "type": request_type, "subjects": subjects, "regime": regime,
                    "purposes": purposes, "received_at": received_at,
                });
                print(global, &client.post(REQUESTS, &order)?)
            }
            Self::List { status, overdue } => {
                let mut query = vec![];
                query.extend(status.as_ref().map(|status| format!("status={}", encode(status))));
                query.extend(overdue.then(|| "overdue=true".to_owned()));
                let answer = client.get(&format!("{REQUESTS}?{}", query.join("&")))?;
                if global.json {
                    return print_json(&answer);
                }
                list(&answer, "requests").iter().for_each(line);
                Ok(())
            }
            Self::Show { id } => print(global, &client.get(&path(id))?),
            Self::VerifyIdentity { id, proof, ask_until } => {
                step(id, "verify-identity", json!({"proof": proof, "ask_until": ask_until}))
            }
            Self::Acknowledge { id } => step(id, "acknowledge", json!({})),
            Self::Fulfil { id, traits, removed, except } => {
                let order = json!({"traits": parse_traits(traits, removed)?, "except": except});
                step(id, "fulfil", order)
            }
            Self::Deny { id, reason, why } => step(id, "deny", json!({"reason": reason, "why": why})),
            Self::Extend { id, why } => step(id, "extend", json!({ "why": why })),
            Self::Cancel { id, why } => step(id, "cancel", json!({ "why": why })),
            Self::Expire { id } => step(id, "expire", json!({})),
            Self::Tell { id, destination, receipt, impossible } => step(
                id,
                "tell",
                json!({"destination": destination, "receipt": receipt, "impossible": impossible}),
            ),
            Self::Report { id, html, output } => report(&client, id, *html, output.as_deref()),
        }
    }
}

fn parse_traits(traits: &[String], removed: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut parsed = Map::new();
    for pair in traits {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failure::new(
                "TES-R028",
                "`--trait` has no value",
                "write it as NAME=VALUE; --remove-trait removes one",
            )
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        parsed.insert(name.to_owned(), value);
    }
    parsed.extend(removed.iter().map(|name| (name.clone(), Value::Null)));
    Ok(parsed)
}

fn report(client: &Client, id: &str, html: bool, output: Option<&Path>) -> anyhow::Result<()> {
    let format = if html { "html" } else { "json" };
    let bar = bar("reading the log {bar:40} {bytes} of {total_bytes}, {eta} left")?;
    let end = ended(&bar, |each| client.stream(&format!("{}/report?format={format}", path(id)), each));
    let report = end?;
    let written = match html {
        true => text(&report, "html").to_owned(),
        false => serde_json::to_string_pretty(&report)?,
    };
    match output {
        None => output::line(written),
        Some(file) => {
            write_private(file, &written)?;
            output::note(format_args!("written to {}", file.display()));
        }
    }
    Ok(())
}

/// Writes a file that nobody else may read: it is about a person.
pub(super) fn write_private(file: &Path, what: &str) -> anyhow::Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let written = open.open(file).and_then(|mut open| open.write_all(what.as_bytes()));
    written.with_context(|| format!("cannot write `{}`", file.display()))
}

fn print(global: &Global, answer: &Value) -> anyhow::Result<()> {
    if global.json {
        return print_json(answer);
    }
    show(answer);
    Ok(())
}

/// One request as a line.
fn line(request: &Value) {
    let clock = request.get("clock").unwrap_or(&Value::Null);
    let late = if clock.get("is_overdue") == Some(&Value::Bool(true)) { "  OVERDUE" } else { "" };
    let paused = if clock.get("is_paused") == Some(&Value::Bool(true)) { "  paused" } else { "" };
    output::line(format_args!(
        "{}  {} {}  {}  answer by {}{paused}{late}",
        text(request, "id"),
        text(request, "regime"),
        text(request, "request_type"),
        text(request, "status"),
        text(clock, "answer_by")
    ));
}

pub(super) fn show(request: &Value) {
    line(request);
    let is = |name: &str| request.get(name) == Some(&Value::Bool(true));
    let clock = request.get("clock").unwrap_or(&Value::Null);
    if let Some(by) = clock.get("acknowledge_by").and_then(Value::as_str) {
        output::line(format_args!("  acknowledge by {by}"));
    }
    let verified = if is("is_verified") { "has shown who they are" } else { "has not shown who they are" };
    output::line(format_args!("  the person {verified}"));
    if is("no_data_found") {
        output::line("  no data found");
    }
    if let Some(denied) = request.get("denied") {
        output::line(format_args!("  denied: {} ({})", text(denied, "reason"), text(denied, "article")));
    }
    for reason in
        list(request, "except").iter().filter_map(Value::as_str).filter(|reason| *reason != "no_match")
    {
        output::line(format_args!("  a part is kept or withheld: {}", reason.replace('_', " ")));
    }
    for step in list(request, "history") {
        output::line(format_args!("  {}  {}  by {}", text(step, "at"), text(step, "action"), by(step)));
    }
    for recipient in list(request, "recipients") {
        let told = recipient.get("told").unwrap_or(&Value::Null);
        let told = told.as_str().map_or_else(|| told.to_string(), str::to_owned);
        output::line(format_args!("  recipient {}: {told}", text(recipient, "destination")));
    }
}

fn by(step: &Value) -> String {
    match step.get("by") {
        Some(Value::Object(who)) => {
            let mut who =
                who.iter().map(|(kind, name)| format!("{kind} {}", name.as_str().unwrap_or_default()));
            who.next().unwrap_or_default()
        }
        Some(Value::String(who)) => who.clone(),
        _ => String::new(),
    }
}
