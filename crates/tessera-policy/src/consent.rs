//! What one fragment knows of a person's will, and how it combines.

use serde::{Deserialize, Serialize};
use tessera_model::{
    Birthday, ConsentStatus, Expression, PurposeId, PurposeSet, SourceName, SubscriptionState, Timestamp,
};

use crate::word::{About, Word};

/// What was said about one purpose, in one way: first and last time, and who brought the last word.
///
/// A repeat widens the span instead of adding a row, so a client that repeats the same preferences with every
/// event costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// The purpose; absent: the whole person.
    pub purpose: Option<PurposeId>,
    /// What was said.
    pub status: ConsentStatus,
    /// How clearly.
    pub expression: Expression,
    /// About which version of the purpose.
    pub version: u32,
    /// When it was said first.
    pub first_at: Timestamp,
    /// When it was said last.
    pub last_at: Timestamp,
    /// Which source brought the last word.
    pub source: SourceName,
    /// By which form, channel or request.
    pub how: Option<Box<str>>,
    /// Where the proof is kept.
    pub evidence: Option<Box<str>>,
}

type RecordKey = (Option<PurposeId>, ConsentStatus, Expression, u32);

impl ConsentRecord {
    fn key(&self) -> RecordKey {
        (self.purpose, self.status, self.expression, self.version)
    }
}

/// Whether one contact point takes messages of one channel, about one topic (empty: about any).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subscription {
    /// `email`, `sms`, ...
    pub channel: Box<str>,
    /// The topic.
    pub topic: Box<str>,
    /// When it was said last.
    pub at: Timestamp,
    /// The state; of two at the same time the stricter.
    pub state: SubscriptionState,
    /// Which source brought it.
    pub source: SourceName,
}

/// The will of a person as one fragment knows it: a commutative, idempotent monoid under [`Consents::merge`].
///
/// Invariants: at most one word for each (purpose, status, expression, version); words in the order of `Word::place`,
/// no two in the same; at most one subscription for each (channel, topic), in that order. So equal wills are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Consents {
    words: Vec<Word>,
    subscriptions: Vec<Subscription>,
    born_on: Option<Birthday>,
    erased_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Stored {
    words: Vec<Word>,
    subscriptions: Vec<Subscription>,
    born_on: Option<Birthday>,
    erased_at: Option<Timestamp>,
}

impl TryFrom<Stored> for Consents {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let Stored { words, subscriptions, born_on, erased_at } = stored;
        if !words.is_sorted_by(|a, b| a.place(b).is_lt()) {
            return Err("what a person said of purposes stands out of order");
        }
        // Words that say the same stand side by side.
        let is_said_before = |(at, word): (usize, &Word)| {
            let before = words.iter().take(at).rev().take_while(|known| known.is_repeated_by(word));
            word.about.is_nothing()
                || before.into_iter().any(|known| !known.about.and(word.about).is_nothing())
        };
        if words.iter().enumerate().any(is_said_before) {
            return Err("a person's words of purposes overlap");
        }
        Ok(Self { words, subscriptions, born_on, erased_at })
    }
}

impl Consents {
    /// Adds one record. Order and repetition do not matter.
    pub fn add(&mut self, record: ConsentRecord) {
        self.say(&record.into());
    }

    fn say(&mut self, word: &Word) {
        let mut news = word.about;
        let mut changed: Vec<Word> = Vec::new();
        for known in self.words.iter_mut().filter(|known| known.is_repeated_by(word)) {
            let common = known.about.and(news);
            if common.is_nothing() {
                continue;
            }
            news = news.without(common);
            if !known.holds(word) {
                changed.push(known.spanning(word));
                known.about = known.about.without(common);
            }
        }
        if !changed.is_empty() {
            self.words.retain(|known| !known.about.is_nothing());
        }
        if !news.is_nothing() {
            changed.push(Word { about: news, ..word.clone() });
        }
        changed.into_iter().for_each(|word| self.put(word));
    }

