//! Single events at a steady rate: how long until acknowledged, until visible, and how long a look-up takes.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::bail;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tessera_store::{Clock as _, SystemClock};

use super::body::{Body, Kind};
use super::http::Connection;
use super::ingest::{accepted, post};
use super::{Target, figure, percentile, real, sleep_until};

const SENDERS: u64 = 16;

/// Sends `rate` single events a second for `seconds`, watching some of them appear; prints the p99s.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub fn run(target: &Target, profiles: u64, seconds: u64, rate: u64) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let first = 600_000_000_000 + accepted(target)? * 100 % 200_000_000_000;
    let (acks, visible, lookups) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let start = clock.monotonic_nanos() + 200_000_000;
    let end = start + seconds * 1_000_000_000;
    std::thread::scope(|scope| {
        let (clock, acks, visible, lookups) = (&clock, &acks, &visible, &lookups);
        let mut workers = Vec::new();
        for worker in 0..SENDERS {
            workers.push(scope.spawn(move || -> anyhow::Result<()> {
                let mut connection = Connection::open(target)?;
                let mut random = ChaCha8Rng::seed_from_u64(worker);
                let mut body = Body::single(Kind::Track);
                let period = 1_000_000_000 * SENDERS / rate.max(1);
                let mut due = start + period * worker / SENDERS;
                let (mut next, mut mine) = (first + worker * 1_000_000_000, Vec::new());
                while due < end {
                    sleep_until(clock, due);
                    body.shuffle(&mut random, profiles, &mut next);
                    post(&mut connection, "/v1/track", body.bytes())?;
                    // Measured from when the event was due: a slow answer must not hide the next one's wait.
                    mine.push(clock.monotonic_nanos().saturating_sub(due));
                    due += period;
                }
                lock(acks).extend(mine);
                Ok(())
            }));
        }
        workers.push(scope.spawn(move || watch(target, clock, start, end, profiles, visible)));
        workers.push(scope.spawn(move || look_up(target, clock, start, end, profiles, lookups)));
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    for (name, values) in [("ack", acks), ("visible", visible), ("lookup", lookups)] {
        let mut values = values.into_inner().unwrap_or_default();
        figure(&format!("{name}_p50_ms"), millis(percentile(&mut values, 0.5)), "ms");
        figure(&format!("{name}_p99_ms"), millis(percentile(&mut values, 0.99)), "ms");
        figure(&format!("{name}_samples"), real(values.len() as u64), "samples");
    }
    Ok(())
}

/// Sends an event whose trait nobody else sets, and asks until it is there.
fn watch(
    target: &Target,
    clock: &SystemClock,
    start: u64,
    end: u64,
    profiles: u64,
    visible: &Mutex<Vec<u64>>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(target)?;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut due = start;
    while due < end {
        sleep_until(clock, due);
        let user = random.random_range(0..profiles);
        let event = serde_json::json!({ "userId": format!("user-{user:012}"), "traits": { "seen": due } });
        let sent = clock.monotonic_nanos();
        post(&mut connection, "/v1/identify", event.to_string().as_bytes())?;
        loop {
            let profile = connection.json(&format!("/api/v1/profiles/user_id:user-{user:012}"))?;
            if profile.pointer("/traits/seen").and_then(serde_json::Value::as_u64) == Some(due) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        lock(visible).push(clock.monotonic_nanos().saturating_sub(sent));
        due += 50_000_000;
    }
    Ok(())
}

fn look_up(
    target: &Target,
    clock: &SystemClock,
    start: u64,
    end: u64,
    profiles: u64,
    lookups: &Mutex<Vec<u64>>,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(target)?;
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut due = start;
    while due < end {
        sleep_until(clock, due);
        let user = random.random_range(0..profiles);
        let (status, _) = connection.get(&format!("/api/v1/profiles/user_id:user-{user:012}"))?;
        if status != 200 {
            bail!("a look-up answered {status}");
        }
        lock(lookups).push(clock.monotonic_nanos().saturating_sub(due));
        due += 5_000_000;
    }
    Ok(())
}

fn lock(values: &Mutex<Vec<u64>>) -> std::sync::MutexGuard<'_, Vec<u64>> {
    values.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn millis(nanos: u64) -> f64 {
    (real(nanos) / 1e4).round() / 100.0
}
