//! A first plan, learnt from what came. Holds nobody's data: what it says of values was said by many people.
//!
//! Invariant: a plan accepts everything that it was learnt from. A value stands in an `enum` only if it is one of few, and
//! [`LearnOptions::people_min`] people or more each brought it; numbers are rounded outwards to powers of ten; names that do not
//! look like names are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::{
    Kind, OnViolation, PlannedEvent, Schema, TrackingPlanDocument, TrackingPlanKind, looks_like_a_name,
    looks_like_an_event,
};

/// Most events of different names.
const EVENTS_MAX: usize = 500;
/// Most members of one object.
const MEMBERS_MAX: usize = 100;
/// Deepest object that is described.
const DEPTH_MAX: usize = 4;
/// Most values of an `enum`.
const VALUES_MAX: usize = 12;
/// Longest text that may be a value of an `enum`, in bytes.
const VALUE_BYTES_MAX: usize = 40;
/// Largest power of ten that a range ends at.
const POWER_MAX: i32 = 15;

/// Formats that are looked for, in the order in which they are preferred.
const FORMATS: [&str; 6] = ["date-time", "date", "uuid", "email", "uri", "ipv4"];

static CHECKS: LazyLock<Vec<(&str, Validator)>> = LazyLock::new(|| {
    let check = |format: &'static str| {
        let options = jsonschema::options().should_validate_formats(true).offline();
        options.build(&json!({ "format": format })).ok().map(|check| (format, check))
    };
    FORMATS.into_iter().filter_map(check).collect()
});

/// How careful learning is.
#[derive(Clone, Copy, Debug)]
pub struct LearnOptions {
    /// How many people must have brought a value before it is told, and a field before it is required.
    pub people_min: usize,
}

impl Default for LearnOptions {
    fn default() -> Self {
        Self { people_min: 20 }
    }
}

/// Learns a plan, event by event.
#[derive(Debug, Default)]
pub struct Learner {
    options: LearnOptions,
    events: BTreeMap<String, Shape>,
    left_out: u64,
}

