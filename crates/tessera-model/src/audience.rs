//! `kind: Audience` and `kind: ComputedTrait`: definitions as the workspace keeps them.
//!
//! Not the language: what `when` and `value` mean, and whether they can be used, `tessera-audience` says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::{AudienceKind, ComputedTraitKind};
use crate::{AudienceName, FragmentId, PurposeName, SourceName, TraitName};

/// Names an audience in stored rows: the beginning of a hash of its name and purpose, so that an audience of another name,
/// or for another purpose, is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudienceId(pub [u8; Self::BYTES]);

impl AudienceId {
    /// How long it is, in bytes.
    pub const BYTES: usize = 8;

    /// The id of the audience of that name and purpose.
    #[must_use]
    pub fn of(name: &AudienceName, purpose: &PurposeName) -> Self {
        let mut hasher = blake3::Hasher::new();
        // No name has a zero byte in it.
        hasher.update(name.as_str().as_bytes()).update(&[0]).update(purpose.as_str().as_bytes());
        let mut id = [0; Self::BYTES];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl FromStr for AudienceId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 2 * Self::BYTES || !text.is_ascii() {
            return Err(());
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| ())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for AudienceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What the events of one fragment that rest on one basis say to definitions that came after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillOrder {
    /// The fragment.
    pub fragment: FragmentId,
    /// The source that brought the events.
    pub source: SourceName,
    /// The purposes that covered them.
    pub purposes: Vec<PurposeName>,
    /// The state that the events come to, in base64. Personal data.
    pub state: String,
}

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
