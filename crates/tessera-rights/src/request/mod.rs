//! Data-subject requests: what a person asks for, under which law, and everything that was done about it.
//!
//! Not the doing: nothing here reads a profile or erases one. A request holds no identifier in clear, only
//! fragments. Invariant: the state of a [`Request`] is the fold of its history by [`apply`], also when it is
//! read back from where it was stored. Reference: GDPR Art. 12 and 15-22; California Civil Code 1798.100-1798.135
//! and 11 CCR 7020-7028; LGPD Art. 18-19.

mod apply;
mod error;
mod id;
mod reason;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tessera_model::{DestinationName, FragmentId, PurposeName, Timestamp};
use tessera_policy::IdentityCheck;

pub use apply::apply;
pub use error::RequestError;
pub use id::{IdError, SubjectRequestId};
pub use reason::DenialReason;
pub use words::{Regime, RequestType, Status};

/// Who did something about a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// The person whose data it is.
    Person,
    /// Somebody whom the person authorised: another controller, an agent of the Data Rights Protocol.
    Agent(Box<str>),
    /// An account of ours.
    Account(Box<str>),
    /// Tessera by itself.
    System,
}

impl Actor {
    /// Who it is, in one word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Person => "person",
            Self::Agent(name) | Self::Account(name) => name,
            Self::System => "system",
        }
    }
}

/// How a person showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityProof {
    /// Asked while signed in to their own account.
    SignedIn,
    /// Answered a message to a contact point that we hold.
    ContactPoint,
    /// Knew what only they could know.
    Knowledge,
    /// Showed a document; we keep that it was shown, not the document.
    Document,
    /// The agent or controller that passed the request on answers for it.
    VouchedFor,
}

impl IdentityProof {
    /// Every way.
    pub const ALL: [Self; 5] =
        [Self::SignedIn, Self::ContactPoint, Self::Knowledge, Self::Document, Self::VouchedFor];

    /// Its name in code and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::ContactPoint => "contact_point",
            Self::Knowledge => "knowledge",
            Self::Document => "document",
            Self::VouchedFor => "vouched_for",
        }
    }
}

/// What became of telling one recipient (GDPR Art. 19, 11 CCR 7022(b), LGPD Art. 18(6)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// On its way.
    Pending,
    /// The recipient took it; with the number or id it answered with.
    Acknowledged {
        /// The recipient's own number for it; empty if it gave none.
        receipt: Box<str>,
    },
    /// It cannot be told, or only with disproportionate effort.
    Impossible {
        /// Why.
        why: Box<str>,
    },
}

/// What can be done about a request. The words in it are kept for as long as the request is: they should name nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// The person was told that the request arrived.
    Acknowledge,
    /// The person was asked to show who they are.
    AskIdentity {
        /// Until when they may answer; afterwards the request may expire.
        #[serde(with = "rfc3339")]
        answer_until: Timestamp,
    },
    /// The person has shown who they are.
    ConfirmIdentity {
        /// How.
        proof: IdentityProof,
    },
    /// Work begins.
    Start,
    /// The person was told that it takes longer.
    Extend {
        /// The reasons, which the person must be told (GDPR Art. 12(3)).
        why: Box<str>,
    },
    /// A recipient was told.
    TellRecipient {
        /// Which.
        destination: DestinationName,
        /// What became of it.
        told: Told,
    },
    /// The person has the answer, or what they asked for is done.
    Complete {
        /// The exceptions under which a part was kept or withheld; empty: all of it is done.
        except: BTreeSet<DenialReason>,
    },
    /// Nothing is done, and the person was told why.
    Deny {
        /// The ground in the law.
        reason: DenialReason,
        /// In words.
        why: Box<str>,
    },
    /// The person, or who asked for them, took the request back.
    Cancel {
        /// Why, if they said so.
        why: Box<str>,
    },
    /// The person did not show who they are in time.
    Expire,
}

/// One thing done about a request: who, when, what, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What, and why.
    #[serde(flatten)]
    pub action: Action,
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its id.
    pub id: SubjectRequestId,
    /// The law it is made under.
    pub regime: Regime,
    /// What is asked for.
    pub request_type: RequestType,
    /// Whom it is about: the fragments of the identifiers that the request named.
    #[serde(with = "fragments")]
    pub subjects: Vec<FragmentId>,
    /// The purposes it is about (an objection to one of them); empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<PurposeName>,
    /// When it arrived; all clocks count from here.
    #[serde(with = "rfc3339")]
    pub received_at: Timestamp,
    /// Who brought it.
    pub by: Actor,
}

/// A data-subject request with its whole history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    opening: Opening,
    status: Status,
    history: Vec<Step>,
}

impl Request {
    /// Opens a request; its subjects are ordered, each once.
    ///
    /// # Errors
    /// [`RequestError::NoSubject`].
    pub fn open(mut opening: Opening) -> Result<Self, RequestError> {
        opening.subjects.sort_unstable();
        opening.subjects.dedup();
        if opening.subjects.is_empty() {
            return Err(RequestError::NoSubject { id: opening.id });
        }
        Ok(Self { opening, status: Status::Received, history: Vec::new() })
    }

    /// The request as it arrived.
    #[must_use]
    pub const fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// All that was done about it, oldest first.
    #[must_use]
    pub fn history(&self) -> &[Step] {
        &self.history
    }

