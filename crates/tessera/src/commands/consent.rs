//! `tessera consent`: what a person said about purposes, new words on record, receipts.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::dsr::write_private;
use super::{client, list, print_json, text};
use crate::cli::Global;
use crate::client::encode;
use crate::output::{self, Failure};

/// `tessera consent`.
#[derive(Debug, Subcommand)]
pub(crate) enum Consent {
    /// Show everything that a person said about purposes, and what each purpose may do now.
    Show {
        /// `email:ada@example.com`, or the id of a profile.
        reference: String,
    },
    /// Put on record what a person said elsewhere: at a counter, on the telephone, in a letter.
    Record {
        /// `email:ada@example.com`, or the id of a profile.
        reference: String,
        /// `marketing=withdrawn`; or `restricted`, `unrestricted`, which concern the whole person.
        #[arg(required = true, value_name = "PURPOSE=STATUS")]
        words: Vec<String>,
        /// By which form or channel. Name nobody in it.
        #[arg(long)]
        how: Option<String>,
        /// Where the proof is kept: a reference, never the proof itself.
        #[arg(long)]
        evidence: Option<String>,
        /// When it was said: an RFC 3339 time; now unless given.
        #[arg(long)]
        at: Option<String>,
        /// The version of the purpose that the person was shown; the one in force then unless given.
        #[arg(long, value_name = "VERSION")]
        purpose_version: Option<u32>,
        /// It was said by conduct, not by an act that means it.
        #[arg(long)]
        implied: bool,
    },
    /// Make the receipt of what a person said (ISO/IEC TS 27560).
    Receipt {
        /// `email:ada@example.com`, or the id of a profile.
        reference: String,
        /// Only this purpose.
        #[arg(long)]
        purpose: Option<String>,
        /// The person's language: de, pt-BR.
        #[arg(long, default_value = "en")]
        language: String,
        /// Write it as a page for the person; name the purpose if there are several.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

impl Consent {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        match self {
            Self::Show { reference } => {
                let answer = client.get(&path(reference, "consents"))?;
                if global.json { print_json(&answer) } else { show(&answer) }
            }
            Self::Record { reference, words, how, evidence, at, purpose_version, implied } => {
                let more = [
                    ("how", json!(how)),
                    ("evidence", json!(evidence)),
                    ("at", json!(at)),
                    ("version", json!(purpose_version)),
                    ("expression", json!(if *implied { "implied" } else { "explicit" })),
                ];
                let words: Vec<Value> = words.iter().map(|said| word(said, &more)).collect();
                let answer = client.post(&path(reference, "consents"), &json!({ "words": words }))?;
                if global.json { print_json(&answer) } else { show(&answer) }
            }
            Self::Receipt { reference, purpose, language, html } => {
                let mut query = format!("{}?language={}", path(reference, "receipts"), encode(language));
                if let Some(purpose) = purpose {
                    query.push_str(&format!("&purpose={}", encode(purpose)));
                }
                let Some(file) = html else {
                    return print_json(&client.get(&query)?);
                };
                let page = client.text(&format!("{query}&format=html"))?;
                write_private(file, &page)?;
                output::note(format_args!("written to {}", file.display()));
                Ok(())
            }
        }
    }
}

fn path(reference: &str, what: &str) -> String {
    format!("/api/v1/profiles/{}/{what}", encode(reference))
}

/// `marketing=given` as a word of the API.
fn word(said: &str, more: &[(&str, Value)]) -> Value {
    let mut word: Map<String, Value> = more
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    match said.split_once('=') {
        Some((purpose, status)) => {
            word.insert("purpose".to_owned(), purpose.into());
            word.insert("status".to_owned(), status.into());
        }
        None => {
            word.insert("status".to_owned(), said.into());
        }
    }
    Value::Object(word)
}

fn show(answer: &Value) -> anyhow::Result<()> {
    let purposes = answer.get("purposes").and_then(Value::as_object).ok_or_else(|| {
        Failure::new(
            "TES-C006",
            "the server's answer has no purposes",
            "use the same version of server and command",
        )
    })?;
    output::line(format_args!("profile {}", text(answer, "profile")));
    if answer.get("is_restricted") == Some(&Value::Bool(true)) {
        output::line("  restricted: kept, and not used");
    }
    for (name, purpose) in purposes {
        let decided = match text(purpose, "denied") {
            "" => "permitted".to_owned(),
            denied => format!("denied: {denied}"),
        };
        output::line(format_args!("  {name}  {}  {decided}", text(purpose, "basis")));
        list(purpose, "history").iter().for_each(said);
    }
    list(answer, "person").iter().for_each(said);
    for one in list(answer, "subscriptions") {
        let topic = match text(one, "topic") {
            "" => String::new(),
            topic => format!(" about {topic}"),
        };
        let (namespace, value) = (text(one, "namespace"), text(one, "value"));
        let (channel, state) = (text(one, "channel"), text(one, "state"));
        output::line(format_args!("  messages  {channel}{topic} to {namespace}:{value}: {state}"));
    }
    for (name, value) in answer.get("preferences").and_then(Value::as_object).into_iter().flatten() {
        output::line(format_args!("  preference  {name} = {value}"));
    }
    Ok(())
}

fn said(word: &Value) {
    let more = [text(word, "how"), text(word, "evidence")].into_iter().filter(|text| !text.is_empty());
    let more: Vec<&str> = more.collect();
    output::line(format_args!(
        "    {}  {} {}, version {}, by {}  {}",
        text(word, "at"),
        text(word, "expression"),
        text(word, "status"),
        super::number(word, "version"),
        text(word, "source"),
        more.join(", ")
    ));
}
