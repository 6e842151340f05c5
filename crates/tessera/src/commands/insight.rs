//! `tessera insight`: questions over everybody's events that ship, as tables, files and pictures.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tessera_insight::{Insight as Question, Kind, Options, Rows};
use tessera_model::Timestamp;

use super::progress::bar;
use super::{client, list, print_json, text};
use crate::cli::Global;
use crate::output::{self, Failure};

/// `tessera insight`.
#[derive(Debug, Subcommand)]
pub(crate) enum Insight {
    /// How many people take which steps, one after the other.
    Funnel {
        /// The names of the events, in their order; with a condition in SQL where one is wanted:
        /// "Order Completed[properties->>'currency' = 'EUR']".
        #[arg(required = true, value_name = "EVENT")]
        steps: Vec<String>,
        /// How long after the first step the last may be.
        #[arg(long, default_value = "7d", value_name = "DURATION")]
        within: String,
        #[command(flatten)]
        common: Common,
    },
    /// How many of those who began in a period come back in each period after it.
    Retention {
        /// The event that people begin with; any, unless it is given.
        #[arg(long, value_name = "EVENT")]
        start: Option<String>,
        /// The event that is coming back; any, unless it is given.
        #[arg(long, value_name = "EVENT")]
        back: Option<String>,
        /// day, week or month.
        #[arg(long, default_value = "week")]
        unit: String,
        /// So many periods after the first.
        #[arg(long, default_value_t = 8)]
        periods: usize,
        #[command(flatten)]
        common: Common,
    },
    /// Who bought lately, often and for much: people by fifths.
    Rfm {
        /// The event that is a purchase.
        #[arg(long, default_value = "Order Completed")]
        event: String,
        /// Where its amount stands.
        #[arg(long, default_value = "properties.total", value_name = "FIELD")]
        amount: String,
        #[command(flatten)]
        common: Common,
    },
    /// How many people are there for the first time, and how many again.
    NewReturning {
        /// The event that is being there; any, unless it is given.
        #[arg(long)]
        event: Option<String>,
        /// day, week or month.
        #[arg(long, default_value = "week")]
        unit: String,
        #[command(flatten)]
        common: Common,
    },
    /// What people do one after the other in one visit, the most frequent first.
    Paths {
        /// The event that paths begin with; the first of each visit, unless it is given.
        #[arg(long, value_name = "EVENT")]
        start: Option<String>,
        /// A longer pause ends a visit.
        #[arg(long, default_value = "30m", value_name = "DURATION")]
        pause: String,
        /// So many events of a visit at most.
        #[arg(long, default_value_t = 4)]
        length: usize,
        /// So many paths.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        common: Common,
    },
}

/// What is the same for all.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// What the answer is for: what this purpose may not use is not counted.
    #[arg(long)]
    purpose: String,
    /// Since when: 2026-11-22, or 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when, that moment not included; now, unless it is given.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Instead of --from: so long before --to, like 30d.
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    last: Option<String>,
    /// A condition in SQL on every event that is looked at.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// The form of the answer. A table, unless the file's name says otherwise; JSON with --json.
    #[arg(long)]
    format: Option<Form>,
    /// Write the answer to this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the query instead of asking it, to go on from there with `tessera sql`.
    #[arg(long, conflicts_with = "format")]
    sql: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Csv,
    Json,
    Svg,
}

impl Insight {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let (kind, options, common) = self.asked();
        let options = Options {
            from: common.from.clone(),
            to: common.to.clone(),
            last: common.last.clone(),
            condition: common.condition.clone(),
            ..options
        };
        let path = format!("/api/v1/insights/{}", kind.name());
        let mut body = serde_json::to_value(&options)?;
        if let Value::Object(members) = &mut body {
            members.insert("purpose".to_owned(), json!(common.purpose));
        }
        if common.sql {
            let mut sql = Vec::new();
            client(global)?.post_download(&path, &body, "application/sql", &mut sql)?;
            return written(common.output.as_deref(), &String::from_utf8_lossy(&sql));
        }
        let waiting = bar("{spinner} asking, {elapsed}")?;
        waiting.enable_steady_tick(Duration::from_millis(120));
        let answer = client(global)?.post(&path, &body);
        waiting.finish_and_clear();
        let answer = answer?;
        for note in list(&answer, "notes").iter().filter_map(Value::as_str) {
            output::note(format_args!("note: {note}"));
        }
        shown(global, common, &answer, (kind, &options))
    }

    fn asked(&self) -> (Kind, Options, &Common) {
        let none = Options::default();
        match self {
            Self::Funnel { steps, within, common } => {
                (Kind::Funnel, Options { steps: steps.clone(), within: Some(within.clone()), ..none }, common)
            }
            Self::Retention { start, back, unit, periods, common } => {
                let (start, back, unit) = (start.clone(), back.clone(), Some(unit.clone()));
                (Kind::Retention, Options { start, back, unit, periods: Some(*periods), ..none }, common)
            }
            Self::Rfm { event, amount, common } => {
                let (event, amount) = (Some(event.clone()), Some(amount.clone()));
                (Kind::Rfm, Options { event, amount, ..none }, common)
            }
            Self::NewReturning { event, unit, common } => {
                let (event, unit) = (event.clone(), Some(unit.clone()));
                (Kind::NewReturning, Options { event, unit, ..none }, common)
            }
            Self::Paths { start, pause, length, limit, common } => {
                let (length, limit) = (Some(*length), Some(*limit));
                let (start, pause) = (start.clone(), Some(pause.clone()));
                (Kind::Paths, Options { start, pause, length, limit, ..none }, common)
            }
        }
    }
}

fn shown(
    global: &Global,
    common: &Common,
    answer: &Value,
    (kind, options): (Kind, &Options),
) -> anyhow::Result<()> {
    let named = |file: &Path| Form::from_str(file.extension()?.to_str()?, true).ok();
    let usual = if global.json { Form::Json } else { Form::Table };
    let form = common.format.or_else(|| named(common.output.as_deref()?)).unwrap_or(usual);
    if form == Form::Json && common.output.is_none() {
        return print_json(answer);
    }
    let times = Options {
        from: Some(text(answer, "from").to_owned()),
        to: Some(text(answer, "to").to_owned()),
        last: None,
        ..options.clone()
    };
    // The answer names its times: nothing depends on this machine's clock.
    let question = Question::new(kind, &times, Timestamp::MAX)?;
    let rows: Rows = serde_json::from_value(answer.get("rows").cloned().unwrap_or_default())?;
    let shown = question.answer(&rows);
    let text = match form {
        Form::Table => shown.table,
        Form::Csv => shown.csv,
        Form::Svg => shown.svg,
        Form::Json => format!("{}\n", serde_json::to_string_pretty(answer)?),
    };
    written(common.output.as_deref(), &text)
}

fn written(file: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(file) = file else {
        output::line(text.trim_end());
        return Ok(());
    };
    std::fs::write(file, text).with_context(|| {
        let what = format!("cannot write `{}`", file.display());
        Failure::new("TES-E005", what, "check that the folder exists and that this account may write to it")
    })?;
    output::note(format_args!("written: {}", file.display()));
    Ok(())
}
