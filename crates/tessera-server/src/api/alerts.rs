//! Alerts of tracking plans, and how often each violation came. No data of people.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_model::Operation;
use tessera_pipeline::{Alert, AlertState, ViolationKind, load_alerts, load_violations};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::profiles::path;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking, to_the_end};

/// One alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertAnswer {
    /// Names it.
    id: String,
    /// The tracking plan.
    plan: String,
    /// The source.
    source: String,
    /// The event; empty: the source's whole stream.
    event: String,
    /// `unplanned_event`, `unplanned_property`, `unexpected_type`, `null_share`, `volume` or `silent`.
    kind: &'static str,
    /// The property, or the span of time.
    subject: String,
    /// What is the matter.
    what: String,
    /// `open`, `acknowledged` or `resolved`.
    #[schema(value_type = String)]
    state: AlertState,
    /// When it was raised, RFC 3339.
    raised_at: String,
    /// When it was acknowledged.
    acknowledged_at: Option<String>,
    /// By whom.
    acknowledged_by: Option<String>,
    /// When it was over.
    resolved_at: Option<String>,
}

impl From<Alert> for AlertAnswer {
    fn from(alert: Alert) -> Self {
        let text = |at: Option<tessera_model::Timestamp>| at.map(|at| at.to_string());
        Self {
            id: alert.id,
            plan: alert.plan,
            source: alert.surprise.source,
            event: alert.surprise.event,
            kind: alert.surprise.kind.as_str(),
            subject: alert.surprise.subject,
            what: alert.surprise.what,
            state: alert.state,
            raised_at: alert.raised_at.to_string(),
            acknowledged_at: text(alert.acknowledged_at),
            acknowledged_by: alert.acknowledged_by,
            resolved_at: text(alert.resolved_at),
        }
    }
}

/// Alerts, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertList {
    /// The alerts.
    alerts: Vec<AlertAnswer>,
}

/// What is not as tracking plans expect.
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "plans",
    params(("state" = Option<String>, Query, description = "`open`, `acknowledged`, `resolved` or `all`; without it, what is not resolved")),
    responses(
        (status = 200, description = "The alerts.", body = AlertList),
        (status = 400, description = "No such state.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<AlertList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let state = params.take("state");
    params.finish("state")?;
    let states: &[AlertState] = match state.as_deref() {
        None => &[AlertState::Open, AlertState::Acknowledged],
        Some("open") => &[AlertState::Open],
        Some("acknowledged") => &[AlertState::Acknowledged],
        Some("resolved") => &[AlertState::Resolved],
        Some("all") => &[AlertState::Open, AlertState::Acknowledged, AlertState::Resolved],
        Some(_) => {
            let hint = "use open, acknowledged, resolved or all";
            return Err(ApiError::bad("`state` is no state of an alert", hint));
        }
    };
    let found = blocking(move || Ok(load_alerts(app.parts.store.as_ref())?)).await?;
    let alerts = found.into_iter().filter(|alert| states.contains(&alert.state)).map(AlertAnswer::from);
    Ok(Json(AlertList { alerts: alerts.collect() }))
}

/// Says that somebody knows of an alert. It stays until what it tells of is over.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/acknowledge", tag = "plans",
    params(("id" = String, Path, description = "The alert")),
    responses(
        (status = 200, description = "The alert as it is now.", body = AlertAnswer),
        (status = 404, description = "No such alert, or it is over.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn acknowledge<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<AlertAnswer>, ApiError> {
    let id = path(id)?;
    to_the_end(async move {
        let shared = std::sync::Arc::clone(&app);
        let alerts = blocking(move || Ok(load_alerts(shared.parts.store.as_ref())?)).await?;
        let found = alerts.into_iter().find(|alert| alert.id == id && alert.state != AlertState::Resolved);
        let alert = found.ok_or(ApiError::NotFound {
            what: "there is no such alert, or it is over",
            hint: "`GET /api/v1/alerts` lists them",
        })?;
        let alert = Alert {
            state: AlertState::Acknowledged,
            acknowledged_at: Some(app.parts.clock.now()),
            acknowledged_by: Some(viewer.actor.to_string()),
            ..alert
        };
        let value = serde_json::to_value(&alert).map_err(|_| ApiError::Internal)?;
        let position = app.order(Operation::PutAlert { id: alert.id.clone(), alert: value }).await?;
        app.settle(position).await?;
        Ok(Json(AlertAnswer::from(alert)))
    })
    .await
}

/// A kind of violation, and how often it came.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViolationAnswer {
    /// The tracking plan.
    plan: String,
    /// The source.
    source: String,
    /// The event or call; `*`: one that the plan does not name.
    event: String,
    /// The field.
    path: String,
    /// The keyword of JSON Schema, or `unplanned`.
    keyword: String,
    /// What was done: `pass`, `strip`, `quarantine`, `block`.
    reaction: String,
    /// How often, since the log began.
    count: u64,
}

/// How often each kind of violation came.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViolationList {
    /// The most frequent first.
    violations: Vec<ViolationAnswer>,
}

/// How often events were not as their tracking plan says.
#[utoipa::path(
    get, path = "/api/v1/plans/violations", tag = "plans",
    params(("plan" = Option<String>, Query, description = "Only of this tracking plan")),
    responses((status = 200, description = "The counts.", body = ViolationList)),
    security(("admin_token" = []))
)]
pub(crate) async fn violations<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<ViolationList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let wanted = params.take("plan");
    params.finish("plan")?;
    let found = blocking(move || Ok(load_violations(app.parts.store.as_ref())?)).await?;
    let answer = |(kind, count): (ViolationKind, u64)| {
        let ViolationKind { plan, source, event, path, keyword, reaction } = kind;
        ViolationAnswer { plan, source, event, path, keyword, reaction, count }
    };
    let is_wanted = |one: &ViolationAnswer| wanted.as_ref().is_none_or(|plan| *plan == one.plan);
    let mut violations: Vec<ViolationAnswer> = found.into_iter().map(answer).filter(is_wanted).collect();
    violations.sort_by_key(|one| std::cmp::Reverse(one.count));
    Ok(Json(ViolationList { violations }))
}
