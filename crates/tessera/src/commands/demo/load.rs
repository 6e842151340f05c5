//! Sends the year through the tracking API and reads every profile back. The only part that talks to the server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tessera_model::Document;
use tessera_store::{Clock as _, SystemClock};

use super::event::{Made, Source};
use crate::client::{Client, encode};
use crate::commands::{list, number, text};
use crate::output::{self, Failure};

const BATCH_EVENTS_MAX: usize = 400;
const BATCH_BYTES_MAX: usize = 450_000;
/// How often an overloaded server is asked again before giving up, at most a second apart.
const TRIES_MAX: u32 = 120;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) events: u64,
    pub(super) bytes: u64,
    /// Events that the server must refuse.
    pub(super) malformed: u64,
    pub(super) batches: u64,
    /// Time spent sending and waiting for the pipeline, without the making of events.
    pub(super) nanos: u64,
}

/// Sends batches to the server.
pub(super) struct Loader<'a> {
    client: &'a Client,
    clock: SystemClock,
    write_keys: BTreeMap<Source, String>,
    pub(super) sent: Sent,
}

impl<'a> Loader<'a> {
    /// Takes the write keys from the workspace's documents.
    pub(super) fn new(client: &'a Client, documents: &[Document]) -> Self {
        let key_of = |source: Source| {
            documents.iter().find_map(|document| match document {
                Document::Source(found) if found.name.as_str() == source.name() => {
                    Some((source, found.write_key.reveal().to_owned()))
                }
                Document::Source(_)
                | Document::Purpose(_)
                | Document::Namespace(_)
                | Document::Destination(_)
                | Document::Field(_)
                | Document::Policy(_)
                | Document::Controller(_)
                | Document::TrackingPlan(_)
                | Document::Identity(_)
                | Document::Matcher(_)
                | Document::GroupType(_)
                | Document::Audience(_)
                | Document::ComputedTrait(_) => None,
            })
        };
        let write_keys = Source::ALL.into_iter().filter_map(key_of).collect();
        Self { client, clock: SystemClock::new(), write_keys, sent: Sent::default() }
    }

    /// Sends events in their order, each batch from one source. Returns when all are durable.
    pub(super) fn send(&mut self, events: &[Made]) -> anyhow::Result<()> {
        let start = self.clock.monotonic_nanos();
        for of_source in events.chunk_by(|one, next| one.source == next.source) {
            let mut body = String::with_capacity(BATCH_BYTES_MAX);
            let mut held = 0;
            for made in of_source {
                if held == BATCH_EVENTS_MAX || body.len() + made.json.len() > BATCH_BYTES_MAX {
                    self.post(made.source, held, &mut body)?;
                    held = 0;
                }
                body.push_str(if held == 0 { "{\"batch\":[" } else { "," });
                body.push_str(&made.json);
                self.sent.malformed += u64::from(made.person.is_none());
                held += 1;
            }
            if let Some(last) = of_source.last() {
                self.post(last.source, held, &mut body)?;
            }
        }
        self.sent.nanos += self.clock.monotonic_nanos().saturating_sub(start);
        Ok(())
    }

    fn post(&mut self, source: Source, held: usize, body: &mut String) -> anyhow::Result<()> {
        if held == 0 {
            return Ok(());
        }
        body.push_str("]}");
        let write_key = self.write_keys.get(&source).map(String::as_str).unwrap_or_default();
        let mut tries = 0;
        let (status, answer) = loop {
            let (status, answer) = self.client.ingest(source.path(), write_key, body.as_bytes())?;
            tries += 1;
            if !matches!(status, 429 | 503) || tries == TRIES_MAX {
                break (status, answer);
            }
            std::thread::sleep(Duration::from_millis(u64::from(tries * 100).min(1000)));
        };
        if status != 200 {
            let what = format!(
                "the server answered {status} to a batch of {}: {}",
                source.name(),
                text(&answer, "message")
            );
            return Err(Failure::new("TES-C006", what, text(&answer, "hint")).into());
        }
        self.sent.events += u64::try_from(held).unwrap_or_default();
        self.sent.bytes += u64::try_from(body.len()).unwrap_or_default();
        self.sent.batches += 1;
        body.clear();
        Ok(())
    }

