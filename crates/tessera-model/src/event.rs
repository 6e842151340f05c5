//! An event past the edge: every field checked, every identifier normalised.

use tessera_contract::Checked;

use crate::{
    Birthday, ConsentClaim, EventName, FragmentId, Identifier, Json, MessageId, PurposeSet, SourceName,
    SubscriptionClaim, Timestamp,
};

/// An identifier with its fragment's id and the strength of its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The address.
    pub identifier: Identifier,
    /// Its fragment.
    pub id: FragmentId,
    /// Position of its namespace among the workspace's, 0 the strongest.
    pub rank: u16,
}

/// One named value of a person or an account. The value is personal data: `Json` redacts its `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trait {
    /// The trait's name.
    pub name: Box<str>,
    /// Its value; `null` removes the trait.
    pub value: Json,
}

/// What a person did, in the words of the Segment spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Who the person is.
    Identify {
        /// Traits of the person.
        traits: Vec<Trait>,
    },
    /// What the person did.
    Track {
        /// What it is called.
        event: EventName,
    },
    /// A web page was seen.
    Page {
        /// The page's name, if it has one.
        name: Option<EventName>,
    },
    /// An app screen was seen.
    Screen {
        /// The screen's name, if it has one.
        name: Option<EventName>,
    },
    /// The person belongs to an account.
    Group {
        /// The account.
        account: Identified,
        /// Traits of the account.
        traits: Vec<Trait>,
    },
    /// Two ids are one person.
    Alias {
        /// The other id, in each namespace that it may be of: the call does not say whether it is a user id or an
        /// anonymous id. Not empty.
        previous: Vec<Identified>,
    },
    /// The person said yes or no to purposes, and what they prefer.
    Consent {
        /// What they prefer (`preferences.frequency`): kept as traits.
        preferences: Vec<Trait>,
    },
}

impl Call {
    /// The call's name in the API: `track`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Identify { .. } => "identify",
            Self::Track { .. } => "track",
            Self::Page { .. } => "page",
            Self::Screen { .. } => "screen",
            Self::Group { .. } => "group",
            Self::Alias { .. } => "alias",
            Self::Consent { .. } => "consent",
        }
    }
}

/// One accepted event.
///
/// Invariant: `identifiers` is not empty, is ordered strongest first, and holds no id twice. The first is the
/// owner: all that the event says is kept under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Makes a repeat known.
    pub message_id: MessageId,
    /// Who it is about.
    pub identifiers: Vec<Identified>,
    /// What happened.
    pub call: Call,
    /// When it happened, corrected for the sender's clock.
    pub at: Timestamp,
    /// When it arrived here.
    pub received_at: Timestamp,
    /// Which source sent it.
    pub source: SourceName,
    /// Yes and no to purposes that came with it.
    pub consents: Vec<ConsentClaim>,
    /// Which contact points take messages, as it says. Their identifiers are among `identifiers`.
    pub subscriptions: Vec<SubscriptionClaim>,
    /// The purposes that its source declares for it: the gate asks about these.
    pub purposes: PurposeSet,
    /// The day of birth that it tells.
    pub born_on: Option<Birthday>,
    /// What its source's tracking plan says of it; `None`: the source has no plan.
    pub checked: Option<Box<Checked>>,
    /// The whole event, as it came; without what its tracking plan strips, and with the mark that says so.
    pub json: Json,
}

impl Event {
    /// The strongest identifier.
    #[must_use]
    pub fn owner(&self) -> Option<&Identified> {
        self.identifiers.first()
    }

    /// What its tracking plan refuses it for.
    #[must_use]
    pub fn refused(&self) -> Option<&Checked> {
        self.checked.as_deref().filter(|checked| checked.reaction.refuses())
    }

    /// What to call it in lists: the event's own name for a track, else the call's.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.call {
            Call::Track { event } => event.as_str(),
            Call::Page { .. } => "page",
            Call::Screen { .. } => "screen",
            Call::Identify { .. } => "identify",
            Call::Group { .. } => "group",
            Call::Alias { .. } => "alias",
            Call::Consent { .. } => "consent",
        }
    }
}
