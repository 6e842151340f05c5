//! How many matches a stratum should have, from what is known without looking at its pairs.

use super::{Agreed, Mixture, Start, full};

/// How many matches to expect in a stratum, before its own pairs are looked at.
///
/// Without it a class could take what is not its own: pairs that blocking brought together for being alike look like
/// matches to each other.
pub(super) struct Expectation {
    present: Vec<f64>,
    matches: f64,
    blocked_by: Vec<Agreed>,
    /// Of the pairs that share what a household shares, those that are matches.
    pub(super) shared_share: f64,
}

impl Expectation {
    pub(super) fn new(start: &Start, matches: f64, shared_share: f64) -> Self {
        Self { present: start.present.clone(), matches, blocked_by: start.blocked_by.clone(), shared_share }
    }

    /// How many of a stratum's pairs are matches, when so many seem to be.
    pub(super) fn matching(&self, mixture: &Mixture, agreed: Agreed, matches: f64) -> f64 {
        let share = |place: usize| {
            let m = self.present[place] * full(&mixture.shapes[place], &mixture.chances[place].m);
            if agreed & (1 << place) != 0 { m } else { 1.0 - m }
        };
        let expected = self.matches * (0..mixture.shapes.len()).map(share).product::<f64>();
        // Blocking finds an unknown part of a stratum unless a rule asks for no more than it agrees in.
        if self.blocked_by.is_empty() || self.blocked_by.iter().any(|rule| rule & !agreed == 0) {
            (1.0 + matches) / (1.0 / expected.max(1e-9) + 1.0)
        } else {
            matches.min(1.0 + expected)
        }
    }
}
