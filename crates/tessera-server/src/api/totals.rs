//! How much there is, and how far everything has come.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tessera_pipeline::{AlertState, Totals, load_alerts, load_totals, load_violations};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared, blocking};

/// Counts since the log began, sizes, and positions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TotalsAnswer {
    /// Events that joined a profile.
    pub(crate) accepted: u64,
    /// Repeats that were dropped.
    pub(crate) duplicates: u64,
    /// Events refused, by code.
    pub(crate) rejected: BTreeMap<String, u64>,
    /// Events that no purpose covered, by reason. Nothing else is kept of them.
    pub(crate) denied: BTreeMap<String, u64>,
    /// Consent statuses for categories that stand for no declared purpose.
    pub(crate) unknown_consent_categories: u64,
    /// Identifiers not recorded because their cluster is full.
    pub(crate) overflowing_identifiers: u64,
    /// Profiles of people.
    pub(crate) profiles: u64,
    /// Identifiers of people.
    pub(crate) identifiers: u64,
    /// Profiles of accounts.
    pub(crate) accounts: u64,
    /// Identifiers that stand with too many people, and hold nobody together.
    pub(crate) shared_identifiers: u64,
    /// Edges between identifiers that are refused now, by reason.
    pub(crate) refused_edges: BTreeMap<String, u64>,
    /// Violations of tracking plans, by plan.
    pub(crate) violations: BTreeMap<String, u64>,
    /// Alerts of tracking plans that nobody has seen to.
    pub(crate) open_alerts: u64,
    /// Size of the log, in bytes.
    pub(crate) log_bytes: u64,
    /// Size of the store, in bytes.
    pub(crate) store_bytes: u64,
    /// Position of the oldest record kept.
    pub(crate) log_start: u64,
    /// Position of the next record.
    pub(crate) log_end: u64,
    /// The pipeline has processed everything before this position.
    pub(crate) pipeline_position: u64,
    /// A crash falls back to this position; the log brings back the rest.
    pub(crate) durable_position: u64,
}

impl TotalsAnswer {
    /// As of now. Reads the store.
    pub(crate) fn read<L: Log, S: Store>(shared: &Shared<L, S>) -> Result<Self, ApiError> {
        let parts = &shared.parts;
        let totals: Totals = load_totals(parts.store.as_ref())?;
        let bounds = parts.log.bounds();
        let mut violations: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, count) in load_violations(parts.store.as_ref())? {
            *violations.entry(kind.plan).or_default() += count;
        }
        let alerts = load_alerts(parts.store.as_ref())?;
        let open_alerts = alerts.iter().filter(|alert| alert.state == AlertState::Open).count();
        Ok(Self {
            accepted: totals.accepted,
            duplicates: totals.duplicates,
            rejected: totals.rejected,
            denied: totals.denied,
            unknown_consent_categories: totals.unknown_consent_categories,
            overflowing_identifiers: totals.overflowing_identifiers,
            profiles: totals.profiles,
            identifiers: totals.identifiers,
            accounts: totals.accounts,
            shared_identifiers: totals.shared_identifiers,
            refused_edges: totals.refused_edges,
            violations,
            open_alerts: u64::try_from(open_alerts).unwrap_or(u64::MAX),
            log_bytes: parts.log.size_bytes(),
            store_bytes: parts.store.size_bytes(),
            log_start: bounds.start.0,
            log_end: bounds.end.0,
            pipeline_position: parts.progress.position().0,
            durable_position: parts.store.durable_position().0,
        })
    }
}

/// Counts, sizes and positions.
#[utoipa::path(
    get, path = "/api/v1/totals", tag = "system",
    responses(
        (status = 200, description = "The totals.", body = TotalsAnswer),
        (status = 500, description = "The store cannot be read.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
) -> Result<Json<TotalsAnswer>, ApiError> {
    blocking(move || TotalsAnswer::read(&app).map(Json)).await
}
