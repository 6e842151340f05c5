//! Insights: questions over everybody's events that ship. Each is a query like any other: one more entrance, no gate of its own.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tessera_insight::{Insight, Kind, Options, Problem, Rows, nearest, seen_sql};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::query::{Question, answered, wanted};
use super::read_json;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::queries::QueryAnswer;
use crate::shared::App;

const ROUTE: &str = "POST /api/v1/insights/{name}";
const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const TABLE: &str = "text/plain";
const SVG: &str = "image/svg+xml";
const SQL: &str = "application/sql";
const FORMS: [&str; 5] = [JSON, CSV, TABLE, SVG, SQL];

/// What an insight is asked: its purpose, its times, and the options of its own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InsightOrder {
    /// What the answer is for: what this purpose may not use is not counted.
    purpose: String,
    /// Since when: a day or a time.
    from: Option<String>,
    /// Until when, that moment not included; now, unless it is given.
    to: Option<String>,
    /// Instead of `from`: so long before `to`, like `30d`.
    last: Option<String>,
    /// A condition in SQL on every event that is looked at.
    #[serde(rename = "where")]
    condition: Option<String>,
    /// `funnel`: 1 to 20 names of events, each with a condition in brackets where one is wanted:
    /// `Order Completed[properties->>'currency' = 'EUR']`.
    #[serde(default)]
    steps: Vec<String>,
    /// `funnel`: how long after the first step the last may be; `7d`.
    within: Option<String>,
    /// `retention`, `new-returning`: `day`, `week` or `month`.
    unit: Option<String>,
    /// `retention`: so many periods after the first; 8.
    periods: Option<usize>,
    /// `retention`, `paths`: the event that people begin with; any.
    start: Option<String>,
    /// `retention`: the event that is coming back; any.
    back: Option<String>,
    /// `rfm`: the event that is a purchase, `Order Completed`. `new-returning`: the event that is being there; any.
    event: Option<String>,
    /// `rfm`: where its amount stands, `properties.total`.
    amount: Option<String>,
    /// `paths`: a longer pause ends a visit; `30m`.
    pause: Option<String>,
    /// `paths`: so many events of a visit at most; 4.
    length: Option<usize>,
    /// `paths`: so many paths; 20.
    limit: Option<usize>,
}

impl InsightOrder {
    fn options(self) -> (String, Options) {
        let options = Options {
            from: self.from,
            to: self.to,
            last: self.last,
            condition: self.condition,
            steps: self.steps,
            within: self.within,
            unit: self.unit,
            periods: self.periods,
            start: self.start,
            back: self.back,
            event: self.event,
            amount: self.amount,
            pause: self.pause,
            length: self.length,
            limit: self.limit,
        };
        (self.purpose, options)
    }
}

/// An answer.
#[derive(Serialize, ToSchema)]
struct InsightAnswer {
    /// Which insight.
    insight: &'static str,
    /// Since when.
    from: String,
    /// Until when, that moment not included.
    to: String,
    /// The rows of the answer; a column that is null may be missing.
    #[schema(value_type = Vec<Object>)]
    rows: Rows,
    /// What may not be as it was meant: names of events that nobody has seen.
    notes: Vec<String>,
    /// The query that was run.
    sql: String,
}

/// Ask for an insight: `funnel`, `retention`, `rfm`, `new-returning` or `paths`.
///
/// `Accept` chooses the form of the answer: `application/json` (unless asked otherwise), `text/csv`, `text/plain` (a table),
/// `image/svg+xml` (a picture), or `application/sql`: the query alone, which is then not run and can be asked, and changed, at
/// `POST /api/v1/query`. An insight is a query: the same gate, masks, limits and record.
#[utoipa::path(
    post, path = "/api/v1/insights/{name}", tag = "profiles",
    params(("name" = String, Path, description = "`funnel`, `retention`, `rfm`, `new-returning` or `paths`")),
    request_body = InsightOrder,
    responses(
        (status = 200, description = "The answer, in the form that was asked for.", body = InsightAnswer),
        (status = 400, description = "An option that cannot be, a condition that is no SQL, or no such purpose.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such insight, or this server has no lake.", body = ErrorAnswer),
        (status = 408, description = "The query took too long.", body = ErrorAnswer),
        (status = 413, description = "The query needs too much memory.", body = ErrorAnswer),
        (status = 422, description = "A value is not what a condition takes it for.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn insight<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Path(name): Path<String>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Response, ApiError> {
    let kind = Kind::named(&name).ok_or_else(unknown)?;
    let form = wanted(request.headers(), &FORMS)?;
    let order: InsightOrder = read_json(&app, request).await?;
    let (purpose, options) = order.options();
    let insight = Insight::new(kind, &options, app.parts.clock.now()).map_err(refused)?;
    if form == SQL {
        return Ok(response(form, insight.sql()));
    }
    let asking = Asking { app: &app, viewer: &viewer, purpose: &purpose };
    let rows = asking.rows(insight.sql()).await?;
    let shown = match form {
        CSV => insight.answer(&rows).csv,
        TABLE => insight.answer(&rows).table,
        SVG => insight.answer(&rows).svg,
        _ => {
            let notes = asking.notes(&insight, &rows).await?;
            let range = insight.range();
            let (from, to) = (range.from.to_string(), range.to.to_string());
            let answer = InsightAnswer { insight: kind.name(), from, to, rows, notes, sql: insight.sql() };
            serde_json::to_string(&answer).map_err(|_| unreadable())?
        }
    };
    Ok(response(form, shown))
}

struct Asking<'a, L, S> {
    app: &'a App<L, S>,
    viewer: &'a Viewer,
    purpose: &'a str,
}

impl<L: Log, S: Store> Asking<'_, L, S> {
    async fn rows(&self, sql: String) -> Result<Rows, ApiError> {
        let question = Question { route: ROUTE, what: "an insight", sql, media_type: JSON };
        let QueryAnswer { body, .. } =
            answered(self.app, self.viewer.clone(), self.purpose, question).await?;
        serde_json::from_slice(&body).map_err(|_| unreadable())
    }

    /// What may not be as it was meant.
    async fn notes(&self, insight: &Insight, rows: &Rows) -> Result<Vec<String>, ApiError> {
        let missing = insight.missing(rows);
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let seen = self.rows(seen_sql(insight.range())).await?;
        let name = |row: Map<String, Value>| Some(row.get("event")?.as_str()?.to_owned());
        let seen: Vec<String> = seen.into_iter().filter_map(name).collect();
        Ok(missing.iter().filter_map(|wanted| nearest(wanted, &seen)).collect())
    }
}

fn response(form: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    response
}

fn unknown() -> ApiError {
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let hint = format!("use {}", known.join(", "));
    ApiError::rights(StatusCode::NOT_FOUND, "TES-Q050", "there is no such insight".to_owned(), hint)
}

fn refused(Problem { what, hint }: Problem) -> ApiError {
    ApiError::rights(StatusCode::BAD_REQUEST, "TES-Q051", what, hint)
}

/// The engine wrote what is no JSON: an error of ours.
fn unreadable() -> ApiError {
    let what = "the answer could not be put into form".to_owned();
    ApiError::rights(StatusCode::INTERNAL_SERVER_ERROR, "TES-Q007", what, "")
}
