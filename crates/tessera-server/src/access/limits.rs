//! How often, and after how many failures no more. Pure: the time is an argument, in monotonic nanoseconds.
//!
//! Invariant: memory is bounded by [`KEYS_MAX`] whatever comes.
//! Reference: the generic cell rate algorithm (ITU-T I.371); OWASP Authentication Cheat Sheet, "Account Lockout";
//! NIST SP 800-63B section 5.2.2.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Most accounts and addresses that are told apart, each in rates and in failures.
const KEYS_MAX: usize = 100_000;
const SECOND: u64 = 1_000_000_000;

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// By the hash of its name: names that do not exist count too, or the answer would tell which do.
    Account([u8; 32]),
    Address(IpAddr),
    /// Wrong tokens from an address. Apart from passwords: a page whose session has ended goes on asking, and must
    /// not keep its person from signing in again.
    Tokens(IpAddr),
    /// Everybody who came when the table was full.
    Others,
}

impl Key {
    pub(crate) fn account(name: &str) -> Self {
        Self::Account(*blake3::hash(name.as_bytes()).as_bytes())
    }

    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(network(address))
    }

    pub(crate) fn tokens(address: IpAddr) -> Self {
        Self::Tokens(network(address))
    }
}

/// One network of IPv6 is one client: it has 2^64 addresses to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A token bucket for each account and address.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Nanoseconds that one request takes out of the bucket; 0: no limit.
    interval: u64,
    /// Nanoseconds that a bucket holds beyond one request.
    tolerance: u64,
    /// When each bucket will be full again.
    full_at: HashMap<Key, u64>,
    swept_at: u64,
}

impl Rates {
    /// `burst` requests at once, `requests_per_second` in the long run; 0: no limit.
    pub(crate) fn new(requests_per_second: u32, burst: u32) -> Self {
        let interval = SECOND.checked_div(u64::from(requests_per_second)).unwrap_or(0);
        let tolerance = interval.saturating_mul(u64::from(burst.saturating_sub(1)));
        Self { interval, tolerance, full_at: HashMap::new(), swept_at: 0 }
    }

    /// Takes one request out of the bucket of `key`, or says how long to wait for it.
    pub(crate) fn take(&mut self, key: Key, now: u64) -> Result<(), Duration> {
        if self.interval == 0 {
            return Ok(());
        }
        let key = self.known(key, now);
        let full_at = self.full_at.get(&key).copied().unwrap_or(0).max(now);
        let excess = (full_at - now).saturating_sub(self.tolerance);
        if excess > 0 {
            return Err(Duration::from_nanos(excess));
        }
        self.full_at.insert(key, full_at.saturating_add(self.interval));
        Ok(())
    }

    /// `key` if there is room for it.
    fn known(&mut self, key: Key, now: u64) -> Key {
        if self.full_at.len() < KEYS_MAX || self.full_at.contains_key(&key) {
            return key;
        }
        // A full bucket says nothing that an absent one does not. Not at every request: it walks through all.
        if now.saturating_sub(self.swept_at) >= SECOND {
            self.swept_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < KEYS_MAX { key } else { Key::Others }
    }
}

/// Failures that lock.
const FAILURES_MAX: usize = 5;
/// How long a failure counts.
const WINDOW: u64 = 15 * 60 * SECOND;
/// The first lock; each further one is twice as long.
const LOCK_MIN: u64 = 60 * SECOND;
const LOCK_MAX: u64 = 60 * 60 * SECOND;
/// After so long without a failure, locks are short again.
const FORGET: u64 = 24 * 60 * 60 * SECOND;

/// Failed attempts of one account or address.
#[derive(Clone, Debug, Default)]
struct Tries {
    /// When the failures since the last lock were, oldest first; fewer than [`FAILURES_MAX`].
    at: Vec<u64>,
    last_at: u64,
    locks: u32,
    locked_until: u64,
}

/// Failed attempts of all.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    tries: HashMap<Key, Tries>,
}

impl Failures {
    /// How long `key` is locked out still.
    pub(crate) fn locked(&self, key: &Key, now: u64) -> Option<Duration> {
        let left = self.tries.get(key)?.locked_until.checked_sub(now).filter(|left| *left > 0)?;
        Some(Duration::from_nanos(left))
    }

    /// Counts a failure. What fails while it is locked out does not count: nothing was tried.
    pub(crate) fn fail(&mut self, key: Key, now: u64) {
        if self.locked(&key, now).is_some() {
            return;
        }
        self.make_room(&key, now);
        let tries = self.tries.entry(key).or_default();
        if now.saturating_sub(tries.last_at) >= FORGET {
            *tries = Tries::default();
        }
        tries.at.retain(|at| now.saturating_sub(*at) < WINDOW);
        tries.at.push(now);
        tries.last_at = now;
        if tries.at.len() >= FAILURES_MAX {
            let lock = LOCK_MIN.saturating_mul(1 << tries.locks.min(16)).min(LOCK_MAX);
            tries.locked_until = now.saturating_add(lock);
            tries.locks += 1;
            tries.at.clear();
        }
    }

    /// Forgets the failures of an account whose password was right.
    pub(crate) fn clear(&mut self, key: &Key) {
        self.tries.remove(key);
    }

