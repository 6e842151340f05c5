//! `tessera simulate`: what applying workspace files would do, before it is done.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tessera_model::Problem;

use super::progress::walked;
use super::workspace::explain;
use super::{client, list, number, print_json, text};
use crate::cli::Global;
use crate::output::{self, count};
use crate::yaml::{self, Files};

pub(crate) fn run(
    global: &Global,
    paths: &[PathBuf],
    prune: bool,
    as_of: Option<&str>,
) -> anyhow::Result<()> {
    let files = yaml::read(paths)?;
    let body = json!({ "documents": files.documents, "as_of": as_of });
    let path = format!("/api/v1/workspace/simulate?prune={prune}");
    let asked = walked(|each| client(global)?.post_stream(&path, &body, each));
    let answer = explain(&files, asked)?;
    if global.json {
        return print_json(&answer);
    }
    report(&files, &answer);
    Ok(())
}

fn report(files: &Files, answer: &Value) {
    let (problems, change, effect) =
        (list(answer, "problems"), member(answer, "change"), member(answer, "effect"));
    for (name, sign) in [("added", '+'), ("changed", '~'), ("removed", '-')] {
        for document in list(change, name) {
            output::line(format_args!("{sign} {}", document.as_str().unwrap_or_default()));
        }
    }
    for problem in problems.iter().filter_map(|one| serde_json::from_value::<Problem>(one.clone()).ok()) {
        output::note(files.describe(&problem));
    }
    if !problems.is_empty() {
        output::line("`apply` would refuse this; if it did not:");
    }
    output::line(format_args!(
        "{} and {}, as of {}",
        some(number(effect, "people"), "person", "people"),
        some(number(effect, "accounts"), "account", "accounts"),
        text(effect, "as_of")
    ));
    print(&people(effect));
    print(&fields(effect));
    print(&deliveries(effect));
    print(&leaving(effect));
    print(&matchers(effect));
    for line in pairs(effect) {
        output::line(line);
    }
    let identity = member(answer, "identity");
    if number(member(identity, "profiles"), "before") > 0 {
        output::line("");
        super::undo::people(identity).into_iter().for_each(output::line);
    }
    output::line("");
    for line in summary(effect) {
        output::line(line);
    }
}

/// People for whom each purpose may be pursued.
fn people(effect: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![cells(["people permitted", "before", "after", "with data", "after", "no longer"])];
    for (name, purpose) in members(effect, "purposes") {
        let (permitted, with_data) = (member(purpose, "permitted"), member(purpose, "with_data"));
        rows.push(vec![
            name.clone(),
            count(number(permitted, "before")),
            count(number(permitted, "after")),
            count(number(with_data, "before")),
            count(number(with_data, "after")),
            reasons(member(purpose, "newly_denied")),
        ]);
    }
    rows
}

/// Values that go.
fn fields(effect: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![cells(["fields that go", "held", "go", "why"])];
    let traits = members(effect, "traits").map(|(name, one)| (format!("traits.{name}"), one));
    let others = [
        ("event counts", "event_counts"),
        ("recent events", "recent_events"),
        ("memberships of accounts", "memberships"),
    ];
    let others = others.into_iter().map(|(shown, name)| (shown.to_owned(), member(effect, name)));
    for (name, values) in traits.chain(others).filter(|(_, values)| number(values, "removed") > 0) {
        let (held, removed) = (number(values, "held"), number(values, "removed"));
        rows.push(vec![name, count(held), count(removed), reasons(member(values, "reasons"))]);
    }
    rows
}

/// What destinations get.
fn deliveries(effect: &Value) -> Vec<Vec<String>> {
    let header = ["people reached", "before", "after", "waiting", "denied", "after", "no longer"];
    let mut rows = vec![cells(header)];
    for (name, destination) in members(effect, "destinations") {
        let (people, denied) = (member(destination, "people"), member(destination, "denied"));
        let mut why = reasons(member(destination, "newly_denied"));
        if number(destination, "stranded") > 0 {
            why = format!("{} stay behind: the destination goes", count(number(destination, "stranded")));
        }
        rows.push(vec![
            name.clone(),
            count(number(people, "before")),
            count(number(people, "after")),
            count(number(destination, "waiting")),
            count(number(denied, "before")),
            count(number(denied, "after")),
            why,
        ]);
    }
    rows
}

/// Fields of waiting deliveries that leave more or less often.
fn leaving(effect: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![cells(["fields that leave", "before", "after", "to"])];
    for (name, destination) in members(effect, "destinations") {
        for (path, pair) in members(destination, "fields") {
            let (before, after) = (number(pair, "before"), number(pair, "after"));
            if before != after {
                rows.push(vec![path.clone(), count(before), count(after), name.clone()]);
            }
        }
    }
    rows
}

