//! Chance from a seed: the same on every machine and in every version.
//!
//! Not `rand`'s distributions: they may change with its versions and with the width of `usize`. Invariant: whole
//! numbers only, from a ChaCha stream whose place in the year (topic, person, week) is its key.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream of chance is for. Each draws from its own, so that one more draw here changes nothing there.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Topic {
    Household,
    Person,
    Browsing,
    Till,
    Crm,
    CallCentre,
    Newsletter,
    Mishaps,
}

/// One stream of chance.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of `topic` for the `who`-th of something in week `week`.
    pub(super) fn new(seed: u64, topic: Topic, who: u32, week: u32) -> Self {
        let mut key = [0_u8; 32];
        let parts = seed.to_le_bytes().into_iter().chain([topic as u8]);
        let parts = parts.chain(who.to_le_bytes()).chain(week.to_le_bytes());
        key.iter_mut().zip(parts).for_each(|(byte, part)| *byte = part);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to `bound` - 1.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let scaled = (u64::from(self.0.next_u32()) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `share` times in a thousand.
    pub(super) fn permille(&mut self, share: u32) -> bool {
        self.below(1000) < share
    }

    /// One of `items`.
    pub(super) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let at = self.below(u32::try_from(items.len()).unwrap_or(u32::MAX));
        usize::try_from(at).ok().and_then(|at| items.get(at)).copied().unwrap_or_default()
    }

    /// A random UUID (version 4), as browsers make them.
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.0.next_u64(), self.0.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}
