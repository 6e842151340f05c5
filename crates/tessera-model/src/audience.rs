//! `kind: Audience` and `kind: ComputedTrait`: definitions as the workspace keeps them.
//!
//! Not the language: what `when` and `value` mean, and whether they can be used, `tessera-audience` says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{AudienceKind, ComputedTraitKind};
use crate::{AudienceName, PurposeName, TraitName};

/// A set of people that a condition describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceDocument {
    /// `Audience`.
    pub kind: AudienceKind,
    /// Its name.
    pub name: AudienceName,
    /// The one purpose that it serves: of each person only what this purpose permits is looked at.
    pub purpose: PurposeName,
    /// Where days begin: `Europe/Berlin`; UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who is a member: a condition as text or as a tree.
    pub when: Value,
}

/// A trait that follows from what a person did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputedTraitDocument {
    /// `ComputedTrait`.
    pub kind: ComputedTraitKind,
    /// Its name: what conditions and the profile call it. It hides a trait of the same name.
    pub name: TraitName,
    /// The one purpose that it serves.
    pub purpose: PurposeName,
    /// Where days begin: `Europe/Berlin`; UTC unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value: an operand as text or as a tree.
    pub value: Value,
}
