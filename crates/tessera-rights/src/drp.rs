//! The Data Rights Protocol, version 1.0: how authorised agents exercise people's rights with a business.
//!
//! Not the transport: the Ed25519 signature before the JSON and the bearer token are checked by the caller, before
//! anything here reads the body. Invariant: no claim about the person shows itself in `Debug` or in an error.
//! Reference: <https://github.com/consumer-reports-innovation-lab/data-rights-protocol>, sections 2.01, 3.01-3.06.

use serde::{Deserialize, Serialize};
use tessera_model::{FragmentId, Secret, Timestamp};

use crate::request::{
    Actor, DenialReason, Opening, Regime, Request, RequestType, Status, SubjectRequestId, rfc3339,
};
use crate::wire::{WireError, read, required, required_time};

/// The version that is spoken.
pub const VERSION: &str = "1.0";

/// The right that is exercised (section 3.01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Exercise {
    /// No more sale.
    #[serde(rename = "sale:opt-out")]
    SaleOptOut,
    /// Sale allowed again.
    #[serde(rename = "sale:opt-in")]
    SaleOptIn,
    /// Delete.
    #[serde(rename = "deletion")]
    Deletion,
    /// Know.
    #[serde(rename = "access")]
    Access,
    /// Know the categories.
    #[serde(rename = "access:categories")]
    AccessCategories,
    /// Know the specific pieces.
    #[serde(rename = "access:specific")]
    AccessSpecific,
}

impl Exercise {
    /// Reads the right. The protocol's example writes `sale:opt-out` and its table `sale:opt_out`: both are taken.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "sale:opt-out" | "sale:opt_out" => Some(Self::SaleOptOut),
            "sale:opt-in" | "sale:opt_in" => Some(Self::SaleOptIn),
            "deletion" => Some(Self::Deletion),
            "access" => Some(Self::Access),
            "access:categories" => Some(Self::AccessCategories),
            "access:specific" => Some(Self::AccessSpecific),
            _ => None,
        }
    }

    /// The request it is; nothing for an opt-in, which is a consent to be recorded and not a request.
    #[must_use]
    pub const fn request_type(self) -> Option<RequestType> {
        match self {
            Self::SaleOptOut => Some(RequestType::OptOutOfSale),
            Self::SaleOptIn => None,
            Self::Deletion => Some(RequestType::Erasure),
            Self::Access | Self::AccessCategories | Self::AccessSpecific => Some(RequestType::Access),
        }
    }
}

/// What the agent says about the person (section 3.04), and which of it the agent has verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The full name.
    pub name: Option<Secret>,
    /// The e-mail address.
    pub email: Option<Secret>,
    /// Whether the agent verified it.
    pub is_email_verified: bool,
    /// The phone number in E.164.
    pub phone_number: Option<Secret>,
    /// Whether the agent verified it.
    pub is_phone_number_verified: bool,
}

impl Claims {
    /// The identifiers, as (namespace, value), that the agent has verified: others prove nothing.
    pub fn verified(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        let email = self.email.as_ref().filter(|_| self.is_email_verified).map(|value| ("email", value));
        let phone = self.phone_number.as_ref().filter(|_| self.is_phone_number_verified);
        email.into_iter().chain(phone.map(|value| ("phone", value)))
    }
}

/// A request as an agent sends it, once its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrpRequest {
    /// Who asks on the person's behalf.
    pub agent_id: String,
    /// Whom the agent asks.
    pub business_id: String,
    /// The agent's own number for it.
    pub agent_request_id: Option<String>,
    /// When the agent made it.
    pub issued_at: Timestamp,
    /// When it is no longer to be taken.
    pub expires_at: Timestamp,
    /// The right.
    pub exercise: Exercise,
    /// The law; nothing asks for what is done voluntarily.
    pub regime: Option<Regime>,
    /// Hints where the person's data may be.
    pub relationships: Vec<String>,
    /// Whom to call when the status changes.
    pub status_callback: Option<String>,
    /// The person.
    pub claims: Claims,
}