/// What came in one place.
#[derive(Debug, Default)]
struct Shape {
    /// How often something came here.
    count: u64,
    people: BTreeSet<u64>,
    kinds: u8,
    /// Bits of the formats that every text had so far.
    formats: Option<u8>,
    range: Option<(f64, f64)>,
    /// The texts that came, with the people who brought them; `None` when there are too many.
    values: Option<BTreeMap<String, BTreeSet<u64>>>,
    objects: u64,
    members: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

impl Learner {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(options: LearnOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Learns from an event, or call, of a person. `body` is the JSON text of its properties or traits.
    pub fn learn(&mut self, event: &str, body: Option<&str>, person: u64) {
        let is_known = self.events.contains_key(event);
        if !looks_like_an_event(event) || (!is_known && self.events.len() >= EVENTS_MAX) {
            self.left_out += 1;
            return;
        }
        let value =
            body.and_then(|body| serde_json::from_str(body).ok()).filter(|value: &Value| !value.is_null());
        let shape = self.events.entry(event.to_owned()).or_default();
        shape.learn(&value.unwrap_or_else(|| json!({})), person, 0, self.options.people_min);
    }

    /// Events whose names were not learnt: they do not look like names, or are too many.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The plan. It passes everything with a mark, for it is only a beginning.
    #[must_use]
    pub fn plan(&self, name: &str, source: &str) -> TrackingPlanDocument {
        let event = |(name, shape): (&String, &Shape)| {
            // What grew too large to be a schema is described less deep.
            let depths = (0..=DEPTH_MAX).rev();
            let mut schemas = depths.map(|depth| shape.schema(self.options.people_min, depth));
            let schema = schemas.find(|schema| Schema::compile(schema).is_ok());
            (name.clone(), PlannedEvent { schema, ..PlannedEvent::default() })
        };
        TrackingPlanDocument {
            kind: TrackingPlanKind::TrackingPlan,
            name: name.to_owned(),
            version: 1,
            description: String::new(),
            sources: BTreeSet::from([source.to_owned()]),
            on_violation: OnViolation::Pass,
            by_source: BTreeMap::new(),
            unplanned_events: OnViolation::Pass,
            unplanned_properties: OnViolation::Allow,
            expect: None,
            events: self.events.iter().map(event).collect(),
        }
    }
}

impl Shape {
    fn learn(&mut self, value: &Value, person: u64, depth: usize, people_min: usize) {
        if self.count == 0 {
            self.values = Some(BTreeMap::new());
        }
        self.count += 1;
        self.kinds |= Kind::of(value).bit();
        if self.people.len() < people_min {
            self.people.insert(person);
        }
        match value {
            Value::String(text) => self.learn_text(text, person, people_min),
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                let (min, max) = self.range.unwrap_or((number, number));
                self.range = Some((min.min(number), max.max(number)));
            }
            Value::Array(items) if depth < DEPTH_MAX => {
                let shape = self.items.get_or_insert_default();
                items.iter().for_each(|item| shape.learn(item, person, depth + 1, people_min));
            }
            Value::Object(members) => {
                self.objects += 1;
                for (name, value) in members.iter().filter(|_| depth < DEPTH_MAX) {
                    let is_known = self.members.contains_key(name);
                    if is_known || (self.members.len() < MEMBERS_MAX && looks_like_a_name(name)) {
                        let member = self.members.entry(name.clone()).or_default();
                        member.learn(value, person, depth + 1, people_min);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => {}
        }
    }

    fn learn_text(&mut self, text: &str, person: u64, people_min: usize) {
        let value = Value::from(text);
        let had = self.formats.unwrap_or(u8::MAX);
        let has = (0_u8..)
            .zip(CHECKS.iter())
            .filter(|(bit, (_, check))| had & (1 << bit) != 0 && check.is_valid(&value));
        self.formats = Some(has.map(|(bit, _)| 1 << bit).fold(0, |bits, bit: u8| bits | bit));
        let Some(values) = &mut self.values else { return };
        let is_known = values.contains_key(text);
        if text.len() > VALUE_BYTES_MAX || (!is_known && values.len() >= VALUES_MAX) {
            self.values = None;
            return;
        }
        let people = values.entry(text.to_owned()).or_default();
        if people.len() < people_min {
            people.insert(person);
        }
    }

    fn format(&self) -> Option<&'static str> {
        let bits = self.formats?;
        (0_u8..).zip(CHECKS.iter()).find(|(bit, _)| bits & (1 << bit) != 0).map(|(_, (name, _))| *name)
    }

    /// The few texts that came, if many people brought each.
    fn few(&self, people_min: usize) -> Option<Vec<Value>> {
        let only = Kind::String.bit() | Kind::Null.bit();
        if self.kinds & !only != 0 || self.format().is_some() {
            return None;
        }
        let values = self.values.as_ref().filter(|values| !values.is_empty())?;
        let is_common = |(text, people): (&String, &BTreeSet<u64>)| {
            people.len() >= people_min && (text.is_empty() || looks_like_an_event(text))
        };
        values.iter().all(is_common).then(|| {
            let null = (self.kinds & Kind::Null.bit() != 0).then_some(Value::Null);
            values.keys().map(|text| Value::from(text.as_str())).chain(null).collect()
        })
    }

    fn schema(&self, people_min: usize, depth: usize) -> Value {
        let mut schema = Map::new();
        if let Some(values) = self.few(people_min) {
            schema.insert("enum".to_owned(), Value::Array(values));
            return Value::Object(schema);
        }
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| self.kinds & kind.bit() != 0).collect();
        // A number may be whole by chance.
        let is_number = kinds.contains(&Kind::Number);
        let mut names =
            kinds.iter().filter(|kind| !(is_number && **kind == Kind::Integer)).map(|kind| kind.as_str());
        match (names.next(), names.clone().next()) {
            (Some(one), None) => drop(schema.insert("type".to_owned(), one.into())),
            (Some(one), Some(_)) => {
                let all: Vec<&str> = std::iter::once(one).chain(names).collect();
                schema.insert("type".to_owned(), all.into());
            }
            (None, _) => {}
        }
        if let Some(format) = self.format() {
            schema.insert("format".to_owned(), format.into());
        }
        if let Some((min, max)) = self.range.filter(|_| self.people.len() >= people_min) {
            bounds(min, max, &mut schema);
        }
        if depth == 0 {
            return Value::Object(schema);
        }
        if let Some(items) = self.items.as_ref().filter(|items| items.count > 0) {
            schema.insert("items".to_owned(), items.schema(people_min, depth - 1));
        }
        if !self.members.is_empty() {
            let members = self.members.iter();
            let properties = members
                .clone()
                .map(|(name, shape)| (name.clone(), shape.schema(people_min, depth - 1)))
                .collect();
            schema.insert("properties".to_owned(), Value::Object(properties));
            let always = |(_, shape): &(&String, &Self)| {
                shape.count == self.objects && shape.people.len() >= people_min
            };
            let required: Vec<&str> = members.filter(always).map(|(name, _)| name.as_str()).collect();
            if !required.is_empty() {
                schema.insert("required".to_owned(), required.into());
            }
        }
        Value::Object(schema)
    }
}

/// The range, rounded outwards to powers of ten: nobody's number shows.
fn bounds(min: f64, max: f64, schema: &mut Map<String, Value>) {
    let power = |number: f64| (0..=POWER_MAX).map(|power| 10_f64.powi(power)).find(|power| *power >= number);
    let low = if min >= 0.0 { Some(0.0) } else { power(-min).map(|power| -power) };
    let high = if max <= 0.0 { Some(0.0) } else { power(max) };
    for (name, bound) in [("minimum", low), ("maximum", high)] {
        if let Some(bound) = bound {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "powers of ten up to 10^15 are whole and fit"
            )]
            schema.insert(name.to_owned(), (bound as i64).into());
        }
    }
}
