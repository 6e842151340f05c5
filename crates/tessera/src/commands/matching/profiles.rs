//! The server's matchers: their list, a run over everybody, and how far it is.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::encode;
use crate::commands::progress::ended;
use crate::commands::{client, list as members, number, print_json, text};
use crate::output::{self, count};

/// `tessera match list`.
pub(super) fn list(global: &Global) -> anyhow::Result<()> {
    let answer = client(global)?.get("/api/v1/match")?;
    if global.json {
        return print_json(&answer);
    }
    let matchers = members(&answer, "matchers");
    if matchers.is_empty() {
        output::line("no matcher is declared: docs/guide/find-duplicates.md shows one");
    }
    for matcher in matchers {
        let state = match text(matcher, "why") {
            "" => "has learned",
            why => why,
        };
        output::line(format_args!("{}: {state}", text(matcher, "name")));
        output::line(format_args!(
            "  knows {} profiles; linked {} pairs and asked about {} since the server was started",
            count(number(matcher, "profiles")),
            count(number(matcher, "linked")),
            count(number(matcher, "asked"))
        ));
        if matcher.get("is_live") == Some(&Value::Bool(true)) {
            let compared = count(number(matcher, "compared"));
            output::line(format_args!("  live: compared {compared} profiles as they came or changed"));
        }
        if let Some(run) = matcher.get("last_run").filter(|run| !run.is_null()) {
            output::line(format_args!("  last run {}: {}", text(run, "ended_at"), outcome(run)));
        }
    }
    Ok(())
}

/// `tessera match run --matcher`.
pub(super) fn run(global: &Global, matcher: &str, is_dry: bool) -> anyhow::Result<()> {
    let target = if global.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::with_template("{msg:10} {bar:30} {human_pos} of {human_len}  {eta} left")?);
    let path = format!("/api/v1/match/{}/run", encode(matcher));
    let run = ended(&bar, |each| client(global)?.post_stream(&path, &json!({ "dry_run": is_dry }), each))?;
    if global.json {
        return print_json(&run);
    }
    output::line(outcome(&run));
    Ok(())
}

fn outcome(run: &Value) -> String {
    let would = if run.get("is_dry") == Some(&Value::Bool(true)) { "would be " } else { "" };
    let broken = match text(run, "broke_off") {
        "" => String::new(),
        why => format!("; broke off: {why}"),
    };
    format!(
        "{} profiles compared; {} pairs {would}linked, {} pairs {would}put before a person{broken}",
        count(number(run, "profiles")),
        count(number(run, "linked")),
        count(number(run, "asked"))
    )
}
