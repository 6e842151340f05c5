//! `tessera live`.

use serde_json::Value;

use super::{client, list, number, text};
use crate::cli::Global;
use crate::output;

pub(crate) fn run(global: &Global, kinds: &[String]) -> anyhow::Result<()> {
    let query = if kinds.is_empty() { String::new() } else { format!("?kind={}", kinds.join(",")) };
    client(global)?.stream(&format!("/api/v1/live{query}"), |kind, data| {
        match serde_json::from_str::<Value>(data) {
            Ok(notice) if !global.json => output::line(describe(kind, &notice)),
            Ok(_) | Err(_) => output::line(data),
        }
        true
    })
}

fn describe(kind: &str, notice: &Value) -> String {
    let rest = match kind {
        // Who does not see everything is told how much happens, and not to whom.
        _ if notice.get("count").is_some() => number(notice, "count").to_string(),
        "accepted" => {
            format!("{} {} -> {}", text(notice, "source"), text(notice, "name"), text(notice, "profile"))
        }
        "rejected" => {
            format!(
                "{} {}: {} ({})",
                text(notice, "source"),
                text(notice, "code"),
                text(notice, "reason"),
                text(notice, "reject")
            )
        }
        "denied" => {
            format!("{} {}: {}", text(notice, "source"), text(notice, "call"), text(notice, "reason"))
        }
        "duplicate" => format!("{} {}", text(notice, "source"), text(notice, "call")),
        "merged" => {
            let from: Vec<&str> = list(notice, "from").iter().filter_map(Value::as_str).collect();
            format!("{} <- {}", text(notice, "profile"), from.join(", "))
        }
        _ => notice.to_string(),
    };
    format!("{kind:10} {rest}")
}
