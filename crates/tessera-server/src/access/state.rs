//! What the guard remembers between requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tessera_model::{Operation, StoredAccount, Timestamp};
use tessera_pipeline::load_accounts;
use tessera_store::{Log, Store};
use tokio::sync::{Semaphore, watch};

use super::directory::Directory;
use super::guard::seconds;
use super::limits::{Failures, Key, Rates};
use super::session::Sessions;
use crate::error::ApiError;
use crate::shared::{App, Shared, blocking, to_the_end};

/// How old what is known of the accounts may be: another server may have changed them.
pub(crate) const FRESH: Duration = Duration::from_secs(1);
/// Each takes 19 MiB and a processor.
const HASHES_AT_ONCE: usize = 2;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// How the admin API is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// Requests to the admin API in the long run, of each account and of each address; 0: no limit. Beyond it the
    /// answer is 429.
    pub requests_per_second: u32,
    /// Requests at once.
    pub burst: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self { requests_per_second: 100, burst: 200, trusted_proxies: Vec::new() }
    }
}

/// The state of the guard.
pub(crate) struct Access {
    directory: ArcSwap<Directory>,
    /// When the directory was loaded, in monotonic nanoseconds; `u64::MAX`: never.
    loaded_at: AtomicU64,
    /// One load at a time, or an older one might end last.
    loading: Mutex<()>,
    pub(crate) sessions: Mutex<Sessions>,
    failures: Mutex<Failures>,
    rates: Mutex<Rates>,
    /// The day on which each account was last used, since the server started.
    used_at: Mutex<BTreeMap<String, Timestamp>>,
    pub(crate) hashing: Semaphore,
    /// Told when somebody may have lost access, so that what is open for long is asked for anew.
    pub(crate) changed: watch::Sender<()>,
    /// One change of the accounts at a time.
    pub(crate) changes: tokio::sync::Mutex<()>,
}

impl Access {
    pub(crate) fn new(settings: &AccessSettings) -> Self {
        Self {
            directory: ArcSwap::default(),
            loaded_at: AtomicU64::new(u64::MAX),
            loading: Mutex::default(),
            sessions: Mutex::default(),
            failures: Mutex::default(),
            rates: Mutex::new(Rates::new(settings.requests_per_second, settings.burst)),
            used_at: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            changed: watch::Sender::new(()),
            changes: tokio::sync::Mutex::new(()),
        }
    }

    /// Takes one request out of the bucket of `key`.
    pub(crate) fn take(&self, key: Key, now: u64) -> Result<(), ApiError> {
        self.rates.lock().take(key, now).map_err(|wait| ApiError::TooFast { seconds: seconds(wait) })
    }

    /// Counts a wrong token, and says what to answer.
    pub(crate) fn failed(&self, address: Option<IpAddr>, now: u64) -> ApiError {
        let Some(address) = address else { return ApiError::AdminToken };
        let key = Key::tokens(address);
        let mut failures = self.failures.lock();
        if let Some(wait) = failures.locked(&key, now) {
            return ApiError::LockedOut { seconds: seconds(wait) };
        }
        failures.fail(key, now);
        ApiError::AdminToken
    }

    /// Whether one of `keys` is locked out.
    pub(crate) fn check_locks(&self, keys: &[Key], now: u64) -> Result<(), ApiError> {
        let failures = self.failures.lock();
        match keys.iter().filter_map(|key| failures.locked(key, now)).max() {
            Some(wait) => Err(ApiError::LockedOut { seconds: seconds(wait) }),
            None => Ok(()),
        }
    }

    /// Counts a wrong password.
    pub(crate) fn fail(&self, keys: Vec<Key>, now: u64) {
        let mut failures = self.failures.lock();
        for key in keys {
            failures.fail(key, now);
        }
    }

    /// Forgets the failures of an account that signed in. Those of the address stay: its holder may have one
    /// account of their own and try others.
    pub(crate) fn clear(&self, key: &Key) {
        self.failures.lock().clear(key);
    }

    /// Remembers the day on which an account was used.
    pub(crate) fn used(&self, name: &str, now: Timestamp) {
        let day = Timestamp::from_millis(now.as_millis().div_euclid(DAY_MILLIS) * DAY_MILLIS);
        let mut used_at = self.used_at.lock();
        match used_at.get_mut(name) {
            Some(known) => *known = day,
            None => drop(used_at.insert(name.to_owned(), day)),
        }
    }

    /// The day on which an account was last used, `2026-11-22`.
    pub(crate) fn used_on(&self, name: &str) -> Option<String> {
        self.used_at.lock().get(name).map(|day| day.to_string().chars().take(10).collect())
    }

    /// Forgets when an account was used.
    pub(crate) fn forget(&self, name: &str) {
        self.used_at.lock().remove(name);
    }
}

impl<L: Log, S: Store> Shared<L, S> {
    /// The accounts, not older than [`FRESH`].
    pub(crate) async fn accounts(self: &App<L, S>) -> Result<Arc<Directory>, ApiError> {
        let loaded_at = self.access.loaded_at.load(Ordering::SeqCst);
        let age = self.parts.clock.monotonic_nanos().checked_sub(loaded_at);
        if age.is_none_or(|age| u128::from(age) >= FRESH.as_nanos()) {
            self.load_accounts().await?;
        }
        Ok(self.access.directory.load_full())
    }

    async fn load_accounts(self: &App<L, S>) -> Result<(), ApiError> {
        let app = Arc::clone(self);
        blocking(move || {
            let _loading = app.access.loading.lock();
            let now = app.parts.clock.monotonic_nanos();
            let stored = load_accounts(app.parts.store.as_ref())?;
            app.access.directory.store(Arc::new(Directory::new(stored)));
            app.access.loaded_at.store(now, Ordering::SeqCst);
            Ok(())
        })
        .await
    }

    /// Keeps an account, in place of the one of that name.
    pub(crate) async fn keep_account(self: &App<L, S>, account: StoredAccount) -> Result<(), ApiError> {
        self.change_accounts(Operation::PutAccount { account }).await
    }

    /// Removes an account.
    pub(crate) async fn remove_account(self: &App<L, S>, name: String) -> Result<(), ApiError> {
        self.access.forget(&name);
        self.change_accounts(Operation::RemoveAccount { name }).await
    }

    /// Through the log, so that a replay has the same accounts; then what is known of them is loaded anew.
    async fn change_accounts(self: &App<L, S>, operation: Operation) -> Result<(), ApiError> {
        let app = Arc::clone(self);
        to_the_end(async move {
            let position = app.order(operation).await?;
            app.settle(position).await?;
            app.load_accounts().await?;
            app.access.changed.send_replace(());
            Ok(())
        })
        .await
    }
}