/// Whom and when a request must be for (section 3.07).
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The agent whose token and signature came with it.
    pub agent_id: &'a str,
    /// Ourselves.
    pub business_id: &'a str,
    /// The moment.
    pub now: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireRequest {
    agent_id: Option<String>,
    business_id: Option<String>,
    agent_request_id: Option<String>,
    issued_at: Option<String>,
    expires_at: Option<String>,
    #[serde(rename = "drp.version")]
    version: Option<String>,
    exercise: Option<String>,
    regime: Option<String>,
    #[serde(default)]
    relationships: Vec<String>,
    #[serde(rename = "status_callback")]
    status_callback: Option<String>,
    name: Option<Secret>,
    email: Option<Secret>,
    #[serde(default, rename = "email_verified")]
    email_verified: bool,
    #[serde(rename = "phone_number")]
    phone_number: Option<Secret>,
    #[serde(default, rename = "phone_number_verified")]
    phone_number_verified: bool,
}

impl DrpRequest {
    /// Reads the JSON of `POST /v1/data-rights-request` after its signature was verified, and checks that it is
    /// for us, from that agent, now.
    ///
    /// # Errors
    /// [`WireError`], without any claim in it.
    pub fn parse(body: &[u8], expected: &Expected<'_>) -> Result<Self, WireError> {
        let wire: WireRequest = read(body)?;
        let unsupported = |field: &str, known| WireError::Unsupported { field: field.to_owned(), known };
        let version = required("drp.version", wire.version)?;
        if !version.starts_with("0.9") && !version.starts_with("1.") {
            return Err(unsupported("drp.version", "0.9, 1.0"));
        }
        let exercise = Exercise::parse(&required("exercise", wire.exercise)?);
        let regime = match wire.regime.as_deref() {
            None | Some("" | "voluntary") => None,
            Some(name) => Some(
                Regime::parse(name).ok_or_else(|| unsupported("regime", "ccpa, gdpr, lgpd, or left out"))?,
            ),
        };
        if wire.status_callback.as_deref().is_some_and(|url| !url.starts_with("https://")) {
            return Err(unsupported("status_callback", "an https address"));
        }
        let request = Self {
            agent_id: required("agent-id", wire.agent_id)?,
            business_id: required("business-id", wire.business_id)?,
            agent_request_id: wire.agent_request_id,
            issued_at: required_time("issued-at", wire.issued_at)?,
            expires_at: required_time("expires-at", wire.expires_at)?,
            exercise: exercise.ok_or_else(|| {
                let known = "sale:opt-out, sale:opt-in, deletion, access, access:categories, access:specific";
                unsupported("exercise", known)
            })?,
            regime,
            relationships: wire.relationships,
            status_callback: wire.status_callback,
            claims: Claims {
                name: wire.name,
                email: wire.email,
                is_email_verified: wire.email_verified,
                phone_number: wire.phone_number,
                is_phone_number_verified: wire.phone_number_verified,
            },
        };
        request.check(expected)?;
        Ok(request)
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), WireError> {
        let not_for_us = |field, what| Err(WireError::NotForUs { field, what });
        if self.agent_id != expected.agent_id {
            return not_for_us("agent-id", "is not the agent whose token it came with");
        }
        if self.business_id != expected.business_id {
            return not_for_us("business-id", "is another business");
        }
        if self.issued_at > expected.now {
            return not_for_us("issued-at", "is in the future");
        }
        if self.expires_at <= expected.now {
            return not_for_us("expires-at", "has passed");
        }
        Ok(())
    }

    /// The request that this one opens here, under `voluntary` where it names no law; nothing for an opt-in.
    #[must_use]
    pub fn opening(
        &self,
        id: SubjectRequestId,
        subjects: Vec<FragmentId>,
        received_at: Timestamp,
        voluntary: Regime,
    ) -> Option<Opening> {
        Some(Opening {
            id,
            regime: self.regime.unwrap_or(voluntary),
            request_type: self.exercise.request_type()?,
            subjects,
            purposes: std::collections::BTreeSet::new(),
            received_at,
            by: Actor::Agent(self.agent_id.as_str().into()),
        })
    }
}

/// The body of `DELETE /v1/data-rights-request/{id}` (section 2.04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Why, if the person said so.
    pub reason: String,
}

impl Revocation {
    /// Reads the JSON after its signature was verified.
    ///
    /// # Errors
    /// [`WireError::Unreadable`].
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            reason: String,
        }
        let Wire { reason } = read(body)?;
        Ok(Self { reason })
    }
}

/// Where a request stands, in the protocol's words (section 3.02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrpStatus {
    /// Arrived.
    Open,
    /// Acknowledged, or being worked on.
    InProgress,
    /// Done.
    Fulfilled,
    /// Taken back.
    Revoked,
    /// Not done.
    Denied,
    /// Came after it had expired.
    Expired,
}

