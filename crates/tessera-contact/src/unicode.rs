//! What texts of people need from Unicode: one composed form, letters without their marks, and what cannot be seen.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

use std::borrow::Cow;

/// Canonically composed (NFC).
pub(crate) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// Composed, with forms that differ in looks alone made one (NFKC): `Ａｄａ` is `Ada`.
pub(crate) fn nfkc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfkc().normalize(text)
}

/// Whether a character cannot be seen or is space: what an address must not hold.
pub(crate) fn is_invisible(c: char) -> bool {
    let is_ignorable = || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    c.is_whitespace() || c.is_control() || (!c.is_ascii() && is_ignorable())
}

/// The comparable form of a text: lower case, letters without marks, words of letters and digits, one space between.
///
/// `O'Brien-Ñuñez` is `obrien nunez`, `STRAẞE` and `Straße` are `strasse`. Marks are dropped from Latin, Greek and
/// Cyrillic letters alone: elsewhere they are half of the word.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        text.chars().for_each(|c| push_folded(&mut folded, c));
    } else {
        let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
        let categories = CodePointMapData::<GeneralCategory>::new();
        for c in decomposed.chars() {
            if !c.is_ascii() && GeneralCategoryGroup::Mark.contains(categories.get(c)) {
                let before = folded.chars().next_back().unwrap_or(' ');
                folded.extend((!has_optional_marks(before)).then_some(c));
            } else {
                c.to_lowercase().for_each(|c| push_folded(&mut folded, c));
            }
        }
        folded = nfc(&folded).into_owned();
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// Latin, Greek and Cyrillic letters, and what is no letter.
const fn has_optional_marks(base: char) -> bool {
    matches!(base, '\0'..='\u{52f}' | '\u{1e00}'..='\u{1fff}')
}

fn push_folded(folded: &mut String, c: char) {
    match c {
        'A'..='Z' => folded.push(c.to_ascii_lowercase()),
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'ø' => folded.push('o'),
        'đ' | 'ð' => folded.push('d'),
        'ł' => folded.push('l'),
        'ı' => folded.push('i'),
        'ħ' => folded.push('h'),
        'þ' => folded.push_str("th"),
        'ς' => folded.push('σ'),
        'ё' => folded.push('е'),
        '\'' | '’' | 'ʼ' | '`' | '´' | '.' => {}
        _ if c.is_alphanumeric() => folded.push(c),
        _ if folded.is_empty() || folded.ends_with(' ') => {}
        _ => folded.push(' '),
    }
}
