//! The queue of a destination against withdrawals that come at the worst moments.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_connect::{Delivery, Destination, Exit, Forget, Outcome};
use tessera_evidence::{Entry, Filter, Ledger, OutcomeStatus};
use tessera_model::{
    DestinationName, Document, Entrance, FragmentId, HashKey, Operation, Record, RequestId, Rules,
    SourceName, Timestamp, Workspace,
};
use tessera_policy::Permitted;
use tessera_store::{Change, Changes, Clock, Log, ManualClock, MemoryLog, MemoryStore, Store as _, Table};

use crate::line::Line;
use crate::{Barrier, CourierOptions, ErasureRow, Pipeline, PipelineOptions, tell_of_erasure};

const NOON: i64 = 1_700_000_000_000;

/// What the destination was given.
#[derive(Default)]
struct Given {
    messages: Vec<String>,
    bodies: Vec<String>,
    forgotten: Vec<BTreeSet<String>>,
    /// Who left an audience: the profile, and the event.
    left: Vec<(String, String)>,
    /// Notices in their order.
    told: Vec<&'static str>,
    /// Whether it refuses to be told who left.
    refuses: bool,
}

struct Recorder(Arc<Mutex<Given>>);

impl Destination for Recorder {
    fn deliver(&mut self, batch: &[Permitted<Delivery>]) -> Outcome {
        let mut given = self.0.lock();
        for delivery in batch.iter().map(Permitted::get) {
            given.messages.push(delivery.message_id.clone());
            given.bodies.push(delivery.json.clone());
        }
        Outcome::Delivered
    }

    fn batch_max(&self) -> usize {
        100
    }

    fn forget(&mut self, notice: &Forget) -> Outcome {
        let mut given = self.0.lock();
        given.forgotten.push(notice.profiles.clone());
        given.told.push("forget");
        Outcome::Delivered
    }

    fn leave(&mut self, exit: &Exit) -> Outcome {
        let mut given = self.0.lock();
        if given.refuses {
            return Outcome::Refused { reason: "no".to_owned() };
        }
        given.left.push((exit.event().profile.clone(), exit.event().json.clone()));
        given.told.push("left");
        Outcome::Delivered
    }
}

struct World {
    log: Arc<MemoryLog>,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    pipeline: Arc<Mutex<Pipeline<MemoryLog, MemoryStore>>>,
    rules: Arc<ArcSwap<Rules>>,
    given: Arc<Mutex<Given>>,
    ledger: Arc<Ledger>,
    _folder: tempfile::TempDir,
}

fn documents(destination: &Value) -> Vec<Document> {
    serde_json::from_value(json!([
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
        {"kind": "Field", "name": "properties.diagnosis", "labels": ["special"]},
        destination,
    ]))
    .unwrap()
}

impl World {
    fn new() -> Self {
        Self::with(&json!({"kind": "Destination", "name": "letters", "type": "jsonl", "purpose": "news"}))
    }

    fn with(destination: &Value) -> Self {
        let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOON)));
        let shared: Arc<dyn Clock> = clock.clone();
        let pipeline = Pipeline::open(
            Arc::clone(&log),
            Arc::clone(&store),
            HashKey::new([9; 32]),
            Arc::clone(&shared),
            PipelineOptions::default(),
        )
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(folder.path(), [3; 32], shared).unwrap());
        let rules = pipeline.rules();
        let world = Self {
            log,
            store,
            clock,
            pipeline: Arc::new(Mutex::new(pipeline)),
            rules,
            given: Arc::default(),
            ledger,
            _folder: folder,
        };
        world.append(&Record::Operation {
            at: Timestamp::from_millis(NOON),
            operation: Operation::Apply { documents: documents(destination) },
        });
        world
    }

    fn append(&self, record: &Record) {
        append(&self.log, &self.pipeline, self.clock.as_ref(), record);
    }

    fn send(&self, events: &Value) {
        self.append(&request(&json!({ "batch": events })));
    }

    fn line(&self, barrier: Barrier) -> Line<MemoryStore> {
        let rules = self.rules.load_full();
        let document = rules.destinations().next().unwrap().clone();
        Line {
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            rules: Arc::clone(&self.rules),
            document,
            give_up_after_millis: 1_000,
            options: CourierOptions {
                folder: std::path::PathBuf::new(),
                give_up_after_millis: 1_000,
                evidence: Some(Arc::clone(&self.ledger)),
                barrier,
                key: HashKey::new([9; 32]),
            },
            destination: Box::new(Recorder(Arc::clone(&self.given))),
            screen: Mutex::default(),
            stop: Arc::default(),
            counters: Arc::default(),
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.ledger
            .read(&Filter::default(), |line| {
                entries.push(line.entry.clone());
                true
            })
            .unwrap();
        entries.retain(|entry| matches!(entry, Entry::Delivery(_) | Entry::Outcome(_) | Entry::Notice(_)));
        entries
    }

    fn waiting(&self) -> usize {
        self.store.scan(Table::Outbox, None, 1000).unwrap().len()
    }
}

