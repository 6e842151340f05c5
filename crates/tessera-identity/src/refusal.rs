//! What stood against an edge.

use serde::{Deserialize, Serialize};
use tessera_model::Namespace;

/// Which rule refused an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// The profile would hold more identifiers of a namespace than its limit.
    Limit,
    /// It would hold more within one window of time.
    Window,
    /// One end stands with too many people.
    Shared,
    /// A person said that they are two people.
    Apart,
    /// The workspace's strategy keeps anonymous and known data apart.
    Strategy,
}

impl RefusalReason {
    /// Its name in the API: `limit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Window => "window",
            Self::Shared => "shared",
            Self::Apart => "apart",
            Self::Strategy => "strategy",
        }
    }
}

/// Why an edge was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// By which rule.
    pub reason: RefusalReason,
    /// The namespace whose rule it is.
    pub namespace: Option<Namespace>,
}

impl Refusal {
    pub(crate) const fn new(reason: RefusalReason) -> Self {
        Self { reason, namespace: None }
    }

    pub(crate) fn of(reason: RefusalReason, namespace: &Namespace) -> Self {
        Self { reason, namespace: Some(namespace.clone()) }
    }
}
