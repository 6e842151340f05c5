//! People who share what should be one person's, and are not joined.
//!
//! Keys are hashes. Beyond a number of them only those below a threshold are kept, with everybody who has them, so that
//! shares of all follow from shares of these. The threshold follows from the set of keys alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most keys of one kind that are kept.
const KEYS_MAX: usize = 1 << 18;
/// Most pairs that are named.
const PAIRS_MAX: usize = 20;

/// What people should not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateKey {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A name together with a birth date.
    NameAndBirthDate,
}

impl DuplicateKey {
    pub(crate) const ALL: [Self; 3] = [Self::Email, Self::Phone, Self::NameAndBirthDate];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Email => "e-mail address",
            Self::Phone => "phone number",
            Self::NameAndBirthDate => "name and birth date",
        }
    }
}

/// Two profiles that share a key, as ids: who may look profiles up sees who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// One profile.
    pub a: String,
    /// The other.
    pub b: String,
}

/// What was found of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateReport {
    /// Which.
    pub key: DuplicateKey,
    /// How many people have one.
    pub people: u64,
    /// How many of them too many: each group of those who share one has one right.
    pub surplus: u64,
    /// How many groups share one.
    pub groups: u64,
    /// How many the largest has. A large one is mostly a shop's own number, not a person's.
    pub largest: u64,
    /// Whether the counts are estimates.
    pub is_estimate: bool,
    /// Some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    count: u64,
    /// The two least ids.
    least: [[u8; 16]; 2],
}

/// Everybody by one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    kept: BTreeMap<u64, Group>,
    /// Hashes with this many leading zeros are kept.
    zeros: u32,
    people: u64,
    keys_max: Option<usize>,
}

impl Groups {
    #[cfg(test)]
    pub(crate) fn of_at_most(keys_max: usize) -> Self {
        Self { keys_max: Some(keys_max), ..Self::default() }
    }

    /// One person has that key.
    pub(crate) fn add(&mut self, hash: u64, id: [u8; 16]) {
        self.people += 1;
        self.put(hash, Group { count: 1, least: [id, [u8::MAX; 16]] });
    }

    fn put(&mut self, hash: u64, group: Group) {
        if hash.leading_zeros() < self.zeros {
            return;
        }
        let known = self.kept.entry(hash).or_insert(Group { count: 0, least: [[u8::MAX; 16]; 2] });
        known.count += group.count;
        let mut least = [known.least, group.least].concat();
        least.sort_unstable();
        known.least = [least.first().copied().unwrap_or_default(), least.get(1).copied().unwrap_or_default()];
        while self.kept.len() > self.keys_max.unwrap_or(KEYS_MAX) {
            self.zeros += 1;
            let zeros = self.zeros;
            self.kept.retain(|hash, _| hash.leading_zeros() >= zeros);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.people += other.people;
        self.zeros = self.zeros.max(other.zeros);
        let zeros = self.zeros;
        self.kept.retain(|hash, _| hash.leading_zeros() >= zeros);
        other.kept.iter().for_each(|(hash, group)| self.put(*hash, *group));
    }

    pub(crate) fn report(&self, key: DuplicateKey) -> DuplicateReport {
        let shared = || self.kept.values().filter(|group| group.count > 1);
        let scale = 1_u64.checked_shl(self.zeros).unwrap_or(u64::MAX);
        let pairs = shared().take(PAIRS_MAX).map(|group| {
            let [a, b] =
                group.least.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            Pair { a, b }
        });
        DuplicateReport {
            key,
            people: self.people,
            surplus: shared().map(|group| group.count - 1).sum::<u64>().saturating_mul(scale),
            groups: u64::try_from(shared().count()).unwrap_or(u64::MAX).saturating_mul(scale),
            largest: shared().map(|group| group.count).max().unwrap_or_default(),
            is_estimate: self.zeros > 0,
            pairs: pairs.collect(),
        }
    }
}
