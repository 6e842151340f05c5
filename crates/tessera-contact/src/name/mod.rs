//! Names of people: titles and suffixes told from given and family names, in the order in which they were written.
//!
//! Not a dictionary of names, and no guess of sex or origin. A name is what a person says it is, so nothing is refused
//! that has letters and is no placeholder; what cannot be told apart stays in [`PersonName::given`]. Order is told by a comma, by a
//! Russian patronymic, and by the script: Han, Hangul and Kana put the family first.
//!
//! References: W3C, "Personal names around the world"; Unicode UAX 24 (scripts).

mod nicknames;
mod script;
mod words;

use std::fmt;

pub use nicknames::{are_nicknames, formal_names};
pub use script::Script;

use crate::unicode::nfkc;
use crate::{Verdict, fold};
use words::{is_particle, is_patronymic, is_placeholder, is_suffix, is_title};

const NAME_BYTES_MAX: usize = 512;

/// In which order the parts were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameOrder {
    /// `Ada Lovelace`.
    GivenFirst,
    /// `Lovelace, Ada`; `山田 太郎`.
    FamilyFirst,
    /// One word.
    Single,
}

impl NameOrder {
    /// Its word: `given_first`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GivenFirst => "given_first",
            Self::FamilyFirst => "family_first",
            Self::Single => "single",
        }
    }
}

/// A name in its parts. Invariant: composed (NFKC), one space between words, at least one letter.
///
/// Personal data: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName {
    titles: Vec<String>,
    given: Vec<String>,
    family: Vec<String>,
    suffixes: Vec<String>,
    script: Script,
    order: NameOrder,
}

/// Why a text is not a name. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NameFault {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Too long.
    #[error("it has more than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// No letter.
    #[error("it has no letter, or nothing but titles")]
    NoLetters,
    /// An address.
    #[error("it is an e-mail address or a web address")]
    Address,
    /// A word that stands for none.
    #[error("it is a word that stands for no name")]
    Placeholder,
}

impl NameFault {
    /// One stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::NoLetters => "no_letters",
            Self::Address => "address_not_name",
            Self::Placeholder => "placeholder",
        }
    }

    /// What it means for the value: impossible.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid(self.code())
    }
}

impl PersonName {
    /// Reads a name as people write it.
    ///
    /// # Errors
    /// [`NameFault`].
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NameFault::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameFault::TooLong);
        }
        if text.contains('@') || text.contains("://") {
            return Err(NameFault::Address);
        }
        let text = nfkc(text);
        if !text.chars().any(char::is_alphabetic) {
            return Err(NameFault::NoLetters);
        }
        if is_placeholder(&fold(&text)) {
            return Err(NameFault::Placeholder);
        }
        let script = Script::of(&text);
        let name = if script.puts_family_first() {
            script::east_asian(&text, script)
        } else {
            western(&text, script)
        };
        name.filter(|name| !(name.given.is_empty() && name.family.is_empty())).ok_or(NameFault::NoLetters)
    }

    /// Given names, in their order, or the one word of a name of one word.
    #[must_use]
    pub fn given(&self) -> String {
        self.given.join(" ")
    }

    /// The first of the given names; empty if there is none.
    #[must_use]
    pub fn first_given(&self) -> &str {
        self.given.first().map_or("", String::as_str)
    }

    /// The family name with its particles: `van der Berg`; empty if there is none.
    #[must_use]
    pub fn family(&self) -> String {
        self.family.join(" ")
    }

    /// `Dr`, `Mrs`, without their dots.
    #[must_use]
    pub fn titles(&self) -> &[String] {
        &self.titles
    }

    /// `Jr`, `III`, `PhD`, without their dots.
    #[must_use]
    pub fn suffixes(&self) -> &[String] {
        &self.suffixes
    }

    /// In which script it is written.
    #[must_use]
    pub const fn script(&self) -> Script {
        self.script
    }

    /// In which order it was written.
    #[must_use]
    pub const fn order(&self) -> NameOrder {
        self.order
    }

    /// The one form for showing: titles, given names, family name, suffixes, in capitals and small letters where all
    /// were in one case. East Asian names put the family first.
    #[must_use]
    pub fn normalised(&self) -> String {
        let is_one_case = {
            let letters = || self.words().flat_map(|word| word.chars()).filter(|c| c.is_alphabetic());
            !letters().any(char::is_lowercase) || !letters().any(char::is_uppercase)
        };
        let show = |word: &String| if is_one_case { words::capitalise(word) } else { word.clone() };
        let (first, second) = if self.script.puts_family_first() {
            (&self.family, &self.given)
        } else {
            (&self.given, &self.family)
        };
        let body = first.iter().chain(second).map(show);
        let titles = self.titles.iter().map(|title| words::capitalise(title));
        titles.chain(body).chain(self.suffixes.iter().cloned()).collect::<Vec<_>>().join(" ")
    }

    /// The comparable form: given names then family name, folded (see [`fold`]), without titles and suffixes.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.words().map(String::as_str).collect::<Vec<_>>().join(" "))
    }

    /// What can be said of it: `unknown`.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let has_digit = self.words().any(|word| word.chars().any(char::is_numeric));
        Verdict::unknown(match (has_digit, self.order) {
            (true, _) => "has_digits",
            (false, NameOrder::Single) => "one_word",
            (false, NameOrder::GivenFirst | NameOrder::FamilyFirst) => "has_letters",
        })
    }

    fn words(&self) -> impl Iterator<Item = &String> {
        self.given.iter().chain(&self.family)
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(<redacted>)")
    }
}

