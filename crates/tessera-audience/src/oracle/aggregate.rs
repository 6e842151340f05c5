//! What is taken of events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use smol_str::{SmolStr, ToSmolStr};
use tessera_model::Timestamp;

use super::values::{Values, follow, passes};
use super::when::Zone;
use super::{Happened, Oracle};
use crate::{
    AGGREGATED_TEXT_BYTES_MAX, Aggregate, DISTINCT_VALUES_MAX, Events, Filter, Number, Operator, Path, Rfm,
    Scalar, Take, Window,
};

impl Oracle<'_> {
    /// The events of a selector in a window, each message once.
    pub(super) fn events(&self, selector: &Events, window: Window, zone: &Zone) -> Vec<&Happened> {
        let mut seen = BTreeSet::new();
        let once = self.person.events.iter().filter(|event| seen.insert(event.message_id.as_str()));
        once.filter(|event| selector.name.as_ref().is_none_or(|name| name.as_str() == event.name))
            .filter(|event| zone.is_in(event.at(), window))
            .filter(|event| selector.filter.as_ref().is_none_or(|filter| holds(event, filter)))
            .collect()
    }

    pub(super) fn aggregate(&self, aggregate: &Aggregate, zone: &Zone) -> Values {
        let events = self.events(&aggregate.of, aggregate.window, zone);
        match &aggregate.take {
            Take::Count => count(events.len()),
            Take::Sum(path) => {
                Values::of(Number::from_micros(sum(&numbers(&events, path))).map(Scalar::Number))
            }
            Take::Average(path) => {
                let numbers = numbers(&events, path);
                let mean = Number::mean(sum(&numbers), numbers.len() as u64);
                Values::of(mean.map(Scalar::Number))
            }
            Take::Min(path) => Values::of(numbers(&events, path).into_iter().min().map(Scalar::Number)),
            Take::Max(path) => Values::of(numbers(&events, path).into_iter().max().map(Scalar::Number)),
            Take::Distinct(path) => count(occurrences(&events, path).len()),
            Take::UniqueList(path) => Values::of(occurrences(&events, path).into_keys()),
            Take::MostFrequent(path) => {
                let occurrences = occurrences(&events, path);
                let most = occurrences.values().max().copied();
                Values::of(
                    occurrences.into_iter().find(|(_, times)| Some(*times) == most).map(|(value, _)| value),
                )
            }
            Take::First(path) => Values::of(counted(&events, path).into_iter().min().map(|(_, value)| value)),
            Take::Last(path) => Values::of(counted(&events, path).into_iter().max().map(|(_, value)| value)),
            Take::FirstAt => Values::of(events.iter().map(|event| event.at()).min().map(text)),
            Take::LastAt => Values::of(events.iter().map(|event| event.at()).max().map(text)),
        }
    }

    pub(super) fn rfm(&self, rfm: &Rfm, zone: &Zone) -> Values {
        let events = self.events(&rfm.of, rfm.window, zone);
        let Some(latest) = events.iter().map(|event| event.at()).max() else { return Values::default() };
        let since = zone.now().millis_since(latest);
        let amount = sum(&numbers(&events, &rfm.amount));
        let recency = 1 + rfm.recency.iter().filter(|cut| since < cut.millis()).count();
        let frequency =
            1 + rfm.frequency.iter().filter(|cut| events.len() as u64 >= u64::from(**cut)).count();
        let monetary = 1 + rfm.monetary.iter().filter(|cut| amount >= cut.micros()).count();
        Values::of([Scalar::Text(format!("{recency}{frequency}{monetary}").into())])
    }
}

/// One number from two.
pub(super) fn calculate(left: &Values, operator: Operator, right: &Values) -> Values {
    let ([Scalar::Number(left)], [Scalar::Number(right)]) = (&left.scalars[..], &right.scalars[..]) else {
        return Values::default();
    };
    let result = match operator {
        Operator::Add => left.plus(*right),
        Operator::Subtract => left.minus(*right),
        Operator::Multiply => left.times(*right),
        Operator::Divide => left.over(*right),
    };
    Values::of(result.map(Scalar::Number))
}

fn holds(event: &Happened, filter: &Filter) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| holds(event, part)),
        Filter::Any(parts) => parts.iter().any(|part| holds(event, part)),
        Filter::Not(part) => !holds(event, part),
        Filter::Property(property) => passes(&at(event, &property.path), &property.test),
    }
}

/// The values at a path of an event.
fn at(event: &Happened, path: &Path) -> Values {
    let (root, names): (&Value, &[SmolStr]) = match path.names() {
        [first, rest @ ..] if first == "context" => (&event.context, rest),
        [first, rest @ ..] if first == "properties" => (&event.properties, rest),
        names => (&event.properties, names),
    };
    let mut values = Values::default();
    follow(root, names, &mut values);
    values
}

fn numbers(events: &[&Happened], path: &Path) -> Vec<Number> {
    let values = events.iter().flat_map(|event| at(event, path).scalars);
    values
        .filter_map(|value| match value {
            Scalar::Number(number) => Some(number),
            Scalar::Bool(_) | Scalar::Text(_) => None,
        })
        .collect()
}

fn sum(numbers: &[Number]) -> i128 {
    numbers.iter().map(|number| number.micros()).sum()
}

/// All values with the times of their events, without texts that are too long.
fn counted(events: &[&Happened], path: &Path) -> Vec<(Timestamp, Scalar)> {
    let values =
        events.iter().flat_map(|event| at(event, path).scalars.into_iter().map(|value| (event.at(), value)));
    let fits =
        |value: &Scalar| !matches!(value, Scalar::Text(text) if text.len() > AGGREGATED_TEXT_BYTES_MAX);
    values.filter(|(_, value)| fits(value)).collect()
}

/// How often each value stands, for the first so many values in their order.
fn occurrences(events: &[&Happened], path: &Path) -> BTreeMap<Scalar, u64> {
    let mut occurrences = BTreeMap::new();
    for (_, value) in counted(events, path) {
        *occurrences.entry(value).or_default() += 1;
    }
    occurrences.into_iter().take(DISTINCT_VALUES_MAX).collect()
}

fn count(number: usize) -> Values {
    Values::of([Scalar::Number(Number::from_integer(i64::try_from(number).unwrap_or(i64::MAX)))])
}

fn text(at: Timestamp) -> Scalar {
    Scalar::Text(at.to_smolstr())
}
