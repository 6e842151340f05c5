//! The lake: a snapshot of everybody's profiles, now.

use std::sync::atomic::AtomicBool;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use tessera_pipeline::ProfileSnapshots;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use crate::body::drain;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// A snapshot that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LakeSnapshotAnswer {
    /// Its rows: one for each fragment and the purposes that cover it.
    rows: u64,
    /// When it was taken.
    taken_at: String,
}

/// Takes a snapshot of everybody's profiles into the lake.
///
/// As the table `profiles` beside `events`, in the place of that of the same day. Nothing of it is in the answer.
#[utoipa::path(
    post, path = "/api/v1/lake/snapshots", tag = "system",
    responses(
        (status = 200, description = "It is there.", body = LakeSnapshotAnswer),
        (status = 404, description = "This server has no lake.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn snapshot<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<LakeSnapshotAnswer>, ApiError> {
    drain(request.into_body()).await;
    let lake = app
        .parts
        .lake
        .clone()
        .ok_or(ApiError::NotFound { what: "this server has no lake", hint: "`tessera serve` has one" })?;
    blocking(move || {
        let snapshots = ProfileSnapshots {
            store: app.parts.store.clone(),
            lake: lake.clone(),
            rules: app.parts.rules.clone(),
            clock: app.parts.clock.clone(),
        };
        let rows = snapshots.take(&AtomicBool::new(false))?;
        let taken_at = lake.profiles_taken_at().map(|at| at.to_string()).unwrap_or_default();
        Ok(Json(LakeSnapshotAnswer { rows, taken_at }))
    })
    .await
}
