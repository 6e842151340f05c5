//! Which given names are short for which: `Bill` and `Will` for `William`.
//!
//! English names; the table says where it is from. A fact about names and not about people: who is called Bill need
//! not be a William.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Short form to formal names, and a formal name to itself.
static FORMAL: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut formal_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let lines = include_str!("../../data/nicknames.tsv").lines().filter(|line| !line.starts_with('#'));
    for (formal, shorts) in lines.filter_map(|line| line.split_once('\t')) {
        for name in shorts.split(' ').chain([formal]) {
            formal_of.entry(name).or_default().push(formal);
        }
    }
    formal_of
});

/// The formal names that a given name can stand for, itself among them if it is one; sorted. `name` is folded (see
/// [`crate::fold`]).
#[must_use]
pub fn formal_names(name: &str) -> &'static [&'static str] {
    FORMAL.get(name).map_or(&[], Vec::as_slice)
}

/// Whether two given names, folded, can be one person's: equal, or short for the same formal name.
#[must_use]
pub fn are_nicknames(one: &str, other: &str) -> bool {
    one == other || formal_names(one).iter().any(|formal| formal_names(other).contains(formal))
}
