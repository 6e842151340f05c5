//! The tracking API: a body in, 200 once the log is durable.
//!
//! Not an engine: what an event means is decided behind the log. Invariants: what an authenticated sender was
//! refused is a stored reject, and one bad event never condemns its batch. Reference: Segment's HTTP tracking API;
//! RudderStack's and Jitsu's clients, whose paths differ.

pub(crate) mod client_settings;
mod erase;
mod refusal;
mod write_key;

use std::borrow::Cow;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts as Head;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tessera_model::{
    Entrance, Event, ParseContext, Record, Reject, RejectCode, RequestId, Rules, SourceName, parse_body,
    refusal,
};
use tessera_pipeline::{Parsed, Stage};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use crate::body::{self, BodyError, BodyLimits, Unpack};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, appended};

/// Every ingest path and what it takes.
pub(crate) const PATHS: &[(&str, Entrance)] = &[
    ("/v1/batch", Entrance::Batch),
    ("/v1/import", Entrance::Batch),
    ("/v1/b", Entrance::Batch),
    ("/beacon/v1/batch", Entrance::Batch),
    ("/v1/track", Entrance::Track),
    ("/v1/t", Entrance::Track),
    ("/v1/identify", Entrance::Identify),
    ("/v1/i", Entrance::Identify),
    ("/v1/page", Entrance::Page),
    ("/v1/p", Entrance::Page),
    ("/v1/screen", Entrance::Screen),
    ("/v1/s", Entrance::Screen),
    ("/v1/group", Entrance::Group),
    ("/v1/g", Entrance::Group),
    ("/v1/alias", Entrance::Alias),
    ("/v1/a", Entrance::Alias),
    ("/v1/consent", Entrance::Consent),
    ("/v1/c", Entrance::Consent),
    ("/api/s/track", Entrance::Track),
    ("/api/s/identify", Entrance::Identify),
    ("/api/s/page", Entrance::Page),
    ("/api/s/screen", Entrance::Screen),
    ("/api/s/group", Entrance::Group),
    ("/api/s/alias", Entrance::Alias),
    ("/api/s/s2s/track", Entrance::Track),
    ("/api/s/s2s/identify", Entrance::Identify),
    ("/api/s/s2s/page", Entrance::Page),
    ("/api/s/s2s/screen", Entrance::Screen),
    ("/api/s/s2s/group", Entrance::Group),
    ("/api/s/s2s/alias", Entrance::Alias),
];

/// Most refused events that an answer lists one by one; all of them are stored.
const LISTED_MAX: usize = 100;

/// What became of a body. Its events are in the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ingested {
    /// Always true: a batch with refused events is a success, or clients would drop or repeat all of it.
    success: bool,
    /// Events taken in.
    accepted: usize,
    /// The first 100 events that were refused and kept as rejects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedEvent>,
    /// How many were refused; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_count: Option<usize>,
}

/// One refused event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedEvent {
    /// Its number within the batch, from 0.
    index: usize,
    /// Why, for machines.
    code: &'static str,
    /// Why, for people.
    message: String,
    /// What to do.
    hint: &'static str,
}

/// Sends up to 500 KB of calls at once.
///
/// The write key is the user of Basic authentication, or `X-Write-Key`, `?writeKey=`, or `writeKey` in the body.
/// The body is JSON whatever its content type says, as it is or gzipped. 200 means that it is durable.
#[utoipa::path(
    post, path = "/v1/batch", tag = "ingest",
    request_body(content = Object, description = "`{\"batch\": [call, ...], \"sentAt\": time}`; each call has a `type`"),
    responses(
        (status = 200, description = "Durable. Refused events are listed and kept as rejects.", body = Ingested),
        (status = 400, description = "Nothing of the body can be read; it is kept as a reject.", body = ErrorAnswer),
        (status = 401, description = "No such write key.", body = ErrorAnswer),
        (status = 413, description = "Too large.", body = ErrorAnswer),
        (status = 429, description = "Overloaded: again after `Retry-After` seconds.", body = ErrorAnswer),
        (status = 503, description = "The log cannot be written.", body = ErrorAnswer),
    ),
    security(("write_key" = []), ("write_key_header" = []), ("write_key_query" = []))
)]
#[expect(dead_code, reason = "describes the batch paths, which `routes` adds from `PATHS`")]
pub(crate) const fn batch() {}

/// Sends one call, of the type that the path names.
///
/// As `/v1/batch`, but a call that is refused is answered 400.
#[utoipa::path(
    post, path = "/v1/track", tag = "ingest",
    request_body(content = Object, description = "One call in the words of the Segment spec"),
    responses(
        (status = 200, description = "Durable.", body = Ingested),
        (status = 400, description = "Refused, and kept as a reject.", body = ErrorAnswer),
        (status = 401, description = "No such write key.", body = ErrorAnswer),
        (status = 413, description = "Too large.", body = ErrorAnswer),
        (status = 429, description = "Overloaded: again after `Retry-After` seconds.", body = ErrorAnswer),
        (status = 503, description = "The log cannot be written.", body = ErrorAnswer),
    ),
    security(("write_key" = []), ("write_key_header" = []), ("write_key_query" = []))
)]
#[expect(dead_code, reason = "describes the paths of single calls, which `routes` adds from `PATHS`")]
pub(crate) const fn single() {}