    /// When the person first heard of us: the acknowledgement, else the answer itself.
    #[must_use]
    pub fn acknowledged_at(&self) -> Option<Timestamp> {
        self.first(|action| matches!(action, Action::Acknowledge)).or_else(|| self.closed_at())
    }

    /// When the person had shown who they are.
    #[must_use]
    pub fn identity_confirmed_at(&self) -> Option<Timestamp> {
        self.first(|action| matches!(action, Action::ConfirmIdentity { .. }))
    }

    /// That the person has shown who they are, as far as it is on record: what their data may be given out by.
    #[must_use]
    pub fn identity_check(&self) -> Option<IdentityCheck> {
        self.history.iter().find_map(|step| match &step.action {
            Action::ConfirmIdentity { proof } => {
                let id = self.opening.id.to_string();
                IdentityCheck::new(&id, proof.as_str(), step.by.name(), step.at)
            }
            Action::Acknowledge
            | Action::AskIdentity { .. }
            | Action::Start
            | Action::Extend { .. }
            | Action::TellRecipient { .. }
            | Action::Complete { .. }
            | Action::Deny { .. }
            | Action::Cancel { .. }
            | Action::Expire => None,
        })
    }

    /// When the person was told that it takes longer.
    #[must_use]
    pub fn extended_at(&self) -> Option<Timestamp> {
        self.first(|action| matches!(action, Action::Extend { .. }))
    }

    /// When it was completed, denied, cancelled or expired.
    #[must_use]
    pub fn closed_at(&self) -> Option<Timestamp> {
        self.first(|action| action.closes().is_some())
    }

    /// When the person was asked who they are, and when that ended; nothing if it goes on.
    pub fn identity_checks(&self) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        let asked = self.history.iter().enumerate();
        asked.filter(|(_, step)| matches!(step.action, Action::AskIdentity { .. })).map(|(at, step)| {
            let ends = |later: &&Step| {
                matches!(later.action, Action::ConfirmIdentity { .. }) || later.action.closes().is_some()
            };
            (step.at, self.history.iter().skip(at + 1).find(ends).map(|later| later.at))
        })
    }

    /// Each recipient and what became of telling it, by the last word.
    #[must_use]
    pub fn recipients(&self) -> BTreeMap<&DestinationName, &Told> {
        self.history.iter().filter_map(|step| step.action.told()).collect()
    }

    fn first(&self, is_it: impl Fn(&Action) -> bool) -> Option<Timestamp> {
        self.history.iter().find(|step| is_it(&step.action)).map(|step| step.at)
    }
}

impl Action {
    /// The status that it ends a request with.
    const fn closes(&self) -> Option<Status> {
        match self {
            Self::Complete { .. } => Some(Status::Completed),
            Self::Deny { reason, .. } => Some(Status::Denied(*reason)),
            Self::Cancel { .. } => Some(Status::Cancelled),
            Self::Expire => Some(Status::Expired),
            Self::Acknowledge
            | Self::AskIdentity { .. }
            | Self::ConfirmIdentity { .. }
            | Self::Start
            | Self::Extend { .. }
            | Self::TellRecipient { .. } => None,
        }
    }

    const fn told(&self) -> Option<(&DestinationName, &Told)> {
        if let Self::TellRecipient { destination, told } = self { Some((destination, told)) } else { None }
    }

    /// Its name, as it is stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::AskIdentity { .. } => "ask_identity",
            Self::ConfirmIdentity { .. } => "confirm_identity",
            Self::Start => "start",
            Self::Extend { .. } => "extend",
            Self::TellRecipient { .. } => "tell_recipient",
            Self::Complete { .. } => "complete",
            Self::Deny { .. } => "deny",
            Self::Cancel { .. } => "cancel",
            Self::Expire => "expire",
        }
    }
}

/// What is stored: the opening and the history. The state is told to readers and folded anew when read.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    opening: &'a Opening,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DenialReason>,
    history: &'a [Step],
}

#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    opening: Opening,
    history: Vec<Step>,
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            opening: &self.opening,
            status: self.status.as_str(),
            reason: self.status.reason(),
            history: &self.history,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let mut request = Self::open(stored.opening).map_err(serde::de::Error::custom)?;
        for step in stored.history {
            request = request.stepped(step).map_err(serde::de::Error::custom)?;
        }
        Ok(request)
    }
}

pub(crate) mod rfc3339 {
    //! Times as the API writes them.

    use serde::{Deserialize, Deserializer, Serializer};
    use tessera_model::Timestamp;

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a time is written like 2026-03-05T09:30:00Z"))
    }
}

mod fragments {
    //! Fragment ids as 32 hexadecimal digits each.

    use serde::ser::SerializeSeq;
    use serde::{Deserialize, Deserializer, Serializer};
    use tessera_model::FragmentId;

    pub(super) fn serialize<S: Serializer>(ids: &[FragmentId], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(ids.len()))?;
        ids.iter().try_for_each(|id| list.serialize_element(&id.to_string()))?;
        list.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<FragmentId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let id = |text: String| {
            text.parse().map_err(|()| serde::de::Error::custom("a fragment id has 32 hexadecimal digits"))
        };
        texts.into_iter().map(id).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
