//! Signing in and out, and one's own account.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tessera_model::{AccountKind, Secret, StoredAccount};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::audit::Actor;
use super::credential::{SESSION_PREFIX, check_password, is_password, new_token, password_hash, token_hash};
use super::directory::Account;
use super::guard::Client;
use super::limits::Key;
use super::viewer::{Viewer, Way};
use crate::api::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// A person's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInOrder {
    /// The name of the account.
    name: String,
    /// Its password.
    #[schema(value_type = String)]
    password: Secret,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    /// Send it as `Authorization: Bearer`.
    #[schema(value_type = String)]
    token: Secret,
    /// When the session ends, RFC 3339. Signing out, a restart and a new password end it earlier.
    expires_at: String,
    /// The account.
    name: String,
    /// Its role.
    role: String,
}

/// Opens a session for a person.
///
/// After five failures within a quarter of an hour the account, and the address, are locked out: for a minute at
/// first, then ever longer.
#[utoipa::path(
    post, path = "/api/v1/sign-in", tag = "access",
    request_body = SignInOrder,
    responses(
        (status = 200, description = "Signed in.", body = SessionAnswer),
        (status = 401, description = "Name or password is wrong.", body = ErrorAnswer),
        (status = 429, description = "Too often, or too many failures.", body = ErrorAnswer),
    ),
    security(())
)]
pub(crate) async fn sign_in<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(Client(address)): Extension<Client>,
    request: Request,
) -> Result<Response, ApiError> {
    let order: SignInOrder = read_json(&app, request).await?;
    let clock = Arc::clone(&app.parts.clock);
    let account_key = Key::account(&order.name);
    let mut keys = vec![account_key.clone()];
    keys.extend(address.map(Key::address));
    app.access.check_locks(&keys, clock.monotonic_nanos())?;
    let directory = app.accounts().await?;
    let account = directory.by_name(&order.name).filter(|account| account.stored.kind == AccountKind::Person);
    let stored = account.map(|account| account.stored.credential_hash.clone());
    let permit = app.access.hashing.acquire().await.map_err(|_| ApiError::Stopping)?;
    // Others may have failed while this one waited.
    app.access.check_locks(&keys, clock.monotonic_nanos())?;
    let password = order.password;
    let is_right = blocking(move || Ok(is_password(password.reveal(), stored.as_deref()))).await?;
    let account = account.filter(|account| is_right && !account.has_expired(clock.now()));
    let Some(account) = account else {
        app.access.fail(keys, clock.monotonic_nanos());
        drop(permit);
        // A name that is no account's may be a password that was typed into the wrong field.
        let known = directory.by_name(&order.name).map(|known| Actor(known.stored.name.clone(), None));
        let mut response = ApiError::SignIn.into_response();
        response.extensions_mut().extend(known.map(extension).unwrap_or_default());
        return Ok(response);
    };
    drop(permit);
    app.access.clear(&account_key);
    app.access.used(&account.stored.name, clock.now());
    Ok(open(&app, account))
}

fn extension(actor: Actor) -> axum::http::Extensions {
    let mut extensions = axum::http::Extensions::new();
    extensions.insert(actor);
    extensions
}

