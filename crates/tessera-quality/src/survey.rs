//! The survey: everything that is counted while profiles go by.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tessera_model::Timestamp;

use crate::contacts::Contacts;
use crate::duplicates::{DuplicateKey, Groups};
use crate::field::{Counting, Field};
use crate::kind::{Kind, comparable};
use crate::report::Report;
use crate::{Person, Record, Usage};

/// Most sources that are told apart: the first by name.
pub const SOURCES_MAX: usize = 100;
/// Most fields of one source that are told apart: the first by name.
pub const FIELDS_MAX: usize = 200;
/// How deep members of objects are fields of their own.
const DEPTH_MAX: usize = 2;

/// What one source brings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) records: u64,
    pub(crate) latest: Option<Timestamp>,
    pub(crate) fields: BTreeMap<String, Field>,
}

/// What the sources say together on one trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// Profiles on which several sources speak.
    pub(crate) compared: u64,
    /// Of these, those on which they say different things.
    pub(crate) conflicting: u64,
}

/// What was seen so far. Surveys of parts can be put together.
#[derive(Clone, Debug)]
pub struct Survey {
    counting: Counting,
    pub(crate) sources: BTreeMap<String, Source>,
    pub(crate) traits: BTreeMap<String, Agreement>,
    pub(crate) contacts: Contacts,
    duplicates: BTreeMap<DuplicateKey, Groups>,
}

impl Survey {
    /// A survey as of `now`. `seed` keys its hashes: surveys that are put together must share it.
    #[must_use]
    pub fn new(now: Timestamp, seed: (u64, u64)) -> Self {
        Self {
            counting: Counting { now, seed },
            sources: BTreeMap::new(),
            traits: BTreeMap::new(),
            contacts: Contacts::default(),
            duplicates: DuplicateKey::ALL.map(|key| (key, Groups::default())).into(),
        }
    }

    /// Looks at one person.
    pub fn add(&mut self, person: &Person<'_>) {
        let mut forms: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
        for record in person.records.iter().filter(|record| !record.words.is_empty()) {
            self.record(record, &mut forms);
        }
        self.agree(person);
        let counting = self.counting;
        let has = |kind| forms.contains_key(&kind);
        self.contacts.add(person, (has(Kind::Email), has(Kind::Phone)), counting.now);
        for (key, kind) in [(DuplicateKey::Email, Kind::Email), (DuplicateKey::Phone, Kind::Phone)] {
            for form in forms.get(&kind).into_iter().flatten() {
                self.share(key, form, person.id);
            }
        }
        if let (Some(name), Some(born)) = (name_of(person, counting.now), forms.get(&Kind::BirthDate)) {
            let keys: BTreeSet<String> = born.iter().map(|day| format!("{name}\n{day}")).collect();
            keys.iter().for_each(|key| self.share(DuplicateKey::NameAndBirthDate, key, person.id));
        }
    }

    fn share(&mut self, key: DuplicateKey, form: &str, id: [u8; 16]) {
        let hash = self.counting.hash(form);
        self.duplicates.entry(key).or_default().add(hash, id);
    }

    fn record(&mut self, record: &Record<'_>, forms: &mut BTreeMap<Kind, BTreeSet<String>>) {
        let counting = self.counting;
        let Some(source) = entry(&mut self.sources, record.source, SOURCES_MAX) else { return };
        source.records += 1;
        for said in &record.words {
            source.latest = source.latest.max(Some(said.at));
            let Ok(value) = serde_json::from_str::<Value>(said.value) else { continue };
            let mut leaves = Vec::new();
            flatten(said.name, &value, DEPTH_MAX, &mut leaves);
            for (path, value) in leaves {
                let kind = Kind::of(&path);
                let Some(field) = entry(&mut source.fields, &path, FIELDS_MAX) else { continue };
                if let Some(form) = field.add(kind, value, said.at, counting) {
                    forms.entry(kind).or_default().insert(form);
                }
            }
        }
    }

