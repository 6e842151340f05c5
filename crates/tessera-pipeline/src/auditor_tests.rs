//! The auditor on a small store, with a clock that is moved by hand.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_evidence::Ledger;
use tessera_model::{Document, Entrance, HashKey, Operation, Record, RequestId, SourceName, Timestamp};
use tessera_store::{Clock, Log, ManualClock, MemoryLog, MemoryStore};

use crate::{Auditor, AuditorHandle, Pipeline, PipelineOptions, load_audits};

const DAY: i64 = 86_400_000;

fn workspace() -> Vec<Document> {
    serde_json::from_value(json!([
        {"kind": "Purpose", "name": "stats", "basis": "legitimate_interests"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["stats"]},
    ]))
    .unwrap()
}

#[test]
fn audits_are_made_when_they_are_due_and_of_somebody() {
    let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let shared: Arc<dyn Clock> = clock.clone();
    let key = HashKey::new([9; 32]);
    let options = PipelineOptions::default();
    let pipeline =
        Pipeline::open(Arc::clone(&log), Arc::clone(&store), key.clone(), Arc::clone(&shared), options)
            .unwrap();
    let rules: Arc<ArcSwap<_>> = pipeline.rules();
    let pipeline = Arc::new(Mutex::new(pipeline));
    let folder = tempfile::tempdir().unwrap();
    let evidence =
        Arc::new(Ledger::open(&folder.path().join("evidence"), [3; 32], Arc::clone(&shared)).unwrap());
    let append = {
        let (log, clock, pipeline) = (Arc::clone(&log), Arc::clone(&shared), Arc::clone(&pipeline));
        move |record: &Record| {
            log.append(&[&record.encode().unwrap()], clock.now()).unwrap();
            pipeline.lock().catch_up().unwrap();
        }
    };
    let documents = workspace();
    append(&Record::Operation { at: clock.now(), operation: Operation::Apply { documents } });
    let order = append.clone();
    let order_clock = Arc::clone(&shared);
    let auditor = Auditor {
        store: Arc::clone(&store),
        rules,
        key,
        clock: Arc::clone(&shared),
        evidence,
        order: Box::new(move |operation| {
            order(&Record::Operation { at: order_clock.now(), operation });
            Ok(())
        }),
        every_millis: DAY,
        fall_points: 5.0,
    };
    let handle = AuditorHandle::default();
    let kept = || load_audits(store.as_ref()).unwrap();
    auditor.audit_if_due(&handle).unwrap();
    assert_eq!(kept().len(), 0, "there is nobody");
    let say = |mail: &dyn Fn(usize) -> String| {
        let people: Vec<Value> = (0..40)
            .map(|n| json!({"type": "identify", "userId": format!("u{n}"), "traits": {"email": mail(n)}}))
            .collect();
        append(&Record::Ingest {
            source: SourceName::parse("web").unwrap(),
            received_at: clock.now(),
            request_id: RequestId(u128::try_from(clock.now().as_millis()).unwrap()),
            entrance: Entrance::Batch,
            gpc: false,
            body: json!({"batch": people}).to_string().into(),
        });
    };
    say(&|n| format!("ada{}@shop.co.uk", "x".repeat(n)));
    auditor.audit_if_due(&handle).unwrap();
    auditor.audit_if_due(&handle).unwrap();
    assert_eq!(kept().len(), 1, "the second is not due");
    clock.advance_millis(DAY);
    say(&|_| "nonsense".to_owned());
    auditor.audit_if_due(&handle).unwrap();
    let scores: Vec<f64> = kept().iter().filter_map(|audit| audit.score).collect();
    assert!(matches!(scores[..], [before, after] if before > 99.0 && after < 60.0), "{scores:?}");
    clock.advance_millis(DAY);
    handle.stop();
    auditor.audit_if_due(&handle).unwrap();
    assert_eq!(kept().len(), 2, "it was told to stop");
}
