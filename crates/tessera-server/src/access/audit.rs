//! What is told of every request to the admin API: who, what, on what, with what result. Never whom it was about
//! in clear.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, RawPathParams};
use axum::http::request;
use tessera_model::{HashKey, Rules, Timestamp};

use super::role::Role;
use crate::api::profiles::parse_reference;

/// One request to the admin API. Holds no personal data in clear and no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When it came.
    pub at: Timestamp,
    /// Who asked: the name of an account, `root` for the token of the data folder, `nobody` when no credential was
    /// right.
    pub actor: String,
    /// The actor's role.
    pub role: Option<Role>,
    /// What was asked for: the name of an [`super::Action`], or `sign_in` or `own_account`.
    pub action: &'static str,
    /// The method and the route: `GET /api/v1/profiles/{reference}`.
    pub route: String,
    /// The path, with a reference to a person replaced by the hash that the store knows the person by.
    pub object: String,
    /// The status of the answer.
    pub status: u16,
    /// The code of the answer's error.
    pub code: Option<&'static str>,
}

/// Is told every request to the admin API, after it was served and before it is answered. Must not block.
pub type Audit = Arc<dyn Fn(AuditEvent) + Send + Sync>;

/// Who a handler found out it was that asked: an extension of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Actor(pub(crate) String, pub(crate) Option<Role>);

/// The code of an error: an extension of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorCode(pub(crate) &'static str);

/// `route` with its parameters filled in, persons by their hashes.
pub(crate) async fn object(
    route: &str,
    parts: &mut request::Parts,
    rules: &Rules,
    key: &HashKey,
) -> (String, bool) {
    let Ok(parameters) = RawPathParams::from_request_parts(parts, &()).await else {
        return (route.to_owned(), false);
    };
    let mut object = route.to_owned();
    let mut is_id = false;
    for (name, value) in &parameters {
        let shown = if name == "group" {
            // It may be a telephone number.
            let group_type = parameters.iter().find(|(name, _)| *name == "type");
            let group_type = group_type.and_then(|(_, value)| rules.groups.get(value));
            let called = group_type.map(|known| known.groups_called(key, &rules.namespaces, value));
            called.and_then(|ids| ids.first().map(ToString::to_string)).unwrap_or_else(|| "?".to_owned())
        } else if name == "reference" {
            is_id = !value.contains(':');
            parse_reference(rules, key, value).map_or_else(|_| "?".to_owned(), |id| id.to_string())
        } else if is_plain(value) {
            value.to_owned()
        } else {
            "?".to_owned()
        };
        object = object.replace(&format!("{{{name}}}"), &shown);
    }
    (object, is_id)
}

/// Whether a parameter is a name that somebody gave to a thing, and may be shown.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}