/// Names with spaces between their words.
fn western(text: &str, script: Script) -> Option<PersonName> {
    let (mut parts, mut suffixes) = (Vec::new(), Vec::new());
    for part in text.split([',', '،', ';']).map(tokens).filter(|part| !part.is_empty()) {
        // `Smith, Jr.` and `Smith, PhD, MD`: what a comma sets off may be suffixes alone.
        match !parts.is_empty() && part.iter().all(|word| is_suffix(word)) {
            true => suffixes.extend(part),
            false => parts.push(part),
        }
    }
    let mut parts = parts.into_iter();
    let (mut first, rest) = (parts.next()?, parts.flatten().collect::<Vec<_>>());
    let (titles, order, given, family) = if rest.is_empty() {
        let titles = take_titles(&mut first);
        take_suffixes(&mut first, &mut suffixes);
        let (order, given, family) = split_words(first);
        (titles, order, given, family)
    } else {
        let mut given = rest;
        let mut titles = take_titles(&mut first);
        titles.extend(take_titles(&mut given));
        take_suffixes(&mut given, &mut suffixes);
        take_suffixes(&mut first, &mut suffixes);
        (titles, NameOrder::FamilyFirst, given, first)
    };
    Some(PersonName { titles, given, family, suffixes, script, order })
}

/// Words without quotes and brackets around, titles and suffixes without dots.
fn tokens(part: &str) -> Vec<String> {
    part.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '\'' | '’' | '-')))
        .map(|word| if is_title(word) || is_suffix(word) { word.replace('.', "") } else { word.to_owned() })
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .collect()
}

fn take_titles(words: &mut Vec<String>) -> Vec<String> {
    let count = words.iter().take_while(|word| is_title(word)).count();
    // A name of titles alone is a name: `Sir`, `Don`.
    words.drain(..if count == words.len() { count.saturating_sub(1) } else { count }).collect()
}

fn take_suffixes(words: &mut Vec<String>, suffixes: &mut Vec<String>) {
    let count = words.iter().skip(1).rev().take_while(|word| is_suffix(word)).count();
    let found = words.split_off(words.len() - count);
    suffixes.splice(..0, found);
}

/// Given names and the family name of words in the order in which they are spoken.
fn split_words(mut words: Vec<String>) -> (NameOrder, Vec<String>, Vec<String>) {
    if words.len() < 2 {
        return (NameOrder::Single, words, Vec::new());
    }
    if words.len() == 3 && words.last().is_some_and(|word| is_patronymic(word)) {
        let given = words.split_off(1);
        return (NameOrder::FamilyFirst, given, words);
    }
    // A family name begins at its first particle: `Juan de la Cruz`. Two words are not asked: `Al Pacino`, `Vander Meer`.
    let particle = words.iter().enumerate().skip(1).find(|(_, word)| is_particle(word)).map(|(at, _)| at);
    let at = particle.filter(|at| at + 1 < words.len()).unwrap_or(words.len() - 1);
    let family = words.split_off(at);
    (NameOrder::GivenFirst, words, family)
}
