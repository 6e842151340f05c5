//! How like two texts are: thin dress over `rapidfuzz` for ASCII bytes.
//!
//! Jaro and Winkler: "String Comparator Metrics and Enhanced Decision Rules in the Fellegi-Sunter Model of Record
//! Linkage" (1990). Edits are those of optimal string alignment: a swap of neighbours is one.

use rapidfuzz::distance::{jaro_winkler, osa};

use crate::text::words;

/// Jaro-Winkler similarity, 0 to 1; below `at_least` it may be 0.
pub(crate) fn like(left: &str, right: &str, at_least: f64) -> f64 {
    let args = jaro_winkler::Args::default().score_cutoff(at_least);
    jaro_winkler::similarity_with_args(left.bytes(), right.bytes(), &args).unwrap_or(0.0)
}

/// The number of edits between the two when it is at most `at_most`.
pub(crate) fn edits(left: &str, right: &str, at_most: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > at_most {
        return None;
    }
    let args = osa::Args::default().score_cutoff(at_most);
    osa::distance_with_args(left.bytes(), right.bytes(), &args)
}

/// The share of the words of the text with fewer words that have a like word in the other.
pub(crate) fn shared_words(left: &str, right: &str) -> f64 {
    let (left, right): (Vec<&str>, Vec<&str>) = (words(left).collect(), words(right).collect());
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    if short.is_empty() {
        return 0.0;
    }
    let mut free: Vec<bool> = vec![true; long.len()];
    let mut shared = 0_u32;
    for word in &short {
        let found =
            long.iter().zip(free.iter_mut()).find(|(other, free)| **free && word_is_like(word, other));
        if let Some((_, free)) = found {
            *free = false;
            shared += 1;
        }
    }
    f64::from(shared) / f64::from(u32::try_from(short.len()).unwrap_or(u32::MAX))
}

fn word_is_like(left: &str, right: &str) -> bool {
    left == right || (left.len().min(right.len()) > 3 && like(left, right, 0.92) >= 0.92)
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
    use super::*;

    #[test]
    fn similarity_is_that_of_the_literature() {
        assert!((like("martha", "marhta", 0.0) - 0.9611).abs() < 1e-4);
        assert!((like("dixon", "dicksonx", 0.0) - 0.8133).abs() < 1e-4);
        assert_eq!(edits("ca", "ac", 2), Some(1));
        assert_eq!(edits("kitten", "sitting", 3), Some(3));
        assert_eq!(edits("kitten", "sitting", 2), None);
    }

    #[test]
    fn words_are_shared_in_any_order_and_once() {
        assert!((shared_words("lovelace, ada", "ada king lovelace") - 1.0).abs() < f64::EPSILON);
        assert!((shared_words("ada ada", "ada king") - 0.5).abs() < f64::EPSILON);
        assert_eq!(shared_items("[red, blue]", "blue;green|red"), 2);
    }
}
