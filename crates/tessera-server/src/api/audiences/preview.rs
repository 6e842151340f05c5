//! What a definition would come to, before it is saved: how many, by how much each condition cuts, a few of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_audience::{Audience, Condition, Definitions, TextError};
use tessera_model::{PurposeName, Rules};
use tessera_policy::Permitted;
use tessera_profile::{Profile, Shown};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use super::everybody::{Census, Part};
use super::forbidden_fields;
use super::looking::{Looking, PAGE_MAX};
use super::tally::{Base, Counted, Estimate};
use crate::access::Viewer;
use crate::api::disclosure::Look;
use crate::api::profile_answer::ProfileAnswer;
use crate::api::profiles::{granted_purpose, id_of};
use crate::api::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "POST /api/v1/definitions/preview";
/// Most members that are shown.
const SHOWN_MAX: usize = 50;

/// What to preview: an audience in force by its name, or a condition with its purpose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewOrder {
    /// An audience in force.
    audience: Option<String>,
    /// A condition, as text or as a tree.
    #[schema(value_type = Option<Object>)]
    when: Option<Value>,
    /// The purpose that it would serve.
    purpose: Option<String>,
    /// Where its days would begin; UTC unless given.
    time_zone: Option<String>,
    /// Look at about so many people, 1 to 1,000; 1,000 unless given.
    sample: Option<usize>,
    /// Look at everybody.
    #[serde(default)]
    exact: bool,
    /// Show so many members, at most 50; 5 unless given.
    show: Option<usize>,
}

/// What a definition would come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Preview {
    /// The purpose.
    purpose: String,
    /// The condition as text.
    when: String,
    /// How many people were looked at: of those whom the purpose permits.
    looked_at: u64,
    /// Whether that was everybody: then there is no estimate.
    is_exact: bool,
    /// How many people there are for the purpose.
    everybody: u64,
    /// How many would be members.
    members: Estimate,
    /// How many bytes of state a person takes on average for it.
    bytes_per_person: u64,
    /// The condition and its parts, with how many of those who were looked at they hold of.
    conditions: Counted,
    /// Some members.
    sample: Vec<ProfileAnswer>,
}

impl PreviewOrder {
    /// The audience that is asked about, among the definitions in force.
    fn audience(&self, rules: &Rules, viewer: &Viewer, all: &mut Definitions) -> Result<Audience, ApiError> {
        if let Some(name) = &self.audience {
            let audience = named(all, name)?.clone();
            granted_purpose(rules, viewer, audience.purpose.as_str())?;
            return Ok(audience);
        }
        let (Some(when), Some(purpose)) = (&self.when, &self.purpose) else {
            let hint = "name an `audience`, or give `when` and `purpose`";
            return Err(ApiError::bad("nothing says what to preview", hint));
        };
        let purpose = granted_purpose(rules, viewer, purpose)?;
        if let Some(text) = when.as_str() {
            Condition::parse(text).map_err(|error| text_error(&error))?;
        }
        // A name that no audience can have: none in force is meant by it.
        let name = (0..).map(|number| format!("preview-{number}"));
        let is_free = |name: &String| all.audiences.iter().all(|one| one.name.as_str() != name);
        let name = name.into_iter().find(is_free).unwrap_or_default();
        let time_zone = self.time_zone.as_deref().unwrap_or("UTC");
        let document = serde_json::json!({
            "name": name, "purpose": purpose, "when": when, "time_zone": time_zone,
        });
        let audience: Audience = serde_json::from_value(document).map_err(|error| {
            ApiError::bad(error.to_string(), "docs/reference/audiences.md has every form with an example")
        })?;
        all.audiences.push(audience.clone());
        let findings = tessera_audience::check(all, &tessera_audience::Known::default());
        match findings.into_iter().find(|finding| finding.is_error() && finding.name == name) {
            None => {
                let mut problems = forbidden_fields(rules, all);
                problems.retain(|problem| problem.kind == "Audience" && problem.name == name);
                if problems.is_empty() { Ok(audience) } else { Err(ApiError::Workspace(problems)) }
            }
            Some(wrong) => Err(ApiError::rights(
                StatusCode::UNPROCESSABLE_ENTITY,
                wrong.code.unwrap_or("TES-A021"),
                wrong.what,
                wrong.hint,
            )),
        }
    }
}

/// A text that is no condition, with its place.
pub(super) fn text_error(error: &TextError) -> ApiError {
    let text = error.to_string();
    let what = text.strip_prefix(TextError::CODE).unwrap_or(&text).trim_start_matches(": ");
    let what = what.split("\nhint: ").next().unwrap_or(what);
    let hint = error.hint.clone();
    let hint =
        hint.unwrap_or_else(|| "docs/reference/audiences.md has every form with an example".to_owned());
    ApiError::rights(StatusCode::BAD_REQUEST, TextError::CODE, what.to_owned(), hint)
}

