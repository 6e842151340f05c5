//! How long to wait before the next try: exponential back-off with full jitter. Pure.
//!
//! Not a timer. Invariants: a wait is at most [`CAP_MILLIS`], unless the destination asked for more; it is never
//! shorter than the destination asked for. Reference: Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015.

/// The longest first wait.
pub const BASE_MILLIS: u64 = 500;
/// The longest wait of all: 5 minutes.
pub const CAP_MILLIS: u64 = 5 * 60 * 1000;

/// The wait in milliseconds after a failed try that `attempt` failed tries went before, so 0 at first: uniform
/// between 0 and `BASE_MILLIS * 2^attempt`, or `CAP_MILLIS` if that is less. `random` is uniform over all of `u64`.
#[must_use]
pub fn delay_millis(attempt: u32, random: u64) -> u64 {
    let factor = 1_u64.checked_shl(attempt).unwrap_or(u64::MAX);
    let ceiling = BASE_MILLIS.saturating_mul(factor).min(CAP_MILLIS);
    let scaled = u128::from(random) * (u128::from(ceiling) + 1);
    u64::try_from(scaled >> 64).unwrap_or(ceiling)
}

/// The wait in milliseconds when the destination asked for at least `after_millis`.
#[must_use]
pub fn retry_millis(attempt: u32, random: u64, after_millis: Option<u64>) -> u64 {
    delay_millis(attempt, random).max(after_millis.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_doubles_until_the_cap() {
        let longest: Vec<u64> = (0..12).map(|attempt| delay_millis(attempt, u64::MAX)).collect();
        let expected =
            [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, CAP_MILLIS, CAP_MILLIS];
        assert_eq!(longest, expected);
        for attempt in [62, 63, 64, 65, u32::MAX] {
            assert_eq!(delay_millis(attempt, u64::MAX), CAP_MILLIS, "attempt {attempt}");
        }
    }

    #[test]
    fn a_wait_is_spread_evenly_from_nothing_to_the_longest() {
        assert_eq!(delay_millis(1, 0), 0);
        assert_eq!(delay_millis(1, u64::MAX / 4), 250);
        assert_eq!(delay_millis(1, u64::MAX / 2), 500);
    }

    #[test]
    fn a_wait_is_never_shorter_than_the_destination_asked_for() {
        assert_eq!(retry_millis(0, 0, Some(30_000)), 30_000);
        assert_eq!(retry_millis(20, u64::MAX, Some(30_000)), CAP_MILLIS);
        assert_eq!(retry_millis(0, u64::MAX, None), 500);
    }
}
