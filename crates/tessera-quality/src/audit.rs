//! What is kept of a report through time, and when a fall is worth an alert. No personal data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tessera_model::Timestamp;

use crate::Report;
use crate::report::Dimensions;

/// One audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// When.
    #[serde(
        serialize_with = "Timestamp::serialize_rfc3339",
        deserialize_with = "Timestamp::deserialize_rfc3339"
    )]
    pub at: Timestamp,
    /// Profiles of people.
    pub people: u64,
    /// 0 to 100.
    pub score: Option<f64>,
    /// Profiles too many.
    pub surplus: u64,
    /// Things found, by severity.
    pub findings: [u64; 3],
    /// Each source.
    pub sources: BTreeMap<String, SourceScore>,
}

/// One source in one audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceScore {
    /// Its records.
    pub records: u64,
    /// 0 to 100.
    pub score: Option<f64>,
    /// Completeness, validity, uniqueness, timeliness, consistency: shares of 1.
    pub dimensions: [Option<f64>; 5],
}

impl From<&Report> for Audit {
    fn from(report: &Report) -> Self {
        let mut findings = [0; 3];
        for one in &report.findings {
            if let Some(count) = findings.get_mut(one.severity as usize) {
                *count += 1;
            }
        }
        let sources = report.sources.iter().map(|source| {
            let Dimensions { completeness, validity, uniqueness, timeliness, consistency } =
                source.dimensions;
            let dimensions = [completeness, validity, uniqueness, timeliness, consistency];
            let score = SourceScore { records: source.records, score: source.score, dimensions };
            (source.source.clone(), score)
        });
        Self {
            at: report.made_at,
            people: report.people,
            score: report.score,
            surplus: report.duplicates.iter().map(|one| one.surplus).max().unwrap_or_default(),
            findings,
            sources: sources.collect(),
        }
    }
}

/// A score that fell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fall {
    /// Of which source; `None`: over all.
    pub source: Option<String>,
    /// What it was.
    pub before: f64,
    /// What it is.
    pub after: f64,
}

/// Scores that fell by more than `points` from one audit to the next. A source without a score in either fell in none.
#[must_use]
pub fn falls(before: &Audit, after: &Audit, points: f64) -> Vec<Fall> {
    let mut found = Vec::new();
    let mut compare = |source: Option<&str>, before: Option<f64>, after: Option<f64>| {
        if let (Some(before), Some(after)) = (before, after)
            && before - after > points
        {
            found.push(Fall { source: source.map(str::to_owned), before, after });
        }
    };
    compare(None, before.score, after.score);
    for (name, now) in &after.sources {
        compare(Some(name), before.sources.get(name).and_then(|then| then.score), now.score);
    }
    found
}