    fn put(&mut self, word: Word) {
        match self.words.binary_search_by(|known| known.place(&word)) {
            Err(at) => self.words.insert(at, word),
            Ok(at) => self.words.get_mut(at).into_iter().for_each(|known| known.widen(word.about)),
        }
    }

    /// Adds the state of a contact point. Order and repetition do not matter.
    pub fn subscribe(&mut self, subscription: Subscription) {
        let key = |s: &Subscription| (s.channel.clone(), s.topic.clone());
        match self.subscriptions.binary_search_by_key(&key(&subscription), key) {
            Err(at) => self.subscriptions.insert(at, subscription),
            Ok(at) => {
                if let Some(known) = self.subscriptions.get_mut(at) {
                    let order = |s: &Subscription| (s.at, s.state, std::cmp::Reverse(s.source.clone()));
                    if order(&subscription) > order(known) {
                        *known = subscription;
                    }
                }
            }
        }
    }

    /// Learns a day of birth; of several the latest holds, for it is the stricter.
    pub fn born_on(&mut self, day: Birthday) {
        self.born_on = self.born_on.max(Some(day));
    }

    /// The day of birth, if known.
    #[must_use]
    pub fn birthday(&self) -> Option<Birthday> {
        self.born_on
    }

    /// Forgets the day of birth.
    pub fn forget_birthday(&mut self) {
        self.born_on = None;
    }

    /// The person was erased, but for what the law obliges to keep.
    pub fn erase(&mut self, at: Timestamp) {
        self.erased_at = self.erased_at.max(Some(at));
    }

    /// What comes of the person may be kept again.
    pub fn lift_erasure(&mut self) {
        self.erased_at = None;
    }

    /// When the person was erased, but for what the law obliges to keep.
    #[must_use]
    pub fn erased_at(&self) -> Option<Timestamp> {
        self.erased_at
    }

    /// Adds all that `other` knows.
    pub fn merge(&mut self, other: &Self) {
        other.words.iter().for_each(|word| self.say(word));
        other.subscriptions.iter().for_each(|subscription| self.subscribe(subscription.clone()));
        self.born_on = self.born_on.max(other.born_on);
        self.erased_at = self.erased_at.max(other.erased_at);
    }

    /// What was known of the person's will at a time, as far as it is remembered since when each word stands.
    #[must_use]
    pub fn as_of(&self, at: Timestamp) -> Self {
        let mut then = self.clone();
        then.words.retain(|word| word.first_at <= at);
        then.erased_at = then.erased_at.filter(|erased_at| *erased_at <= at);
        then
    }

    /// All that was said, purpose by purpose, in the order of purpose and status.
    pub fn iter(&self) -> impl Iterator<Item = ConsentRecord> {
        let mut records: Vec<ConsentRecord> = self.words.iter().flat_map(Word::records).collect();
        records.sort_unstable_by_key(ConsentRecord::key);
        records.into_iter()
    }