fn append(
    log: &MemoryLog,
    pipeline: &Mutex<Pipeline<MemoryLog, MemoryStore>>,
    clock: &ManualClock,
    record: &Record,
) {
    log.append(&[&record.encode().unwrap()], clock.now()).unwrap();
    pipeline.lock().catch_up().unwrap();
}

fn request(body: &Value) -> Record {
    Record::Ingest {
        source: SourceName::parse("form").unwrap(),
        received_at: Timestamp::from_millis(NOON),
        request_id: RequestId(7),
        entrance: Entrance::Batch,
        gpc: false,
        body: body.to_string().into(),
    }
}

fn consent(user: &str, status: &str, message: &str) -> Value {
    said(user, status, message, 0)
}

fn said(user: &str, status: &str, message: &str, seconds_ago: i64) -> Value {
    json!({"type": "consent", "userId": user, "consents": {"news": status}, "messageId": message,
           "timestamp": Timestamp::from_millis(NOON - 1000 * seconds_ago).to_string()})
}

fn track(user: &str, message: &str) -> Value {
    json!({"type": "track", "event": "Read", "userId": user, "messageId": message,
           "properties": {"diagnosis": "Canary", "page": 3}})
}

#[test]
fn a_withdrawal_acknowledged_before_a_delivery_starts_is_never_overtaken() {
    // The withdrawal is acknowledged while the line asks for the n-th time whether the state is up to date: before the
    // first decision, and between the record of what is about to leave and its leaving.
    for moment in 1..=2 {
        let world = World::new();
        world.send(&json!([consent("ada", "given", "c1"), consent("bob", "given", "c2")]));
        world.send(&json!([track("ada", "m1"), track("bob", "m2")]));
        let asked = Arc::new(Mutex::new(0));
        let (log, pipeline, clock) = (world.log.clone(), world.pipeline.clone(), world.clock.clone());
        let barrier: Barrier = Arc::new(move || {
            let mut asked = asked.lock();
            *asked += 1;
            if *asked == moment {
                let withdrawn = json!({"batch": [consent("ada", "withdrawn", "c3")]});
                append(&log, &pipeline, &clock, &request(&withdrawn));
            }
            true
        });
        let mut line = world.line(barrier);
        while line.outbox().unwrap() > 0 {}
        let messages = world.given.lock().messages.clone();
        assert!(!messages.contains(&"m1".to_owned()), "moment {moment}: {messages:?}");
        assert!(messages.contains(&"m2".to_owned()), "moment {moment}: {messages:?}");
        assert_eq!(world.waiting(), 0);
    }
}

#[test]
fn nothing_leaves_while_the_state_is_behind_what_was_acknowledged() {
    let world = World::new();
    world.send(&json!([consent("ada", "given", "c1"), track("ada", "m1")]));
    let mut line = world.line(Arc::new(|| false));
    let stop = Arc::clone(&line.stop);
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(line.outbox().unwrap(), 0);
    assert_eq!(world.given.lock().messages.len(), 0);
}

#[test]
fn every_field_that_leaves_is_recorded_and_withheld_ones_are_not_sent() {
    let world = World::new();
    world.send(&json!([consent("ada", "given", "c1"), track("ada", "m1")]));
    let mut line = world.line(Arc::new(|| true));
    while line.outbox().unwrap() > 0 {}
    let given = world.given.lock();
    assert!(
        given.bodies.iter().all(|body| !body.contains("Canary")),
        "special data needs a purpose that names it"
    );
    let entries = world.entries();
    let deliveries: Vec<_> = entries
        .iter()
        .filter_map(|entry| if let Entry::Delivery(delivery) = entry { Some(delivery) } else { None })
        .collect();
    assert_eq!(deliveries.len(), given.messages.len());
    let of_track = deliveries.iter().find(|delivery| !delivery.withheld.is_empty()).unwrap();
    assert!(of_track.fields.iter().any(|field| &**field == "properties.page"), "{:?}", of_track.fields);
    assert!(of_track.fields.iter().all(|field| !field.contains("diagnosis")));
    assert_eq!(&*of_track.withheld[0].field, "properties.diagnosis");
    assert_eq!(of_track.consent.as_ref().map(|consent| &*consent.source), Some("form"));
    assert!(
        entries.iter().any(
            |entry| matches!(entry, Entry::Outcome(outcome) if outcome.result == OutcomeStatus::Delivered)
        )
    );
}

