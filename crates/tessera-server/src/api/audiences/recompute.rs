//! The members of an audience asked for a second time, by SQL over the lake, and held against those that were announced.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_audience::{Audience, Definitions};
use tessera_evidence::{Entry, Export};
use tessera_model::{FragmentId, Rules};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use super::list::require_live;
use super::members::{Reading, reading};
use crate::access::Viewer;
use crate::api::profiles::{granted_purpose, path};
use crate::api::query::{queries_of, refused};
use crate::error::{ApiError, ErrorAnswer};
use crate::queries::RecomputeAsked;
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/audiences/{name}/recompute";
/// Most people who are named one by one.
pub(super) const NAMED_MAX: usize = 100;

/// What two ways to the same members come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recomputed {
    /// The audience.
    audience: String,
    /// The purpose that it serves.
    purpose: String,
    /// How many people were looked at: those whom the purpose permits.
    looked_at: u64,
    /// Members that both say.
    agreed: u64,
    /// Members that were announced, and are none by SQL.
    only_stream: Differing,
    /// Members by SQL that were not announced.
    only_batch: Differing,
    /// People of whom the two say different, and who changed while they were asked: nothing follows from that.
    unsettled: u64,
}

/// People of whom two answers differ.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Differing {
    /// How many.
    people: u64,
    /// The first hundred of those whom the purpose permits the account to see.
    profiles: Vec<String>,
}

impl Differing {
    pub(super) fn new<L: Log, S: Store>(
        reading: &Reading<'_, L, S>,
        route: &'static str,
        people: &BTreeSet<FragmentId>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            people: u64::try_from(people.len()).unwrap_or(u64::MAX),
            profiles: reading.named(route, people.iter().copied(), NAMED_MAX)?,
        })
    }
}

/// Ask for the members a second time.
///
/// By SQL over the lake and the profiles, for everybody whom the audience's purpose permits to look at, and holds the answer against
/// the members that were announced: two ways that share no code. What differs is asked twice, and who changed meanwhile is told
/// apart. Not limited by the account's sight, so counts alone leave, and the ids of people whom it may see. On record in the evidence.
#[utoipa::path(
    post, path = "/api/v1/audiences/{name}/recompute", tag = "audiences",
    params(("name" = String, Path, description = "The audience")),
    responses(
        (status = 200, description = "What both say.", body = Recomputed),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such audience, or this server has no lake.", body = ErrorAnswer),
        (status = 409, description = "Its members are not all announced yet, or the workspace changed meanwhile.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn recompute<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Recomputed>, ApiError> {
    let name = path(name)?;
    let rules = app.parts.rules.load_full();
    let definitions = Arc::new(in_force(&rules)?);
    let audience = named(&definitions, &name)?.clone();
    granted_purpose(&rules, &viewer, audience.purpose.as_str())?;
    let queries = queries_of(&app)?;
    let audiences = [audience.clone()];
    still_live(&app, &rules, &definitions, audiences.clone()).await?;
    let asked = RecomputeAsked {
        audience: audience.name.clone(),
        definitions: Arc::clone(&definitions),
        labels: app.labels(&rules),
        rules: Arc::clone(&rules),
    };
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let answer = queries.recompute(asked).await.map_err(refused)?;
    drop(permit);
    still_live(&app, &rules, &definitions, audiences).await?;
    reading((app, viewer), name, move |reading, audience| {
        reading.app.record_entries(&[Entry::Export(Export {
            actor: reading.viewer.actor.as_str().into(),
            what: format!("audience {}, recomputed", audience.name).into(),
            purposes: vec![reading.purpose.clone()],
            fields: Vec::new(),
            count: answer.people,
        })])?;
        Ok(Json(Recomputed {
            audience: audience.name.to_string(),
            purpose: audience.purpose.to_string(),
            looked_at: answer.people,
            agreed: answer.agreed,
            only_stream: Differing::new(reading, ROUTE, &answer.only_stream)?,
            only_batch: Differing::new(reading, ROUTE, &answer.only_batch)?,
            unsettled: answer.unsettled,
        }))
    })
    .await
}

/// Refuses when the members of these audiences are not all announced, or are no more those of this workspace.
pub(super) async fn still_live<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Arc<Rules>,
    definitions: &Arc<Definitions>,
    audiences: impl IntoIterator<Item = Audience> + Send + 'static,
) -> Result<(), ApiError> {
    if app.parts.rules.load().version != rules.version {
        let what = "the workspace was changed while its audiences were compared";
        return Err(ApiError::rights(StatusCode::CONFLICT, "TES-A093", what.to_owned(), "ask again"));
    }
    let (app, rules, definitions) = (Arc::clone(app), Arc::clone(rules), Arc::clone(definitions));
    blocking(move || {
        let store = app.parts.store.as_ref();
        audiences.into_iter().try_for_each(|one| require_live(store, &rules, (&definitions, &one)))
    })
    .await
}
