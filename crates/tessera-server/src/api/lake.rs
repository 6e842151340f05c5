//! The lake: a snapshot of everybody's profiles, now.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tessera_pipeline::{Looked, ProfileSnapshots};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::progress::Hearing;
use crate::body::drain;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

/// A snapshot that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LakeSnapshotAnswer {
    /// Its rows: one for each fragment and the purposes that cover it.
    rows: u64,
    /// When it was taken.
    taken_at: String,
}

impl IntoResponse for LakeSnapshotAnswer {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Takes a snapshot of everybody's profiles into the lake.
///
/// As the table `profiles` beside `events`, in the place of that of the same day. Nothing of it is in the answer.
///
/// With `Accept: text/event-stream` the answer is a stream: `progress`, then `done` or `failed`. The snapshot ends when the client
/// goes away; then that of before stays.
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
    stopping: Option<Extension<Stopping>>,
    request: Request,
) -> Result<Response, ApiError> {
    let hearing = Hearing::of(request.headers(), stopping);
    drain(request.into_body()).await;
    let lake = app
        .parts
        .lake
        .clone()
        .ok_or(ApiError::NotFound { what: "this server has no lake", hint: "`tessera serve` has one" })?;
    let snapshots = ProfileSnapshots {
        store: app.parts.store.clone(),
        lake: lake.clone(),
        rules: app.parts.rules.clone(),
        clock: app.parts.clock.clone(),
    };
    hearing
        .answer(app, move |progress: &mut dyn FnMut(Looked) -> bool| {
            let mut is_wanted = true;
            let taken = snapshots.take(&mut |looked| {
                is_wanted = progress(looked);
                is_wanted
            });
            if !is_wanted {
                return Err(ApiError::Stopping);
            }
            let rows = taken?;
            let taken_at = lake.profiles_taken_at().map(|at| at.to_string()).unwrap_or_default();
            Ok(LakeSnapshotAnswer { rows, taken_at })
        })
        .await
}
