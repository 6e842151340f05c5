//! OpenDSR (formerly OpenGDPR), versions 1 and 2: how controllers pass data-subject requests to processors, and how
//! these answer.
//!
//! Not the transport: signing answers (`X-OpenDSR-Signature`), calling back and hashing identities are the
//! caller's. Invariant: no identity shows itself in `Debug` or in an error. Reference:
//! <https://github.com/opengdpr/OpenDSR/blob/master/specification.md>.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tessera_model::{FragmentId, Secret, Timestamp};

use crate::request::{Actor, Opening, Regime, Request, RequestType, Status, SubjectRequestId, rfc3339};
use crate::wire::{WireError, read, required, required_time};

/// The version that is spoken; requests of version 1 are read too.
pub const API_VERSION: &str = "2.0";
/// Most identities in one request.
pub const IDENTITIES_MAX: usize = 100;
/// Most addresses to call back.
pub const CALLBACKS_MAX: usize = 10;

const TYPES: [(&str, RequestType); 3] = [
    ("access", RequestType::Access),
    ("portability", RequestType::Portability),
    ("erasure", RequestType::Erasure),
];

/// The kinds of identity that the specification names (section 5.1); others may come in `extensions`.
const IDENTITY_TYPES: [&str; 11] = [
    "controller_customer_id",
    "android_advertising_id",
    "android_id",
    "email",
    "fire_advertising_id",
    "ios_advertising_id",
    "ios_vendor_id",
    "microsoft_advertising_id",
    "microsoft_publisher_id",
    "roku_publisher_id",
    "roku_advertising_id",
];

/// How an identity is written (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityFormat {
    /// As it is.
    Raw,
    /// Its SHA-1.
    Sha1,
    /// Its MD5.
    Md5,
    /// Its SHA-256.
    Sha256,
}

impl IdentityFormat {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "raw" => Some(Self::Raw),
            "sha1" => Some(Self::Sha1),
            "md5" => Some(Self::Md5),
            "sha256" => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// One identity of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What kind: one of the specification's keys.
    pub identity_type: &'static str,
    /// The identity itself.
    pub value: Secret,
    /// How it is written.
    pub format: IdentityFormat,
}

impl Identity {
    /// The namespace that our identifiers of this kind are in, unless a workspace says otherwise.
    #[must_use]
    pub fn namespace(&self) -> &'static str {
        if self.identity_type == "controller_customer_id" { "user_id" } else { self.identity_type }
    }
}

/// Elements for single processors, by their domain. They may hold identities, so they do not show themselves.
#[derive(Clone, Default, PartialEq)]
pub struct Extensions(Map<String, Value>);

