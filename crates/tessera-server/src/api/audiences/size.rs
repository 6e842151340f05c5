//! How many members an audience had, day by day. Counts alone.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde::Serialize;
use tessera_model::AudienceId;
use tessera_pipeline::Catalogue;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use crate::api::Params;
use crate::api::profiles::path;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// Ten years.
const DAYS_MAX: u32 = 3_660;
/// Letters of a date at the beginning of a time.
const DATE_LETTERS: usize = 10;

/// How many members an audience had, day by day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SizeOverTime {
    /// The audience.
    audience: String,
    /// The purpose that it serves.
    purpose: String,
    /// The days, the earliest first. The last is today, which is not over yet.
    days: Vec<SizeOfDay>,
}

/// How many members there were on one day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SizeOfDay {
    /// The day in UTC: `2026-11-22`.
    day: String,
    /// How many people became members.
    entered: u64,
    /// How many are members no more.
    exited: u64,
    /// How many members there were at its end; today: there are now.
    size: u64,
}

/// How many members an audience had.
///
/// Each day in UTC with who entered, who left, and the members at its end, as the log's records have it. People are counted: members who turn
/// out to be one person are one who left, who comes apart is one who entered - no destination is told of either -, who is erased is one who
/// left. So each day's size is that of the day before, with who entered and without who left.
#[utoipa::path(
    get, path = "/api/v1/audiences/{name}/size", tag = "audiences",
    params(
        ("name" = String, Path, description = "The audience"),
        ("days" = Option<u32>, Query, description = "So many days up to today: 1 to 3,660, 30 unless set"),
    ),
    responses(
        (status = 200, description = "The days.", body = SizeOverTime),
        (status = 404, description = "No such audience.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn size<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<SizeOverTime>, ApiError> {
    let name = path(name)?;
    let mut params = Params::of(&uri)?;
    let count = days(params.take("days"))?;
    params.finish("days")?;
    blocking(move || {
        let rules = app.parts.rules.load_full();
        let definitions = in_force(&rules)?;
        let audience = named(&definitions, &name)?;
        let id = AudienceId::of(&audience.name, &audience.purpose);
        let days = Catalogue::days_of_audience(app.parts.store.as_ref(), id, (app.parts.clock.now(), count))?;
        let days = days.into_iter().map(|one| SizeOfDay {
            day: one.day.to_string().chars().take(DATE_LETTERS).collect(),
            entered: one.entered,
            exited: one.exited,
            size: one.members,
        });
        Ok(Json(SizeOverTime {
            audience: audience.name.to_string(),
            purpose: audience.purpose.to_string(),
            days: days.collect(),
        }))
    })
    .await
}

fn days(text: Option<String>) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(30) };
    let count = text.parse().ok().filter(|count| (1..=DAYS_MAX).contains(count));
    count.ok_or_else(|| {
        ApiError::bad("`days` is out of range", "use a number from 1 to 3,660, or none for 30")
    })
}
