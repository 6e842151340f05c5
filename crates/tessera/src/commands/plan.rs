//! `tessera plan`: learn, try and compare tracking plans. `tessera alert`: what is not as they expect.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tessera_contract::{Change, Contract, Tally, TrackingPlanDocument, compare};
use tessera_model::{Document, wire::Text};

use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::client::encode;
use crate::output::{self, Failure};
use crate::yaml;

/// `tessera plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Learn a first tracking plan from what has arrived, and print it as YAML to read, correct and apply.
    Infer {
        /// The source to learn from.
        #[arg(long)]
        source: String,
        /// Only events that arrived at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z.
        #[arg(long, value_name = "DATE")]
        since: Option<String>,
        /// What the plan is called; the source's name unless given.
        #[arg(long)]
        name: Option<String>,
        /// Most events to read; 200,000 unless given.
        #[arg(long, value_name = "COUNT")]
        events: Option<u64>,
    },
    /// Try a tracking plan on events before it is applied: how many it would pass, strip, keep aside, block, and why.
    Check {
        /// The plan's YAML file.
        file: PathBuf,
        /// Events as JSON Lines, as a client sends them; without it, what has arrived at the server.
        events_file: Option<PathBuf>,
        /// The source whose events they are; the plan's only one unless given.
        #[arg(long)]
        source: Option<String>,
        /// Of what has arrived: only events of this time or later.
        #[arg(long, value_name = "DATE", conflicts_with = "events_file")]
        since: Option<String>,
        /// Of what has arrived: most events to read; 200,000 unless given.
        #[arg(long, value_name = "COUNT", conflicts_with = "events_file")]
        events: Option<u64>,
        /// End with an error if any event would be refused.
        #[arg(long)]
        strict: bool,
    },
    /// Show what a tracking plan changes of the one applied, and whether that breaks senders.
    Diff {
        /// The new plan's YAML file.
        file: PathBuf,
        /// The old plan's YAML file; without it, the server's plan of that name.
        old: Option<PathBuf>,
        /// End with an error if it breaks senders.
        #[arg(long)]
        strict: bool,
    },
    /// Show how often each kind of violation came.
    Violations {
        /// Only of this plan.
        #[arg(long)]
        plan: Option<String>,
    },
}

/// `tessera alert`.
#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// List alerts that are not over, the oldest first.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
    },
    /// Say that somebody knows of an alert.
    Ack {
        /// Its id, from the list.
        id: String,
    },
}

impl Plan {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Infer { source, since, name, events } => {
                let order = json!({ "source": source, "since": since, "name": name, "events_max": events });
                infer(global, &order)
            }
            Self::Check { file, events_file, source, since, events, strict } => {
                let plan = read_plan(file)?;
                let source = source_of(&plan, source.as_deref())?;
                let answer = match events_file {
                    Some(events_file) => check_file(&plan, &source, events_file)?,
                    None => {
                        let order = json!({ "source": source, "since": since, "events_max": events,
                                            "plan": Document::TrackingPlan(plan) });
                        client(global)?.post("/api/v1/plans/check", &order)?
                    }
                };
                show_check(global, &answer, *strict)
            }
            Self::Diff { file, old, strict } => diff(global, file, old.as_deref(), *strict),
            Self::Violations { plan } => violations(global, plan.as_deref()),
        }
    }
}

impl Alert {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::List { all } => {
                let query = if *all { "?state=all" } else { "" };
                let answer = client(global)?.get(&format!("/api/v1/alerts{query}"))?;
                if global.json {
                    return print_json(&answer);
                }
                for alert in list(&answer, "alerts") {
                    let of = [text(alert, "source"), text(alert, "event"), text(alert, "subject")];
                    let of: Vec<&str> = of.into_iter().filter(|part| !part.is_empty()).collect();
                    let (id, at, state) = (text(alert, "id"), text(alert, "raised_at"), text(alert, "state"));
                    output::line(format_args!(
                        "{id}  {at}  {state}  {}  {}",
                        of.join(" / "),
                        text(alert, "what")
                    ));
                }
                Ok(())
            }
            Self::Ack { id } => {
                let path = format!("/api/v1/alerts/{}/acknowledge", encode(id));
                let answer = client(global)?.post(&path, &json!({}))?;
                if global.json {
                    return print_json(&answer);
                }
                output::line(format_args!("{}  {}", text(&answer, "id"), text(&answer, "state")));
                Ok(())
            }
        }
    }
}

