//! Rejects as they are stored and listed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tessera_model::{Reject, RejectCode, SourceName, Timestamp};
use tessera_store::{Change, Key, Store, Table};

use crate::PipelineError;
use crate::view::place_key;

/// Names a reject: its place in the log. Written `position-index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RejectId {
    /// The log record.
    pub position: u64,
    /// The event's number within it.
    pub index: u32,
}

impl fmt::Display for RejectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.index)
    }
}

impl FromStr for RejectId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (position, index) = text.split_once('-').ok_or(())?;
        Ok(Self { position: position.parse().map_err(|_| ())?, index: index.parse().map_err(|_| ())? })
    }
}

impl RejectId {
    pub(crate) fn key(self) -> Key {
        place_key(Table::Reject, &[], self.position, self.index)
    }

    pub(crate) fn of(key: &Key) -> Option<Self> {
        let (position, index) = key.id().split_first_chunk::<8>()?;
        Some(Self {
            position: u64::from_be_bytes(*position),
            index: u32::from_be_bytes(index.try_into().ok()?),
        })
    }
}

/// A stored reject. The payload may be personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectRow {
    /// Why, for machines.
    pub code: RejectCode,
    /// Why, for people.
    pub reason: String,
    /// Where it came from.
    pub source: SourceName,
    /// When.
    pub at: Timestamp,
    /// What was refused.
    pub payload: String,
    /// Whether the payload was cut, so that it cannot be replayed.
    pub is_cut: bool,
    /// Line of an imported file.
    pub line: Option<u64>,
    /// Whether the payload is a whole body and not one event.
    pub is_body: bool,
    /// The call that the path named, for an event whose `type` is absent.
    pub call: Option<String>,
    /// Whether the request carried `Sec-GPC: 1`.
    pub gpc: bool,
}

impl RejectRow {
    pub(crate) fn of(reject: &Reject, source: &SourceName, at: Timestamp) -> Self {
        Self {
            code: reject.code,
            reason: reject.reason.clone(),
            source: source.clone(),
            at,
            payload: reject.payload.clone(),
            is_cut: reject.is_cut,
            line: None,
            is_body: false,
            call: None,
            gpc: false,
        }
    }

    /// The tracking plan that refused it: its reason begins with the plan's name.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        let is_of_plan = matches!(self.code, RejectCode::Blocked | RejectCode::Quarantined);
        self.reason.strip_prefix("tracking plan ").filter(|_| is_of_plan)?.split(' ').next()
    }

    pub(crate) fn put(&self, id: RejectId) -> Result<Change, PipelineError> {
        let bytes = postcard::to_stdvec(self)
            .map_err(|e| PipelineError::Stored { what: "reject", why: e.to_string() })?;
        Ok(Change { key: id.key(), before: None, after: Some(bytes.into()) })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, PipelineError> {
        postcard::from_bytes(bytes).map_err(|e| PipelineError::Stored { what: "reject", why: e.to_string() })
    }
}

impl fmt::Debug for RejectRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RejectRow({}: {}, {} bytes)", self.code, self.reason, self.payload.len())
    }
}

/// Up to `limit` rejects after `after`, oldest first, that are wanted.
///
/// # Errors
/// Those of the store.
pub fn list_rejects(
    store: &impl Store,
    after: Option<RejectId>,
    limit: usize,
    is_wanted: impl Fn(&RejectRow) -> bool,
) -> Result<Vec<(RejectId, RejectRow)>, PipelineError> {
    let mut found = Vec::new();
    let mut after = after.map(RejectId::key);
    loop {
        let rows = store.scan(Table::Reject, after.as_ref().map(Key::id), 1000)?;
        let Some((last, _)) = rows.last() else { return Ok(found) };
        after = Some(*last);
        for (key, value) in rows {
            let row = RejectRow::decode(&value)?;
            if let Some(id) = RejectId::of(&key).filter(|_| is_wanted(&row)) {
                found.push((id, row));
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
    }
}

/// One reject.
///
/// # Errors
/// Those of the store.
pub fn load_reject(store: &impl Store, id: RejectId) -> Result<Option<RejectRow>, PipelineError> {
    let found = store.load(&[id.key()])?.into_iter().next().flatten();
    found.map(|bytes| RejectRow::decode(&bytes)).transpose()
}
