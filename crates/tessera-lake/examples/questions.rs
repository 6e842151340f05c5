//! Answers questions over a lake of made-up events: `questions FOLDER EVENTS [THREADS]`.
//!
//! Makes the lake in `FOLDER` unless it is there, then reads questions from standard input, one `{"sql": ...}` a line, and answers
//! each by a line, `{"seconds": ..., "rows": ...}`; of an audience, `{"audience": ...}`, it tells how many are members, and the most memory
//! that was taken since the question came, `{"mib": ...}`. The state of the people is made in memory. Equal numbers make equal events.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a tool for developers"
)]

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tessera_audience::{Audience, DefinitionName, Definitions};
use tessera_lake::{
    Asked, AskedOfEverybody, DeltaLake, Engine, Everybody, Format, LakeOptions, QueryLimits, Sees,
};
use tessera_model::{
    Entrance, FragmentId, HashKey, LabelSet, Operation, PurposeName, PurposeSet, Record, RequestId, Rules,
    SourceName, Timestamp,
};
use tessera_pipeline::{Pipeline, PipelineOptions};
use tessera_policy::Labels;
use tessera_store::{Clock, Lake as _, LakeRow, Log as _, ManualClock, MemoryLog, MemoryStore, Position};

/// 2026-01-01.
const FIRST: i64 = 1_767_225_600_000;
const DAY: i64 = 24 * 60 * 60 * 1000;
const DAYS: u64 = 90;
const EVENTS_PER_PERSON: u64 = 20;
const PEOPLE_MAX: u64 = 1_000_000;
/// Rows that the lake is given at once.
const ROWS: usize = 500_000;
/// Events and their shares of a thousand.
const EVENTS: [(&str, u64); 6] = [
    ("Page Viewed", 450),
    ("Product Viewed", 300),
    ("Product Added", 120),
    ("Checkout Started", 50),
    ("Order Completed", 50),
    ("Email Opened", 30),
];
const CAMPAIGNS: [&str; 5] = ["google", "newsletter", "meta", "partner", "tv"];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().map_or("target/questions", String::as_str));
    let number = |at: usize, usual: u64| arguments.get(at).map_or(usual, |text| text.parse().unwrap());
    let (events, threads) = (number(1, 1_000_000), number(2, 2));
    let people = (events / EVENTS_PER_PERSON).clamp(1, PEOPLE_MAX);
    let key = HashKey::new([7; 32]);
    let (store, rules, ids) = state(&key, people);
    let options = LakeOptions::default();
    let now = Timestamp::from_millis(FIRST + 91 * DAY);
    let lake = Arc::new(DeltaLake::open(&folder.join("lake"), options, now).unwrap());
    if lake.position() == Position(0) {
        make(&lake, &rules, &ids, events);
    }
    let limits = QueryLimits { threads: usize::try_from(threads).unwrap(), ..QueryLimits::default() };
    let engine = Arc::new(Engine::new(lake, folder.join("spill"), limits).unwrap());
    let labels = Arc::new(Labels::new(&rules));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    println!("{}", json!({"ready": true}));
    for line in std::io::stdin().lock().lines() {
        let order: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(audience) = order.get("audience") {
            let known = (Arc::clone(&store), Arc::clone(&rules), Arc::clone(&labels), key.clone());
            println!("{}", members(&engine, known, audience, now));
            continue;
        }
        let asked = Asked {
            sql: order["sql"].as_str().unwrap_or_default().to_owned(),
            purpose: PurposeName::parse("analytics").unwrap(),
            hidden: LabelSet::default(),
            purposes: None,
            format: Format::Csv,
            now,
        };
        let started = Instant::now();
        let answer = runtime.block_on(engine.ask(
            Arc::clone(&store),
            (Arc::clone(&rules), Arc::clone(&labels)),
            asked,
        ));
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{}",
            match answer {
                Err(error) => json!({"error": error.to_string()}),
                Ok(answer) => {
                    let text = String::from_utf8(answer.body).unwrap();
                    let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
                    json!({"seconds": seconds, "rows": rows})
                }
            }
        );
    }
}

type State = (Arc<MemoryStore>, Arc<Rules>, Arc<Labels>, HashKey);