fn infer(global: &Global, order: &Value) -> anyhow::Result<()> {
    let answer = client(global)?.post("/api/v1/plans/infer", order)?;
    if global.json {
        return print_json(&answer);
    }
    let plan: Document = serde_json::from_value(answer.get("plan").cloned().unwrap_or_default())?;
    output::line(yaml::write(&[plan])?.trim_end());
    let read = answer.get("read").cloned().unwrap_or_default();
    output::note(format_args!(
        "learnt from {} events; {} were left out for want of a purpose, {} for their names",
        number(&read, "events"),
        number(&read, "denied"),
        number(&answer, "left_out")
    ));
    Ok(())
}

/// The one tracking plan in a file.
fn read_plan(file: &Path) -> anyhow::Result<TrackingPlanDocument> {
    let files = yaml::read(&[file.to_owned()])?;
    let plans = files
        .documents
        .into_iter()
        .filter_map(|document| if let Document::TrackingPlan(plan) = document { Some(plan) } else { None });
    let mut plans: Vec<TrackingPlanDocument> = plans.collect();
    match (plans.pop(), plans.is_empty()) {
        (Some(plan), true) => Ok(plan),
        _ => {
            let what = format!("`{}` holds no tracking plan, or more than one", file.display());
            Err(Failure::new("TES-W002", what, "name a file with one `kind: TrackingPlan`").into())
        }
    }
}

fn source_of(plan: &TrackingPlanDocument, named: Option<&str>) -> anyhow::Result<String> {
    let mut sources = plan.sources.iter();
    match (named, sources.next(), sources.next()) {
        (Some(named), ..) if plan.sources.contains(named) => Ok(named.to_owned()),
        (None, Some(only), None) => Ok(only.clone()),
        _ => {
            let known: Vec<&str> = plan.sources.iter().map(String::as_str).collect();
            let what = "the source whose events to check is not clear";
            Err(Failure::new("TES-K003", what, format!("give --source, one of: {}", known.join(", "))).into())
        }
    }
}

/// As much of a call as a plan speaks of.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    event: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traits: Option<&'a RawValue>,
}

fn check_file(plan: &TrackingPlanDocument, source: &str, file: &Path) -> anyhow::Result<Value> {
    let contract = Contract::compile(plan).map_err(|problems| {
        for problem in &problems {
            output::note(format_args!("{}: {}\n  hint: {}", problem.field, problem.what, problem.hint));
        }
        let what = format!("the plan cannot be used: {} problems", problems.len());
        Failure::new("TES-W001", what, "correct the lines above")
    })?;
    let contract = contract.get(source).context("the plan has that source")?;
    let cannot = || {
        let what = format!("cannot read `{}`", file.display());
        Failure::new("TES-K003", what, "name a file of JSON Lines, one call a line")
    };
    let mut tally = Tally::default();
    let mut unreadable = 0_u64;
    for line in BufReader::new(File::open(file).with_context(cannot)?).lines() {
        let line = line.with_context(cannot)?;
        if line.trim().is_empty() {
            continue;
        }
        let Ok(call) = serde_json::from_str::<Call<'_>>(&line) else {
            unreadable += 1;
            continue;
        };
        let kind = call.kind.as_ref().map_or("track", Text::as_str);
        let (name, fields, root) = match kind {
            "identify" | "group" => (None, call.traits, "traits"),
            "track" => (call.event.as_ref(), call.properties, "properties"),
            _ => (call.name.as_ref(), call.properties, "properties"),
        };
        let planned = contract.find(kind, name.map(Text::as_str));
        tally.add(&contract.check(planned, fields.map(RawValue::get), root).0);
    }
    if unreadable > 0 {
        output::note(format_args!("{unreadable} lines are no calls, and were left out"));
    }
    Ok(json!({ "tally": tally, "violations": tally.violations() }))
}