    /// Compares what several sources say on one trait.
    fn agree(&mut self, person: &Person<'_>) {
        let mut said: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for record in &person.records {
            for word in record.words.iter().filter(|word| !matches!(word.value, "null" | "\"\"")) {
                said.entry(word.name).or_default().push((record.source, word.value));
            }
        }
        for (name, words) in said {
            let Some((first, _)) = words.first() else { continue };
            if words.iter().all(|(source, _)| source == first) {
                continue;
            }
            let form = |value: &str| {
                let text = serde_json::from_str::<String>(value);
                text.map_or_else(
                    |_| value.to_owned(),
                    |text| comparable(Kind::of(name), &text, self.counting.now),
                )
            };
            let survivor = person.survivors.get(name).map(|value| form(value));
            let mut is_conflicting = false;
            for (source, value) in words {
                let is_agreed = survivor.as_deref() == Some(form(value).as_str());
                is_conflicting |= !is_agreed;
                // What lies below an object is fields of their own.
                let field = self.sources.get_mut(source).and_then(|source| source.fields.get_mut(name));
                if let Some(field) = field.filter(|_| !value.starts_with('{')) {
                    field.counts.compared += 1;
                    field.counts.agreed += u64::from(is_agreed);
                }
            }
            if let Some(agreement) = entry(&mut self.traits, name, FIELDS_MAX) {
                agreement.compared += 1;
                agreement.conflicting += u64::from(is_conflicting);
            }
        }
    }

    /// Puts another survey to this one, as if its people had come here.
    pub fn merge(&mut self, other: &Self) {
        for (name, theirs) in &other.sources {
            let Some(ours) = entry(&mut self.sources, name, SOURCES_MAX) else { continue };
            ours.records += theirs.records;
            ours.latest = ours.latest.max(theirs.latest);
            for (path, field) in &theirs.fields {
                if let Some(ours) = entry(&mut ours.fields, path, FIELDS_MAX) {
                    ours.merge(field);
                }
            }
        }
        for (name, theirs) in &other.traits {
            if let Some(ours) = entry(&mut self.traits, name, FIELDS_MAX) {
                ours.compared += theirs.compared;
                ours.conflicting += theirs.conflicting;
            }
        }
        self.contacts.merge(&other.contacts);
        for (key, theirs) in &other.duplicates {
            self.duplicates.entry(*key).or_default().merge(theirs);
        }
    }

    /// What it comes to. `usage` says which fields anybody used, if that is known.
    #[must_use]
    pub fn report(&self, usage: &Usage) -> Report {
        let duplicates = self.duplicates.iter().map(|(key, groups)| groups.report(*key)).collect();
        Report::new(self, self.counting.now, duplicates, usage)
    }
}

/// The entry of that name; of more names than `most` the first by name are kept, so that the order in which they come
/// does not show: one that was dropped never comes back.
fn entry<'a, T: Default>(known: &'a mut BTreeMap<String, T>, name: &str, most: usize) -> Option<&'a mut T> {
    if !known.contains_key(name) {
        if known.len() >= most {
            if known.last_key_value().is_some_and(|(last, _)| last.as_str() < name) {
                return None;
            }
            known.pop_last();
        }
        known.insert(name.to_owned(), T::default());
    }
    known.get_mut(name)
}

/// Members of objects are fields of their own.
fn flatten<'v>(path: &str, value: &'v Value, depth: usize, out: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(members) if depth > 0 && !members.is_empty() => {
            for (name, member) in members {
                flatten(&format!("{path}.{name}"), member, depth - 1, out);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            out.push((path.to_owned(), value));
        }
    }
}

/// The comparable name of a person, by whatever survives.
fn name_of(person: &Person<'_>, now: Timestamp) -> Option<String> {
    let text = |wanted: &[&str]| {
        let (_, value) = person.survivors.iter().find(|(name, _)| {
            let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            wanted.contains(&plain.to_ascii_lowercase().as_str())
        })?;
        serde_json::from_str::<String>(value).ok().filter(|text| !text.trim().is_empty())
    };
    let first = text(&["firstname", "givenname"]);
    let last = text(&["lastname", "familyname", "surname"]);
    let whole = match (first, last) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        _ => text(&["name", "fullname"]).filter(|name| name.trim().contains(' ')),
    };
    whole.map(|name| comparable(Kind::Name, &name, now))
}
