//! Definitions looked at before they are saved: what is wrong, which names nobody knows, what they would cost.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_audience::{Cost, Definitions, Finding, Known, Uses};
use tessera_model::{PurposeName, Rules, Timestamp, Workspace};
use tessera_pipeline::{Query, load_seen};
use tessera_profile::{Reader, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::forbidden_fields;
use crate::access::Viewer;
use crate::api::query::{Question, answered};
use crate::api::read_json;
use crate::api::workspace::draft;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/definitions/check";
/// So many people's traits are looked at for their names.
const PEOPLE: usize = 500;
/// Events of so many days are counted.
const DAYS: i64 = 30;

/// Definitions to look at: they count besides those in force, or in the place of those with the same name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckOrder {
    /// Documents of a workspace; those that define nothing are taken as known.
    #[schema(value_type = Vec<Object>)]
    documents: Vec<Value>,
}

/// What was found. A definition that cannot be used is answered 422, like one that is applied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// Hints: the definitions can be used all the same.
    #[schema(value_type = Vec<Object>)]
    hints: Vec<Finding>,
    /// The definitions that were sent.
    definitions: Vec<CheckedDefinition>,
}

/// What a definition would cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedDefinition {
    /// `Audience` or `ComputedTrait`.
    kind: &'static str,
    /// Its name.
    name: String,
    /// The condition or the value, as text.
    text: String,
    /// What it looks at.
    #[schema(value_type = Object)]
    uses: Uses,
    /// Events of the last 30 days that it would have looked at, a day; null: the account may not count them, or there is no lake.
    events_per_day: Option<u64>,
    /// What is kept of a person at most. Of audiences.
    #[schema(value_type = Option<Object>)]
    cost: Option<Cost>,
}

/// Look at definitions before they are applied.
#[utoipa::path(
    post, path = "/api/v1/definitions/check", tag = "audiences",
    request_body = CheckOrder,
    responses(
        (status = 200, description = "They can be used.", body = Checked),
        (status = 422, description = "What is wrong, with line and column of the text.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn check<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Json<Checked>, ApiError> {
    let order: CheckOrder = read_json(&app, request).await?;
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let sent: BTreeSet<(String, String)> =
        order.documents.iter().map(|one| (text(one, "kind"), text(one, "name"))).collect();
    let rules = app.parts.rules.load_full();
    let workspace = draft(&rules, order.documents, false)?;
    let definitions = tessera_audience::definitions(&workspace).map_err(ApiError::Workspace)?;
    refuse_forbidden(&rules, &workspace, &definitions)?;
    let mut checked = described(&definitions, &sent);
    let mut known = known_names(&app, &viewer, &rules).await?;
    let purposes = workspace.documents().filter(|one| one.kind() == "Purpose");
    known.purposes.extend(purposes.map(|one| one.name().to_owned()));
    let mut counts: BTreeMap<&PurposeName, Option<BTreeMap<String, u64>>> = BTreeMap::new();
    for (purpose, one) in &mut checked {
        if !counts.contains_key(purpose) {
            let counted = match rules.purposes.get(purpose).is_some() && viewer.may_use(purpose) {
                true => counted(&app, &viewer, purpose).await?,
                false => None,
            };
            known.events.extend(counted.iter().flat_map(|counts| counts.keys().cloned()));
            counts.insert(purpose, counted);
        }
        let counts = counts.get(purpose).and_then(Option::as_ref);
        one.events_per_day = counts.map(|counts| events_per_day(&one.uses, counts));
    }
    let hints = tessera_audience::check(&definitions, &known).into_iter();
    let hints = hints.filter(|one| sent.contains(&(one.kind.to_owned(), one.name.clone()))).collect();
    Ok(Json(Checked { hints, definitions: checked.into_iter().map(|(_, one)| one).collect() }))
}

/// Refuses definitions that look at what their purpose may not use by the labels and policies of this workspace.
fn refuse_forbidden(rules: &Rules, workspace: &Workspace, definitions: &Definitions) -> Result<(), ApiError> {
    let rules = rules.next(workspace.clone(), Timestamp::MAX).map_err(ApiError::Workspace)?;
    let problems = forbidden_fields(&rules, definitions);
    if problems.is_empty() { Ok(()) } else { Err(ApiError::Workspace(problems)) }
}

/// The definitions that were sent, each with its purpose.
fn described<'d>(
    definitions: &'d Definitions,
    sent: &BTreeSet<(String, String)>,
) -> Vec<(&'d PurposeName, CheckedDefinition)> {
    let is_sent = |kind: &str, name: &str| sent.contains(&(kind.to_owned(), name.to_owned()));
    let audiences = definitions.audiences.iter().filter(|one| is_sent("Audience", one.name.as_str()));
    let audiences = audiences.map(|one| {
        let described = CheckedDefinition {
            kind: "Audience",
            name: one.name.to_string(),
            text: one.when.to_string(),
            uses: Uses::of_audience(one, definitions),
            events_per_day: None,
            cost: Some(Cost::of(one)),
        };
        (&one.purpose, described)
    });
    let traits = definitions.traits.iter().filter(|one| is_sent("ComputedTrait", one.name.as_str()));
    let traits = traits.map(|one| {
        let described = CheckedDefinition {
            kind: "ComputedTrait",
            name: one.name.as_str().to_owned(),
            text: one.value.to_string(),
            uses: Uses::of_trait(one, definitions),
            events_per_day: None,
            cost: None,
        };
        (&one.purpose, described)
    });
    audiences.chain(traits).collect()
}

