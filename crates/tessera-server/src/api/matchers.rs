//! Matchers: where they stand, a run over everybody, and why two profiles match.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, MatcherDocument, MatcherName, Rules};
use tessera_pipeline::{ComparedPair, ExplainError, MatchQuestion, MatcherStatus, RunProgress, RunReport};
use tessera_policy::Mask;
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profiles::{parse_reference, path};
use super::progress::Hearing;
use super::{Params, read_json};
use crate::access::Viewer;
use crate::edge::Stopping;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The matchers of the workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatcherList {
    /// By name.
    matchers: Vec<MatcherAnswer>,
}

/// Where a matcher stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatcherAnswer {
    /// Its name.
    name: String,
    /// What it compares: the name of each column.
    columns: Vec<String>,
    /// `is_ready`, `why` not, `profiles` it knows, whether it `is_live`, profiles `compared` as they came, pairs `linked` and
    /// `asked` about since the server was started, the run that is `running`, and the `last_run`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    status: MatcherStatus,
}

/// The matchers of the workspace, and where they stand.
#[utoipa::path(
    get, path = "/api/v1/match", tag = "match",
    responses((status = 200, description = "All of them.", body = MatcherList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(State(app): State<App<L, S>>) -> Json<MatcherList> {
    let rules = app.parts.rules.load_full();
    let mut statuses = app.parts.matching.statuses();
    let matchers = rules.matchers().map(|matcher| MatcherAnswer {
        name: matcher.name.to_string(),
        columns: matcher.columns.keys().cloned().collect(),
        status: statuses.remove(&matcher.name).unwrap_or_default(),
    });
    Json(MatcherList { matchers: matchers.collect() })
}

/// What a run is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunOrder {
    /// Tell what would be linked and asked, and do nothing.
    #[serde(default)]
    dry_run: bool,
}

/// What a run came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunAnswer {
    /// `profiles` compared, `pairs` likely enough to be told, `linked`, `asked`, `is_dry`, and why it `broke_off`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    report: RunReport,
}

