//! What happened to an event, for those who watch live. Holds no personal data.

use serde::Serialize;
use tessera_model::{RejectCode, SourceName, Timestamp};
use tessera_policy::Denial;

use crate::Alert;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// An event joined a profile.
    Accepted {
        /// Where it came from.
        source: SourceName,
        /// The call: `track`.
        call: &'static str,
        /// The event's name.
        name: String,
        /// When it happened.
        #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
        at: Timestamp,
        /// The profile.
        profile: String,
    },
    /// An event was refused and kept as a reject.
    Rejected {
        /// Where it came from.
        source: SourceName,
        /// Why, for machines.
        code: RejectCode,
        /// Why, for people.
        reason: String,
        /// The reject's id.
        reject: String,
    },
    /// No purpose covers the event: it joined no profile.
    Denied {
        /// Where it came from.
        source: SourceName,
        /// The call.
        call: &'static str,
        /// Why.
        reason: Denial,
    },
    /// The event was there already.
    Duplicate {
        /// Where it came from.
        source: SourceName,
        /// The call.
        call: &'static str,
    },
    /// Profiles became one.
    Merged {
        /// The profile that there is now.
        profile: String,
        /// The ids that lead to it from now on.
        from: Vec<String>,
    },
    /// A profile became two.
    Split {
        /// The profiles that there are now.
        profiles: Vec<String>,
    },
    /// Something is not as a tracking plan expects, or is so again.
    Alert {
        /// The alert as it is now.
        alert: Alert,
    },
    /// The workspace was replaced.
    Applied {
        /// How many documents it has.
        documents: usize,
    },
}