    fn make_room(&mut self, key: &Key, now: u64) {
        if self.tries.len() < KEYS_MAX || self.tries.contains_key(key) {
            return;
        }
        self.tries.retain(|_, tries| now.saturating_sub(tries.last_at) < FORGET);
        if self.tries.len() >= KEYS_MAX {
            let oldest = self.tries.iter().min_by_key(|(_, tries)| tries.last_at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.tries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * SECOND;

    fn key(number: u32) -> Key {
        Key::address(IpAddr::V4(number.into()))
    }

    fn secs(wait: Option<Duration>) -> u64 {
        wait.map_or(0, |wait| wait.as_secs())
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let mut rates = Rates::new(10, 3);
        let given = |rates: &mut Rates, now| (0..100).filter(|_| rates.take(key(1), now).is_ok()).count();
        assert_eq!(given(&mut rates, SECOND), 3);
        assert_eq!(given(&mut rates, SECOND + SECOND / 10), 1);
        assert_eq!(given(&mut rates, SECOND + SECOND / 10 + 1), 0);
        assert_eq!(rates.take(key(1), SECOND + SECOND / 10), Err(Duration::from_millis(100)));
        assert_eq!(given(&mut rates, 60 * SECOND), 3);
        assert_eq!(rates.take(key(2), 60 * SECOND), Ok(()));
    }

    #[test]
    fn in_the_long_run_the_rate_is_kept() {
        let mut rates = Rates::new(100, 200);
        let milliseconds = (1..=60_000).map(|ms| ms * 1_000_000);
        let given = milliseconds.filter(|now| rates.take(key(1), *now).is_ok()).count();
        assert!((6_190..=6_201).contains(&given), "{given}");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut rates = Rates::new(0, 0);
        assert!((0..10_000).all(|_| rates.take(key(1), 0).is_ok()));
        assert!(rates.full_at.is_empty());
    }

    #[test]
    fn a_full_table_counts_newcomers_together_until_buckets_are_full_again() {
        let mut rates = Rates::new(1, 1);
        let count = u32::try_from(KEYS_MAX).unwrap();
        assert!((0..count).all(|number| rates.take(key(number), 2 * SECOND).is_ok()));
        assert_eq!(rates.take(key(count + 1), 2 * SECOND), Ok(()));
        assert!(rates.take(key(count + 2), 2 * SECOND).is_err(), "the newcomers share one bucket");
        assert!(rates.full_at.len() <= KEYS_MAX + 1);
        assert_eq!(rates.take(key(count + 2), 4 * SECOND), Ok(()));
        assert_eq!(rates.full_at.len(), 1);
    }

    #[test]
    fn the_fifth_failure_within_a_quarter_of_an_hour_locks() {
        let mut failures = Failures::default();
        for minute in 1..=4 {
            failures.fail(key(1), minute * MINUTE);
            assert_eq!(failures.locked(&key(1), minute * MINUTE), None);
        }
        failures.fail(key(1), 5 * MINUTE);
        assert_eq!(secs(failures.locked(&key(1), 5 * MINUTE)), 60);
        assert_eq!(secs(failures.locked(&key(1), 5 * MINUTE + 30 * SECOND)), 30);
        assert_eq!(failures.locked(&key(1), 6 * MINUTE), None);
        assert_eq!(failures.locked(&key(2), 5 * MINUTE), None);
    }

    #[test]
    fn failures_further_apart_never_lock() {
        let mut failures = Failures::default();
        for number in 1..100 {
            failures.fail(key(1), number * 4 * MINUTE);
            assert_eq!(failures.locked(&key(1), number * 4 * MINUTE), None, "failure {number}");
        }
    }

    #[test]
    fn locks_grow_to_an_hour_and_are_short_again_after_a_day() {
        let mut failures = Failures::default();
        let mut now = MINUTE;
        let mut locks = Vec::new();
        for _ in 0..8 {
            (0..4).for_each(|_| failures.fail(key(1), now));
            assert_eq!(failures.locked(&key(1), now), None);
            failures.fail(key(1), now);
            let lock = failures.locked(&key(1), now).unwrap();
            locks.push(lock.as_secs());
            now += u64::try_from(lock.as_nanos()).unwrap();
        }
        assert_eq!(locks, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        (0..5).for_each(|_| failures.fail(key(1), now + FORGET));
        assert_eq!(secs(failures.locked(&key(1), now + FORGET)), 60);
    }

    #[test]
    fn what_fails_while_locked_does_not_prolong_the_lock() {
        let mut failures = Failures::default();
        for _ in 0..50 {
            failures.fail(key(1), MINUTE);
        }
        assert_eq!(secs(failures.locked(&key(1), MINUTE)), 60);
    }

    #[test]
    fn success_forgets() {
        let mut failures = Failures::default();
        (0..4).for_each(|_| failures.fail(key(1), MINUTE));
        failures.clear(&key(1));
        failures.fail(key(1), MINUTE);
        assert_eq!(failures.locked(&key(1), MINUTE), None);
    }

    #[test]
    fn a_full_table_of_failures_forgets_the_oldest() {
        let mut failures = Failures::default();
        let count = u32::try_from(KEYS_MAX).unwrap();
        for number in 0..count {
            failures.fail(key(number), MINUTE + u64::from(number));
        }
        (0..5).for_each(|_| failures.fail(key(count), 2 * MINUTE));
        assert_eq!(failures.tries.len(), KEYS_MAX);
        assert!(!failures.tries.contains_key(&key(0)));
        assert!(failures.locked(&key(count), 2 * MINUTE).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_mapped_address_is_its_ipv4() {
        let of = |text: &str| Key::address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
