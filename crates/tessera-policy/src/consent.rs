//! What one fragment knows of a person's will, and how it combines.

use serde::{Deserialize, Serialize};
use tessera_model::{
    Birthday, ConsentStatus, Expression, PurposeId, PurposeSet, SourceName, SubscriptionState, Timestamp,
};

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

/// How it is stored: words that differ in their purpose alone are one row, for a banner says yes to many at once.
#[derive(Deserialize)]
struct Stored {
    words: Vec<StoredWord>,
    subscriptions: Vec<Subscription>,
    born_on: Option<Birthday>,
    erased_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct StoredWord {
    purposes: PurposeSet,
    is_personal: bool,
    status: ConsentStatus,
    expression: Expression,
    version: u32,
    first_at: Timestamp,
    /// Milliseconds after the first.
    lasted: u64,
    source: SourceName,
    how: Option<Box<str>>,
    evidence: Option<Box<str>>,
}

impl StoredWord {
    fn record(&self, purpose: Option<PurposeId>) -> ConsentRecord {
        ConsentRecord {
            purpose,
            status: self.status,
            expression: self.expression,
            version: self.version,
            first_at: self.first_at,
            last_at: self.first_at.plus_millis(i64::try_from(self.lasted).unwrap_or(i64::MAX)),
            source: self.source.clone(),
            how: self.how.clone(),
            evidence: self.evidence.clone(),
        }
    }
}

fn lasted(record: &ConsentRecord) -> u64 {
    u64::try_from(record.last_at.millis_since(record.first_at)).unwrap_or(0)
}

/// One row of [`Stored`], as it is written: borrowed, for every event writes the row that it changed.
#[derive(Serialize)]
struct WrittenWord<'a> {
    purposes: PurposeSet,
    is_personal: bool,
    status: ConsentStatus,
    expression: Expression,
    version: u32,
    first_at: Timestamp,
    lasted: u64,
    source: &'a SourceName,
    how: &'a Option<Box<str>>,
    evidence: &'a Option<Box<str>>,
}

#[derive(Serialize)]
struct Written<'a> {
    words: Vec<WrittenWord<'a>>,
    subscriptions: &'a [Subscription],
    born_on: Option<Birthday>,
    erased_at: Option<Timestamp>,
}

impl<'a> WrittenWord<'a> {
    fn of(record: &'a ConsentRecord) -> Self {
        Self {
            purposes: record.purpose.into_iter().collect(),
            is_personal: record.purpose.is_none(),
            status: record.status,
            expression: record.expression,
            version: record.version,
            first_at: record.first_at,
            lasted: lasted(record),
            source: &record.source,
            how: &record.how,
            evidence: &record.evidence,
        }
    }

    /// Whether the two differ in their purposes at most.
    fn is_like(&self, other: &Self) -> bool {
        (self.is_personal, self.status, self.expression, self.version)
            == (other.is_personal, other.status, other.expression, other.version)
            && (self.first_at, self.lasted) == (other.first_at, other.lasted)
            && self.source == other.source
            && (self.how, self.evidence) == (other.how, other.evidence)
    }
}

impl Serialize for Consents {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut words: Vec<WrittenWord<'_>> = Vec::new();
        for record in &self.records {
            let new = WrittenWord::of(record);
            match words.iter_mut().find(|word| word.is_like(&new)) {
                Some(word) => word.purposes = word.purposes.or(new.purposes),
                None => words.push(new),
            }
        }
        let Self { subscriptions, born_on, erased_at, .. } = self;
        Written { words, subscriptions, born_on: *born_on, erased_at: *erased_at }.serialize(serializer)
    }
}

impl From<Stored> for Consents {
    fn from(stored: Stored) -> Self {
        let mut records: Vec<ConsentRecord> = Vec::new();
        for word in &stored.words {
            match word.is_personal {
                true => records.push(word.record(None)),
                false => records.extend(word.purposes.iter().map(|id| word.record(Some(id)))),
            }
        }
        records.sort_unstable_by_key(ConsentRecord::key);
        let Stored { subscriptions, born_on, erased_at, .. } = stored;
        Self { records, subscriptions, born_on, erased_at }
    }
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
/// Invariants: at most one record for each (purpose, status, expression, version), in that order; at most one
/// subscription for each (channel, topic), in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub struct Consents {
    records: Vec<ConsentRecord>,
    subscriptions: Vec<Subscription>,
    born_on: Option<Birthday>,
    erased_at: Option<Timestamp>,
}

impl Consents {
    /// Adds one record. Order and repetition do not matter.
    pub fn add(&mut self, record: ConsentRecord) {
        match self.records.binary_search_by_key(&record.key(), ConsentRecord::key) {
            Err(at) => self.records.insert(at, record),
            Ok(at) => {
                if let Some(known) = self.records.get_mut(at) {
                    let first_at = known.first_at.min(record.first_at);
                    // Equal times: the lesser source and words, so that order does not matter.
                    let order = |r: &ConsentRecord| {
                        std::cmp::Reverse((r.source.clone(), r.how.clone(), r.evidence.clone()))
                    };
                    if (record.last_at, order(&record)) > (known.last_at, order(known)) {
                        *known = record;
                    }
                    known.first_at = first_at;
                }
            }
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
        other.records.iter().for_each(|record| self.add(record.clone()));
        other.subscriptions.iter().for_each(|subscription| self.subscribe(subscription.clone()));
        self.born_on = self.born_on.max(other.born_on);
        self.erased_at = self.erased_at.max(other.erased_at);
    }

    /// What was known of the person's will at a time, as far as it is remembered since when each word stands.
    #[must_use]
    pub fn as_of(&self, at: Timestamp) -> Self {
        let mut then = self.clone();
        then.records.retain(|record| record.first_at <= at);
        then.erased_at = then.erased_at.filter(|erased_at| *erased_at <= at);
        then
    }

    /// All records, by purpose and status.
    pub fn iter(&self) -> impl Iterator<Item = &ConsentRecord> {
        self.records.iter()
    }

    /// The contact point's states, by channel and topic.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.subscriptions.is_empty() && self.erased_at.is_none()
    }

    /// The records about one purpose, or about the whole person.
    pub(crate) fn about(&self, of: Option<PurposeId>) -> &[ConsentRecord] {
        let start = self.records.partition_point(|record| record.purpose < of);
        let rest = self.records.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|record| record.purpose == of)).unwrap_or_default()
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
        (0_usize..2, status, expression, 1_u32..3, 0_i64..6, "[xy]", proptest::option::of("[pq]")).prop_map(
            |(purpose, status, expression, version, at, source, how)| ConsentRecord {
                purpose: Some(ids(&["a", "b"])[purpose]),
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
