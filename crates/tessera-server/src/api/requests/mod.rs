//! Data-subject requests: opened, worked on step by step, answered.
//!
//! What may follow what, and until when, is decided in `tessera-rights`. Invariants: a request names people by keyed hash
//! only; nothing is given out, changed or erased for a person who has not shown who they are, where the law asks for it;
//! every step is in the log before it is answered.

pub(crate) mod callback;
pub(crate) mod fulfil;
pub(crate) mod report;
mod report_page;
mod report_parts;
pub(crate) mod steps;
pub(crate) mod stored;
pub(crate) mod work;

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request as HttpRequest, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_model::{FragmentId, HashKey, PurposeName, Rules, Timestamp};
use tessera_pipeline::load_requests;
use tessera_rights::{
    Action, Actor, Calendar, Clock, Opening, Regime, Request, RequestType, SubjectRequestId, Told, clock,
};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use self::stored::Stored;
use super::profiles::{parse_reference, path};
use super::{Params, read_json};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const SUBJECTS_MAX: usize = 100;
const PURPOSES_MAX: usize = 100;

/// A request and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestAnswer {
    /// Its id.
    id: String,
    /// `gdpr`, `ccpa` or `lgpd`.
    regime: &'static str,
    /// What is asked for: `access`, `portability`, `rectification`, `erasure`, `restriction`, `lift_restriction`,
    /// `objection` or `opt_out_of_sale`.
    request_type: &'static str,
    /// `received`, `identity_check`, `in_progress`, `completed`, `denied`, `cancelled` or `expired`.
    status: &'static str,
    /// Why it was denied: the reason and the article that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<DeniedAnswer>,
    /// The exceptions under which a part was kept or withheld: `legal_obligation`, ...
    #[serde(skip_serializing_if = "Vec::is_empty")]
    except: Vec<&'static str>,
    /// When it arrived, RFC 3339.
    received_at: String,
    /// The people meant, as keyed hashes of the identifiers that were named.
    subjects: Vec<String>,
    /// The purposes that it is about; empty: all.
    purposes: Vec<String>,
    /// Whether the person has shown who they are.
    is_verified: bool,
    /// Whether nobody was found when it was fulfilled.
    no_data_found: bool,
    /// Deadlines.
    #[schema(value_type = Object)]
    clock: Clock,
    /// Who got data of the person, and what became of telling them.
    recipients: Vec<RecipientAnswer>,
    /// All that was done, oldest first.
    #[schema(value_type = Vec<Object>)]
    history: Value,
    /// Through which protocol it came: `opendsr` or `drp`; absent: this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    /// Whom to call when the status changes, and how that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    callbacks: Vec<callback::Callback>,
}

/// Why a request was denied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeniedAnswer {
    /// The reason.
    reason: &'static str,
    /// The article of the law.
    article: Option<&'static str>,
}

/// One who got data of the person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientAnswer {
    /// The destination.
    destination: String,
    /// What became of telling it (GDPR Art. 19).
    #[schema(value_type = Object)]
    told: Told,
}

impl RequestAnswer {
    pub(crate) fn new(stored: &Stored, calendar: &Calendar, now: Timestamp) -> Self {
        let request = &stored.request;
        let Opening { id, regime, request_type, subjects, purposes, received_at, .. } = request.opening();
        let told = request.recipients().into_iter();
        Self {
            id: id.to_string(),
            regime: regime.as_str(),
            request_type: request_type.as_str(),
            status: request.status().as_str(),
            denied: request.status().reason().map(|reason| DeniedAnswer {
                reason: reason.as_str(),
                article: reason.article(*regime, *request_type),
            }),
            except: except(request),
            received_at: received_at.to_string(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            purposes: purposes.iter().map(ToString::to_string).collect(),
            is_verified: request.identity_confirmed_at().is_some(),
            no_data_found: stored.no_data_found,
            clock: clock(request, calendar, now),
            recipients: told
                .map(|(destination, told)| RecipientAnswer {
                    destination: destination.to_string(),
                    told: told.clone(),
                })
                .collect(),
            history: serde_json::to_value(request.history()).unwrap_or_default(),
            protocol: stored.via.as_ref().map(|via| via.protocol.as_str()),
            callbacks: stored.via.as_ref().map(|via| via.callbacks.clone()).unwrap_or_default(),
        }
    }
}

/// The exceptions under which a request was completed.
fn except(request: &Request) -> Vec<&'static str> {
    let last = request.history().iter().find_map(|step| match &step.action {
        Action::Complete { except } => Some(except),
        Action::Acknowledge
        | Action::AskIdentity { .. }
        | Action::ConfirmIdentity { .. }
        | Action::Start
        | Action::Extend { .. }
        | Action::TellRecipient { .. }
        | Action::Deny { .. }
        | Action::Cancel { .. }
        | Action::Expire => None,
    });
    last.into_iter().flatten().map(|reason| reason.as_str()).collect()
}