/// A destination that is told who reads; `ada` and `bob` entered, unless the line is yet to run.
fn readers(world: &World) {
    let destination = json!({"kind": "Destination", "name": "letters", "type": "jsonl", "purpose": "news",
                             "events": ["Audience Entered", "Audience Exited"]});
    let mut documents = documents(&destination);
    let audience =
        json!({"kind": "Audience", "name": "readers", "purpose": "news", "when": "performed \"Read\""});
    documents.push(serde_json::from_value(audience).unwrap());
    let at = Timestamp::from_millis(NOON);
    world.append(&Record::Operation { at, operation: Operation::Apply { documents } });
    world.send(&json!([said("ada", "given", "c1", 9), track("ada", "m1")]));
    world.send(&json!([said("bob", "given", "c2", 9), track("bob", "m2")]));
}

fn run(world: &World) {
    let mut line = world.line(Arc::new(|| true));
    while line.outbox().unwrap() > 0 {}
    assert_eq!(world.waiting(), 0);
}

fn fragment(user: &str) -> FragmentId {
    let rules = Rules::new(1, Workspace::new([]).unwrap()).unwrap();
    let identifier = rules.namespaces.parse_reference(&format!("user_id:{user}")).unwrap();
    FragmentId::of(&HashKey::new([9; 32]), &identifier)
}

/// Orders and tells of an erasure of `user`, twice.
fn erase(world: &World, user: &str) {
    let position = world.log.bounds().end.0;
    let at = Timestamp::from_millis(NOON);
    let erasure = ErasureRow {
        position,
        request: "r1".to_owned(),
        fragments: vec![fragment(user)],
        spared: Vec::new(),
        at,
    };
    let letters = [DestinationName::parse("letters").unwrap()].into();
    for _ in 0..2 {
        tell_of_erasure(world.store.as_ref(), &erasure, &letters, at).unwrap();
    }
}

#[test]
fn who_withdraws_leaves_once_where_they_were_told_to_have_entered_and_nothing_names_them() {
    let world = World::new();
    readers(&world);
    run(&world);
    assert_eq!(world.given.lock().messages.len(), 2, "both entered");
    world.send(&json!([said("ada", "withdrawn", "c3", 8)]));
    run(&world);
    {
        let given = world.given.lock();
        assert_eq!((given.messages.len(), given.told.as_slice()), (2, ["left", "forget"].as_slice()));
        let (profile, event) = &given.left[0];
        assert_eq!(*profile, fragment("ada").to_string());
        assert!(
            event.contains("\"event\":\"Audience Exited\"") && event.contains("\"readers\":false"),
            "{event}"
        );
        assert!(!event.contains("ada") && !event.contains("userId"), "{event}");
    }
    let notices = world.entries();
    let notices = notices.iter().filter(
        |entry| matches!(entry, Entry::Notice(notice) if notice.right == tessera_evidence::Right::Objection),
    );
    assert_eq!(notices.count(), 2, "of the exit, and to use no more what they have");
    // Who comes back enters again, and can leave again.
    world.send(&json!([said("ada", "given", "c4", 7)]));
    run(&world);
    world.send(&json!([said("ada", "withdrawn", "c5", 6)]));
    run(&world);
    let given = world.given.lock();
    assert_eq!((given.messages.len(), given.left.len()), (3, 2));
}

#[test]
fn who_was_not_told_to_have_entered_is_not_told_to_have_left() {
    let world = World::new();
    readers(&world);
    world.send(&json!([consent("ada", "withdrawn", "c3")]));
    run(&world);
    erase(&world, "ada");
    run(&world);
    let given = world.given.lock();
    assert_eq!((given.messages.len(), given.left.len()), (1, 0), "bob alone entered");
    assert_eq!(given.told, ["forget", "forget"], "ada's withdrawal and her erasure");
}

#[test]
fn who_is_erased_leaves_every_audience_before_they_are_forgotten_and_once() {
    let world = World::new();
    readers(&world);
    run(&world);
    erase(&world, "ada");
    run(&world);
    erase(&world, "ada");
    run(&world);
    {
        let given = world.given.lock();
        assert_eq!(given.told, ["left", "forget", "forget"]);
        assert_eq!(given.left[0].0, fragment("ada").to_string());
        assert!(!given.left[0].1.contains("ada"), "{}", given.left[0].1);
    }
    let told = world.store.scan(Table::Told, None, 10).unwrap();
    assert_eq!(told.len(), 1, "nothing is kept of ada, and bob is still a member");
    world.given.lock().refuses = true;
    erase(&world, "bob");
    run(&world);
    assert_eq!(
        world.given.lock().told,
        ["left", "forget", "forget", "forget"],
        "what is refused stops nothing"
    );
    assert_eq!(world.store.scan(Table::Told, None, 10).unwrap(), []);
}

