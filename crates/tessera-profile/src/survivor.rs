//! Which of several words on a trait survives into the profile. Pure.
//!
//! Not what is kept: a fragment keeps the last word of each source whatever the rule, so that a rule can be changed at any
//! time. Not what is shown: the surviving word is shown if a purpose permits it, and no other in its place. Invariant:
//! the choice depends on the set of words alone. Reference: `docs/adr/0017-survivorship-and-quality.md`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use tessera_model::{MessageKey, OFFICE, Party, PurposeSet, Survivorship, SurvivorshipRule, Timestamp};

use crate::{Assertion, Basis, TraitEntry};

/// One source's last word on a trait, in one fragment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word<'a> {
    /// The value.
    pub entry: &'a TraitEntry,
    /// When, and by which event.
    pub assertion: &'a Assertion,
    /// What it rests on.
    pub basis: Option<&'a Basis>,
    /// The fragment's node in the cluster.
    pub node: usize,
}

impl Word<'_> {
    /// Whether it says that there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.entry.value == "null"
    }

    fn source(&self) -> &str {
        self.basis.map_or("", |basis| basis.source.as_str())
    }
}

/// What a rule saw in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its time alone counts.
    Time,
    /// Its place in the order of trust, from 1; `None`: it has none.
    Trust(Option<usize>),
    /// How much it says.
    Parts(u64),
    /// How many records say the same, of how many that say anything.
    Records {
        /// Those that say the same.
        same: u64,
        /// All.
        of: u64,
    },
    /// Its length.
    Characters(u64),
    /// Whether its source calls it verified.
    Verified(bool),
}

impl Standing {
    /// Larger is better; only standings of one rule are compared.
    fn score(self) -> u64 {
        match self {
            Self::Time => 0,
            Self::Trust(place) => {
                u64::MAX - place.and_then(|place| u64::try_from(place).ok()).unwrap_or(u64::MAX)
            }
            Self::Parts(count) | Self::Characters(count) | Self::Records { same: count, .. } => count,
            Self::Verified(is_verified) => u64::from(is_verified),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => f.write_str("by its time"),
            Self::Trust(Some(place)) => write!(f, "number {place} in the order of trust"),
            Self::Trust(None) => f.write_str("not in the order of trust"),
            Self::Parts(1) => f.write_str("says 1 part"),
            Self::Parts(count) => write!(f, "says {count} parts"),
            Self::Records { same, of } => write!(f, "said by {same} of {of} records"),
            Self::Characters(1) => f.write_str("1 character"),
            Self::Characters(count) => write!(f, "{count} characters"),
            Self::Verified(true) => f.write_str("verified by its source"),
            Self::Verified(false) => f.write_str("not verified by its source"),
        }
    }
}

/// The surviving word on a trait, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Survivor<'a> {
    /// The word.
    pub word: Word<'a>,
    /// The rule that chose it.
    pub rule: SurvivorshipRule,
    /// What the rule saw in it.
    pub standing: Standing,
    /// The words that did not survive, best first.
    pub others: Vec<(Word<'a>, Standing)>,
}

/// Chooses among the words on the trait `name`; `words` has those on every trait of the profile, for one may say whether
/// another is verified. `None`: there is no word on it.
#[must_use]
pub fn survivor<'a>(
    name: &str,
    words: &BTreeMap<&'a str, Vec<Word<'a>>>,
    survivorship: &Survivorship,
) -> Option<Survivor<'a>> {
    let standing = standing_words(words.get(name)?);
    let weigh = Weigh::new(name, &standing, words, survivorship);
    let mut ranked: Vec<(Word<'a>, Standing)> =
        standing.iter().map(|word| (**word, weigh.standing(word))).collect();
    ranked.sort_by(|a, b| weigh.order(b).cmp(&weigh.order(a)));
    let mut ranked = ranked.into_iter();
    let (word, standing) = ranked.next()?;
    Some(Survivor { word, rule: survivorship.rule, standing, others: ranked.collect() })
}

/// Whatever the rule, what was put right stands over all that was said before.
fn standing_words<'w, 'a>(all: &'w [Word<'a>]) -> Vec<&'w Word<'a>> {
    let right = all.iter().filter(|word| word.source() == OFFICE).map(|word| word.assertion.order()).max();
    all.iter().filter(|word| right.is_none_or(|right| word.assertion.order() >= right)).collect()
}

