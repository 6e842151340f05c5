//! Random choices that repeat with their seed.
//!
//! Not secret and not for keys. Invariant: equal seeds give equal choices on every machine.

use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The one source of chance of a run.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Less than `bound`; 0 when there is no choice.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 { 0 } else { self.0.random_range(0..bound) }
    }

    /// Less than `len`; 0 when there is no choice.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        if len <= 1 { 0 } else { self.0.random_range(0..len) }
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.index(from.len());
        from.get(at)
    }

    /// One of the values, as often as their weights say.
    pub(crate) fn weighted<T: Copy>(&mut self, table: &[(u64, T)]) -> Option<T> {
        let mut left = self.below(table.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in table {
            if left < *weight {
                return Some(*value);
            }
            left -= weight;
        }
        None
    }

    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        values.shuffle(&mut self.0);
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
