//! Tracking plans: learning a first one from what has arrived, and trying one on it. Changes nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tessera_contract::{Learner, Tally, ViolationTally};
use tessera_model::{Call, Document, Event, Rules, SourceName, Timestamp, Workspace};
use tessera_pipeline::{History, Scanned};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::read_json;
use super::workspace::draft;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// Most events looked at, unless told otherwise.
const EVENTS_DEFAULT: u64 = 200_000;
const EVENTS_MAX: u64 = 5_000_000;

/// Which events to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanOrder {
    /// Of this source.
    #[schema(value_type = String)]
    source: SourceName,
    /// That arrived at this time or later: RFC 3339 or a date.
    #[serde(default)]
    since: Option<String>,
    /// Most events; 200,000 unless set.
    #[serde(default)]
    events_max: Option<u64>,
    /// What the learnt plan is called; the source's name unless set. For `infer` only.
    #[serde(default)]
    name: Option<String>,
    /// The tracking plan to try, a document. For `check` only.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    plan: Option<serde_json::Value>,
}

/// How far a reading came.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReadAnswer {
    /// Events looked at.
    events: u64,
    /// Events left out because no purpose covers them now.
    denied: u64,
    /// Whether there are more than were asked for.
    is_cut: bool,
}

impl From<Scanned> for ReadAnswer {
    fn from(Scanned { events, denied, is_cut }: Scanned) -> Self {
        Self { events, denied, is_cut }
    }
}

/// A plan that was learnt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanAnswer {
    /// The document, to read, correct and apply.
    #[schema(value_type = Object)]
    plan: Document,
    /// What it was learnt from.
    read: ReadAnswer,
    /// Events whose names do not look like names; the plan does not have them.
    left_out: u64,
}

/// What a plan would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckAnswer {
    /// What was looked at.
    read: ReadAnswer,
    /// Counts: events, well formed, and by reaction.
    #[schema(value_type = Object)]
    tally: Tally,
    /// The kinds of violations, the most frequent first.
    #[schema(value_type = Vec<Object>)]
    violations: Vec<ViolationTally>,
}

