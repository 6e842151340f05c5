//! Text as the comparisons see it: ASCII, lower case, single spaces.
//!
//! Not what people see; the caller keeps the values as they came. Invariant: what is normalised stays as it is when
//! it is normalised again.

use any_ascii::any_ascii;

/// Words that stand for "nothing" in exports.
const ABSENT: [&str; 7] = ["null", "nan", "none", "n/a", "nil", "-", "unknown"];

/// `value` normalised into `out`, which is emptied first; it stays empty when there is no value.
pub(crate) fn normalise(value: &str, out: &mut String) {
    out.clear();
    let folded;
    let ascii = if value.is_ascii() {
        value
    } else {
        folded = any_ascii(value);
        folded.as_str()
    };
    for word in ascii.split_ascii_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().map(|character| character.to_ascii_lowercase()));
    }
    if ABSENT.contains(&out.as_str()) {
        out.clear();
    }
}

/// The words of a normalised text, punctuation aside.
pub(crate) fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let mut out = "before".to_owned();
        normalise(value, &mut out);
        assert_eq!(out, expected, "{value:?}");
        let mut again = String::new();
        normalise(&out, &mut again);
        assert_eq!(again, out);
    }

    #[test]
    fn text_is_folded_to_lower_case_ascii_with_single_spaces() {
        check("  Ada   Lovelace\t", "ada lovelace");
        check("Müller", "muller");
        check("Søren Œuvre", "soren oeuvre");
        check("Иванова", "ivanova");
        check("ADA@Example.org", "ada@example.org");
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        check("N/A", "");
        check(" null ", "");
        check("", "");
        check("   ", "");
    }
}
