//! Insights count what plain walks over the events count.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tessera_insight::{Insight, Kind, Options};
use tessera_model::Timestamp;
use tessera_store::Clock as _;

use super::query::{Desk, OFFICER, Reader};
use super::world::{NOON, World};
use crate::{Format, QueryLimits};

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;
const NAMES: [&str; 4] = ["A", "B", "C", "it's"];

/// Somebody did something: who, when in steps of ten minutes before noon, what, and for how much.
#[derive(Clone, Debug)]
struct Did {
    who: u8,
    at: i64,
    name: &'static str,
    amount: Option<i64>,
}

fn history() -> impl Strategy<Value = Vec<Did>> {
    let one = (0_u8..5, 0_i64..8_000, 0..NAMES.len(), proptest::option::of(0_i64..50));
    let dense = (0_u8..5, 0_i64..30, 0..NAMES.len(), proptest::option::of(0_i64..50));
    let one = prop_oneof![one, dense].prop_map(|(who, steps, name, amount)| Did {
        who,
        at: NOON - steps * 10 * MINUTE,
        name: NAMES[name],
        amount,
    });
    proptest::collection::vec(one, 0..60)
}

/// People 3 and 4 are one.
fn person(who: u8) -> u8 {
    who.min(3)
}

fn desk(history: &[Did]) -> Desk {
    let documents = json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
    ]);
    let mut world = World::new(documents);
    let mut events: Vec<Value> = history
        .iter()
        .enumerate()
        .map(|(number, did)| {
            let mut properties = json!({"n": number});
            if let Some(amount) = did.amount {
                properties["total"] = amount.into();
            }
            json!({"type": "track", "userId": format!("u{}", did.who), "event": did.name, "messageId": format!("m{number}"),
                   "timestamp": Timestamp::from_millis(did.at).to_string(), "properties": properties})
        })
        .collect();
    events.push(json!({"type": "alias", "userId": "u3", "previousId": "u4", "messageId": "alias"}));
    events.push(
        json!({"type": "identify", "userId": "u3", "messageId": "identify", "traits": {"plan": "pro"}}),
    );
    world.send("web", &events);
    world.feed.flush().unwrap();
    Desk::of(world, QueryLimits::default())
}

fn ask(desk: &Desk, kind: Kind, options: &Value) -> Vec<Map<String, Value>> {
    let options: Options = serde_json::from_value(options.clone()).unwrap();
    let insight = Insight::new(kind, &options, desk.world.clock.now()).unwrap();
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let answer = desk.ask_as(reader, Format::Json, &insight.sql());
    let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", insight.sql()));
    let rows: Vec<Map<String, Value>> = serde_json::from_slice(&answer.body).unwrap();
    let shown = insight.answer(&rows);
    assert!(shown.svg.contains("<svg") && shown.csv.lines().count() == rows.len() + 1);
    rows
}

fn number(row: &Map<String, Value>, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or_else(|| panic!("no {name} in {row:?}"))
}

/// What each person did, in the order of time.
fn people(history: &[Did]) -> BTreeMap<u8, Vec<&Did>> {
    let mut people: BTreeMap<u8, Vec<&Did>> = BTreeMap::new();
    for did in history {
        people.entry(person(did.who)).or_default().push(did);
    }
    people.values_mut().for_each(|all| all.sort_by_key(|did| (did.at, did.name)));
    people
}

/// The times of the steps of one person, found by looking at everything for each step.
fn naive_funnel(all: &[&Did], fits: &[&dyn Fn(&Did) -> bool], window: i64) -> Vec<i64> {
    let mut times: Vec<i64> = Vec::new();
    for fit in fits {
        let possible = all.iter().filter(|did| fit(did)).filter(|did| {
            let of_steps_before =
                times.iter().zip(fits).all(|(time, earlier)| !earlier(did) || did.at > *time);
            let is_in_time = times.first().is_none_or(|first| did.at - first <= window);
            times.last().is_none_or(|last| did.at >= *last) && is_in_time && of_steps_before
        });
        match possible.map(|did| did.at).min() {
            Some(at) => times.push(at),
            None => break,
        }
    }
    times
}

