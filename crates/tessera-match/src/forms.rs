//! What is worked out once for each distinct value, so that a pair costs no parsing: dates, sounds, numbers, places,
//! short forms of names.

use std::collections::BTreeMap;

use rphonetic::{DaitchMokotoffSoundex, DaitchMokotoffSoundexBuilder, DoubleMetaphone};

use crate::date::Date;
use crate::linker::in_order;
use crate::table::{Column, hash};
use crate::text::words;

/// A name, and its usual short forms: <https://github.com/carltonnorthern/nicknames>, Apache-2.0.
const NICKNAMES: &str = include_str!("nicknames.txt");

/// Which forms a column needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) dates: bool,
    pub(crate) numbers: bool,
    pub(crate) places: bool,
    pub(crate) sounds: bool,
    pub(crate) nicknames: bool,
}

/// The forms of a column's values, by code; those that are not needed are empty.
#[derive(Default)]
pub(crate) struct Forms {
    pub(crate) dates: Vec<Option<Date>>,
    pub(crate) numbers: Vec<Option<f64>>,
    pub(crate) places: Vec<Option<(f64, f64)>>,
    pub(crate) sounds: Vec<[u32; SOUNDS]>,
    pub(crate) nicknames: Vec<Box<[u16]>>,
}

/// Codes of sound kept of a value; 0 is none.
pub(crate) const SOUNDS: usize = 4;

impl Forms {
    /// Adds those of the column's newest value.
    pub(crate) fn push(&mut self, text: &str, needs: Needs, makers: &Makers) {
        if needs.dates {
            self.dates.push(Date::parse(text));
        }
        if needs.numbers {
            self.numbers.push(number(text));
        }
        if needs.places {
            self.places.push(place(text));
        }
        if needs.sounds {
            self.sounds.push(makers.sounds(text));
        }
        if needs.nicknames {
            self.nicknames.push(makers.nicknames(text));
        }
    }

    /// The forms of all values of `column`.
    pub(crate) fn of(column: &Column, needs: Needs, makers: &Makers) -> Self {
        let codes = 0..u32::try_from(column.counts().len()).unwrap_or(u32::MAX);
        let each = |wanted: bool| if wanted { codes.clone() } else { 0..0 };
        Self {
            dates: each(needs.dates).map(|code| Date::parse(column.text(code))).collect(),
            numbers: each(needs.numbers).map(|code| number(column.text(code))).collect(),
            places: each(needs.places).map(|code| place(column.text(code))).collect(),
            sounds: in_order(each(needs.sounds), |code| makers.sounds(column.text(code))),
            nicknames: each(needs.nicknames).map(|code| makers.nicknames(column.text(code))).collect(),
        }
    }
}

/// What makes the forms.
pub(crate) struct Makers {
    metaphone: DoubleMetaphone,
    mokotoff: Option<DaitchMokotoffSoundex>,
    nicknames: BTreeMap<&'static str, Vec<u16>>,
}

impl Makers {
    pub(crate) fn new() -> Self {
        let mut nicknames: BTreeMap<&'static str, Vec<u16>> = BTreeMap::new();
        for (line, number) in NICKNAMES.lines().zip(0_u16..) {
            for name in line.split(' ') {
                nicknames.entry(name).or_default().push(number);
            }
        }
        Self {
            metaphone: DoubleMetaphone::new(Some(8)),
            mokotoff: DaitchMokotoffSoundexBuilder::default().build().ok(),
            nicknames,
        }
    }

    /// The sets of names that a name belongs to.
    pub(crate) fn nicknames(&self, name: &str) -> Box<[u16]> {
        self.nicknames.get(name).map_or_else(Box::default, |sets| sets.as_slice().into())
    }

    /// Codes of how a text sounds, Double Metaphone's two first.
    pub(crate) fn sounds(&self, text: &str) -> [u32; SOUNDS] {
        let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        let mut sounds = [0; SOUNDS];
        if letters.len() < 2 {
            return sounds;
        }
        let metaphone = self.metaphone.double_metaphone(&letters);
        let mokotoff =
            self.mokotoff.as_ref().map(|soundex| soundex.inner_soundex(&letters, true)).unwrap_or_default();
        let codes = [("m", metaphone.primary()), ("m", metaphone.alternate())];
        let mut places = sounds.iter_mut();
        for (kind, code) in codes.into_iter().chain(mokotoff.into_iter().map(|code| ("d", code))) {
            if code.is_empty() {
                continue;
            }
            let Some(place) = places.next() else { break };
            let [a, b, c, d, ..] = hash(&format!("{kind}{code}")).to_le_bytes();
            *place = u32::from_le_bytes([a, b, c, d]) | 1;
        }
        sounds
    }
}

/// A number, its thousands and currency marks aside.
pub(crate) fn number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `latitude,longitude` in degrees.
pub(crate) fn place(text: &str) -> Option<(f64, f64)> {
    let (latitude, longitude) = text.split_once([',', ';', ' '])?;
    let degrees = |text: &str| text.trim().parse::<f64>().ok();
    let place = (degrees(latitude)?, degrees(longitude)?);
    (place.0.abs() <= 90.0 && place.1.abs() <= 180.0).then_some(place)
}

/// Kilometres between two places over the great circle (haversine; earth's mean radius).
pub(crate) fn kilometres(left: (f64, f64), right: (f64, f64)) -> f64 {
    let (a, b) = (left.0.to_radians(), right.0.to_radians());
    let half = |difference: f64| (difference / 2.0).sin().powi(2);
    let chord = half(b - a) + a.cos() * b.cos() * half((right.1 - left.1).to_radians());
    2.0 * 6_371.0 * chord.clamp(0.0, 1.0).sqrt().asin()
}

/// Whether the two have a code in common; empty ones have none.
pub(crate) fn sound_alike(left: &[u32; SOUNDS], right: &[u32; SOUNDS]) -> bool {
    left.iter().any(|code| *code != 0 && right.contains(code))
}

/// Words in alphabetical order, as one text.
pub(crate) fn sorted_words(text: &str) -> String {
    let mut sorted: Vec<&str> = words(text).collect();
    sorted.sort_unstable();
    sorted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_english_sound_alike() {
        let makers = Makers::new();
        let check = |left: &str, right: &str, expected: bool| {
            assert_eq!(sound_alike(&makers.sounds(left), &makers.sounds(right)), expected, "{left} {right}");
        };
        check("smith", "smyth", true);
        check("schmidt", "szmit", true);
        check("moskowitz", "moskovitz", true);
        check("meyer", "maier", true);
        check("peter", "katharina", false);
        check("", "", false);
    }

    #[test]
    fn short_forms_share_a_name() {
        let makers = Makers::new();
        let common = |left: &str, right: &str| {
            let right = makers.nicknames(right);
            makers.nicknames(left).iter().any(|set| right.contains(set))
        };
        assert!(common("bob", "robert"));
        assert!(common("liz", "elizabeth"));
        assert!(!common("bob", "elizabeth"));
        assert!(!common("xyz", "xyz"));
    }

    #[test]
    fn distances_are_those_of_an_atlas() {
        let (berlin, paris) = ((52.52, 13.405), (48.8566, 2.3522));
        assert!((kilometres(berlin, paris) - 878.0).abs() < 2.0);
        assert_eq!(place("52.52, 13.405"), Some(berlin));
        assert_eq!(place("95,0"), None);
    }
}