impl Extensions {
    /// What was sent for the processor of that domain.
    #[must_use]
    pub fn of(&self, domain: &str) -> Option<&Value> {
        self.0.get(domain)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A request as a controller sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDsrRequest {
    /// The law.
    pub regime: Regime,
    /// Made by the controller.
    pub id: SubjectRequestId,
    /// What is asked for.
    pub request_type: RequestType,
    /// When the person asked the controller.
    pub submitted_at: Timestamp,
    /// Whom it is about.
    pub identities: Vec<Identity>,
    /// The version it is written in.
    pub api_version: String,
    /// Whom to call when the status changes.
    pub callback_urls: Vec<String>,
    /// Elements for single processors.
    pub extensions: Extensions,
}

#[derive(Deserialize)]
struct WireRequest {
    regulation: Option<String>,
    subject_request_id: Option<String>,
    subject_request_type: Option<String>,
    submitted_time: Option<String>,
    #[serde(default)]
    subject_identities: Vec<WireIdentity>,
    api_version: Option<String>,
    #[serde(default)]
    status_callback_urls: Vec<String>,
    #[serde(default)]
    extensions: Map<String, Value>,
}

#[derive(Deserialize)]
struct WireIdentity {
    identity_type: Option<String>,
    identity_value: Option<String>,
    identity_format: Option<String>,
}

impl OpenDsrRequest {
    /// Reads the body of `POST /requests`.
    ///
    /// # Errors
    /// [`WireError`], without any identity in it.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let wire: WireRequest = read(body)?;
        let unsupported = |field: &str, known| WireError::Unsupported { field: field.to_owned(), known };
        let api_version = wire.api_version.unwrap_or_else(|| API_VERSION.to_owned());
        let major = api_version.split('.').next().unwrap_or_default();
        let regime = match (wire.regulation.as_deref(), major) {
            (_, major) if !["1", "2"].contains(&major) => return Err(unsupported("api_version", "1.0, 2.0")),
            (Some("gdpr"), _) => Regime::Gdpr,
            (Some("ccpa"), _) => Regime::Ccpa,
            (Some(_), _) => return Err(unsupported("regulation", "gdpr, ccpa")),
            // Version 1 was OpenGDPR and had no other law.
            (None, "1") => Regime::Gdpr,
            (None, _) => return Err(WireError::Missing { field: "regulation".to_owned() }),
        };
        let request_type = required("subject_request_type", wire.subject_request_type)?;
        let request_type = TYPES.iter().find(|(name, _)| *name == request_type);
        let (_, request_type) = request_type
            .ok_or_else(|| unsupported("subject_request_type", "access, portability, erasure"))?;
        let id = required("subject_request_id", wire.subject_request_id)?;
        limit("subject_identities", wire.subject_identities.len(), IDENTITIES_MAX)?;
        limit("status_callback_urls", wire.status_callback_urls.len(), CALLBACKS_MAX)?;
        if wire.subject_identities.is_empty() && wire.extensions.is_empty() {
            return Err(WireError::Missing { field: "subject_identities".to_owned() });
        }
        if let Some(at) = wire.status_callback_urls.iter().position(|url| !url.starts_with("https://")) {
            return Err(unsupported(&format!("status_callback_urls[{at}]"), "an https address"));
        }
        let identities = wire.subject_identities.into_iter().enumerate();
        Ok(Self {
            regime,
            id: id
                .parse()
                .map_err(|_| unsupported("subject_request_id", "a version 4 UUID in lower case"))?,
            request_type: *request_type,
            submitted_at: required_time("submitted_time", wire.submitted_time)?,
            identities: identities.map(|(at, identity)| identity.parse(at)).collect::<Result<_, _>>()?,
            api_version,
            callback_urls: wire.status_callback_urls,
            extensions: Extensions(wire.extensions),
        })
    }

    /// The identities that can be looked up: the others are hashes, of which no fragment can be computed.
    pub fn raw_identities(&self) -> impl Iterator<Item = &Identity> {
        self.identities.iter().filter(|identity| identity.format == IdentityFormat::Raw)
    }

    /// The request that this one opens here. The clock runs from the moment the person asked the controller: the
    /// law's term is the controller's, and passing a request on does not lengthen it. A moment after `arrived_at`
    /// is a wrong clock and counts as `arrived_at`.
    #[must_use]
    pub fn opening(&self, controller: &str, subjects: Vec<FragmentId>, arrived_at: Timestamp) -> Opening {
        Opening {
            id: self.id,
            regime: self.regime,
            request_type: self.request_type,
            subjects,
            purposes: std::collections::BTreeSet::new(),
            received_at: self.submitted_at.min(arrived_at),
            by: Actor::Agent(controller.into()),
        }
    }
}

impl WireIdentity {
    fn parse(self, at: usize) -> Result<Identity, WireError> {
        let field = |name: &str| format!("subject_identities[{at}].{name}");
        let identity_type = required(&field("identity_type"), self.identity_type)?;
        let known = IDENTITY_TYPES.iter().find(|known| **known == identity_type);
        let format = required(&field("identity_format"), self.identity_format)?;
        Ok(Identity {
            identity_type: known.ok_or_else(|| WireError::Unsupported {
                field: field("identity_type"),
                known: "controller_customer_id, email, android_advertising_id, ios_advertising_id, ... (section 5.1)",
            })?,
            value: Secret::new(required(&field("identity_value"), self.identity_value)?),
            format: IdentityFormat::parse(&format).ok_or_else(|| WireError::Unsupported {
                field: field("identity_format"),
                known: "raw, sha1, md5, sha256",
            })?,
        })
    }
}

fn limit(field: &str, count: usize, max: usize) -> Result<(), WireError> {
    if count > max { Err(WireError::TooMany { field: field.to_owned(), count, max }) } else { Ok(()) }
}

/// Where a request stands, in the specification's words (section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenDsrStatus {
    /// Received.
    Pending,
    /// Being acted on.
    InProgress,
    /// Fulfilled.
    Completed,
    /// Cancelled; also what was denied or expired, for which the specification has no word.
    Cancelled,
}

impl From<Status> for OpenDsrStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Received | Status::IdentityCheck => Self::Pending,
            Status::InProgress => Self::InProgress,
            Status::Completed => Self::Completed,
            Status::Denied(_) | Status::Cancelled | Status::Expired => Self::Cancelled,
        }
    }
}

/// The answer to a request that was taken: 201.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The controller's id on this side.
    pub controller_id: String,
    /// When we expect to be done.
    #[serde(with = "rfc3339")]
    pub expected_completion_time: Timestamp,
    /// When it arrived here.
    #[serde(with = "rfc3339")]
    pub received_time: Timestamp,
    /// The whole body in Base64, so that the signature over this answer proves what was asked. Not to be logged.
    pub encoded_request: Secret,
    /// The request's id.
    pub subject_request_id: SubjectRequestId,
    /// The version spoken.
    pub api_version: &'static str,
}

