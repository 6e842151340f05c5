//! Telling whoever passed a request on that its status has changed.
//!
//! Best effort: so many tries with growing pauses, then it is on record that nobody answered. Each change is told once;
//! while one cannot be told the next takes its place.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tessera_connect::call_back;
use tessera_rights::{clock, drp, opendsr};

use super::stored::{Protocol, Stored};
use crate::error::ApiError;

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries before a change is given up.
pub(super) const TRIES_MAX: u32 = 6;
/// Entries kept of how calls went.
const LOG_MAX: usize = 20;

/// An address to call when the status changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Callback {
    /// The address.
    pub(crate) url: String,
    /// The status told last, or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settled: Option<String>,
    /// How the calls went, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<Called>,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Called {
    /// When, RFC 3339.
    pub(crate) at: String,
    /// The status that was told.
    pub(crate) status: String,
    /// Why it was not taken; absent: it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

impl Callback {
    pub(crate) const fn new(url: String) -> Self {
        Self { url, settled: None, calls: Vec::new() }
    }

    pub(super) fn settle(&mut self, called: Called) {
        self.settled = Some(called.status.clone());
        self.calls.push(called);
        let more = self.calls.len().saturating_sub(LOG_MAX);
        self.calls.drain(..more);
    }
}

impl Stored {
    /// The status in the words of the protocol that the request came by.
    pub(crate) fn protocol_status(&self) -> Option<String> {
        let text = match self.via.as_ref()?.protocol {
            Protocol::OpenDsr => serde_json::to_value(opendsr::OpenDsrStatus::from(self.request.status())),
            Protocol::Drp => serde_json::to_value(drp::status_of(&self.request).0),
        };
        text.ok()?.as_str().map(str::to_owned)
    }

    /// Where it stands, as the protocol writes it; with `url` as the body of a call to it.
    pub(crate) fn protocol_body(
        &self,
        calendar: &tessera_rights::Calendar,
        now: tessera_model::Timestamp,
        url: Option<&str>,
    ) -> Result<serde_json::Value, ApiError> {
        let Some(via) = &self.via else { return Err(ApiError::Internal) };
        let expected = calendar.end_of(clock(&self.request, calendar, now).answer_by);
        let body = match via.protocol {
            Protocol::OpenDsr => {
                let mut body = opendsr::StatusBody::new(&self.request, &via.account, expected);
                let is_answered = body.request_status == opendsr::OpenDsrStatus::Completed
                    && self.request.identity_check().is_some()
                    && !self.request.opening().request_type.tells_recipients();
                if is_answered {
                    body.results_url = Some(format!("/api/v1/requests/{}/report", self.id()));
                }
                serde_json::to_value(match url {
                    Some(url) => body.called_back(url),
                    None => body,
                })
            }
            Protocol::Drp => serde_json::to_value(drp::StatusBody::new(
                &self.request,
                via.agent_request_id.clone(),
                expected,
            )),
        };
        body.map_err(|_| ApiError::Internal)
    }

    /// The addresses that the status as it is has not been told to.
    pub(super) fn due_callbacks(&self) -> Vec<String> {
        let Some(status) = self.protocol_status() else { return Vec::new() };
        let callbacks = self.via.iter().flat_map(|via| &via.callbacks);
        callbacks
            .filter(|callback| callback.settled.as_ref() != Some(&status))
            .map(|callback| callback.url.clone())
            .collect()
    }
}

/// One try. Blocks.
pub(super) fn call(url: &str, body: &serde_json::Value) -> Result<(), String> {
    call_back(url, body.to_string().as_bytes(), TIMEOUT)
}