/// Serves every path of [`PATHS`].
pub(crate) async fn ingest<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    entrance: Entrance,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let rules = app.parts.rules.load_full();
    let known = match write_key::from_head(&rules, &head.headers, &head.uri) {
        Ok(known) => known,
        Err(error) => {
            body::drain(body).await;
            return Err(error);
        }
    };
    let limits = app.body_limits();
    let mut held = app.hold(0).ok_or(ApiError::Overloaded)?;
    let read = body::read(body, limits, &mut held).await;
    let packed = match (read, &known) {
        (Ok(packed), _) => packed,
        (Err(BodyError::TooLarge), Some(source)) => {
            return Err(refusal::too_large(&app, source, limits.bytes_max).await);
        }
        (Err(error), _) => {
            app.count_overload(&error);
            return Err(limits.error(&error));
        }
    };
    let body = match (unpacked(&head, packed, limits), &known) {
        (Ok(body), _) => body,
        (Err(reject), Some(source)) => return Err(refusal::refuse(&app, source, reject).await),
        (Err(reject), None) => return Err(refusal::answer(reject)),
    };
    let source = match known {
        Some(source) => source,
        None => write_key::from_body(&rules, &body)?,
    };
    if !app.parts.appender.has_room(body.len()) {
        app.count_overload(&BodyError::Overloaded);
        return Err(ApiError::Overloaded);
    }
    let request_id = RequestId(rand::random());
    let submitted = Submitted {
        source: source.name.clone(),
        entrance,
        request_id,
        gpc: has_opted_out(&head.headers),
        body,
    };
    let (record, parsed) = submitted.parse(&app, &rules);
    let answer = answer(entrance, &parsed);
    // A body that is refused is appended as well: the pipeline keeps its rejects.
    append(&app, record, (rules.version, parsed)).await?;
    answer.map(|ingested| Json(ingested).into_response())
}

/// A body under the source that sent it.
pub(crate) struct Submitted {
    pub(crate) source: SourceName,
    pub(crate) entrance: Entrance,
    pub(crate) request_id: RequestId,
    pub(crate) gpc: bool,
    pub(crate) body: Bytes,
}

impl Submitted {
    /// The record, and what its body turned out to be under `rules`.
    pub(crate) fn parse<L: Log, S: Store>(self, app: &App<L, S>, rules: &Rules) -> (Record, Parsed) {
        let Self { source, entrance, request_id, gpc, body } = self;
        let clock = &app.parts.clock;
        let (received_at, start) = (clock.now(), clock.monotonic_nanos());
        let key = &app.parts.key;
        let context = ParseContext { rules, key, source: &source, received_at, request_id, gpc };
        let parsed = parse_body(&body, entrance, &context);
        app.parts.metrics.add(Stage::Parse, clock.monotonic_nanos().saturating_sub(start));
        (Record::Ingest { source, received_at, request_id, entrance, gpc, body }, parsed)
    }
}

/// Global Privacy Control: the header says `1`, exactly.
fn has_opted_out(headers: &axum::http::HeaderMap) -> bool {
    headers.get("sec-gpc").is_some_and(|value| value.as_bytes() == b"1")
}

/// Appends a parsed record and waits until it is durable. What is about people who were erased is left out of it.
pub(crate) async fn append<L: Log, S: Store>(
    app: &App<L, S>,
    record: Record,
    parsed: (u64, Parsed),
) -> Result<(), ApiError> {
    let appending = loop {
        let is_over = app.erasure_over.notified();
        {
            // Held until the record is on its way: who is erased after that stands behind it in the log.
            let erased = app.erased.read();
            if !erase::must_wait(&erased.ordered, &parsed.1) {
                let (record, parsed) = match erased.gone.is_empty() {
                    true => (record, parsed),
                    false => {
                        erase::without(&erased.gone, &app.parts.rules.load(), &app.parts.key, record, parsed)
                    }
                };
                let bytes = record.encode().map_err(|_| ApiError::Internal)?;
                break app.submit(record, bytes, Some(parsed))?;
            }
        }
        is_over.await;
    };
    appended(appending).await.map(drop)
}

fn unpacked(head: &Head, packed: Bytes, limits: BodyLimits) -> Result<Bytes, Reject> {
    body::unpack(&head.headers, packed, limits.bytes_max).map_err(|error| match error {
        Unpack::TooLarge => refusal::larger_than(limits.bytes_max),
        Unpack::Broken => refusal::without_payload(RejectCode::BadCompression, "the body does not unpack"),
        Unpack::Unknown => refusal::without_payload(
            RejectCode::BadCompression,
            "the body has a `Content-Encoding` that is neither gzip nor deflate",
        ),
    })
}

/// Why an event is refused, if it is: it cannot be read, or its tracking plan refuses it.
pub(crate) fn why_refused(event: &Result<Event, Reject>) -> Option<Cow<'_, Reject>> {
    match event {
        Ok(event) => refusal(event).map(Cow::Owned),
        Err(reject) => Some(Cow::Borrowed(reject)),
    }
}

fn answer(entrance: Entrance, parsed: &Parsed) -> Result<Ingested, ApiError> {
    let refused = |reject: &Reject| ApiError::Rejected {
        status: StatusCode::BAD_REQUEST,
        code: reject.code,
        reason: reject.reason.clone(),
    };
    let events = parsed.as_ref().map_err(refused)?;
    if entrance != Entrance::Batch
        && let Some(reject) = events.first().and_then(why_refused)
    {
        return Err(refused(&reject));
    }
    let is_taken =
        |event: &&Result<Event, Reject>| event.as_ref().is_ok_and(|event| event.refused().is_none());
    let accepted = events.iter().filter(is_taken).count();
    let rejects = events.iter().enumerate().filter_map(|(index, event)| Some((index, why_refused(event)?)));
    let rejected = rejects
        .take(LISTED_MAX)
        .map(|(index, reject)| RejectedEvent {
            index,
            code: reject.code.as_str(),
            hint: reject.code.hint(),
            message: reject.into_owned().reason,
        })
        .collect();
    let rejected_count = Some(events.len() - accepted).filter(|count| *count > 0);
    Ok(Ingested { success: true, accepted, rejected, rejected_count })
}
