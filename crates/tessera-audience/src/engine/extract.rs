//! Reads from a JSON text the few paths that definitions ask for, in one pass.
//!
//! Not a parser of events: what nobody asks for is skipped without being built. Invariant: what is found at a path is
//! what [`Path`](crate::Path) says; of a name that stands twice in an object, the last counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::{Number, Scalar};

/// What stands at a path. Personal data: `Debug` shows no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its values, in the order of the document.
    pub(crate) values: Vec<Scalar>,
    /// Whether anything is there: a value or an object.
    pub(crate) exists: bool,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} values>", self.values.len())
    }
}

impl Found {
    fn push(&mut self, value: Scalar) {
        self.values.push(value);
        self.exists = true;
    }

    /// Adds what stands elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.values.extend(other.values);
        self.exists |= other.exists;
    }

    /// Values that are there by themselves.
    pub(crate) fn of(values: Vec<Scalar>) -> Self {
        Self { exists: !values.is_empty(), values }
    }
}

/// The paths that are asked for, as a tree of names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    slots: Vec<usize>,
    below: Vec<(Box<str>, Paths)>,
}

impl Paths {
    /// Asks for a path; what is found there is put into `slot`.
    pub(crate) fn ask<'p>(&mut self, path: impl IntoIterator<Item = &'p str>, slot: usize) {
        let mut node = self;
        for name in path {
            let at = match node.below.iter().position(|(known, _)| **known == *name) {
                Some(at) => at,
                None => {
                    node.below.push((name.into(), Self::default()));
                    node.below.len() - 1
                }
            };
            let Some((_, next)) = node.below.get_mut(at) else { return };
            node = next;
        }
        node.slots.push(slot);
    }

    /// Whether slot 0 asks for the whole.
    pub(crate) fn is_whole(&self) -> bool {
        !self.slots.is_empty()
    }

    /// What stands at each slot's path. Text that is not JSON has nothing anywhere.
    pub(crate) fn read(&self, json: &str, slots: usize) -> Vec<Found> {
        let mut found = vec![Found::default(); slots];
        if self.below.is_empty() && self.slots.is_empty() {
            return found;
        }
        let mut reader = serde_json::Deserializer::from_str(json);
        if (Reading { paths: self, found: &mut found }).deserialize(&mut reader).is_err() {
            found.fill(Found::default());
            // A name stands twice, or the text is no JSON.
            if let Ok(value) = serde_json::from_str(json) {
                self.walk(&value, &mut found);
            }
        }
        found
    }

    fn walk(&self, value: &Value, found: &mut [Found]) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, found)),
            Value::Object(members) => {
                self.there_is_an_object(found);
                for (name, next) in &self.below {
                    members.get(&**name).into_iter().for_each(|inner| next.walk(inner, found));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.put(found, Scalar::from_json(value));
            }
        }
    }

    fn put(&self, found: &mut [Found], value: Option<Scalar>) {
        let Some(value) = value else { return };
        for slot in &self.slots {
            found.get_mut(*slot).into_iter().for_each(|found| found.push(value.clone()));
        }
    }

    fn there_is_an_object(&self, found: &mut [Found]) {
        for slot in &self.slots {
            found.get_mut(*slot).into_iter().for_each(|found| found.exists = true);
        }
    }
}

struct Reading<'p, 'f> {
    paths: &'p Paths,
    found: &'f mut [Found],
}

impl<'de> DeserializeSeed<'de> for Reading<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.paths.there_is_an_object(self.found);
        let mut visited = [0_u64; 4];
        while let Some(next) = map.next_key_seed(Name(self.paths))? {
            let Some((at, paths)) = next else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let bit = 1_u64 << (at % 64);
            match visited.get_mut(at / 64) {
                Some(word) if *word & bit == 0 => *word |= bit,
                // Only a whole document tells what the last of them holds.
                Some(_) | None => return Err(A::Error::custom("a name stands twice")),
            }
            map.next_value_seed(Reading { paths, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Reading { paths: self.paths, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.paths.put(self.found, Some(Scalar::Bool(truth)));
        Ok(())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<(), E> {
        self.paths.put(self.found, Some(Scalar::Number(Number::from_integer(integer))));
        Ok(())
    }

    fn visit_u64<E>(self, integer: u64) -> Result<(), E> {
        let number = Number::from_micros(i128::from(integer) * crate::MICROS);
        self.paths.put(self.found, number.map(Scalar::Number));
        Ok(())
    }

    fn visit_f64<E>(self, double: f64) -> Result<(), E> {
        if !self.paths.slots.is_empty() {
            self.paths.put(self.found, Number::from_f64(double).map(Scalar::Number));
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if !self.paths.slots.is_empty() {
            self.paths.put(self.found, Some(Scalar::Text(text.into())));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a name without keeping it.
struct Name<'p>(&'p Paths);

impl<'de, 'p> DeserializeSeed<'de> for Name<'p> {
    type Value = Option<(usize, &'p Paths)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'p> {
    type Value = Option<(usize, &'p Paths)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.0.below.iter().enumerate().find(|(_, (known, _))| **known == *name);
        Ok(found.map(|(at, (_, next))| (at, next)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// As it stands in the documentation of paths.
    fn plainly(value: &Value, path: &[String], found: &mut Found) {
        match (value, path) {
            (Value::Array(items), _) => items.iter().for_each(|item| plainly(item, path, found)),
            (Value::Object(members), [name, rest @ ..]) => {
                members.get(name).into_iter().for_each(|inner| plainly(inner, rest, found));
            }
            (Value::Object(_), []) => found.exists = true,
            (leaf, []) => Scalar::from_json(leaf).into_iter().for_each(|value| found.push(value)),
            (_, [_, ..]) => {}
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_walking_the_document_finds(
            document in json(),
            asked in prop::collection::btree_set(prop::collection::vec("[a-c]", 1..4), 0..6),
        ) {
            let mut paths = Paths::default();
            for (slot, path) in asked.iter().enumerate() {
                paths.ask(path.iter().map(String::as_str), slot);
            }
            let found = paths.read(&document.to_string(), asked.len());
            for (path, found) in asked.iter().zip(found) {
                let mut expected = Found::default();
                plainly(&document, path, &mut expected);
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_counts() {
        let mut paths = Paths::default();
        paths.ask(["a", "b"], 0);
        paths.ask(["a", "c"], 1);
        let found = paths.read(r#"[{"a":{"c":1}},{"a":{"b":1,"c":2},"a":{"c":3}}]"#, 2);
        assert_eq!(found[0], Found::default());
        assert_eq!(found[1].values, [json!(1), json!(3)].map(|one| Scalar::from_json(&one).unwrap()));
        assert_eq!(paths.read(r#"{"a":{"b":1}"#, 2), [Found::default(), Found::default()]);
    }
}
