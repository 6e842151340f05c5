//! Clusters: which records are one person, from pairs.
//!
//! Not connected components alone: one weak pair must not join two groups of records that have nothing else in
//! common. Invariant: the order of pairs does not matter, and no cluster breaks a limit.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blocks::sorted_keys;
use crate::error::MatchError;
use crate::forms::Makers;
use crate::model::Model;
use crate::score::{ScoredPair, ScoredPairs};
use crate::spec::{Limits, Rule};
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

/// The mean probability that all pairs between two clusters must have before they are joined; a pair that was not
/// compared, or not kept, counts as none.
pub(crate) const SUPPORT_MIN: f64 = 0.25;

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
    let mut growing = Growing::new(table, &spec.limits, scored);
    let mut refused_pairs = 0;
    for pair in strong {
        let (left, right) = (growing.sets.find(pair.left), growing.sets.find(pair.right));
        if left == right {
            continue;
        }
        if growing.may_join(left, right) {
            growing.join(left, right);
        } else {
            refused_pairs += 1;
        }
    }
    Clusters { ids: growing.sets.ids(), refused_pairs }
}

/// Clusters as they grow, with all that speaks for joining two.
struct Growing<'a> {
    table: &'a Table,
    limits: &'a Limits,
    sets: Sets,
    /// Rows of each cluster of more than one, under its smallest row.
    members: BTreeMap<u32, Vec<u32>>,
    /// Where each row's neighbours begin in `neighbours`.
    starts: Vec<u32>,
    neighbours: Vec<(u32, f32)>,
}

impl<'a> Growing<'a> {
    fn new(table: &'a Table, limits: &'a Limits, scored: &ScoredPairs) -> Self {
        let mut starts = vec![0_u32; table.rows() + 1];
        for pair in &scored.pairs {
            starts[pair.left as usize + 1] += 1;
            starts[pair.right as usize + 1] += 1;
        }
        for row in 1..starts.len() {
            starts[row] += starts[row - 1];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![(0, 0.0); scored.pairs.len() * 2];
        for pair in &scored.pairs {
            for (own, other) in [(pair.left, pair.right), (pair.right, pair.left)] {
                neighbours[next[own as usize] as usize] = (other, pair.probability);
                next[own as usize] += 1;
            }
        }
        Self { table, limits, sets: Sets::new(table.rows()), members: BTreeMap::new(), starts, neighbours }
    }

    fn members(&self, root: u32) -> Vec<u32> {
        self.members.get(&root).cloned().unwrap_or_else(|| vec![root])
    }

    fn may_join(&mut self, left: u32, right: u32) -> bool {
        let sizes = [left, right].map(|root| self.sets.size[root as usize]);
        if sizes == [1, 1] && !self.limits.one_per_source {
            return self.limits.cluster_rows_max > 1;
        }
        if sizes.iter().sum::<u32>() > self.limits.cluster_rows_max {
            return false;
        }
        let (few, many) = if sizes[0] <= sizes[1] { (left, right) } else { (right, left) };
        let (few, other) = (self.members(few), many);
        if self.limits.one_per_source {
            let many = self.members(other);
            let source = |row: &u32| self.table.source(*row as usize);
            if few.iter().any(|row| many.iter().any(|other| source(row) == source(other))) {
                return false;
            }
        }
        let mut sum = 0.0;
        for row in few {
            for place in self.starts[row as usize]..self.starts[row as usize + 1] {
                let (neighbour, probability) = self.neighbours[place as usize];
                if self.sets.find(neighbour) == other {
                    sum += f64::from(probability);
                }
            }
        }
        sum >= SUPPORT_MIN * f64::from(sizes[0]) * f64::from(sizes[1])
    }

    fn join(&mut self, left: u32, right: u32) {
        let (mut members, other) = (self.members(left), self.members(right));
        members.extend(other);
        self.members.remove(&left);
        self.members.remove(&right);
        let (root, _) = self.sets.join(left, right);
        self.members.insert(root, members);
    }
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