fn members(engine: &Arc<Engine>, state: State, audience: &Value, now: Timestamp) -> Value {
    let audience: Audience = serde_json::from_value(audience.clone()).unwrap();
    let names = vec![DefinitionName::Audience(audience.name.clone())];
    let definitions = Arc::new(Definitions { audiences: vec![audience], traits: Vec::new() });
    let (store, rules, labels, key) = state;
    // From here on the kernel counts the most memory anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let started = Instant::now();
    let asked = AskedOfEverybody { definitions, names, now, sees: Sees::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = runtime.block_on(engine.ask_everybody(store, (rules, labels, key), asked));
    let seconds = started.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    match answer {
        Ok(answers) => {
            let Some(Everybody::Members(members)) = answers.first() else {
                return json!({"error": "no answer"});
            };
            json!({"seconds": seconds, "rows": format!("{}\n", members.len()), "mib": kib / 1024.0})
        }
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// Everybody whose events there are, known to a store in memory.
fn state(key: &HashKey, people: u64) -> (Arc<MemoryStore>, Arc<Rules>, Vec<FragmentId>) {
    let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_millis(FIRST)));
    let mut pipeline = Pipeline::open(
        Arc::clone(&log),
        Arc::clone(&store),
        key.clone(),
        Arc::clone(&clock),
        PipelineOptions::default(),
    )
    .unwrap();
    let documents = json!([
        {"kind": "Purpose", "name": "analytics", "basis": "legitimate_interests"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["analytics"]},
    ]);
    let operation = Operation::Apply { documents: serde_json::from_value(documents).unwrap() };
    let mut append = |record: Record| {
        log.append(&[&record.encode().unwrap()], clock.now()).unwrap();
        pipeline.catch_up().unwrap();
    };
    append(Record::Operation { at: clock.now(), operation });
    for first in (0..people).step_by(1_000) {
        let who = first..people.min(first + 1_000);
        let batch: Vec<Value> = who
            .map(|person| json!({"type": "identify", "userId": format!("u{person}"), "messageId": format!("i{person}")}))
            .collect();
        append(Record::Ingest {
            gpc: false,
            source: SourceName::parse("web").unwrap(),
            received_at: clock.now(),
            request_id: RequestId(u128::from(first) + 1),
            entrance: Entrance::Batch,
            body: json!({"batch": batch}).to_string().into(),
        });
    }
    let rules = pipeline.rules().load_full();
    let id = |person| {
        let identifier = rules.namespaces.parse_reference(&format!("user_id:u{person}")).unwrap();
        FragmentId::of(key, &identifier)
    };
    let ids = (0..people).map(id).collect();
    (store, rules, ids)
}

/// Some months of a shop: a day at a time, in visits of a few events.
fn make(lake: &DeltaLake, rules: &Rules, ids: &[FragmentId], events: u64) {
    let purpose = rules.purposes.get(&PurposeName::parse("analytics").unwrap()).unwrap();
    let purposes: PurposeSet = [purpose.id].into_iter().collect();
    let source = SourceName::parse("web").unwrap();
    let (mut random, mut position) = (Random(42), 0);
    let people = u64::try_from(ids.len()).unwrap();
    for day in 0..DAYS {
        let upto = events * (day + 1) / DAYS;
        let mut rows = Vec::new();
        while position < upto {
            if rows.len() >= ROWS {
                lake.append(&rows, Position(position), Timestamp::from_millis(FIRST + 91 * DAY)).unwrap();
                rows.clear();
            }
            // Few come often.
            let person = random.below(people) * random.below(people) / people;
            let campaign = CAMPAIGNS.get(usize::try_from(random.below(15)).unwrap());
            let mut at =
                FIRST + i64::try_from(day).unwrap() * DAY + i64::try_from(random.below(80_000_000)).unwrap();
            for _ in 0..=random.below(6) {
                at += 1 + i64::try_from(random.below(300_000)).unwrap();
                rows.push(LakeRow {
                    position,
                    index: 0,
                    owner: *ids.get(usize::try_from(person).unwrap()).unwrap(),
                    purposes,
                    source: source.clone(),
                    at: Timestamp::from_millis(at),
                    received_at: Timestamp::from_millis(at + 120),
                    message_id: format!("m{position}").into(),
                    call: "track".into(),
                    json: event(&mut random, person, campaign.copied()).into(),
                });
                position += 1;
                if position == upto || rows.len() == ROWS {
                    break;
                }
            }
        }
        lake.append(&rows, Position(position), Timestamp::from_millis(FIRST + 91 * DAY)).unwrap();
    }
}

fn event(random: &mut Random, person: u64, campaign: Option<&str>) -> String {
    let mut lot = random.below(1000);
    let name = EVENTS
        .iter()
        .find(|(_, share)| {
            let is_it = lot < *share;
            lot = lot.saturating_sub(*share);
            is_it
        })
        .map_or("Page Viewed", |(name, _)| name);
    let (product, cents) = (random.below(400), 100 + random.below(30_000));
    let total = format!("{}.{:02}", cents / 100, cents % 100);
    let properties = match name {
        "Page Viewed" => json!({"path": format!("/page/{product}"), "seconds": cents / 300}),
        "Email Opened" => json!({"mailing": format!("mailing-{}", product % 20)}),
        _ => json!({
            "product": format!("product-{product}"), "category": format!("category-{}", product % 12),
            "quantity": 1 + product % 3, "total": total.parse::<f64>().unwrap(), "currency": "EUR",
        }),
    };
    let mut context = json!({
        "ip": "203.0.113.7", "locale": "en-GB", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
        "library": {"name": "analytics.js", "version": "5.2.0"},
        "page": {"path": format!("/page/{product}"), "url": format!("https://shop.example/page/{product}")},
    });
    if let Some(campaign) = campaign {
        context["campaign"] = json!({"source": campaign, "name": "spring"});
    }
    json!({"type": "track", "userId": format!("u{person}"), "event": name, "properties": properties, "context": context})
        .to_string()
}
