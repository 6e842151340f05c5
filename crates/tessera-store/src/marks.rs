//! [`Marks`]: whether the rows that something was made of are still those.
//!
//! Invariant: a mark that was taken before rows were loaded is another one from the moment on at which a change of any of them is
//! visible. Marks of rows that did not change may be others too.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Key, Table};

/// So many counters: rows share them once there are more.
const PLACES: usize = 1 << 20;

/// Counts how often the rows of [`Table::Cluster`] change, so that what is made of them can be kept for as long as they do not.
///
/// Take a mark, load the rows, make and keep; before using what was kept, compare with the mark of that moment. A store tells of
/// each commit twice, before its rows are visible and after: what was loaded in between is not kept for good.
#[derive(Debug, Default)]
pub struct Marks {
    /// Made when somebody first wants to know.
    counters: OnceLock<Box<[AtomicU32]>>,
}

/// How often rows have changed. Of several rows together: [`Mark::and`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u32);

impl Mark {
    /// The mark of those rows and these.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Each only grows: the sum is the same if both are.
        Self(self.0.wrapping_add(other.0))
    }
}

/// Which counter is a row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// The place of the row with this id.
    #[must_use]
    pub fn of(id: &[u8]) -> Self {
        // Ids of clusters are evenly spread.
        let first = id.iter().take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        Self(first >> (u32::BITS - PLACES.trailing_zeros()))
    }
}

impl Marks {
    /// The mark of the row at a place.
    #[must_use]
    pub fn mark(&self, place: Place) -> Mark {
        let counters = self.counters.get_or_init(|| (0..PLACES).map(|_| AtomicU32::new(0)).collect());
        Mark(counter(counters, place).map_or(0, |counter| counter.load(Ordering::SeqCst)))
    }

    /// Tells that rows are about to change, or have changed. Only stores call it: before the first change of a commit is visible, and
    /// again when all are.
    pub fn tell(&self, keys: &[Key]) {
        // Nobody has taken a mark: whoever takes the first one loads later than now.
        let Some(counters) = self.counters.get() else { return };
        for key in keys.iter().filter(|key| key.table() == Table::Cluster) {
            if let Some(counter) = counter(counters, Place::of(key.id())) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    /// The same of all rows.
    pub fn tell_of_all(&self) {
        for counter in self.counters.get().into_iter().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn counter(counters: &[AtomicU32], place: Place) -> Option<&AtomicU32> {
    counters.get(usize::try_from(place.0).ok()?)
}
