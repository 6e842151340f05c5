//! Sending a reject again, once its cause is mended.

use std::borrow::Cow;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;
use tessera_model::{Entrance, Operation, Reject, RejectCode, RequestId};
use tessera_pipeline::{Parsed, RejectId, RejectRow};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::profiles::path;
use super::rejects::{load, parse_id};
use crate::error::{ApiError, ErrorAnswer};
use crate::ingest::{self, Submitted};
use crate::shared::{App, to_the_end};

/// What a replay came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Always true.
    success: bool,
    /// Events taken in; the gate may still deny them.
    accepted: usize,
    /// Always true: the reject has left the list.
    closed: bool,
}

/// Sends the payload of a reject again, under its source, and closes the reject if nothing is refused now.
#[utoipa::path(
    post, path = "/api/v1/rejects/{id}/replay", tag = "rejects",
    params(("id" = String, Path, description = "`position-index`")),
    responses(
        (status = 200, description = "Taken in; the reject is closed.", body = Replayed),
        (status = 404, description = "No such reject, or it is closed.", body = ErrorAnswer),
        (status = 409, description = "Refused again: the answer says why now. Or it cannot be replayed.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn replay<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Replayed>, ApiError> {
    let id = parse_id(&path(id)?)?;
    to_the_end(send_again(app, id)).await.map(Json)
}

async fn send_again<L: Log, S: Store>(app: App<L, S>, id: RejectId) -> Result<Replayed, ApiError> {
    let row = load(&app, id).await?;
    let rules = app.parts.rules.load_full();
    if rules.source(&row.source).is_none() {
        return Err(ApiError::NotReplayable {
            why: "its source is no longer declared",
            hint: "declare the source again with `tessera apply`",
        });
    }
    let (record, parsed) = submission(id, &row)?.parse(&app, &rules);
    let accepted = accepted(&parsed).map_err(refused_again)?;
    ingest::append(&app, record, (rules.version, parsed)).await?;
    let position = app.order(Operation::CloseReject { position: id.position, index: id.index }).await?;
    app.settle(position).await?;
    Ok(Replayed { success: true, accepted, closed: true })
}

/// The payload as it would come from a client.
fn submission(id: RejectId, row: &RejectRow) -> Result<Submitted, ApiError> {
    if row.code == RejectCode::BadRow {
        return Err(ApiError::NotReplayable {
            why: "it is a row of an imported file",
            hint: "correct the row or the mapping, then import the file again: rows taken are not taken twice",
        });
    }
    if row.is_cut {
        return Err(ApiError::NotReplayable {
            why: "its payload was too large to keep whole",
            hint: "send it again from where it came",
        });
    }
    let entrance = match row.call.as_deref() {
        None => Entrance::Batch,
        Some(call) => entrance(call).ok_or(ApiError::Internal)?,
    };
    let body = match entrance == Entrance::Batch && !row.is_body {
        true => format!("{{\"batch\":[{}]}}", row.payload),
        false => row.payload.clone(),
    };
    // Message ids that the sender left out are derived from this, so a replay that broke off and is ordered
    // again counts once.
    let request_id = RequestId(u128::from(id.position) << 64 | u128::from(id.index));
    Ok(Submitted { source: row.source.clone(), entrance, request_id, gpc: row.gpc, body: Bytes::from(body) })
}

fn entrance(call: &str) -> Option<Entrance> {
    ingest::PATHS.iter().map(|(_, entrance)| *entrance).find(|entrance| entrance.call() == Some(call))
}

fn accepted(parsed: &Parsed) -> Result<usize, Cow<'_, Reject>> {
    let events = parsed.as_ref().map_err(Cow::Borrowed)?;
    match events.iter().find_map(ingest::why_refused) {
        Some(reject) => Err(reject),
        None => Ok(events.len()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by value")]
fn refused_again(reject: Cow<'_, Reject>) -> ApiError {
    ApiError::Rejected { status: StatusCode::CONFLICT, code: reject.code, reason: reject.reason.clone() }
}
