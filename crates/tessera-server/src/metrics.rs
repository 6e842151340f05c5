//! Metrics: one enum of names, each with its help; labels are bounded sets.
//!
//! Counted where things happen, rendered when asked. Reference: OpenMetrics 1.0; names are
//! `tessera_<component>_<noun>[_<unit>][_total]` in base units.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tessera_pipeline::{MatchingLoad, PipelineMetrics, Stage, load_audits};
use tessera_store::{Log, Store};

use crate::api::totals::TotalsAnswer;
use crate::shared::Shared;

pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

macro_rules! metrics {
    ($($variant:ident $kind:ident $name:literal $help:literal)*) => {
        /// Every metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Metric { $($variant),* }

        impl Metric {
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// Without the `_total` that a counter's name ends in.
            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),* }
            }

            const fn kind(self) -> MetricType {
                match self { $(Self::$variant => MetricType::$kind),* }
            }
        }
    };
}

metrics! {
    HttpRequests Counter "tessera_http_requests" "Requests answered, by group of routes and class of status"
    IngestInFlight Gauge "tessera_ingest_in_flight_bytes" "Bytes of records on their way to the store"
    IngestReading Gauge "tessera_ingest_reading_bytes" "Bytes of bodies being read"
    IngestOverloaded Counter "tessera_ingest_overloaded_requests" "Requests refused because too much was on its way"
    IngestUnrecorded Counter "tessera_ingest_unrecorded_refusals" "Bodies refused and, beyond 10 a second, not recorded"
    PipelineStage Counter "tessera_pipeline_stage_seconds" "Time spent, by stage"
    PipelineEvents Counter "tessera_pipeline_events" "Events processed since the server started"
    PipelineCommits Counter "tessera_pipeline_commits" "Batches committed since the server started"
    PipelineConflicts Counter "tessera_pipeline_conflicts" "Commits tried again since the server started"
    PipelinePosition Gauge "tessera_pipeline_position" "Everything before this log position is processed"
    LogGroups Counter "tessera_log_groups" "Groups written since the server started, one fsync each"
    LogRecords Counter "tessera_log_records" "Records written since the server started"
    LogSize Gauge "tessera_log_size_bytes" "Size of the log"
    LogStart Gauge "tessera_log_start_position" "Position of the oldest record kept"
    LogEnd Gauge "tessera_log_end_position" "Position of the next record"
    StoreSize Gauge "tessera_store_size_bytes" "Size of the store"
    StoreDirty Gauge "tessera_store_dirty_bytes" "Memory held by commits that no checkpoint has yet"
    StoreDurable Gauge "tessera_store_durable_position" "A crash falls back to this log position"
    StateAccepted Counter "tessera_state_accepted_events" "Events that joined a profile"
    StateDuplicates Counter "tessera_state_duplicate_events" "Repeats that were dropped"
    StateRejected Counter "tessera_state_rejected_events" "Events refused, by code"
    StateDenied Counter "tessera_state_denied_events" "Events that no purpose covered, by reason"
    StateProfiles Gauge "tessera_state_profiles" "Profiles of people"
    StateIdentifiers Gauge "tessera_state_identifiers" "Identifiers of people"
    StateAccounts Gauge "tessera_state_accounts" "Profiles of accounts"
    StateShared Gauge "tessera_state_shared_identifiers" "Identifiers that stand with too many people"
    StateRefusedEdges Gauge "tessera_state_refused_edges" "Edges between identifiers that are refused now, by reason"
    ContractViolations Counter "tessera_contract_violations" "Violations of tracking plans, by plan"
    ContractAlerts Gauge "tessera_contract_open_alerts" "Alerts of tracking plans that nobody has seen to"
    QualityScore Gauge "tessera_quality_score" "Score of the last audit of the data's quality, of 100; of everything and by source"
    MatchCompared Counter "tessera_match_compared_profiles" "Profiles that live matchers compared as they came or changed, since the server started"
    MatchSeconds Counter "tessera_match_compare_seconds" "Time that live matchers took for that"
    MatchWaiting Gauge "tessera_match_waiting_profiles" "Profiles that wait for the matchers"
    MatchBehind Gauge "tessera_match_behind_seconds" "For how long profiles have always been waiting for the matchers; 0: none waits"
    LakeRows Gauge "tessera_lake_rows" "Events in the lake"
    LakeFiles Gauge "tessera_lake_files" "Files of the lake"
    LakeSize Gauge "tessera_lake_size_bytes" "Size of the lake"
    LakePosition Gauge "tessera_lake_position" "Everything kept before this log position is in the lake"
    LiveWatchers Gauge "tessera_live_watchers" "Readers of the live stream"
}

