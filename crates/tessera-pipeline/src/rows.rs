//! Rows that are JSON: the workspace, accounts, requests, erasures.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tessera_model::{FragmentId, HashKey, SealKey, StoredAccount, Timestamp};
use tessera_quality::Audit;
use tessera_store::{Change, Key, Store, Table, Value};

use crate::PipelineError;
use crate::quality::AUDITS_MAX;
use crate::view::{place_key, row_key};

/// An erasure that was ordered. Holds no personal data: fragments are keyed hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRow {
    /// Where the order stands in the log.
    pub position: u64,
    /// Which request asked for it.
    pub request: String,
    /// Every identifier of the people meant.
    pub fragments: Vec<FragmentId>,
    /// Identifiers of people of whom the law obliges to keep something: they were erased but for that.
    #[serde(default)]
    pub spared: Vec<FragmentId>,
    /// When it was ordered.
    pub at: Timestamp,
}

pub(crate) fn account_key(name: &str) -> Key {
    row_key(Table::Account, name)
}

pub(crate) fn request_key(id: &str) -> Key {
    row_key(Table::Request, id)
}

pub(crate) fn erasure_key(position: u64) -> Key {
    place_key(Table::Erasure, &[], position, 0)
}

pub(crate) fn bad(what: &'static str) -> impl Fn(serde_json::Error) -> PipelineError {
    move |error| PipelineError::Stored { what, why: error.to_string() }
}

/// The change that makes the row under `key` say `value`, or removes it.
pub(crate) fn put(
    store: &impl Store,
    key: Key,
    value: Option<&impl Serialize>,
) -> Result<Change, PipelineError> {
    let before = store.load(&[key])?.into_iter().next().flatten();
    let after = value.map(serde_json::to_vec).transpose().map_err(bad("row"))?.map(Value::from);
    Ok(Change { key, before, after })
}

pub(crate) fn all<T: DeserializeOwned>(
    store: &impl Store,
    table: Table,
    what: &'static str,
) -> Result<Vec<T>, PipelineError> {
    let mut found = Vec::new();
    crate::replay::for_each_row(store, &[table], |_, value| {
        found.push(serde_json::from_slice(value).map_err(bad(what))?);
        Ok(())
    })?;
    Ok(found)
}

/// Every account.
///
/// # Errors
/// Those of the store.
pub fn load_accounts(store: &impl Store) -> Result<Vec<StoredAccount>, PipelineError> {
    all(store, Table::Account, "account")
}

/// Every data-subject request.
///
/// # Errors
/// Those of the store.
pub fn load_requests<T: DeserializeOwned>(store: &impl Store) -> Result<Vec<T>, PipelineError> {
    all(store, Table::Request, "request")
}

/// One data-subject request.
///
/// # Errors
/// Those of the store.
pub fn load_request<T: DeserializeOwned>(store: &impl Store, id: &str) -> Result<Option<T>, PipelineError> {
    let found = store.load(&[request_key(id)])?.into_iter().next().flatten();
    found.map(|bytes| serde_json::from_slice(&bytes).map_err(bad("request"))).transpose()
}

/// Every erasure that was ordered, in the order of the log.
///
/// # Errors
/// Those of the store.
pub fn load_erasures(store: &impl Store) -> Result<Vec<ErasureRow>, PipelineError> {
    all(store, Table::Erasure, "erasure")
}

/// The changes that keep an audit, and let the oldest go when there are too many.
pub(crate) fn put_audit(
    store: &impl Store,
    position: u64,
    audit: &serde_json::Value,
) -> Result<Vec<Change>, PipelineError> {
    let kept = store.scan(Table::Quality, None, AUDITS_MAX)?;
    let oldest = kept.first().filter(|_| kept.len() >= AUDITS_MAX);
    let mut rows: Vec<Change> = oldest
        .map(|(key, value)| Change { key: *key, before: Some(value.clone()), after: None })
        .into_iter()
        .collect();
    rows.push(put(store, place_key(Table::Quality, &[], position, 0), Some(audit))?);
    Ok(rows)
}

/// The audits of the data's quality that were kept, oldest first.
///
/// # Errors
/// Those of the store.
pub fn load_audits(store: &impl Store) -> Result<Vec<Audit>, PipelineError> {
    all(store, Table::Quality, "audit")
}

/// JSON that only this installation can read.
pub(crate) fn seal(key: &HashKey, value: &impl Serialize) -> Result<Vec<u8>, PipelineError> {
    let text = serde_json::to_vec(value).map_err(bad("workspace"))?;
    SealKey::of(key).seal(&text).ok_or(PipelineError::Sealed)
}

/// Reads what [`seal`] wrote.
pub(crate) fn open<T: DeserializeOwned>(key: &HashKey, sealed: &[u8]) -> Result<T, PipelineError> {
    let text = SealKey::of(key).open(sealed).ok_or(PipelineError::Sealed)?;
    serde_json::from_slice(&text).map_err(bad("workspace"))
}
