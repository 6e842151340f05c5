//! `tessera profile`.

use serde_json::{Value, json};

use super::{client, list, print_json, text};
use crate::cli::{Global, Profile};
use crate::client::{Client, encode};
use crate::output;

pub(crate) fn run(global: &Global, command: &Profile) -> anyhow::Result<()> {
    let client = client(global)?;
    match command {
        Profile::Show { reference, include, purpose } => {
            let mut query = Vec::new();
            if !include.is_empty() {
                query.push(format!("include={}", encode(&include.join(","))));
            }
            query.extend(purpose.iter().map(|purpose| format!("purpose={}", encode(purpose))));
            let answer =
                client.get(&format!("/api/v1/profiles/{}?{}", encode(reference), query.join("&")))?;
            if global.json { print_json(&answer) } else { show(&answer) }
        }
        Profile::Explain { reference, name, purpose } => {
            explain(global, &client, reference, name, purpose.as_deref())
        }
        Profile::List { limit, after, namespace, traits } => {
            let mut query = vec![format!("limit={limit}")];
            query.extend(after.iter().map(|after| format!("after={}", encode(after))));
            query.extend(namespace.iter().map(|namespace| format!("namespace={}", encode(namespace))));
            for pair in traits {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                query.push(format!("trait.{}={}", encode(name), encode(value)));
            }
            let answer = client.get(&format!("/api/v1/profiles?{}", query.join("&")))?;
            if global.json {
                return print_json(&answer);
            }
            for profile in list(&answer, "profiles") {
                let identifiers: Vec<String> = list(profile, "identifiers").iter().map(identifier).collect();
                output::line(format_args!("{}  {}", text(profile, "id"), identifiers.join("  ")));
            }
            if let Some(next) = answer.get("next").and_then(Value::as_str) {
                output::line(format_args!("more: --after {next}"));
            }
            Ok(())
        }
        Profile::Merge { a, b, reason } => {
            let body = json!({ "with": b, "reason": reason });
            let answer = client.post(&format!("/api/v1/profiles/{}/merge", encode(a)), &body)?;
            if global.json { print_json(&answer) } else { show(&answer) }
        }
        Profile::Split { reference, identifiers, reason } => {
            let body = json!({ "identifiers": identifiers, "reason": reason });
            let answer = client.post(&format!("/api/v1/profiles/{}/split", encode(reference)), &body)?;
            if global.json {
                return print_json(&answer);
            }
            for profile in list(&answer, "profiles") {
                show(profile)?;
                output::line("");
            }
            Ok(())
        }
    }
}

/// Why a trait has the value it has.
fn explain(
    global: &Global,
    client: &Client,
    reference: &str,
    name: &str,
    purpose: Option<&str>,
) -> anyhow::Result<()> {
    let mut path = format!("/api/v1/profiles/{}?include=provenance,alternatives", encode(reference));
    path.extend(purpose.iter().map(|purpose| format!("&purpose={}", encode(purpose))));
    let answer = client.get(&path)?;
    let part = |part: &str| answer.get(part).and_then(|all| all.get(name)).cloned();
    let (value, origin, others) = (part("traits"), part("provenance"), part("alternatives"));
    if origin.is_none() && others.is_none() {
        anyhow::bail!(
            "nothing is known of trait `{name}` that may be shown\nhint: `tessera profile show` lists the traits that may"
        );
    }
    if global.json {
        return print_json(&json!({ "value": value, "provenance": origin, "alternatives": others }));
    }
    if let Some(origin) = &origin {
        output::line(format_args!("{name} = {}", value.unwrap_or_default()));
        output::line(format_args!("  rule         {}", text(origin, "rule")));
        output::line(format_args!("  survived     {}", word(origin)));
    } else {
        output::line(format_args!("{name}: the surviving word may not be shown"));
    }
    for other in others.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let value = other.get("value").cloned().unwrap_or_default();
        output::line(format_args!("  did not      {value}: {}", word(other)));
    }
    Ok(())
}

fn word(word: &Value) -> String {
    format!("{} at {}, {}", text(word, "source"), text(word, "at"), text(word, "why"))
}

/// What stood against a link: `refused, limit user_id`.
fn refused(edge: &Value) -> Option<String> {
    let by = edge.get("refused_by")?;
    Some(format!("refused, {} {}", text(by, "reason"), text(by, "namespace")).trim_end().to_owned())
}

fn identifier(value: &Value) -> String {
    match text(value, "value") {
        "" if value.get("is_shared").is_some() => format!("{}:(shared)", text(value, "namespace")),
        "" => format!("{}:(hidden)", text(value, "namespace")),
        known => format!("{}:{known}", text(value, "namespace")),
    }
}

pub(super) fn show(profile: &Value) -> anyhow::Result<()> {
    output::line(format_args!("profile {}", text(profile, "id")));
    output::line(format_args!(
        "  seen         {} to {}",
        text(profile, "first_seen_at"),
        text(profile, "last_seen_at")
    ));
    if let Some(denied) = profile.get("denied").and_then(Value::as_str) {
        output::line(format_args!("  denied       {denied}: no purpose permits to show more"));
    }
    for value in list(profile, "identifiers") {
        output::line(format_args!("  identifier   {}", identifier(value)));
    }
    for (name, value) in profile.get("traits").and_then(Value::as_object).into_iter().flatten() {
        let origin = profile.pointer("/provenance").and_then(|all| all.get(name));
        let origin =
            origin.map_or_else(String::new, |o| format!("  ({} {})", text(o, "source"), text(o, "at")));
        output::line(format_args!("  trait        {name} = {value}{origin}"));
    }
    for contact in list(profile, "contacts") {
        let form = contact.get("normalised").and_then(Value::as_str).unwrap_or("-");
        let (status, reason) = (text(contact, "status"), text(contact, "reason"));
        let raw = contact.get("raw").map_or_else(String::new, |raw| format!(" from {raw}"));
        output::line(format_args!("  contact      {form}{raw}: {status}, {reason}"));
    }
    for (purpose, consent) in profile.get("consents").and_then(Value::as_object).into_iter().flatten() {
        output::line(format_args!(
            "  consent      {purpose}: {} at {}",
            text(consent, "status"),
            text(consent, "at")
        ));
    }
    for account in list(profile, "accounts") {
        output::line(format_args!(
            "  account      {} since {}",
            text(account, "account_id"),
            text(account, "since")
        ));
    }
    for group in list(profile, "groups") {
        let by: Vec<&str> = list(group, "by").iter().filter_map(Value::as_str).collect();
        let (of, id) = (text(group, "type"), text(group, "id"));
        let line = format!("  group        {of} {id} by {}  {}", by.join(", "), text(group, "value"));
        output::line(line.trim_end());
    }
    for (name, count) in profile.get("event_counts").and_then(Value::as_object).into_iter().flatten() {
        let count = (super::number(count, "count"), text(count, "last_at"));
        output::line(format_args!(
            "  event        {name}: {} times, last at {}",
            output::count(count.0),
            count.1
        ));
    }
    for edge in list(profile, "merges") {
        let ends = [edge.get("a"), edge.get("b")].map(|end| end.map(identifier).unwrap_or_default());
        let why = list(edge, "evidence").first().map_or_else(String::new, |evidence| {
            format!(
                "{} by {} at {}",
                text(evidence, "strength"),
                text(evidence, "source"),
                text(evidence, "at")
            )
        });
        output::line(format_args!(
            "  link         {} - {}: {} ({why})",
            ends[0],
            ends[1],
            refused(edge).unwrap_or_else(|| text(edge, "linked").to_owned())
        ));
    }
    Ok(())
}
