//! Lets go of old log segments, once a snapshot holds their effect.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tessera_pipeline::{newest_snapshot, write_snapshot};
use tessera_store::{Clock, Log, Position, Retention, Store};

use crate::settings::LogSettings;

/// Snapshots and cuts, if there is anything to cut. Returns whether there was.
pub(crate) fn retain<L: Log, S: Store>(
    (log, needed): (&L, Option<Position>),
    store: &Arc<S>,
    quiet: &Mutex<()>,
    clock: &dyn Clock,
    settings: &LogSettings,
    snapshots: &Path,
) -> anyhow::Result<bool> {
    let hours = i64::try_from(settings.retention_hours).unwrap_or(i64::MAX);
    let before = match hours {
        0 => tessera_model::Timestamp::MIN,
        hours => clock.now().plus_millis(hours.saturating_mul(-3_600_000)),
    };
    let bytes_max = match settings.retention_mib {
        0 => u64::MAX,
        mib => mib.saturating_mul(1024 * 1024),
    };
    // The lake may still have to read there.
    let upto = needed.map_or(store.durable_position(), |needed| needed.min(store.durable_position()));
    let cut = log.cut(&Retention { before, bytes_max, upto });
    if cut <= log.bounds().start {
        return Ok(false);
    }
    if newest_snapshot(snapshots).is_none_or(|(position, _)| position < cut) {
        // The state must stand still while it is written; requests go on into the log meanwhile.
        let _quiet = quiet.lock();
        store.checkpoint()?;
        write_snapshot(store.as_ref(), snapshots)?;
    }
    log.discard_before(cut)?;
    tracing::info!(position = cut.0, "discarded log segments");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tessera_model::{Entrance, HashKey, Operation, Record, RequestId, SourceName, Timestamp};
    use tessera_pipeline::{Pipeline, PipelineOptions, read_snapshot, replay_into, state_hash};
    use tessera_store::{ManualClock, MemoryStore};
    use tessera_store_embedded::{SegmentLog, SegmentLogOptions};

    use super::*;

    fn event(clock: &ManualClock, n: u32) -> Record {
        let body = format!(r#"{{"userId":"u{}","event":"Seen","messageId":"m{n}"}}"#, n % 7);
        Record::Ingest {
            gpc: false,
            source: SourceName::parse("web").unwrap(),
            received_at: clock.now(),
            request_id: RequestId(u128::from(n)),
            entrance: Entrance::Track,
            body: body.into(),
        }
    }

    #[test]
    fn the_log_is_cut_only_behind_a_snapshot_and_a_replay_from_there_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(
            SegmentLog::open(&folder.path().join("log"), SegmentLogOptions { segment_bytes: 8 * 1024 })
                .unwrap(),
        );
        let store = Arc::new(MemoryStore::new());
        let manual = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let clock: Arc<dyn Clock> = manual.clone();
        let (key, options) = (HashKey::new([3; 32]), PipelineOptions::default());
        let mut pipeline = Pipeline::open(
            Arc::clone(&log),
            Arc::clone(&store),
            key.clone(),
            Arc::clone(&clock),
            options.clone(),
        )
        .unwrap();
        let documents = serde_json::from_value(serde_json::json!([
            {"kind": "Purpose", "name": "service", "basis": "contract"},
            {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        ]));
        let apply = Record::Operation {
            at: clock.now(),
            operation: Operation::Apply { documents: documents.unwrap() },
        };
        let append = |record: &Record| log.append(&[&record.encode().unwrap()], clock.now()).unwrap();
        append(&apply);
        (0..300).for_each(|n| drop(append(&event(&manual, n))));
        pipeline.catch_up().unwrap();
        let settings = LogSettings { segment_mib: 1, retention_hours: 1, retention_mib: 0 };
        let (quiet, snapshots) = (Mutex::new(()), folder.path().join("checkpoints"));
        let retain =
            || retain((log.as_ref(), None), &store, &quiet, clock.as_ref(), &settings, &snapshots).unwrap();
        manual.advance_millis(2 * 3_600_000);
        assert!(!retain(), "nothing of it is durable in the store yet");
        store.checkpoint().unwrap();
        assert!(retain());
        assert!(log.bounds().start > tessera_store::Position::START);
        (300..400).for_each(|n| drop(append(&event(&manual, n))));
        pipeline.catch_up().unwrap();
        let fresh = Arc::new(MemoryStore::new());
        let (position, file) = newest_snapshot(&snapshots).unwrap();
        assert!(position >= log.bounds().start);
        read_snapshot(fresh.as_ref(), &file).unwrap();
        replay_into(&log, &fresh, &key, &clock, log.bounds().end, options, |_| {}).unwrap();
        assert_eq!(state_hash(store.as_ref()).unwrap(), state_hash(fresh.as_ref()).unwrap());
    }
}
