//! Answers about audiences, as people read them.

use serde_json::Value;
use tessera_picture::{Bar, Heading, bars};

use super::{people, text};
use crate::commands::{list, number, profile};
use crate::output::{self, count};

/// Columns as wide as their widest cell.
pub(super) fn table(rows: &[Vec<String>]) {
    output::line(aligned(rows).trim_end());
}

/// The same as text.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn field(name: &str, value: &str) {
    if !value.is_empty() {
        output::line(format_args!("  {name:<13}{value}"));
    }
}

fn names(of: &Value, member: &str) -> String {
    list(of, member).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// What a definition looks at, kind by kind.
fn uses(of: &Value) {
    let uses = of.get("uses").cloned().unwrap_or_default();
    if uses.get("any_event").and_then(Value::as_bool) == Some(true) {
        field("events", "every event");
    }
    for (name, member) in [
        ("events", "events"),
        ("traits", "traits"),
        ("computed", "computed_traits"),
        ("accounts", "account_traits"),
        ("audiences", "audiences"),
        ("consents", "purposes"),
        ("channels", "channels"),
        ("fields", "fields"),
    ] {
        field(name, &names(&uses, member));
    }
}

fn cost(of: &Value) {
    if let Some(cost) = of.get("cost").filter(|cost| !cost.is_null()) {
        let (kinds, most) = (number(cost, "selectors"), number(cost, "entries_max"));
        let text = format!("{kinds} kinds of events; of a person at most {} counters", count(most));
        field("costs", &text);
    }
}

/// `live`, or how far it is: `filling 37 %`.
pub(super) fn state(one: &Value) -> String {
    let percent = one.get("filled_percent").and_then(Value::as_u64);
    let percent = percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
    format!("{}{percent}", text(one, "state"))
}

pub(super) fn definition(one: &Value) {
    output::line(text(one, "name"));
    field("about", text(one, "description"));
    field("purpose", text(one, "purpose"));
    field("when", text(one, "text"));
    field("time zone", text(one, "time_zone"));
    let size = one.get("size").and_then(Value::as_u64).map(count).unwrap_or_default();
    field("members", &format!("{size}, {}", state(one)));
    uses(one);
    field("used by", &names(one, "used_by"));
    field("told", &names(one, "destinations"));
    cost(one);
    output::line("");
    if let Some(tree) = one.get("tree") {
        branch(tree, 1);
    }
}

/// A condition as a tree: the joints in words, whatever they join as it is written.
fn branch(node: &Value, level: usize) {
    let indent = "  ".repeat(level);
    let Some((kind, inner)) = node.as_object().and_then(|members| members.iter().next()) else {
        output::line(format_args!("{indent}{node}"));
        return;
    };
    match (kind.as_str(), inner) {
        ("all" | "any", Value::Array(parts)) => {
            output::line(format_args!("{indent}{kind} of"));
            parts.iter().for_each(|part| branch(part, level + 1));
        }
        ("not", part) => {
            output::line(format_args!("{indent}not"));
            branch(part, level + 1);
        }
        _ => output::line(format_args!("{indent}{}", condition_text(node))),
    }
}

/// A condition of the answer in the words of the language; as JSON if this binary is older than the server.
fn condition_text(node: &Value) -> String {
    serde_json::from_value::<tessera_audience::Condition>(node.clone())
        .map_or_else(|_| node.to_string(), |condition| condition.to_string())
}

pub(super) fn checked(one: &Value) {
    output::line(format_args!("{} {}: can be used", text(one, "kind"), text(one, "name")));
    field("reads", text(one, "text"));
    uses(one);
    if let Some(events) = one.get("events_per_day").and_then(Value::as_u64) {
        field("looks at", &format!("about {} events a day", count(events)));
    }
    cost(one);
}

pub(super) fn preview(answer: &Value) {
    let (looked_at, everybody) = (number(answer, "looked_at"), number(answer, "everybody"));
    output::line(format_args!("members: {} of {} people", people(answer.get("members")), count(everybody)));
    let of_whom = match answer.get("is_exact").and_then(Value::as_bool) {
        Some(true) => "everybody was looked at".to_owned(),
        _ => format!("estimated from {} people; --exact looks at everybody", count(looked_at)),
    };
    field("sample", &of_whom);
    field("purpose", text(answer, "purpose"));
    field("state", &format!("{} bytes a person", count(number(answer, "bytes_per_person"))));
    output::line("");
    let mut rows = vec![["holds of", "so far", "alone", "condition"].map(str::to_owned).to_vec()];
    if let Some(conditions) = answer.get("conditions") {
        counted(conditions, 0, &mut rows);
    }
    table(&rows);
    for one in list(answer, "sample") {
        output::line("");
        if profile::show(one).is_err() {
            output::line(one);
        }
    }
}

fn counted(one: &Value, level: usize, rows: &mut Vec<Vec<String>>) {
    let cell = |name: &str| one.get(name).and_then(Value::as_u64).map(count).unwrap_or_default();
    let parts = list(one, "parts");
    let condition = match parts.is_empty() {
        true => text(one, "condition").to_owned(),
        false => short(text(one, "condition")),
    };
    let condition = format!("{}{condition}", "  ".repeat(level));
    rows.push(vec![cell("holds"), cell("so_far"), cell("alone"), condition]);
    parts.iter().for_each(|part| counted(part, level + 1, rows));
}

/// A long condition whose parts follow anyhow.
fn short(text: &str) -> String {
    const LETTERS: usize = 60;
    match text.chars().count() > LETTERS {
        true => text.chars().take(LETTERS).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

pub(super) fn explained(answer: &Value) {
    let is_member = answer.get("is_member").and_then(Value::as_bool) == Some(true);
    let word = if is_member { "is a member" } else { "is no member" };
    output::line(format_args!("{} {word} of {}", text(answer, "profile"), text(answer, "audience")));
    field("purpose", text(answer, "purpose"));
    field("since", text(answer, "announced_since"));
    field("changes", text(answer, "next_change_at"));
    output::line("");
    if let Some(reason) = answer.get("reason") {
        because(reason, 1);
    }
}

fn because(reason: &Value, level: usize) {
    let indent = "  ".repeat(level);
    let holds = reason.get("holds").and_then(Value::as_bool) == Some(true);
    let parts = list(reason, "parts");
    let condition = match parts.is_empty() {
        true => text(reason, "condition").to_owned(),
        false => short(text(reason, "condition")),
    };
    let until = match text(reason, "next_change_at") {
        "" => String::new(),
        at => format!("  (until {at})"),
    };
    output::line(format_args!("{indent}{} {condition}{until}", if holds { "yes" } else { "no " }));
    let values =
        |member: &str| list(reason, member).iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let (values, against) = (values("values"), values("against"));
    if !values.is_empty() || !against.is_empty() {
        let against = if against.is_empty() { String::new() } else { format!(" against {against}") };
        output::line(format_args!("{indent}      is {values}{against}"));
    }
    for event in list(reason, "events") {
        let name = event.get("name").and_then(Value::as_str).unwrap_or("an event");
        let line = format!("{indent}      {}  {name}  {}", text(event, "at"), text(event, "message_id"));
        output::line(line.trim_end());
    }
    parts.iter().for_each(|part| because(part, level + 1));
}

pub(super) fn members(answer: &Value) {
    for member in list(answer, "members") {
        output::line(format_args!("since {}", text(member, "since")));
        if member.get("profile").map(profile::show).is_none_or(|shown| shown.is_err()) {
            output::line(member);
        }
        output::line("");
    }
    match text(answer, "next") {
        "" => {}
        next => output::line(format_args!("more: --after {next}")),
    }
}

pub(super) fn overlap(answer: &Value) {
    sampled(answer);
    let mut rows = Vec::new();
    for one in list(answer, "audiences") {
        rows.push(vec![text(one, "name").to_owned(), people(one.get("members"))]);
    }
    for (title, member) in [("in these alone", "sets"), ("two at a time", "pairs")] {
        rows.push(vec![String::new()]);
        rows.push(vec![format!("{title}:")]);
        for one in list(answer, member) {
            rows.push(vec![joined(one), people(one.get("members"))]);
        }
    }
    table(&rows);
}

fn sampled(answer: &Value) {
    let looked_at = count(number(answer, "looked_at"));
    match answer.get("is_exact").and_then(Value::as_bool) {
        Some(true) => output::line(format_args!("all {looked_at} people")),
        _ => output::line(format_args!("estimated from {looked_at} people; --exact looks at everybody")),
    }
    output::line("");
}

fn joined(one: &Value) -> String {
    list(one, "audiences").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" + ")
}

/// A bar for each set of people.
pub(super) fn overlap_picture(answer: &Value) -> String {
    let bar = |one: &Value| Bar {
        name: joined(one),
        value: one.get("members").map(|members| number(members, "people")).unwrap_or_default(),
        text: people(one.get("members")),
    };
    let drawn: Vec<Bar> = list(answer, "sets").iter().map(bar).collect();
    let sizes = list(answer, "audiences").iter();
    let sizes = sizes.map(|one| format!("{} {}", text(one, "name"), people(one.get("members"))));
    let words = drawn.iter().map(|bar| format!("in {} alone: {}", bar.name, bar.text));
    let heading = Heading {
        title: "What audiences share".to_owned(),
        about: sizes.collect::<Vec<_>>().join("; "),
        description: words.collect::<Vec<_>>().join("; "),
    };
    bars(&heading, &drawn)
}
