//! Times of UTC are the same computed with a time zone and without.

use serde_json::json;

use super::query::{Desk, OFFICER, Reader};
use super::world::World;
use crate::{Format, QueryLimits};

/// The column as it is, and as a zone that has another name.
const TIMES: [&str; 2] = ["timestamp", "arrow_cast(timestamp, 'Timestamp(Microsecond, Some(\"+00:00\"))')"];

#[test]
fn times_of_utc_need_no_zone() {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
    ]));
    let times = [
        "1969-12-31T23:59:59.999Z",
        "2000-02-29T12:00:00Z",
        "2020-01-31T00:00:00Z",
        "2021-03-28T01:30:00.001Z",
        "2023-10-29T00:59:59Z",
        "2023-11-14T22:13:20Z",
    ];
    let events = times.iter().enumerate().map(|(number, at)| {
        json!({"type": "track", "userId": "u1", "event": "Seen", "messageId": format!("m{number}"), "timestamp": at, "sentAt": at})
    });
    world.send("web", &events.collect::<Vec<_>>());
    world.feed.flush().unwrap();
    let desk = Desk::of(world, QueryLimits::default());
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let units = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];
    let truncated =
        units.map(|unit| format!("SELECT date_trunc('{unit}', {{t}}) AS a, count(*) FROM events GROUP BY 1"));
    let lengths = ["1 second", "36 hours", "7 days", "1 month", "2 years 3 days", "-1 month"];
    let moved = lengths.map(|length| {
        format!("SELECT {{t}} + INTERVAL '{length}' AS a, {{t}} - INTERVAL '{length}' AS b FROM events")
    });
    let other = [
        "SELECT count(*) FROM events WHERE date_trunc('year', {t}) = TIMESTAMPTZ '2023-01-01T00:00:00Z'",
        "SELECT a.message_id FROM events a JOIN events b ON date_trunc('month', a.{t}) = date_trunc('month', b.{t} + INTERVAL '15 days')",
        "SELECT message_id FROM events ORDER BY {t} - INTERVAL '1 month', date_trunc('week', {t})",
        "SELECT message_id, lag({t} + INTERVAL '1 day') OVER (ORDER BY date_trunc('day', {t})) AS a FROM events",
        "SELECT max(date_trunc('week', {t})) - INTERVAL '1 week' AS a FROM events",
    ];
    for query in truncated.into_iter().chain(moved).chain(other.map(str::to_owned)) {
        let [plain, zoned] = TIMES.map(|time| {
            let sql = match query.contains("a.{t}") {
                true => query
                    .replace("a.{t}", &time.replace("timestamp,", "a.timestamp,"))
                    .replace("b.{t}", &time.replace("timestamp,", "b.timestamp,")),
                false => query.replace("{t}", time),
            };
            let sql = if time == "timestamp" { query.replace("{t}", time) } else { sql };
            let answer =
                desk.ask_as(reader, Format::Csv, &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let text = String::from_utf8(answer.body).unwrap();
            let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
            if !query.contains("ORDER BY {t}") {
                rows.sort();
            }
            rows
        });
        assert_eq!(plain, zoned, "{query}");
        assert!(!plain.is_empty(), "{query}");
    }
    let plan = desk
        .ask_as(reader, Format::Csv, "EXPLAIN SELECT date_trunc('week', timestamp) AS a FROM events")
        .unwrap();
    let plan = String::from_utf8(plan.body).unwrap();
    assert!(plan.split("physical_plan").nth(1).unwrap().contains("AS Timestamp(µs))"), "{plan}");
}
