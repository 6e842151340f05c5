//! How many distinct values there are, and how often the most frequent comes: in bounded memory, in any order.

use std::collections::BTreeMap;

use hyperloglockless::HyperLogLog;

/// Most distinct values that are counted one by one; beyond it by sketch.
const FEW_MAX: usize = 256;
/// 4,096 registers: 1.6 % error.
const PRECISION: u8 = 12;
const BUCKETS: usize = 1024;

/// A sketch of hashed values. It holds no value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    few: BTreeMap<u64, u64>,
    many: Option<Box<Many>>,
    count: u64,
}

#[derive(Clone, Debug)]
struct Many {
    distinct: HyperLogLog,
    /// How many values fall into each: one value that comes again and again stands out among them.
    buckets: Vec<u64>,
}

impl Many {
    fn add(&mut self, hash: u64, times: u64) {
        self.distinct.insert_hash(hash);
        let bucket = usize::try_from(hash % 1024).unwrap_or_default();
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += times;
        }
    }
}

impl Values {
    pub(crate) fn add(&mut self, hash: u64) {
        self.put(hash, 1);
    }

    fn put(&mut self, hash: u64, times: u64) {
        self.count += times;
        if let Some(many) = &mut self.many {
            return many.add(hash, times);
        }
        *self.few.entry(hash).or_default() += times;
        if self.few.len() > FEW_MAX {
            self.spill();
        }
    }

    fn spill(&mut self) -> &mut Many {
        let mut many = match self.many.take() {
            Some(many) => many,
            None => Box::new(Many {
                // Hashes come from outside: its own hasher is never asked.
                distinct: HyperLogLog::seeded(PRECISION, 0),
                buckets: vec![0; BUCKETS],
            }),
        };
        for (hash, times) in std::mem::take(&mut self.few) {
            many.add(hash, times);
        }
        self.many.insert(many)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.many {
            self.count += other.count;
            let ours = self.spill();
            // Both have the same number of registers.
            drop(ours.distinct.union(&theirs.distinct));
            for (ours, theirs) in ours.buckets.iter_mut().zip(&theirs.buckets) {
                *ours += theirs;
            }
        } else {
            other.few.iter().for_each(|(hash, times)| self.put(*hash, *times));
        }
    }

    /// How many values were added.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them differ.
    pub(crate) fn distinct(&self) -> u64 {
        let distinct = match &self.many {
            None => self.few.len(),
            Some(many) => many.distinct.count(),
        };
        u64::try_from(distinct).unwrap_or(u64::MAX).min(self.count)
    }

    /// How often the most frequent one came; beyond a few hundred distinct ones to within a thousandth of all.
    pub(crate) fn most_frequent(&self) -> u64 {
        match &self.many {
            None => self.few.values().copied().max().unwrap_or_default(),
            Some(many) => {
                let most = many.buckets.iter().copied().max().unwrap_or_default();
                let mut others = many.buckets.clone();
                others.sort_unstable();
                most - others.get(BUCKETS / 2).copied().unwrap_or_default().min(most)
            }
        }
    }
}
