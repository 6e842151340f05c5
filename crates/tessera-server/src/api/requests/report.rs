//! The answer to a request for access or portability: everything that is held, or the portable part.
//!
//! Invariants: it is made only for a person who has shown who they are, by the right that rests on that check; that it
//! was read is in the evidence ledger before it leaves. Reference: GDPR Art. 12(1), 15, 20.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use serde::{Serialize, Serializer};
use tessera_evidence::{Entry, Export};
use tessera_model::FragmentId;
use tessera_pipeline::Search;
use tessera_policy::{Permitted, SubjectRight};
use tessera_profile::Shown;
use tessera_rights::{RequestError, RequestType, Status};
use tessera_store::{Log, Store};

use super::parse_id;
use super::report_page::page;
use super::report_parts::Report;
use super::stored::Stored;
use crate::access::Viewer;
use crate::api::Params;
use crate::api::disclosure::Look;
use crate::api::progress::Hearing;
use crate::api::receipts::wants_page;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, Shared};

const ROUTE: &str = "GET /api/v1/requests/{id}/report";

/// A report in one of its forms.
enum Written {
    Json(String),
    Page(String),
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        match self {
            Self::Json(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
            Self::Page(text) => Html(text).into_response(),
        }
    }
}

impl Serialize for Written {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        #[derive(Serialize)]
        struct Page<'a> {
            html: &'a str,
        }
        match self {
            Self::Json(text) => match serde_json::value::RawValue::from_string(text.clone()) {
                Ok(raw) => raw.serialize(serializer),
                Err(error) => Err(serde::ser::Error::custom(error)),
            },
            Self::Page(html) => Page { html }.serialize(serializer),
        }
    }
}

/// Everything that is held of the person of a request for access, or the portable part for one for portability.
///
/// The person must have shown who they are, and the request must be worked on or completed. `format=html` is a page
/// that stands alone and can be printed. Reads the whole log: with `Accept: text/event-stream` the answer is a stream of
/// `event: progress`, and `event: done` with the report (`{"html": ...}` for a page) or `event: failed` at the end.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}/report", tag = "requests",
    params(
        ("id" = String, Path, description = "Its id"),
        ("format" = Option<String>, Query, description = "`json` (unless given) or `html`"),
    ),
    responses(
        (status = 200, description = "The report.", body = Object),
        (status = 404, description = "No such request.", body = ErrorAnswer),
        (status = 409, description = "Of another type, or the person has not shown who they are.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn report<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    stopping: Option<Extension<Stopping>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let is_page = match params.take("format").as_deref() {
        None => wants_page(&headers),
        Some("html") => true,
        Some("json") => false,
        Some(_) => return Err(ApiError::bad("`format` is unknown", "use json or html")),
    };
    params.finish("format")?;
    let stored = app.load_request(parse_id(id)?).await?;
    let right = right(&app, &stored)?;
    let hearing = Hearing::of(&headers, stopping);
    let shared = Arc::clone(&app);
    hearing
        .answer(app, move |progress| {
            let rules = shared.parts.rules.load_full();
            let search = Search {
                log: shared.parts.log.as_ref(),
                store: shared.parts.store.as_ref(),
                rules: &rules,
                key: &shared.parts.key,
            };
            let subjects = &stored.request.opening().subjects;
            let held = search.holdings(subjects, &right, progress)?.ok_or(ApiError::Stopping)?;
            let report = shared.report(&rules, &stored, held, subjects)?;
            shared.record_report(&viewer, &report, subjects)?;
            let report = report.into_inner();
            Ok(match is_page {
                true => Written::Page(page(&report)),
                false => Written::Json(serde_json::to_string(&report).map_err(|_| ApiError::Internal)?),
            })
        })
        .await
}

/// The right that the report is made by.
fn right<L: Log, S: Store>(app: &App<L, S>, stored: &Stored) -> Result<SubjectRight, ApiError> {
    let request_type = stored.request.opening().request_type;
    let is_portability = match request_type {
        RequestType::Access => false,
        RequestType::Portability => true,
        RequestType::Rectification
        | RequestType::Erasure
        | RequestType::Restriction
        | RequestType::LiftRestriction
        | RequestType::Objection
        | RequestType::OptOutOfSale => {
            let what = format!("a request for {request_type} has no report");
            let hint = "open one for access or portability";
            return Err(ApiError::rights(StatusCode::CONFLICT, "TES-R026", what, hint));
        }
    };
    let check = stored.request.identity_check();
    let check = check.ok_or(RequestError::Identity { id: stored.id(), request_type })?;
    let status = stored.request.status();
    if !matches!(status, Status::InProgress | Status::Completed) {
        return Err(RequestError::Status { action: "report on", status: status.as_str() }.into());
    }
    let now = app.parts.clock.now();
    let right = match is_portability {
        true => SubjectRight::portability(check, now),
        false => SubjectRight::access(check, now),
    };
    right.map_err(|error| {
        ApiError::rights(StatusCode::CONFLICT, error.code(), error.to_string(), error.hint())
    })
}

impl<L: Log, S: Store> Shared<L, S> {
    /// That somebody is about to read it: one entry for each profile, and one for the whole.
    fn record_report(
        &self,
        viewer: &Viewer,
        report: &Permitted<Report, SubjectRight>,
        subjects: &[FragmentId],
    ) -> Result<(), ApiError> {
        let held = report.get();
        let look = Look { viewer, route: ROUTE, subject: subjects.first().copied() };
        let profiles = held.held.profiles.iter().filter_map(|profile| {
            let fields = held.paths(profile).into_iter().collect();
            Some((profile.id.parse().ok()?, Shown { fields, ..Shown::default() }))
        });
        self.record(look, profiles)?;
        let what = format!("{} report {}", held.report, report.permit().check().request());
        Ok(self.record_entries(&[Entry::Export(Export {
            actor: viewer.actor.as_str().into(),
            what: what.into(),
            purposes: Vec::new(),
            fields: held.everything().into_iter().map(Into::into).collect(),
            count: u64::try_from(held.held.profiles.len()).unwrap_or(u64::MAX),
        })])?)
    }
}
