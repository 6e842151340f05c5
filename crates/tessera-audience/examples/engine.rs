//! How much the engine costs an event: `engine [PERSONS] [EVENTS]`.
//!
//! Each event is of a random person, whose state is read from bytes, changed, asked, and written to bytes, as a server
//! does. Printed are nanoseconds for each part of that, and the bytes that a person takes, for no audiences, 100 mixed
//! ones (30 of them windows or sequences), 100 of which an event touches 10, and 1,000 of which it touches 10.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a tool for developers"
)]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tessera_audience::{Audience, Change, Compiled, EventView, FragmentState, View};
use tessera_model::{ConsentStatus, MessageId, MessageKey, PurposeName, SubscriptionState, Timestamp};

const START: i64 = 1_774_782_000_000;
const DAY: i64 = 86_400_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>().unwrap());
    let persons = arguments.next().unwrap_or(1_000_000);
    let events = arguments.next().unwrap_or(5_000_000);
    println!("audiences          touched  bytes/person  match  decode  apply  encode  ask   total ns/event");
    for (name, audiences, names) in [
        ("none", Vec::new(), 10),
        ("100 mixed", mixed(), 10),
        ("100, touched 10", spread(100, 10), 10),
        ("1,000, touched 10", spread(1_000, 100), 100),
    ] {
        run(name, &audiences, names, persons, events);
    }
}

/// Events are of names 0 to `names`.
fn run(name: &str, audiences: &[Audience], names: u64, persons: usize, events: usize) {
    let compiled = Compiled::new(audiences, &[]).unwrap();
    let mut stored: Vec<Box<[u8]>> = vec![Box::default(); persons];
    let mut spent = [Duration::ZERO; 5];
    let mut touched_all = 0;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut buffer = Vec::new();
    let began = Instant::now();
    for number in 0..events {
        let person = usize::try_from(next()).unwrap() % persons;
        // A year's events, mostly in order.
        let at = START + i64::try_from(number).unwrap() * (365 * DAY / i64::try_from(events).unwrap());
        let (kind, total) = (next() % names, next() % 20_000);
        let made = Made::new(number, kind, total, next() & 0xffff_ffff_ffff);
        let at = at - i64::try_from(next() % 60_000).unwrap();
        let event = made.view(Timestamp::from_millis(at));
        let clock = Instant::now();
        let touched = compiled.touched(&event);
        spent[0] += clock.elapsed();
        if touched.is_empty() {
            continue;
        }
        touched_all += touched.len();
        let clock = Instant::now();
        let bytes = &mut stored[person];
        let mut state: FragmentState =
            if bytes.is_empty() { FragmentState::default() } else { postcard::from_bytes(bytes).unwrap() };
        spent[1] += clock.elapsed();
        let clock = Instant::now();
        state.add(&compiled, &event, &touched);
        spent[2] += clock.elapsed();
        let clock = Instant::now();
        buffer.clear();
        buffer = postcard::to_extend(&state, buffer).unwrap();
        if bytes.len() == buffer.len() {
            bytes.copy_from_slice(&buffer);
        } else {
            *bytes = buffer.as_slice().into();
        }
        spent[3] += clock.elapsed();
        let clock = Instant::now();
        let mut concerned = BTreeSet::new();
        compiled.concerned(Change::Event(&touched), &mut concerned);
        let answers = compiled.evaluate(&Person(state), event.received_at, concerned);
        assert!(!answers.is_empty());
        spent[4] += clock.elapsed();
    }
    let total = began.elapsed();
    let each = |spent: Duration| spent.as_nanos() / events as u128;
    let bytes: usize = stored.iter().map(|bytes| bytes.len()).sum();
    let [matching, decode, apply, encode, ask] = spent.map(each);
    let engine = matching + decode + apply + encode + ask;
    println!(
        "{name:<18} {:>7.1} {:>13} {matching:>6} {decode:>7} {apply:>6} {encode:>7} {ask:>5} {engine:>7} of {}",
        touched_all as f64 / events as f64,
        bytes / persons,
        each(total),
    );
}

/// An event, made up.
struct Made {
    name: String,
    message: MessageKey,
    json: String,
}

