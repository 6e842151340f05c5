//! Who sends: the write key, wherever the client puts it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use tessera_model::{Rules, SourceRules, pick, pick_path};

use crate::error::ApiError;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The source of the write key in the headers or the query. `Ok(None)`: neither has one, the body may.
///
/// The first place that has a key decides: Jitsu's client sends a masked key in the body next to the real one.
pub(crate) fn from_head(
    rules: &Rules,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Option<Arc<SourceRules>>, ApiError> {
    let key = basic(headers).or_else(|| x_write_key(headers)).or_else(|| query(uri));
    key.map(|key| source(rules, &key)).transpose()
}

/// The source of a write key.
pub(crate) fn source(rules: &Rules, key: &str) -> Result<Arc<SourceRules>, ApiError> {
    rules.source_by_write_key(key).map(Arc::clone).ok_or(ApiError::WriteKey)
}

/// The source of the `writeKey` at the top level of the body.
pub(crate) fn from_body(rules: &Rules, body: &[u8]) -> Result<Arc<SourceRules>, ApiError> {
    let text = String::from_utf8_lossy(body);
    let raw: &RawValue = serde_json::from_str(&text).map_err(|_| ApiError::WriteKey)?;
    let key = pick(raw, "writeKey").and_then(|value| pick_path(value, &[])).ok_or(ApiError::WriteKey)?;
    source(rules, &key)
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(credentials.trim()).ok()?).ok()?;
    Some(before_colon(&decoded).to_owned())
}

fn x_write_key(headers: &HeaderMap) -> Option<String> {
    Some(before_colon(headers.get("x-write-key")?.to_str().ok()?).to_owned())
}

/// What is before the colon is the key; behind it is a password that is empty, or Jitsu's secret, which we do not need.
fn before_colon(text: &str) -> &str {
    text.split_once(':').map_or(text, |(key, _)| key)
}

fn query(uri: &Uri) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(Cow<'_, str>, String)>>::try_from_uri(uri).ok()?;
    pairs.0.into_iter().find(|(name, _)| name == "writeKey").map(|(_, key)| before_colon(&key).to_owned())
}