#[test]
fn what_a_crash_brings_back_of_who_entered_was_told() {
    let world = World::new();
    readers(&world);
    let rows = world.store.scan(Table::Outbox, None, 10).unwrap();
    run(&world);
    let told = world.store.scan(Table::Told, None, 10).unwrap();
    // The store falls back to before the deliveries; how far they came is known all the same.
    let back = rows.into_iter().map(|(key, value)| Change { key, before: None, after: Some(value) });
    let gone = told.iter().map(|(key, value)| Change { key: *key, before: Some(value.clone()), after: None });
    world.store.commit(Changes { rows: back.chain(gone).collect(), upto: None }).unwrap();
    // The last record's rows are sent again, as the cursor stands at it.
    run(&world);
    assert_eq!(world.store.scan(Table::Told, None, 10).unwrap(), told);
    world.send(&json!([consent("ada", "withdrawn", "c3")]));
    run(&world);
    assert_eq!(world.given.lock().left.len(), 1);
}

#[test]
fn a_destination_hears_of_an_erasure_behind_what_was_on_its_way() {
    let world = World::new();
    world.send(&json!([consent("ada", "given", "c1"), track("ada", "m1")]));
    let fragments = vec![FragmentId([1; 16]), FragmentId([2; 16])];
    let erasure = ErasureRow {
        position: world.log.bounds().end.0,
        request: "r1".to_owned(),
        fragments,
        spared: Vec::new(),
        at: Timestamp::from_millis(NOON),
    };
    let letters = [DestinationName::parse("letters").unwrap()].into();
    tell_of_erasure(world.store.as_ref(), &erasure, &letters, Timestamp::from_millis(NOON)).unwrap();
    tell_of_erasure(world.store.as_ref(), &erasure, &letters, Timestamp::from_millis(NOON)).unwrap();
    let mut line = world.line(Arc::new(|| true));
    while line.outbox().unwrap() > 0 {}
    let given = world.given.lock();
    assert_eq!(given.messages.len(), 2, "the consent call and the track");
    assert_eq!(given.forgotten.len(), 1);
    assert_eq!(given.forgotten[0].len(), 2);
    assert!(
        world
            .entries()
            .iter()
            .any(|entry| matches!(entry, Entry::Notice(notice) if &*notice.request == "r1"))
    );
    assert_eq!(world.waiting(), 0);
}

#[test]
fn a_notice_is_told_though_the_queue_has_passed_its_place() {
    let world = World::new();
    world.send(&json!([consent("ada", "given", "c1"), track("ada", "m1")]));
    let position = world.log.bounds().end.0;
    world.send(&json!([track("ada", "m2")]));
    world.send(&json!([track("ada", "m3")]));
    let mut line = world.line(Arc::new(|| true));
    while line.outbox().unwrap() > 0 {}
    let erasure = ErasureRow {
        position,
        request: "r1".to_owned(),
        fragments: vec![FragmentId([1; 16])],
        spared: Vec::new(),
        at: Timestamp::from_millis(NOON),
    };
    let letters = [DestinationName::parse("letters").unwrap()].into();
    tell_of_erasure(world.store.as_ref(), &erasure, &letters, Timestamp::from_millis(NOON)).unwrap();
    while line.outbox().unwrap() > 0 {}
    assert_eq!(world.given.lock().forgotten.len(), 1);
    assert_eq!(world.waiting(), 0);
}

#[test]
fn a_transfer_that_the_purpose_does_not_cover_does_not_run() {
    let world = World::new();
    world.send(&json!([consent("ada", "given", "c1"), track("ada", "m1")]));
    let mut line = world.line(Arc::new(|| true));
    // As if the workspace had been changed by hand: `apply` refuses it.
    line.document.region = Some("US".to_owned());
    while line.outbox().unwrap() > 0 {}
    assert_eq!(world.given.lock().messages.len(), 0);
    assert_eq!(world.entries(), Vec::new());
}

#[test]
fn a_person_who_signed_off_from_the_channel_gets_nothing() {
    let world = World::with(
        &json!({"kind": "Destination", "name": "letters", "type": "jsonl", "purpose": "news", "channel": "email"}),
    );
    let signed = |user: &str, status: &str| {
        json!({"type": "consent", "userId": user, "consents": {"news": "given"}, "messageId": format!("c-{user}"),
               "subscriptions": [{"key": format!("{user}@x.org"), "type": "EMAIL", "status": status}]})
    };
    world.send(&json!([
        signed("ada", "UNSUBSCRIBED"),
        signed("bob", "SUBSCRIBED"),
        signed("eve", "DID_NOT_SUBSCRIBE")
    ]));
    world.send(&json!([track("ada", "m1"), track("bob", "m2"), track("eve", "m3")]));
    let mut line = world.line(Arc::new(|| true));
    while line.outbox().unwrap() > 0 {}
    assert_eq!(world.given.lock().messages, ["c-bob", "m2"]);
}
