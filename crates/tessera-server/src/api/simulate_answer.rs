//! What `POST /api/v1/workspace/simulate` takes and answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_model::Problem;
use tessera_pipeline::Simulation;
use utoipa::ToSchema;

use super::undo_answer::EffectAnswer;
use super::workspace::WorkspaceDiff;
use crate::error::ProblemShape;

/// Documents to ask about, and the moment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimulationOrder {
    /// Each with `kind` and `name`, as for `PUT /api/v1/workspace`.
    #[schema(value_type = Vec<Object>)]
    pub(crate) documents: Vec<Value>,
    /// The moment that both workspaces are asked about, RFC 3339 or a date; now unless given, never earlier.
    #[serde(default)]
    pub(crate) as_of: Option<String>,
}

/// What a change would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimulationAnswer {
    /// Why the change would be refused; empty when it can be applied.
    #[schema(value_type = Vec<ProblemShape>)]
    pub(crate) problems: Vec<Problem>,
    /// The documents that it changes.
    pub(crate) change: WorkspaceDiff,
    /// What it would do to what is there.
    #[schema(value_type = SimulationShape)]
    pub(crate) effect: Simulation,
    /// Who would come apart or together by other namespaces and identity rules, once everybody is brought to them.
    pub(crate) identity: EffectAnswer,
}

/// What a change would do to what is there: counts, and nothing of anybody.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_pipeline::Simulation`, which knows nothing of OpenAPI")]
pub(crate) struct SimulationShape {
    /// The moment that it is about, RFC 3339.
    as_of: String,
    /// How many people there are.
    people: u64,
    /// How many accounts.
    accounts: u64,
    /// People who lose a value by the change.
    people_losing_something: u64,
    /// People who lose every value that they would keep without it. What they said of consent stays.
    people_losing_everything: u64,
    /// By purpose.
    purposes: BTreeMap<String, PurposeEffectShape>,
    /// All values, of people and accounts.
    values: ValueEffectShape,
    /// Traits, by name; what looks like no name, and what is beyond the first 1,000, as `(other)`.
    traits: BTreeMap<String, ValueEffectShape>,
    /// How often each event happened, by identifier.
    event_counts: ValueEffectShape,
    /// The latest events.
    recent_events: ValueEffectShape,
    /// Memberships of accounts.
    memberships: ValueEffectShape,
    /// By destination.
    destinations: BTreeMap<String, DestinationEffectShape>,
    /// Matchers that change, by name: what their next run would find.
    matchers: BTreeMap<String, MatcherEffectShape>,
}

/// What a changed matcher would do.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_pipeline::MatcherEffect`, which knows nothing of OpenAPI")]
pub(crate) struct MatcherEffectShape {
    /// Profiles that it would compare.
    profiles: u64,
    /// Pairs that a run would link, and that are two profiles now.
    linked: BeforeAfterShape,
    /// Pairs that a run would put before a person, and that nobody was asked about.
    asked: BeforeAfterShape,
    /// Pairs that the matcher has linked and that hold.
    on_record: u64,
    /// Those of them below the other `link` that nothing else holds together. They stay until somebody takes them back.
    below: u64,
    /// Profiles that would come apart if they were taken back.
    splitting: u64,
    /// Up to 20 pairs that would be treated otherwise: profiles `a` and `b`, `probability`, `before` and `after`, each
    /// `nothing`, `ask` or `link`.
    #[schema(value_type = Vec<Object>)]
    samples: Vec<Value>,
    /// Why nothing can be told.
    why: Option<String>,
}

/// A count under the workspace in force, and under the other one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_pipeline::BeforeAfter`, which knows nothing of OpenAPI")]
pub(crate) struct BeforeAfterShape {
    /// Under the workspace in force.
    before: u64,
    /// Under the other one.
    after: u64,
}

/// What becomes of a purpose.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_pipeline::PurposeEffect`, which knows nothing of OpenAPI")]
pub(crate) struct PurposeEffectShape {
    /// People whom it may be pursued for.
    permitted: BeforeAfterShape,
    /// Those of them who have data that it covers.
    with_data: BeforeAfterShape,
    /// People permitted before and not after, by reason.
    newly_denied: BTreeMap<String, u64>,
    /// People permitted after and not before.
    newly_permitted: u64,
}

/// What becomes of values of one kind.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_pipeline::ValueEffect`, which knows nothing of OpenAPI")]
pub(crate) struct ValueEffectShape {
    /// How many are held.
    held: u64,
    /// How many lose their last purpose by the change, and are removed on schedule.
    removed: u64,
    /// Why those are removed: `not_served` when their time is over.
    reasons: BTreeMap<String, u64>,
    /// How many no purpose covers either way: they are removed on schedule, change or not.
    removed_anyway: u64,
    /// How many no purpose covers now, and one does after the change.
    kept_after_all: u64,
}

/// What becomes of a destination.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes `tessera_pipeline::DestinationEffect`, which knows nothing of OpenAPI"
)]
pub(crate) struct DestinationEffectShape {
    /// People who can be reached: its purpose is permitted and covers data of theirs, and they take its channel.
    people: BeforeAfterShape,
    /// Deliveries that wait for it.
    waiting: u64,
    /// Those of them that would be denied if they were sent at that moment.
    denied: BeforeAfterShape,
    /// Those permitted before and not after, by reason.
    newly_denied: BTreeMap<String, u64>,
    /// Those that nobody would send any more, for the destination goes.
    stranded: u64,
    /// In how many of them each field would leave, by path; what looks like no name, and what is beyond the first
    /// 1,000, as `(other)`.
    fields: BTreeMap<String, BeforeAfterShape>,
}
