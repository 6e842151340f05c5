//! How far the definitions in force are: which features are counted, which still wait for what happened before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tessera_audience::FeatureId;
use tessera_model::{AudienceName, FragmentId, PurposeName};
use tessera_store::{Key, Store, Table};

use crate::PipelineError;
use crate::rows::bad;
use crate::view::key_of;

/// An audience by name and purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) name: AudienceName,
    pub(crate) purpose: PurposeName,
}

/// Parts of a filling: the first byte of a fragment's id says which.
pub const FILL_PARTS: u64 = 256;

/// Features that wait for the events before the record that brought them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    /// Which.
    pub features: BTreeSet<FeatureId>,
    /// How many parts have come: the number of the next.
    pub parts: u64,
}

/// Everybody is being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// The clusters up to this one are done.
    pub after: Option<FragmentId>,
}

/// How far the definitions in force are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// The audiences in force.
    pub(crate) audiences: BTreeSet<Known>,
    /// Audiences that are no more, and as whose members some may still be announced.
    pub(crate) removed: BTreeSet<Known>,
    /// What is counted of events.
    pub(crate) features: BTreeSet<FeatureId>,
    /// What waits to be filled, by the place of the log where that began: the events before it are missing.
    pub fillings: BTreeMap<u64, Filling>,
    /// Features that nobody asked for lately, of which some fragments may still hold something. Until all have forgotten,
    /// they are not counted again.
    pub(crate) stale: BTreeSet<FeatureId>,
    /// Everybody is being asked, for definitions came or went, or what they rest on has changed.
    pub walk: Option<Walk>,
}

pub(crate) fn catalogue_key() -> Key {
    key_of(Table::Audience, b"catalogue")
}

/// How far the definitions in force are.
///
/// # Errors
/// Those of the store.
pub fn load_catalogue(store: &impl Store) -> Result<Catalogue, PipelineError> {
    let stored = store.load(&[catalogue_key()])?.into_iter().next().flatten();
    stored.map_or_else(
        || Ok(Catalogue::default()),
        |bytes| serde_json::from_slice(&bytes).map_err(bad("list of audiences")),
    )
}
