//! What a person said about a purpose.
//!
//! Reference: W3C Data Privacy Vocabulary (DPV) consent statuses: only `given` and `renewed` are valid.

use serde::{Deserialize, Serialize};

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentStatus {
    /// Said yes.
    Given,
    /// Said no.
    Refused,
    /// Said yes once and took it back.
    Withdrawn,
}

impl ConsentStatus {
    /// Whether this status lets a consent-based purpose go on.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Given => true,
            Self::Refused | Self::Withdrawn => false,
        }
    }

    /// Reads a status as consent tools send it: a yes or no, or one of the words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "true" | "given" | "granted" | "renewed" => Some(Self::Given),
            "false" | "refused" | "denied" => Some(Self::Refused),
            "withdrawn" | "revoked" => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

/// A status for a category, as the event carried it. The source's workspace document says which purpose the
/// category stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentClaim {
    /// The consent tool's category, or the purpose's own name.
    pub category: Box<str>,
    /// What was said.
    pub status: ConsentStatus,
}
