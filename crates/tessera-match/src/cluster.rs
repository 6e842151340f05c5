//! Clusters: which records are one person, from pairs.
//!
//! Not connected components alone: one weak pair must not join two groups of records that have nothing else in
//! common. Invariant: the order of pairs does not matter, and no cluster breaks a limit.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blocks::sorted_keys;
use crate::error::MatchError;
use crate::forms::Makers;
use crate::model::Model;
use crate::score::{ScoredPair, ScoredPairs};
use crate::spec::Rule;
use crate::table::Table;

/// For each row the smallest row of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clusters {
    /// By row.
    pub ids: Vec<u32>,
    /// Pairs over the threshold that were not followed, for a limit or because the rest of the two clusters speaks
    /// against it.
    pub refused_pairs: u64,
}

/// Sets of rows that grow together.
struct Sets {
    parent: Vec<u32>,
    size: Vec<u32>,
}

impl Sets {
    fn new(rows: usize) -> Self {
        Self { parent: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(), size: vec![1; rows] }
    }

    fn find(&mut self, mut row: u32) -> u32 {
        while self.parent[row as usize] != row {
            let above = self.parent[self.parent[row as usize] as usize];
            self.parent[row as usize] = above;
            row = above;
        }
        row
    }

    /// The smaller number stays the set's.
    fn join(&mut self, left: u32, right: u32) -> (u32, u32) {
        let (root, other) = (left.min(right), left.max(right));
        self.parent[other as usize] = root;
        self.size[root as usize] += self.size[other as usize];
        (root, other)
    }

    fn ids(mut self) -> Vec<u32> {
        (0..u32::try_from(self.parent.len()).unwrap_or(u32::MAX)).map(|row| self.find(row)).collect()
    }
}

/// Joins rows by `scored`'s pairs from the model's threshold `link` on, strongest first.
#[must_use]
pub fn cluster(table: &Table, model: &Model, scored: &ScoredPairs) -> Clusters {
    let spec = model.spec();
    let link = spec.thresholds.link;
    let mut strong: Vec<&ScoredPair> =
        scored.pairs.iter().filter(|pair| f64::from(pair.probability) >= link).collect();
    strong.par_sort_unstable_by(|a, b| {
        b.weight.total_cmp(&a.weight).then_with(|| (a.left, a.right).cmp(&(b.left, b.right)))
    });
    let mut sets = Sets::new(table.rows());
    let mut refused_pairs = 0;
    for pair in strong {
        let (left, right) = (sets.find(pair.left), sets.find(pair.right));
        if left == right {
            continue;
        }
        if sets.size[left as usize] + sets.size[right as usize] > spec.limits.cluster_rows_max {
            refused_pairs += 1;
            continue;
        }
        sets.join(left, right);
    }
    Clusters { ids: sets.ids(), refused_pairs }
}

/// Joins rows that agree in all of at least one of `rules`; nothing is trained or scored.
///
/// # Errors
///
/// When a rule names a column that is not there.
pub fn exact(table: &Table, rules: &[Rule]) -> Result<Clusters, MatchError> {
    let makers = Makers::new();
    let mut sets = Sets::new(table.rows());
    let keys: Vec<_> =
        rules.par_iter().map(|rule| sorted_keys(table, rule, &makers, None)).collect::<Result<_, _>>()?;
    for (keys, _) in keys {
        for group in keys.chunk_by(|a, b| a.0 == b.0) {
            for pair in group.windows(2) {
                let (left, right) = (sets.find(pair[0].1), sets.find(pair[1].1));
                if left != right {
                    sets.join(left, right);
                }
            }
        }
    }
    Ok(Clusters { ids: sets.ids(), refused_pairs: 0 })
}
