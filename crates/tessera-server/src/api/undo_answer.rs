//! What an undo would do, as the API answers it.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tessera_model::{DestinationName, FragmentId, Rules};
use tessera_pipeline::{Part, Query, QueryError, Regrouping, UndoPreview};
use tessera_profile::{Reader, Shown, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profiles::id_of;
use crate::access::Viewer;
use crate::error::ApiError;
use crate::shared::App;

/// What an undo would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UndoEffect {
    /// How many clusters hold evidence that is meant. 0: nothing would happen.
    clusters: u64,
    #[serde(flatten)]
    effect: EffectAnswer,
    /// How many deliveries about people who change wait, by destination. Each is decided when it is sent, by what the person
    /// said whom it is about then.
    waiting: BTreeMap<String, u64>,
    /// Destinations that have had something of the people who change, as the evidence ledger says. They are told nothing
    /// by themselves.
    recipients: Vec<String>,
}

/// What becomes of people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectAnswer {
    /// How many profiles change: before and after.
    #[schema(value_type = Object)]
    profiles: tessera_pipeline::BeforeAfter,
    /// Profiles that become several.
    splitting: u64,
    /// Profiles that several become.
    merged: u64,
    /// Identifiers that come into a profile with another id, by namespace.
    identifiers_moved: BTreeMap<String, u64>,
    /// In how many profiles each trait is another than before.
    traits: BTreeMap<String, u64>,
    /// What is decided otherwise, by purpose: `newly_permitted`, `newly_denied`.
    #[schema(value_type = Object)]
    purposes: BTreeMap<String, tessera_pipeline::DecisionEffect>,
    /// Some of those who change, at most 20 clusters.
    samples: Vec<SampleAnswer>,
}

/// Profiles that share identifiers, before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SampleAnswer {
    before: Vec<PartAnswer>,
    after: Vec<PartAnswer>,
}

/// One profile of a sample.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartAnswer {
    /// Its id.
    profile: String,
    /// Its identifiers.
    identifiers: Vec<PartIdentifier>,
}

/// One identifier of a sample.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartIdentifier {
    /// Its namespace.
    namespace: String,
    /// Its value, where the account sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl IntoResponse for UndoEffect {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// What `look` may see of a preview. What is shown of people is recorded before it is returned.
pub(super) fn effect<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    look: Look<'_>,
    preview: UndoPreview,
    recipients: BTreeSet<DestinationName>,
) -> Result<UndoEffect, ApiError> {
    Ok(UndoEffect {
        clusters: preview.clusters,
        effect: regrouping(app, rules, look, preview.effect)?,
        waiting: preview.waiting.into_iter().map(|(name, count)| (name.to_string(), count)).collect(),
        recipients: recipients.into_iter().map(|name| name.to_string()).collect(),
    })
}

/// The same for what becomes of people alone.
pub(super) fn regrouping<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    look: Look<'_>,
    effect: Regrouping,
) -> Result<EffectAnswer, ApiError> {
    let mut values: BTreeMap<FragmentId, String> = BTreeMap::new();
    let mut shown: BTreeMap<FragmentId, Shown> = BTreeMap::new();
    // Before an undo the one, after it the other leads to everybody.
    for part in effect.samples.iter().flat_map(|sample| sample.before.iter().chain(&sample.after)) {
        shown.extend(seen(app, rules, look.viewer, part.profile, &mut values)?);
    }
    app.record(look, shown)?;
    let part = |part: Part| PartAnswer {
        profile: part.profile.to_string(),
        identifiers: part
            .identifiers
            .into_iter()
            .map(|(namespace, id)| PartIdentifier { namespace, value: values.get(&id).cloned() })
            .collect(),
    };
    let samples = effect.samples.into_iter().map(|sample| SampleAnswer {
        before: sample.before.into_iter().map(part).collect(),
        after: sample.after.into_iter().map(part).collect(),
    });
    Ok(EffectAnswer {
        profiles: effect.profiles,
        splitting: effect.splitting,
        merged: effect.merged,
        identifiers_moved: effect.identifiers_moved,
        traits: effect.traits,
        purposes: effect.purposes.into_iter().map(|(name, effect)| (name.to_string(), effect)).collect(),
        samples: samples.collect(),
    })
}

/// The identifiers of a profile that the viewer may see, and the record of them.
fn seen<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    id: FragmentId,
    values: &mut BTreeMap<FragmentId, String>,
) -> Result<Option<(FragmentId, Shown)>, ApiError> {
    let query = Query { rules, purpose: None, view: View::default(), now: app.parts.clock.now() };
    let labels = app.labels(rules);
    let reader = Reader { labels: &labels, hidden: viewer.hidden(), purposes: viewer.purposes.as_ref() };
    let profile = match query.seen_by(reader).by_id(app.parts.store.as_ref(), id) {
        Ok(profile) => profile,
        Err(QueryError::Denied { .. } | QueryError::NotFound) => return Ok(None),
        Err(QueryError::Failed(error)) => return Err(error.into()),
    };
    for identifier in profile.get().identifiers.iter().filter(|identifier| !identifier.value.is_empty()) {
        let text = format!("{}:{}", identifier.namespace, identifier.value);
        if let Ok(parsed) = rules.namespaces.parse_reference(&text) {
            values.insert(FragmentId::of(&app.parts.key, &parsed), identifier.value.clone());
        }
    }
    let mut shown = profile.get().shown.clone();
    shown.fields.retain(|field| field.starts_with("identifiers"));
    Ok(Some((id_of(&profile.get().id)?, shown)))
}
