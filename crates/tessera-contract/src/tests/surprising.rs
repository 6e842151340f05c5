//! What raises an alert, and what does not.

use serde_json::{Value, json};

use crate::{Contract, EventSeen, TrackingPlanDocument, surprises};

const HOUR: i64 = 3_600_000;
/// A Monday at noon, in hours since 1970.
const NOW: i64 = 482_268 * HOUR + 30 * 60_000;

struct Stream {
    plan: TrackingPlanDocument,
    contract: Contract,
    seen: Vec<EventSeen>,
}

impl Stream {
    fn of(change: Value) -> Self {
        let mut plan = json!({
            "kind": "TrackingPlan", "name": "shop", "sources": ["web"],
            "events": {"Seen": {"schema": {"properties": {"page": {"type": "string"}, "at": {}}}}},
        });
        plan.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let plan: TrackingPlanDocument = serde_json::from_value(plan).unwrap();
        let contract = Contract::compile(&plan).unwrap().remove("web").unwrap();
        Self { plan, contract, seen: Vec::new() }
    }

    /// `count` events so many hours ago.
    fn came(&mut self, name: &str, count: u32, hours_ago: i64, body: &Value) -> &mut Self {
        let (checked, _) = self.contract.check(
            self.contract.find("track", Some(name)),
            Some(&body.to_string()),
            "properties",
        );
        if !self.seen.iter().any(|seen| seen.event == name) {
            self.seen.push(EventSeen::new("web", name));
        }
        let seen = self.seen.iter_mut().find(|seen| seen.event == name).unwrap();
        (0..count).for_each(|_| seen.observe(&checked, NOW - hours_ago * HOUR));
        self
    }

    fn told(&self) -> Vec<String> {
        let found = surprises(&self.plan, &[("web", &self.contract)], &self.seen, NOW);
        found
            .iter()
            .map(|one| format!("{} {} {}: {}", one.kind.as_str(), one.event, one.subject, one.what))
            .collect()
    }
}

#[test]
fn names_and_kinds_that_the_plan_does_not_have_are_told_once_each() {
    let mut stream = Stream::of(json!({}));
    stream.came("Seen", 3, 0, &json!({"page": "/", "at": 1}));
    assert_eq!(stream.told(), Vec::<String>::new());
    stream.came("Seen", 1, 0, &json!({"page": 7, "more": 1})).came("Odd", 2, 0, &json!({}));
    assert_eq!(
        stream.told(),
        [
            "unplanned_event Odd : the plan does not name this event",
            "unplanned_property Seen more: the plan does not name this property",
            "unexpected_type Seen page: came as integer",
        ]
    );
}

#[test]
fn volumes_of_whole_hours_and_days_are_compared_once_there_is_a_whole_one() {
    let expect = json!({"expect": {"per_hour": {"min": 5}, "per_day": {"max": 20}}});
    let mut stream = Stream::of(expect);
    stream.came("Seen", 1, 1, &json!({}));
    assert_eq!(stream.told(), Vec::<String>::new(), "the stream began within the last whole hour");
    stream.came("Seen", 30, 14, &json!({}));
    assert_eq!(stream.told(), ["volume  hour: 1 events in the last whole hour"]);
    stream.came("Seen", 1, 60, &json!({}));
    let day = "volume  day: 30 events in the last whole day";
    assert_eq!(stream.told(), [day, "volume  hour: 1 events in the last whole hour"]);
    stream.came("Seen", 9, 1, &json!({}));
    assert_eq!(stream.told(), [day]);
}

#[test]
fn an_hour_is_compared_with_the_same_hour_of_the_weeks_before() {
    let mut stream = Stream::of(json!({"expect": {"times_usual": {"min": 0.5, "max": 2}}}));
    stream.came("Seen", 10, 1, &json!({}));
    stream.came("Seen", 40, 1 + 7 * 24, &json!({}));
    assert_eq!(stream.told(), Vec::<String>::new(), "one week says nothing of what is usual");
    stream.came("Seen", 40, 1 + 14 * 24, &json!({})).came("Seen", 1, 1 + 15 * 24, &json!({}));
    assert_eq!(stream.told(), ["volume  usual: 10 events in the last whole hour, 40 are usual in it"]);
}

#[test]
fn silence_and_missing_values_are_told() {
    let mut stream = Stream::of(json!({"events": {"Seen": {
        "schema": {"properties": {"page": {}}}, "expect": {"silent_minutes": 90, "null_share": {"page": 0.25}},
    }}}));
    stream.came("Seen", 20, 14, &json!({"page": "/"})).came("Seen", 10, 14, &json!({"page": null}));
    stream.came("Seen", 1, 1, &json!({"page": "/"}));
    assert_eq!(stream.told(), ["null_share Seen page: 33 % of the last whole day's events had no value"]);
    let mut silent = Stream::of(json!({"expect": {"silent_minutes": 90}}));
    silent.came("Seen", 1, 5, &json!({}));
    assert_eq!(silent.told(), ["silent  : nothing came for 5 hours, 0 minutes"]);
}
