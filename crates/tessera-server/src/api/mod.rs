//! The admin API under `/api/v1`: profiles, the workspace, rejects, destinations, totals, the live stream.
//!
//! Invariant: nothing here is served but through [`crate::access::guard`]; a profile leaves only as
//! [`tessera_policy::Permitted`].

pub(crate) mod alerts;
pub(crate) mod audiences;
pub(crate) mod breach;
pub(crate) mod consents;
mod contact_points;
pub(crate) mod destinations;
pub(crate) mod disclosure;
pub(crate) mod drp;
pub(crate) mod erasures;
pub(crate) mod evidence;
mod evidence_export;
pub(crate) mod find;
pub(crate) mod groups;
pub(crate) mod insights;
pub(crate) mod lake;
pub(crate) mod live;
pub(crate) mod matchers;
pub(crate) mod merge;
pub(crate) mod opendsr;
pub(crate) mod plans;
pub(crate) mod profile_answer;
mod profile_events;
pub(crate) mod profiles;
mod progress;
pub(crate) mod quality;
pub(crate) mod query;
pub(crate) mod receipts;
pub(crate) mod records;
pub(crate) mod reject_replay;
pub(crate) mod rejects;
pub(crate) mod requests;
pub(crate) mod reviews;
pub(crate) mod shared_identifiers;
pub(crate) mod simulate;
pub(crate) mod simulate_answer;
pub(crate) mod split;
pub(crate) mod totals;
pub(crate) mod undo;
mod undo_answer;
pub(crate) mod validate;
pub(crate) mod why;
pub(crate) mod workspace;

use axum::extract::{Query, Request};
use axum::http::Uri;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tessera_store::{Log, Store};

use crate::body::{self, BodyLimits};
use crate::error::ApiError;
use crate::shared::App;

/// Longest body of the admin API, in bytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The query of a request, taken apart key by key; what is left over at the end is unknown.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(ApiError::bad("the query cannot be read", "write it `?name=value&name=value`")),
        }
    }

    /// The value of `name`, removed.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Every pair whose name starts with `prefix`, removed, without the prefix.
    pub(crate) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let mut taken = Vec::new();
        self.0.retain(|(name, value)| match name.strip_prefix(prefix) {
            Some(rest) => {
                taken.push((rest.to_owned(), value.clone()));
                false
            }
            None => true,
        });
        taken
    }

    /// `limit`, from 1 to `max`.
    pub(crate) fn limit(&mut self, default: usize, max: usize) -> Result<usize, ApiError> {
        let Some(text) = self.take("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| ApiError::bad("`limit` is out of range", format!("use a number from 1 to {max}")))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self, known: &str) -> Result<(), ApiError> {
        Self::unknown(self.0.first(), known)
    }

    /// Refuses these.
    pub(crate) fn refuse(&self, names: &[&str], known: &str) -> Result<(), ApiError> {
        Self::unknown(self.0.iter().find(|(name, _)| names.contains(&name.as_str())), known)
    }

    fn unknown(pair: Option<&(String, String)>, known: &str) -> Result<(), ApiError> {
        match pair {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(80).collect();
                Err(ApiError::bad(
                    format!("`{name}` is unknown or given twice in the query"),
                    format!("known: {known}"),
                ))
            }
        }
    }
}

/// Reads a JSON body of the admin API.
pub(crate) async fn read_json<T: DeserializeOwned, L: Log, S: Store>(
    app: &App<L, S>,
    request: Request,
) -> Result<T, ApiError> {
    let body = read_body(app, request).await?;
    serde_json::from_slice(&body).map_err(|error| bad_json(&error))
}

/// Reads a body of the admin API.
pub(crate) async fn read_body<L: Log, S: Store>(
    app: &App<L, S>,
    request: Request,
) -> Result<Bytes, ApiError> {
    let limits =
        BodyLimits { bytes_max: BODY_BYTES_MAX, seconds_max: app.parts.limits.request_timeout_seconds };
    let mut held = app.hold(0).ok_or(ApiError::Overloaded)?;
    body::read(request.into_body(), limits, &mut held).await.map_err(|error| limits.error(&error))
}

/// What is wrong with a JSON text, without its values: `invalid type: string "ada@x.org", expected ...` quotes one.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(": ").filter(|(kind, _)| kind.starts_with("invalid")) {
        Some((kind, rest)) => match rest.split_once(", expected ") {
            Some((_, expected)) => format!("{kind}, expected {expected}"),
            None => kind.to_owned(),
        },
        None => text,
    }
}

fn bad_json(error: &serde_json::Error) -> ApiError {
    let what = format!("the body is not the JSON that is wanted: {}", describe(error));
    ApiError::bad(what, "compare it with `GET /openapi.json`")
}