/// The reference of every metric, as a Markdown page.
#[must_use]
pub fn metric_reference() -> String {
    let mut out = String::from(
        "# Metrics\n\nGenerated by `tessera docs metrics`. `GET /metrics` answers in the OpenMetrics text format. No label \
         holds personal data.\n\n| metric | type | what it counts |\n| --- | --- | --- |\n",
    );
    for metric in Metric::ALL {
        let (suffix, kind) = if is_counter(*metric) { ("_total", "counter") } else { ("", "gauge") };
        out.push_str(&format!("| `{}{suffix}` | {kind} | {} |\n", metric.name(), metric.help()));
    }
    out
}

const fn is_counter(metric: Metric) -> bool {
    matches!(metric.kind(), MetricType::Counter)
}

/// Groups of routes, for counting: a path itself may name a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteGroup {
    Ingest,
    Clients,
    Profiles,
    Workspace,
    Rejects,
    Destinations,
    Totals,
    Query,
    Live,
    System,
    Unknown,
}

impl RouteGroup {
    const ALL: [(Self, &str); 11] = [
        (Self::Ingest, "ingest"),
        (Self::Clients, "clients"),
        (Self::Profiles, "profiles"),
        (Self::Workspace, "workspace"),
        (Self::Rejects, "rejects"),
        (Self::Destinations, "destinations"),
        (Self::Totals, "totals"),
        (Self::Query, "query"),
        (Self::Live, "live"),
        (Self::System, "system"),
        (Self::Unknown, "unknown"),
    ];

