//! The definitions that an answer is about, with those that they speak of.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use tessera_audience::{
    Audience, Compiled, ComputedTrait, DefinitionName, Definitions, Ordinal, Uses, nearest,
};
use tessera_model::{AudienceName, PurposeName, Rules};

use crate::access::Viewer;
use crate::error::ApiError;

/// The definitions in force.
pub(super) fn in_force(rules: &Rules) -> Result<Definitions, ApiError> {
    tessera_audience::definitions(&rules.workspace).map_err(ApiError::Workspace)
}

/// The audience of that name.
pub(super) fn named<'d>(definitions: &'d Definitions, name: &str) -> Result<&'d Audience, ApiError> {
    let found = AudienceName::parse(name).ok().and_then(|name| definitions.audience(&name));
    found.ok_or_else(|| {
        let known: Vec<&str> = definitions.audiences.iter().map(|one| one.name.as_str()).collect();
        let hint = match nearest(name, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`tessera audience list` lists them".to_owned(),
        };
        let name: String = name.chars().take(80).collect();
        ApiError::rights(StatusCode::NOT_FOUND, "TES-A090", format!("there is no audience `{name}`"), hint)
    })
}

/// Definitions made ready, and what has to be read of people for them.
pub(super) struct Asked {
    pub(super) compiled: Compiled,
    /// The purposes that any of them serves.
    pub(super) purposes: BTreeSet<PurposeName>,
    /// Names of the events that any of them looks at.
    pub(super) events: BTreeSet<String>,
    pub(super) any_event: bool,
    /// Paths of the fields that any of them looks at.
    pub(super) fields: BTreeSet<String>,
    /// Whether any looks at traits of accounts.
    pub(super) has_accounts: bool,
}

impl Asked {
    /// What has to be read for these audiences, each of whose purposes the account was granted.
    pub(super) fn of(
        definitions: &Definitions,
        audiences: &[&Audience],
        viewer: &Viewer,
    ) -> Result<Self, ApiError> {
        let (whole, uses) = reached(definitions, audiences);
        let purposes = whole.audiences.iter().map(|one| &one.purpose);
        let purposes: BTreeSet<PurposeName> =
            purposes.chain(whole.traits.iter().map(|one| &one.purpose)).cloned().collect();
        if let Some(purpose) = purposes.iter().find(|purpose| !viewer.may_use(purpose)) {
            return Err(ApiError::NotGranted { purpose: purpose.clone() });
        }
        let compiled = Compiled::new(&whole.audiences, &whole.traits)
            .map_err(|error| ApiError::bad(error.to_string(), "`tessera audience check` says more"))?;
        Ok(Self {
            compiled,
            purposes,
            events: uses.iter().flat_map(|uses| uses.events.iter().cloned()).collect(),
            fields: uses.iter().flat_map(|uses| uses.fields.iter().cloned()).collect(),
            any_event: uses.iter().any(|uses| uses.any_event),
            has_accounts: uses.iter().any(|uses| !uses.account_traits.is_empty()),
        })
    }

    /// The number of an audience among them.
    pub(super) fn ordinal(&self, audience: &Audience) -> Result<Ordinal, ApiError> {
        let name = DefinitionName::Audience(audience.name.clone());
        self.compiled.ordinal(&name).ok_or(ApiError::Internal)
    }
}

/// These audiences with every definition that they speak of, and what each looks at.
fn reached(definitions: &Definitions, audiences: &[&Audience]) -> (Definitions, Vec<Uses>) {
    let mut open: Vec<&Audience> = audiences.to_vec();
    let mut open_traits: Vec<&ComputedTrait> = Vec::new();
    let (mut whole, mut all) = (Definitions::default(), Vec::new());
    loop {
        let uses = if let Some(audience) = open.pop() {
            if whole.audience(&audience.name).is_some() {
                continue;
            }
            whole.audiences.push(audience.clone());
            Uses::of_audience(audience, definitions)
        } else if let Some(computed) = open_traits.pop() {
            if whole.computed(computed.name.as_str()).is_some() {
                continue;
            }
            whole.traits.push(computed.clone());
            Uses::of_trait(computed, definitions)
        } else {
            return (whole, all);
        };
        open.extend(definitions.audiences.iter().filter(|one| uses.audiences.contains(one.name.as_str())));
        let is_used = |one: &&ComputedTrait| uses.computed_traits.contains(one.name.as_str());
        open_traits.extend(definitions.traits.iter().filter(is_used));
        all.push(uses);
    }
}
