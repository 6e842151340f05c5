//! All the definitions that hold at once: audiences and computed traits speak of each other.

use serde::{Deserialize, Serialize};
use tessera_model::AudienceName;

use crate::{Audience, ComputedTrait};

/// Audiences and computed traits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definitions {
    /// The audiences, each name once.
    #[serde(default)]
    pub audiences: Vec<Audience>,
    /// The computed traits, each name once.
    #[serde(default)]
    pub traits: Vec<ComputedTrait>,
}

impl Definitions {
    /// The audience of that name.
    #[must_use]
    pub fn audience(&self, name: &AudienceName) -> Option<&Audience> {
        self.audiences.iter().find(|audience| audience.name == *name)
    }

    /// The computed trait of that name.
    #[must_use]
    pub fn computed(&self, name: &str) -> Option<&ComputedTrait> {
        self.traits.iter().find(|computed| computed.name.as_str() == name)
    }
}
