//! Counts that belong to the state: how many of what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tessera_store::Store;

use crate::PipelineError;
use crate::view::totals_key;

/// What the log so far came to. One stored row, so that a replay must agree with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Events that joined a profile.
    pub accepted: u64,
    /// Repeats that were dropped.
    pub duplicates: u64,
    /// Events refused, by code.
    pub rejected: BTreeMap<String, u64>,
    /// Events that no purpose covered, by reason. Nothing else is kept of them.
    pub denied: BTreeMap<String, u64>,
    /// Consent statuses for categories that stand for no declared purpose.
    pub unknown_consent_categories: u64,
    /// Identifiers not recorded because their cluster is full.
    pub overflowing_identifiers: u64,
    /// Profiles of people.
    pub profiles: u64,
    /// Identifiers of people.
    pub identifiers: u64,
    /// Profiles of accounts.
    pub accounts: u64,
    /// People erased.
    pub erased: u64,
    /// Values removed because their last purpose was over.
    pub expired: u64,
    /// Identifiers that stand with too many people.
    pub shared_identifiers: u64,
    /// Edges that are refused now, by reason.
    pub refused_edges: BTreeMap<String, u64>,
}

impl Totals {
    pub(crate) fn reject(&mut self, code: &str) {
        *self.rejected.entry(code.to_owned()).or_default() += 1;
    }

    pub(crate) fn deny(&mut self, reason: &str) {
        *self.denied.entry(reason.to_owned()).or_default() += 1;
    }
}

/// The totals as of the store's last commit.
///
/// # Errors
/// Those of the store.
pub fn load_totals(store: &impl Store) -> Result<Totals, PipelineError> {
    match store.load(&[totals_key()])?.into_iter().next().flatten() {
        None => Ok(Totals::default()),
        Some(bytes) => postcard::from_bytes(&bytes)
            .map_err(|e| PipelineError::Stored { what: "count", why: e.to_string() }),
    }
}
