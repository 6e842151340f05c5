//! How like two texts are: thin dress over `rapidfuzz` for ASCII bytes.
//!
//! Jaro and Winkler: "String Comparator Metrics and Enhanced Decision Rules in the Fellegi-Sunter Model of Record
//! Linkage" (1990). Edits are those of optimal string alignment: a swap of neighbours is one.

use rapidfuzz::distance::{jaro_winkler, osa};

use crate::text::words;

/// Letters that fit the bits of a number.
const SHORT: usize = 64;

/// Jaro-Winkler similarity, 0 to 1.
pub(crate) fn like(left: &str, right: &str) -> f64 {
    let (a, b) = (left.as_bytes(), right.as_bytes());
    if a.len().max(b.len()) > SHORT {
        return jaro_winkler::similarity(a.iter().copied(), b.iter().copied());
    }
    let similarity = jaro(a, b);
    if similarity <= 0.7 {
        return similarity;
    }
    let start = a.iter().zip(b).take(4).take_while(|(a, b)| a == b).count();
    similarity + 0.1 * size(start) * (1.0 - similarity)
}

/// Jaro similarity of two short texts: plain loops, and a bit for each letter of the other that is taken, are several
/// times faster on names than the general algorithm.
fn jaro(a: &[u8], b: &[u8]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let window = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut taken, mut common, mut found) = (0_u64, [0_u8; SHORT], 0);
    for (place, letter) in a.iter().enumerate() {
        let from = place.saturating_sub(window);
        let to = (place + window + 1).min(b.len());
        let free = (from..to).find(|other| b[*other] == *letter && taken & (1_u64 << *other) == 0);
        if let Some(other) = free {
            taken |= 1_u64 << other;
            common[found] = *letter;
            found += 1;
        }
    }
    if found == 0 {
        return 0.0;
    }
    let in_order = (0..b.len()).filter(|place| taken & (1_u64 << *place) != 0).map(|place| b[place]);
    let out_of_order = common.iter().take(found).zip(in_order).filter(|(a, b)| **a != *b).count();
    let common = size(found);
    (common / size(a.len()) + common / size(b.len()) + (common - size(out_of_order / 2)) / common) / 3.0
}

fn size(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The number of edits between the two when it is at most `at_most`.
pub(crate) fn edits(left: &str, right: &str, at_most: usize) -> Option<usize> {
    let (a, b) = (left.as_bytes(), right.as_bytes());
    if a.len().abs_diff(b.len()) > at_most {
        return None;
    }
    // One edit brings or takes at most two of the letters that occur.
    let letters = |text: &[u8]| text.iter().fold(0_u64, |set, letter| set | 1 << (letter & 63));
    if (letters(a) ^ letters(b)).count_ones() as usize > 2 * at_most {
        return None;
    }
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    match (a, b) {
        ([], rest) | (rest, []) => Some(rest.len()).filter(|edits| *edits <= at_most),
        ([_], [_]) => Some(1).filter(|edits| *edits <= at_most),
        _ => {
            let args = osa::Args::default().score_cutoff(at_most);
            osa::distance_with_args(a.iter().copied(), b.iter().copied(), &args)
        }
    }
}

/// The share of the words of the text with fewer words that have a like word in the other.
pub(crate) fn shared_words(left: &str, right: &str) -> f64 {
    let (few, many) = if words(left).count() <= words(right).count() { (left, right) } else { (right, left) };
    let (mut taken, mut shared, mut all) = (0_u64, 0, 0);
    for word in words(few).take(SHORT) {
        all += 1;
        let mut others = words(many).take(SHORT).enumerate();
        let found = others.find(|(place, other)| taken & (1_u64 << *place) == 0 && word_is_like(word, other));
        if let Some((place, _)) = found {
            taken |= 1_u64 << place;
            shared += 1;
        }
    }
    if all == 0 { 0.0 } else { size(shared) / size(all) }
}

fn word_is_like(left: &str, right: &str) -> bool {
    left == right || (left.len().min(right.len()) > 3 && like(left, right) >= 0.92)
}

/// How many items, parted by `,`, `;` or `|`, are in both.
pub(crate) fn shared_items(left: &str, right: &str) -> usize {
    items(left).filter(|item| items(right).any(|other| other == *item)).count()
}

/// The items of an array written as text.
pub(crate) fn items(value: &str) -> impl Iterator<Item = &str> {
    value
        .trim_matches(|character| matches!(character, '[' | ']'))
        .split([',', ';', '|'])
        .map(|item| item.trim_matches(|character| matches!(character, ' ' | '"' | '\'')))
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn similarity_is_that_of_the_literature() {
        assert!((like("martha", "marhta") - 0.9611).abs() < 1e-4);
        assert!((like("dixon", "dicksonx") - 0.8133).abs() < 1e-4);
        assert_eq!(edits("ca", "ac", 2), Some(1));
        assert_eq!(edits("kitten", "sitting", 3), Some(3));
        assert_eq!(edits("kitten", "sitting", 2), None);
    }

    proptest! {
        #[test]
        fn short_texts_are_measured_as_the_library_does(left in "[a-d ]{0,20}", right in "[a-d ]{0,20}") {
            let (a, b) = (left.as_bytes(), right.as_bytes());
            if !a.is_empty() && !b.is_empty() {
                let expected = jaro_winkler::similarity(a.iter().copied(), b.iter().copied());
                prop_assert!((like(&left, &right) - expected).abs() < 1e-9);
            }
            let expected = osa::distance(a.iter().copied(), b.iter().copied());
            for at_most in 0..4 {
                prop_assert_eq!(edits(&left, &right, at_most), Some(expected).filter(|edits| *edits <= at_most));
            }
        }
    }

    #[test]
    fn words_are_shared_in_any_order_and_once() {
        assert!((shared_words("lovelace, ada", "ada king lovelace") - 1.0).abs() < f64::EPSILON);
        assert!((shared_words("ada ada", "ada king") - 0.5).abs() < f64::EPSILON);
        assert_eq!(shared_items("[red, blue]", "blue;green|red"), 2);
    }
}
