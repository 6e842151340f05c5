//! Identifiers that stand with too many people to say who one is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use tessera_pipeline::shared_identifiers;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// The shared identifiers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharedAnswer {
    /// Those with the most people first.
    shared: Vec<SharedOne>,
    /// How many there are in all.
    total: usize,
}

/// One of them. Its value is personal data: `GET /api/v1/profiles/{fragment}` shows it to who may see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SharedOne {
    /// Its fragment: 32 hexadecimal digits.
    fragment: String,
    /// Its namespace.
    namespace: String,
    /// With how many identifiers it stood on events.
    stood_with: u64,
}

/// Identifiers that stand with too many people, and hold nobody together. Walks through everybody.
#[utoipa::path(
    get, path = "/api/v1/identity/shared", tag = "profiles",
    params(("limit" = Option<usize>, Query, description = "Most to list: 1 to 1000, 100 unless given.")),
    responses(
        (status = 200, description = "The identifiers, without their values.", body = SharedAnswer),
        (status = 400, description = "A parameter is wrong.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<SharedAnswer>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(100, 1000)?;
    params.finish("limit")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let answer = blocking(move || {
        let found = shared_identifiers(shared.parts.store.as_ref())?;
        let total = found.len();
        let first = found.into_iter().take(limit).map(|one| SharedOne {
            fragment: one.fragment.to_string(),
            namespace: one.namespace.to_string(),
            stood_with: one.stood_with,
        });
        Ok(Json(SharedAnswer { shared: first.collect(), total }))
    })
    .await;
    drop(permit);
    answer
}
