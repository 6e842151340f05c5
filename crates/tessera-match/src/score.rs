//! Scoring: the probability of each compared pair.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::MatchError;
use crate::linker::{ComparedPair, Linker};
use crate::model::{Model, Weights, probability};
use crate::spec::ModelSpec;
use crate::table::Table;
use crate::train::learn_model;

/// The natural logarithm of the odds of a pair that agrees in an exact rule: a million to one.
pub(crate) const EXACT: f64 = 13.8;

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
    let weights = Weights::new(model)?;
    let linker = Linker::new(table, model.spec(), Some(model.frequent()))?;
    let keep = model.spec().thresholds.keep;
    let done = Done::new(table, progress);
    let each = |scored: &mut ScoredPairs, row: u32, candidates: &[u32]| {
        scored.compared += candidates.len() as u64;
        for other in candidates {
            let log_odds = weights.log_odds(&linker.compare(row, *other));
            scored.pairs.extend(scored_pair(&linker, (row, *other), log_odds, keep));
        }
    };
    let chunks = linker.chunks::<ScoredPairs>(&|_| true, &each, &|count| done.add(count));
    let mut scored = ScoredPairs::default();
    scored.pairs.reserve_exact(chunks.iter().map(|chunk| chunk.pairs.len()).sum());
    for chunk in chunks {
        scored.compared += chunk.compared;
        scored.pairs.extend(chunk.pairs);
    }
    Ok(scored)
}

/// Trains a model on `table` and scores it: the same as [`train`](crate::train) and [`score_with`], but every pair is
/// compared once, and all of them are learned from.
///
/// # Errors
///
/// When the specification does not fit the table.
pub fn link(
    table: &Table,
    spec: &ModelSpec,
    seed: u64,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<(Model, ScoredPairs), MatchError> {
    let linker = Linker::new(table, spec, None)?;
    let done = Done::new(table, progress);
    let compared = linker.compare_all(&|count| done.add(count));
    let model = learn_model(&linker, &compared.counts, 1.0, seed);
    let weights = Weights::new(&model)?;
    let log_odds: Vec<f64> =
        compared.counts.counted.par_iter().map(|(pattern, _)| weights.log_odds(pattern)).collect();
    let of = |pair: &ComparedPair| {
        let log_odds = log_odds[pair.pattern as usize];
        scored_pair(&linker, (pair.left, pair.right), log_odds, spec.thresholds.keep)
    };
    let pairs = compared.pairs.par_iter().filter_map(of).collect();
    Ok((model, ScoredPairs { pairs, compared: compared.pairs.len() as u64 }))
}

/// The pair when it is worth keeping. One that agrees in an exact rule is certain.
fn scored_pair(
    linker: &Linker<'_>,
    (left, right): (u32, u32),
    log_odds: f64,
    keep: f64,
) -> Option<ScoredPair> {
    let exact = !linker.spec.exact_rules.is_empty() && linker.blocks.agree_exactly(left, right);
    let log_odds = if exact { log_odds.max(EXACT) } else { log_odds };
    (probability(log_odds) >= keep).then(|| ScoredPair::new(left, right, log_odds))
}

/// Rows that are done.
struct Done<'a> {
    rows: u64,
    done: AtomicU64,
    progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl<'a> Done<'a> {
    fn new(table: &Table, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        Self { rows: table.rows() as u64, done: AtomicU64::new(0), progress }
    }

    fn add(&self, count: u64) {
        let before = self.done.fetch_add(count, Ordering::Relaxed);
        (self.progress)(before + count, self.rows);
    }
}
