//! Why two identifiers are thought to be one person's.

use serde::{Deserialize, Serialize};
use tessera_model::{MessageKey, SourceName, Timestamp};

/// How strong a piece of evidence is; the stronger is weighed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Somebody said so: an `alias` call. Limits do not apply.
    Declared,
    /// Both stood on one event.
    Deterministic,
}

/// One piece of evidence: what, when, which event, from where. Ordered by weight: strongest and earliest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// How strong.
    pub strength: Strength,
    /// When the event happened.
    pub at: Timestamp,
    /// Which event.
    pub message: MessageKey,
    /// Which source sent it.
    pub source: SourceName,
}
