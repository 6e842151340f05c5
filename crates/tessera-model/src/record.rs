//! What the log holds: bodies as they came, and operations that people ordered.
//!
//! Layout: one version byte, one kind byte, a length-prefixed JSON header, then the body's bytes to the end.
//! The body is kept as it came, so that a replay parses what was sent and not what we made of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::{
    ConsentStatus, Document, Entrance, Expression, FillOrder, FragmentId, LinkOrder, MatcherName,
    PurposeName, RejectCode, ReviewOrder, Selector, SourceName, StoredAccount, Timestamp, UndoId, Verdict,
};

const VERSION: u8 = 1;

/// Made at random for each request; message ids that senders left out are derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestId(pub u128);

/// One word about a purpose, as an officer or a request puts it on record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentOrder {
    /// The purpose; absent for `restricted` and `unrestricted`, which concern the whole person.
    #[serde(default)]
    pub purpose: Option<PurposeName>,
    /// What is to hold.
    pub status: ConsentStatus,
    /// How clearly it was said.
    #[serde(default)]
    pub expression: Expression,
    /// The version of the purpose; absent: the one in force.
    #[serde(default)]
    pub version: Option<u32>,
    /// Since when; absent: now.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// By which form, channel or request.
    #[serde(default)]
    pub how: Option<String>,
    /// Where the proof is kept.
    #[serde(default)]
    pub evidence: Option<String>,
}