/// How many members a definition would have, and which condition decides.
///
/// An estimate from a sample of people, with its margin, unless `exact`. Made from what the account sees of people for the
/// definition's purpose: what it does not see counts as absent. The sample's members are recorded in the evidence ledger.
#[utoipa::path(
    post, path = "/api/v1/definitions/preview", tag = "audiences",
    request_body = PreviewOrder,
    responses(
        (status = 200, description = "What it would come to.", body = Preview),
        (status = 400, description = "The condition cannot be read.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such audience, or this server has no lake.", body = ErrorAnswer),
        (status = 422, description = "The condition cannot be used.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn preview<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    request: Request,
) -> Result<Json<Preview>, ApiError> {
    let order: PreviewOrder = read_json(&app, request).await?;
    let rules = app.parts.rules.load_full();
    let mut definitions = in_force(&rules)?;
    let audience = order.audience(&rules, &viewer, &mut definitions)?;
    let looking = Looking::new((&app, &viewer, ROUTE), &rules, &definitions, &[&audience])?;
    let (sample, show) = (order.sample.unwrap_or(PAGE_MAX), order.show.unwrap_or(5));
    if sample == 0 || sample > PAGE_MAX || show > SHOWN_MAX {
        let hint = "use a `sample` from 1 to 1000, and `show` up to 50";
        return Err(ApiError::bad("`sample` or `show` is out of range", hint));
    }
    let found = looked(&looking, &definitions, &audience, (sample, show, order.exact)).await?;
    let base = Base::new(found.looked_at, found.next.as_deref());
    let (recording, members) = (Arc::clone(&looking), found.members);
    let answered = blocking(move || {
        let shown = members.iter().map(|profile| {
            let profile = profile.get();
            Ok((id_of(&profile.id)?, Shown { ..profile.shown.clone() }))
        });
        let shown = shown.collect::<Result<Vec<_>, ApiError>>()?;
        let look = Look { viewer: &recording.viewer, route: ROUTE, subject: None };
        recording.app.record(look, shown)?;
        Ok(members.into_iter().map(ProfileAnswer::permitted).collect())
    });
    Ok(Json(Preview {
        purpose: audience.purpose.to_string(),
        when: audience.when.to_string(),
        looked_at: found.looked_at,
        is_exact: found.next.is_none(),
        everybody: base.everybody(),
        members: base.estimate(found.conditions.holds),
        bytes_per_person: found.bytes_per_person,
        conditions: found.conditions,
        sample: answered.await?,
    }))
}

/// What looking at people came to.
struct Found {
    conditions: Counted,
    looked_at: u64,
    /// Some members, as many as are to be shown.
    members: Vec<Permitted<Profile>>,
    bytes_per_person: u64,
    /// Where the next page of people begins; `None`: that was everybody.
    next: Option<String>,
}

/// Looks at a page of people; then, if it is to be exact and there are more, at everybody at once, or else page by page.
async fn looked<L: Log, S: Store>(
    looking: &Arc<Looking<L, S>>,
    definitions: &Definitions,
    audience: &Audience,
    (sample, show, is_exact): (usize, usize, bool),
) -> Result<Found, ApiError> {
    let ordinal = looking.asked.ordinal(audience)?;
    let mut conditions = Counted::new(&audience.when, definitions);
    let (mut members, mut looked_at, mut bytes, mut next) = (Vec::new(), 0_u64, 0_u64, None);
    loop {
        let is_first = looked_at == 0;
        let page = looking.page(next, sample).await?;
        for person in page.people {
            looked_at += 1;
            let states =
                person.all_states().map(|state| serde_json::to_vec(state).map_or(0, |text| text.len()));
            bytes += u64::try_from(states.sum::<usize>()).unwrap_or_default();
            let reason = looking.asked.compiled.explain(&person, looking.now, ordinal);
            let reason = reason.ok_or(ApiError::Internal)?;
            let permits = |purpose: &PurposeName| person.is_seen_for(purpose);
            conditions.add(&audience.when, definitions, (&reason, &permits));
            if reason.holds && members.len() < show {
                members.extend(person.profile);
            }
        }
        next = page.next;
        let found = Found {
            conditions,
            looked_at,
            members,
            bytes_per_person: bytes.checked_div(looked_at).unwrap_or_default(),
            next,
        };
        if found.next.is_none() || !is_exact {
            return Ok(found);
        }
        let mut wanted = Vec::new();
        let part = Part::of(audience, definitions, &mut wanted);
        if is_first && let Some(census) = looking.census(definitions, wanted).await? {
            return of_everybody(looking, (definitions, audience), (&part, &census), (found, show)).await;
        }
        Found { conditions, members, next, .. } = found;
    }
}

/// The same of everybody; what was found of the first page says only what a person takes.
async fn of_everybody<L: Log, S: Store>(
    looking: &Arc<Looking<L, S>>,
    (definitions, audience): (&Definitions, &Audience),
    (part, census): (&Part, &Census),
    (first, show): (Found, usize),
) -> Result<Found, ApiError> {
    let mut conditions = Counted::new(&audience.when, definitions);
    let people = census.people_of(&looking.purposes);
    let mut members = Vec::new();
    for id in &people {
        let reason = part.reason(census, id);
        let permits = |purpose: &PurposeName| census.permits(id, purpose);
        conditions.add(&audience.when, definitions, (&reason, &permits));
        if reason.holds && members.len() < show {
            members.push(*id);
        }
    }
    Ok(Found {
        conditions,
        looked_at: u64::try_from(people.len()).unwrap_or(u64::MAX),
        members: looking.shown(members, audience.purpose.clone()).await?,
        next: None,
        ..first
    })
}
