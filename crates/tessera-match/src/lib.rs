//! Probabilistic record linkage: which records are one person, how likely, and why.
//!
//! A pure engine over columnar data after Fellegi and Sunter ("A Theory for Record Linkage", 1969): blocking chooses
//! pairs, comparisons give each pair levels of agreement, training learns without labels what levels are worth, and
//! scoring adds that up to a probability that means what it says. Not the identity graph: what is found here becomes
//! evidence there, or a question to a person.
//!
//! Invariant: the same table, specification and seed give the same answer, whatever the number of threads.

#![expect(
    clippy::indexing_slicing,
    reason = "numbers of rows, levels and columns are made next to what they index"
)]

mod blocking;
mod blocks;
mod cluster;
mod compare;
mod date;
mod error;
mod evaluate;
mod exact_rules;
mod explain;
mod forms;
mod index;
mod infer;
mod keys;
mod kinds;
mod linker;
mod mixture;
mod model;
mod score;
mod similarity;
mod spec;
mod table;
mod text;
mod train;

pub use blocks::{Estimate, RuleCost, estimate};
pub use cluster::{Clusters, cluster, exact};
pub use error::MatchError;
pub use evaluate::{CalibrationBin, Evaluation, Quality, evaluate};
pub use exact_rules::exact_rules;
pub use explain::{Explanation, Step, explain};
pub use index::Index;
pub use model::Model;
pub use score::{ScoredPair, ScoredPairs, link, score, score_with};
pub use spec::{
    COMPARISONS_MAX, Comparison, Expression, Form, LEVELS_MAX, Limits, ModelSpec, Pairs, RULES_MAX, Rule,
    Test, Thresholds,
};
pub use table::{Column, ROWS_MAX, Table};
pub use train::train;

#[cfg(test)]
mod tests;