/// Why it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrpReason {
    /// The person must show who they are.
    NeedUserVerification,
    /// Believed fraudulent.
    SuspectedFraud,
    /// The person did not show who they are, or not in time.
    InsufVerification,
    /// Nobody matches.
    NoMatch,
    /// The law does not cover what is asked.
    ClaimNotCovered,
    /// The law does not cover who asks.
    OutsideJurisdiction,
    /// More often than the law obliges.
    TooManyRequests,
    /// Something else.
    Other,
}

impl From<DenialReason> for DrpReason {
    fn from(reason: DenialReason) -> Self {
        match reason {
            DenialReason::IdentityNotProven => Self::InsufVerification,
            DenialReason::NoMatch => Self::NoMatch,
            DenialReason::Fraudulent => Self::SuspectedFraud,
            DenialReason::Excessive | DenialReason::TooOften => Self::TooManyRequests,
            DenialReason::OutsideJurisdiction => Self::OutsideJurisdiction,
            DenialReason::StillNeeded
            | DenialReason::FreedomOfExpression
            | DenialReason::LegalObligation
            | DenialReason::PublicHealth
            | DenialReason::Research
            | DenialReason::LegalClaims
            | DenialReason::RightsOfOthers
            | DenialReason::NotPortable
            | DenialReason::NoGroundForRestriction
            | DenialReason::CompellingGrounds
            | DenialReason::NoRightToObject
            | DenialReason::NotSold => Self::ClaimNotCovered,
            DenialReason::ManifestlyUnfounded
            | DenialReason::Accurate
            | DenialReason::NotController
            | DenialReason::Other => Self::Other,
        }
    }
}

/// Status and reason of `request`. That the person never answered is `denied` for `insuf_verification`: the
/// protocol's `expired` means a request that came too late.
#[must_use]
pub fn status_of(request: &Request) -> (DrpStatus, Option<DrpReason>) {
    match request.status() {
        Status::Received if request.acknowledged_at().is_none() => (DrpStatus::Open, None),
        Status::Received | Status::InProgress => (DrpStatus::InProgress, None),
        Status::IdentityCheck => (DrpStatus::InProgress, Some(DrpReason::NeedUserVerification)),
        Status::Completed => (DrpStatus::Fulfilled, None),
        Status::Denied(reason) => (DrpStatus::Denied, Some(reason.into())),
        Status::Cancelled => (DrpStatus::Revoked, None),
        Status::Expired => (DrpStatus::Denied, Some(DrpReason::InsufVerification)),
    }
}

/// The Exercise Status object (section 3.03): the answer to every call, and the body of a status callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBody {
    /// Our id of it.
    pub request_id: SubjectRequestId,
    /// The agent's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_request_id: Option<String>,
    /// When it arrived.
    #[serde(with = "rfc3339")]
    pub received_at: Timestamp,
    /// When an answer can be expected.
    #[serde(with = "rfc3339")]
    pub expected_by: Timestamp,
    /// In words, for the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_details: Option<String>,
    /// Where it stands.
    pub status: DrpStatus,
    /// Why there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DrpReason>,
    /// Where the person shows who they are; required while `need_user_verification`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_verification_url: Option<String>,
    /// Where the results are, once fulfilled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results_url: Option<String>,
}

impl StatusBody {
    /// Where `request` stands. Details and addresses are the caller's to add.
    #[must_use]
    pub fn new(request: &Request, agent_request_id: Option<String>, expected_by: Timestamp) -> Self {
        let (status, reason) = status_of(request);
        Self {
            request_id: request.opening().id,
            agent_request_id,
            received_at: request.opening().received_at,
            expected_by,
            processing_details: None,
            status,
            reason,
            user_verification_url: None,
            results_url: None,
        }
    }
}

/// The answer to a call that was not taken (section 3.06).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// The HTTP status as text.
    pub code: String,
    /// What happened, and what to do.
    pub message: String,
    /// Whether trying again is useless.
    pub fatal: bool,
}

impl From<&WireError> for ErrorBody {
    fn from(error: &WireError) -> Self {
        Self {
            code: "400".to_owned(),
            message: format!("{}: {error}; {}", error.code(), error.hint()),
            fatal: matches!(error, WireError::NotForUs { .. } | WireError::Unsupported { .. }),
        }
    }
}

#[cfg(test)]
mod tests;
