//! `tessera report`: what a regulator asks for on paper.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::evidence::query;
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::output::{self, Failure, count};

/// `tessera report`.
#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// The records of processing activities (GDPR Art. 30), made from the workspace.
    Records {
        /// Write a page that stands alone to this file.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Print Markdown, as without it.
        #[arg(long)]
        markdown: bool,
        /// Whose data: customers, readers; may be given more than once.
        #[arg(long, value_name = "WHO")]
        data_subjects: Vec<String>,
        /// Where this installation stores the data; may be given more than once.
        #[arg(long, value_name = "WHERE")]
        stored_in: Vec<String>,
        /// A measure of security besides Tessera's own; may be given more than once.
        #[arg(long, value_name = "TEXT")]
        measure: Vec<String>,
        /// What protects data that goes to a region; may be given more than once.
        #[arg(long, value_name = "REGION=TEXT")]
        safeguard: Vec<String>,
    },
    /// What to mend in the workspace: purposes without notice, fields without label, destinations never used.
    Policy {
        /// Print Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Who was touched by a destination, a field or an account, in a span of time (GDPR Art. 33, 34).
    Breach(Breach),
}

/// `tessera report breach`.
#[derive(Debug, Args)]
pub(crate) struct Breach {
    /// Where the data went.
    #[arg(long)]
    destination: Option<String>,
    /// The account that was shown it.
    #[arg(long)]
    actor: Option<String>,
    /// Path of the field: `traits.email`, or `traits.*` for all below.
    #[arg(long)]
    field: Option<String>,
    /// Not before: a date, or an RFC 3339 time.
    #[arg(long)]
    from: Option<String>,
    /// Before: a date, or an RFC 3339 time.
    #[arg(long)]
    until: Option<String>,
    /// With e-mail addresses and phone numbers of those who are still known, as far as a purpose permits.
    #[arg(long)]
    contacts: bool,
    /// The purpose that permits the contact points.
    #[arg(long, value_name = "PURPOSE", requires = "contacts")]
    contacts_for: Option<String>,
    /// Write all people to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

impl Report {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Records { html, markdown: _, data_subjects, stored_in, measure, safeguard } => {
                let mut asked = Vec::new();
                asked.extend(data_subjects.iter().map(|text| ("data_subjects".to_owned(), text.clone())));
                asked.extend(stored_in.iter().map(|text| ("stored_in".to_owned(), text.clone())));
                asked.extend(measure.iter().map(|text| ("measure".to_owned(), text.clone())));
                asked.extend(safeguard.iter().map(|pair| {
                    let (region, text) = pair.split_once('=').unwrap_or((pair, ""));
                    (format!("safeguard.{region}"), text.to_owned())
                }));
                records(global, html.as_deref(), &asked)
            }
            Self::Policy { markdown } => policy(global, *markdown),
            Self::Breach(asked) => breach(global, asked),
        }
    }
}

fn records(global: &Global, html: Option<&Path>, asked: &[(String, String)]) -> anyhow::Result<()> {
    let format = match html {
        _ if global.json => "json",
        Some(_) => "html",
        None => "markdown",
    };
    let mut pairs = vec![("format", format.to_owned())];
    pairs.extend(asked.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let page = client(global)?.text(&format!("/api/v1/records{}", query(&pairs)))?;
    match html {
        Some(file) => write(file, &page),
        None if global.json => print_json(&serde_json::from_str(&page)?),
        None => {
            output::line(page.trim_end());
            Ok(())
        }
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| {
        let what = format!("cannot write `{}`", file.display());
        Failure::new("TES-E005", what, "check that the folder exists and that this account may write to it")
    })?;
    output::line(format_args!("written: {}", file.display()));
    Ok(())
}

fn policy(global: &Global, markdown: bool) -> anyhow::Result<()> {
    let answer = client(global)?.get("/api/v1/policy-report")?;
    if global.json {
        return print_json(&answer);
    }
    let findings = list(&answer, "findings");
    if markdown {
        output::line(
            "| severity | document | what | article | what to do |\n| --- | --- | --- | --- | --- |",
        );
    }
    for one in findings {
        let document = format!("{}/{}", text(one, "kind"), text(one, "name"));
        let (severity, what) = (text(one, "severity"), text(one, "what"));
        let (article, hint) = (text(one, "article"), text(one, "hint"));
        if markdown {
            let document = document.replace('|', "\\|");
            output::line(format_args!("| {severity} | {document} | {what} | {article} | {hint} |"));
        } else {
            output::line(format_args!("{severity:6}  {document}: {what} ({article})"));
            output::line(format_args!("        {hint}"));
        }
    }
    if findings.is_empty() {
        output::line("nothing to mend was found");
    }
    Ok(())
}

fn breach(global: &Global, asked: &Breach) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for (name, value) in [
        ("destination", &asked.destination),
        ("actor", &asked.actor),
        ("field", &asked.field),
        ("from", &asked.from),
        ("until", &asked.until),
        ("contacts_for", &asked.contacts_for),
    ] {
        pairs.extend(value.clone().map(|value| (name, value)));
    }
    if asked.contacts {
        pairs.push(("contacts", "true".to_owned()));
    }
    let client = client(global)?;
    if let Some(file) = &asked.csv {
        pairs.extend([("format", "csv".to_owned()), ("limit", "1000000".to_owned())]);
        return write(file, &client.text(&format!("/api/v1/breach{}", query(&pairs)))?);
    }
    let answer = client.get(&format!("/api/v1/breach{}", query(&pairs)))?;
    if global.json {
        return print_json(&answer);
    }
    output::line(format_args!(
        "{} people were touched, {} of them erased since; {} times in all",
        count(number(&answer, "people_count")),
        count(number(&answer, "gone_count")),
        count(number(&answer, "touches"))
    ));
    for (field, people) in answer.get("fields").and_then(Value::as_object).into_iter().flatten() {
        output::line(format_args!("  field {field}: {} people", count(people.as_u64().unwrap_or_default())));
    }
    for person in list(&answer, "people") {
        let contacts: Vec<String> = list(person, "contacts")
            .iter()
            .map(|one| format!("{}:{}", text(one, "namespace"), text(one, "value")))
            .collect();
        output::line(format_args!(
            "{}  {} times, {} arrived, {} to {}  {}",
            text(person, "profile"),
            count(number(person, "touches")),
            count(number(person, "arrived")),
            text(person, "first_at"),
            text(person, "last_at"),
            contacts.join(" ")
        ));
    }
    if answer.get("is_cut").and_then(Value::as_bool).unwrap_or_default() {
        output::line("there are more: --csv FILE writes all of them");
    }
    Ok(())
}
