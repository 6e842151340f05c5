//! Known parameters are found again.

use super::*;
use crate::spec::COMPARISONS_MAX;

fn pattern(levels: &[u8]) -> Pattern {
    let mut pattern = [0; COMPARISONS_MAX];
    pattern[..levels.len()].copy_from_slice(levels);
    pattern
}

/// The 4,000 comparison vectors of `splink_em_known_params.csv` from Splink's tests (MIT), counted: level 1 is
/// agreement, 2 is anything else.
const KNOWN: [([u8; 3], f64); 8] = [
    ([2, 2, 2], 1407.0),
    ([2, 2, 1], 408.0),
    ([2, 1, 2], 63.0),
    ([2, 1, 1], 522.0),
    ([1, 2, 2], 163.0),
    ([1, 2, 1], 172.0),
    ([1, 1, 2], 67.0),
    ([1, 1, 1], 1198.0),
];

fn classical() -> Start {
    Start {
        shapes: vec![Shape { levels: 3, full: 1..2 }; 3],
        chances: vec![Chances { m: vec![0.0, 0.8, 0.2], u: vec![0.0, 0.3, 0.7] }; 3],
        prior: 0.3,
        possible_pairs: 4_000.0,
        sampled: 1.0,
        blocked_by: Vec::new(),
        present: vec![1.0; 3],
        personal: 0,
        strata: false,
        belief: 0.0,
    }
}

#[test]
fn the_classical_algorithm_finds_known_parameters() {
    let patterns: Vec<Counted> = KNOWN.iter().map(|(levels, count)| (pattern(levels), *count)).collect();
    let found = learn(classical(), &patterns);
    let near = |found: f64, known: f64| assert!((found - known).abs() < 1e-6, "{found} is not {known}");
    near(found.prior, 0.5);
    let u = &found.strata[&0].u;
    for (place, (m, chance)) in [(0.7, 0.1), (0.9, 0.025), (0.95, 0.2)].into_iter().enumerate() {
        near(found.chances[place].m[1], m);
        near(u[place][1], chance);
    }
    near(found.log_likelihood, -6_507.157_544_158_13);
}