fn show_check(global: &Global, answer: &Value, strict: bool) -> anyhow::Result<()> {
    let tally = answer.get("tally").cloned().unwrap_or_default();
    let reactions = tally.get("reactions").cloned().unwrap_or_default();
    let refused = number(&reactions, "block") + number(&reactions, "quarantine");
    if global.json {
        print_json(answer)?;
    } else {
        output::line(format_args!("events       {}", number(&tally, "events")));
        output::line(format_args!("well formed  {}", number(&tally, "well_formed")));
        for name in ["pass", "strip", "quarantine", "block"] {
            output::line(format_args!("{name:12} {}", number(&reactions, name)));
        }
        for one in list(answer, "violations") {
            output::line(format_args!(
                "{:>8}  {}  {}: {} ({})  {}",
                number(one, "count"),
                text(one, "event"),
                text(one, "path"),
                text(one, "expected"),
                text(one, "keyword"),
                text(one, "reaction")
            ));
        }
    }
    if strict && refused > 0 {
        let what = format!("the plan would refuse {refused} events");
        return Err(Failure::new("TES-K003", what, "mend the plan, or those who send").into());
    }
    Ok(())
}

fn diff(global: &Global, file: &Path, old: Option<&Path>, strict: bool) -> anyhow::Result<()> {
    let new = read_plan(file)?;
    let old = match old {
        Some(old) => read_plan(old)?,
        None => applied(global, &new.name)?,
    };
    let differences = compare(&old, &new);
    let breaking = differences.iter().filter(|one| one.change == Change::Breaking).count();
    if global.json {
        print_json(&json!({ "differences": differences, "breaking": breaking }))?;
    } else {
        for one in &differences {
            let sign = if one.change == Change::Breaking { '!' } else { ' ' };
            output::line(format_args!("{sign} {}  {}", one.at, one.what));
        }
        let word = if breaking == 0 { "compatible" } else { "breaks senders" };
        output::line(format_args!(
            "version {} to {}: {word} ({breaking} of {} changes)",
            old.version,
            new.version,
            differences.len()
        ));
    }
    if strict && breaking > 0 {
        let what = format!("{breaking} changes break senders");
        let hint = "agree with them first, or let the plan permit both for a while";
        return Err(Failure::new("TES-K003", what, hint).into());
    }
    Ok(())
}

fn applied(global: &Global, name: &str) -> anyhow::Result<TrackingPlanDocument> {
    let answer = client(global)?.get("/api/v1/workspace")?;
    let documents: Vec<Document> =
        serde_json::from_value(answer.get("documents").cloned().unwrap_or_default())?;
    let plan = documents.into_iter().find_map(|document| {
        let Document::TrackingPlan(plan) = document else { return None };
        (plan.name == name).then_some(plan)
    });
    plan.ok_or_else(|| {
        let what = format!("the server has no tracking plan `{name}`");
        Failure::new("TES-K003", what, "name the old plan's file as well, or apply the plan first").into()
    })
}

fn violations(global: &Global, plan: Option<&str>) -> anyhow::Result<()> {
    let query = plan.map_or_else(String::new, |plan| format!("?plan={}", encode(plan)));
    let answer = client(global)?.get(&format!("/api/v1/plans/violations{query}"))?;
    if global.json {
        return print_json(&answer);
    }
    for one in list(&answer, "violations") {
        let (plan, source, event) = (text(one, "plan"), text(one, "source"), text(one, "event"));
        let (path, keyword, reaction) = (text(one, "path"), text(one, "keyword"), text(one, "reaction"));
        let count = number(one, "count");
        output::line(format_args!("{count:>8}  {plan}  {source}  {event}  {path} ({keyword})  {reaction}"));
    }
    Ok(())
}