/// What a person or a command ordered. In the log, so that a replay does the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// The workspace becomes these documents.
    Apply {
        /// All documents of the workspace.
        documents: Vec<Document>,
    },
    /// As `Apply`, with the documents encrypted: they hold write keys and secrets.
    ApplySealed {
        /// The sealed JSON of the documents, in base64.
        documents: String,
    },
    /// Words about purposes for the people that these fragments belong to, put on each of them.
    Consents {
        /// Whose.
        fragments: Vec<FragmentId>,
        /// What.
        words: Vec<ConsentOrder>,
    },
    /// Traits are put right: the new values win over everything said before.
    Rectify {
        /// Whose.
        fragment: FragmentId,
        /// The right values; `null` removes a trait.
        traits: BTreeMap<String, serde_json::Value>,
        /// Which request asked for it.
        request: String,
    },
    /// The people that these fragments belong to are erased, and what comes of them is not kept any more.
    Erase {
        /// Any fragment of each.
        fragments: Vec<FragmentId>,
        /// Which request asked for it.
        request: String,
    },
    /// What comes of these fragments may be kept again.
    LiftErasure {
        /// Which.
        fragments: Vec<FragmentId>,
    },
    /// What no purpose covers any more at this time leaves these fragments' profiles.
    Expire {
        /// Any fragment of each.
        fragments: Vec<FragmentId>,
    },
    /// An account is made or changed.
    PutAccount {
        /// The account.
        account: StoredAccount,
    },
    /// An account goes.
    RemoveAccount {
        /// Its name.
        name: String,
    },
    /// A data-subject request is opened or goes on. It names people by fragment only.
    PutRequest {
        /// Its id.
        id: String,
        /// Its whole state.
        request: serde_json::Value,
    },
    /// An alert of a tracking plan is raised, acknowledged or over. It names nobody.
    PutAlert {
        /// Its id.
        id: String,
        /// Its whole state.
        alert: serde_json::Value,
    },
    /// What an audit of the data's quality came to. It names nobody.
    PutAudit {
        /// The audit.
        audit: serde_json::Value,
    },
    /// What a matcher has learned. It names nobody and holds no value of anybody.
    PutModel {
        /// Which matcher.
        matcher: MatcherName,
        /// What it has learned, and from which columns.
        model: serde_json::Value,
    },
    /// These fragments leave the profile that they share with the rest of it.
    Split {
        /// The fragments that go, together, into a profile of their own.
        fragments: Vec<FragmentId>,
        /// Why, in the words of who ordered it.
        reason: String,
    },
    /// Pairs of identifiers are one person's each: evidence of a steward or a matcher.
    Link {
        /// Which.
        pairs: Vec<LinkOrder>,
    },
    /// A steward says whether two identifiers are one person's. The last word on a pair counts.
    Judge {
        /// One.
        a: FragmentId,
        /// The other.
        b: FragmentId,
        /// What is said.
        verdict: Verdict,
        /// The account that says so.
        by: String,
        /// Why. Names no persons.
        reason: String,
    },
    /// Pairs go into the review queue, unless a steward has judged them already.
    PutReviews {
        /// Which.
        pairs: Vec<ReviewOrder>,
    },
    /// Evidence counts no more in the clusters of these fragments. An undo of many is ordered in parts.
    Undo {
        /// The undo that this is a part of.
        id: UndoId,
        /// Which evidence.
        selector: Selector,
        /// Any fragment of each cluster.
        fragments: Vec<FragmentId>,
        /// The account that ordered it.
        by: String,
        /// Why. Names no persons.
        reason: String,
    },
    /// An undo is taken back in the clusters of these fragments.
    Redo {
        /// Which undo.
        id: UndoId,
        /// Any fragment of each cluster.
        fragments: Vec<FragmentId>,
        /// The account that ordered it.
        by: String,
        /// Why. Names no persons.
        reason: String,
    },
    /// The profiles of these fragments' clusters are computed anew by the rules in force.
    Resolve {
        /// Any fragment of each cluster.
        fragments: Vec<FragmentId>,
    },
    /// Time has passed: answers that may have changed by now are asked for.
    Tick {},
    /// What fragments did before definitions came, as far as these ask for it: a part of what fills them.
    FillAudience {
        /// The place of the log where the filling began: it brings the events before.
        since: u64,
        /// The number of the part, from 0 on; each is taken once, and in order.
        part: u64,
        /// The fragments.
        fragments: Vec<FillOrder>,
    },
    /// All parts have come: the definitions that were waiting for them are asked from now on.
    AudienceFilled {
        /// The place of the log where the filling began.
        since: u64,
    },
    /// Something refused before it could be an event: a body too large to keep, a row of a file.
    Reject {
        /// Where it came from.
        source: SourceName,
        /// Why, for machines.
        code: RejectCode,
        /// Why, for people.
        reason: String,
        /// What was refused, cut to the limit.
        payload: String,
        /// Whether it was cut.
        is_cut: bool,
        /// File and line, for a row of an imported file.
        line: Option<u64>,
    },
    /// A reject was accepted at last, or given up: it leaves the list.
    CloseReject {
        /// Its place.
        position: u64,
        /// Its number within that place.
        index: u32,
    },
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A body of the tracking API.
    Ingest {
        /// Which source sent it.
        source: SourceName,
        /// When.
        received_at: Timestamp,
        /// Under which id.
        request_id: RequestId,
        /// By which path.
        entrance: Entrance,
        /// Whether the request carried `Sec-GPC: 1`.
        gpc: bool,
        /// The body after decompression, as it came.
        body: Bytes,
    },
    /// An order.
    Operation {
        /// When.
        at: Timestamp,
        /// What.
        operation: Operation,
    },
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer Tessera.
    #[error("log record has version {found}, this build reads {VERSION}")]
    Newer {
        /// Its version.
        found: u8,
    },
    /// Not what `Record::encode` writes.
    #[error("log record cannot be read: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
struct IngestHeader<'a> {
    source: &'a str,
    at: i64,
    id: u128,
    entrance: Entrance,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gpc: bool,
}

#[derive(Serialize, Deserialize)]
struct OperationHeader<'a> {
    at: i64,
    #[serde(borrow)]
    operation: std::borrow::Cow<'a, serde_json::value::RawValue>,
}