fn open<L: Log, S: Store>(app: &App<L, S>, account: &Account) -> Response {
    let token = new_token(SESSION_PREFIX);
    let Account { stored, role } = account;
    let expires_at = app.access.sessions.lock().open(
        token_hash(token.reveal()),
        &stored.name,
        &stored.credential_hash,
        app.parts.clock.now(),
    );
    let answer = SessionAnswer {
        token,
        expires_at: expires_at.to_string(),
        name: stored.name.clone(),
        role: role.as_str().to_owned(),
    };
    let mut response = Json(answer).into_response();
    response.extensions_mut().insert(Actor(stored.name.clone(), Some(*role)));
    response
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedOut {
    /// Always true.
    signed_out: bool,
}

/// Ends the session whose token is sent.
#[utoipa::path(
    post, path = "/api/v1/sign-out", tag = "access",
    responses(
        (status = 200, description = "The session has ended.", body = SignedOut),
        (status = 400, description = "Not the token of a session.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn sign_out<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
) -> Result<Json<SignedOut>, ApiError> {
    let Way::Session(token) = viewer.way else {
        return Err(ApiError::bad(
            "the token is not one of a session",
            "only sessions are ended so; an admin removes accounts and changes tokens",
        ));
    };
    app.access.sessions.lock().close(&token);
    app.access.changed.send_replace(());
    Ok(Json(SignedOut { signed_out: true }))
}

/// Who asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct WhoAmI {
    /// The account; `root` for the token of the data folder.
    name: String,
    /// Its role.
    role: String,
    /// The purposes that it sees data for; null: all.
    purposes: Option<Vec<String>>,
    /// Labels granted beyond its role.
    labels: Vec<String>,
    /// `root`, `token` or `session`.
    way: &'static str,
    /// What it may do.
    actions: Vec<&'static str>,
}

/// Whose token was sent, and what it may do.
#[utoipa::path(
    get, path = "/api/v1/access/whoami", tag = "access",
    responses((status = 200, description = "The account.", body = WhoAmI)),
    security(("admin_token" = []))
)]
pub(crate) async fn who_am_i(Extension(viewer): Extension<Viewer>) -> Json<WhoAmI> {
    let way = match viewer.way {
        Way::Root => "root",
        Way::Token => "token",
        Way::Session(_) | Way::SigningIn => "session",
    };
    let actions =
        super::Action::ALL.iter().filter(|action| viewer.may(**action)).map(|action| action.as_str());
    Json(WhoAmI {
        role: viewer.role.as_str().to_owned(),
        purposes: viewer.purposes.as_ref().map(|names| names.iter().map(ToString::to_string).collect()),
        labels: viewer.labels.iter().map(|label| label.to_string()).collect(),
        way,
        actions: actions.collect(),
        name: viewer.actor,
    })
}

/// A person's old and new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordOrder {
    /// The password as it is.
    #[schema(value_type = String)]
    old: Secret,
    /// The password as it shall be: 12 characters or more.
    #[schema(value_type = String)]
    new: Secret,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasswordChanged {
    /// Always true.
    changed: bool,
}

/// Changes one's own password. Every session of the account ends, this one too.
#[utoipa::path(
    post, path = "/api/v1/access/password", tag = "access",
    request_body = PasswordOrder,
    responses(
        (status = 200, description = "Changed: sign in again.", body = PasswordChanged),
        (status = 400, description = "Not a person's account.", body = ErrorAnswer),
        (status = 401, description = "The old password is wrong.", body = ErrorAnswer),
        (status = 422, description = "The new password is too easy.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn change_password<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    Extension(Client(address)): Extension<Client>,
    request: Request,
) -> Result<Json<PasswordChanged>, ApiError> {
    let order: PasswordOrder = read_json(&app, request).await?;
    let _change = app.access.changes.lock().await;
    let directory = app.accounts().await?;
    let account = directory.by_name(&viewer.actor).filter(|_| matches!(viewer.way, Way::Session(_)));
    let Some(account) = account else {
        return Err(ApiError::bad("a token has no password", "`rotate` gives an account another token"));
    };
    let mut keys = vec![Key::account(&viewer.actor)];
    keys.extend(address.map(Key::address));
    app.access.check_locks(&keys, app.parts.clock.monotonic_nanos())?;
    check_password(order.new.reveal(), &viewer.actor).map_err(ApiError::password)?;
    let stored = account.stored.clone();
    let is_right = {
        let _permit = app.access.hashing.acquire().await.map_err(|_| ApiError::Stopping)?;
        let known = stored.credential_hash.clone();
        blocking(move || Ok(is_password(order.old.reveal(), Some(&known)))).await?
    };
    if !is_right {
        app.access.fail(keys, app.parts.clock.monotonic_nanos());
        return Err(ApiError::SignIn);
    }
    let credential_hash = hash_password(&app, order.new).await?;
    app.keep_account(StoredAccount { credential_hash, ..stored }).await?;
    Ok(Json(PasswordChanged { changed: true }))
}

/// Hashes a password where it may block, few at once.
pub(crate) async fn hash_password<L: Log, S: Store>(
    app: &App<L, S>,
    password: Secret,
) -> Result<String, ApiError> {
    let _permit = app.access.hashing.acquire().await.map_err(|_| ApiError::Stopping)?;
    blocking(move || password_hash(password.reveal()).ok_or(ApiError::Internal)).await
}
