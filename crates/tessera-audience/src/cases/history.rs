//! Random people, and the moments at which they are looked at.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tessera_model::{ConsentStatus, PurposeName, SubscriptionState, Timestamp};

use super::conditions::{EVENTS, TEXTS, duration, edge};
use super::{Choices, NOW};
use crate::{Happened, Person, Subscribed};

/// A time before or at [`NOW`], often on the edge of a window.
pub(super) fn time(choices: &mut Choices<'_>) -> Timestamp {
    let before = match choices.below(4) {
        0 => i64::from(choices.below(100)) * 60_000,
        1 => i64::from(choices.below(400)) * 6 * 3_600_000,
        _ => edge(choices),
    };
    Timestamp::from_millis(NOW - before.max(0))
}

fn value(choices: &mut Choices<'_>) -> Value {
    match choices.below(14) {
        0..=3 => json!(choices.below(4)),
        4 => json!(f64::from(choices.below(40)) / 4.0 - 1.0),
        5..=7 => json!(choices.text(&TEXTS)),
        8 => json!(choices.below(2) == 1),
        9 => Value::Null,
        10 => Value::Array(choices.several(0, 3, value)),
        11 => json!({ "price": value(choices), "city": "Berlin" }),
        12 => json!(choices.of(&[0.1, 0.2, 1e19, 1e20, 1e300, 1e-7, 0.333_333_5]).unwrap_or_default()),
        _ => json!("long ".repeat(60)),
    }
}

fn properties(choices: &mut Choices<'_>) -> Value {
    let mut object = Map::new();
    for name in ["total", "category", "with.dot"] {
        if !choices.one_in(4) {
            object.insert(name.to_owned(), value(choices));
        }
    }
    if choices.one_in(3) {
        let item = |choices: &mut Choices<'_>| match choices.below(3) {
            0 => json!({ "price": value(choices) }),
            1 => value(choices),
            _ => json!({ "price": [value(choices)] }),
        };
        object.insert("items".to_owned(), Value::Array(choices.several(0, 3, item)));
    }
    if choices.one_in(20) { value(choices) } else { Value::Object(object) }
}

fn happened(choices: &mut Choices<'_>, number: usize) -> Happened {
    let name = choices.text(&EVENTS).to_owned();
    let (time, arrived) = (time(choices), self::time(choices));
    // Most arrive late, some claim to come from the future.
    let received_at = if choices.one_in(10) { arrived } else { arrived.max(time) };
    Happened {
        message_id: format!("m{number}"),
        name,
        timestamp: time,
        received_at,
        properties: properties(choices),
        context: if choices.one_in(3) { json!({ "page": value(choices) }) } else { Value::Null },
    }
}

fn traits(choices: &mut Choices<'_>) -> Map<String, Value> {
    let mut traits = Map::new();
    for name in ["plan", "age", "total", "tags", "seats", "preferences.topic"] {
        if choices.one_in(2) {
            traits.insert(name.to_owned(), value(choices));
        }
    }
    if choices.one_in(2) {
        let born = choices.text(&["1990-03-29", "1992-02-29", "1990-04-01T12:00:00Z", "2027-01-01", "soon"]);
        traits.insert("born".to_owned(), json!(born));
    }
    if choices.one_in(2) {
        let at = time(choices);
        let ahead = Timestamp::from_millis(2 * NOW - at.as_millis());
        let at = if choices.one_in(2) { ahead } else { at };
        traits.insert("seen".to_owned(), json!(at.to_string()));
    }
    if choices.one_in(3) {
        traits.insert("address".to_owned(), json!({ "city": value(choices) }));
    }
    traits
}

/// A random person.
pub(super) fn person(choices: &mut Choices<'_>) -> Person {
    let count = choices.below(20);
    let mut events: Vec<Happened> = (0..count as usize).map(|number| happened(choices, number)).collect();
    if choices.one_in(5) {
        // Many at once, beyond the limit of times in a sequence.
        let at = time(choices);
        events.extend((0..120_u32).map(|number| {
            let at = at.plus_millis(-i64::from(number) * 500);
            Happened {
                message_id: format!("n{number}"),
                name: EVENTS.get(2 + number as usize % 2).copied().unwrap_or_default().to_owned(),
                timestamp: at,
                received_at: at,
                properties: json!({ "total": number % 7, "category": format!("c{}", number % 11) }),
                context: Value::Null,
            }
        }));
    }
    let mut consents = BTreeMap::new();
    for name in ["marketing.email", "analytics"] {
        if let (true, Ok(purpose)) = (choices.one_in(2), PurposeName::parse(name)) {
            consents.insert(purpose, choices.of(&ConsentStatus::ALL).unwrap_or(ConsentStatus::Given));
        }
    }
    let subscribed = |choices: &mut Choices<'_>| Subscribed {
        channel: choices.text(&["email", "sms"]).to_owned(),
        topic: choices.text(&["", "news"]).to_owned(),
        state: choices
            .of(&[
                SubscriptionState::Subscribed,
                SubscriptionState::DidNotSubscribe,
                SubscriptionState::Unsubscribed,
            ])
            .unwrap_or(SubscriptionState::Subscribed),
    };
    Person {
        id: format!("{:032x}", choices.below(u32::MAX)),
        events,
        traits: traits(choices),
        accounts: choices.several(0, 2, traits),
        consents,
        subscriptions: choices.several(0, 2, subscribed),
    }
}

/// Moments from [`NOW`] on: at once, and when events have had their time.
pub(super) fn nows(choices: &mut Choices<'_>, person: &Person) -> Vec<Timestamp> {
    let mut nows = vec![Timestamp::from_millis(NOW)];
    for _ in 0..choices.below(6) {
        let place = choices.below(u32::try_from(person.events.len()).unwrap_or_default());
        let event = person.events.get(place as usize).map_or(NOW, |event| event.at().as_millis());
        let length = duration(choices);
        let step = choices.of(&[length.step_millis(), 1]).unwrap_or(1);
        let at = -(-event - length.millis()).div_euclid(step) * step;
        let at = at + choices.of(&[0, -1, 1]).unwrap_or_default();
        nows.extend((at > NOW).then(|| Timestamp::from_millis(at)));
    }
    nows.sort_unstable();
    nows.dedup();
    nows
}
