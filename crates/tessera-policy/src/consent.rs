//! What one fragment knows of a person's consent, and how it combines.

use serde::{Deserialize, Serialize};
use tessera_model::{ConsentStatus, PurposeName, SourceName, Timestamp};

/// What was said about one purpose, in one way: first and last time, and who brought the last word.
///
/// A repeat widens the span instead of adding a row, so a client that repeats the same preferences with every
/// event costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConsentRecord {
    /// The purpose.
    pub purpose: PurposeName,
    /// What was said.
    pub status: ConsentStatus,
    /// When it was said first.
    pub first_at: Timestamp,
    /// When it was said last.
    pub last_at: Timestamp,
    /// Which source brought the last word.
    pub source: SourceName,
}

/// The consent records of one fragment: a commutative, idempotent monoid under [`Consents::merge`].
///
/// Invariant: at most one record for each (purpose, status), in that order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Consents(Vec<ConsentRecord>);

/// Where a person stands on a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Never asked, as far as we know.
    Unknown,
    /// The last word, and when it was said.
    Said(ConsentStatus, Timestamp),
}

impl Consents {
    /// Adds one record. Order and repetition do not matter.
    pub fn add(&mut self, record: ConsentRecord) {
        let key = |r: &ConsentRecord| (r.purpose.clone(), r.status);
        match self.0.binary_search_by_key(&key(&record), key) {
            Err(at) => self.0.insert(at, record),
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    known.first_at = known.first_at.min(record.first_at);
                    // Equal times: the lesser source name, so that order does not matter.
                    let newer = (record.last_at, std::cmp::Reverse(&record.source))
                        > (known.last_at, std::cmp::Reverse(&known.source));
                    if newer {
                        known.last_at = record.last_at;
                        known.source = record.source;
                    }
                }
            }
        }
    }

    /// Adds all of `other`'s records.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|record| self.add(record.clone()));
    }

    /// All records, by purpose and status.
    pub fn iter(&self) -> impl Iterator<Item = &ConsentRecord> {
        self.0.iter()
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last word on `purpose`; of two at the same time, the stricter.
    #[must_use]
    pub fn standing(&self, purpose: &PurposeName) -> Standing {
        self.0
            .iter()
            .filter(|record| record.purpose == *purpose)
            .max_by_key(|record| (record.last_at, !record.status.is_valid(), record.status))
            .map_or(Standing::Unknown, |record| Standing::Said(record.status, record.last_at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = ConsentRecord> {
        let status = prop_oneof![
            Just(ConsentStatus::Given),
            Just(ConsentStatus::Refused),
            Just(ConsentStatus::Withdrawn)
        ];
        ("[ab]", status, 0_i64..6, "[xy]").prop_map(|(purpose, status, at, source)| ConsentRecord {
            purpose: PurposeName::parse(&purpose).unwrap(),
            status,
            first_at: Timestamp::from_millis(at),
            last_at: Timestamp::from_millis(at),
            source: SourceName::parse(&source).unwrap(),
        })
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
    }
}
