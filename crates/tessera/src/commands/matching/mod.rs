//! `tessera match`: which records, or which profiles, are one person.
//!
//! On files it needs no server: [`files`] reads them, [`work`] trains, scores and writes. On profiles the server does the
//! work ([`profiles`]); nothing here sees them but what it answers.

mod explain;
mod files;
mod find;
mod model;
mod picture;
mod profiles;
mod waterfall;
mod work;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tessera_match::MatchError;

use self::files::Columns;
use crate::cli::Global;
use crate::output::Failure;

/// `tessera match`.
#[derive(Debug, Subcommand)]
pub(crate) enum Match {
    /// Print the model that fits the records - what would be compared, and how - to change and pass as --model.
    Model(Model),
    /// Tell how many pairs each rule brings together, before any is compared.
    Estimate(Model),
    /// Learn from records what agreement is worth, without being told who is who.
    Train(Train),
    /// Find which records are one person; or, with --matcher, which profiles of the server.
    Run(Run),
    /// Compare what is found with the truth, where a column tells it.
    Evaluate(Evaluate),
    /// Show why two records, or two profiles of the server, are held to be one person or two.
    Explain(Explain),
    /// Ask the server who somebody is, by what they say of themselves: `find first_name=Ada born=1815-12-10`.
    Find(Find),
    /// List the server's matchers and where they stand.
    List,
}

/// Records, and how they are compared.
#[derive(Debug, Args)]
pub(crate) struct Model {
    /// Files of records: CSV, JSON Lines or Parquet; CSV and JSON Lines may be packed with gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    how: How,
}

/// How records are compared.
#[derive(Debug, Args)]
pub(crate) struct How {
    /// A model (YAML), or what `train` wrote (JSON); otherwise both are found from the records.
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// From this probability on records are one person, instead of what the model says.
    #[arg(long, value_name = "PROBABILITY")]
    link: Option<f64>,
}

/// `tessera match train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    on: Model,
    /// Where to write the trained model.
    #[arg(short = 'o', long = "output", value_name = "TRAINED.json")]
    output: PathBuf,
}

/// `tessera match run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Files of records: CSV, JSON Lines or Parquet; CSV and JSON Lines may be packed with gzip.
    #[arg(required_unless_present = "matcher", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    how: How,
    /// Where to write each record's cluster.
    #[arg(short = 'o', long = "output", value_name = "CLUSTERS.csv")]
    output: Option<PathBuf>,
    /// Where to write the pairs that are likely enough to be looked at.
    #[arg(long, value_name = "PAIRS.csv")]
    pairs: Option<PathBuf>,
    /// Follow the model's exact rules, or those that fit the records, and learn nothing.
    #[arg(long)]
    exact_only: bool,
    /// A matcher of the server's workspace: compares its profiles, links them and fills the review queue.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["files", "output", "pairs", "exact_only"])]
    matcher: Option<String>,
    /// With --matcher: tell what would be linked and asked, and do nothing.
    #[arg(long, requires = "matcher")]
    dry_run: bool,
}

/// `tessera match evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    on: Model,
    /// The column that is equal in records of one person. It is not compared.
    #[arg(long, value_name = "COLUMN")]
    truth: String,
    /// Write a picture of what was said and what is true.
    #[arg(long, value_name = "CALIBRATION.svg")]
    svg: Option<PathBuf>,
}

/// `tessera match explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Two records, by id or number: `explain people.csv 17 42`. Without a file two profiles of the server:
    /// `explain email:ada@example.com email:a.lovelace@example.com --matcher people`.
    #[arg(required = true, num_args = 2.., value_name = "FILE... A B")]
    what: Vec<String>,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    how: How,
    /// The matcher of the server's workspace that is asked; may be left out if there is one.
    #[arg(long, value_name = "NAME")]
    matcher: Option<String>,
    /// Write the picture as a page.
    #[arg(long, value_name = "WHY.html")]
    html: Option<PathBuf>,
}

/// `tessera match find`.
#[derive(Debug, Args)]
pub(crate) struct Find {
    /// What somebody says of themselves, by the matcher's columns.
    #[arg(required = true, value_name = "COLUMN=VALUE")]
    values: Vec<String>,
    /// The matcher of the server's workspace that is asked; may be left out if there is one. It must be live.
    #[arg(long, value_name = "NAME")]
    matcher: Option<String>,
    /// Most candidates, 1 to 20.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    limit: usize,
    /// Show of each candidate how the probability comes about.
    #[arg(long)]
    why: bool,
}

impl Match {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Model(model) => work::model(global, model),
            Self::Estimate(model) => work::estimate(global, model),
            Self::Train(train) => work::train(global, train),
            Self::Run(run) => match &run.matcher {
                Some(matcher) => profiles::run(global, matcher, run.dry_run),
                None => work::run(global, run),
            },
            Self::Evaluate(evaluate) => work::evaluate(global, evaluate),
            Self::Explain(explain) => explain::run(global, explain),
            Self::Find(find) => find::run(global, find),
            Self::List => profiles::list(global),
        }
    }
}

/// The engine's error as the program's.
fn failed(error: MatchError) -> anyhow::Error {
    let what = error.to_string();
    let what = what.split_once(": ").map_or(what.as_str(), |(_, what)| what);
    Failure::new(error.code(), what, error.hint()).into()
}
