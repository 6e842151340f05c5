//! Why somebody is a member of an audience, or is not: condition by condition.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use tessera_audience::{Condition, Definitions, Reason, Scalar};
use tessera_model::AudienceId;
use tessera_pipeline::memberships_of;
use tessera_profile::Shown;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use super::looking::Looking;
use super::seen::Seen;
use super::tally::below;
use crate::access::Viewer;
use crate::api::disclosure::Look;
use crate::api::profiles::{id_of, parse_reference};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "GET /api/v1/profiles/{reference}/audiences/{name}";

/// Why a person is a member, or is not.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained {
    /// The audience.
    audience: String,
    /// The purpose that it serves.
    purpose: String,
    /// The profile's id.
    profile: String,
    /// Whether what the reader sees makes the person a member now.
    is_member: bool,
    /// Since when the person is announced as a member; null: is not.
    announced_since: Option<String>,
    /// When the answer has to be asked for again, if nothing happens before; null: never.
    next_change_at: Option<String>,
    /// The conditions.
    reason: ReasonAnswer,
}

/// Why a condition holds or does not.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReasonAnswer {
    /// The condition as text.
    condition: String,
    /// Whether it holds.
    holds: bool,
    /// When that may change by itself; null: never.
    next_change_at: Option<String>,
    /// The values that were tested: of a comparison the left side's. A count that only has to reach a number may say less than
    /// there is, never less than that number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    values: Vec<Scalar>,
    /// The right side's values of a comparison.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    against: Vec<Scalar>,
    /// The latest events that it follows from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventOfReason>,
    /// Its parts; of another audience, why the person is a member of that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    parts: Vec<Self>,
}

/// An event that an answer follows from.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventOfReason {
    /// When it counts.
    at: String,
    /// What it is called; null: that is not remembered.
    name: Option<String>,
    /// Its message id; null for who does not see identifiers.
    message_id: Option<String>,
}

impl ReasonAnswer {
    fn new(condition: &Condition, reason: &Reason, of: (&Definitions, &Seen)) -> Self {
        let (definitions, person) = of;
        let event = |because: &tessera_audience::Because| {
            let called = person.called(because.at, because.message.as_ref());
            EventOfReason {
                at: because.at.to_string(),
                name: called.map(|called| called.name.clone()),
                message_id: called.and_then(|called| called.message_id.clone()),
            }
        };
        let parts = below(condition, definitions).into_iter().zip(&reason.parts);
        Self {
            condition: condition.to_string(),
            holds: reason.holds,
            next_change_at: reason.next_change_at.map(|at| at.to_string()),
            values: reason.values.clone(),
            against: reason.against.clone(),
            events: reason.events.iter().map(event).collect(),
            parts: parts.map(|(part, reason)| Self::new(part, reason, of)).collect(),
        }
    }
}

/// Why somebody is a member of an audience, or is not.
///
/// Each condition with whether it holds, what was compared, the latest events it follows from, and when it may change by itself.
/// Made from what the account sees of the person for the audience's purpose: what it does not see counts as absent, and
/// `announced_since` says what the stream, which the account's sight does not limit, came to. Recorded in the evidence ledger.
#[utoipa::path(
    get, path = "/api/v1/profiles/{reference}/audiences/{name}", tag = "audiences",
    params(
        ("reference" = String, Path, description = "`email:ada@example.com`, or an id"),
        ("name" = String, Path, description = "The audience"),
    ),
    responses(
        (status = 200, description = "The reasons.", body = Explained),
        (status = 403, description = "The purpose does not permit to show the person, or the account was not granted it.", body = ErrorAnswer),
        (status = 404, description = "No such person or audience, or this server has no lake.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn explain<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    parameters: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Explained>, ApiError> {
    let Path((reference, name)) = parameters
        .map_err(|_| ApiError::bad("the path is not percent-encoded UTF-8", "encode each byte as %XX"))?;
    let rules = app.parts.rules.load_full();
    let id = parse_reference(&rules, &app.parts.key, &reference)?;
    let definitions = in_force(&rules)?;
    let audience = named(&definitions, &name)?.clone();
    let looking = Looking::new((&app, &viewer, ROUTE), &rules, &definitions, &[&audience])?;
    let person = looking.person(id, audience.purpose.clone()).await?;
    blocking(move || {
        let ordinal = looking.asked.ordinal(&audience)?;
        let reason = looking.asked.compiled.explain(&person, looking.now, ordinal);
        let reason = reason.ok_or(ApiError::Internal)?;
        let memberships = memberships_of(looking.app.parts.store.as_ref(), id)?;
        let since = memberships.get(&AudienceId::of(&audience.name, &audience.purpose));
        let fields = person.profile.as_ref().map(|profile| profile.get().shown.fields.clone());
        let purposes = looking.asked.purposes.clone();
        let shown = Shown { fields: fields.unwrap_or_default(), purposes };
        let look = Look { viewer: &looking.viewer, route: ROUTE, subject: Some(id) };
        looking.app.record(look, [(id_of(&person.id)?, shown)])?;
        Ok(Json(Explained {
            audience: audience.name.to_string(),
            purpose: audience.purpose.to_string(),
            profile: person.id.clone(),
            is_member: reason.holds,
            announced_since: since.map(ToString::to_string),
            next_change_at: reason.next_change_at.map(|at| at.to_string()),
            reason: ReasonAnswer::new(&audience.when, &reason, (&definitions, &person)),
        }))
    })
    .await
}
