//! `tessera group`.

use clap::Subcommand;
use serde_json::Value;

use super::{client, list, number, print_json, profile, text};
use crate::cli::Global;
use crate::client::encode;
use crate::output;

/// `tessera group`.
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// List the groups of a type that have several members who may be shown.
    List {
        /// The group type: `household`.
        #[arg(value_name = "TYPE")]
        group_type: String,
        /// Most groups to print.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this cursor.
        #[arg(long)]
        after: Option<String>,
        /// Only groups of at least so many members.
        #[arg(long, default_value_t = 2)]
        min_members: usize,
        /// Count only whom this purpose permits to show.
        #[arg(long)]
        purpose: Option<String>,
    },
    /// Show the members of a group, each as far as that member's own purposes permit.
    Show {
        /// The group type: `household`.
        #[arg(value_name = "TYPE")]
        group_type: String,
        /// Its id; or what its members have in common, where that is one value: an account's id, a domain, a telephone number.
        group: String,
        /// Most members to print.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Go on after this cursor.
        #[arg(long)]
        after: Option<String>,
        /// Show only what this purpose permits.
        #[arg(long)]
        purpose: Option<String>,
    },
}

impl Group {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let client = client(global)?;
        let (path, limit, after, purpose) = match self {
            Self::List { group_type, limit, after, min_members, purpose } => {
                (format!("{}?min_members={min_members}", encode(group_type)), limit, after, purpose)
            }
            Self::Show { group_type, group, limit, after, purpose } => {
                (format!("{}/{}?", encode(group_type), encode(group)), limit, after, purpose)
            }
        };
        let mut path = format!("/api/v1/groups/{path}&limit={limit}");
        path.extend(after.iter().map(|after| format!("&after={}", encode(after))));
        path.extend(purpose.iter().map(|purpose| format!("&purpose={}", encode(purpose))));
        let answer = client.get(&path)?;
        if global.json {
            return print_json(&answer);
        }
        match self {
            Self::List { .. } => lines(&answer),
            Self::Show { .. } => show(&answer)?,
        }
        if let Some(next) = answer.get("next").and_then(Value::as_str) {
            output::line(format_args!("more: --after {next}"));
        }
        Ok(())
    }
}

fn lines(answer: &Value) {
    for group in list(answer, "groups") {
        let members = match number(group, "members") {
            1 => "1 member".to_owned(),
            more => format!("{} members", output::count(more)),
        };
        let by: Vec<&str> = list(group, "by").iter().filter_map(Value::as_str).collect();
        let line = format!("{}  {members}  {}  {}", text(group, "id"), by.join(", "), text(group, "value"));
        output::line(line.trim_end());
    }
}

fn show(answer: &Value) -> anyhow::Result<()> {
    output::line(format_args!("{} {}", text(answer, "type"), text(answer, "id")));
    if answer.get("is_shared").and_then(Value::as_bool) == Some(true) {
        output::line("  more people share its value than `members_max`: it makes no group");
    }
    if let Some(account) = answer.get("account") {
        for (name, value) in account.get("traits").and_then(Value::as_object).into_iter().flatten() {
            output::line(format_args!("  account      {name} = {value}"));
        }
    }
    for member in list(answer, "members") {
        output::line("");
        profile::show(member)?;
    }
    Ok(())
}
