//! How fast the pipeline alone is, without HTTP and log: `cargo run --release -p tessera-sim --example pipeline_rate -- PROFILES`.
//! For profiling; `cargo xtask bench ingest` measures the product.

use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _};
use tessera_model::{Entrance, HashKey, Operation, Record, RequestId, SourceName, Timestamp};
use tessera_pipeline::{Item, Pipeline, PipelineOptions, Stage};
use tessera_store::{Clock, MemoryLog, Position, Store as _, SystemClock};
use tessera_store_embedded::{EmbeddedStore, StoreOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let profiles: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let store = Arc::new(EmbeddedStore::open(folder.path(), StoreOptions::default())?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = Arc::new(MemoryLog::default());
    let mut pipeline = Pipeline::open(log, Arc::clone(&store), HashKey::new([1; 32]), Arc::clone(&clock), PipelineOptions::default())?;
    let documents = serde_json::from_value(serde_json::json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "load", "write_key": "load-write-key", "purposes": ["service"]},
    ]))?;
    let mut position = 0;
    let mut next = |record: Record| {
        position += 100_000;
        Item { position: Position(position), next: Position(position + 1), record, parsed: None, bytes: 0 }
    };
    pipeline.process(vec![next(Record::Operation { at: Timestamp::default(), operation: Operation::Apply { documents } })])?;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut message = 0_u64;
    for (phase, events) in [("fill", profiles), ("run", 2_000_000)] {
        let metrics = pipeline.metrics();
        let before: Vec<u64> = Stage::ALL.iter().map(|s| metrics.nanos(*s)).collect();
        let start = clock.monotonic_nanos();
        for batch in 0..events / 1000 {
            let items: Vec<Item> = (0..10)
                .map(|part| {
                    let events: Vec<String> = (0..100)
                        .map(|n| {
                            message += 1;
                            let (user, kind) = match phase {
                                "fill" => (batch * 1000 + part * 100 + n, r#""type":"identify","traits":{"name":"Ada Lovelace","plan":"pro","city":"London","loyalty_tier":"gold","newsletter":true,"visits":42}"#),
                                _ => (random.random_range(0..profiles), r#""type":"track","event":"Product Viewed","properties":{"price":18.99}"#),
                            };
                            format!(r#"{{{kind},"userId":"user-{user:012}","anonymousId":"device-{user:012}","messageId":"0190b4f2-0c1e-7d33-9a5b-{message:012}"}}"#)
                        })
                        .collect();
                    next(Record::Ingest {
                        source: SourceName::parse("load").expect("a name"),
                        received_at: clock.now(),
                        request_id: RequestId(0),
                        entrance: Entrance::Batch,
                        body: format!(r#"{{"batch":[{}]}}"#, events.join(",")).into(),
                    })
                })
                .collect();
            pipeline.process(items)?;
            if store.dirty_bytes() > 64 << 20 {
                let begun = clock.monotonic_nanos();
                store.checkpoint()?;
                metrics.add(Stage::Checkpoint, clock.monotonic_nanos() - begun);
            }
        }
        let seconds = (clock.monotonic_nanos() - start) as f64 / 1e9;
        print!("{phase}: {:.0} events/s;", events as f64 / seconds);
        for (stage, before) in Stage::ALL.iter().zip(before) {
            print!(" {} {:.2} µs", stage.as_str(), (metrics.nanos(*stage) - before) as f64 / 1e3 / events as f64);
        }
        let status = std::fs::read_to_string("/proc/self/status")?;
        println!("; {}", status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default());
    }
    let rows = store.scan(tessera_store::Table::Cluster, None, 100_000)?;
    let bytes: usize = rows.iter().map(|(_, v)| v.len()).filter(|n| *n > 30).sum();
    let count = rows.iter().filter(|(_, v)| v.len() > 30).count();
    println!("{} bytes a cluster", bytes / count.max(1));
    Ok(())
}
