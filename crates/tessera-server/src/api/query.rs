//! SQL over everybody, for one purpose.
//!
//! Invariant: what an answer was made of is in the evidence before the answer leaves.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use tessera_evidence::{Entry, Export};
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profiles::granted_purpose;
use super::read_json;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::queries::{Queries, QueryAnswer, QueryAsked, QueryRefusal};
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/query";

/// A query, and what it is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryOrder {
    /// One SELECT, EXPLAIN, SHOW or DESCRIBE over `events`, `profiles`, `traits`, `identities`, `consents`, `audiences` and
    /// `rejects`.
    sql: String,
    /// What the answer is for: rows and fields that this purpose may not use are absent or null.
    purpose: String,
}

/// Ask a question in SQL.
///
/// `Accept` chooses the form of the answer: `application/json` (unless asked otherwise), `text/csv`, `text/plain` (a table),
/// `application/vnd.apache.arrow.stream`, `application/vnd.apache.parquet`. Only what the purpose permits and the account may
/// see is there for the query: everything else is null or absent before the query begins. Each query is recorded in the
/// evidence ledger, with the fields that it was given and of how many people. A query ends when its caller goes.
#[utoipa::path(
    post, path = "/api/v1/query", tag = "profiles",
    request_body = QueryOrder,
    responses(
        (status = 200, description = "The answer, in the form that was asked for."),
        (status = 400, description = "No SQL, not a read, or no such purpose.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "This server has no lake.", body = ErrorAnswer),
        (status = 408, description = "The query took too long.", body = ErrorAnswer),
        (status = 413, description = "Query or answer is too large, or it needs too much memory.", body = ErrorAnswer),
        (status = 422, description = "A value is not what the query takes it for.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn query<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Response, ApiError> {
    let queries = queries_of(&app)?;
    let media_type = wanted(request.headers(), queries.media_types())?;
    let order: QueryOrder = read_json(&app, request).await?;
    let question = Question { route: ROUTE, what: "a query", sql: order.sql, media_type };
    let answer = answered(&app, viewer, &order.purpose, question).await?;
    let mut response = Response::new(Body::from(answer.body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert("tessera-rows", HeaderValue::from(answer.rows));
    Ok(response)
}

/// What answers SQL.
pub(super) fn queries_of<L, S>(app: &App<L, S>) -> Result<Arc<dyn Queries>, ApiError> {
    app.parts.queries.clone().ok_or(ApiError::NotFound {
        what: "this server has no lake",
        hint: "ask a server that was started with one",
    })
}

/// A query, and how the record calls it.
pub(super) struct Question {
    pub(super) route: &'static str,
    pub(super) what: &'static str,
    pub(super) sql: String,
    pub(super) media_type: &'static str,
}

/// Answers a query: the one way to the engine. What the answer was made of is on record when this returns.
pub(super) async fn answered<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: Viewer,
    purpose: &str,
    question: Question,
) -> Result<QueryAnswer, ApiError> {
    let queries = queries_of(app)?;
    let rules = app.parts.rules.load_full();
    let purpose = granted_purpose(&rules, &viewer, purpose)?;
    let labels = app.labels(&rules);
    let asked = QueryAsked {
        sql: question.sql,
        purpose: purpose.clone(),
        media_type: question.media_type,
        rules,
        labels,
        hidden: viewer.hidden(),
        purposes: viewer.purposes.clone(),
        now: app.parts.clock.now(),
    };
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let answer = queries.ask(asked).await.map_err(refused)?;
    drop(permit);
    let shared = Arc::clone(app);
    blocking(move || {
        let look = Look { viewer: &viewer, route: question.route, subject: None };
        let QueryAnswer { people, profiles, fields, .. } = &answer;
        let export = Entry::Export(Export {
            actor: viewer.actor.as_str().into(),
            what: question.what.into(),
            purposes: vec![purpose.clone()],
            fields: fields.iter().map(|field| field.as_str().into()).collect(),
            count: *people,
        });
        shared.record_entries(&[export])?;
        let shown = || Shown { fields: fields.clone(), purposes: [purpose.clone()].into() };
        shared.record(look, profiles.iter().map(|profile| (*profile, shown())))?;
        Ok(answer)
    })
    .await
}

/// The first media type that is accepted and known; the usual one where anything is.
pub(super) fn wanted(headers: &HeaderMap, known: &[&'static str]) -> Result<&'static str, ApiError> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let usual = known.first().copied();
    let found = accepted.split(',').find_map(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        match range {
            "*/*" | "application/*" => usual,
            exact => known.iter().copied().find(|media_type| *media_type == exact),
        }
    });
    found.ok_or_else(|| {
        ApiError::bad(
            "`Accept` names no form that queries are answered in",
            format!("use {}", known.join(", ")),
        )
    })
}

pub(super) fn refused(refusal: QueryRefusal) -> ApiError {
    let QueryRefusal { status, code, what, hint } = refusal;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(code, hint, "cannot answer a query: {what}");
    }
    ApiError::rights(status, code, what, hint)
}
