//! `kill -9` of a real server under load, again and again: nothing acknowledged may be lost, nothing counted twice.
//!
//! Every sender repeats a batch until it is acknowledged, with the same message ids, as Segment's clients do. So in
//! the end each person must have exactly as many events as were made for them.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::body::{Body, Kind};
use super::http::Connection;
use super::{Target, figure, real};

const PEOPLE: u64 = 500;
const SENDERS: u64 = 8;
const BATCH: usize = 20;
const WRITE_KEY: &str = "crash-write-key";

/// Runs `rounds` of start, load, kill; prints `crash_lost` and `crash_twice`.
///
/// # Errors
/// When the server does not come back, or the counts cannot be read.
pub fn run(bin: &Path, data_dir: &Path, rounds: u64, seed: u64) -> anyhow::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let expected: Vec<AtomicU64> = (0..PEOPLE).map(|_| AtomicU64::new(0)).collect();
    let current: Mutex<Option<Target>> = Mutex::new(None);
    let (acknowledged, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for sender in 0..SENDERS {
            let (expected, current, acknowledged, stop) = (&expected, &current, &acknowledged, &stop);
            scope.spawn(move || send(sender, seed, expected, current, acknowledged, stop));
        }
        let killed = kill_rounds(bin, data_dir, rounds, &mut random, &current);
        let (mut server, target) = match killed.and_then(|()| start(bin, data_dir)) {
            Ok(started) => started,
            Err(error) => {
                stop.store(true, Ordering::SeqCst);
                return Err(error);
            }
        };
        *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.clone());
        // The senders finish the batch that they are on, so that all that was made is acknowledged.
        stop.store(true, Ordering::SeqCst);
        let counted = count_when_quiet(&target, &expected, &acknowledged);
        server.kill()?;
        server.wait()?;
        let (lost, twice) = counted?;
        figure("crash_rounds", real(rounds), "rounds");
        figure("crash_events", real(acknowledged.load(Ordering::SeqCst)), "events");
        figure("crash_lost", real(lost), "events");
        figure("crash_twice", real(twice), "events");
        if lost + twice > 0 {
            bail!("{lost} events were lost and {twice} counted twice (seed {seed})");
        }
        Ok(())
    })
}

fn kill_rounds(
    bin: &Path,
    data_dir: &Path,
    rounds: u64,
    random: &mut ChaCha8Rng,
    current: &Mutex<Option<Target>>,
) -> anyhow::Result<()> {
    for round in 0..rounds {
        let (mut server, target) = start(bin, data_dir).with_context(|| format!("round {round}"))?;
        *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
        std::thread::sleep(Duration::from_millis(random.random_range(50..900)));
        // SIGKILL: the process gets no chance to write anything more.
        server.kill()?;
        server.wait()?;
        *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    Ok(())
}

/// Starts the server on a free port and applies the workspace once.
fn start(bin: &Path, data_dir: &Path) -> anyhow::Result<(Child, Target)> {
    let url_file = data_dir.join("server.url");
    if url_file.exists() {
        std::fs::remove_file(&url_file)?;
    }
    let mut server = Command::new(bin)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the server")?;
    for _ in 0..3000 {
        if let Ok(url) = std::fs::read_to_string(&url_file)
            && let Some(address) = url.strip_prefix("http://").filter(|address| !address.is_empty())
        {
            let token = std::fs::read_to_string(data_dir.join("admin.token"))?;
            let target = Target {
                address: address.to_owned(),
                write_key: WRITE_KEY.to_owned(),
                token: token.trim().to_owned(),
            };
            if Connection::open(&target)
                .and_then(|mut c| c.get("/health"))
                .is_ok_and(|(status, _)| status == 200)
            {
                drain(&mut server);
                apply(bin, data_dir)?;
                return Ok((server, target));
            }
        }
        if let Some(status) = server.try_wait()? {
            let mut text = String::new();
            if let Some(mut stderr) = server.stderr.take() {
                stderr.read_to_string(&mut text)?;
            }
            bail!("the server ended with {status}: {text}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    server.kill()?;
    bail!("the server did not come up within 30 s")
}

/// Lets the server's messages go, so that it never waits for somebody to read them.
fn drain(server: &mut Child) {
    if let Some(mut stderr) = server.stderr.take() {
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    }
}

fn apply(bin: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let file = data_dir.join("workspace.yaml");
    if file.exists() {
        return Ok(());
    }
    let text = format!(
        "kind: Purpose\nname: service\nbasis: contract\n---\nkind: Source\nname: load\nwrite_key: {WRITE_KEY}\npurposes: [service]\n"
    );
    let partial = data_dir.join("workspace.partial");
    std::fs::write(&partial, text)?;
    let done =
        Command::new(bin).args(["apply", "--data-dir"]).arg(data_dir).arg("-f").arg(&partial).output()?;
    if !done.status.success() {
        bail!("cannot apply the workspace: {}", String::from_utf8_lossy(&done.stderr));
    }
    std::fs::rename(&partial, &file)?;
    Ok(())
}

/// Makes batches for its own people and sends each until it is acknowledged.
fn send(
    sender: u64,
    seed: u64,
    expected: &[AtomicU64],
    current: &Mutex<Option<Target>>,
    acknowledged: &AtomicU64,
    stop: &AtomicBool,
) {
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1000).wrapping_add(sender));
    let mut body = Body::batch(BATCH, |_| Kind::Track);
    let mut message = sender * 1_000_000_000;
    let mut connection: Option<Connection> = None;
    while !stop.load(Ordering::SeqCst) {
        for n in 0..BATCH {
            let user = random.random_range(0..PEOPLE);
            body.set(n, user, message);
            message += 1;
            if let Some(count) = usize::try_from(user).ok().and_then(|user| expected.get(user)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        loop {
            if connection.is_none() {
                let target = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                connection = target.and_then(|target| Connection::open(&target).ok());
            }
            let status = connection.as_mut().map(|open| open.ingest("/v1/batch", body.bytes()));
            match status {
                Some(Ok(200)) => break,
                // 401: the server is up, but its first workspace is not applied yet.
                Some(Ok(_)) => std::thread::sleep(Duration::from_millis(5)),
                Some(Err(_)) | None => {
                    connection = None;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        acknowledged.fetch_add(BATCH as u64, Ordering::SeqCst);
    }
}

/// Waits until the senders have ended, then compares every person's count.
fn count_when_quiet(
    target: &Target,
    expected: &[AtomicU64],
    acknowledged: &AtomicU64,
) -> anyhow::Result<(u64, u64)> {
    let made = || expected.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
    let mut connection = Connection::open(target)?;
    for _ in 0..3000 {
        let totals = connection.json("/api/v1/totals")?;
        let accepted = totals.get("accepted").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if acknowledged.load(Ordering::SeqCst) == made() && accepted >= made() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (mut lost, mut twice) = (0, 0);
    for (user, expected) in expected.iter().enumerate() {
        let expected = expected.load(Ordering::SeqCst);
        let (status, body) =
            connection.get(&format!("/api/v1/profiles/user_id:user-{user:012}?include=events"))?;
        let counted = match status {
            200 => {
                let profile: serde_json::Value = serde_json::from_slice(&body)?;
                let count = profile.pointer("/event_counts/Product Viewed/count");
                count.and_then(serde_json::Value::as_u64).unwrap_or_default()
            }
            404 => 0,
            other => bail!("a look-up answered {other}"),
        };
        lost += expected.saturating_sub(counted);
        twice += counted.saturating_sub(expected);
    }
    Ok((lost, twice))
}
