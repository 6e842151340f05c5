//! Giving and taking access.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use tessera_model::{AccountKind, Label, PurposeName, Rules, Secret, StoredAccount, Timestamp};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::credential::{TOKEN_PREFIX, check_password, new_token, stored_token_hash};
use super::directory::{Account, Directory};
use super::role::Role;
use super::sign_in::hash_password;
use crate::api::profiles::path;
use crate::api::{Params, read_json};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

const NAME_BYTES_MAX: usize = 64;
/// Names that audits use for others.
const RESERVED: [&str; 3] = ["root", "nobody", "system"];
const ACCOUNTS_MAX: usize = 10_000;
const EXPIRES_DAYS_MAX: i64 = 3650;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// Labels that may be granted: what marketers and analysts do not see by their role.
const LABELS: [Label; 1] = [Label::I1];

/// An account. Its credential is never shown.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountAnswer {
    /// Its name.
    name: String,
    /// `token` or `person`.
    kind: &'static str,
    /// Its role.
    role: String,
    /// The purposes that it sees data for; null: all.
    purposes: Option<Vec<String>>,
    /// Labels that it sees beyond its role.
    labels: Vec<String>,
    /// When it was made, RFC 3339.
    created_at: String,
    /// When it ends, RFC 3339; null: never.
    expires_at: Option<String>,
    /// Whether it has ended.
    has_expired: bool,
    /// The day on which it was last used, since the server started.
    last_used_on: Option<String>,
}

/// Every account.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountList {
    /// By name.
    accounts: Vec<AccountAnswer>,
}

/// An account and, when one was made, its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountChanged {
    /// The account as it is now.
    account: AccountAnswer,
    /// Whether it is new.
    is_new: bool,
    /// Its token. Shown this once; only a hash is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
}

/// Whether an account carries a token or is a person's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A program.
    Token,
    /// A person, who signs in.
    Person,
}

/// What an account shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountOrder {
    /// `token` or `person`; cannot be changed.
    kind: Kind,
    /// Its role.
    role: Role,
    /// Purposes that it sees data for: for marketers, analysts and service agents.
    #[serde(default)]
    purposes: Vec<String>,
    /// Labels that it sees beyond its role: `I1`, direct identifiers, for marketers and analysts.
    #[serde(default)]
    labels: Vec<String>,
    /// Days after which it ends; absent: never.
    #[serde(default)]
    expires_days: Option<i64>,
    /// A person's password, 12 characters or more; absent: as it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
}

/// Who has access.
#[utoipa::path(
    get, path = "/api/v1/access/accounts", tag = "access",
    responses((status = 200, description = "The accounts.", body = AccountList)),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<AccountList>, ApiError> {
    Params::of(&uri)?.finish("none")?;
    let directory = app.accounts().await?;
    Ok(Json(AccountList { accounts: directory.accounts().map(|account| answer(&app, account)).collect() }))
}

