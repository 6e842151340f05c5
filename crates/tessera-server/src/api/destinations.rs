//! How destinations are doing, and their dead letters.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_model::{DestinationName, Rules};
use tessera_pipeline::{
    DeadLetter, DestinationStatus, dead_letters as read_dead_letters, replay_dead_letters,
};
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::disclosure::Look;
use super::profiles::path;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LIST_DEFAULT: usize = 50;
const LIST_MAX: usize = 500;

/// The destinations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationList {
    /// Each with its queue.
    #[schema(value_type = Vec<DestinationShape>)]
    destinations: Vec<DestinationStatus>,
}

/// How one destination is doing.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes `tessera_pipeline::DestinationStatus`, which knows nothing of OpenAPI"
)]
pub(crate) struct DestinationShape {
    /// Its name.
    name: String,
    /// Its connector.
    connector: String,
    /// The purpose that deliveries serve.
    purpose: String,
    /// Events waiting, counted up to 10,000.
    waiting: usize,
    /// Dead letters, counted up to 10,000.
    dead_letters: usize,
    /// Delivered since the server started.
    delivered: u64,
    /// Not delivered because no basis covered it at the moment of sending, since the server started.
    denied: u64,
    /// Failed tries since the server started.
    retries: u64,
    /// What the destination last said, if it was not yes.
    trouble: Option<String>,
}

/// How each destination is doing.
#[utoipa::path(
    get, path = "/api/v1/destinations", tag = "destinations",
    responses((status = 200, description = "The destinations.", body = DestinationList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<DestinationList>, ApiError> {
    Params::of(&uri)?.finish("none")?;
    blocking(move || Ok(Json(DestinationList { destinations: app.parts.courier.lock().status()? }))).await
}

/// A delivery that was given up. Whose it was is not shown: it leaves only as the destination's purpose permits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterAnswer {
    /// When it was given up, RFC 3339.
    at: String,
    /// Why.
    reason: String,
    /// Whether another try was ordered.
    is_replayed: bool,
    /// Which source brought the event.
    source: String,
    /// `track`, `identify`, ...
    call: String,
    /// The event.
    message_id: String,
    /// When it happened, RFC 3339.
    event_at: String,
    /// When it arrived, RFC 3339.
    received_at: String,
    /// The fragment that owns it: `GET /api/v1/profiles/{fragment}` finds the profile.
    fragment: String,
}

/// Dead letters of a destination.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// Oldest first.
    dead_letters: Vec<DeadLetterAnswer>,
}

/// Deliveries that were given up, oldest first. Recorded in the evidence ledger before they leave.
#[utoipa::path(
    get, path = "/api/v1/destinations/{name}/dead-letters", tag = "destinations",
    params(
        ("name" = String, Path, description = "The destination"),
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
    ),
    responses(
        (status = 200, description = "The dead letters.", body = DeadLetterList),
        (status = 404, description = "No such destination.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn dead_letters<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<DeadLetterList>, ApiError> {
    let name = parse_name(&app.parts.rules.load(), &path(name)?)?;
    let mut params = Params::of(&uri)?;
    let limit = params.limit(LIST_DEFAULT, LIST_MAX)?;
    params.finish("limit")?;
    blocking(move || {
        let letters = read_dead_letters(app.parts.store.as_ref(), &name, limit)?;
        let fields = ["call", "message_id", "timestamp"].map(str::to_owned).into();
        let shown = Shown { fields, ..Shown::default() };
        let route = "GET /api/v1/destinations/{name}/dead-letters";
        let look = Look { viewer: &viewer, route, subject: None };
        app.record(look, letters.iter().map(|letter| (letter.row.owner, shown.clone())))?;
        Ok(Json(DeadLetterList { dead_letters: letters.into_iter().map(show).collect() }))
    })
    .await
}

/// How many deliveries get another try.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLettersReplayed {
    /// All dead letters that there were.
    replayed: usize,
}

/// Orders another try of every dead letter of a destination.
#[utoipa::path(
    post, path = "/api/v1/destinations/{name}/replay", tag = "destinations",
    params(("name" = String, Path, description = "The destination")),
    responses(
        (status = 200, description = "Ordered.", body = DeadLettersReplayed),
        (status = 404, description = "No such destination.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn replay<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<DeadLettersReplayed>, ApiError> {
    let name = parse_name(&app.parts.rules.load(), &path(name)?)?;
    blocking(move || {
        let replayed = replay_dead_letters(app.parts.store.as_ref(), &name)?;
        Ok(Json(DeadLettersReplayed { replayed }))
    })
    .await
}

fn parse_name(rules: &Rules, text: &str) -> Result<DestinationName, ApiError> {
    rules.destinations().find(|known| known.name.as_str() == text).map(|known| known.name.clone()).ok_or(
        ApiError::NotFound {
            what: "there is no such destination",
            hint: "`GET /api/v1/destinations` lists them; declare one with `tessera apply`",
        },
    )
}

fn show(letter: DeadLetter) -> DeadLetterAnswer {
    let DeadLetter { row, reason, at, is_replayed } = letter;
    DeadLetterAnswer {
        at: at.to_string(),
        reason,
        is_replayed,
        source: row.source.to_string(),
        call: row.call,
        message_id: row.message_id,
        event_at: row.at.to_string(),
        received_at: row.received_at.to_string(),
        fragment: row.owner.to_string(),
    }
}