/// Learns a first tracking plan from what has arrived.
///
/// It learns from events that a purpose covers now. What it tells of values was said by at least 20 people each.
#[utoipa::path(
    post, path = "/api/v1/plans/infer", tag = "plans",
    request_body = PlanOrder,
    responses(
        (status = 200, description = "The plan.", body = PlanAnswer),
        (status = 400, description = "No such source or time.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn infer<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<PlanAnswer>, ApiError> {
    let order: PlanOrder = read_json(&app, request).await?;
    let reading = Reading::of(&app, &order, without_plans(&app.parts.rules.load())?)?;
    let name = order.name.unwrap_or_else(|| order.source.to_string());
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let answer = blocking(move || {
        let mut learner = Learner::default();
        let read = reading.each(&shared, |event, profile| {
            if let Some((name, fields)) = described(event) {
                let (person, _) = profile.0.split_at(8);
                let person = person.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                learner.learn(name, fields.as_deref(), person);
            }
        })?;
        let plan = Document::TrackingPlan(learner.plan(&name, reading.source.as_str()));
        Ok(PlanAnswer { plan, read: read.into(), left_out: learner.left_out() })
    })
    .await;
    drop(permit);
    answer.map(Json)
}

/// Tries a tracking plan on what has arrived: how many events it would pass, strip, keep aside, block, and why.
#[utoipa::path(
    post, path = "/api/v1/plans/check", tag = "plans",
    request_body = PlanOrder,
    responses(
        (status = 200, description = "What it would do.", body = CheckAnswer),
        (status = 400, description = "No such source or time, or no plan.", body = ErrorAnswer),
        (status = 422, description = "The plan cannot be used.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn check<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<CheckAnswer>, ApiError> {
    let order: PlanOrder = read_json(&app, request).await?;
    let plan = order.plan.clone().ok_or_else(|| ApiError::bad("`plan` is missing", "send the document"))?;
    let bare = without_plans(&app.parts.rules.load())?;
    let bare = app.parts.rules.load().next(bare, app.parts.clock.now()).map_err(ApiError::Workspace)?;
    let reading = Reading::of(&app, &order, draft(&bare, vec![plan], false)?)?;
    if reading.rules.source(&reading.source).is_none_or(|source| source.contract.is_none()) {
        return Err(ApiError::bad("the plan does not hold for that source", "add it to `sources`"));
    }
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let answer = blocking(move || {
        let mut tally = Tally::default();
        let read = reading.each(&shared, |event, _| {
            if let Some(checked) = &event.checked {
                tally.add(checked);
            }
        })?;
        Ok(CheckAnswer { read: read.into(), violations: tally.violations(), tally })
    })
    .await;
    drop(permit);
    answer.map(Json)
}

/// The workspace without its tracking plans, so that events are as they came.
fn without_plans(rules: &Rules) -> Result<Workspace, ApiError> {
    let others = rules.workspace.documents().filter(|one| !matches!(one, Document::TrackingPlan(_)));
    Workspace::new(others.cloned()).map_err(ApiError::Workspace)
}

/// Name and fields of an event that a plan can describe.
fn described(event: &Event) -> Option<(&str, Option<String>)> {
    #[derive(Deserialize)]
    struct Fields {
        properties: Option<Box<RawValue>>,
        traits: Option<Box<RawValue>>,
        context: Option<Context>,
    }
    #[derive(Deserialize)]
    struct Context {
        traits: Option<Box<RawValue>>,
    }
    let fields: Fields = serde_json::from_str(event.json.as_str()).ok()?;
    let text = |raw: Option<Box<RawValue>>| raw.map(|raw| raw.get().to_owned());
    match &event.call {
        Call::Track { event } => Some((event.as_str(), text(fields.properties))),
        Call::Page { .. } | Call::Screen { .. } => Some((event.call.name(), text(fields.properties))),
        Call::Identify { .. } => {
            Some(("identify", text(fields.traits.or(fields.context.and_then(|context| context.traits)))))
        }
        Call::Group { .. } => Some(("group", text(fields.traits))),
        Call::Alias { .. } | Call::Consent { .. } => None,
    }
}

/// What is to be read.
struct Reading {
    rules: Rules,
    source: SourceName,
    since: Timestamp,
    events_max: u64,
}

impl Reading {
    fn of<L: Log, S: Store>(
        app: &App<L, S>,
        order: &PlanOrder,
        workspace: Workspace,
    ) -> Result<Self, ApiError> {
        let now = app.parts.clock.now();
        let rules = app.parts.rules.load().next(workspace, now).map_err(ApiError::Workspace)?;
        if rules.source(&order.source).is_none() {
            let what = format!("source `{}` is not declared", order.source);
            return Err(ApiError::bad(what, "`tessera export` shows those that are"));
        }
        let since = order.since.as_deref().map(|text| {
            let hint = "use RFC 3339 or a date: 2026-01-31";
            Timestamp::parse(text).ok_or_else(|| ApiError::bad("`since` is no time", hint))
        });
        let events_max = order.events_max.unwrap_or(EVENTS_DEFAULT);
        if !(1..=EVENTS_MAX).contains(&events_max) {
            let hint = format!("use a number from 1 to {EVENTS_MAX}");
            return Err(ApiError::bad("`events_max` is out of range", hint));
        }
        let since = since.transpose()?.unwrap_or(Timestamp::MIN);
        Ok(Self { rules, source: order.source.clone(), since, events_max })
    }

    fn each<L: Log, S: Store>(
        &self,
        app: &App<L, S>,
        show: impl FnMut(&Event, tessera_model::FragmentId),
    ) -> Result<Scanned, ApiError> {
        let parts = &app.parts;
        let history = History {
            log: parts.log.as_ref(),
            store: parts.store.as_ref(),
            rules: &self.rules,
            key: &parts.key,
            source: &self.source,
            since: self.since,
            events_max: self.events_max,
            now: parts.clock.now(),
        };
        Ok(history.each(show)?)
    }
}
