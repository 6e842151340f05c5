//! How well identifiers were put together: pairwise precision and recall.
//!
//! Reference: Menestrina, Whang, Garcia-Molina, "Evaluating Entity Resolution Results" (2010), section 3: of all
//! pairs of identifiers put into one profile, how many belong to one person, and of all pairs that belong to one
//! person, how many were put into one profile.

use std::collections::BTreeMap;

/// Numbers of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    /// In one profile.
    pub(super) found: u64,
    /// Of one person.
    pub(super) real: u64,
    /// Both.
    pub(super) right: u64,
}

impl Pairs {
    /// Counts pairs of items, each given as its true person and its profile.
    pub(super) fn count<P: Ord + Clone, C: Ord + Clone>(items: impl IntoIterator<Item = (P, C)>) -> Self {
        let (mut people, mut profiles, mut both) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (person, profile) in items {
            *people.entry(person.clone()).or_insert(0_u64) += 1;
            *profiles.entry(profile.clone()).or_insert(0_u64) += 1;
            *both.entry((person, profile)).or_insert(0_u64) += 1;
        }
        Self { found: pairs(profiles.values()), real: pairs(people.values()), right: pairs(both.values()) }
    }

    /// Share of the pairs put together that are right; 1 when none was.
    pub(super) fn precision(&self) -> f64 {
        share(self.right, self.found)
    }

    /// Share of the real pairs that were put together; 1 when there are none.
    pub(super) fn recall(&self) -> f64 {
        share(self.right, self.real)
    }

    /// The harmonic mean of the two.
    pub(super) fn f1(&self) -> f64 {
        share(2 * self.right, self.found + self.real)
    }
}

fn pairs<'a>(sizes: impl Iterator<Item = &'a u64>) -> u64 {
    sizes.map(|size| size * size.saturating_sub(1) / 2).sum()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each word is one profile, each letter one item of the person of that letter.
    fn check(profiles: &str, expected: Pairs) {
        let items = profiles.split(' ').enumerate();
        let items = items.flat_map(|(profile, word)| word.chars().map(move |person| (person, profile)));
        assert_eq!(Pairs::count(items), expected, "{profiles}");
    }

    #[test]
    fn pairs_are_counted_in_profiles_in_people_and_in_both() {
        check("aaa bb c", Pairs { found: 4, real: 4, right: 4 });
        check("a a a b b c", Pairs { found: 0, real: 4, right: 0 });
        check("aaabbc", Pairs { found: 15, real: 4, right: 4 });
        check("aab ab c", Pairs { found: 4, real: 4, right: 1 });
    }

    #[test]
    fn precision_falls_with_wrong_pairs_and_recall_with_missing_ones() {
        let pairs = Pairs { found: 4, real: 8, right: 3 };
        assert_eq!((pairs.precision(), pairs.recall(), pairs.f1()), (0.75, 0.375, 0.5));
        let nothing = Pairs::default();
        assert_eq!((nothing.precision(), nothing.recall(), nothing.f1()), (1.0, 1.0, 1.0));
    }
}
