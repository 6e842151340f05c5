//! Erasures and sweeps: which there were, how far one is, whether a byte was left, and lifting one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Operation};
use tessera_pipeline::{
    Canaries, CanaryError, HousekeepingStatus, PersonValues, Scanning, erased_fragments, load_erasures,
    pending_erasures,
};
use tessera_rights::SubjectRequestId;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::profiles::path;
use super::progress::Hearing;
use super::read_json;
use super::requests::parse_subjects;
use crate::body::drain;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared, blocking, to_the_end};

/// Shorter values are found by chance.
pub(crate) const CERTAIN_BYTES_MIN: usize = 6;
const VALUES_MAX: usize = 1000;
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Requests whose values are held in memory at most; the oldest go.
const HELD_MAX: usize = 1000;
/// How long a question about a sweep waits for its end.
const SWEEP_WAIT: Duration = Duration::from_millis(500);

/// The erasures that were ordered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureList {
    /// Oldest first.
    erasures: Vec<ErasureAnswer>,
}

/// One erasure.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureAnswer {
    /// The request that asked for it.
    request: String,
    /// When it was ordered, RFC 3339.
    at: String,
    /// How many identifiers were erased.
    identifiers: usize,
    /// Identifiers of people of whom the law obliges to keep something, and of whom all else was erased.
    spared: usize,
    /// How many of them may be kept again.
    lifted: usize,
    /// Whether no byte is left.
    is_done: bool,
}

/// The erasures, oldest first.
#[utoipa::path(
    get, path = "/api/v1/erasures", tag = "requests",
    responses((status = 200, description = "The erasures.", body = ErasureList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
) -> Result<Json<ErasureList>, ApiError> {
    blocking(move || {
        let store = app.parts.store.as_ref();
        let pending: BTreeSet<u64> = pending_erasures(store)?.into_iter().map(|row| row.position).collect();
        let erased = erased_fragments(store)?;
        let erasures = load_erasures(store)?.into_iter().map(|row| ErasureAnswer {
            at: row.at.to_string(),
            identifiers: row.fragments.len(),
            spared: row.spared.len(),
            lifted: row.fragments.iter().filter(|id| !erased.contains(id)).count(),
            is_done: !pending.contains(&row.position),
            request: row.request,
        });
        Ok(Json(ErasureList { erasures: erasures.collect() }))
    })
    .await
}

/// Whose erasure is lifted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiftOrder {
    /// Identifiers that may be kept again: `email:ada@x.org`.
    subjects: Vec<String>,
}

/// How many erasures were lifted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiftAnswer {
    /// Identifiers that were kept out and no longer are.
    lifted: usize,
}

/// Lets what comes of erased identifiers be kept again: the person came back. What was erased stays gone.
#[utoipa::path(
    post, path = "/api/v1/erasures/lift", tag = "requests",
    request_body = LiftOrder,
    responses(
        (status = 200, description = "Lifted.", body = LiftAnswer),
        (status = 400, description = "No such identifier.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn lift<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<LiftAnswer>, ApiError> {
    let order: LiftOrder = read_json(&app, request).await?;
    let fragments = parse_subjects(&app.parts.rules.load(), &app.parts.key, &order.subjects)?;
    let fragments: BTreeSet<FragmentId> = fragments.into_iter().collect();
    let lifted = to_the_end(async move {
        let _one = app.requests.lock().await;
        app.reload_erased().await?;
        let fragments: Vec<FragmentId> = {
            let erased = app.erased.read();
            fragments.into_iter().filter(|id| erased.gone.contains(id)).collect()
        };
        if !fragments.is_empty() {
            app.operate(Operation::LiftErasure { fragments: fragments.clone() }).await?;
            app.reload_erased().await?;
        }
        Ok(fragments.len())
    })
    .await?;
    Ok(Json(LiftAnswer { lifted }))
}

/// What to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyOrder {
    /// An erasure that was fulfilled with `verify`: the identifiers and texts that the person had. They are held in memory
    /// until then and forgotten afterwards, and with a restart.
    request: Option<String>,
    /// Further values that must not be anywhere. They are neither kept nor logged.
    #[serde(default)]
    values: Vec<String>,
}

/// What was looked through and what was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifyAnswer {
    /// Whether nothing was found that proves that something is left.
    is_clean: bool,
    /// Values looked for, each in every form in which it may be written.
    values: usize,
    /// How many of them came from the person's profile.
    from_profile: usize,
    /// Files read, byte by byte.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Rows read back from the store, whose files are compressed.
    rows: u64,
    /// Their bytes.
    row_bytes: u64,
    /// Where something was found.
    traces: Vec<TraceAnswer>,
}

