//! Who has access: the stored accounts, by name and by credential.
//!
//! Invariant: an account whose role this build does not know has no access at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tessera_model::{AccountKind, StoredAccount, Timestamp};

use super::credential::{is_equal, parse_token_hash};
use super::role::Role;
use super::viewer::{Viewer, Way};

/// An account and its role.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) stored: StoredAccount,
    pub(crate) role: Role,
}

impl Account {
    /// Whoever asks with this account's credentials.
    pub(crate) fn viewer(&self, way: Way) -> Viewer {
        Viewer {
            actor: self.stored.name.clone(),
            role: self.role,
            purposes: match self.role {
                Role::Admin | Role::PrivacyOfficer => None,
                Role::Marketer | Role::Analyst | Role::ServiceAgent | Role::Auditor => {
                    Some(self.stored.purposes.iter().cloned().collect())
                }
            },
            labels: self.stored.labels.iter().copied().collect(),
            way,
        }
    }

    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.stored.expires_at.is_some_and(|at| at <= now)
    }
}

/// Every account.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_name: BTreeMap<String, Arc<Account>>,
    by_token: HashMap<[u8; 32], Arc<Account>>,
}

impl Directory {
    pub(crate) fn new(stored: Vec<StoredAccount>) -> Self {
        let mut directory = Self::default();
        for stored in stored {
            let Some(role) = Role::parse(&stored.role) else {
                tracing::warn!("an account has a role that this build does not know, so it has no access");
                continue;
            };
            let account = Arc::new(Account { stored, role });
            if account.stored.kind == AccountKind::Token
                && let Some(hash) = parse_token_hash(&account.stored.credential_hash)
            {
                directory.by_token.insert(hash, Arc::clone(&account));
            }
            directory.by_name.insert(account.stored.name.clone(), account);
        }
        directory
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Account>> {
        self.by_name.get(name)
    }

    /// The account of a token, by the token's hash. The look-up's time may tell of the hash, which tells nothing of
    /// the token.
    pub(crate) fn by_token(&self, hash: &[u8; 32]) -> Option<&Arc<Account>> {
        let (known, account) = self.by_token.get_key_value(hash)?;
        is_equal(known, hash).then_some(account)
    }

    /// All, by name.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.by_name.values()
    }
}
