//! How good the data is: the report, and the audits that were kept of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tessera_model::{Operation, Rules};
use tessera_pipeline::{UsageError, Walked, load_audits, survey, tell_of_falls, usage_of};
use tessera_policy::Mask;
use tessera_quality::{Audit, Fall, Report, falls, html};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::progress::Hearing;
use super::records::page;
use crate::access::{Action, Viewer};
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared, blocking};

const TREND_DEFAULT: usize = 90;
const TREND_MAX: usize = 400;

/// A report, as data or as a page.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum QualityAnswer {
    Report(Box<Report>),
    Page { html: String },
}

impl IntoResponse for QualityAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Report(report) => Json(report).into_response(),
            Self::Page { html } => page(html, "text/html; charset=utf-8"),
        }
    }
}

/// How complete, valid, unique, timely and consistent each source's fields are, what is wrong, and what to do about it.
///
/// Walks over everybody, and takes its time: with `Accept: text/event-stream` the answer is a stream of `event: progress`, and
/// `event: done` or `event: failed` at the end. Holds counts and masked shapes alone, shapes only of fields that the account
/// sees. Pairs of profiles that share what they should not are named to those who see every purpose.
#[utoipa::path(
    get, path = "/api/v1/quality", tag = "quality",
    params(
        ("source" = Option<String>, Query, description = "This source alone"),
        ("format" = Option<String>, Query, description = "`json` (unless set) or `html`: a page with pictures that stands alone"),
    ),
    responses(
        (status = 200, description = "The report.", body = Object),
        (status = 400, description = "No such source or format.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let (source, format) = (params.take("source"), params.take("format"));
    params.finish("source, format")?;
    let is_page = match format.as_deref() {
        None | Some("json") => false,
        Some("html") => true,
        Some(_) => return Err(ApiError::bad("`format` is unknown", "known: json, html")),
    };
    let rules = app.parts.rules.load_full();
    if let Some(source) = &source
        && !rules.source_documents().any(|known| known.name.as_str() == source)
    {
        return Err(ApiError::bad("`source` is not declared", "`tessera export` shows the sources"));
    }
    let shared = Arc::clone(&app);
    Hearing::of(&headers, stopping)
        .answer(app, move |progress: &mut dyn FnMut(Walked) -> bool| {
            let report = shared.quality(&rules, progress)?;
            let report = shared.seen_by(&viewer, &rules, report);
            let report = match &source {
                Some(source) => report.of_source(source),
                None => report,
            };
            if !is_page {
                return Ok(QualityAnswer::Report(Box::new(report)));
            }
            let audits = load_audits(shared.parts.store.as_ref())?;
            Ok(QualityAnswer::Page { html: html(&report, &audits) })
        })
        .await
}

/// Audits through time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trend {
    /// Oldest first.
    #[schema(value_type = Vec<Object>)]
    audits: Vec<Audit>,
}

/// The audits that were kept, oldest first: scores and counts.
#[utoipa::path(
    get, path = "/api/v1/quality/trend", tag = "quality",
    params(("limit" = Option<usize>, Query, description = "The last 1 to 400, 90 unless set")),
    responses(
        (status = 200, description = "The audits.", body = Trend),
        (status = 400, description = "No such limit.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn trend<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<Trend>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(TREND_DEFAULT, TREND_MAX)?;
    params.finish("limit")?;
    blocking(move || {
        let mut audits = load_audits(app.parts.store.as_ref())?;
        let audits = audits.split_off(audits.len().saturating_sub(limit));
        Ok(Json(Trend { audits }))
    })
    .await
}

/// An audit that was kept, and the scores that fell since the one before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditAnswer {
    /// Scores and counts.
    #[schema(value_type = Object)]
    audit: Audit,
    /// Scores that fell by more than the setting `quality.fall_points` says.
    #[schema(value_type = Vec<Object>)]
    falls: Vec<Fall>,
}

/// Audits the data now, and keeps what it comes to: scores and counts, nothing of anybody.
#[utoipa::path(
    post, path = "/api/v1/quality/audits", tag = "quality",
    responses((status = 201, description = "The audit.", body = AuditAnswer)),
    security(("admin_token" = []))
)]
pub(crate) async fn audit<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<(StatusCode, Json<AuditAnswer>), ApiError> {
    Params::of(&uri)?.finish("none")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let (audit, last) = blocking(move || {
        let rules = shared.parts.rules.load_full();
        let audit = Audit::from(&shared.quality(&rules, &mut |_| true)?);
        Ok((audit, load_audits(shared.parts.store.as_ref())?.pop()))
    })
    .await?;
    drop(permit);
    let order = Operation::PutAudit { audit: serde_json::to_value(&audit).map_err(|_| ApiError::Internal)? };
    let position = app.order(order).await?;
    app.settle(position).await?;
    let falls = last.map(|last| falls(&last, &audit, app.parts.fall_points)).unwrap_or_default();
    tell_of_falls(&falls);
    Ok((StatusCode::CREATED, Json(AuditAnswer { audit, falls })))
}

impl<L: Log, S: Store> Shared<L, S> {
    fn quality(&self, rules: &Rules, progress: &mut dyn FnMut(Walked) -> bool) -> Result<Report, ApiError> {
        let parts = &self.parts;
        let usage = usage_of(parts.store.as_ref(), &parts.evidence).map_err(|error| match error {
            UsageError::Pipeline(error) => ApiError::from(error),
            UsageError::Evidence(error) => ApiError::from(error),
        })?;
        let survey = survey(parts.store.as_ref(), rules, &parts.key, parts.clock.now(), progress)?;
        Ok(survey.ok_or(ApiError::Stopping)?.report(&usage))
    }

    /// The report without what the viewer may not see.
    fn seen_by(&self, viewer: &Viewer, rules: &Rules, report: Report) -> Report {
        let mask = Mask::new(self.labels(rules), viewer.hidden());
        let report = report.without_shapes(|path| mask.hides(path));
        match viewer.purposes.is_none() && viewer.may(Action::ListProfiles) {
            true => report,
            false => report.without_pairs(),
        }
    }
}
