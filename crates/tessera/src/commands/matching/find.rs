//! `tessera match find`: who somebody is, by what they say of themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::explain::meant;
use super::{Find, waterfall};
use crate::cli::Global;
use crate::client::encode;
use crate::commands::{client, list as members, print_json, text};
use crate::output::{self, Failure};

pub(super) fn run(global: &Global, find: &Find) -> anyhow::Result<()> {
    let values = described(&find.values)?;
    let matcher = meant(global, find.matcher.as_deref())?;
    let path = format!("/api/v1/match/{}/find", encode(&matcher));
    let answer = client(global)?.post(&path, &json!({ "values": values, "limit": find.limit }))?;
    if global.json {
        return print_json(&answer);
    }
    let candidates = members(&answer, "candidates");
    if candidates.is_empty() {
        output::line("nobody is at all like that");
    }
    for candidate in candidates {
        let pair = pair(&answer, candidate, &values);
        if find.why {
            waterfall::lines(&pair).into_iter().for_each(output::line);
            output::line("");
        } else {
            output::line(format_args!("{}  {}", text(candidate, "profile"), waterfall::verdict(&pair)));
            for value in members(candidate, "values") {
                let shown = value.get("value").and_then(Value::as_str).unwrap_or("-");
                output::line(format_args!("  {:<16} {shown}", text(value, "column")));
            }
        }
    }
    Ok(())
}

/// `column=value`, taken apart.
fn described(pairs: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let of = |pair: &String| match pair.split_once('=') {
        Some((column, value)) => Ok((column.trim().to_owned(), value.trim().to_owned())),
        None => {
            let hint =
                "write COLUMN=VALUE, as in `first_name=Ada`; `tessera match list --json` names the columns";
            Err(Failure::new("TES-X031", "a part of the description has no `=`", hint).into())
        }
    };
    pairs.iter().map(of).collect()
}

/// A candidate beside the description, as two profiles stand beside each other.
fn pair(answer: &Value, candidate: &Value, described: &BTreeMap<String, String>) -> Value {
    let values: Vec<Value> = members(candidate, "values")
        .iter()
        .map(|value| {
            let column = text(value, "column");
            json!({ "column": column, "a": described.get(column), "b": value.get("value") })
        })
        .collect();
    json!({
        "profiles": ["described", text(candidate, "profile")],
        "probability": candidate.get("probability"),
        "link": answer.get("link"),
        "review": answer.get("review"),
        "values": values,
        "waterfall": candidate.get("waterfall"),
    })
}
