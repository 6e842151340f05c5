//! What cannot be done about a request.

use tessera_model::Timestamp;

use super::{DenialReason, Regime, RequestType, SubjectRequestId};

/// Why a step was not taken. The request is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The action does not fit where the request stands.
    #[error("cannot {action} a request that is {status}")]
    Status {
        /// The action.
        action: &'static str,
        /// Where the request stands.
        status: &'static str,
    },
    /// The step is older than the one before it.
    #[error("a step of {at} cannot follow one of {last}")]
    Order {
        /// The new step's time.
        at: Timestamp,
        /// The time of the last step.
        last: Timestamp,
    },
    /// The person has not shown who they are.
    #[error("request {id} is for {request_type} and the person has not shown who they are")]
    Identity {
        /// The request.
        id: SubjectRequestId,
        /// What it asks for.
        request_type: RequestType,
    },
    /// The law lets nobody ask.
    #[error("under {regime} a person who asks for {request_type} need not show who they are")]
    IdentityNotNeeded {
        /// The law.
        regime: Regime,
        /// What is asked for.
        request_type: RequestType,
    },
    /// The time to answer cannot be extended.
    #[error("the time to answer cannot be extended: {why}")]
    Extension {
        /// Why not.
        why: &'static str,
    },
    /// The law does not know that reason for such a request.
    #[error("{} is no reason under {regime} to deny {request_type}", .reason.as_str())]
    Reason {
        /// The reason given.
        reason: DenialReason,
        /// The law.
        regime: Regime,
        /// What is asked for.
        request_type: RequestType,
    },
    /// The person may still answer.
    #[error("the person may show who they are until {until}")]
    NotExpired {
        /// Until when.
        until: Timestamp,
    },
    /// Nobody is named.
    #[error("request {id} names nobody")]
    NoSubject {
        /// The request.
        id: SubjectRequestId,
    },
    /// It was done before.
    #[error("cannot {action} twice")]
    Twice {
        /// The action.
        action: &'static str,
    },
    /// No reason in words.
    #[error("cannot {action} without saying why")]
    NoWords {
        /// The action.
        action: &'static str,
    },
}

impl RequestError {
    /// The stable code; it has a page in `docs/reference/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Status { .. } => "TES-R011",
            Self::Order { .. } => "TES-R012",
            Self::Identity { .. } => "TES-R013",
            Self::IdentityNotNeeded { .. } => "TES-R014",
            Self::Extension { .. } => "TES-R015",
            Self::Reason { .. } => "TES-R016",
            Self::NotExpired { .. } => "TES-R017",
            Self::NoSubject { .. } => "TES-R018",
            Self::Twice { .. } => "TES-R019",
            Self::NoWords { .. } => "TES-R020",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Status { .. } => "look at its history; a closed request stays closed, so open a new one",
            Self::Order { .. } => "give the time at which it was done, not before the last step",
            Self::Identity { .. } => "ask the person, record how they showed it, then complete the request",
            Self::IdentityNotNeeded { .. } => {
                "start without asking; a request believed fraudulent may be denied"
            }
            Self::Extension { .. } => "answer in time, or deny with the ground in the law",
            Self::Reason { .. } => "choose a reason that the law knows for this kind of request",
            Self::NotExpired { .. } => "wait until then",
            Self::NoSubject { .. } => "name at least one identifier of the person",
            Self::Twice { .. } => "look at its history",
            Self::NoWords { .. } => "say why: the person must be told",
        }
    }
}