impl Record {
    /// The record's bytes.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when an operation has no JSON form.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        match self {
            Self::Ingest { source, received_at, request_id, entrance, gpc, body } => {
                let header = IngestHeader {
                    source: source.as_str(),
                    at: received_at.as_millis(),
                    id: request_id.0,
                    entrance: *entrance,
                    gpc: *gpc,
                };
                frame(b'I', &serde_json::to_vec(&header).map_err(malformed)?, body)
            }
            Self::Operation { at, operation } => {
                let operation = serde_json::value::to_raw_value(operation).map_err(malformed)?;
                let header =
                    OperationHeader { at: at.as_millis(), operation: std::borrow::Cow::Owned(operation) };
                frame(b'O', &serde_json::to_vec(&header).map_err(malformed)?, b"")
            }
        }
    }

    /// An operation's bytes, brought to a length by spaces after its JSON, which say nothing.
    ///
    /// # Errors
    /// [`RecordError::Malformed`] when it does not fit.
    pub(crate) fn encode_padded(&self, len: usize) -> Result<Vec<u8>, RecordError> {
        let mut bytes = self.encode()?;
        let missing = len.checked_sub(bytes.len()).ok_or_else(|| malformed("it grew"))?;
        bytes.resize(len, b' ');
        let header = len
            .checked_sub(6)
            .and_then(|len| u32::try_from(len).ok())
            .ok_or_else(|| malformed("its length"))?;
        if missing > 0
            && let Some(field) = bytes.get_mut(2..6)
        {
            field.copy_from_slice(&header.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Reads a record back; the body shares the memory of `bytes`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let short = || RecordError::Malformed { what: "it ends too early".to_owned() };
        let (&[version, kind, l0, l1, l2, l3], rest) = bytes.split_first_chunk::<6>().ok_or_else(short)?;
        if version != VERSION {
            return Err(RecordError::Newer { found: version });
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let (header, body) = rest.split_at_checked(len).ok_or_else(short)?;
        match kind {
            b'I' => {
                let header: IngestHeader<'_> = serde_json::from_slice(header).map_err(malformed)?;
                Ok(Self::Ingest {
                    source: SourceName::parse(header.source).map_err(malformed)?,
                    received_at: Timestamp::from_millis(header.at),
                    request_id: RequestId(header.id),
                    entrance: header.entrance,
                    gpc: header.gpc,
                    body: bytes.slice_ref(body),
                })
            }
            b'O' => {
                let header: OperationHeader<'_> = serde_json::from_slice(header).map_err(malformed)?;
                let operation = serde_json::from_str(header.operation.get()).map_err(malformed)?;
                Ok(Self::Operation { at: Timestamp::from_millis(header.at), operation })
            }
            other => Err(RecordError::Malformed { what: format!("its kind is {other:#04x}") }),
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> RecordError {
    RecordError::Malformed { what: error.to_string() }
}

fn frame(kind: u8, header: &[u8], body: &[u8]) -> Result<Vec<u8>, RecordError> {
    let len = u32::try_from(header.len()).map_err(malformed)?;
    let mut out = Vec::with_capacity(6 + header.len() + body.len());
    out.extend([VERSION, kind]);
    out.extend(len.to_le_bytes());
    out.extend(header);
    out.extend(body);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ingest_records_read_back_as_written(body in proptest::collection::vec(any::<u8>(), 0..200), at in any::<i32>(), id in any::<u128>()) {
            let record = Record::Ingest {
                source: SourceName::parse("web").unwrap(),
                received_at: Timestamp::from_millis(i64::from(at)),
                request_id: RequestId(id),
                entrance: Entrance::Batch,
                gpc: at % 2 == 0,
                body: body.into(),
            };
            let bytes = Bytes::from(record.encode().unwrap());
            prop_assert_eq!(Record::decode(&bytes).unwrap(), record);
        }

        #[test]
        fn damaged_records_are_errors_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assume!(bytes.first() != Some(&1));
            prop_assert!(Record::decode(&Bytes::from(bytes)).is_err());
        }
    }

    #[test]
    fn operations_read_back_as_written() {
        let record = Record::Operation {
            at: Timestamp::from_millis(5),
            operation: Operation::Split {
                fragments: vec![FragmentId([3; 16])],
                reason: "two people".to_owned(),
            },
        };
        let bytes = Bytes::from(record.encode().unwrap());
        assert_eq!(Record::decode(&bytes).unwrap(), record);
    }
}
