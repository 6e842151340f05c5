//! The settings of a webhook, read once and checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use tessera_model::Secret;
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::address;
use super::sign::Signer;
use crate::ConfigError;
use crate::settings::{self, problem};

const SECRET_BYTES_MIN: usize = 16;
const BATCH_MAX: usize = 1000;
const TIMEOUT_SECONDS_MAX: u64 = 300;

/// What people write. Everything but `url` and `secret` may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where to POST: `https://...`, or `http://...` within your own network.
    url: String,
    /// What the signature is made with, at least 16 bytes. Never shown.
    secret: Secret,
    /// The most events in one request, 1 to 1000.
    #[serde(default = "batch_max")]
    batch_max: usize,
    /// How long one request may take in all, in seconds, 1 to 300. After that it is tried again.
    #[serde(default = "timeout_seconds")]
    timeout_seconds: u64,
    /// More headers for every request, such as `Authorization`. Their values are never shown.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
}

const fn batch_max() -> usize {
    100
}

const fn timeout_seconds() -> u64 {
    10
}

/// Settings that can be used. No `Debug`: the headers hold secrets.
pub(super) struct Config {
    pub(super) url: Uri,
    pub(super) signer: Signer,
    pub(super) batch_max: usize,
    pub(super) timeout: Duration,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Config {
    pub(super) fn parse(config: &Map<String, Value>) -> Result<Self, ConfigError> {
        let settings: Settings = settings::read(config, &["secret", "headers"])?;
        if settings.secret.reveal().len() < SECRET_BYTES_MIN {
            let what = format!("is shorter than {SECRET_BYTES_MIN} bytes");
            return Err(problem("secret", what, "make one with `openssl rand -hex 32`"));
        }
        if !(1..=BATCH_MAX).contains(&settings.batch_max) {
            let what = format!("is {}, the limits are 1 and {BATCH_MAX}", settings.batch_max);
            return Err(problem("batch_max", what, "100 suits most receivers"));
        }
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&settings.timeout_seconds) {
            let what = format!("is {}, the limits are 1 and {TIMEOUT_SECONDS_MAX}", settings.timeout_seconds);
            return Err(problem("timeout_seconds", what, "10 suits most receivers"));
        }
        Ok(Self {
            url: parse_url(&settings.url)?,
            signer: Signer::new(&settings.secret)
                .ok_or_else(|| problem("secret", "cannot be used as a key", "choose another"))?,
            batch_max: settings.batch_max,
            timeout: Duration::from_secs(settings.timeout_seconds),
            headers: settings
                .headers
                .iter()
                .map(|(name, value)| parse_header(name, value))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Errors never show the address: many hold a token.
fn parse_url(text: &str) -> Result<Uri, ConfigError> {
    let example = "write it like `https://example.com/tessera`; other letters than ASCII as punycode or %XX";
    if !["https://", "http://"].iter().any(|scheme| starts_with_ignoring_case(text, scheme)) {
        return Err(problem("url", "does not start with https:// or http://", example));
    }
    let url: Uri = text.parse().map_err(|_| problem("url", "is not a URL", example))?;
    let Some(authority) = url.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(problem("url", "names no host", example));
    };
    if authority.as_str().contains('@') {
        let hint = "put them into `headers` as `Authorization`, where they are not shown";
        return Err(problem("url", "holds a user name or password", hint));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.parse::<IpAddr>().is_ok_and(address::is_off_limits) {
        let hint = "use the address of the receiver itself";
        return Err(problem("url", "is a link-local or cloud metadata address", hint));
    }
    Ok(url)
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
}

fn parse_header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), ConfigError> {
    const OURS: [&str; 9] = [
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "tessera-signature",
        "transfer-encoding",
        "user-agent",
    ];
    let field = format!("headers.{name}");
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| problem(&field, "is not a header name", "use letters, digits and hyphens"))?;
    if OURS.contains(&parsed.as_str()) {
        return Err(problem(&field, "is a header that Tessera sets itself", "remove it"));
    }
    let mut value = HeaderValue::from_str(value.reveal())
        .map_err(|_| problem(&field, "holds a line break or control character", "use one line of text"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}
