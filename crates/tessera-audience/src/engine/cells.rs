//! Amounts by bucket of time: the part of a feature that grows.
//!
//! Invariants: keys ascend, none stands twice.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a bucket holds: a commutative monoid.
pub(crate) trait Cell: Clone + Default {
    /// Adds what another holds.
    fn absorb(&mut self, other: &Self);
}

/// Buckets, earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells<T>(Vec<(i64, T)>);

impl<T: Cell> Cells<T> {
    /// Adds to the bucket of that key.
    pub(crate) fn add(&mut self, key: i64, cell: T) {
        let place = match self.0.last() {
            Some((last, _)) if *last < key => self.0.len(),
            Some(_) | None => self.0.partition_point(|(known, _)| *known < key),
        };
        match self.0.get_mut(place) {
            Some((known, into)) if *known == key => into.absorb(&cell),
            Some(_) | None => self.0.insert(place, (key, cell)),
        }
    }

    /// Adds all that another holds.
    pub(crate) fn absorb(&mut self, other: &Self) {
        other.0.iter().for_each(|(key, cell)| self.add(*key, cell.clone()));
    }

    /// Buckets before `oldest` go.
    pub(crate) fn forget_before(&mut self, oldest: i64) {
        let gone = self.0.partition_point(|(key, _)| *key < oldest);
        self.0.drain(..gone);
    }

    /// The first `count` buckets go.
    pub(crate) fn forget_first(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }

    /// All buckets, earliest first.
    pub(crate) fn all(&self) -> &[(i64, T)] {
        &self.0
    }

    /// All buckets, to change what they hold.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, cell)| cell)
    }

    /// Keeps the buckets that `is_kept`.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(i64) -> bool) {
        self.0.retain(|(key, _)| is_kept(*key));
    }

    /// The buckets from `from` to `to`, both included, and the first one after these.
    pub(crate) fn within(&self, from: i64, to: i64) -> (&[(i64, T)], Option<i64>) {
        let start = self.0.partition_point(|(key, _)| *key < from);
        let rest = self.0.get(start..).unwrap_or_default();
        let end = if to == i64::MAX { rest.len() } else { rest.partition_point(|(key, _)| *key <= to) };
        (rest.get(..end).unwrap_or_default(), rest.get(end).map(|(key, _)| *key))
    }
}

/// Stored as differences, which take fewer bytes than times.
impl<T: Serialize> Serialize for Cells<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut last = 0_i64;
        serializer.collect_seq(self.0.iter().map(|(key, cell)| {
            let difference = key.wrapping_sub(last);
            last = *key;
            (difference, cell)
        }))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Cells<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cells = Vec::<(i64, T)>::deserialize(deserializer)?;
        let mut last = 0_i64;
        for (place, (key, _)) in cells.iter_mut().enumerate() {
            *key = last.wrapping_add(*key);
            if place > 0 && *key <= last {
                return Err(serde::de::Error::custom("buckets stand out of order"));
            }
            last = *key;
        }
        Ok(Self(cells))
    }
}