/// Where a value was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TraceAnswer {
    /// Which value: `identifier email`, `trait city`, `value 1`. Never the value itself.
    value: String,
    /// The file, as a path in the data folder, or the table of rows.
    place: String,
    /// How often.
    count: u64,
    /// Whether it proves that something is left: other people may have the same city, and a short value is found by
    /// chance.
    is_proof: bool,
}

impl IntoResponse for VerifyAnswer {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A value to look for.
struct Wanted {
    name: String,
    value: String,
    is_proof: bool,
}

/// Looks for values of somebody who was erased in every row, and in every byte of every file of the data folder.
///
/// With `Accept: text/event-stream` the answer is a stream of `event: progress`, and `event: done` or `event: failed` at
/// the end.
#[utoipa::path(
    post, path = "/api/v1/erasures/verify", tag = "requests",
    request_body = VerifyOrder,
    responses(
        (status = 200, description = "What was found.", body = VerifyAnswer),
        (status = 400, description = "Nothing to look for, or too much.", body = ErrorAnswer),
        (status = 409, description = "The erasure has not ended.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn verify<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let order: VerifyOrder = read_json(&app, request).await?;
    let is_too_long = |value: &String| value.is_empty() || value.len() > VALUE_BYTES_MAX;
    if order.values.len() > VALUES_MAX || order.values.iter().any(is_too_long) {
        let hint = format!("at most {VALUES_MAX} values of 1 to {VALUE_BYTES_MAX} bytes");
        return Err(ApiError::bad("`values` has too many, or one out of bounds", hint));
    }
    let id = order.request.as_deref().map(str::parse::<SubjectRequestId>).transpose();
    let id = id.map_err(|_| super::requests::no_such_request())?;
    if let Some(id) = id {
        let stored = app.load_request(id).await?;
        if stored.is_erasing && !stored.request.status().is_closed() {
            let what = "the erasure has not ended".to_owned();
            let hint = "wait until the request is completed; `GET /api/v1/housekeeping` says how far it is";
            return Err(ApiError::rights(StatusCode::CONFLICT, "TES-R026", what, hint));
        }
    }
    let held = id.and_then(|id| app.values.lock().get(&id).cloned());
    let is_spared = match id {
        Some(id) => app.spares(id).await?,
        None => false,
    };
    let mut wanted = wanted(held.as_ref().map(|(_, values)| values), order.values);
    if is_spared {
        // Something is kept, so that the person's own values may stand there.
        wanted.iter_mut().filter(|one| !one.name.starts_with("value ")).for_each(|one| one.is_proof = false);
    }
    if wanted.is_empty() {
        let hint = "name `values`; those of a person are there only if the erasure was fulfilled with `verify`, and \
                    until the server starts again";
        return Err(ApiError::bad("there is nothing to look for", hint));
    }
    let from_profile = wanted.iter().filter(|one| !one.name.starts_with("value ")).count();
    let shared = Arc::clone(&app);
    Hearing::of(&headers, stopping)
        .answer(app, move |progress: &mut dyn FnMut(Scanning) -> bool| {
            let answer = shared.look(wanted, from_profile, progress)?;
            if let Some(id) = id {
                shared.values.lock().remove(&id);
            }
            Ok(answer)
        })
        .await
}

fn wanted(held: Option<&PersonValues>, values: Vec<String>) -> Vec<Wanted> {
    let mut found = BTreeMap::new();
    if let Some(PersonValues { identifiers, texts }) = held {
        for (name, text) in texts {
            found.insert(text.reveal().to_owned(), (format!("trait {name}"), false));
        }
        for (namespace, value) in identifiers {
            let is_proof = value.reveal().len() >= CERTAIN_BYTES_MIN;
            found.insert(value.reveal().to_owned(), (format!("identifier {namespace}"), is_proof));
        }
    }
    for (number, value) in (1_usize..).zip(values) {
        found.insert(value, (format!("value {number}"), true));
    }
    found.into_iter().map(|(value, (name, is_proof))| Wanted { name, value, is_proof }).collect()
}

impl<L: Log, S: Store> Shared<L, S> {
    /// Whether the law obliges to keep something of somebody whom the request had erased.
    pub(crate) async fn spares(self: &Arc<Self>, id: SubjectRequestId) -> Result<bool, ApiError> {
        let (app, id) = (Arc::clone(self), id.to_string());
        blocking(move || {
            let erasures = load_erasures(app.parts.store.as_ref())?;
            Ok(erasures.iter().any(|row| row.request == id && !row.spared.is_empty()))
        })
        .await
    }

    fn look(
        &self,
        wanted: Vec<Wanted>,
        from_profile: usize,
        progress: &mut dyn FnMut(Scanning) -> bool,
    ) -> Result<VerifyAnswer, ApiError> {
        let values: Vec<String> = wanted.iter().map(|one| one.value.clone()).collect();
        let rules = self.parts.rules.load_full();
        let canaries = Canaries::new(&values, &rules, &self.parts.key).map_err(cannot_look)?;
        let found =
            canaries.scan(&self.parts.folder, self.parts.store.as_ref(), progress).map_err(cannot_look)?;
        let found = found.ok_or(ApiError::Stopping)?;
        let traces = found.traces.into_iter().filter_map(|trace| {
            let Wanted { name, is_proof, .. } = wanted.get(trace.value)?;
            Some(TraceAnswer {
                value: name.clone(),
                place: trace.place,
                count: trace.count,
                is_proof: *is_proof,
            })
        });
        let traces: Vec<TraceAnswer> = traces.collect();
        Ok(VerifyAnswer {
            is_clean: !traces.iter().any(|trace| trace.is_proof),
            values: values.len(),
            from_profile,
            files: found.files,
            bytes: found.bytes,
            rows: found.rows,
            row_bytes: found.row_bytes,
            traces,
        })
    }

    /// Holds the values of somebody about to be erased in memory.
    pub(crate) fn remember_values(&self, id: SubjectRequestId, values: PersonValues) {
        let mut held = self.values.lock();
        held.insert(id, (self.parts.clock.now(), values));
        while held.len() > HELD_MAX {
            let oldest = held.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| *id);
            oldest.map(|id| held.remove(&id));
        }
    }

    /// Reads anew which identifiers are kept out, and lets go on what waits for an order to erase. Whoever calls it holds
    /// `requests`: no order is on its way meanwhile.
    pub(crate) async fn reload_erased(self: &Arc<Self>) -> Result<(), ApiError> {
        let app = Arc::clone(self);
        let read = blocking(move || Ok(erased_fragments(app.parts.store.as_ref())?)).await;
        {
            let mut erased = self.erased.write();
            let ordered = std::mem::take(&mut erased.ordered);
            match &read {
                Ok(gone) => erased.gone.clone_from(gone),
                // Better to keep out too much than too little.
                Err(_) => erased.gone.extend(ordered),
            }
        }
        self.erasure_over.notify_waiters();
        read.map(drop)
    }
}

fn cannot_look(error: CanaryError) -> ApiError {
    if let CanaryError::Io { file, source } = &error {
        tracing::error!(code = error.code(), file = %file.display(), "cannot verify an erasure: {source}");
    }
    let (code, hint) = (error.code(), error.hint());
    ApiError::rights(StatusCode::INTERNAL_SERVER_ERROR, code, error.to_string(), hint)
}

/// What housekeeping is at.
#[utoipa::path(
    get, path = "/api/v1/housekeeping", tag = "requests",
    responses((status = 200, description = "What runs, what waits, what ended last.", body = Object)),
    security(("admin_token" = []))
)]
pub(crate) async fn housekeeping<L: Log, S: Store>(State(app): State<App<L, S>>) -> Json<HousekeepingStatus> {
    Json(app.parts.housekeeping.status())
}