impl IntoResponse for RunAnswer {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Compares every profile with every other that is at all like it. Pairs from the matcher's `link` on become evidence, and so one profile
/// unless a limit or a steward stands against it; those from `review` on go into the review queue.
///
/// With `Accept: text/event-stream` the answer is a stream: `progress`, then `done` or `failed`. The run ends when the
/// client goes away; what it has ordered until then stands.
#[utoipa::path(
    post, path = "/api/v1/match/{name}/run", tag = "match",
    params(("name" = String, Path, description = "The matcher")),
    request_body = RunOrder,
    responses(
        (status = 200, description = "Ended.", body = RunAnswer),
        (status = 400, description = "A run of it goes on.", body = ErrorAnswer),
        (status = 404, description = "No such matcher.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn run<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    stopping: Option<Extension<Stopping>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let name = matcher_named(&app.parts.rules.load(), &path(name)?)?.name.clone();
    let hearing = Hearing::of(request.headers(), stopping);
    let order: RunOrder = read_json(&app, request).await?;
    app.parts.matching.start(&name, order.dry_run).map_err(|refusal| {
        ApiError::bad(refusal.to_string(), "wait for its end: `tessera match list` shows where it stands")
    })?;
    let matching = Arc::clone(&app.parts.matching);
    hearing
        .answer(app, move |go_on: &mut dyn FnMut(RunProgress) -> bool| {
            loop {
                matching.wait(LOOK_EVERY);
                let status = matching.statuses().remove(&name).ok_or_else(no_matcher)?;
                match (status.running, status.last_run) {
                    (Some(progress), _) => {
                        if !go_on(progress) {
                            matching.cancel(&name);
                            return Err(ApiError::Stopping);
                        }
                    }
                    (None, Some(report)) => return Ok(RunAnswer { report }),
                    (None, None) => return Err(ApiError::Stopping),
                }
            }
        })
        .await
}

/// Breaks the run of a matcher off. What it has ordered until then stands.
#[utoipa::path(
    delete, path = "/api/v1/match/{name}/run", tag = "match",
    params(("name" = String, Path, description = "The matcher")),
    responses(
        (status = 200, description = "It ends at the next step.", body = MatcherList),
        (status = 404, description = "No such matcher.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn cancel<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<MatcherList>, ApiError> {
    let name = matcher_named(&app.parts.rules.load(), &path(name)?)?.name.clone();
    app.parts.matching.cancel(&name);
    Ok(list(State(app)).await)
}

/// Two profiles side by side.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainAnswer {
    /// The profiles' ids.
    profiles: Vec<String>,
    /// The probability that they are one person.
    probability: f64,
    /// From this probability on they become one.
    link: f64,
    /// From this probability on a person is asked.
    review: f64,
    /// What was compared, and the two values as far as the account sees them.
    values: Vec<ComparedValues>,
    /// How the probability came about: the weight that each comparison adds.
    #[schema(value_type = Object)]
    waterfall: serde_json::Value,
}

/// The two values of a column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparedValues {
    /// The column of the matcher.
    column: String,
    /// Where it is found: `traits.first_name`.
    field: String,
    /// The value of the first; null if there is none, or it is not shown.
    a: Option<String>,
    /// The value of the second.
    b: Option<String>,
}

/// Why two profiles are held to be one person or two, comparison by comparison.
///
/// Only what the matcher's purpose permits was compared; of that only what the account sees is shown, and recorded in the
/// evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/match/{name}/explain", tag = "match",
    params(
        ("name" = String, Path, description = "The matcher"),
        ("a" = String, Query, description = "`email:ada@example.com`, or an id"),
        ("b" = String, Query, description = "The other"),
    ),
    responses(
        (status = 200, description = "The comparison.", body = ExplainAnswer),
        (status = 400, description = "No such reference, or the matcher has learned nothing yet.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the matcher's purpose.", body = ErrorAnswer),
        (status = 404, description = "No such matcher, or one of the two may not be compared.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn explain<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<ExplainAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let matcher = matcher_named(&rules, &path(name)?)?.clone();
    let mut params = Params::of(&uri)?;
    let mut take = |name: &str| {
        let text = params.take(name).ok_or_else(|| {
            ApiError::bad(format!("`{name}` is missing"), "name two profiles: `a=email:...&b=email:...`")
        })?;
        parse_reference(&rules, &app.parts.key, &text)
    };
    let (a, b) = (take("a")?, take("b")?);
    params.finish("a, b")?;
    if !viewer.may_use(&matcher.purpose) {
        return Err(ApiError::NotGranted { purpose: matcher.purpose });
    }
    blocking(move || answer(&app, &viewer, (&rules, &matcher), (a, b)).map(Json)).await
}

fn answer<L: Log, S: Store>(
    app: &App<L, S>,
    viewer: &Viewer,
    (rules, matcher): (&Rules, &MatcherDocument),
    (a, b): (FragmentId, FragmentId),
) -> Result<ExplainAnswer, ApiError> {
    let Some(model) = app.parts.matching.model(&matcher.name) else {
        let hint = "`tessera match list` says why; it takes some profiles to learn from";
        return Err(ApiError::bad("the matcher has learned nothing yet", hint));
    };
    let labels = app.labels(rules);
    let question =
        MatchQuestion { rules, labels: &labels, matcher, model: &model, now: app.parts.clock.now() };
    let pair = question.ask(app.parts.store.as_ref(), a, b).map_err(|error| match error {
        ExplainError::NotCompared => ApiError::NotFound {
            what: "one of the two is not there, or the matcher's purpose does not permit to compare it",
            hint: "look both up with the matcher's purpose: `tessera profile show REFERENCE --purpose PURPOSE`",
        },
        ExplainError::Match(error) => {
            tracing::error!(code = error.code(), "a model does not fit its matcher: {error}");
            ApiError::Internal
        }
        ExplainError::Failed(error) => error.into(),
    })?;
    let ComparedPair { profiles, values: [left, right], explanation } = pair;
    let mask = Mask::new(Arc::clone(&labels), viewer.hidden());
    let mut shown = [Shown::default(), Shown::default()];
    let mut values = Vec::new();
    for ((column, field), (one, other)) in matcher.columns.iter().zip(left.into_iter().zip(right)) {
        let is_seen = !mask.hides(field.as_str());
        let see = |value: Option<Box<str>>, shown: &mut Shown| {
            let value = value.filter(|_| is_seen)?;
            shown.fields.insert(field.as_str().to_owned());
            shown.purposes.insert(matcher.purpose.clone());
            Some(String::from(value))
        };
        let [here, there] = &mut shown;
        let (a, b) = (see(one, here), see(other, there));
        values.push(ComparedValues { column: column.clone(), field: field.to_string(), a, b });
    }
    let look = Look { viewer, route: "GET /api/v1/match/{name}/explain", subject: Some(a) };
    app.record(look, profiles.into_iter().zip(shown))?;
    Ok(ExplainAnswer {
        profiles: profiles.iter().map(ToString::to_string).collect(),
        probability: explanation.probability,
        link: matcher.link,
        review: matcher.review,
        values,
        waterfall: serde_json::to_value(&explanation).map_err(|_| ApiError::Internal)?,
    })
}

pub(super) fn matcher_named<'a>(rules: &'a Rules, name: &str) -> Result<&'a MatcherDocument, ApiError> {
    let name = MatcherName::parse(name).map_err(|_| no_matcher())?;
    rules.matchers().find(|matcher| matcher.name == name).ok_or_else(no_matcher)
}

const fn no_matcher() -> ApiError {
    ApiError::NotFound {
        what: "no matcher has that name",
        hint: "`tessera match list` shows those of the workspace; declare one with `kind: Matcher`",
    }
}
