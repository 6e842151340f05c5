//! `tessera reject`.

use serde_json::{Value, json};

use super::{client, list, print_json, text};
use crate::cli::{Global, Reject};
use crate::client::{Client, Refusal, encode};
use crate::output::{self, Failure};

pub(crate) fn run(global: &Global, command: &Reject) -> anyhow::Result<()> {
    let client = client(global)?;
    match command {
        Reject::List { code, plan, limit, after } => {
            let answer = page(&client, (code.as_deref(), plan.as_deref()), *limit, after.as_deref())?;
            if global.json {
                return print_json(&answer);
            }
            for reject in list(&answer, "rejects") {
                let line = reject
                    .get("line")
                    .and_then(Value::as_u64)
                    .map_or_else(String::new, |n| format!(" line {n}"));
                output::line(format_args!(
                    "{}  {}  {}  {}{line}  {}",
                    text(reject, "id"),
                    text(reject, "at"),
                    text(reject, "code"),
                    text(reject, "source"),
                    text(reject, "reason")
                ));
            }
            Ok(())
        }
        Reject::Show { id } => {
            let answer = client.get(&format!("/api/v1/rejects/{}", encode(id)))?;
            if global.json {
                return print_json(&answer);
            }
            for name in ["id", "at", "code", "source", "reason", "hint"] {
                output::line(format_args!("{name:8} {}", text(&answer, name)));
            }
            output::line(format_args!("payload  {}", text(&answer, "payload")));
            Ok(())
        }
        Reject::Replay { ids, code, plan, all } => {
            let is_filtered = *all || code.is_some() || plan.is_some();
            let filter = (code.as_deref(), plan.as_deref());
            let ids = if is_filtered { every_id(&client, filter)? } else { ids.clone() };
            replay(&client, &ids)
        }
    }
}

/// Only this code, only this plan.
type Filter<'a> = (Option<&'a str>, Option<&'a str>);

fn page(
    client: &Client,
    (code, plan): Filter<'_>,
    limit: usize,
    after: Option<&str>,
) -> anyhow::Result<Value> {
    let mut query = vec![format!("limit={limit}")];
    query.extend(code.map(|code| format!("code={}", encode(code))));
    query.extend(plan.map(|plan| format!("plan={}", encode(plan))));
    query.extend(after.map(|after| format!("after={}", encode(after))));
    client.get(&format!("/api/v1/rejects?{}", query.join("&")))
}

fn every_id(client: &Client, filter: Filter<'_>) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let answer = page(client, filter, 500, ids.last().map(String::as_str))?;
        let found = list(&answer, "rejects");
        if found.is_empty() {
            return Ok(ids);
        }
        ids.extend(found.iter().map(|reject| text(reject, "id").to_owned()));
    }
}

fn replay(client: &Client, ids: &[String]) -> anyhow::Result<()> {
    let (mut accepted, mut refused) = (0, 0);
    for id in ids {
        match client.post(&format!("/api/v1/rejects/{}/replay", encode(id)), &json!({})) {
            Ok(_) => accepted += 1,
            Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.status == 409) => {
                output::note(format_args!("{id}: {error}"));
                refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    output::line(format_args!("accepted: {accepted}, still rejected: {refused}"));
    if refused > 0 {
        let what = format!("{refused} of {} rejects were rejected again", ids.len());
        return Err(Failure::new("TES-C007", what, "the reasons are above; they stay in the list").into());
    }
    Ok(())
}
