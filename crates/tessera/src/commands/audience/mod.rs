//! `tessera audience`: what is defined, what a definition would come to, why somebody is a member.

mod file;
mod graph;
mod proof;
mod show;
mod size;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{client, list, number, print_json, text, workspace};
use crate::cli::Global;
use crate::client::encode;
use crate::output::{self, Failure, count};
use crate::yaml;

/// `tessera audience`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audience {
    /// List audiences and computed traits: purpose, size, state.
    List,
    /// Show an audience: its condition, what it looks at, who looks at it, what it costs.
    Show {
        /// The audience.
        name: String,
    },
    /// Look at definitions before they are applied: what is wrong, which names nobody knows, what they would cost.
    Check {
        /// Files with documents, or folders of them.
        #[arg(required = true, value_name = "PATH")]
        files: Vec<PathBuf>,
    },
    /// Tell how many members a condition would have, by how much each part of it cuts, and some of them.
    Preview {
        /// An audience, a file with one, or a condition: 'orders in last 30 days >= 2'.
        what: String,
        /// The purpose that a condition would serve.
        #[arg(long)]
        purpose: Option<String>,
        /// Where the days of a condition would begin: `Europe/Berlin`.
        #[arg(long)]
        time_zone: Option<String>,
        /// Look at about so many people, 1 to 1,000.
        #[arg(long, default_value_t = 1_000)]
        sample: usize,
        /// Look at everybody.
        #[arg(long)]
        exact: bool,
        /// Show so many members.
        #[arg(long, default_value_t = 5)]
        show: usize,
    },
    /// Tell why somebody is a member or is not: each condition, from which events, and when it will change.
    Explain {
        /// The audience.
        name: String,
        /// The person: `email:ada@example.com`.
        person: String,
    },
    /// List members, as far as the audience's purpose permits to show them.
    Members {
        /// The audience.
        name: String,
        /// Most members to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this cursor.
        #[arg(long)]
        after: Option<String>,
    },
    /// Tell how many people audiences share.
    Overlap {
        /// Two to eight audiences.
        #[arg(required = true, num_args = 2.., value_name = "NAME")]
        names: Vec<String>,
        /// Look at everybody instead of a sample.
        #[arg(long)]
        exact: bool,
        /// Write a picture to this file, as SVG.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Write the members to a file, with the identifiers and traits that are named. Recorded as an export.
    Export {
        /// The audience.
        name: String,
        /// Identifiers of this namespace, as a column; may be given more than once.
        #[arg(long = "identifier", value_name = "NAMESPACE")]
        identifiers: Vec<String>,
        /// This trait, as a column; may be given more than once.
        #[arg(long = "trait", value_name = "TRAIT")]
        traits: Vec<String>,
        /// The file's form; its name says it, unless this does.
        #[arg(long)]
        format: Option<file::Form>,
        /// The file.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Tell how many entered and left, and how many members there were, day by day. Days begin at midnight in UTC; the last is today, which is
    /// not over yet.
    Size {
        /// The audience.
        name: String,
        /// So many days up to today: 1 to 3,660.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// The form of the answer. A table, unless the file's name says otherwise; JSON with --json.
        #[arg(long)]
        format: Option<size::Form>,
        /// Write the answer to this file.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Ask for the members a second time, by SQL over the lake, and tell where that differs from those that were announced. Fails if it does.
    Recompute {
        /// The audience.
        name: String,
    },
    /// Hold the announced members against a plain second evaluator, for a sample of real people and all that is known of them. Fails if
    /// they differ.
    Audit {
        /// Audiences; all, unless any are named.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// So many people for each audience, half of them members: 1 to 1,000.
        #[arg(long, default_value_t = 100)]
        sample: usize,
        /// Which people: another seed, others.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Show what follows from what: events, traits, audiences, purposes, destinations.
    Graph {
        /// The form.
        #[arg(long, default_value = "text")]
        format: GraphForm,
        /// Write it to this file.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// The form of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphForm {
    /// For people.
    Text,
    /// For Graphviz.
    Dot,
    /// A picture.
    Svg,
    /// For programs.
    Json,
}

impl Audience {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::List => listed(global),
            Self::Show { name } => {
                let answer = client(global)?.get(&format!("/api/v1/audiences/{}", encode(name)))?;
                printed(global, &answer, show::definition)
            }
            Self::Check { files } => check(global, files),
            Self::Preview { what, purpose, time_zone, sample, exact, show } => {
                let mut body = subject(global, what, purpose.as_deref(), time_zone.as_deref())?;
                if let Some(members) = body.as_object_mut() {
                    members.insert("sample".to_owned(), json!(sample));
                    members.insert("exact".to_owned(), json!(exact));
                    members.insert("show".to_owned(), json!(show));
                }
                let answer = client(global)?.post("/api/v1/definitions/preview", &body)?;
                printed(global, &answer, show::preview)
            }
            Self::Explain { name, person } => {
                let path = format!("/api/v1/profiles/{}/audiences/{}", encode(person), encode(name));
                printed(global, &client(global)?.get(&path)?, show::explained)
            }
            Self::Members { name, limit, after } => {
                let mut path = format!("/api/v1/audiences/{}/members?limit={limit}", encode(name));
                path.extend(after.iter().map(|after| format!("&after={}", encode(after))));
                printed(global, &client(global)?.get(&path)?, show::members)
            }
            Self::Overlap { names, exact, svg } => overlap(global, names, *exact, svg.as_deref()),
            Self::Export { name, identifiers, traits, format, output } => {
                let wanted = json!({ "identifiers": identifiers, "traits": traits });
                file::export(global, name, wanted, (*format, output))
            }
            Self::Size { name, days, format, output } => {
                size::size(global, (name, *days), (*format, output.as_deref()))
            }
            Self::Recompute { name } => proof::recompute(global, name),
            Self::Audit { names, sample, seed } => {
                proof::audit(global, &json!({ "audiences": names, "sample": sample, "seed": seed }))
            }
            Self::Graph { format, output } => {
                let answer = client(global)?.get("/api/v1/audiences")?;
                let format = if global.json { GraphForm::Json } else { *format };
                let drawn = graph::Graph::of(&answer).drawn(format)?;
                match output {
                    Some(file) => write(file, drawn.as_bytes()),
                    None => {
                        output::line(drawn.trim_end());
                        Ok(())
                    }
                }
            }
        }
    }
}

fn printed(global: &Global, answer: &Value, print: impl Fn(&Value)) -> anyhow::Result<()> {
    if global.json {
        return print_json(answer);
    }
    print(answer);
    Ok(())
}

fn listed(global: &Global) -> anyhow::Result<()> {
    printed(global, &client(global)?.get("/api/v1/audiences")?, |answer| {
        let mut rows = vec![["name", "kind", "purpose", "members", "state"].map(str::to_owned).to_vec()];
        for (kind, member) in [("audience", "audiences"), ("computed trait", "computed_traits")] {
            for one in list(answer, member) {
                let size = one.get("size").and_then(Value::as_u64).map_or_else(|| "-".to_owned(), count);
                let cells = [text(one, "name"), kind, text(one, "purpose"), &size, &show::state(one)];
                rows.push(cells.map(str::to_owned).to_vec());
            }
        }
        match rows.len() {
            1 => output::line("nothing is defined yet: apply a document of `kind: Audience`"),
            _ => show::table(&rows),
        }
    })
}

fn check(global: &Global, paths: &[PathBuf]) -> anyhow::Result<()> {
    let files = yaml::read(paths)?;
    let body = json!({ "documents": files.documents });
    let answer = client(global)?.post("/api/v1/definitions/check", &body);
    printed(global, &workspace::explain(&files, answer)?, |answer| {
        for one in list(answer, "definitions") {
            show::checked(one);
        }
        for hint in list(answer, "hints") {
            let (kind, name) = (text(hint, "kind"), text(hint, "name"));
            output::line(format_args!("hint: {kind} {name}: {}; {}", text(hint, "what"), text(hint, "hint")));
        }
        if list(answer, "definitions").is_empty() {
            output::line("the files define no audience and no computed trait");
        }
    })
}

/// What is previewed: an audience in force, one in a file, or a condition.
fn subject(
    global: &Global,
    what: &str,
    purpose: Option<&str>,
    time_zone: Option<&str>,
) -> anyhow::Result<Value> {
    if let Some(purpose) = purpose {
        return Ok(json!({ "when": what, "purpose": purpose, "time_zone": time_zone }));
    }
    let path = Path::new(what);
    if !path.is_file() {
        let known = client(global)?.get("/api/v1/audiences")?;
        let is_known = list(&known, "audiences").iter().any(|one| text(one, "name") == what);
        // A name has no blanks in it, so what has some is a condition.
        if !is_known && what.contains(char::is_whitespace) {
            let what = "a condition needs a purpose: of each person only what it permits is looked at";
            return Err(Failure::new("TES-A091", what, "add --purpose NAME").into());
        }
        return Ok(json!({ "audience": what }));
    }
    let files = yaml::read(&[path.to_owned()])?;
    let documents = serde_json::to_value(&files.documents)?;
    let audiences: Vec<&Value> =
        documents.as_array().into_iter().flatten().filter(|one| text(one, "kind") == "Audience").collect();
    match audiences.as_slice() {
        [one] => Ok(json!({
            "when": one.get("when"),
            "purpose": one.get("purpose"),
            "time_zone": one.get("time_zone"),
        })),
        others => {
            let what = format!("`{what}` has {} audiences; one can be previewed", others.len());
            Err(Failure::new("TES-A091", what, "give the audience's name, or its condition with --purpose")
                .into())
        }
    }
}

fn overlap(global: &Global, names: &[String], exact: bool, svg: Option<&Path>) -> anyhow::Result<()> {
    let (Some(first), Some(others)) = (names.first(), names.get(1..)) else { return Ok(()) };
    let with = encode(&others.join(","));
    let path = format!("/api/v1/audiences/{}/overlap?with={with}&exact={exact}", encode(first));
    let answer = client(global)?.get(&path)?;
    if let Some(file) = svg {
        write(file, show::overlap_picture(&answer).as_bytes())?;
    }
    printed(global, &answer, show::overlap)
}

/// Writes a file and says so.
fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(file, bytes).with_context(|| {
        let what = format!("cannot write `{}`", file.display());
        Failure::new("TES-E005", what, "check that the folder exists and that this account may write to it")
    })?;
    output::note(format_args!("written: {}", file.display()));
    Ok(())
}

/// A number of people that is known, or estimated with its margin.
fn people(estimate: Option<&Value>) -> String {
    let Some(estimate) = estimate else { return "-".to_owned() };
    let [people, least, most] = ["people", "least", "most"].map(|name| number(estimate, name));
    match least == most {
        true => count(people),
        false => format!("about {} ({} to {})", count(people), count(least), count(most)),
    }
}