/// A sweep that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SweepAnswer {
    /// Its number, until the server stops.
    sweep: u64,
    /// Whether it has ended.
    is_done: bool,
    /// What housekeeping is at.
    #[schema(value_type = Object)]
    housekeeping: HousekeepingStatus,
}

/// Asks for a sweep now: what no purpose covers any more is removed.
#[utoipa::path(
    post, path = "/api/v1/sweeps", tag = "requests",
    responses((status = 202, description = "It will begin at once.", body = SweepAnswer)),
    security(("admin_token" = []))
)]
pub(crate) async fn sweep<L: Log, S: Store>(State(app): State<App<L, S>>, request: Request) -> Response {
    // What is left unread would cost the client its connection.
    drain(request.into_body()).await;
    let sweep = app.parts.housekeeping.ask_for_sweep();
    let housekeeping = app.parts.housekeeping.status();
    (StatusCode::ACCEPTED, Json(SweepAnswer { sweep, is_done: false, housekeeping })).into_response()
}

/// Whether a sweep has ended. Waits half a second for its end.
#[utoipa::path(
    get, path = "/api/v1/sweeps/{sweep}", tag = "requests",
    params(("sweep" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "How far it is.", body = SweepAnswer),
        (status = 404, description = "No such sweep since the server started.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show_sweep<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    sweep: Result<Path<String>, PathRejection>,
) -> Result<Json<SweepAnswer>, ApiError> {
    let sweep = path(sweep)?.parse::<u64>().ok().filter(|sweep| *sweep > 0);
    let sweep = sweep.ok_or(ApiError::NotFound {
        what: "there is no such sweep",
        hint: "`POST /api/v1/sweeps` asks for one and answers its number",
    })?;
    blocking(move || {
        let is_done = app.parts.housekeeping.wait_for_sweep(sweep, SWEEP_WAIT);
        let housekeeping = app.parts.housekeeping.status();
        Ok(Json(SweepAnswer { sweep, is_done, housekeeping }))
    })
    .await
}