impl Receipt {
    /// The answer to `body`, which arrived at `received_at`.
    #[must_use]
    pub fn new(
        request: &Request,
        controller_id: &str,
        received_at: Timestamp,
        expected_at: Timestamp,
        body: &[u8],
    ) -> Self {
        Self {
            controller_id: controller_id.to_owned(),
            expected_completion_time: expected_at,
            received_time: received_at,
            encoded_request: Secret::new(STANDARD.encode(body)),
            subject_request_id: request.opening().id,
            api_version: API_VERSION,
        }
    }
}

/// The answer to `GET /requests/{id}`, and with `status_callback_url` the body of a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBody {
    /// The controller's id on this side.
    pub controller_id: String,
    /// When we expect to be done.
    #[serde(with = "rfc3339")]
    pub expected_completion_time: Timestamp,
    /// The address called, in a callback only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_callback_url: Option<String>,
    /// The request's id.
    pub subject_request_id: SubjectRequestId,
    /// Where it stands.
    pub request_status: OpenDsrStatus,
    /// The version spoken.
    pub api_version: &'static str,
    /// Where the data is, once an access or portability request is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results_url: Option<String>,
    /// How many records were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results_count: Option<u64>,
}

impl StatusBody {
    /// Where `request` stands. The results are the caller's to add.
    #[must_use]
    pub fn new(request: &Request, controller_id: &str, expected_at: Timestamp) -> Self {
        Self {
            controller_id: controller_id.to_owned(),
            expected_completion_time: expected_at,
            status_callback_url: None,
            subject_request_id: request.opening().id,
            request_status: request.status().into(),
            api_version: API_VERSION,
            results_url: None,
            results_count: None,
        }
    }

    /// The same as the body of a callback to `url`.
    #[must_use]
    pub fn called_back(&self, url: &str) -> Self {
        Self { status_callback_url: Some(url.to_owned()), ..self.clone() }
    }
}

/// The answer to `DELETE /requests/{id}`: 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cancellation {
    /// The controller's id on this side.
    pub controller_id: String,
    /// The request's id.
    pub subject_request_id: SubjectRequestId,
    /// When the cancellation arrived.
    #[serde(with = "rfc3339")]
    pub received_time: Timestamp,
    /// The version spoken.
    pub api_version: &'static str,
}

/// Whether a controller may still cancel: while it is pending (section 9).
#[must_use]
pub fn may_cancel(request: &Request) -> bool {
    OpenDsrStatus::from(request.status()) == OpenDsrStatus::Pending
}

/// One kind of identity that is understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SupportedIdentity {
    /// The kind.
    pub identity_type: &'static str,
    /// How it must be written.
    pub identity_format: IdentityFormat,
}

/// The answer to `GET /discovery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// The version spoken.
    pub api_version: &'static str,
    /// The identities understood.
    pub supported_identities: Vec<SupportedIdentity>,
    /// What may be asked for.
    pub supported_subject_request_types: Vec<&'static str>,
    /// Where the certificate is that answers are signed with.
    pub processor_certificate: String,
}

impl Discovery {
    /// What is understood when `knows` says which namespaces the workspace has. Hashed identities are not: a
    /// fragment is a keyed hash of the identifier itself.
    #[must_use]
    pub fn new(processor_certificate: &str, knows: impl Fn(&str) -> bool) -> Self {
        let raw =
            |identity_type| Identity { identity_type, value: Secret::new(""), format: IdentityFormat::Raw };
        let known = IDENTITY_TYPES.into_iter().map(raw).filter(|identity| knows(identity.namespace()));
        Self {
            api_version: API_VERSION,
            supported_identities: known
                .map(|known| SupportedIdentity {
                    identity_type: known.identity_type,
                    identity_format: known.format,
                })
                .collect(),
            supported_subject_request_types: TYPES.iter().map(|(name, _)| *name).collect(),
            processor_certificate: processor_certificate.to_owned(),
        }
    }
}

/// The answer to a request that was not taken: 400.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// The specification's error object (section 7.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorObject {
    /// The HTTP status.
    pub code: u16,
    /// What happened.
    pub message: String,
    /// The details.
    pub errors: Vec<ErrorDetail>,
}

/// One detail of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    /// Always `Validation`.
    pub domain: &'static str,
    /// The stable code.
    pub reason: &'static str,
    /// What to do.
    pub message: String,
}

impl From<&WireError> for ErrorBody {
    fn from(error: &WireError) -> Self {
        let detail =
            ErrorDetail { domain: "Validation", reason: error.code(), message: error.hint().to_owned() };
        Self { error: ErrorObject { code: 400, message: error.to_string(), errors: vec![detail] } }
    }
}

#[cfg(test)]
mod tests;
