//! Accounts as the store keeps them.

use serde::{Deserialize, Serialize};

use crate::{Label, PurposeName, Timestamp};

/// Whether an account signs in with a password or carries a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// A program.
    Token,
    /// A person.
    Person,
}

/// Somebody who may ask the admin API. Holds no credential in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAccount {
    /// Its name: what audits show.
    pub name: String,
    /// Token or person.
    pub kind: AccountKind,
    /// Its role.
    pub role: String,
    /// The purposes it may see data for; empty: as its role says.
    #[serde(default)]
    pub purposes: Vec<PurposeName>,
    /// Labels that it sees beyond its role.
    #[serde(default)]
    pub labels: Vec<Label>,
    /// A hash of the token or password, never the thing itself.
    pub credential_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}
