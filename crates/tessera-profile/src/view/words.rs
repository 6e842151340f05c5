//! The words on traits, as the API shows them: the surviving one, where it comes from, and those that did not survive.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_model::{DataCategory, Party, PurposeName, SourceName, SurvivorshipRule, Timestamp};

use super::Sight;
use crate::{Folded, Standing, Word};

/// Where a trait comes from, and why it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The event's time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// The event.
    pub message_id: String,
    /// The source.
    pub source: SourceName,
    /// Zero-, first-, second- or third-party.
    pub party: Party,
    /// What kind of data.
    pub category: DataCategory,
    /// The purposes it serves.
    pub purposes: Vec<PurposeName>,
    /// Which rule chose it among the words of several sources.
    pub rule: SurvivorshipRule,
    /// What the rule saw in it.
    pub why: String,
}

/// A word on a trait that did not survive.
#[derive(Clone, Debug, Serialize)]
pub struct Alternative {
    /// Its value; `null`: the source said that there is none.
    pub value: Box<RawValue>,
    /// Where it comes from; `rule` and `why` tell why it did not survive.
    #[serde(flatten)]
    pub provenance: Provenance,
}

pub(super) fn traits(folded: &Folded<'_>, sight: &Sight<'_>) -> BTreeMap<String, Box<RawValue>> {
    let told = folded
        .traits
        .iter()
        .map(|(name, survivor)| (*name, survivor.word))
        .filter(|(_, word)| !word.is_null());
    told.filter(|(name, word)| shows_word(sight, name, word))
        .filter_map(|(name, word)| Some((name.to_owned(), value_of(&word)?)))
        .collect()
}

fn shows_word(sight: &Sight<'_>, name: &str, word: &Word<'_>) -> bool {
    sight.shows_based(&format!("traits.{name}"), word.basis, word.assertion.at)
}

fn value_of(word: &Word<'_>) -> Option<Box<RawValue>> {
    RawValue::from_string(word.entry.value.to_string()).ok()
}

pub(super) fn provenance(folded: &Folded<'_>, sight: &Sight<'_>) -> BTreeMap<String, Provenance> {
    let words = folded.traits.iter().filter(|(name, survivor)| shows_word(sight, name, &survivor.word));
    words
        .filter_map(|(name, survivor)| {
            let provenance = provenance_of(&survivor.word, survivor.rule, survivor.standing, sight)?;
            Some(((*name).to_owned(), provenance))
        })
        .collect()
}

/// Each word that did not survive is asked for as one that did: it has a basis of its own.
pub(super) fn alternatives(folded: &Folded<'_>, sight: &Sight<'_>) -> BTreeMap<String, Vec<Alternative>> {
    let mut found: BTreeMap<String, Vec<Alternative>> = BTreeMap::new();
    for (name, survivor) in &folded.traits {
        let shown = survivor.others.iter().filter(|(word, _)| shows_word(sight, name, word));
        let alternatives: Vec<Alternative> = shown
            .filter_map(|(word, standing)| {
                let provenance = provenance_of(word, survivor.rule, *standing, sight)?;
                Some(Alternative { value: value_of(word)?, provenance })
            })
            .collect();
        if !alternatives.is_empty() {
            found.insert((*name).to_owned(), alternatives);
        }
    }
    found
}

fn provenance_of(
    word: &Word<'_>,
    rule: SurvivorshipRule,
    standing: Standing,
    sight: &Sight<'_>,
) -> Option<Provenance> {
    let basis = word.basis?;
    Some(Provenance {
        at: word.assertion.at,
        message_id: word.assertion.message.to_string(),
        source: basis.source.clone(),
        party: basis.party,
        category: basis.category,
        purposes: sight.purposes.names_of(basis.purposes).cloned().collect(),
        rule,
        why: standing.to_string(),
    })
}

/// A computed trait hides a trait of its name, whether or not it has a value.
pub(super) fn with_computed(
    mut traits: BTreeMap<String, Box<RawValue>>,
    sight: &Sight<'_>,
) -> BTreeMap<String, Box<RawValue>> {
    for (name, (purpose, value)) in sight.asked.computed {
        traits.remove(name);
        if let Some(value) = value
            && sight.shows(&format!("traits.{name}"), |permit| permit.purpose() == purpose)
        {
            traits.insert(name.clone(), value.clone());
        }
    }
    traits
}