fn date(millis: i64) -> jiff::civil::Date {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap();
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn month(millis: i64) -> String {
    date(millis).first_of_month().to_string()
}

/// 1970-01-01 was a Thursday.
fn week(millis: i64) -> i64 {
    (millis.div_euclid(DAY) + 3).div_euclid(7)
}

fn check_funnel(desk: &Desk, history: &[Did]) {
    let steps = json!(["A", "it's[(properties->>'total')::INT >= 10]", "A", "B"]);
    let rows = ask(desk, Kind::Funnel, &json!({"steps": steps, "within": "3d", "last": "50d"}));
    let is_a = |did: &Did| did.name == "A";
    let is_its = |did: &Did| did.name == "it's" && did.amount.is_some_and(|amount| amount >= 10);
    let is_b = |did: &Did| did.name == "B";
    let since = NOON - 50 * DAY;
    let taken: Vec<Vec<i64>> = people(history)
        .values()
        .map(|all| {
            let all: Vec<&Did> = all.iter().copied().filter(|did| did.at >= since && did.at < NOON).collect();
            naive_funnel(&all, &[&is_a, &is_its, &is_a, &is_b], 3 * DAY)
        })
        .collect();
    for (step, row) in rows.iter().enumerate() {
        let wanted = taken.iter().filter(|times| times.len() > step).count();
        assert_eq!(number(row, "people"), i64::try_from(wanted).unwrap(), "step {step}");
        let mut waits: Vec<i64> = taken
            .iter()
            .filter(|times| step > 0 && times.len() > step)
            .map(|times| times[step] - times[step - 1])
            .collect();
        waits.sort_unstable();
        let median = (!waits.is_empty()).then(|| {
            let half = waits.len() / 2;
            if waits.len() % 2 == 1 { waits[half] * 2 } else { waits[half] + waits[half - 1] }
        });
        let told = row.get("median_seconds").and_then(Value::as_f64);
        assert_eq!(
            told,
            median.map(|twice| f64::from(i32::try_from(twice / 1000).unwrap()) / 2.0),
            "step {step}"
        );
    }
    assert_eq!(rows.len(), 4);
}

fn check_retention(desk: &Desk, history: &[Did]) {
    let rows = ask(
        desk,
        Kind::Retention,
        &json!({"start": "A", "back": "B", "unit": "week", "periods": 3, "last": "50d"}),
    );
    let (first_week, last_week) = (week(NOON - 50 * DAY), week(NOON - 1));
    let mut wanted: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for all in people(history).values() {
        let Some(began) = all.iter().find(|did| did.name == "A" && did.at < NOON).map(|did| week(did.at))
        else {
            continue;
        };
        if began < first_week {
            continue;
        }
        for period in 0..=3.min(last_week - began) {
            let is_back = period == 0
                || all.iter().any(|did| did.name == "B" && did.at < NOON && week(did.at) == began + period);
            *wanted.entry((began, period)).or_default() += i64::from(is_back);
        }
    }
    let told: BTreeMap<(i64, i64), i64> = rows
        .iter()
        .map(|row| {
            let day: jiff::civil::Date = row["started"].as_str().unwrap().parse().unwrap();
            let millis = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond();
            let (began, period) = (week(millis), number(row, "period"));
            assert_eq!(
                row["is_complete"].as_bool().unwrap(),
                began + period < last_week + 1 - i64::from(week(NOON) == last_week)
            );
            ((began, period), number(row, "returned"))
        })
        .collect();
    assert_eq!(told, wanted);
}

fn check_new_returning(desk: &Desk, history: &[Did]) {
    let rows = ask(desk, Kind::NewReturning, &json!({"unit": "month", "last": "40d"}));
    let since = date(NOON - 40 * DAY).first_of_month();
    for row in &rows {
        let period = row["period"].as_str().unwrap();
        let (mut new, mut returning) = (0, 0);
        for all in people(history).values() {
            let all: Vec<&&Did> = all.iter().filter(|did| did.at < NOON).collect();
            if all.iter().any(|did| month(did.at) == period && date(did.at) >= since) {
                let is_new = all.iter().map(|did| month(did.at)).min().unwrap() == period;
                *if is_new { &mut new } else { &mut returning } += 1;
            }
        }
        assert_eq!((number(row, "new"), number(row, "returning")), (new, returning), "{period}");
    }
    assert!(rows.len() >= 2);
}

fn check_rfm(desk: &Desk, history: &[Did]) {
    let rows = ask(desk, Kind::Rfm, &json!({"event": "B", "last": "40d"}));
    let bought: Vec<(i64, i64, i64)> = people(history)
        .values()
        .filter_map(|all| {
            let own: Vec<&&Did> = all
                .iter()
                .filter(|did| did.name == "B" && did.at >= NOON - 40 * DAY && did.at < NOON)
                .collect();
            let last = own.iter().map(|did| did.at).max()?;
            let count = i64::try_from(own.len()).unwrap();
            Some((last, count, own.iter().filter_map(|did| did.amount).sum()))
        })
        .collect();
    let all = i64::try_from(bought.len()).unwrap();
    let fifth = |lower: usize| 1 + 5 * i64::try_from(lower).unwrap() / all;
    let mut wanted: BTreeMap<(i64, i64), (i64, f64)> = BTreeMap::new();
    for (last, count, amount) in &bought {
        let recency = fifth(bought.iter().filter(|other| other.0 < *last).count());
        let frequency = fifth(bought.iter().filter(|other| other.1 < *count).count());
        let cell = wanted.entry((recency, frequency)).or_default();
        *cell = (cell.0 + 1, cell.1 + f64::from(i32::try_from(*amount).unwrap()));
    }
    let told: BTreeMap<(i64, i64), (i64, f64)> = rows
        .iter()
        .map(|row| {
            let amount = row["amount"].as_f64().unwrap();
            ((number(row, "recency"), number(row, "frequency")), (number(row, "people"), amount))
        })
        .collect();
    assert_eq!(told, wanted);
}

fn check_paths(desk: &Desk, history: &[Did], start: Option<&str>) {
    let options = json!({"start": start, "pause": "20m", "length": 3, "limit": 1000, "last": "50d"});
    let rows = ask(desk, Kind::Paths, &options);
    let mut wanted: BTreeMap<String, (i64, BTreeSet<u8>)> = BTreeMap::new();
    for (who, all) in people(history) {
        let mut all: Vec<&Did> =
            all.into_iter().filter(|did| did.at >= NOON - 50 * DAY && did.at < NOON).collect();
        all.sort_by_key(|did| (did.at, Some(did.name) != start, did.name));
        let mut visits: Vec<Vec<&Did>> = Vec::new();
        for did in all {
            match visits.last_mut().filter(|visit| did.at - visit.last().unwrap().at <= 20 * MINUTE) {
                Some(visit) => visit.push(did),
                None => visits.push(vec![did]),
            }
        }
        for visit in visits {
            let mut names: Vec<&str> = visit.iter().map(|did| did.name).collect();
            if let Some(start) = start {
                let Some(at) = names.iter().position(|name| *name == start) else { continue };
                names.drain(..at);
            }
            names.dedup();
            names.truncate(3);
            let path = wanted.entry(names.join(" → ")).or_default();
            path.0 += 1;
            path.1.insert(who);
        }
    }
    let told: BTreeMap<String, (i64, i64)> = rows
        .iter()
        .map(|row| (row["path"].as_str().unwrap().to_owned(), (number(row, "visits"), number(row, "people"))))
        .collect();
    let wanted: BTreeMap<String, (i64, i64)> = wanted
        .into_iter()
        .map(|(path, (visits, who))| (path, (visits, i64::try_from(who.len()).unwrap())))
        .collect();
    assert_eq!(told, wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn insights_count_what_a_plain_walk_over_the_events_counts(history in history()) {
        let desk = desk(&history);
        check_funnel(&desk, &history);
        check_retention(&desk, &history);
        check_new_returning(&desk, &history);
        check_rfm(&desk, &history);
        check_paths(&desk, &history, None);
        check_paths(&desk, &history, Some("B"));
    }
}

#[test]
fn one_event_never_stands_for_two_steps_and_merged_people_are_one() {
    let did = |who, at, name| Did { who, at: NOON - DAY + at, name, amount: None };
    // 3 and 4 are one person: the funnel goes through both.
    let history =
        [did(0, 0, "A"), did(1, 0, "A"), did(1, MINUTE, "A"), did(3, 0, "A"), did(4, 2 * MINUTE, "A")];
    let rows = ask(&desk(&history), Kind::Funnel, &json!({"steps": ["A", "A"], "within": "1m"}));
    let told: Vec<i64> = rows.iter().map(|row| number(row, "people")).collect();
    assert_eq!(told, [3, 1], "the second within a minute, that minute included");
    let rows = ask(&desk(&history), Kind::Funnel, &json!({"steps": ["A", "A"], "within": "2m"}));
    assert_eq!(number(&rows[1], "people"), 2);
}

#[test]
fn an_insight_over_nothing_is_an_answer_that_shows_nothing() {
    let desk = desk(&[]);
    let rows = ask(&desk, Kind::Funnel, &json!({"steps": ["A"]}));
    assert_eq!((rows.len(), number(&rows[0], "people")), (1, 0));
    assert!(ask(&desk, Kind::Retention, &json!({})).is_empty());
    assert!(ask(&desk, Kind::Rfm, &json!({})).is_empty());
    assert!(ask(&desk, Kind::Paths, &json!({})).is_empty());
    let rows = ask(&desk, Kind::NewReturning, &json!({"unit": "day", "last": "3d"}));
    assert!(rows.len() >= 3 && rows.iter().all(|row| number(row, "people") == 0));
}
