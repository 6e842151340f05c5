//! Measures the segment log on this machine's disk: grouped appends with one fsync each, reading all back,
//! reading single records, and rewriting every segment while appends go on.
//!
//! `cargo run --release -p tessera-store-embedded --example append_rate [FOLDER]`

#![expect(clippy::print_stdout, reason = "a measurement prints")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use tessera_model::Timestamp;
use tessera_store::{Clock, Log, LogError, Position, SystemClock};
use tessera_store_embedded::{SegmentLog, SegmentLogOptions};

const GROUPS: usize = 2_000;
const RECORDS_PER_GROUP: usize = 4;
const RECORD_BYTES: usize = 70_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/append_rate"), PathBuf::from);
    let clock = SystemClock::new();
    let log = SegmentLog::open(&folder, SegmentLogOptions::default())?;
    let record: Vec<u8> = (0..RECORD_BYTES).map(|i| u8::try_from(i * i % 251).unwrap_or(0)).collect();
    let group = [record.as_slice(); RECORDS_PER_GROUP];
    let megabytes = (GROUPS * RECORDS_PER_GROUP * RECORD_BYTES) as f64 / 1e6;

    let mut positions = Vec::new();
    let started = clock.monotonic_nanos();
    let mut slowest = 0.0_f64;
    for _ in 0..GROUPS {
        let group_started = clock.monotonic_nanos();
        positions.extend(log.append(&group, Timestamp::MIN)?);
        slowest = slowest.max(seconds(&clock, group_started));
    }
    let took = seconds(&clock, started);
    let (rate, speed) = (GROUPS as f64 / took, megabytes / took);
    println!("append: {rate:.0} groups/s, {speed:.0} MB/s, slowest group {:.1} ms", slowest * 1e3);

    let started = clock.monotonic_nanos();
    let (mut from, mut records) = (Position::START, 0);
    loop {
        let entries = log.read(from, 4 * 1024 * 1024)?;
        let Some(last) = entries.last() else { break };
        from = last.next;
        records += entries.len();
    }
    let took = seconds(&clock, started);
    println!("read all: {records} records, {:.0} MB/s", records as f64 * RECORD_BYTES as f64 / 1e6 / took);

    let started = clock.monotonic_nanos();
    for position in &positions {
        log.read(*position, 0)?;
    }
    let took = seconds(&clock, started);
    println!("read one: {:.1} microseconds", took * 1e6 / positions.len() as f64);

    rewrite(&log, &clock)?;

    drop(log);
    let started = clock.monotonic_nanos();
    let segments = SegmentLog::open(&folder, SegmentLogOptions::default())?.segments();
    println!("open: {:.1} ms, {segments} segments", seconds(&clock, started) * 1e3);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Replaces one record in a hundred, which are in all segments.
fn rewrite(log: &SegmentLog, clock: &SystemClock) -> Result<(), LogError> {
    let started = clock.monotonic_nanos();
    let (mut number, mut slowest, mut appends) = (0_u64, 0.0_f64, 0_u64);
    let (end, bytes) = (log.bounds().end, log.size_bytes());
    let is_done = AtomicBool::new(false);
    let rewritten = std::thread::scope(|scope| {
        let rewriting = scope.spawn(|| {
            let rewritten = log.rewrite(Position::START..end, &mut |_, record| {
                number += 1;
                number.is_multiple_of(100).then(|| vec![b' '; record.len()])
            });
            is_done.store(true, Ordering::Release);
            rewritten
        });
        while !is_done.load(Ordering::Acquire) {
            let append_started = clock.monotonic_nanos();
            log.append(&[&[0; 1_000]], Timestamp::MIN)?;
            slowest = slowest.max(seconds(clock, append_started));
            appends += 1;
        }
        rewriting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let took = seconds(clock, started);
    println!(
        "rewrite: {} records in {} segments, {:.0} MB/s; {:.0} appends/s meanwhile, slowest {:.1} ms",
        rewritten.records,
        rewritten.segments,
        bytes as f64 / 1e6 / took,
        appends as f64 / took,
        slowest * 1e3
    );
    Ok(())
}

fn seconds(clock: &SystemClock, since_nanos: u64) -> f64 {
    clock.monotonic_nanos().saturating_sub(since_nanos) as f64 / 1e9
}