fn events_per_day(uses: &Uses, counts: &BTreeMap<String, u64>) -> u64 {
    let is_used = |name: &String| uses.any_event || uses.events.contains(name);
    let all: u64 = counts.iter().filter(|(name, _)| is_used(name)).map(|(_, count)| count).sum();
    all.div_ceil(DAYS.unsigned_abs())
}

/// Names that are known: of events that plans speak of, and of traits that some people have.
async fn known_names<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    rules: &std::sync::Arc<Rules>,
) -> Result<Known, ApiError> {
    let (app, viewer, rules) = (std::sync::Arc::clone(app), viewer.clone(), std::sync::Arc::clone(rules));
    blocking(move || {
        let (store, labels) = (app.parts.store.as_ref(), app.labels(&rules));
        let mut known = Known::default();
        known.events.extend(load_seen(store)?.into_iter().map(|seen| seen.event));
        let query = Query { rules: &rules, purpose: None, view: View::default(), now: app.parts.clock.now() };
        let reader = Reader { labels: &labels, hidden: viewer.hidden(), purposes: viewer.purposes.as_ref() };
        // Names of traits, and nothing of whose they are, leave from here.
        for profile in query.seen_by(reader).list(store, None, PEOPLE, |_| true)?.profiles {
            let profile = profile.get();
            let is_account = profile.identifiers.iter().any(|one| one.namespace == "account_id");
            let names = if is_account { &mut known.account_traits } else { &mut known.traits };
            names.extend(profile.traits.keys().cloned());
        }
        Ok(known)
    })
    .await
}

/// How often each event came in the last days, as far as the account sees for the purpose.
async fn counted<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    purpose: &PurposeName,
) -> Result<Option<BTreeMap<String, u64>>, ApiError> {
    if app.parts.queries.is_none() {
        return Ok(None);
    }
    let since = app.parts.clock.now().plus_millis(-DAYS * 24 * 60 * 60 * 1000);
    let sql = format!(
        "SELECT CASE WHEN type = 'track' THEN event ELSE type END AS name, count(*) AS count FROM events \
         WHERE timestamp >= TIMESTAMP '{since}' GROUP BY 1"
    );
    let question =
        Question { route: ROUTE, what: "a check of audiences", sql, media_type: "application/json" };
    let answer = answered(app, viewer.clone(), purpose.as_str(), question).await?;
    #[derive(Deserialize)]
    struct Row {
        name: Option<String>,
        count: u64,
    }
    let rows: Vec<Row> = serde_json::from_slice(&answer.body).map_err(|_| ApiError::Internal)?;
    Ok(Some(rows.into_iter().filter_map(|row| Some((row.name?, row.count))).collect()))
}