    /// Waits until the pipeline has come to the end of the log; returns the totals there.
    pub(super) fn settle(&mut self) -> anyhow::Result<Value> {
        let start = self.clock.monotonic_nanos();
        let (mut position, mut idle) = (0, 0);
        loop {
            let totals = self.client.get("/api/v1/totals")?;
            let reached = number(&totals, "pipeline_position");
            if reached >= number(&totals, "log_end") {
                self.sent.nanos += self.clock.monotonic_nanos().saturating_sub(start);
                return Ok(totals);
            }
            idle = if reached > position { 0 } else { idle + 1 };
            position = reached;
            if idle > 20 * TRIES_MAX {
                let what = format!("the pipeline stands at log position {position} and does not go on");
                return Err(
                    Failure::new("TES-C006", what, "the server's log on standard error says why").into()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What the destinations got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) events: u64,
    /// Denied at the moment of sending.
    pub(super) denied: u64,
}

/// Waits until nothing waits for delivery any more, a minute at most.
pub(super) fn delivered(client: &Client) -> anyhow::Result<Delivered> {
    for _ in 0..600 {
        let answer = client.get("/api/v1/destinations")?;
        let destinations = list(&answer, "destinations");
        let total = |name: &str| destinations.iter().map(|one| number(one, name)).sum::<u64>();
        if total("waiting") == 0 {
            return Ok(Delivered { events: total("delivered"), denied: total("denied") });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let hint = "`tessera destination list` says what troubles the destination";
    Err(Failure::new("TES-C006", "deliveries still wait after a minute", hint).into())
}

/// One profile as the API lists it.
#[derive(Debug)]
pub(super) struct Listed {
    /// `namespace:value`.
    pub(super) identifiers: Vec<String>,
    pub(super) is_in_account: bool,
    /// Whether it said yes to something.
    pub(super) has_consent: bool,
}

/// Every profile that may be shown, and the seconds that reading took.
pub(super) fn read_back(client: &Client) -> anyhow::Result<(Vec<Listed>, f64)> {
    let clock = SystemClock::new();
    let (mut profiles, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/profiles?limit=500{after}"))?;
        profiles.extend(list(&page, "profiles").iter().map(listed));
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={}", encode(next)),
            None => return Ok((profiles, seconds(clock.monotonic_nanos()))),
        }
    }
}

fn listed(profile: &Value) -> Listed {
    let identifiers = list(profile, "identifiers").iter();
    let consents = profile.get("consents").and_then(Value::as_object).into_iter().flatten();
    Listed {
        identifiers: identifiers
            .map(|one| format!("{}:{}", text(one, "namespace"), text(one, "value")))
            .collect(),
        is_in_account: !list(profile, "accounts").is_empty(),
        has_consent: consents.into_iter().any(|(_, consent)| text(consent, "status") == "given"),
    }
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// Says what the workspace's application came to.
pub(super) fn apply(client: &Client, documents: &[Document]) -> anyhow::Result<()> {
    let answer = client.put("/api/v1/workspace", &serde_json::json!({ "documents": documents }))?;
    let (added, changed) = (list(&answer, "added").len(), list(&answer, "changed").len());
    if added + changed > 0 {
        tracing::debug!(added, changed, "applied the demo's workspace");
    }
    Ok(())
}

/// How far the loading is: a bar for people, nothing where nobody looks.
pub(super) fn progress(weeks: u32) -> anyhow::Result<indicatif::ProgressBar> {
    let bar = indicatif::ProgressBar::new(u64::from(weeks));
    let style = "  {bar:40.cyan/dim} week {pos} of {len}  {msg}";
    bar.set_style(indicatif::ProgressStyle::with_template(style)?);
    bar.set_message(format!("{} events", output::count(0)));
    Ok(bar)
}