/// What changed matchers would find, and what they have found.
fn matchers(effect: &Value) -> Vec<Vec<String>> {
    let header = ["pairs matched", "linked before", "after", "asked before", "after", "taken back"];
    let mut rows = vec![cells(header)];
    for (name, matcher) in members(effect, "matchers") {
        let (linked, asked) = (member(matcher, "linked"), member(matcher, "asked"));
        let below = number(matcher, "below");
        let last = match (text(matcher, "why"), below) {
            ("", 0) => String::new(),
            ("", below) => format!(
                "{} of {} linked are below, and stay; without them {} would come apart",
                count(below),
                count(number(matcher, "on_record")),
                some(number(matcher, "splitting"), "profile", "profiles")
            ),
            (why, _) => why.to_owned(),
        };
        rows.push(vec![
            name.clone(),
            count(number(linked, "before")),
            count(number(linked, "after")),
            count(number(asked, "before")),
            count(number(asked, "after")),
            last,
        ]);
    }
    rows
}

/// Pairs that a changed matcher would treat otherwise.
fn pairs(effect: &Value) -> Vec<String> {
    let samples = members(effect, "matchers")
        .flat_map(|(name, one)| list(one, "samples").iter().map(move |pair| (name, pair)));
    samples
        .map(|(name, pair)| {
            let probability = pair.get("probability").and_then(Value::as_f64).unwrap_or_default();
            format!(
                "  {} {}  {probability:.4} by {name}: {}, then {}",
                text(pair, "a"),
                text(pair, "b"),
                text(pair, "before"),
                text(pair, "after")
            )
        })
        .collect()
}

fn summary(effect: &Value) -> Vec<String> {
    let values = member(effect, "values");
    let mut lines = vec![format!(
        "{} of {} would go; {} would lose something, {} everything",
        count(number(values, "removed")),
        some(number(values, "held"), "value", "values"),
        some(number(effect, "people_losing_something"), "person", "people"),
        count(number(effect, "people_losing_everything"))
    )];
    for (name, what) in [
        ("removed_anyway", "on schedule, change or not"),
        ("kept_after_all", "no more, that go on schedule now"),
    ] {
        let some = some(number(values, name), "value", "values");
        if number(values, name) > 0 {
            lines.push(format!("{some} would go {what}"));
        }
    }
    lines.push("nothing was changed".to_owned());
    lines
}

/// `1 person`, `2 people`.
fn some(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A member of an answer, null when it is not there.
fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// `8,109 outdated, 2 refused`, the most frequent first.
fn reasons(counts: &Value) -> String {
    let mut counts: Vec<(u64, &str)> = counts
        .as_object()
        .into_iter()
        .flat_map(Map::iter)
        .map(|(reason, n)| (n.as_u64().unwrap_or_default(), reason.as_str()))
        .collect();
    counts.sort_by_key(|(n, reason)| (std::cmp::Reverse(*n), *reason));
    let shown = counts.into_iter().map(|(n, reason)| match reason {
        "not_served" => format!("{} out of time", count(n)),
        reason => format!("{} {}", count(n), reason.replace('_', " ")),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn cells<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// Prints a table under an empty line, unless it has nothing but its head. The first and last columns are words, the
/// others numbers.
fn print(rows: &[Vec<String>]) {
    if rows.len() < 2 {
        return;
    }
    output::line("");
    for line in align(rows) {
        output::line(line);
    }
}

fn align(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match at {
                0 => line.push_str(&format!("{cell:width$}")),
                at if at + 1 == columns => line.push_str(&format!("  {cell}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_read_as_people_expect() {
        let effect = json!({
            "purposes": {
                "news": {"permitted": {"before": 8211, "after": 102}, "with_data": {"before": 8000, "after": 100},
                         "newly_denied": {"outdated": 8100, "age_unknown": 9}, "newly_permitted": 0},
                "service": {"permitted": {"before": 12345, "after": 12345},
                            "with_data": {"before": 12345, "after": 12345}, "newly_denied": {}},
            },
            "traits": {
                "email": {"held": 12000, "removed": 3100, "reasons": {"outdated": 3000, "not_served": 100}},
                "plan": {"held": 5, "removed": 0, "reasons": {}},
            },
            "destinations": {"crm": {"people": {"before": 7, "after": 0}, "waiting": 3, "stranded": 3,
                                     "denied": {"before": 1, "after": 0}, "newly_denied": {},
                                     "fields": {"traits.plan": {"before": 2, "after": 2},
                                                "traits.illness": {"before": 2, "after": 0}}}},
            "matchers": {"people": {"linked": {"before": 10, "after": 1200}, "asked": {"before": 3, "after": 0},
                                    "on_record": 7, "below": 2, "splitting": 1}},
        });
        let shown: Vec<String> =
            [people(&effect), fields(&effect), deliveries(&effect), leaving(&effect), matchers(&effect)]
                .iter()
                .flat_map(|rows| align(rows))
                .collect();
        let expected = [
            "people permitted  before   after  with data   after  no longer",
            "news               8,211     102      8,000     100  8,100 outdated, 9 age unknown",
            "service           12,345  12,345     12,345  12,345",
            "fields that go    held     go  why",
            "traits.email    12,000  3,100  3,000 outdated, 100 out of time",
            "people reached  before  after  waiting  denied  after  no longer",
            "crm                  7      0        3       1      0  3 stay behind: the destination goes",
            "fields that leave  before  after  to",
            "traits.illness          2      0  crm",
            "pairs matched  linked before  after  asked before  after  taken back",
            "people                    10  1,200             3      0  2 of 7 linked are below, and stay; without them 1 profile would come apart",
        ];
        assert_eq!(shown, expected, "{shown:#?}");
    }
}