    /// The contact point's states, by channel and topic.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.subscriptions.is_empty() && self.erased_at.is_none()
    }

    /// The purposes about which anything was said.
    pub(crate) fn spoken_of(&self) -> PurposeSet {
        self.words.iter().fold(PurposeSet::EMPTY, |known, word| match word.about {
            About::Person => known,
            About::Purposes(purposes) => known.or(purposes),
        })
    }

    /// The words about one purpose.
    pub(crate) fn on(&self, purpose: PurposeId) -> impl Iterator<Item = &Word> + Clone {
        self.words.iter().filter(move |word| word.is_on(purpose))
    }

    /// The words about the whole person.
    pub(crate) fn on_the_person(&self) -> impl Iterator<Item = &Word> + Clone {
        self.words.iter().filter(|word| word.about == About::Person)
    }

    /// What this contact point says of `channel`: the channel as a whole.
    pub(crate) fn subscription(&self, channel: &str) -> Option<SubscriptionState> {
        let whole = self.subscriptions.iter().find(|one| &*one.channel == channel && one.topic.is_empty());
        whole.map(|one| one.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::ids;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = ConsentRecord> {
        let status = proptest::sample::select(ConsentStatus::ALL.to_vec());
        let expression = prop_oneof![Just(Expression::Explicit), Just(Expression::Implied)];
        (0_usize..4, status, expression, 1_u32..3, 0_i64..6, "[xy]", proptest::option::of("[pq]")).prop_map(
            |(purpose, status, expression, version, at, source, how)| ConsentRecord {
                purpose: ids(&["a", "b", "c"]).get(purpose).copied(),
                status,
                expression,
                version,
                first_at: Timestamp::from_millis(at),
                last_at: Timestamp::from_millis(at),
                source: SourceName::parse(&source).unwrap(),
                how: how.map(Into::into),
                evidence: None,
            },
        )
    }

    fn all(records: &[ConsentRecord]) -> Consents {
        let mut consents = Consents::default();
        records.iter().for_each(|record| consents.add(record.clone()));
        consents
    }

    proptest! {
        #[test]
        fn consents_do_not_depend_on_order_repetition_or_grouping(
            (records, shuffled) in proptest::collection::vec(record(), 0..12)
                .prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
            cut in 0_usize..12,
        ) {
            let whole = all(&records);
            prop_assert_eq!(&whole, &all(&shuffled));
            let (left, right) = shuffled.split_at(cut.min(shuffled.len()));
            let mut merged = all(right);
            merged.merge(&all(left));
            merged.merge(&all(left));
            prop_assert_eq!(&whole, &merged);
        }

        #[test]
        fn words_for_many_purposes_say_what_a_record_for_each_would(
            records in proptest::collection::vec(record(), 0..24),
        ) {
            let mut expected: std::collections::BTreeMap<RecordKey, ConsentRecord> = Default::default();
            for record in &records {
                let known = expected.entry(record.key()).or_insert_with(|| record.clone());
                let order = |r: &ConsentRecord| {
                    (r.last_at, std::cmp::Reverse((r.source.clone(), r.how.clone(), r.evidence.clone())))
                };
                let first_at = known.first_at.min(record.first_at);
                if order(record) > order(known) {
                    *known = record.clone();
                }
                known.first_at = first_at;
            }
            let expected: Vec<ConsentRecord> = expected.into_values().collect();
            prop_assert_eq!(all(&records).iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn words_stored_in_another_order_are_refused_as_damage(
            (records, at) in (proptest::collection::vec(record(), 0..12), 0_usize..12),
        ) {
            let whole = all(&records);
            let mut json = serde_json::to_value(&whole).unwrap();
            let words = json["words"].as_array_mut().unwrap();
            let at = if words.is_empty() { 0 } else { at % words.len() };
            words.rotate_left(at);
            let read = serde_json::from_value::<Consents>(json);
            prop_assert_eq!(read.is_ok(), at == 0);
        }

        #[test]
        fn words_stored_twice_are_refused_as_damage(
            records in proptest::collection::vec(record(), 1..12), longer in 1_u64..20,
        ) {
            let mut json = serde_json::to_value(all(&records)).unwrap();
            let words = json["words"].as_array_mut().unwrap();
            let mut again = words.last().unwrap().clone();
            again["lasted"] = (again["lasted"].as_u64().unwrap() + longer).into();
            words.push(again);
            let refused = serde_json::from_value::<Consents>(json).unwrap_err().to_string();
            prop_assert!(refused.contains("overlap"), "{}", refused);
        }

        #[test]
        fn consents_are_stored_and_read_back_as_they_were(records in proptest::collection::vec(record(), 0..12)) {
            let whole = all(&records);
            let json = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(serde_json::from_str::<Consents>(&json).unwrap(), whole);
        }
    }

    #[test]
    fn a_set_of_purposes_lists_what_was_put_in() {
        let ids = ids(&["a", "b", "c"]);
        let set: PurposeSet = [ids[2], ids[0]].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), vec![ids[0], ids[2]]);
    }
}
