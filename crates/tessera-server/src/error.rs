//! Every refusal: status, code, what it is, what to do. The body is always JSON, for RudderStack's Python client dies
//! of an answer without `code` and `message`.

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tessera_evidence::EvidenceError;
use tessera_model::{Problem, PurposeName, RejectCode};
use tessera_pipeline::PipelineError;
use tessera_policy::Denial;
use tessera_rights::RequestError;
use tessera_store::LogError;
use utoipa::ToSchema;

use crate::access::{Action, ErrorCode, Role};

/// Why a request was not served. Messages never quote personal data or payloads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the write key is missing or belongs to no source")]
    WriteKey,
    #[error("the admin token is missing or wrong")]
    AdminToken,
    #[error("name or password is wrong")]
    SignIn,
    #[error("the token has expired")]
    Expired,
    #[error("the role `{}` may not: {}", role.as_str(), action.meaning())]
    Role { role: Role, action: Action },
    #[error("this role looks people up by an identifier only")]
    NeedsIdentifier,
    #[error("the role `{}` does not see the field `{field}`", role.as_str())]
    Hidden { role: Role, field: String },
    #[error("the account was not granted purpose `{purpose}`")]
    NotGranted { purpose: PurposeName },
    #[error("too many failed attempts")]
    LockedOut { seconds: u64 },
    #[error("too many requests in a short time")]
    TooFast { seconds: u64 },
    #[error("{what}")]
    Account { what: String, hint: String },
    #[error("there is no such account")]
    NoAccount,
    #[error("{what}")]
    BadRequest { what: String, hint: String },
    #[error("{what}")]
    NotFound { what: &'static str, hint: &'static str },
    #[error("this server has no such path")]
    NoSuchPath,
    #[error("this path does not take that method")]
    WrongMethod,
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body took longer than {seconds} seconds to arrive")]
    TimedOut { seconds: u64 },
    #[error("the body broke off on its way")]
    Broken,
    #[error("the server has more to do than it can hold")]
    Overloaded,
    #[error("the server is stopping")]
    Stopping,
    #[error("the order is in the log, but the pipeline has not come to it yet")]
    NotYet,
    #[error("the reject cannot be replayed: {why}")]
    NotReplayable { why: &'static str, hint: &'static str },
    #[error("the server is not ready: {trouble}")]
    NotReady { trouble: String },
    #[error("something went wrong within the server")]
    Internal,
    /// A payload that is refused; `status` says whether it was just sent or replayed.
    #[error("{reason}")]
    Rejected { status: StatusCode, code: RejectCode, reason: String },
    #[error("purpose `{purpose}` does not permit to show that profile: {}", denial.as_str())]
    Denied { purpose: PurposeName, denial: Denial },
    #[error("the workspace cannot become so: {} in all", count(.0.len()))]
    Workspace(Vec<Problem>),
    /// The appender has logged it already, with the file.
    #[error("nothing could be written to the log, so nothing was accepted")]
    Log(Arc<LogError>),
    /// A data-subject request, or a word about a purpose, that cannot be so.
    #[error("{what}")]
    Rights { status: StatusCode, code: &'static str, what: String, hint: String },
    #[error("cannot read what is stored")]
    Pipeline(#[from] PipelineError),
    #[error("nothing was answered, for it could not be recorded or looked up in the evidence ledger")]
    Evidence(#[from] EvidenceError),
}

fn count(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    }
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    /// Stable; `docs/reference/errors` has a page for each.
    code: &'static str,
    /// What happened.
    message: String,
    /// What to do.
    hint: String,
    /// What is wrong with the documents of a workspace (TES-W001 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<ProblemShape>)]
    problems: Vec<Problem>,
}

/// Something wrong with a document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_model::Problem`, which knows nothing of OpenAPI")]
pub(crate) struct ProblemShape {
    /// The document's kind.
    kind: String,
    /// The document's name.
    name: String,
    /// The field.
    field: String,
    /// What is wrong.
    what: String,
    /// What to do.
    hint: String,
}

impl ApiError {
    pub(crate) fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::BadRequest { what: what.into(), hint: hint.into() }
    }

    /// A password that cannot be one.
    pub(crate) fn password(what: &str) -> Self {
        Self::Account {
            what: what.to_owned(),
            hint: "a few words that only you would put together do well".to_owned(),
        }
    }

    /// A request of a data subject that cannot be so.
    pub(crate) fn rights(
        status: StatusCode,
        code: &'static str,
        what: String,
        hint: impl Into<String>,
    ) -> Self {
        Self::Rights { status, code, what, hint: hint.into() }
    }

    /// The same, for what can be read and may not be.
    pub(crate) fn rights_refused(code: &'static str, what: String, hint: &str) -> Self {
        Self::rights(StatusCode::UNPROCESSABLE_ENTITY, code, what, hint)
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::WriteKey | Self::AdminToken | Self::SignIn | Self::Expired => StatusCode::UNAUTHORIZED,
            Self::BadRequest { .. } | Self::Broken => StatusCode::BAD_REQUEST,
            Self::NotFound { .. } | Self::NoSuchPath | Self::NoAccount => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
            // Segment's clients honour `Retry-After` on 429 only, and count a 503 as a failed try.
            Self::Overloaded | Self::LockedOut { .. } | Self::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Stopping
            | Self::NotYet
            | Self::NotReady { .. }
            | Self::Log(_)
            | Self::Evidence(EvidenceError::Append { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Evidence(EvidenceError::NoEntries { .. }) => StatusCode::NOT_FOUND,
            Self::NotReplayable { .. } => StatusCode::CONFLICT,
            Self::Internal | Self::Pipeline(_) | Self::Evidence(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Rejected { status, .. } | Self::Rights { status, .. } => *status,
            Self::Denied { .. }
            | Self::Role { .. }
            | Self::NeedsIdentifier
            | Self::Hidden { .. }
            | Self::NotGranted { .. } => StatusCode::FORBIDDEN,
            Self::Workspace(_) | Self::Account { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::WriteKey => "TES-H001",
            Self::AdminToken => "TES-H002",
            Self::SignIn => "TES-A001",
            Self::Role { .. } => "TES-A002",
            Self::Expired => "TES-A003",
            Self::LockedOut { .. } => "TES-A004",
            Self::TooFast { .. } => "TES-A005",
            Self::Account { .. } => "TES-A006",
            Self::NoAccount => "TES-A007",
            Self::NeedsIdentifier => "TES-A008",
            Self::Hidden { .. } => "TES-A009",
            Self::NotGranted { .. } => "TES-A010",
            Self::BadRequest { .. } | Self::Broken => "TES-H003",
            Self::NotFound { .. } => "TES-H004",
            Self::NoSuchPath => "TES-H005",
            Self::WrongMethod => "TES-H006",
            Self::TooLarge { .. } => "TES-H007",
            Self::TimedOut { .. } => "TES-H008",
            Self::Overloaded => "TES-H009",
            Self::Stopping => "TES-H010",
            Self::NotYet => "TES-H011",
            Self::NotReplayable { .. } => "TES-H012",
            Self::NotReady { .. } => "TES-H013",
            Self::Internal => "TES-H014",
            Self::Rejected { code, .. } => code.as_str(),
            Self::Rights { code, .. } => code,
            Self::Denied { .. } => "TES-P001",
            Self::Workspace(_) => Problem::CODE,
            Self::Log(error) => error.code(),
            Self::Pipeline(error) => error.code(),
            Self::Evidence(error) => error.code(),
        }
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Self::WriteKey => "send the source's `write_key` as user of Basic authentication, without a password",
            Self::AdminToken => "send `Authorization: Bearer` and a token: the one in the data folder, a named one, or a session's",
            Self::SignIn => "check both; an admin can give the account a new password",
            Self::Expired => "ask an admin for a new token: `tessera access rotate NAME`",
            Self::Role { .. } => "ask an admin for another role; docs/reference/roles.md says what each may do",
            Self::NeedsIdentifier => "ask for `namespace:value`, as the person gave it",
            Self::Hidden { .. } => "ask without it, or ask an admin to grant the account its label",
            Self::NotGranted { .. } => "ask for a purpose that the account has: `tessera access whoami` lists them",
            Self::LockedOut { .. } => "wait for the seconds in `Retry-After`; it gets longer each time",
            Self::TooFast { .. } => "wait for the seconds in `Retry-After`, then send more slowly",
            Self::Account { hint, .. } => hint,
            Self::NoAccount => "`tessera access list` lists them",
            Self::BadRequest { hint, .. } | Self::Rights { hint, .. } => hint,
            Self::NotFound { hint, .. } | Self::NotReplayable { hint, .. } => hint,
            Self::NoSuchPath => "`GET /openapi.json` lists every path",
            Self::WrongMethod => "`GET /openapi.json` lists the methods of every path",
            Self::TooLarge { .. } => "send less at once",
            Self::TimedOut { .. } => "send the body faster, or less at once",
            Self::Broken => "send it again",
            Self::Overloaded => "send it again after the seconds in `Retry-After`",
            Self::Stopping => "send it again in a moment",
            Self::NotYet => "ask again in a moment; `GET /ready` says what keeps the pipeline",
            Self::NotReady { .. } => "mend the cause; the server goes on by itself",
            Self::Internal => "the server's log has the cause; please report it",
            Self::Rejected { code, .. } => code.hint(),
            Self::Denied { .. } => {
                "ask for a purpose that is permitted, or without `purpose`; the consents in the profile say why"
            }
            Self::Workspace(_) => "correct the documents named in `problems`; nothing was changed",
            Self::Log(error) => error.hint(),
            Self::Pipeline(error) => error.hint(),
            Self::Evidence(error) => error.hint(),
        }
        .to_owned()
    }

    /// Seconds after which the same may succeed.
    const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Overloaded | Self::Stopping | Self::NotYet => Some(1),
            Self::Log(_) | Self::NotReady { .. } | Self::Evidence(EvidenceError::Append { .. }) => Some(5),
            Self::LockedOut { seconds } | Self::TooFast { seconds } => Some(*seconds),
            Self::WriteKey
            | Self::AdminToken
            | Self::SignIn
            | Self::Expired
            | Self::Role { .. }
            | Self::NeedsIdentifier
            | Self::Hidden { .. }
            | Self::NotGranted { .. }
            | Self::Evidence(_)
            | Self::Account { .. }
            | Self::NoAccount
            | Self::BadRequest { .. }
            | Self::NotFound { .. }
            | Self::NoSuchPath
            | Self::WrongMethod
            | Self::TooLarge { .. }
            | Self::TimedOut { .. }
            | Self::Broken
            | Self::NotReplayable { .. }
            | Self::Internal
            | Self::Rejected { .. }
            | Self::Rights { .. }
            | Self::Denied { .. }
            | Self::Workspace(_)
            | Self::Pipeline(_) => None,
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let status = match &error {
            RequestError::Reason { .. } | RequestError::NoWords { .. } | RequestError::NoSubject { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            RequestError::Status { .. }
            | RequestError::Order { .. }
            | RequestError::Identity { .. }
            | RequestError::IdentityNotNeeded { .. }
            | RequestError::Extension { .. }
            | RequestError::NotExpired { .. }
            | RequestError::Twice { .. } => StatusCode::CONFLICT,
        };
        Self::rights(status, error.code(), error.to_string(), error.hint())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Pipeline(error) = &self {
            tracing::error!(code = error.code(), hint = error.hint(), "cannot serve a request: {error}");
        }
        if let Self::Evidence(error) = &self {
            tracing::error!(code = error.code(), hint = error.hint(), "cannot serve a request: {error}");
        }
        let (status, retry_after) = (self.status(), self.retry_after());
        let (code, message, hint) = (self.code(), self.to_string(), self.hint());
        let is_admin = matches!(self, Self::AdminToken | Self::Expired);
        let problems = if let Self::Workspace(problems) = self { problems } else { Vec::new() };
        let mut response = (status, Json(ErrorAnswer { code, message, hint, problems })).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(ErrorCode(code));
        if is_admin {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
