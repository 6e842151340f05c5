//! Whether the server is well, and what it can do: open to everybody, without personal data.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use tessera_store::{Log, Store};

use crate::api::totals::TotalsAnswer;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::metrics;
use crate::shared::{App, blocking};

/// 200 as long as the process serves.
#[utoipa::path(
    get, path = "/health", tag = "system",
    responses((status = 200, description = "It serves.", body = Object)),
    security(())
)]
pub(crate) async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

/// 200 when events become profiles; 503 with the cause when the pipeline cannot go on, or the server is stopping.
#[utoipa::path(
    get, path = "/ready", tag = "system",
    responses(
        (status = 200, description = "Ready.", body = Object),
        (status = 503, description = "Not ready.", body = ErrorAnswer),
    ),
    security(())
)]
pub(crate) async fn ready<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    stopping: Option<Extension<Stopping>>,
) -> Result<Response, ApiError> {
    if stopping.is_some_and(|Extension(Stopping(receiver))| *receiver.borrow()) {
        return Err(ApiError::Stopping);
    }
    match app.parts.progress.trouble() {
        Some(trouble) => Err(ApiError::NotReady { trouble }),
        None => Ok(Json(json!({"status": "ready"})).into_response()),
    }
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "system",
    responses((status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text")),
    security(())
)]
pub(crate) async fn show_metrics<L: Log, S: Store>(
    State(app): State<App<L, S>>,
) -> Result<Response, ApiError> {
    let text = blocking(move || {
        let totals = TotalsAnswer::read(&app)?;
        metrics::render(&app, &totals).map_err(|_| ApiError::Internal)
    })
    .await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
    security(())
)]
pub(crate) async fn show_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi()).into_response()
}

pub(crate) async fn no_such_path() -> ApiError {
    ApiError::NoSuchPath
}

pub(crate) async fn wrong_method() -> ApiError {
    ApiError::WrongMethod
}
