//! Traits as last-writer-wins registers, each with where it comes from.

use serde::{Deserialize, Serialize};
use tessera_model::{MessageKey, Timestamp, Trait};

/// One event's word on some traits: they share its time, id and basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// When the event happened.
    pub at: Timestamp,
    /// Which event.
    pub message: MessageKey,
    /// Index into the fragment's bases.
    pub basis: u16,
}

impl Assertion {
    /// What decides which of two words is later.
    #[must_use]
    pub fn order(&self) -> (Timestamp, &MessageKey) {
        (self.at, &self.message)
    }
}

/// One trait. A `null` is kept, so that an earlier word that comes later does not bring the trait back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraitEntry {
    /// Its name.
    pub name: Box<str>,
    /// Its value, as JSON text.
    pub value: Box<str>,
    pub(crate) assertion: u16,
}

/// The traits of one fragment, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    entries: Vec<TraitEntry>,
    assertions: Vec<Assertion>,
}

impl Traits {
    /// Takes the word of one event.
    pub fn assert(&mut self, traits: &[Trait], assertion: &Assertion) {
        let new = u16::try_from(self.assertions.len()).unwrap_or(u16::MAX);
        let mut is_used = false;
        for Trait { name, value } in traits {
            let entry = TraitEntry { name: name.clone(), value: value.as_str().into(), assertion: new };
            match self.entries.binary_search_by(|known| known.name.cmp(name)) {
                Err(at) => self.entries.insert(at, entry),
                Ok(at) => {
                    let Some(known) = self.entries.get_mut(at) else { continue };
                    let known_order = self.assertions.get(usize::from(known.assertion)).map(Assertion::order);
                    if known_order >= Some(assertion.order()) {
                        continue;
                    }
                    *known = entry;
                }
            }
            is_used = true;
        }
        if is_used {
            self.assertions.push(assertion.clone());
            self.forget_unused();
        }
    }

    /// The traits by name, each with the word it rests on.
    pub fn iter(&self) -> impl Iterator<Item = (&TraitEntry, &Assertion)> {
        self.entries.iter().filter_map(|entry| {
            self.assertions.get(usize::from(entry.assertion)).map(|assertion| (entry, assertion))
        })
    }

    /// How many traits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the traits whose word `is_kept`.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&Assertion) -> bool) {
        let assertions = &self.assertions;
        self.entries.retain(|entry| assertions.get(usize::from(entry.assertion)).is_some_and(&is_kept));
        self.forget_unused();
    }

    pub(crate) fn assertions_mut(&mut self) -> impl Iterator<Item = &mut Assertion> {
        self.assertions.iter_mut()
    }

    fn forget_unused(&mut self) {
        let mut places = vec![None; self.assertions.len()];
        let mut kept = Vec::with_capacity(self.assertions.len());
        for entry in &mut self.entries {
            let old = usize::from(entry.assertion);
            let Some(place) = places.get_mut(old) else { continue };
            let new = *place.get_or_insert_with(|| {
                kept.extend(self.assertions.get(old).cloned());
                u16::try_from(kept.len() - 1).unwrap_or(u16::MAX)
            });
            entry.assertion = new;
        }
        self.assertions = kept;
    }
}
