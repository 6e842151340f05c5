//! What is defined: each definition with what it looks at and who looks at it. No data of people.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use tessera_audience::{Audience, Compiled, ComputedTrait, Cost, DefinitionName, Definitions, Uses};
use tessera_model::{AudienceId, Rules};
use tessera_pipeline::{FILL_PARTS, audience_size, load_catalogue};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use crate::api::profiles::path;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// What is defined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DefinitionList {
    /// The audiences, by name.
    audiences: Vec<DefinitionAnswer>,
    /// The computed traits, by name.
    computed_traits: Vec<DefinitionAnswer>,
}

/// An audience or a computed trait.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DefinitionAnswer {
    /// Its name.
    name: String,
    /// The purpose that it serves.
    purpose: String,
    /// Where its days begin.
    time_zone: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// The condition or the value, as text.
    text: String,
    /// What it looks at: events, traits, computed traits, traits of accounts, audiences, purposes, channels.
    #[schema(value_type = Object)]
    uses: Uses,
    /// Definitions that look at it: `audience vip`, `trait spent`.
    used_by: Vec<String>,
    /// Destinations that are told who enters and leaves: those that serve its purpose. Of audiences.
    destinations: Vec<String>,
    /// `live`; `filling`: events from before it was defined are still being counted, and it has no members yet; `asking`:
    /// everybody is being asked, for definitions or what they rest on have changed.
    state: &'static str,
    /// How much of what it waits for has been counted. While it is `filling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled_percent: Option<u64>,
    /// How many were announced as members. Of audiences.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// What it costs at most, of each person. Of audiences.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    cost: Option<Cost>,
}

/// An audience with its tree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AudienceAnswer {
    #[serde(flatten)]
    definition: DefinitionAnswer,
    /// The condition as a tree.
    #[schema(value_type = Object)]
    tree: serde_json::Value,
}

struct Describing<'a, S> {
    store: &'a S,
    rules: &'a Rules,
    definitions: &'a Definitions,
    /// The definitions that wait for what happened before them: parts that have come, of how many.
    filling: BTreeMap<DefinitionName, (u64, u64)>,
    is_asking: bool,
}

impl<'a, S: Store> Describing<'a, S> {
    fn new(store: &'a S, rules: &'a Rules, definitions: &'a Definitions) -> Result<Self, ApiError> {
        let catalogue = load_catalogue(store)?;
        let compiled = Compiled::new(&definitions.audiences, &definitions.traits).unwrap_or_default();
        let mut filling: BTreeMap<DefinitionName, (u64, u64)> = BTreeMap::new();
        for one in catalogue.fillings.values() {
            let concerned = one.features.iter().flat_map(|feature| compiled.concerned_by(*feature));
            let waiting: BTreeSet<_> = concerned.filter_map(|ordinal| compiled.name(*ordinal)).collect();
            for name in waiting {
                let (parts, all) = filling.entry(name.clone()).or_default();
                (*parts, *all) = (*parts + one.parts, *all + FILL_PARTS);
            }
        }
        Ok(Self { store, rules, definitions, filling, is_asking: catalogue.walk.is_some() })
    }

