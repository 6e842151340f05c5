//! Consent receipts (ISO/IEC TS 27560): as JSON, and as a page for the person.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tessera_model::{DestinationDocument, FragmentId, PurposeName, Rules};
use tessera_pipeline::{Will, will_of};
use tessera_profile::Shown;
use tessera_rights::receipt::{Receipt, ReceiptInput, Said, html, receipt};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::consents::unknown;
use super::disclosure::Look;
use super::profiles::{parse_reference, path};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// The receipts of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptsAnswer {
    /// One for each purpose that the person said a word about.
    #[schema(value_type = Vec<Object>)]
    receipts: Vec<Receipt>,
}

/// What was asked for.
struct Asked {
    purpose: Option<PurposeName>,
    language: String,
    is_page: bool,
}

impl Asked {
    fn parse(rules: &Rules, headers: &HeaderMap, uri: &Uri) -> Result<Self, ApiError> {
        let mut params = Params::of(uri)?;
        let format = params.take("format");
        let is_page = match format.as_deref() {
            Some("html") => true,
            Some("json") => false,
            Some(_) => return Err(ApiError::bad("`format` is unknown", "use json or html")),
            None => wants_page(headers),
        };
        let purpose = params.take("purpose").map(|text| {
            let declared = PurposeName::parse(&text).ok().filter(|name| rules.purposes.get(name).is_some());
            declared.ok_or_else(|| {
                ApiError::bad("`purpose` is not declared", "`tessera export` shows the purposes")
            })
        });
        let purpose = purpose.transpose()?;
        let language = params.take("language").unwrap_or_else(|| "en".to_owned());
        params.finish("purpose, format, language")?;
        Ok(Self { purpose, language, is_page })
    }
}

/// Whether a browser asks.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The receipts of what a person said, by purpose.
///
/// As a page (`Accept: text/html` or `format=html`) it is one receipt: name the purpose if there are several.
#[utoipa::path(
    get, path = "/api/v1/profiles/{reference}/receipts", tag = "consents",
    params(
        ("reference" = String, Path, description = "As for `GET /api/v1/profiles/{reference}`"),
        ("purpose" = Option<String>, Query, description = "Only this purpose"),
        ("language" = Option<String>, Query, description = "The person's language: `de`, `pt-BR`; `en` unless given"),
        ("format" = Option<String>, Query, description = "`json` or `html`"),
    ),
    responses(
        (status = 200, description = "The receipts.", body = ReceiptsAnswer),
        (status = 400, description = "No such purpose, or a page of several receipts.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier, or nothing was said.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let rules = app.parts.rules.load_full();
    let id = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    let asked = Asked::parse(&rules, &headers, &uri)?;
    blocking(move || {
        let now = app.parts.clock.now();
        let will = will_of(app.parts.store.as_ref(), &rules, id, now)?.ok_or_else(unknown)?;
        let receipts = receipts(&app, &rules, &viewer, &will, &asked);
        if receipts.is_empty() {
            return Err(ApiError::NotFound {
                what: "the person said nothing about that",
                hint: "`GET .../consents` shows what was said",
            });
        }
        if asked.is_page && receipts.len() > 1 {
            let hint = "name one purpose with `purpose`, or ask for JSON";
            return Err(ApiError::bad("a page is of one receipt, and there are several", hint));
        }
        let fields: BTreeSet<String> =
            receipts.iter().flat_map(|one| &one.pii_processing.purposes).map(consent_path).collect();
        let look =
            Look { viewer: &viewer, route: "GET /api/v1/profiles/{reference}/receipts", subject: Some(id) };
        app.record(look, [(will.profile, Shown { fields, ..Shown::default() })])?;
        Ok(match receipts.first().filter(|_| asked.is_page) {
            Some(receipt) => Html(html(receipt)).into_response(),
            None => Json(ReceiptsAnswer { receipts }).into_response(),
        })
    })
    .await
}

fn consent_path(purpose: &tessera_rights::receipt::Purpose) -> String {
    format!("consents.{}", purpose.purpose_type)
}

fn receipts<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    will: &Will,
    asked: &Asked,
) -> Vec<Receipt> {
    let wanted = rules.purposes.iter().map(|purpose| &purpose.document).filter(|document| {
        viewer.may_use(&document.name) && asked.purpose.as_ref().is_none_or(|wanted| *wanted == document.name)
    });
    let mut found = Vec::new();
    for document in wanted {
        let words = will.words.iter().filter(|(of, _)| of.as_ref() == Some(&document.name));
        let said: Vec<Said> = words.map(|(_, record)| Said::from(record)).collect();
        if said.is_empty() {
            continue;
        }
        let recipients: Vec<&DestinationDocument> =
            rules.destinations().filter(|to| to.purpose == document.name).collect();
        let parts: [&[u8]; 3] = [b"consent receipt", &will.profile.0, document.name.as_str().as_bytes()];
        found.push(receipt(&ReceiptInput {
            record_bits: u128::from_be_bytes(app.parts.key.hash128(&parts)),
            principal: FragmentId(will.profile.0),
            controller: rules.controller(),
            purpose: document,
            recipients: &recipients,
            said: &said,
            language: &asked.language,
            storage_locations: &[],
        }));
    }
    found
}
