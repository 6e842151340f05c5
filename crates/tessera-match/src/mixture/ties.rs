//! Ties among matches: who has moved has another street *and* another postcode, so the second says little more than
//! the first. Each comparison may be tied to one other; its levels short of full agreement are then counted apart by
//! whether the other differs altogether or only a little.

use super::{Part, Shape};

/// A comparison's levels among matches, by how the comparison it is tied to stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tie {
    /// The other comparison.
    pub(crate) to: usize,
    /// The chances when the other agrees or nearly does.
    pub(crate) near: Vec<f64>,
    /// The chances when the other is altogether different.
    pub(crate) apart: Vec<f64>,
}

/// Matches that have values short of full agreement in one comparison, by whether it and another differ altogether:
/// `[neither, this one, the other, both]`.
type Square = [f64; 4];

/// Matches that must stand behind a tie.
const MATCHES_MIN: f64 = 50.0;

/// The other comparison that each one is tied to most strongly, without circles.
pub(super) fn strongest(shapes: &[Shape], parts: &[Part]) -> Vec<Option<usize>> {
    let count = shapes.len();
    let mut squares: Vec<Vec<Square>> = vec![vec![[0.0; 4]; count]; count];
    for part in parts {
        for ((pattern, pairs), probability) in part.patterns.iter().zip(&part.probability) {
            let weight = pairs * probability;
            if weight < 1e-3 {
                continue;
            }
            let differs = |place: usize| usize::from(usize::from(pattern[place]) + 1 == shapes[place].levels);
            for a in (0..count).filter(|a| pattern[*a] != 0 && !part.agrees(*a)) {
                for b in (0..count).filter(|b| *b != a && pattern[*b] != 0) {
                    squares[a][b][differs(a) + 2 * differs(b)] += weight;
                }
            }
        }
    }
    let mut ties: Vec<(f64, usize, usize)> = (0..count)
        .flat_map(|a| (0..count).map(move |b| (a, b)))
        .filter(|(a, b)| a != b)
        .map(|(a, b)| (information(&squares[a][b]), a, b))
        .collect();
    ties.sort_by(|left, right| right.0.total_cmp(&left.0));
    let mut tied: Vec<Option<usize>> = vec![None; count];
    for (information, a, b) in ties {
        let mut above = Some(b);
        let circle = std::iter::from_fn(|| {
            let own = above?;
            above = tied[own];
            Some(own)
        })
        .take(count + 1)
        .any(|place| place == a);
        if information > MATCHES_MIN * 0.1 && tied[a].is_none() && !circle {
            tied[a] = Some(b);
        }
    }
    tied
}

/// Mutual information of the square's two sides, times its pairs.
fn information(square: &Square) -> f64 {
    let sum: f64 = square.iter().sum();
    if sum < MATCHES_MIN {
        return 0.0;
    }
    let term = |joint: usize, rows: [usize; 2], columns: [usize; 2]| {
        let alone = (square[rows[0]] + square[rows[1]]) * (square[columns[0]] + square[columns[1]]);
        if square[joint] > 0.0 { square[joint] * (square[joint] * sum / alone).ln() } else { 0.0 }
    };
    term(0, [0, 1], [0, 2]) + term(1, [0, 1], [1, 3]) + term(2, [2, 3], [0, 2]) + term(3, [2, 3], [1, 3])
}

/// The chances of a tied comparison's levels, near and apart; full agreement keeps its chance.
pub(super) fn learn(shape: &Shape, own: usize, to: (usize, &Shape), m: &[f64], parts: &[Part]) -> Tie {
    let mut counts = [vec![0.0; shape.levels], vec![0.0; shape.levels]];
    for part in parts.iter().filter(|part| !part.agrees(own)) {
        for ((pattern, pairs), probability) in part.patterns.iter().zip(&part.probability) {
            let other = usize::from(pattern[to.0]);
            if other != 0 {
                counts[usize::from(other + 1 == to.1.levels)][usize::from(pattern[own])] +=
                    pairs * probability;
            }
        }
    }
    let others = shape.full.end..shape.levels;
    let whole: f64 = m[others.clone()].iter().sum();
    let chances = |counts: &[f64]| {
        let sum: f64 = counts[others.clone()].iter().sum::<f64>() + 10.0;
        let mut chances = m.to_vec();
        for level in others.clone() {
            chances[level] = (counts[level] + 10.0 * m[level] / whole.max(1e-12)) / sum * whole;
        }
        chances
    };
    Tie { to: to.0, near: chances(&counts[0]), apart: chances(&counts[1]) }
}
