//! What a regulator asks for on paper: records of processing, and the report on the workspace's policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tessera_evidence::{Entry, Filter, Kind};
use tessera_model::DestinationName;
use tessera_pipeline::count_fields;
use tessera_rights::records::{Supplement, html, markdown, records};
use tessera_rights::{Finding, Usage, policy_report};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// The records of processing activities, made from the workspace (GDPR Art. 30).
///
/// What nobody declared is called undeclared; what the workspace has no place for comes with the request.
#[utoipa::path(
    get, path = "/api/v1/records", tag = "evidence",
    params(
        ("format" = Option<String>, Query, description = "`json` (unless set), `html` or `markdown`"),
        ("data_subjects" = Option<String>, Query, description = "Whose data: `customers`; repeatable"),
        ("stored_in" = Option<String>, Query, description = "Where this installation stores it: `EU`; repeatable"),
        ("measure" = Option<String>, Query, description = "A measure of security besides Tessera's own; repeatable"),
        ("safeguard.REGION" = Option<String>, Query,
            description = "What protects data that goes to REGION: `standard contractual clauses`; repeatable"),
    ),
    responses(
        (status = 200, description = "The records, as JSON or as the page that was asked for.", body = Object),
        (status = 400, description = "No such format.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let format = params.take("format");
    let supplement = Supplement {
        data_subjects: params.take_all("data_subjects"),
        safeguards: params.take_prefixed("safeguard.").into_iter().collect(),
        security: params.take_all("measure"),
        storage_locations: params.take_all("stored_in"),
    };
    params.finish("format, data_subjects, stored_in, measure, safeguard.REGION")?;
    let rules = app.parts.rules.load();
    let records = records(&rules.workspace, &supplement, app.parts.clock.now());
    match format.as_deref() {
        None | Some("json") => Ok(Json(records).into_response()),
        Some("html") => Ok(page(html(&records), "text/html; charset=utf-8")),
        Some("markdown") => Ok(page(markdown(&records), "text/markdown; charset=utf-8")),
        Some(_) => Err(ApiError::bad("`format` is unknown", "known: json, html, markdown")),
    }
}

/// An answer that is no JSON.
pub(super) fn page(text: String, kind: &'static str) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Our pages load nothing and run nothing, whatever the names in them say.
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

impl Params {
    /// Every value of `name`, removed.
    fn take_all(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.take(name)).collect()
    }
}

/// What a privacy officer should mend in the workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyReport {
    /// Worst first.
    #[schema(value_type = Vec<FindingShape>)]
    findings: Vec<Finding>,
    /// Deliveries that the evidence ledger has, by destination.
    #[schema(value_type = Object)]
    deliveries: BTreeMap<DestinationName, u64>,
    /// How many profiles hold each field.
    #[schema(value_type = Object)]
    fields: BTreeMap<String, u64>,
}

/// One thing to mend.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_rights::Finding`, which knows nothing of OpenAPI")]
pub(crate) struct FindingShape {
    /// `high`, `medium` or `low`.
    severity: String,
    /// The kind of document: `Purpose`.
    kind: String,
    /// The document's name.
    name: String,
    /// A stable word for what is wrong: `no_notice`.
    rule: String,
    /// What is wrong.
    what: String,
    /// The article it stands on.
    article: String,
    /// What to do.
    hint: String,
}

/// What is wrong or missing in the workspace: purposes without notice, sources without purposes, fields without
/// label, destinations never used, and more.
///
/// Counts in the evidence ledger and walks through every profile: it takes its time.
#[utoipa::path(
    get, path = "/api/v1/policy-report", tag = "evidence",
    responses((status = 200, description = "The report.", body = PolicyReport)),
    security(("admin_token" = []))
)]
pub(crate) async fn policies<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<PolicyReport>, ApiError> {
    Params::of(&uri)?.finish("none")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let report = blocking(move || {
        let mut deliveries: BTreeMap<DestinationName, u64> = BTreeMap::new();
        let filter = Filter { kinds: [Kind::Delivery].into(), ..Filter::default() };
        shared.parts.evidence.read(&filter, |line| {
            if let Entry::Delivery(delivery) = &line.entry {
                match deliveries.get_mut(&delivery.destination) {
                    Some(count) => *count += 1,
                    None => drop(deliveries.insert(delivery.destination.clone(), 1)),
                }
            }
            true
        })?;
        let rules = shared.parts.rules.load_full();
        let fields = count_fields(shared.parts.store.as_ref())?;
        let labels = shared.labels(&rules);
        // Fields of Segment's spec have their labels built in.
        let unlabelled = fields.iter().filter(|(path, _)| labels.labels_within(path).is_empty());
        let fields_of = unlabelled.map(|(path, count)| (path.clone(), *count)).collect();
        let usage = Usage { deliveries, fields: fields_of };
        let findings = policy_report(&rules.workspace, &usage);
        Ok(Json(PolicyReport { findings, deliveries: usage.deliveries, fields }))
    })
    .await;
    drop(permit);
    report
}
