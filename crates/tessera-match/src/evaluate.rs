//! How good a matching was, where the truth is known.

use serde::{Deserialize, Serialize};

use crate::cluster::Clusters;
use crate::score::ScoredPairs;
use crate::spec::Pairs;
use crate::table::Table;

/// Right and wrong pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Pairs said to be one person that are.
    pub true_pairs: u64,
    /// Pairs said to be one person that are not.
    pub false_pairs: u64,
    /// Pairs that are one person and were not said to be.
    pub missed_pairs: u64,
    /// Of the pairs said to be one person, the share that are.
    pub precision: f64,
    /// Of the pairs that are one person, the share that was said to be.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Pairs whose probability lies in one range, and how many are matches in truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// The least probability of the bin.
    pub from: f64,
    /// The probability where the next one begins.
    pub to: f64,
    /// Pairs in it.
    pub pairs: u64,
    /// Their mean probability: what was said.
    pub said: f64,
    /// The share that are one person: what is.
    pub is: f64,
}

/// Everything there is to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Pairs that are one person in truth.
    pub true_pairs: u64,
    /// Pairs that were compared.
    pub compared_pairs: u64,
    /// The share of true pairs that were kept at all: no threshold reaches more.
    pub reachable: f64,
    /// The probability at which F1 is best.
    pub best_threshold: f64,
    /// Quality there.
    pub best: Quality,
    /// Quality at fixed probabilities: .5, .9, .95, .99, .999.
    pub at: Vec<(f64, Quality)>,
    /// Quality of the clusters: all pairs within one.
    pub clusters: Quality,
    /// What was said and what is.
    pub calibration: Vec<CalibrationBin>,
}

const FIXED: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];
const BINS: [f64; 12] = [0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 1.01];

/// Compares what was found with `truth`: for each row the number of its person.
#[must_use]
pub fn evaluate(
    table: &Table,
    pairs: Pairs,
    scored: &ScoredPairs,
    clusters: &Clusters,
    truth: &[u32],
) -> Evaluation {
    let same = |left: u32, right: u32| truth.get(left as usize) == truth.get(right as usize);
    let mut order: Vec<(f32, bool)> =
        scored.pairs.iter().map(|pair| (pair.weight, same(pair.left, pair.right))).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let total = pairs_within(table, pairs, |row| truth.get(row).copied().unwrap_or(u32::MAX));
    let (mut best, mut best_weight) = (Quality::default(), f32::INFINITY);
    let (mut right, mut wrong) = (0, 0);
    for group in order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let matches = group.iter().filter(|(_, same)| *same).count() as u64;
        right += matches;
        wrong += group.len() as u64 - matches;
        let quality = Quality::new(right, wrong, total);
        if let Some((weight, _)) = group.first().filter(|_| quality.f1 > best.f1) {
            (best, best_weight) = (quality, *weight);
        }
    }
    let at = |threshold: f64| {
        let over = scored.pairs.iter().filter(|pair| f64::from(pair.probability) >= threshold);
        let (mut right, mut wrong) = (0, 0);
        over.for_each(|pair| if same(pair.left, pair.right) { right += 1 } else { wrong += 1 });
        (threshold, Quality::new(right, wrong, total))
    };
    let found = order.iter().filter(|(_, same)| *same).count() as u64;
    Evaluation {
        true_pairs: total,
        compared_pairs: scored.compared,
        reachable: share(found, total),
        best_threshold: 1.0 / (1.0 + (-f64::from(best_weight)).exp2()),
        best,
        at: FIXED.into_iter().map(at).collect(),
        clusters: of_clusters(table, pairs, clusters, truth),
        calibration: calibration(scored, &same),
    }
}

impl Quality {
    fn new(true_pairs: u64, false_pairs: u64, total: u64) -> Self {
        let missed_pairs = total.saturating_sub(true_pairs);
        let precision = share(true_pairs, true_pairs + false_pairs);
        let recall = share(true_pairs, total);
        let f1 = share(2 * true_pairs, 2 * true_pairs + false_pairs + missed_pairs);
        Self { true_pairs, false_pairs, missed_pairs, precision, recall, f1 }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn of_clusters(table: &Table, pairs: Pairs, clusters: &Clusters, truth: &[u32]) -> Quality {
    let id = |row: usize| clusters.ids.get(row).copied().unwrap_or(u32::MAX);
    let person = |row: usize| truth.get(row).copied().unwrap_or(u32::MAX);
    let total = pairs_within(table, pairs, person);
    let said = pairs_within(table, pairs, id);
    let right = pairs_within(table, pairs, |row| (id(row), person(row)));
    Quality::new(right, said.saturating_sub(right), total)
}

/// Pairs of rows with the same key, of those that `pairs` lets be compared.
fn pairs_within<K: Ord>(table: &Table, pairs: Pairs, key: impl Fn(usize) -> K) -> u64 {
    let choose = |rows: u64| rows * rows.saturating_sub(1) / 2;
    let mut rows: Vec<(K, u16)> = (0..table.rows()).map(|row| (key(row), table.source(row))).collect();
    rows.sort_unstable();
    rows.chunk_by(|a, b| a.0 == b.0)
        .map(|group| {
            let all = choose(group.len() as u64);
            let within: u64 = group.chunk_by(|a, b| a.1 == b.1).map(|own| choose(own.len() as u64)).sum();
            match pairs {
                Pairs::Any => all,
                Pairs::WithinSource => within,
                Pairs::AcrossSources => all - within,
            }
        })
        .sum()
}

fn calibration(scored: &ScoredPairs, same: &dyn Fn(u32, u32) -> bool) -> Vec<CalibrationBin> {
    BINS.windows(2)
        .map(|edges| {
            let (from, to) = (edges[0], edges[1]);
            let (mut pairs, mut said, mut is) = (0, 0.0, 0);
            for pair in &scored.pairs {
                let probability = f64::from(pair.probability);
                if (from..to).contains(&probability) {
                    pairs += 1;
                    said += probability;
                    is += u64::from(same(pair.left, pair.right));
                }
            }
            let count = (pairs as f64).max(1.0);
            CalibrationBin { from, to: to.min(1.0), pairs, said: said / count, is: is as f64 / count }
        })
        .collect()
}