/// Whether it says something, what the rule sees in it, its time; the rest only so that the same word survives always.
type Order<'a> = (bool, u64, (Timestamp, &'a MessageKey), &'a str, &'a str, PurposeSet);

struct Weigh<'w, 'a> {
    survivorship: &'w Survivorship,
    /// How many records say each value, for the rule that asks.
    records: BTreeMap<String, u64>,
    of: u64,
    /// The words that say whether others are verified, for the rule that asks.
    verifying: Vec<&'w Word<'a>>,
}

impl<'w, 'a> Weigh<'w, 'a> {
    fn new(
        name: &str,
        standing: &[&Word<'a>],
        words: &'w BTreeMap<&'a str, Vec<Word<'a>>>,
        survivorship: &'w Survivorship,
    ) -> Self {
        let mut weigh = Self { survivorship, records: BTreeMap::new(), of: 0, verifying: Vec::new() };
        match survivorship.rule {
            SurvivorshipRule::MostFrequent => {
                for word in standing.iter().filter(|word| !word.is_null()) {
                    *weigh.records.entry(same(&word.entry.value)).or_default() += 1;
                    weigh.of += 1;
                }
            }
            SurvivorshipRule::VerifiedFirst => {
                let verified_by = survivorship.verified_by(name);
                weigh.verifying =
                    words.get(verified_by.as_str()).map(|words| standing_words(words)).unwrap_or_default();
            }
            SurvivorshipRule::MostRecent
            | SurvivorshipRule::MostTrustedSource
            | SurvivorshipRule::MostComplete
            | SurvivorshipRule::Longest => {}
        }
        weigh
    }

    fn standing(&self, word: &Word<'a>) -> Standing {
        let value = &word.entry.value;
        match self.survivorship.rule {
            SurvivorshipRule::MostRecent => Standing::Time,
            SurvivorshipRule::MostTrustedSource => Standing::Trust(self.trust(word)),
            SurvivorshipRule::MostComplete => {
                Standing::Parts(serde_json::from_str(value).map_or(0, |value| parts(&value)))
            }
            SurvivorshipRule::MostFrequent => Standing::Records {
                same: self.records.get(&same(value)).copied().unwrap_or_default(),
                of: self.of,
            },
            SurvivorshipRule::Longest => {
                let text = serde_json::from_str::<String>(value);
                let text = text.as_ref().map_or(value.as_ref(), |text| text.trim());
                Standing::Characters(count(text.chars()))
            }
            SurvivorshipRule::VerifiedFirst => Standing::Verified(self.is_verified(word)),
        }
    }

    /// What was put right is trusted as the most trusted source is, so that only a later word of that follows it.
    fn trust(&self, word: &Word<'_>) -> Option<usize> {
        let Survivorship { sources, parties, .. } = self.survivorship;
        if word.source() == OFFICE {
            return Some(1);
        }
        let basis = word.basis?;
        let by_source = sources.iter().position(|source| *source == basis.source);
        let by_party = || parties.iter().position(|party: &Party| *party == basis.party);
        by_source.or_else(|| Some(sources.len() + by_party()?)).map(|place| place + 1)
    }

    /// Whether the word's own source said so when it said the word, or after.
    fn is_verified(&self, word: &Word<'_>) -> bool {
        word.source() == OFFICE
            || self.verifying.iter().any(|said| {
                said.node == word.node
                    && said.source() == word.source()
                    && said.entry.value == "true"
                    && said.assertion.order() >= word.assertion.order()
            })
    }

    fn order(&self, (word, standing): &(Word<'a>, Standing)) -> Order<'a> {
        // The latest word may be that there is no value; a rule that weighs values has none to weigh there.
        let says = self.survivorship.rule == SurvivorshipRule::MostRecent || !word.is_null();
        let purposes = word.basis.map(|basis| basis.purposes).unwrap_or_default();
        let source = word.basis.map_or("", |basis| basis.source.as_str());
        (says, standing.score(), word.assertion.order(), source, &word.entry.value, purposes)
    }
}

/// What makes two values the same: people write one text in small and capital letters, and with spaces around.
fn same(value: &str) -> String {
    match serde_json::from_str::<String>(value) {
        Ok(text) => text.trim().to_lowercase(),
        Err(_) => value.to_owned(),
    }
}

/// How much a value says.
fn parts(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => count(text.split_whitespace()),
        Value::Array(elements) => elements.iter().map(parts).sum(),
        Value::Object(members) => members.values().map(parts).sum(),
    }
}

fn count(of: impl Iterator) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
