//! A request as it is kept, and the one way to change it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tessera_model::{Operation, Timestamp};
use tessera_pipeline::load_request;
use tessera_rights::{Action, Actor, DenialReason, Request, Step, SubjectRequestId, apply};
use tessera_store::{Log, Store};

use super::callback::Callback;
use super::{calendar, no_such_request};
use crate::error::ApiError;
use crate::shared::{Shared, blocking};

/// A request with what this server knows of it besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(flatten)]
    pub(crate) request: Request,
    /// Through which protocol it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) via: Option<Via>,
    /// Nobody was found when it was fulfilled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_data_found: bool,
    /// The exceptions under which it is to be completed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) except: BTreeSet<DenialReason>,
    /// Its erasure is being ordered, or was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_erasing: bool,
}

/// How a request came in that somebody else passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Via {
    pub(crate) protocol: Protocol,
    /// The account that passed it on: no other sees it through the protocol.
    pub(crate) account: String,
    /// Whether the account answers for who the person is.
    #[serde(default)]
    pub(crate) is_vouched_for: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) callbacks: Vec<Callback>,
    /// The agent's own number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_request_id: Option<String>,
}

/// A protocol for passing requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// OpenDSR.
    OpenDsr,
    /// The Data Rights Protocol.
    Drp,
}

impl Protocol {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OpenDsr => "opendsr",
            Self::Drp => "drp",
        }
    }
}

impl Stored {
    pub(crate) fn new(request: Request) -> Self {
        Self { request, via: None, no_data_found: false, except: BTreeSet::new(), is_erasing: false }
    }

    pub(crate) fn id(&self) -> SubjectRequestId {
        self.request.opening().id
    }

    /// Takes a step now; a clock that was set back does not stand in the way.
    pub(crate) fn step(
        &mut self,
        by: Actor,
        action: Action,
        calendar: &tessera_rights::Calendar,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let last = self.request.history().last().map_or(self.request.opening().received_at, |step| step.at);
        self.request = apply(&self.request, Step { at: now.max(last), by, action }, calendar)?;
        Ok(())
    }
}

impl<L: Log, S: Store> Shared<L, S> {
    pub(crate) async fn load_request(self: &Arc<Self>, id: SubjectRequestId) -> Result<Stored, ApiError> {
        let app = Arc::clone(self);
        blocking(move || app.find_request(id)).await
    }

    pub(crate) fn find_request(&self, id: SubjectRequestId) -> Result<Stored, ApiError> {
        load_request(self.parts.store.as_ref(), &id.to_string())?.ok_or_else(no_such_request)
    }

    /// Puts a request on record, durably and visibly.
    pub(crate) async fn put_request(&self, stored: &Stored) -> Result<(), ApiError> {
        let request = serde_json::to_value(stored).map_err(|_| ApiError::Internal)?;
        let position = self.order(Operation::PutRequest { id: stored.id().to_string(), request }).await?;
        self.settle(position).await
    }

    /// Takes steps about a request, one after the other and nobody else meanwhile.
    pub(crate) async fn take_steps(
        self: &Arc<Self>,
        id: SubjectRequestId,
        steps: Vec<(Actor, Action)>,
    ) -> Result<Stored, ApiError> {
        let _one = self.requests.lock().await;
        let mut stored = self.load_request(id).await?;
        let calendar = calendar(&self.parts.rules.load())?;
        let would_stop = |(_, action): &(Actor, Action)| {
            matches!(action, Action::Deny { .. } | Action::Cancel { .. } | Action::Expire)
        };
        if steps.iter().any(would_stop) && self.is_erasure_ordered(&stored).await? {
            let what = "the erasure has been ordered and goes on".to_owned();
            let hint = "wait until it is completed; what is erased cannot be brought back";
            return Err(ApiError::rights(StatusCode::CONFLICT, "TES-R026", what, hint));
        }
        for (by, action) in steps {
            stored.step(by, action, &calendar, self.parts.clock.now())?;
        }
        self.put_request(&stored).await?;
        self.look_after(&stored);
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use tessera_model::FragmentId;
    use tessera_rights::{IdentityProof, Opening, Regime, RequestType};

    use super::*;

    #[test]
    fn a_request_reads_back_as_written_with_its_history() {
        let opening = Opening {
            id: SubjectRequestId::from_random(7),
            regime: Regime::Gdpr,
            request_type: RequestType::Erasure,
            subjects: vec![FragmentId([3; 16])],
            purposes: std::collections::BTreeSet::new(),
            received_at: Timestamp::from_millis(1000),
            by: Actor::Agent("partner".into()),
        };
        let mut stored = Stored::new(Request::open(opening).unwrap());
        stored.via = Some(Via {
            protocol: Protocol::OpenDsr,
            account: "partner".to_owned(),
            is_vouched_for: true,
            callbacks: vec![Callback::new("https://partner.example/status".to_owned())],
            agent_request_id: None,
        });
        let proof = Action::ConfirmIdentity { proof: IdentityProof::VouchedFor };
        let calendar = tessera_rights::Calendar::default();
        stored.step(Actor::Agent("partner".into()), proof, &calendar, Timestamp::from_millis(2000)).unwrap();
        // The clock was set back: the step counts as taken with the last one.
        stored.step(Actor::System, Action::Acknowledge, &calendar, Timestamp::from_millis(5)).unwrap();
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<Stored>(&text).unwrap(), stored);
        assert_eq!(stored.request.history().len(), 2);
    }
}
