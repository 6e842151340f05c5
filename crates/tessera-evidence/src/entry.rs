//! What the ledger records.
//!
//! Not the line around it (`seq`, `at`, `prev`): the ledger writes that. Invariant: no entry holds personal data
//! in clear; a person is a [`FragmentId`], a message a keyed hash, a field its path. Reference:
//! `docs/reference/evidence-format.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tessera_model::{ConsentStatus, DestinationName, FragmentId, LegalBasis, PurposeName, Timestamp};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Fields of a person's data on their way to a destination.
    Delivery(Delivery),
    /// What became of deliveries.
    Outcome(Outcome),
    /// A read of personal data.
    Disclosure(Disclosure),
    /// A change to the workspace or to what is stored.
    Change(Change),
    /// Somebody showed, or failed to show, who they are and what they may.
    Access(Access),
    /// A recipient was told what a person asked for.
    Notice(Notice),
    /// A person's data was erased.
    Erasure(Erasure),
    /// Data, or this ledger, was written to a file.
    Export(Export),
    /// The ledger's own: a signature over all that came before.
    Checkpoint(Checkpoint),
}

/// What an [`Entry`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the variant of `Entry` of the same name")]
pub enum Kind {
    Delivery,
    Outcome,
    Disclosure,
    Change,
    Access,
    Notice,
    Erasure,
    Export,
    Checkpoint,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Delivery,
        Self::Outcome,
        Self::Disclosure,
        Self::Change,
        Self::Access,
        Self::Notice,
        Self::Erasure,
        Self::Export,
        Self::Checkpoint,
    ];

    /// As it is written in a line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Outcome => "outcome",
            Self::Disclosure => "disclosure",
            Self::Change => "change",
            Self::Access => "access",
            Self::Notice => "notice",
            Self::Erasure => "erasure",
            Self::Export => "export",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Fields of a person's data that are about to be sent. Recorded before the first byte leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The owner of the data.
    #[serde(with = "hex_id")]
    pub subject: FragmentId,
    /// Id of the profile at that moment.
    #[serde(with = "hex_id")]
    pub profile: FragmentId,
    /// Where it goes.
    pub destination: DestinationName,
    /// The region that the destination declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Box<str>>,
    /// Why.
    pub purpose: PurposeName,
    /// Version of the purpose that permitted it.
    pub purpose_version: u32,
    /// On what ground.
    pub basis: LegalBasis,
    /// The consent record that the decision rested on, if it rested on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Version of the workspace whose policies were applied.
    pub policy_version: u64,
    /// Paths of the fields that leave: `traits.email`.
    pub fields: Vec<Box<str>>,
    /// Fields that would have left but for a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Keyed hash of the message id, in hexadecimal digits.
    pub message: Box<str>,
    /// From 1.
    pub attempt: u32,
}

/// A consent record, as far as evidence needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// What was said.
    pub status: ConsentStatus,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
    /// About which version of the purpose.
    pub version: u32,
    /// Through which source.
    pub source: Box<str>,
}

/// A field that was kept back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// Its path.
    pub field: Box<str>,
    /// Name of the policy, or the reason.
    pub reason: Box<str>,
}

/// What became of the deliveries with the numbers `first..=last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Where they went.
    pub destination: DestinationName,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// How it ended.
    pub result: OutcomeStatus,
    /// Why, without personal data: `http 503`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// The destination has it.
    Delivered,
    /// The destination will not take it; it is a dead letter.
    Refused,
    /// It will be tried again. Whether the destination saw it is not known.
    Retry,
}

/// A read of one person's data through the API, the command line or an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosure {
    /// Name of the token or account.
    pub actor: Box<str>,
    /// What was asked, as a pattern without values: `GET /api/v1/profiles/{identifier}`.
    pub route: Box<str>,
    /// The owner that was asked for, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex_id_option")]
    pub subject: Option<FragmentId>,
    /// The profile that was shown.
    #[serde(with = "hex_id")]
    pub profile: FragmentId,
    /// The purposes that it was shown for.
    pub purposes: Vec<PurposeName>,
    /// Paths of the fields that were shown.
    pub fields: Vec<Box<str>>,
}

/// A change that somebody made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Name of the token or account.
    pub actor: Box<str>,
    /// What was done: `PUT /api/v1/workspace`.
    pub what: Box<str>,
    /// To which object, by name; never a person's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Box<str>>,
    /// More, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
}

/// Whether somebody was let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Name of the token or account; `unknown` if there is none of that name.
    pub actor: Box<str>,
    /// What it came to.
    pub result: AccessResult,
    /// What was tried: `sign in`, or a route.
    pub what: Box<str>,
}

