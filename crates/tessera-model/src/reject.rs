//! What could not be accepted, and why. Nothing vanishes silently.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::REJECT_PAYLOAD_BYTES_MAX;

/// The stable reason code of a reject; `docs/reference/errors` has a page for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectCode {
    /// The body is not JSON, or ends too early.
    #[serde(rename = "TES-I001")]
    NotJson,
    /// The body is larger than a batch may be.
    #[serde(rename = "TES-I002")]
    BodyTooLarge,
    /// One event is larger than an event may be.
    #[serde(rename = "TES-I003")]
    EventTooLarge,
    /// A field has the wrong type, or the event is no object.
    #[serde(rename = "TES-I004")]
    WrongType,
    /// A call that the API does not have.
    #[serde(rename = "TES-I005")]
    UnknownCall,
    /// Nobody named: no identifier, or only values that say nothing.
    #[serde(rename = "TES-I006")]
    NoIdentifier,
    /// An identifier too long, or with control characters, or not the shape of its namespace.
    #[serde(rename = "TES-I007")]
    BadIdentifier,
    /// A needed field is missing: `event`, `groupId`, `previousId`.
    #[serde(rename = "TES-I008")]
    MissingField,
    /// A time that cannot be read.
    #[serde(rename = "TES-I009")]
    BadTimestamp,
    /// Nested too deep, or a number beyond 64-bit floating point.
    #[serde(rename = "TES-I010")]
    BadShape,
    /// A name or message id too long, or with control characters.
    #[serde(rename = "TES-I011")]
    BadName,
    /// A field given twice.
    #[serde(rename = "TES-I012")]
    DuplicateKey,
    /// Bytes that are not UTF-8.
    #[serde(rename = "TES-I013")]
    NotUtf8,
    /// A compressed body that does not unpack, or unpacks to too much.
    #[serde(rename = "TES-I014")]
    BadCompression,
    /// A row of an imported file that the mapping could not turn into an event.
    #[serde(rename = "TES-I015")]
    BadRow,
    /// More traits or identifiers than one call may carry, or more events than a batch may.
    #[serde(rename = "TES-I016")]
    TooMany,
    /// The mark that erasing leaves in the log, sent as an event.
    #[serde(rename = "TES-I017")]
    Erased,
    /// Not as the source's tracking plan says, which blocks such events.
    #[serde(rename = "TES-K001")]
    Blocked,
    /// Not as the source's tracking plan says, which keeps such events aside.
    #[serde(rename = "TES-K002")]
    Quarantined,
}

impl RejectCode {
    /// Every code.
    pub const ALL: [Self; 19] = [
        Self::NotJson,
        Self::BodyTooLarge,
        Self::EventTooLarge,
        Self::WrongType,
        Self::UnknownCall,
        Self::NoIdentifier,
        Self::BadIdentifier,
        Self::MissingField,
        Self::BadTimestamp,
        Self::BadShape,
        Self::BadName,
        Self::DuplicateKey,
        Self::NotUtf8,
        Self::BadCompression,
        Self::BadRow,
        Self::TooMany,
        Self::Erased,
        Self::Blocked,
        Self::Quarantined,
    ];

    /// The code as people read it: `TES-I006`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "TES-I001",
            Self::BodyTooLarge => "TES-I002",
            Self::EventTooLarge => "TES-I003",
            Self::WrongType => "TES-I004",
            Self::UnknownCall => "TES-I005",
            Self::NoIdentifier => "TES-I006",
            Self::BadIdentifier => "TES-I007",
            Self::MissingField => "TES-I008",
            Self::BadTimestamp => "TES-I009",
            Self::BadShape => "TES-I010",
            Self::BadName => "TES-I011",
            Self::DuplicateKey => "TES-I012",
            Self::NotUtf8 => "TES-I013",
            Self::BadCompression => "TES-I014",
            Self::BadRow => "TES-I015",
            Self::TooMany => "TES-I016",
            Self::Erased => "TES-I017",
            Self::Blocked => "TES-K001",
            Self::Quarantined => "TES-K002",
        }
    }

    /// Reads `TES-I006`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// What the sender should do.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::NotJson => {
                "send one JSON object; a body cut off on the way is sent again by Segment's clients"
            }
            Self::BodyTooLarge => "send batches of at most 500 KB (512,000 bytes) after decompression",
            Self::EventTooLarge => {
                "send events of at most 32 KB; large content belongs in a store of its own"
            }
            Self::WrongType => "compare the field with the Segment spec",
            Self::UnknownCall => "`type` is one of identify, track, page, screen, group, alias, consent",
            Self::NoIdentifier => "send `userId` or `anonymousId`",
            Self::BadIdentifier => "identifiers are 1 to 255 bytes without control characters",
            Self::MissingField => {
                "`track` needs `event`, `group` needs `groupId`, `alias` needs `previousId`"
            }
            Self::BadTimestamp => "send RFC 3339, for example 2026-01-31T12:00:00Z",
            Self::BadShape => "nest at most 64 levels, keep numbers within 64-bit floating point",
            Self::BadName => {
                "names are 1 to 255 bytes, `messageId` up to 100 characters, no control characters"
            }
            Self::DuplicateKey => "send each field once",
            Self::NotUtf8 => "send UTF-8",
            Self::BadCompression => "send gzip, at most 500 KB after decompression, or no `Content-Encoding`",
            Self::BadRow => {
                "correct the row or the mapping, then import the file again: rows taken are not taken twice"
            }
            Self::Erased => "nothing: it says that something was erased here",
            Self::Blocked => "send what the plan says, or change the plan and replay the reject",
            Self::Quarantined => {
                "change the plan if the event is right, then `tessera reject replay --plan NAME`"
            }
            Self::TooMany => {
                "send at most 500 traits and 20 identifiers in one call, and 2,500 events in one batch"
            }
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refused event (or body, or row): code, reason, and the payload for a replay.
///
/// The payload may be personal data, so `Debug` shows its length only. The reason never quotes values.
#[derive(Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why, for machines.
    pub code: RejectCode,
    /// Why, for people: names field, length and limit, never a value.
    pub reason: String,
    /// The payload, cut at 64 KB at a character boundary.
    pub payload: String,
    /// Whether the payload was cut, so that it cannot be replayed.
    pub is_cut: bool,
}

impl Reject {
    /// A reject of `payload`, keeping at most [`REJECT_PAYLOAD_BYTES_MAX`] bytes of it.
    #[must_use]
    pub fn new(code: RejectCode, reason: impl Into<String>, payload: &[u8]) -> Self {
        let is_boundary = |at: &usize| payload.get(*at).is_none_or(|byte| byte & 0xC0 != 0x80);
        let end =
            (0..=REJECT_PAYLOAD_BYTES_MAX.min(payload.len())).rev().find(is_boundary).unwrap_or_default();
        let kept = payload.get(..end).unwrap_or(payload);
        let is_cut = kept.len() < payload.len();
        Self { code, reason: reason.into(), payload: String::from_utf8_lossy(kept).into_owned(), is_cut }
    }
}

impl fmt::Debug for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reject({}: {}, {} bytes)", self.code, self.reason, self.payload.len())
    }
}