/// The calendar that deadlines are counted by.
pub(crate) fn calendar(rules: &Rules) -> Result<Calendar, ApiError> {
    Calendar::of(rules.controller()).map_err(|error| {
        let what = format!("deadlines cannot be counted: {error}");
        ApiError::rights(
            StatusCode::CONFLICT,
            "TES-R024",
            what,
            "correct `holidays` of the controller document",
        )
    })
}

/// A request as it is opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestOrder {
    /// `gdpr` (unless given), `ccpa` or `lgpd`.
    #[serde(default = "gdpr")]
    regime: String,
    /// `access`, `portability`, `rectification`, `erasure`, `restriction`, `lift_restriction`, `objection` or
    /// `opt_out_of_sale`.
    #[serde(rename = "type")]
    request_type: String,
    /// 1 to 100 identifiers of the person: `email:ada@x.org`. They are hashed at once; none is kept.
    subjects: Vec<String>,
    /// The purposes that it is about; empty or absent: all.
    #[serde(default)]
    purposes: Vec<String>,
    /// When the person asked, RFC 3339, if that was earlier: the clock counts from there.
    received_at: Option<String>,
}

fn gdpr() -> String {
    Regime::Gdpr.as_str().to_owned()
}

/// Opens a request of a data subject.
///
/// What is to be corrected is given when it is fulfilled: a request holds no personal data.
#[utoipa::path(
    post, path = "/api/v1/requests", tag = "requests",
    request_body = RequestOrder,
    responses(
        (status = 201, description = "Opened.", body = RequestAnswer),
        (status = 400, description = "Not a request that there is.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn open<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let order: RequestOrder = read_json(&app, request).await?;
    let rules = app.parts.rules.load_full();
    let now = app.parts.clock.now();
    let opening = parse(&rules, &app.parts.key, &viewer, order, now)?;
    let stored = Stored::new(Request::open(opening)?);
    app.put_request(&stored).await?;
    let answer = RequestAnswer::new(&stored, &calendar(&rules)?, now);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn parse(
    rules: &Rules,
    key: &HashKey,
    viewer: &Viewer,
    order: RequestOrder,
    now: Timestamp,
) -> Result<Opening, ApiError> {
    let RequestOrder { regime, request_type, subjects, purposes, received_at } = order;
    let unknown = |what: &str, known: Vec<&str>| {
        ApiError::bad(format!("`{what}` is not one that there is"), format!("known: {}", known.join(", ")))
    };
    let regime = Regime::parse(&regime)
        .ok_or_else(|| unknown("regime", Regime::ALL.iter().map(|one| one.as_str()).collect()))?;
    let request_type = RequestType::parse(&request_type)
        .ok_or_else(|| unknown("type", RequestType::ALL.iter().map(|one| one.as_str()).collect()))?;
    let received_at = match received_at.as_deref().map(Timestamp::parse) {
        None => now,
        Some(Some(at)) if at <= now => at,
        Some(_) => {
            let hint = "write it as 2026-03-05T09:30:00Z";
            return Err(ApiError::bad("`received_at` is no time up to now", hint));
        }
    };
    Ok(Opening {
        id: SubjectRequestId::from_random(rand::random()),
        regime,
        request_type,
        subjects: parse_subjects(rules, key, &subjects)?,
        purposes: parse_purposes(rules, &purposes)?,
        received_at,
        by: Actor::Account(viewer.actor.as_str().into()),
    })
}

/// The fragments of identifiers; the identifiers go no further.
pub(crate) fn parse_subjects(
    rules: &Rules,
    key: &HashKey,
    subjects: &[String],
) -> Result<Vec<FragmentId>, ApiError> {
    if subjects.is_empty() || subjects.len() > SUBJECTS_MAX {
        let hint = format!("name 1 to {SUBJECTS_MAX} identifiers of the person, as `namespace:value`");
        return Err(ApiError::bad("`subjects` has none or too many", hint));
    }
    subjects.iter().map(|text| parse_reference(rules, key, text)).collect()
}

fn parse_purposes(rules: &Rules, purposes: &[String]) -> Result<BTreeSet<PurposeName>, ApiError> {
    let declared = |text: &String| {
        let name = PurposeName::parse(text).ok().filter(|name| rules.purposes.get(name).is_some());
        name.ok_or_else(|| {
            ApiError::bad("`purposes` names one that is not declared", "`tessera export` shows the purposes")
        })
    };
    if purposes.len() > PURPOSES_MAX {
        return Err(ApiError::bad("`purposes` has too many", format!("name at most {PURPOSES_MAX}")));
    }
    purposes.iter().map(declared).collect()
}

/// Requests of data subjects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestList {
    /// Those that must be answered first come first, closed ones last.
    requests: Vec<RequestAnswer>,
}

/// The requests, those that must be answered first in front.
#[utoipa::path(
    get, path = "/api/v1/requests", tag = "requests",
    params(
        ("status" = Option<String>, Query, description = "Only these: `received`, `in_progress`, ...; `open` for all that are not closed"),
        ("overdue" = Option<bool>, Query, description = "Only those whose last day has passed, or has not"),
    ),
    responses(
        (status = 200, description = "The requests.", body = RequestList),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<RequestList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let status = params.take("status");
    let overdue = match params.take("overdue").as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(ApiError::bad("`overdue` is neither true nor false", "use true or false")),
    };
    params.finish("status, overdue")?;
    const KNOWN: [&str; 8] =
        ["open", "received", "identity_check", "in_progress", "completed", "denied", "cancelled", "expired"];
    if status.as_deref().is_some_and(|status| !KNOWN.contains(&status)) {
        return Err(ApiError::bad("`status` is unknown", format!("known: {}", KNOWN.join(", "))));
    }
    let rules = app.parts.rules.load_full();
    let calendar = calendar(&rules)?;
    blocking(move || {
        let now = app.parts.clock.now();
        let mut found: Vec<(bool, Clock, RequestAnswer)> = load_requests::<Stored>(app.parts.store.as_ref())?
            .iter()
            .map(|stored| {
                let answer = RequestAnswer::new(stored, &calendar, now);
                (stored.request.status().is_closed(), answer.clock, answer)
            })
            .filter(|(is_closed, clock, answer)| {
                let fits = match status.as_deref() {
                    None => true,
                    Some("open") => !is_closed,
                    Some(status) => answer.status == status,
                };
                fits && overdue.is_none_or(|overdue| overdue == (clock.is_overdue && !is_closed))
            })
            .collect();
        found.sort_by(|(a, x, one), (b, y, other)| {
            (a, x.answer_by, &one.received_at, &one.id).cmp(&(b, y.answer_by, &other.received_at, &other.id))
        });
        Ok(Json(RequestList { requests: found.into_iter().map(|(_, _, answer)| answer).collect() }))
    })
    .await
}

/// One request, with its history and its clock.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The request.", body = RequestAnswer),
        (status = 404, description = "No such request.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<RequestAnswer>, ApiError> {
    let stored = app.load_request(parse_id(id)?).await?;
    answer(&app, &stored).map(Json)
}

pub(crate) fn answer<L: Log, S: Store>(
    app: &Arc<crate::shared::Shared<L, S>>,
    stored: &Stored,
) -> Result<RequestAnswer, ApiError> {
    let rules = app.parts.rules.load_full();
    Ok(RequestAnswer::new(stored, &calendar(&rules)?, app.parts.clock.now()))
}

/// The id in a path. What is no id names no request.
pub(crate) fn parse_id(id: Result<Path<String>, PathRejection>) -> Result<SubjectRequestId, ApiError> {
    SubjectRequestId::from_str(&path(id)?).map_err(|_| no_such_request())
}

pub(crate) fn no_such_request() -> ApiError {
    let hint = "`tessera dsr list` lists the requests";
    ApiError::rights(StatusCode::NOT_FOUND, "TES-R025", "there is no such request".to_owned(), hint)
}
