//! The guard of the admin API: who asks, may they, and not too often. Then the request is told to the audit.
//!
//! Invariants: no handler of a route that needs an action runs without a [`Viewer`] that has it; a right token is
//! never locked out, for only wrong credentials are refused by a lock; the token of the data folder, used at this
//! machine, has no limit at all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_store::{Log, Store};

use super::address::{client_address, is_local};
use super::audit::{Actor, AuditEvent, ErrorCode, object};
use super::credential::{SESSION_PREFIX, is_equal, token_hash};
use super::limits::Key;
use super::role::{Action, Role};
use super::viewer::{Viewer, Way};
use crate::body;
use crate::error::ApiError;
use crate::shared::App;

/// What a route asks of who comes. There is no route without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Open to everybody: holds no personal data and changes nothing.
    Nothing,
    /// A source's write key; the handler asks for it.
    WriteKey,
    /// Name and password, in the body; the handler asks for them.
    Password,
    /// Any account.
    Account,
    /// An account whose role may do this.
    Action(Action),
}

impl Need {
    /// Whether the guard stands before it.
    pub(crate) const fn is_guarded(self) -> bool {
        !matches!(self, Self::Nothing | Self::WriteKey)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing | Self::WriteKey => "none",
            Self::Password => "sign_in",
            Self::Account => "own_account",
            Self::Action(action) => action.as_str(),
        }
    }
}

/// A route as the guard knows it.
pub(crate) struct GuardedRoute<L, S> {
    pub(crate) app: App<L, S>,
    pub(crate) need: Need,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
}

impl<L, S> Clone for GuardedRoute<L, S> {
    fn clone(&self) -> Self {
        Self { app: Arc::clone(&self.app), ..*self }
    }
}

/// The client's address, for handlers that count failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) Option<IpAddr>);

/// Why somebody is not let in, and who it is.
struct Turned {
    actor: Actor,
    error: ApiError,
}

impl From<ApiError> for Turned {
    fn from(error: ApiError) -> Self {
        Self { actor: Actor("nobody".to_owned(), None), error }
    }
}

pub(crate) async fn guard<L: Log, S: Store>(
    State(GuardedRoute { app, need, method, path }): State<GuardedRoute<L, S>>,
    request: Request,
    next: Next,
) -> Response {
    let at = app.parts.clock.now();
    let (mut parts, body) = request.into_parts();
    let (object, is_id) = object(path, &mut parts, &app.parts.rules.load(), &app.parts.key).await;
    let mut request = Request::from_parts(parts, body);
    let address = client_address(&request, &app.parts.access.trusted_proxies);
    let token = match path.starts_with("/api/") {
        true => bearer(request.headers()).map(str::to_owned),
        false => bearer(request.headers()).map(str::to_owned).or_else(|| basic(request.headers())),
    };
    let admitted = match admit(&app, need, token.as_deref(), address).await {
        Ok(viewer) if is_id && viewer.needs_identifier() => {
            Err(Turned { actor: Actor(viewer.actor, Some(viewer.role)), error: ApiError::NeedsIdentifier })
        }
        other => other,
    };
    let (actor, response) = match admitted {
        Ok(viewer) => {
            let actor = match viewer.way {
                Way::SigningIn => Actor(viewer.actor.clone(), None),
                Way::Root | Way::Token | Way::Session(_) => Actor(viewer.actor.clone(), Some(viewer.role)),
            };
            request.extensions_mut().insert(viewer);
            request.extensions_mut().insert(Client(address));
            (actor, next.run(request).await)
        }
        Err(Turned { actor, error }) => {
            body::drain(request.into_body()).await;
            (actor, error.into_response())
        }
    };
    let Actor(actor, role) = response.extensions().get::<Actor>().cloned().unwrap_or(actor);
    let method = method.to_ascii_uppercase();
    (app.parts.audit)(AuditEvent {
        at,
        actor,
        role,
        action: need.as_str(),
        route: format!("{method} {path}"),
        object: format!("{method} {object}"),
        status: response.status().as_u16(),
        code: response.extensions().get::<ErrorCode>().map(|code| code.0),
    });
    response
}

async fn admit<L: Log, S: Store>(
    app: &App<L, S>,
    need: Need,
    token: Option<&str>,
    address: Option<IpAddr>,
) -> Result<Viewer, Turned> {
    let is_root = token.is_some_and(|token| is_root(token, app.parts.admin_token.reveal()));
    if is_root && is_local(address) && need != Need::Password {
        return Ok(Viewer::root());
    }
    let now = app.parts.clock.monotonic_nanos();
    if let Some(address) = address {
        app.access.take(Key::address(address), now)?;
    }
    if need == Need::Password {
        let nobody = Viewer { actor: "nobody".to_owned(), role: Role::Auditor, ..Viewer::root() };
        return Ok(Viewer { way: Way::SigningIn, ..nobody });
    }
    let viewer = match token {
        Some(_) if is_root => Viewer::root(),
        Some(token) => match find(app, token).await {
            Err(ApiError::AdminToken) => return Err(app.access.failed(address, now).into()),
            other => other?,
        },
        None => return Err(ApiError::AdminToken.into()),
    };
    let turned = |error| Turned { actor: Actor(viewer.actor.clone(), Some(viewer.role)), error };
    app.access.take(Key::account(&viewer.actor), now).map_err(turned)?;
    match need {
        Need::Action(action) if !viewer.may(action) => {
            Err(turned(ApiError::Role { role: viewer.role, action }))
        }
        Need::Nothing | Need::WriteKey | Need::Password | Need::Account | Need::Action(_) => Ok(viewer),
    }
}

/// Whose token it is.
async fn find<L: Log, S: Store>(app: &App<L, S>, token: &str) -> Result<Viewer, ApiError> {
    let hash = token_hash(token);
    let now = app.parts.clock.now();
    let directory = app.accounts().await?;
    let (account, way) = if token.starts_with(SESSION_PREFIX) {
        let sessions = app.access.sessions.lock();
        let (name, credential_hash, _) = sessions.find(&hash, now).ok_or(ApiError::AdminToken)?;
        let account = directory.by_name(name).ok_or(ApiError::AdminToken)?;
        if account.stored.credential_hash != credential_hash {
            return Err(ApiError::AdminToken);
        }
        (account.as_ref().clone(), Way::Session(hash))
    } else {
        (directory.by_token(&hash).ok_or(ApiError::AdminToken)?.as_ref().clone(), Way::Token)
    };
    if account.has_expired(now) {
        return Err(ApiError::Expired);
    }
    app.access.used(&account.stored.name, now);
    Ok(account.viewer(way))
}

/// What stands behind `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The password of `Authorization: Basic`, which other people's protocols bring a token in. Not for the admin API: browsers
/// send it along by themselves.
fn basic(headers: &HeaderMap) -> Option<String> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    decoded.split_once(':').map(|(_, token)| token.to_owned()).filter(|token| !token.is_empty())
}

fn is_root(given: &str, token: &str) -> bool {
    !token.is_empty() && is_equal(given.as_bytes(), token.as_bytes())
}

/// Whole seconds to wait, at least 1.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_nanos().div_ceil(1_000_000_000).try_into().unwrap_or(u64::MAX).max(1)
}
