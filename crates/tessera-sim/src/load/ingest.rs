//! How many events a second, from the first request to the last event folded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tessera_store::{Clock as _, SystemClock};

use super::body::{BATCH, Body, Kind};
use super::http::Connection;
use super::{Target, figure, real, sleep_until};

/// Sends one identify for each of `profiles` people, which says yes to ten purposes if they are `consenting`, and waits
/// until all are folded.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub fn fill(target: &Target, profiles: u64, consenting: bool) -> anyhow::Result<()> {
    let kind = if consenting { Kind::Consenting } else { Kind::Identify };
    const CONNECTIONS: u64 = 16;
    let before = accepted(target)?;
    let next = AtomicU64::new(0);
    let batches = profiles.div_ceil(BATCH as u64);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut connection = Connection::open(target)?;
                    let mut body = Body::batch(BATCH, |_| kind);
                    loop {
                        let batch = next.fetch_add(1, Ordering::Relaxed);
                        if batch >= batches {
                            return Ok(());
                        }
                        for n in 0..BATCH {
                            let user = batch * BATCH as u64 + n as u64;
                            body.set(n, user, 900_000_000_000 + user);
                        }
                        post(&mut connection, "/v1/batch", body.bytes())?;
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    wait_for(target, before + batches * BATCH as u64)
}

/// Sends batches for `seconds`, at most `rate` events a second or, if that is 0, as fast as they are answered; prints
/// `ingest_events_per_s`.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub fn run(target: &Target, profiles: u64, seconds: u64, connections: u64, rate: u64) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let before = accepted(target)?;
    let sent = AtomicU64::new(0);
    // Message ids of different runs must differ, or the second run would be dropped as repeats.
    let first = before * 1_000 % 500_000_000_000;
    let end = clock.monotonic_nanos() + seconds * 1_000_000_000;
    let start = clock.monotonic_nanos();
    // Between two batches of one connection.
    let period = (BATCH as u64 * connections * 1_000_000_000).checked_div(rate).unwrap_or(0);
    std::thread::scope(|scope| {
        let (clock, sent) = (&clock, &sent);
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                scope.spawn(move || -> anyhow::Result<()> {
                    let mut connection = Connection::open(target)?;
                    let mut random = ChaCha8Rng::seed_from_u64(worker + before);
                    let mut next = first + worker * 1_000_000_000;
                    let mut body = Body::batch(BATCH, |n| match n % 10 {
                        0 => Kind::Identify,
                        1 | 2 => Kind::Page,
                        _ => Kind::Track,
                    });
                    let mut due = start + period * worker / connections.max(1);
                    while clock.monotonic_nanos().max(due) < end {
                        sleep_until(clock, due);
                        due += period;
                        body.shuffle(&mut random, profiles, &mut next);
                        post(&mut connection, "/v1/batch", body.bytes())?;
                        sent.fetch_add(BATCH as u64, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    let sent = sent.load(Ordering::Relaxed);
    wait_for(target, before + sent)?;
    let nanos = clock.monotonic_nanos().saturating_sub(start);
    figure("ingest_events_per_s", (real(sent) / (real(nanos) / 1e9)).round(), "events/s");
    figure("ingest_events", real(sent), "events");
    Ok(())
}

/// Posts, and waits as long as the server says that it is overloaded.
pub(crate) fn post(connection: &mut Connection, path: &str, body: &[u8]) -> anyhow::Result<()> {
    for _ in 0..1000 {
        match connection.ingest(path, body)? {
            200 => return Ok(()),
            429 | 503 => std::thread::sleep(Duration::from_millis(20)),
            other => bail!("the server answered {other}"),
        }
    }
    bail!("the server stays overloaded")
}

pub(crate) fn accepted(target: &Target) -> anyhow::Result<u64> {
    let totals = Connection::open(target)?.json("/api/v1/totals")?;
    Ok(totals.get("accepted").and_then(serde_json::Value::as_u64).unwrap_or_default())
}

pub(crate) fn wait_for(target: &Target, wanted: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(target)?;
    for _ in 0..60_000 {
        let totals = connection.json("/api/v1/totals")?;
        let now = totals.get("accepted").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if now >= wanted {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("the server did not fold {wanted} events within five minutes")
}
