//! The floor that ingest is compared with: parse and append the same bytes, and nothing else.

use std::path::Path;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tessera_model::{
    Document, Entrance, HashKey, ParseContext, Record, RequestId, Rules, SourceName, Workspace, parse_body,
};
use tessera_store::{Clock as _, Log as _, SystemClock};
use tessera_store_embedded::{SegmentLog, SegmentLogOptions};

use super::body::{BATCH, Body, Kind};
use super::{figure, real};

/// Parses and appends batches for `seconds` on one thread, 16 batches to a group as 16 connections would give;
/// prints `bare_events_per_s`.
///
/// # Errors
/// When the log refuses.
pub fn run(folder: &Path, seconds: u64) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let log = SegmentLog::open(folder, SegmentLogOptions { segment_bytes: 64 * 1024 * 1024 })?;
    let documents: Vec<Document> = serde_json::from_value(serde_json::json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "load", "write_key": "load-write-key", "purposes": ["service"]},
    ]))?;
    let workspace =
        Workspace::new(documents).map_err(|_| anyhow::anyhow!("the workspace of the bench is wrong"))?;
    let rules =
        Rules::new(1, workspace).map_err(|_| anyhow::anyhow!("the workspace of the bench is wrong"))?;
    let (key, source) = (HashKey::new([1; 32]), SourceName::parse("load")?);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut body = Body::batch(BATCH, |n| match n % 10 {
        0 => Kind::Identify,
        1 | 2 => Kind::Page,
        _ => Kind::Track,
    });
    let (start, mut next, mut events, mut parse_nanos) = (clock.monotonic_nanos(), 0, 0_u64, 0_u64);
    while clock.monotonic_nanos() < start + seconds * 1_000_000_000 {
        let mut group = Vec::with_capacity(16);
        for _ in 0..16 {
            body.shuffle(&mut random, 1_000_000, &mut next);
            let bytes = bytes::Bytes::copy_from_slice(body.bytes());
            let context = ParseContext {
                rules: &rules,
                key: &key,
                source: &source,
                received_at: clock.now(),
                request_id: RequestId(0),
                gpc: false,
            };
            let begun = clock.monotonic_nanos();
            let parsed = parse_body(&bytes, Entrance::Batch, &context)
                .map_err(|reject| anyhow::anyhow!("{reject:?}"))?;
            parse_nanos += clock.monotonic_nanos().saturating_sub(begun);
            events += parsed.iter().filter(|event| event.is_ok()).count() as u64;
            let record = Record::Ingest {
                source: source.clone(),
                received_at: clock.now(),
                request_id: RequestId(0),
                gpc: false,
                entrance: Entrance::Batch,
                body: bytes,
            };
            group.push(record.encode()?);
        }
        let records: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
        log.append(&records, clock.now())?;
    }
    let nanos = clock.monotonic_nanos().saturating_sub(start);
    figure("bare_events_per_s", (real(events) / (real(nanos) / 1e9)).round(), "events/s");
    figure("bare_parse_us_per_event", (real(parse_nanos) / real(events.max(1)) / 10.0).round() / 100.0, "µs");
    Ok(())
}
