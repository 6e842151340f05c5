//! Holding announced members against other ways to the same answer. A difference that remains fails.

use std::time::Duration;

use serde_json::{Value, json};

use super::printed;
use crate::cli::Global;
use crate::client::encode;
use crate::commands::progress::bar;
use crate::commands::{client, list, number, text};
use crate::output::{self, Failure, count};

/// `tessera audience recompute`.
pub(super) fn recompute(global: &Global, name: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/audiences/{}/recompute", encode(name));
    let answer = asked(global, &path, &json!({}))?;
    printed(global, &answer, |answer| {
        let agreed = count(number(answer, "agreed"));
        output::line(format_args!("members: {agreed} by the stream and by SQL"));
        line("people", &count(number(answer, "looked_at")));
        for (title, member) in [("stream alone", "only_stream"), ("SQL alone", "only_batch")] {
            differing(title, answer.get(member));
        }
        unsettled(answer);
    })?;
    let people =
        ["only_stream", "only_batch"].map(|one| answer.get(one).map_or(0, |one| number(one, "people")));
    failed(people.iter().sum(), format_args!("the stream and SQL differ on audience `{name}`"))
}

/// `tessera audience audit`.
pub(super) fn audit(global: &Global, order: &Value) -> anyhow::Result<()> {
    let answer = asked(global, "/api/v1/definitions/audit", order)?;
    printed(global, &answer, |answer| {
        let looked_at = count(number(answer, "looked_at"));
        output::line(format_args!(
            "{looked_at} people were asked about, each with all that is known of them"
        ));
        for one in list(answer, "audiences") {
            let (members, others) = (count(number(one, "members")), count(number(one, "others")));
            let name = text(one, "audience");
            output::line(format_args!("{name}: {members} members and {others} others by stream and oracle"));
            for (title, member) in DIFFERING {
                match one.get(member).map_or(0, |people| number(people, "people")) {
                    0 => {}
                    _ => differing(title, one.get(member)),
                }
            }
            unsettled(one);
        }
    })?;
    let of = |one: &Value, member| one.get(member).map_or(0, |people| number(people, "people"));
    let audiences = list(&answer, "audiences").iter();
    let people = audiences.map(|one| DIFFERING.map(|(_, member)| of(one, member)).iter().sum::<u64>()).sum();
    failed(people, format_args!("the stream and the oracle differ"))
}

const DIFFERING: [(&str, &str); 2] = [("stream alone", "only_stream"), ("oracle alone", "only_oracle")];

fn asked(global: &Global, path: &str, body: &Value) -> anyhow::Result<Value> {
    let waiting = bar("{spinner} asking, {elapsed}")?;
    waiting.enable_steady_tick(Duration::from_millis(120));
    let answer = client(global)?.post(path, body);
    waiting.finish_and_clear();
    answer
}

fn line(name: &str, value: &str) {
    output::line(format_args!("  {name:<13}{value}"));
}

fn differing(title: &str, people: Option<&Value>) {
    let Some(people) = people else { return };
    line(title, &count(number(people, "people")));
    for id in list(people, "profiles").iter().filter_map(Value::as_str) {
        output::line(format_args!("    {id}"));
    }
}

/// Those who changed while they were asked, if there are any.
fn unsettled(answer: &Value) {
    match number(answer, "unsettled") {
        0 => {}
        people => line("unsettled", &format!("{}: they changed while they were asked", count(people))),
    }
}

fn failed(people: u64, what: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    match people {
        0 => Ok(()),
        people => {
            let what = format!("{what}: {} people", count(people));
            let hint = "`tessera audience explain NAME PROFILE_ID` says what was found of one of them";
            Err(Failure::new("TES-A094", what, hint).into())
        }
    }
}
