//! What was refused: the list, one reject with its payload, and rejects that an import brings.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_evidence::{Change, Entry};
use tessera_model::{
    FragmentId, HashKey, Operation, REJECT_PAYLOAD_BYTES_MAX, Reject, RejectCode, Rules, SourceName,
};
use tessera_pipeline::{RejectId, RejectRow, list_rejects, load_reject};
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profiles::path;
use super::{Params, read_json};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LIST_DEFAULT: usize = 50;
const LIST_MAX: usize = 500;
const ROWS_MAX: usize = 1000;

/// One reject.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectAnswer {
    /// Names it: `position-index`.
    id: String,
    /// Why, for machines.
    code: &'static str,
    /// Why, for people.
    reason: String,
    /// What the sender should do.
    hint: &'static str,
    /// Where it came from.
    source: String,
    /// When, RFC 3339.
    at: String,
    /// Line of an imported file.
    line: Option<u64>,
    /// The call that the path named.
    call: Option<String>,
    /// Whether the payload is a whole body and not one event.
    is_body: bool,
    /// Whether the payload is not whole, so that it cannot be replayed.
    is_cut: bool,
    /// What was refused. Not in lists, and not for who does not see every field; may be personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

impl RejectAnswer {
    fn new(id: RejectId, row: RejectRow, with_payload: bool) -> Self {
        Self {
            id: id.to_string(),
            code: row.code.as_str(),
            reason: row.reason,
            hint: row.code.hint(),
            source: row.source.to_string(),
            at: row.at.to_string(),
            line: row.line,
            call: row.call,
            is_body: row.is_body,
            is_cut: row.is_cut,
            payload: with_payload.then_some(row.payload),
        }
    }
}

/// One page of rejects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectList {
    /// Oldest first, without payloads.
    rejects: Vec<RejectAnswer>,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

/// Rejects that are still open, oldest first.
#[utoipa::path(
    get, path = "/api/v1/rejects", tag = "rejects",
    params(
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("code" = Option<String>, Query, description = "Only this code: `TES-I006`"),
        ("plan" = Option<String>, Query, description = "Only what this tracking plan refused"),
    ),
    responses(
        (status = 200, description = "A page.", body = RejectList),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<RejectList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(LIST_DEFAULT, LIST_MAX)?;
    let after = params.take("after").map(|text| parse_id(&text)).transpose()?;
    let code = params.take("code").map(|text| parse_code(&text)).transpose()?;
    let plan = params.take("plan");
    params.finish("limit, after, code, plan")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let found = blocking(move || {
        let is_wanted = |row: &RejectRow| {
            code.is_none_or(|code| code == row.code)
                && plan.as_deref().is_none_or(|plan| row.plan() == Some(plan))
        };
        Ok(list_rejects(shared.parts.store.as_ref(), after, limit, is_wanted)?)
    })
    .await;
    drop(permit);
    let found = found?;
    let next = found.last().filter(|_| found.len() == limit).map(|(id, _)| id.to_string());
    let rejects = found.into_iter().map(|(id, row)| RejectAnswer::new(id, row, false)).collect();
    Ok(Json(RejectList { rejects, next }))
}

const ROUTE: &str = "GET /api/v1/rejects/{id}";

