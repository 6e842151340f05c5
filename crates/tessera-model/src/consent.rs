//! What a person said about a purpose, or what is to hold for them.
//!
//! Reference: W3C Data Privacy Vocabulary (DPV) consent statuses: only `given` and `renewed` are valid; GDPR Art. 7
//! (consent), 18 (restriction), 21 (objection).

use serde::{Deserialize, Serialize};

use crate::{Identified, PurposeId, Timestamp};

/// What was said, or ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentStatus {
    /// Said yes.
    Given,
    /// Said yes again.
    Renewed,
    /// Said no.
    Refused,
    /// Said yes once and took it back.
    Withdrawn,
    /// The yes has run out, as the consent tool says.
    Expired,
    /// Objected to the processing (Art. 21), or opted out of sale and sharing (CCPA).
    Objected,
    /// The controller showed compelling grounds against the objection (Art. 21(1)). Never for direct marketing.
    Overruled,
    /// The contract with the person has ended.
    Ended,
    /// The person's data is restricted (Art. 18): kept, and not used. Holds for every purpose.
    Restricted,
    /// The restriction is lifted.
    Unrestricted,
}

impl ConsentStatus {
    /// Every status.
    pub const ALL: [Self; 10] = [
        Self::Given,
        Self::Renewed,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Objected,
        Self::Overruled,
        Self::Ended,
        Self::Restricted,
        Self::Unrestricted,
    ];

    /// Whether this is a yes.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Given | Self::Renewed)
    }

    /// Whether it concerns the whole person and not one purpose.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Restricted | Self::Unrestricted)
    }

    /// The status in one word, as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Objected => "objected",
            Self::Overruled => "overruled",
            Self::Ended => "ended",
            Self::Restricted => "restricted",
            Self::Unrestricted => "unrestricted",
        }
    }

    /// Reads a status as consent tools send it: a yes or no, or one of the words. What only the controller may say
    /// (`overruled`, `restricted`, `unrestricted`) is no word of a consent tool.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "true" | "given" | "granted" => Some(Self::Given),
            "renewed" => Some(Self::Renewed),
            "false" | "refused" | "denied" => Some(Self::Refused),
            "withdrawn" | "revoked" => Some(Self::Withdrawn),
            "expired" => Some(Self::Expired),
            "objected" | "opted_out" => Some(Self::Objected),
            "ended" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// How clearly it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expression {
    /// By an act that means it: a box ticked, a button pressed (Art. 9 and some laws ask for it).
    #[default]
    Explicit,
    /// By conduct.
    Implied,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOf {
    /// A declared purpose.
    Purpose(PurposeId),
    /// A category that stands for no declared purpose: it is counted, and nothing else.
    Unknown,
}

/// One word about a purpose, as the event carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentClaim {
    /// What it is about.
    pub of: ClaimOf,
    /// What was said.
    pub status: ConsentStatus,
    /// How clearly.
    pub expression: Expression,
    /// The version of the purpose that the person was shown, if the sender knows.
    pub version: Option<u32>,
    /// When, if not at the event's own time.
    pub at: Option<Timestamp>,
    /// By which form, channel or text: `preference-centre/v3`.
    pub how: Option<Box<str>>,
    /// Where the proof is kept: a reference, never the proof itself.
    pub evidence: Option<Box<str>>,
}

/// Whether a contact point takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// Signed up.
    Subscribed,
    /// Never signed up.
    DidNotSubscribe,
    /// Signed off. The strictest, so the last in order.
    Unsubscribed,
}

impl SubscriptionState {
    /// Reads a state in Segment's words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().replace('-', "_").as_str() {
            "subscribed" => Some(Self::Subscribed),
            "did_not_subscribe" => Some(Self::DidNotSubscribe),
            "unsubscribed" => Some(Self::Unsubscribed),
            _ => None,
        }
    }
}

/// The state of one contact point, as the event carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionClaim {
    /// The contact point: one of the event's identifiers.
    pub contact: Identified,
    /// `email`, `sms`, `push`.
    pub channel: Box<str>,
    /// One topic; empty: the channel as a whole.
    pub topic: Box<str>,
    /// The state.
    pub state: SubscriptionState,
}
