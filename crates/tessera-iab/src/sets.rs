//! Sets of purposes and vendors, as small as the string they came from.

/// The highest number that a [`NumberSet`] holds: the strings have 24 purposes and 12 special features.
const NUMBER_MAX: u8 = 24;

/// A set of the numbers 1 to 24: purposes, or special features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NumberSet(u32);

impl NumberSet {
    /// Adds `number`; one outside 1 to 24 changes nothing.
    pub(crate) fn insert(&mut self, number: u8) {
        if (1..=NUMBER_MAX).contains(&number) {
            self.0 |= 1 << number;
        }
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(self, number: u8) -> bool {
        (1..=NUMBER_MAX).contains(&number) && self.0 & (1 << number) != 0
    }

    /// Whether the set has no number.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many numbers the set has.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=NUMBER_MAX).filter(move |number| self.contains(*number))
    }
}

/// A set of vendor ids, 1 to 65,535. Invariant: its ranges are ascending and do not touch, so a hostile range takes
/// four bytes, not 128 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VendorSet(Box<[(u16, u16)]>);

impl VendorSet {
    /// From inclusive ranges, in any order, that may overlap.
    pub(crate) fn from_ranges(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    /// Whether the vendor is in the set.
    #[must_use]
    pub fn contains(&self, vendor_id: u16) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= vendor_id);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| vendor_id <= *last)
    }

    /// Whether the set has no vendor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many vendors the set has.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| u32::from(*last) - u32::from(*first) + 1).sum()
    }

    /// The vendor ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}
