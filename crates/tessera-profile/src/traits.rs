//! Traits: for each name the last word of each source, so that whichever survives can be chosen afterwards.
//!
//! Not the choice: that is the fold's. Invariants: entries are ordered by name, of one name the latest first; a source has
//! one word on a trait; no word is as old as one that put the trait right; what is kept does not depend on the order in
//! which words arrive.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tessera_model::{MessageKey, OFFICE, Timestamp, Trait};

use crate::Basis;

/// Most sources whose words on one trait a fragment keeps; beyond it the oldest word is forgotten.
pub const WORDS_MAX: usize = 32;

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

/// One source's word on one trait. A `null` is kept, so that an earlier word that comes later does not bring the trait
/// back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraitEntry {
    /// The trait's name.
    pub name: SmolStr,
    /// Its value, as JSON text.
    pub value: SmolStr,
    pub(crate) assertion: u16,
}

/// What the sources said about the traits of one fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    entries: Vec<TraitEntry>,
    assertions: Vec<Assertion>,
}

impl Traits {
    /// Takes the word of one event; `bases` are the fragment's.
    pub fn assert(&mut self, traits: &[Trait], assertion: &Assertion, bases: &[Basis]) {
        let number = u16::try_from(self.assertions.len()).unwrap_or(u16::MAX);
        self.assertions.push(assertion.clone());
        let mut is_used = false;
        for Trait { name, value } in traits {
            let entry =
                TraitEntry { name: name.as_ref().into(), value: value.as_str().into(), assertion: number };
            is_used |= self.take(entry, bases);
        }
        match is_used {
            true => self.forget_unused(),
            false => drop(self.assertions.pop()),
        }
    }

    /// Takes one word, unless there is a later one of its source, or one that put the trait right.
    fn take(&mut self, entry: TraitEntry, bases: &[Basis]) -> bool {
        let known = self.words_on(&entry.name);
        let Some(new) = self.rank(&entry, bases) else { return false };
        let is_overruled = |old: &TraitEntry| {
            self.rank(old, bases).is_some_and(|old| {
                (old.source == new.source || old.source == OFFICE) && old.order >= new.order
            })
        };
        if self.entries.get(known.clone()).is_some_and(|words| words.iter().any(is_overruled)) {
            return false;
        }
        // Mostly a source says again what it said before.
        let replaced = known.clone().find(|at| {
            self.entries
                .get(*at)
                .and_then(|old| self.rank(old, bases))
                .is_some_and(|old| old.source == new.source)
        });
        if let (Some(at), 1) = (replaced, known.len())
            && let Some(old) = self.entries.get_mut(at)
        {
            *old = entry;
            return true;
        }
        self.place(entry, known, bases);
        true
    }

    /// Puts a word where it belongs among those `known` on its trait; those that it overrules go.
    fn place(&mut self, entry: TraitEntry, known: Range<usize>, bases: &[Basis]) {
        let start = known.start;
        let mut words: Vec<TraitEntry> = self.entries.drain(known).collect();
        if let Some(new) = self.rank(&entry, bases) {
            words.retain(|old| {
                self.rank(old, bases).is_some_and(|old| {
                    old.source != new.source && (new.source != OFFICE || old.order > new.order)
                })
            });
            let at = words.partition_point(|old| self.rank(old, bases).is_some_and(|old| old >= new));
            words.insert(at, entry);
            words.truncate(WORDS_MAX);
        }
        self.entries.splice(start..start, words);
    }

    /// Where the words on that trait stand.
    fn words_on(&self, name: &str) -> Range<usize> {
        let start = self.entries.partition_point(|known| known.name.as_str() < name);
        let more = self.entries.get(start..).unwrap_or_default();
        start..start + more.iter().take_while(|known| known.name.as_str() == name).count()
    }

    fn rank<'a>(&'a self, entry: &TraitEntry, bases: &'a [Basis]) -> Option<Rank<'a>> {
        let assertion = self.assertions.get(usize::from(entry.assertion))?;
        let basis = bases.get(usize::from(assertion.basis))?;
        Some(Rank { order: assertion.order(), source: basis.source.as_str() })
    }

    /// Every word, by name and latest first, with the assertion it rests on.
    pub fn iter(&self) -> impl Iterator<Item = (&TraitEntry, &Assertion)> {
        self.entries.iter().filter_map(|entry| {
            self.assertions.get(usize::from(entry.assertion)).map(|assertion| (entry, assertion))
        })
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the words that rest on assertions which `is_kept`.
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

/// What decides between two words on a trait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    order: (Timestamp, &'a MessageKey),
    source: &'a str,
}
