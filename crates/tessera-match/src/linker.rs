//! What training and scoring share: a table made ready, and the patterns of its pairs.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rayon::prelude::*;

use crate::blocks::{Blocks, Seen};
use crate::compare::{Comparer, Frequent, Pattern, Prepared};
use crate::error::MatchError;
use crate::mixture::{Counted, Shape};
use crate::spec::ModelSpec;
use crate::table::Table;

/// Rows that one task works on.
const CHUNK: u32 = 4_096;

/// Fewer are not worth the way to another thread: a record by itself would wait for those that work on runs.
const PARALLEL_MIN: u32 = 256;

/// `each` of a range, in order.
pub(crate) fn in_order<T: Send>(range: Range<u32>, each: impl Fn(u32) -> T + Sync + Send) -> Vec<T> {
    match range.end.saturating_sub(range.start) {
        few if few < PARALLEL_MIN => range.map(each).collect(),
        _ => range.into_par_iter().map(each).collect(),
    }
}

/// A table ready to be compared by one specification.
pub(crate) struct Linker<'a> {
    pub(crate) table: &'a Table,
    pub(crate) spec: &'a ModelSpec,
    pub(crate) comparer: Comparer,
    pub(crate) frequent: Vec<Frequent>,
    pub(crate) prepared: Prepared,
    pub(crate) blocks: Blocks,
}

/// A pair and the number of its pattern.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ComparedPair {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) pattern: u32,
}

/// Pairs with their patterns.
#[derive(Default)]
pub(crate) struct Compared {
    pub(crate) pairs: Vec<ComparedPair>,
    pub(crate) counts: Counts,
}

impl<'a> Linker<'a> {
    /// Makes `table` ready; `frequent` are the frequent values of the model, or nothing for those of the table.
    pub(crate) fn new(
        table: &'a Table,
        spec: &'a ModelSpec,
        frequent: Option<Vec<Frequent>>,
    ) -> Result<Self, MatchError> {
        spec.validate(table)?;
        let comparer = Comparer::new(&spec.comparisons);
        let frequent = match frequent {
            Some(frequent) => frequent,
            None => comparer.frequent(table)?,
        };
        let prepared = comparer.prepare(table, &frequent)?;
        let blocks = Blocks::new(table, spec, comparer.makers())?;
        Ok(Self { table, spec, comparer, frequent, prepared, blocks })
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        let shape = |kernel: &crate::compare::Kernel| Shape { levels: kernel.levels(), full: kernel.full() };
        self.comparer.kernels().iter().map(shape).collect()
    }

    pub(crate) fn compare(&self, left: u32, right: u32) -> Pattern {
        let record = |row: u32| self.prepared.record(self.table, row as usize);
        self.comparer.compare(record(left), record(right))
    }

    /// `each` row that `wanted` names with the rows behind it that it is to be compared with, in order; a result for
    /// each chunk of rows, in order.
    pub(crate) fn chunks<T: Default + Send>(
        &self,
        wanted: &(dyn Fn(u32) -> bool + Sync),
        each: &(dyn Fn(&mut T, u32, &[u32]) + Sync),
        done: &(dyn Fn(u64) + Sync),
    ) -> Vec<T> {
        let rows = u32::try_from(self.table.rows()).unwrap_or(u32::MAX);
        let numbers: Vec<u32> = (0..rows.div_ceil(CHUNK)).collect();
        numbers
            .par_iter()
            .map_init(
                || (Seen::new(self.table.rows()), Vec::new()),
                |(seen, candidates), number| {
                    let mut result = T::default();
                    let range = number * CHUNK..rows.min((number + 1) * CHUNK);
                    let count = u64::from(range.end - range.start);
                    for row in range.filter(|row| wanted(*row)) {
                        self.blocks.candidates(self.table, row, seen, candidates);
                        candidates.sort_unstable();
                        each(&mut result, row, candidates);
                    }
                    done(count);
                    result
                },
            )
            .collect()
    }

    /// Compares all pairs and keeps them with their patterns.
    pub(crate) fn compare_all(&self, done: &(dyn Fn(u64) + Sync)) -> Compared {
        let each = |compared: &mut Compared, row: u32, candidates: &[u32]| {
            for other in candidates {
                let pattern = compared.counts.add(self.compare(row, *other), 1);
                compared.pairs.push(ComparedPair { left: row, right: *other, pattern });
            }
        };
        let chunks = self.chunks::<Compared>(&|_| true, &each, done);
        let mut all = Compared::default();
        all.pairs.reserve_exact(chunks.iter().map(|chunk| chunk.pairs.len()).sum());
        for chunk in chunks {
            let add = |(pattern, count): &(Pattern, u64)| all.counts.add(*pattern, *count);
            let numbers: Vec<u32> = chunk.counts.counted.iter().map(add).collect();
            all.pairs.extend(
                chunk
                    .pairs
                    .into_iter()
                    .map(|pair| ComparedPair { pattern: numbers[pair.pattern as usize], ..pair }),
            );
        }
        all
    }
}

/// Counts of patterns as they come.
#[derive(Default)]
pub(crate) struct Counts {
    places: HashTable<u32>,
    pub(crate) counted: Vec<(Pattern, u64)>,
}

impl Counts {
    /// Counts a pattern and gives its number.
    pub(crate) fn add(&mut self, pattern: Pattern, count: u64) -> u32 {
        let hash = |pattern: &Pattern| FixedState::with_seed(1).hash_one(pattern);
        let counted = &mut self.counted;
        if let Some(place) = self.places.find(hash(&pattern), |place| counted[*place as usize].0 == pattern) {
            counted[*place as usize].1 += count;
            return *place;
        }
        let place = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        counted.push((pattern, count));
        self.places.insert_unique(hash(&pattern), place, |place| hash(&counted[*place as usize].0));
        place
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        other.counted.into_iter().for_each(|(pattern, count)| {
            self.add(pattern, count);
        });
        self
    }

    /// In the order of patterns, which no thread has a say in.
    pub(crate) fn sorted(&self) -> Vec<Counted> {
        let mut counted: Vec<Counted> =
            self.counted.iter().map(|(pattern, count)| (*pattern, *count as f64)).collect();
        counted.sort_unstable_by_key(|(pattern, _)| *pattern);
        counted
    }
}
