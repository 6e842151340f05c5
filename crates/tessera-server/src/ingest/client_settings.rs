//! What browser clients fetch before they send, and what analytics-next tells about itself.
//!
//! Reference: analytics-next's `LegacySettings`, RudderStack's source configuration. Without `apiHost` the former
//! sends to Segment's own host, so it is never left out.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tessera_model::Document;
use tessera_store::{Log, Store};

use super::write_key;
use crate::body;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

/// What analytics-next loads from its `cdnURL`.
#[utoipa::path(
    get, path = "/v1/projects/{write_key}/settings", tag = "clients",
    params(("write_key" = String, Path, description = "A source's write key")),
    responses(
        (status = 200, description = "Where and how to send.", body = Object),
        (status = 401, description = "No such write key.", body = ErrorAnswer),
    ),
    security(())
)]
pub(crate) async fn settings<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    write_key::source(&app.parts.rules.load(), &key)?;
    let (protocol, host) = reached_as(app.parts.public_url.as_deref(), &headers)?;
    let settings = json!({
        "integrations": {"Segment.io": {
            "apiKey": key,
            "apiHost": format!("{host}/v1"),
            "protocol": protocol,
            "unbundledIntegrations": [],
            "addBundledMetadata": true,
            "maybeBundledConfigIds": {},
        }},
        "edgeFunction": {},
        "analyticsNextEnabled": true,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": false,
        "remotePlugins": [],
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(settings)).into_response())
}

/// What RudderStack's browser client loads from its `configUrl`.
#[utoipa::path(
    get, path = "/sourceConfig", tag = "clients",
    responses(
        (status = 200, description = "The source, without destinations of its own.", body = Object),
        (status = 401, description = "No such write key.", body = ErrorAnswer),
    ),
    security(("write_key" = []), ("write_key_query" = []))
)]
pub(crate) async fn source_config<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Response, ApiError> {
    let rules = app.parts.rules.load();
    let source = write_key::from_head(&rules, request.headers(), request.uri())?.ok_or(ApiError::WriteKey)?;
    let name = source.name.as_str();
    let key = match rules.workspace.get("Source", name) {
        Some(Document::Source(document)) => document.write_key.reveal(),
        Some(_) | None => return Err(ApiError::WriteKey),
    };
    let config = json!({
        "source": {
            "id": name,
            "name": name,
            "workspaceId": "tessera",
            "enabled": true,
            "writeKey": key,
            "config": {"statsCollection": {"errors": {"enabled": false}, "metrics": {"enabled": false}}},
            "destinations": [],
            "dataplanes": {},
        },
        "updatedAt": app.parts.clock.now().to_string(),
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(config)).into_response())
}

/// Takes what analytics-next measures of itself, and drops it.
#[utoipa::path(
    post, path = "/v1/m", tag = "clients",
    request_body(content = Object, description = "`{\"series\": [...]}`"),
    responses((status = 200, description = "Dropped.", body = Object)),
    security(())
)]
pub(crate) async fn client_metrics(request: Request) -> Response {
    body::drain(request.into_body()).await;
    Json(json!({"success": true})).into_response()
}

/// Protocol and host, with port and path, as the browser reached us.
fn reached_as(public_url: Option<&str>, headers: &HeaderMap) -> Result<(&'static str, String), ApiError> {
    if let Some(url) = public_url {
        let (protocol, rest) = match url.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some((_, rest)) => ("https", rest),
            None => ("https", url),
        };
        return Ok((protocol, rest.trim_end_matches('/').to_owned()));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(ApiError::bad(
            "the `Host` header names no host",
            "set `public_url` in the server's settings",
        ));
    }
    // Both headers are chosen by whoever asks, and the answer is for nobody else: it is never cached.
    let forwarded =
        headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let protocol = if forwarded.eq_ignore_ascii_case("https") { "https" } else { "http" };
    Ok((protocol, host.to_owned()))
}
