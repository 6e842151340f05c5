//! Scoring: the probability of each compared pair.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blocks::{Blocks, Seen};
use crate::compare::{Comparer, Prepared};
use crate::error::MatchError;
use crate::model::{Model, Weights, probability};
use crate::table::Table;

/// Two rows and how likely they are one person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoredPair {
    /// The lower row.
    pub left: u32,
    /// The higher row.
    pub right: u32,
    /// The probability that the two are one person, 0 to 1.
    pub probability: f32,
    /// The same as a weight: the logarithm to base 2 of the odds.
    pub weight: f32,
}

/// All pairs that are worth keeping, by rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoredPairs {
    /// Pairs from the threshold `keep` on, by left and then right row.
    pub pairs: Vec<ScoredPair>,
    /// How many were compared.
    pub compared: u64,
}

impl ScoredPair {
    pub(crate) fn new(left: u32, right: u32, log_odds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "single precision is enough for a probability")]
        let (probability, weight) =
            (probability(log_odds) as f32, (log_odds / std::f64::consts::LN_2).clamp(-99.0, 99.0) as f32);
        Self { left, right, probability, weight }
    }
}

/// Scores every pair that blocking gives.
///
/// # Errors
///
/// When the model does not fit the table.
pub fn score(table: &Table, model: &Model) -> Result<ScoredPairs, MatchError> {
    score_with(table, model, &|_, _| ())
}

/// The same; `progress` is told now and then how many rows of how many are done.
///
/// # Errors
///
/// When the model does not fit the table.
pub fn score_with(
    table: &Table,
    model: &Model,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ScoredPairs, MatchError> {
    let spec = model.spec();
    spec.validate(table)?;
    let weights = Weights::new(model)?;
    let comparer = Comparer::new(&spec.comparisons);
    let prepared = comparer.prepare(table, &model.frequent())?;
    let blocks = Blocks::new(table, spec, comparer.makers())?;
    let scorer =
        Scorer { table, comparer: &comparer, prepared: &prepared, blocks: &blocks, weights: &weights };
    Ok(scorer.all(spec.thresholds.keep, progress))
}

struct Scorer<'a> {
    table: &'a Table,
    comparer: &'a Comparer,
    prepared: &'a Prepared<'a>,
    blocks: &'a Blocks,
    weights: &'a Weights,
}

impl Scorer<'_> {
    fn all(&self, keep: f64, progress: &(dyn Fn(u64, u64) + Sync)) -> ScoredPairs {
        let rows = u32::try_from(self.table.rows()).unwrap_or(u32::MAX);
        let chunk = 4_096;
        let done = std::sync::atomic::AtomicU64::new(0);
        let chunks: Vec<u32> = (0..rows.div_ceil(chunk)).collect();
        let parts: Vec<(Vec<ScoredPair>, u64)> = chunks
            .par_iter()
            .map_init(
                || (Seen::new(self.table.rows()), Vec::new()),
                |(seen, candidates), number| {
                    let range = number * chunk..rows.min((number + 1) * chunk);
                    let count = u64::from(range.end - range.start);
                    let (mut pairs, mut compared) = (Vec::new(), 0);
                    for row in range {
                        self.blocks.candidates(self.table, row, seen, candidates);
                        compared += candidates.len() as u64;
                        self.row(row, candidates, keep, &mut pairs);
                    }
                    let before = done.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
                    progress(before + count, u64::from(rows));
                    (pairs, compared)
                },
            )
            .collect();
        let compared = parts.iter().map(|(_, compared)| compared).sum();
        let mut pairs = Vec::with_capacity(parts.iter().map(|(pairs, _)| pairs.len()).sum());
        parts.into_iter().for_each(|(part, _)| pairs.extend(part));
        ScoredPairs { pairs, compared }
    }

    fn row(&self, row: u32, candidates: &mut [u32], keep: f64, pairs: &mut Vec<ScoredPair>) {
        candidates.sort_unstable();
        let left = self.prepared.record(row as usize);
        for other in candidates {
            let pattern = self.comparer.compare(left, self.prepared.record(*other as usize));
            let log_odds = self.weights.log_odds(&pattern);
            if probability(log_odds) >= keep {
                pairs.push(ScoredPair::new(row, *other, log_odds));
            }
        }
    }
}
