//! Why a matcher holds two profiles to be one person, or two.

use tessera_match::{Column, Explanation, MatchError, Model, Table, explain};
use tessera_model::{FragmentId, MatcherDocument, Rules, Timestamp};
use tessera_policy::Labels;
use tessera_store::Store;

use super::record::{Compare, Gate};
use crate::PipelineError;
use crate::query::load_cluster;

/// Which matcher is asked, and by which rules.
pub struct MatchQuestion<'a> {
    /// The workspace in force.
    pub rules: &'a Rules,
    /// The labels of its fields.
    pub labels: &'a Labels,
    /// The matcher.
    pub matcher: &'a MatcherDocument,
    /// What it has learned.
    pub model: &'a Model,
    /// The moment of the decision.
    pub now: Timestamp,
}

/// Two profiles, side by side. The values are personal data.
pub struct ComparedPair {
    /// The profiles' ids.
    pub profiles: [FragmentId; 2],
    /// What is compared of each, in the order of the matcher's columns; as far as its purpose permits.
    pub values: [Vec<Option<Box<str>>>; 2],
    /// Level by level.
    pub explanation: Explanation,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Nobody there, or nothing that the matcher's purpose permits to compare.
    #[error("one of the two is not there, or the matcher's purpose does not permit to compare it")]
    NotCompared,
    /// The model does not fit.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] PipelineError),
}

/// The comparison of two records. What is frequent the model knows, so the two are table enough.
pub(super) fn side_by_side(
    matcher: &MatcherDocument,
    model: &Model,
    records: [&Compare; 2],
) -> Result<Explanation, MatchError> {
    let mut columns: Vec<Column> = matcher.columns.keys().map(|name| Column::new(name)).collect();
    for record in records {
        for (column, cell) in columns.iter_mut().zip(record.cells()) {
            column.push(cell);
        }
    }
    explain(&Table::new(columns)?, model, 0, 1)
}

impl MatchQuestion<'_> {
    /// Compares the profiles that two fragments are in.
    ///
    /// # Errors
    /// [`ExplainError`].
    pub fn ask(
        &self,
        store: &impl Store,
        a: FragmentId,
        b: FragmentId,
    ) -> Result<ComparedPair, ExplainError> {
        let (one, other) = (self.record(store, a)?, self.record(store, b)?);
        let explanation = side_by_side(self.matcher, self.model, [&one, &other])?;
        Ok(ComparedPair {
            profiles: [one.profile, other.profile],
            values: [one.values, other.values],
            explanation,
        })
    }

    fn record(&self, store: &impl Store, id: FragmentId) -> Result<Compare, ExplainError> {
        let Self { rules, labels, matcher, now, .. } = *self;
        let gate = Gate { rules, labels, matcher, now };
        let (cluster, node) = load_cluster(store, id)?.ok_or(ExplainError::NotCompared)?;
        let profile = cluster.profile_id(node);
        let records = gate.records(&cluster).into_iter();
        records.into_iter().find(|record| record.profile == profile).ok_or(ExplainError::NotCompared)
    }
}