/// One reject with its payload. Recorded in the evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/rejects/{id}", tag = "rejects",
    params(("id" = String, Path, description = "`position-index`")),
    responses(
        (status = 200, description = "The reject.", body = RejectAnswer),
        (status = 404, description = "No such reject, or it is closed.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<RejectAnswer>, ApiError> {
    let id = parse_id(&path(id)?)?;
    let row = load(&app, id).await?;
    if !viewer.hidden().is_empty() {
        return Ok(Json(RejectAnswer::new(id, row, false)));
    }
    blocking(move || {
        let people = people(&app.parts.rules.load(), &app.parts.key, &row.payload);
        let look = Look { viewer: &viewer, route: ROUTE, subject: None };
        let shown = Shown { fields: ["payload".to_owned()].into(), ..Shown::default() };
        if people.is_empty() {
            app.record_entries(&[Entry::Change(Change {
                actor: viewer.actor.as_str().into(),
                what: ROUTE.into(),
                object: Some(id.to_string().into()),
                detail: Some("payload shown; it names nobody that could be found".into()),
            })])?;
        }
        app.record(look, people.into_iter().map(|person| (person, shown.clone())))?;
        Ok(Json(RejectAnswer::new(id, row, true)))
    })
    .await
}

/// Whose data a payload is, as far as it can be read: the fragments of the identifiers in it.
fn people(rules: &Rules, key: &HashKey, payload: &str) -> BTreeSet<FragmentId> {
    let mut found = BTreeSet::new();
    let Ok(payload) = serde_json::from_str::<Value>(payload) else { return found };
    let events = match payload.get("batch").and_then(Value::as_array) {
        Some(events) => events.iter().collect(),
        None => vec![&payload],
    };
    let namespaces = &rules.namespaces;
    for event in events {
        let mut add = |namespace: Option<&tessera_model::PreparedNamespace>, value: Option<&Value>| {
            let text = match value {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return,
            };
            let readings =
                namespace.into_iter().flat_map(|namespace| namespaces.readings(namespace, key, &text));
            found.extend(readings.map(|identified| identified.id));
        };
        add(namespaces.user_id(), event.get("userId"));
        add(namespaces.anonymous_id(), event.get("anonymousId"));
        for namespace in namespaces.ordered() {
            for parts in &namespace.paths {
                add(Some(namespace), parts.iter().try_fold(event, |value, part| value.get(part.as_str())));
            }
        }
    }
    found
}

/// The reject of that id.
pub(crate) async fn load<L: Log, S: Store>(app: &App<L, S>, id: RejectId) -> Result<RejectRow, ApiError> {
    let app = Arc::clone(app);
    let found = blocking(move || Ok(load_reject(app.parts.store.as_ref(), id)?)).await?;
    found.ok_or(ApiError::NotFound {
        what: "there is no such reject, or it is closed",
        hint: "`GET /api/v1/rejects` lists those that are open",
    })
}

/// Rows of an imported file that could not become events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedRows {
    /// Under which source the file was imported.
    #[schema(value_type = String)]
    source: SourceName,
    /// 1 to 1000 rows.
    rows: Vec<RejectedRow>,
}

/// One row.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedRow {
    /// Always `TES-I015`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    code: Option<RejectCode>,
    /// Why. Must not quote values.
    reason: String,
    /// The row, as text; what is beyond 64 KB is cut.
    payload: String,
    /// Its line in the file, from 1.
    #[serde(default)]
    line: Option<u64>,
}

/// How many rows were kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowsKept {
    /// Durable, each a reject.
    stored: usize,
}

/// Keeps rows of an imported file as rejects.
#[utoipa::path(
    post, path = "/api/v1/rejects", tag = "rejects",
    request_body = RejectedRows,
    responses(
        (status = 200, description = "Durable.", body = RowsKept),
        (status = 400, description = "No such source, or not such rows.", body = ErrorAnswer),
        (status = 429, description = "Overloaded: again after `Retry-After` seconds.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn keep<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<RowsKept>, ApiError> {
    let RejectedRows { source, rows } = read_json(&app, request).await?;
    if app.parts.rules.load().source(&source).is_none() {
        return Err(ApiError::bad(
            format!("source `{source}` is not declared"),
            "declare it with `tessera apply`",
        ));
    }
    if rows.is_empty() || rows.len() > ROWS_MAX {
        return Err(ApiError::bad(
            "`rows` has none or too many",
            format!("send 1 to {ROWS_MAX} rows at once"),
        ));
    }
    if rows.iter().any(|row| row.code.is_some_and(|code| code != RejectCode::BadRow)) {
        return Err(ApiError::bad("`code` is not TES-I015", "leave it out"));
    }
    // Room for all of them first: half an answer would make the sender send the first half twice.
    let bytes =
        rows.iter().map(|row| row.payload.len().min(REJECT_PAYLOAD_BYTES_MAX) + row.reason.len() + 512).sum();
    if !app.parts.appender.has_room(bytes) {
        return Err(ApiError::Overloaded);
    }
    let stored = rows.len();
    let mut waiting = tokio::task::JoinSet::new();
    for row in rows {
        let (app, source) = (Arc::clone(&app), source.clone());
        waiting.spawn(async move { app.order(operation(source, row)).await });
    }
    while let Some(done) = waiting.join_next().await {
        done.map_err(|_| ApiError::Internal)??;
    }
    Ok(Json(RowsKept { stored }))
}

fn operation(source: SourceName, row: RejectedRow) -> Operation {
    let reject = Reject::new(RejectCode::BadRow, row.reason, row.payload.as_bytes());
    Operation::Reject {
        source,
        code: reject.code,
        reason: reject.reason,
        payload: reject.payload,
        is_cut: reject.is_cut,
        line: row.line,
    }
}

pub(crate) fn parse_id(text: &str) -> Result<RejectId, ApiError> {
    text.parse().map_err(|()| {
        ApiError::bad("that is not the id of a reject", "ids are written `position-index`: 4711-0")
    })
}

fn parse_code(text: &str) -> Result<RejectCode, ApiError> {
    RejectCode::parse(text).ok_or_else(|| {
        ApiError::bad(
            "`code` is not the code of a reject",
            "codes run from TES-I001 to TES-I017; TES-K001 and TES-K002 are those of tracking plans",
        )
    })
}