    fn state(&self, name: &DefinitionName) -> &'static str {
        match (self.filling.contains_key(name), self.is_asking) {
            (true, _) => "filling",
            (false, true) => "asking",
            (false, false) => "live",
        }
    }

    fn filled_percent(&self, name: &DefinitionName) -> Option<u64> {
        self.filling.get(name).map(|(parts, all)| parts * 100 / all)
    }

    fn audience(&self, audience: &Audience) -> Result<DefinitionAnswer, ApiError> {
        let is_told = |name: &str| name == "track" || name == "Audience Entered" || name == "Audience Exited";
        let told = self.rules.destinations().filter(|one| {
            one.purpose == audience.purpose
                && !one.alerts
                && (one.events.is_empty() || one.events.iter().any(|name| is_told(name)))
        });
        let id = AudienceId::of(&audience.name, &audience.purpose);
        let name = DefinitionName::Audience(audience.name.clone());
        Ok(DefinitionAnswer {
            name: audience.name.to_string(),
            purpose: audience.purpose.to_string(),
            time_zone: audience.time_zone.as_str().to_owned(),
            description: audience.description.clone(),
            text: audience.when.to_string(),
            uses: Uses::of_audience(audience, self.definitions),
            used_by: self.used_by(|uses| uses.audiences.contains(audience.name.as_str())),
            destinations: told.map(|one| one.name.to_string()).collect(),
            state: self.state(&name),
            filled_percent: self.filled_percent(&name),
            size: Some(audience_size(self.store, id)?),
            cost: Some(Cost::of(audience)),
        })
    }

    fn computed(&self, computed: &ComputedTrait) -> DefinitionAnswer {
        let name = DefinitionName::ComputedTrait(computed.name.clone());
        DefinitionAnswer {
            name: computed.name.as_str().to_owned(),
            purpose: computed.purpose.to_string(),
            time_zone: computed.time_zone.as_str().to_owned(),
            description: computed.description.clone(),
            text: computed.value.to_string(),
            uses: Uses::of_trait(computed, self.definitions),
            used_by: self.used_by(|uses| uses.computed_traits.contains(computed.name.as_str())),
            destinations: Vec::new(),
            state: self.state(&name),
            filled_percent: self.filled_percent(&name),
            size: None,
            cost: None,
        }
    }

    fn used_by(&self, is_used: impl Fn(&Uses) -> bool) -> Vec<String> {
        let all = self.definitions;
        let audiences = all.audiences.iter().filter(|one| is_used(&Uses::of_audience(one, all)));
        let traits = all.traits.iter().filter(|one| is_used(&Uses::of_trait(one, all)));
        let audiences = audiences.map(|one| format!("audience {}", one.name));
        audiences.chain(traits.map(|one| format!("trait {}", one.name.as_str()))).collect()
    }
}

/// Refuses an audience whose members are not yet what it says: there is nothing to hold against anything.
pub(super) fn require_live(
    store: &impl Store,
    rules: &Rules,
    (definitions, audience): (&Definitions, &Audience),
) -> Result<(), ApiError> {
    let name = DefinitionName::Audience(audience.name.clone());
    match Describing::new(store, rules, definitions)?.state(&name) {
        "live" => Ok(()),
        state => {
            let what =
                format!("audience `{}` is {state}: its members are not all announced yet", audience.name);
            Err(ApiError::rights(StatusCode::CONFLICT, "TES-A093", what, "ask again when it is live"))
        }
    }
}

/// The audiences and computed traits in force.
///
/// Each with what it looks at, who looks at it, and which destinations are told of it: together the graph of dependencies.
#[utoipa::path(
    get, path = "/api/v1/audiences", tag = "audiences",
    responses((status = 200, description = "All of them.", body = DefinitionList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
) -> Result<Json<DefinitionList>, ApiError> {
    blocking(move || {
        let rules = app.parts.rules.load_full();
        let definitions = in_force(&rules)?;
        let describing = Describing::new(app.parts.store.as_ref(), &rules, &definitions)?;
        let audiences = definitions.audiences.iter().map(|one| describing.audience(one));
        let mut found = DefinitionList {
            audiences: audiences.collect::<Result<_, _>>()?,
            computed_traits: definitions.traits.iter().map(|one| describing.computed(one)).collect(),
        };
        found.audiences.sort_by(|a, b| a.name.cmp(&b.name));
        found.computed_traits.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Json(found))
    })
    .await
}

/// One audience, as text and as a tree.
#[utoipa::path(
    get, path = "/api/v1/audiences/{name}", tag = "audiences",
    params(("name" = String, Path, description = "The audience")),
    responses(
        (status = 200, description = "The audience.", body = AudienceAnswer),
        (status = 404, description = "No such audience.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<AudienceAnswer>, ApiError> {
    let name = path(name)?;
    blocking(move || {
        let rules = app.parts.rules.load_full();
        let definitions = in_force(&rules)?;
        let audience = named(&definitions, &name)?;
        let definition =
            Describing::new(app.parts.store.as_ref(), &rules, &definitions)?.audience(audience)?;
        let tree = serde_json::to_value(&audience.when).map_err(|_| ApiError::Internal)?;
        Ok(Json(AudienceAnswer { definition, tree }))
    })
    .await
}
