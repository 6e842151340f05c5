//! `tessera review`: pairs that a matcher is unsure of, and what a steward says of them.

use clap::Subcommand;
use serde_json::{Value, json};

use super::profile::show;
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::client::{Client, encode};
use crate::output::{self, count};

/// `tessera review`.
#[derive(Debug, Subcommand)]
pub(crate) enum Review {
    /// List pairs, the likeliest first.
    List {
        /// open, accepted, rejected or all.
        #[arg(long, default_value = "open")]
        state: String,
        /// Only pairs of this matcher.
        #[arg(long, value_name = "NAME")]
        matcher: Option<String>,
        /// Most to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this id.
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Put a pair into the queue, as a matcher does.
    Add {
        /// The one: `user_id:1`.
        a: String,
        /// The other.
        b: String,
        /// How likely they are one person, from 0 to 1.
        #[arg(long, default_value_t = 0.5)]
        score: f64,
        /// A word to the steward. Name no persons.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Show a pair: both profiles, and how the score came about.
    Show {
        /// Its id, from the list.
        id: String,
    },
    /// They are one person: merge their profiles.
    Accept {
        /// Its id, from the list.
        id: String,
        /// Why, for those who ask later. Name no persons.
        #[arg(long)]
        reason: String,
    },
    /// They are two people: no evidence joins them any more.
    Reject {
        /// Its id, from the list.
        id: String,
        /// Why, for those who ask later. Name no persons.
        #[arg(long)]
        reason: String,
    },
    /// Take back what was said: the pair is open again.
    Reopen {
        /// Its id, from the list.
        id: String,
        /// Why, for those who ask later. Name no persons.
        #[arg(long)]
        reason: String,
    },
}

impl Review {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        match self {
            Self::List { state, matcher, limit, after } => {
                let mut query = vec![format!("state={}", encode(state)), format!("limit={limit}")];
                query.extend(matcher.iter().map(|name| format!("matcher={}", encode(name))));
                query.extend(after.iter().map(|after| format!("after={}", encode(after))));
                let answer = client.get(&format!("/api/v1/reviews?{}", query.join("&")))?;
                if global.json {
                    return print_json(&answer);
                }
                list(&answer, "reviews").iter().for_each(line);
                match answer.get("next").and_then(Value::as_str) {
                    Some(next) => output::line(format_args!("more: --after {next}")),
                    None => output::line(format_args!("{} in all", count(number(&answer, "total")))),
                }
                Ok(())
            }
            Self::Add { a, b, score, note } => {
                let body = json!({ "a": a, "b": b, "score": score, "note": note });
                let answer = client.post("/api/v1/reviews", &body)?;
                if global.json {
                    return print_json(&answer);
                }
                line(&answer);
                Ok(())
            }
            Self::Show { id } => {
                let answer = client.get(&path(id))?;
                if global.json {
                    return print_json(&answer);
                }
                line(&answer);
                for decision in list(&answer, "decisions") {
                    output::line(format_args!(
                        "  {}  {} by {}: {}",
                        text(decision, "at"),
                        text(decision, "verdict"),
                        text(decision, "by"),
                        text(decision, "reason")
                    ));
                }
                waterfall(answer.get("waterfall").unwrap_or(&Value::Null));
                for side in ["a", "b"] {
                    output::line("");
                    show(answer.get(side).unwrap_or(&Value::Null))?;
                }
                Ok(())
            }
            Self::Accept { id, reason } => say(global, &client, id, "accept", reason),
            Self::Reject { id, reason } => say(global, &client, id, "reject", reason),
            Self::Reopen { id, reason } => say(global, &client, id, "reopen", reason),
        }
    }
}

fn path(id: &str) -> String {
    format!("/api/v1/reviews/{}", encode(id))
}

fn say(global: &Global, client: &Client, id: &str, word: &str, reason: &str) -> anyhow::Result<()> {
    let answer = client.post(&format!("{}/{word}", path(id)), &json!({ "reason": reason }))?;
    if global.json {
        return print_json(&answer);
    }
    line(&answer);
    Ok(())
}

fn line(review: &Value) {
    let score = review.get("score").and_then(Value::as_f64);
    let score = score.map_or_else(|| "by hand".to_owned(), |score| format!("{score:.4}"));
    let by = match text(review, "matcher") {
        "" => String::new(),
        matcher => format!(" {matcher}"),
    };
    let profiles: Vec<&str> =
        list(review, "profiles").iter().map(|id| id.as_str().unwrap_or("(gone)")).collect();
    let is_one = if review.get("is_one") == Some(&Value::Bool(true)) { " (one profile)" } else { "" };
    let note = match text(review, "note") {
        "" => String::new(),
        note => format!("  {note}"),
    };
    output::line(format_args!(
        "{}  {}  {score}{by}  {}{is_one}{note}",
        text(review, "id"),
        text(review, "state"),
        profiles.join(" - ")
    ));
}

/// How the score came about: each member of each step on one line.
fn waterfall(steps: &Value) {
    for step in steps.as_array().into_iter().flatten() {
        let parts: Vec<String> = step
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| match value.as_str() {
                Some(text) => format!("{name} {text}"),
                None => format!("{name} {value}"),
            })
            .collect();
        output::line(format_args!("  {}", parts.join(", ")));
    }
}
