//! The only place that reads the time.

use std::sync::atomic::{AtomicI64, Ordering};

use tessera_model::Timestamp;

/// Tells the time. Nobody else reads it: engines get it as an argument, shells hold a `Clock`.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time, UTC. May step backwards when the machine's clock is corrected.
    fn now(&self) -> Timestamp;
    /// Nanoseconds since some fixed point, never backwards. For durations only.
    fn monotonic_nanos(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one implementation of `Clock` that reads the machine's time"
    )]
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one implementation of `Clock` that reads the machine's time"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic_nanos(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when told to: for tests and the simulator.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { millis: AtomicI64::new(at.as_millis()) }
    }

    /// Moves the clock forward by `millis` milliseconds.
    pub fn advance_millis(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn monotonic_nanos(&self) -> u64 {
        let millis = u64::try_from(self.millis.load(Ordering::SeqCst)).unwrap_or(0);
        millis.saturating_mul(1_000_000)
    }
}