/// What an attempt to be let in came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessResult {
    /// Let in.
    Ok,
    /// Wrong password or token.
    Failed,
    /// Too many failures; not asked.
    LockedOut,
    /// Known, but its role may not.
    Refused,
}

/// A recipient was told of a person's request (GDPR Art. 19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who was told.
    pub destination: DestinationName,
    /// Id of the request.
    pub request: Box<str>,
    /// Whose data.
    #[serde(with = "hex_id")]
    pub subject: FragmentId,
    /// What the recipient has to do.
    pub right: Right,
    /// Whether it is told.
    pub status: NoticeStatus,
    /// More, without personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
}

/// What recipients are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Art. 17.
    Erasure,
    /// Art. 16.
    Rectification,
    /// Art. 18.
    Restriction,
    /// Art. 21, and Art. 7(3): who takes consent back.
    Objection,
}

/// How far telling a recipient got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeStatus {
    /// Sent; no answer yet.
    Sent,
    /// The recipient said that it will.
    Accepted,
    /// The recipient said that it has.
    Done,
    /// The recipient said no.
    Refused,
    /// It could not be told.
    Failed,
    /// It has no way to be told; somebody has to write to it.
    Unsupported,
}

/// A person's data was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Id of the request.
    pub request: Box<str>,
    /// How many identifiers the person had.
    pub identifiers: u64,
    /// The fragments that were erased.
    #[serde(with = "hex_ids")]
    pub subjects: Vec<FragmentId>,
    /// How much of what was removed: `events`, `rejects`, `dead_letters`.
    pub removed: BTreeMap<Box<str>, u64>,
    /// Bytes of the person that a scan afterwards found; absent: nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_found: Option<u64>,
}

/// Data, or a piece of this ledger, was written to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Name of the token or account.
    pub actor: Box<str>,
    /// Of what: `evidence`, `audience vip`.
    pub what: Box<str>,
    /// For which purposes, if it holds personal data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<PurposeName>,
    /// Paths of the fields in it, if it holds personal data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Box<str>>,
    /// How many people or entries.
    pub count: u64,
}

/// A signature over the entry before, and through its hash over all before that. Only the ledger makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    last: u64,
    hash: Box<str>,
    key: Box<str>,
    signature: Box<str>,
}

impl Checkpoint {
    /// Number of the last entry that it covers.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Id of the key that signed it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Entry {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Delivery(_) => Kind::Delivery,
            Self::Outcome(_) => Kind::Outcome,
            Self::Disclosure(_) => Kind::Disclosure,
            Self::Change(_) => Kind::Change,
            Self::Access(_) => Kind::Access,
            Self::Notice(_) => Kind::Notice,
            Self::Erasure(_) => Kind::Erasure,
            Self::Export(_) => Kind::Export,
            Self::Checkpoint(_) => Kind::Checkpoint,
        }
    }

    /// The entry in the line `text`.
    pub(crate) fn parse(kind: Kind, text: &str) -> serde_json::Result<Self> {
        Ok(match kind {
            Kind::Delivery => Self::Delivery(serde_json::from_str(text)?),
            Kind::Outcome => Self::Outcome(serde_json::from_str(text)?),
            Kind::Disclosure => Self::Disclosure(serde_json::from_str(text)?),
            Kind::Change => Self::Change(serde_json::from_str(text)?),
            Kind::Access => Self::Access(serde_json::from_str(text)?),
            Kind::Notice => Self::Notice(serde_json::from_str(text)?),
            Kind::Erasure => Self::Erasure(serde_json::from_str(text)?),
            Kind::Export => Self::Export(serde_json::from_str(text)?),
            Kind::Checkpoint => Self::Checkpoint(serde_json::from_str(text)?),
        })
    }
}

mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tessera_model::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        at.serialize_rfc3339(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

mod hex_id {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tessera_model::FragmentId;

    pub(super) fn serialize<S: Serializer>(id: &FragmentId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::format::hex(&id.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FragmentId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| D::Error::custom("not 32 hexadecimal digits"))
    }
}

mod hex_id_option {
    use serde::{Deserializer, Serializer};
    use tessera_model::FragmentId;

    pub(super) fn serialize<S: Serializer>(
        id: &Option<FragmentId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => super::hex_id::serialize(id, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<FragmentId>, D::Error> {
        super::hex_id::deserialize(deserializer).map(Some)
    }
}

mod hex_ids {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use tessera_model::FragmentId;

    pub(super) fn serialize<S: Serializer>(ids: &[FragmentId], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<FragmentId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let ids: Result<_, ()> = texts.iter().map(|text| text.parse()).collect();
        ids.map_err(|()| D::Error::custom("not 32 hexadecimal digits"))
    }
}