    pub(crate) fn of(path: &str) -> Self {
        let mut parts = path.split('/').skip(1);
        match (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        ) {
            ("v1", "projects" | "m", _) | ("sourceConfig", ..) => Self::Clients,
            ("v1", ..) | ("beacon", "v1", _) | ("api", "s", _) => Self::Ingest,
            ("api", "v1", "profiles") => Self::Profiles,
            ("api", "v1", "workspace") => Self::Workspace,
            ("api", "v1", "rejects") => Self::Rejects,
            ("api", "v1", "destinations") => Self::Destinations,
            ("api", "v1", "totals") => Self::Totals,
            ("api", "v1", "query") => Self::Query,
            ("api", "v1", "live") => Self::Live,
            ("health" | "ready" | "metrics" | "openapi.json", ..) => Self::System,
            _ => Self::Unknown,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Requests answered, by group and class of status.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters([[AtomicU64; 4]; 11]);

impl HttpCounters {
    pub(crate) fn count(&self, group: RouteGroup, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(counter) = self.0.get(group.index()).and_then(|classes| classes.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The metrics as text.
pub(crate) fn render<L: Log, S: Store>(
    shared: &Shared<L, S>,
    totals: &TotalsAnswer,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot(snapshot(shared, totals))));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// A metric and its values, each with its label.
#[derive(Debug)]
struct Sample {
    metric: Metric,
    values: Vec<(Vec<(&'static str, String)>, Value)>,
}

#[derive(Clone, Copy, Debug)]
enum Value {
    Whole(u64),
    Seconds(f64),
    Share(f64),
}

impl Value {
    fn encode(self, metric: Metric, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match (is_counter(metric), self) {
            (true, Self::Whole(value)) => ConstCounter::new(value).encode(encoder),
            (true, Self::Seconds(value) | Self::Share(value)) => ConstCounter::new(value).encode(encoder),
            (false, Self::Whole(value)) => ConstGauge::new(value).encode(encoder),
            (false, Self::Seconds(value) | Self::Share(value)) => ConstGauge::new(value).encode(encoder),
        }
    }
}

#[derive(Debug)]
struct Snapshot(Vec<Sample>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for Sample { metric, values } in &self.0 {
            let (name, help, kind) = (metric.name(), metric.help(), metric.kind());
            if let [(labels, value)] = values.as_slice()
                && labels.is_empty()
            {
                value.encode(*metric, encoder.encode_descriptor(name, help, None, kind)?)?;
                continue;
            }
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, value) in values {
                value.encode(*metric, family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

fn snapshot<L: Log, S: Store>(shared: &Shared<L, S>, totals: &TotalsAnswer) -> Vec<Sample> {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (parts, pipeline) = (&shared.parts, &shared.parts.metrics);
    let watchers = u64::try_from(parts.notices.receiver_count()).unwrap_or(u64::MAX);
    let mut samples = vec![http(&shared.http), stages(pipeline)];
    let single = [
        (Metric::IngestInFlight, load(&pipeline.in_flight_bytes)),
        (Metric::IngestReading, load(&shared.reading_bytes)),
        (Metric::IngestOverloaded, load(&pipeline.overloaded)),
        (Metric::IngestUnrecorded, load(&shared.unrecorded_refusals)),
        (Metric::PipelineEvents, load(&pipeline.events)),
        (Metric::PipelineCommits, load(&pipeline.commits)),
        (Metric::PipelineConflicts, load(&pipeline.conflicts)),
        (Metric::PipelinePosition, totals.pipeline_position),
        (Metric::LogGroups, load(&pipeline.groups)),
        (Metric::LogRecords, load(&pipeline.records)),
        (Metric::LogSize, totals.log_bytes),
        (Metric::LogStart, totals.log_start),
        (Metric::LogEnd, totals.log_end),
        (Metric::StoreSize, totals.store_bytes),
        (Metric::StoreDirty, parts.store.dirty_bytes()),
        (Metric::StoreDurable, totals.durable_position),
        (Metric::StateAccepted, totals.accepted),
        (Metric::StateDuplicates, totals.duplicates),
        (Metric::StateProfiles, totals.profiles),
        (Metric::StateIdentifiers, totals.identifiers),
        (Metric::StateAccounts, totals.accounts),
        (Metric::StateShared, totals.shared_identifiers),
        (Metric::ContractAlerts, totals.open_alerts),
        (Metric::LiveWatchers, watchers),
    ];
    samples.extend(
        single.map(|(metric, value)| Sample { metric, values: vec![(Vec::new(), Value::Whole(value))] }),
    );
    if let Some(lake) = &parts.lake {
        let size = lake.size();
        let lake = [
            (Metric::LakeRows, size.rows),
            (Metric::LakeFiles, size.files),
            (Metric::LakeSize, size.bytes),
            (Metric::LakePosition, lake.position().0),
        ];
        samples.extend(
            lake.map(|(metric, value)| Sample { metric, values: vec![(Vec::new(), Value::Whole(value))] }),
        );
    }
    samples.push(quality(parts.store.as_ref()));
    samples.extend(matching(parts.matching.load(parts.clock.now())));
    samples.push(labelled(Metric::StateRejected, "code", &totals.rejected));
    samples.push(labelled(Metric::StateDenied, "reason", &totals.denied));
    samples.push(labelled(Metric::StateRefusedEdges, "reason", &totals.refused_edges));
    samples.push(labelled(Metric::ContractViolations, "plan", &totals.violations));
    samples
}

fn http(counters: &HttpCounters) -> Sample {
    let mut values = Vec::new();
    for (group, name) in RouteGroup::ALL {
        for (class, counter) in CLASSES.iter().zip(counters.0.get(group.index()).into_iter().flatten()) {
            let labels = vec![("group", name.to_owned()), ("status", (*class).to_owned())];
            values.push((labels, Value::Whole(counter.load(Ordering::Relaxed))));
        }
    }
    Sample { metric: Metric::HttpRequests, values }
}

fn stages(pipeline: &PipelineMetrics) -> Sample {
    let seconds = |stage| Duration::from_nanos(pipeline.nanos(stage)).as_secs_f64();
    let values = Stage::ALL
        .into_iter()
        .map(|stage| (vec![("stage", stage.as_str().to_owned())], Value::Seconds(seconds(stage))))
        .collect();
    Sample { metric: Metric::PipelineStage, values }
}

/// What cannot be read now is left out: metrics are to be answered whatever is wrong.
fn quality(store: &impl Store) -> Sample {
    let last = load_audits(store).ok().and_then(|mut audits| audits.pop());
    let whole = |score: Option<f64>, label: Vec<(&'static str, String)>| Some((label, Value::Share(score?)));
    let values = last.iter().flat_map(|audit| {
        let sources = audit.sources.iter();
        let each = sources.map(move |(name, one)| whole(one.score, vec![("source", name.clone())]));
        std::iter::once(whole(audit.score, vec![("source", "all".to_owned())])).chain(each)
    });
    Sample { metric: Metric::QualityScore, values: values.flatten().collect() }
}

fn matching(load: MatchingLoad) -> [Sample; 4] {
    let sample = |metric, value| Sample { metric, values: vec![(Vec::new(), value)] };
    [
        sample(Metric::MatchCompared, Value::Whole(load.compared)),
        sample(Metric::MatchSeconds, Value::Seconds(Duration::from_nanos(load.nanos).as_secs_f64())),
        sample(Metric::MatchWaiting, Value::Whole(load.waiting)),
        sample(Metric::MatchBehind, Value::Seconds(Duration::from_millis(load.behind_millis).as_secs_f64())),
    ]
}

fn labelled(metric: Metric, label: &'static str, counts: &BTreeMap<String, u64>) -> Sample {
    let values =
        counts.iter().map(|(name, count)| (vec![(label, name.clone())], Value::Whole(*count))).collect();
    Sample { metric, values }
}