/// One account.
#[utoipa::path(
    get, path = "/api/v1/access/accounts/{name}", tag = "access",
    params(("name" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "The account.", body = AccountAnswer),
        (status = 404, description = "No such account.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<AccountAnswer>, ApiError> {
    let directory = app.accounts().await?;
    Ok(Json(answer(&app, known(&directory, &path(name)?)?)))
}

/// Makes an account, or changes one.
///
/// A new account of kind `token` gets a token, which is shown this once. Changing it leaves its token as it is.
#[utoipa::path(
    put, path = "/api/v1/access/accounts/{name}", tag = "access",
    params(("name" = String, Path, description = "1 to 64 of `a-z 0-9 - _ .`, beginning with a letter")),
    request_body = AccountOrder,
    responses(
        (status = 200, description = "Made or changed.", body = AccountChanged),
        (status = 422, description = "There cannot be such an account.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn put<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<AccountChanged>, ApiError> {
    let name = path(name)?;
    let order: AccountOrder = read_json(&app, request).await?;
    check_name(&name)?;
    let now = app.parts.clock.now();
    let Checked { purposes, labels, expires_at } = check(&app, &order, now)?;
    let _change = app.access.changes.lock().await;
    let directory = app.accounts().await?;
    let there = directory.by_name(&name);
    if there.is_none() && directory.accounts().count() >= ACCOUNTS_MAX {
        return Err(refuse("there are 10,000 accounts already", "remove those that nobody uses"));
    }
    let kind = match order.kind {
        Kind::Token => AccountKind::Token,
        Kind::Person => AccountKind::Person,
    };
    if there.is_some_and(|account| account.stored.kind != kind) {
        return Err(refuse("the account is of the other kind", "remove it first, or choose another name"));
    }
    let (credential_hash, token) =
        credential(&app, &name, order.kind, order.password, there.map(|a| &**a)).await?;
    let stored = StoredAccount {
        name: name.clone(),
        kind,
        role: order.role.as_str().to_owned(),
        purposes,
        labels,
        credential_hash,
        created_at: there.map_or(now, |account| account.stored.created_at),
        expires_at,
    };
    let is_new = there.is_none();
    changed(&app, stored, is_new, token).await
}

/// The stored hash of the credential, and the token if one was made.
async fn credential<L: Log, S: Store>(
    app: &App<L, S>,
    name: &str,
    kind: Kind,
    password: Option<Secret>,
    there: Option<&Account>,
) -> Result<(String, Option<Secret>), ApiError> {
    match (kind, password, there) {
        (Kind::Token, Some(_), _) => Err(refuse("a token has no password", "leave `password` out")),
        (Kind::Person, None, None) => Err(refuse("a person needs a password", "send `password`")),
        (_, None, Some(account)) => Ok((account.stored.credential_hash.clone(), None)),
        (Kind::Token, None, None) => {
            let token = new_token(TOKEN_PREFIX);
            Ok((stored_token_hash(token.reveal()), Some(token)))
        }
        (Kind::Person, Some(password), _) => {
            check_password(password.reveal(), name).map_err(ApiError::password)?;
            Ok((hash_password(app, password).await?, None))
        }
    }
}

/// What the new credential of an account shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateOrder {
    /// A person's new password.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
}

/// Gives an account another token, or a person another password. The old one, and every session, ends at once.
#[utoipa::path(
    post, path = "/api/v1/access/accounts/{name}/rotate", tag = "access",
    params(("name" = String, Path, description = "The account")),
    request_body = RotateOrder,
    responses(
        (status = 200, description = "Done; the new token is shown this once.", body = AccountChanged),
        (status = 404, description = "No such account.", body = ErrorAnswer),
        (status = 422, description = "No password, or one that is too easy.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn rotate<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<AccountChanged>, ApiError> {
    let name = path(name)?;
    let order: RotateOrder = read_json(&app, request).await?;
    let _change = app.access.changes.lock().await;
    let directory = app.accounts().await?;
    let stored = known(&directory, &name)?.stored.clone();
    let kind = match stored.kind {
        AccountKind::Token => Kind::Token,
        AccountKind::Person => Kind::Person,
    };
    let (credential_hash, token) = credential(&app, &name, kind, order.password, None).await?;
    changed(&app, StoredAccount { credential_hash, ..stored }, false, token).await
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountRemoved {
    /// The name of the account.
    removed: String,
}

/// Takes access away, at once.
#[utoipa::path(
    delete, path = "/api/v1/access/accounts/{name}", tag = "access",
    params(("name" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "Its token, and every session, has ended.", body = AccountRemoved),
        (status = 404, description = "No such account.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn remove<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<AccountRemoved>, ApiError> {
    let _change = app.access.changes.lock().await;
    let directory = app.accounts().await?;
    let name = known(&directory, &path(name)?)?.stored.name.clone();
    app.remove_account(name.clone()).await?;
    Ok(Json(AccountRemoved { removed: name }))
}

async fn changed<L: Log, S: Store>(
    app: &App<L, S>,
    stored: StoredAccount,
    is_new: bool,
    token: Option<Secret>,
) -> Result<Json<AccountChanged>, ApiError> {
    let name = stored.name.clone();
    app.keep_account(stored).await?;
    let directory = app.accounts().await?;
    let account = answer(app, known(&directory, &name)?);
    Ok(Json(AccountChanged { account, is_new, token }))
}

fn known<'a>(directory: &'a Directory, name: &str) -> Result<&'a Account, ApiError> {
    directory.by_name(name).map(AsRef::as_ref).ok_or(ApiError::NoAccount)
}

fn answer<L: Log, S: Store>(app: &App<L, S>, account: &Account) -> AccountAnswer {
    let stored = &account.stored;
    let names = |names: &[PurposeName]| names.iter().map(ToString::to_string).collect();
    AccountAnswer {
        name: stored.name.clone(),
        kind: match stored.kind {
            AccountKind::Token => "token",
            AccountKind::Person => "person",
        },
        role: account.role.as_str().to_owned(),
        purposes: match account.role {
            Role::Admin | Role::PrivacyOfficer => None,
            Role::Marketer | Role::Analyst | Role::ServiceAgent | Role::Auditor => {
                Some(names(&stored.purposes))
            }
        },
        labels: stored.labels.iter().map(ToString::to_string).collect(),
        created_at: stored.created_at.to_string(),
        expires_at: stored.expires_at.map(|at| at.to_string()),
        has_expired: account.has_expired(app.parts.clock.now()),
        last_used_on: app.access.used_on(&stored.name),
    }
}

fn refuse(what: impl Into<String>, hint: impl Into<String>) -> ApiError {
    ApiError::Account { what: what.into(), hint: hint.into() }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts_well || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        let hint = "use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter; no e-mail address: audits show it";
        return Err(refuse("that cannot be the name of an account", hint));
    }
    if RESERVED.contains(&name) {
        return Err(refuse(format!("`{name}` is the name of another"), "choose another name"));
    }
    Ok(())
}

/// What was ordered, read.
struct Checked {
    purposes: Vec<PurposeName>,
    labels: Vec<Label>,
    expires_at: Option<Timestamp>,
}

fn check<L: Log, S: Store>(
    app: &App<L, S>,
    order: &AccountOrder,
    now: Timestamp,
) -> Result<Checked, ApiError> {
    let expires_at = match order.expires_days {
        None => None,
        Some(days) if (1..=EXPIRES_DAYS_MAX).contains(&days) => Some(now.plus_millis(days * DAY_MILLIS)),
        Some(_) => return Err(refuse("`expires_days` is out of range", "use 1 to 3650, or leave it out")),
    };
    let purposes = check_purposes(&app.parts.rules.load(), order)?;
    Ok(Checked { purposes, labels: check_labels(order)?, expires_at })
}

fn check_purposes(rules: &Rules, order: &AccountOrder) -> Result<Vec<PurposeName>, ApiError> {
    if !order.role.takes_purposes() && !order.purposes.is_empty() {
        let what = format!("accounts of the role `{}` are given no purposes one by one", order.role.as_str());
        return Err(refuse(what, "leave `purposes` out: docs/reference/roles.md says what the role sees"));
    }
    let mut purposes = Vec::new();
    for text in &order.purposes {
        let declared = PurposeName::parse(text).ok().filter(|name| rules.purposes.get(name).is_some());
        let Some(name) = declared else {
            let text: String = text.chars().take(80).collect();
            let names: Vec<&str> = rules.purposes.iter().map(|known| known.document.name.as_str()).collect();
            let hint = format!("declared: {}", names.join(", "));
            return Err(refuse(format!("purpose `{text}` is not declared"), hint));
        };
        if !purposes.contains(&name) {
            purposes.push(name);
        }
    }
    Ok(purposes)
}

fn check_labels(order: &AccountOrder) -> Result<Vec<Label>, ApiError> {
    if !order.labels.is_empty() && !matches!(order.role, Role::Marketer | Role::Analyst) {
        let what = format!("the role `{}` is granted no labels", order.role.as_str());
        return Err(refuse(what, "leave `labels` out: docs/reference/roles.md says what the role sees"));
    }
    let grantable = |text: &String| Label::parse(text).filter(|label| LABELS.contains(label));
    order.labels.iter().map(grantable).collect::<Option<_>>().ok_or_else(|| {
        let known: Vec<&str> = LABELS.iter().map(|label| label.as_str()).collect();
        refuse("a label cannot be granted", format!("known: {}", known.join(", ")))
    })
}