impl Made {
    fn new(number: usize, kind: u64, total: u64, tail: u64) -> Self {
        let name = format!("Event {kind}");
        let id = format!("{number:08x}-{kind:04x}-7d33-9a5b-{tail:012x}");
        let properties = format!(
            r#"{{"total":{}.{:02},"currency":"EUR","category":"c{}","products":[{{"sku":"a-1","price":3}}]}}"#,
            total / 100,
            total % 100,
            total % 12,
        );
        let json = format!(
            r#"{{"type":"track","event":"{name}","messageId":"{id}","context":{{"page":{{"path":"/a"}},"ip":"192.0.2.1"}},"properties":{properties}}}"#,
        );
        Self { name, message: MessageKey::from(&MessageId::parse(&id).unwrap()), json }
    }

    fn view(&self, at: Timestamp) -> EventView<'_> {
        let Self { name, message, json } = self;
        EventView { name, in_traits: false, at, received_at: at.plus_millis(500), message, json }
    }
}

struct Person(FragmentState);

impl View for Person {
    fn id(&self) -> &str {
        "00000000000000000000000000000001"
    }

    fn states(&self, _: &PurposeName) -> Vec<&FragmentState> {
        vec![&self.0]
    }

    fn trait_of(&self, _: &PurposeName, _: &str) -> Option<&str> {
        Some("\"pro\"")
    }

    fn accounts(&self, _: &PurposeName, _: &str) -> Vec<&str> {
        Vec::new()
    }

    fn consent(&self, _: &PurposeName) -> Option<ConsentStatus> {
        Some(ConsentStatus::Given)
    }

    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)> {
        Vec::new()
    }
}

fn audience(number: usize, when: &Value) -> Audience {
    let json = json!({ "name": format!("audience-{number}"), "purpose": "marketing.email", "when": when });
    serde_json::from_value(json).unwrap()
}

fn value(take: &Value, event: usize, filter: Option<Value>, window: &Value, test: &Value) -> Value {
    let mut of = json!({ "name": format!("Event {event}") });
    if let (Some(filter), Some(of)) = (filter, of.as_object_mut()) {
        of.insert("where".to_owned(), filter);
    }
    json!({ "value": { "of": { "aggregate": { "take": take, "of": of, "window": window } }, "test": test } })
}

/// 100 audiences of mixed kinds, 30 of them windows or sequences, on ten events.
fn mixed() -> Vec<Audience> {
    let (count, ever) = (json!("count"), json!("ever"));
    let at_least = |least: usize| json!({ "at_least": least });
    let dear = || json!({ "property": { "path": "total", "test": { "greater": 150 } } });
    let of = |number: usize| match number % 10 {
        0 => value(&count, number / 10, None, &json!({ "last": "30 days" }), &at_least(2)),
        1 => value(
            &json!({ "sum": "total" }),
            number / 10,
            None,
            &json!({ "last": "90 days" }),
            &at_least(500),
        ),
        2 => json!({ "sequence": {
            "steps": [
                { "event": { "name": format!("Event {}", number / 10) } },
                { "event": { "name": format!("Event {}", (number / 10 + 1) % 10) }, "within": "1 day" },
            ],
            "window": { "last": "30 days" },
        } }),
        3 => value(&count, number / 10, None, &ever, &at_least(5)),
        4 => value(&count, number / 10, Some(dear()), &ever, &at_least(1)),
        5 => value(&json!({ "max": "total" }), number / 10, None, &ever, &at_least(190)),
        6 => value(&json!({ "last": "category" }), number / 10, None, &ever, &json!({ "equals": "c3" })),
        7 => json!({ "value": { "of": { "trait": "plan" }, "test": { "equals": "pro" } } }),
        8 => json!({ "all": [
            { "value": { "of": { "trait": "plan" }, "test": { "equals": "pro" } } },
            value(&json!({ "sum": "total" }), number / 10, None, &ever, &at_least(300)),
        ] }),
        _ => json!({ "not": value(&count, number / 10, None, &ever, &at_least(1)) }),
    };
    (0..100).map(|number| audience(number, &of(number))).collect()
}

/// Audiences on so many events: counts in windows of different lengths, so that none shares what is kept.
fn spread(audiences: usize, names: usize) -> Vec<Audience> {
    let of = |number: usize| {
        let window = json!({ "last": format!("{} days", 20 + number / names) });
        value(&json!("count"), number % names, None, &window, &json!({ "at_least": 2 }))
    };
    (0..audiences).map(|number| audience(number, &of(number))).collect()
}
