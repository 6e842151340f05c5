//! Load on a real server over real connections, cheap enough to share the machine with it.

pub mod bare;
mod body;
pub mod crash;
mod http;
pub mod ingest;
pub mod latency;

use std::time::Duration;

use tessera_store::{Clock as _, SystemClock};

/// Which server, and with which keys.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port.
    pub address: String,
    /// Of the source that the events come from.
    pub write_key: String,
    /// For the admin API.
    pub token: String,
}

/// Prints one figure as a line of JSON: `{"figure", "value", "unit"}`.
#[expect(clippy::print_stdout, reason = "figures are what these commands are for")]
pub(crate) fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "figure": name, "value": value, "unit": unit }));
}

/// A count as a number that may be divided.
#[expect(clippy::cast_precision_loss, reason = "figures are rounded for people anyway")]
pub(crate) fn real(number: u64) -> f64 {
    number as f64
}

/// The value below which `share` (0 to 1) of the sorted values lie.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into the slice, not negative"
    )]
    let at = (real(values.len() as u64) * share) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

pub(crate) fn sleep_until(clock: &SystemClock, due: u64) {
    let wait = due.saturating_sub(clock.monotonic_nanos());
    if wait > 0 {
        std::thread::sleep(Duration::from_nanos(wait));
    }
}
