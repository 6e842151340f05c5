//! Postal codes and addresses, by what each country writes.
//!
//! Not a street directory: whether a house stands there is not known, so the best that is said is `unknown`.
//!
//! Reference: the address data of Google's libaddressinput.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use crate::unicode::nfkc;
use crate::{Region, RegionFault, Verdict, fold};

const POSTAL_CODE_BYTES_MAX: usize = 32;

/// What a country's addresses look like.
struct Form {
    /// Of its postal codes; a dash where it has none.
    pattern: &'static str,
    examples: &'static str,
    /// `A` street, `C` city, `S` subdivision, `Z` postal code.
    required: &'static str,
    postal_code: OnceLock<Option<PostalCodeForm>>,
}

struct PostalCodeForm {
    pattern: Regex,
    /// Where a space or a hyphen stands, counted in bytes from the end.
    separators: Vec<(char, usize)>,
}

static FORMS: LazyLock<BTreeMap<Region, Form>> = LazyLock::new(|| {
    let lines = include_str!("../data/addresses.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Form::read).collect()
});

impl Form {
    fn read(line: &'static str) -> Option<(Region, Self)> {
        let mut columns = line.split('\t');
        let region = Region::parse(columns.next()?).ok()?;
        let (pattern, examples, required) = (columns.next()?, columns.next()?, columns.next()?);
        Some((region, Self { pattern, examples, required, postal_code: OnceLock::new() }))
    }

    /// Compiled when the country is first asked for.
    fn postal_code(&self) -> Option<&PostalCodeForm> {
        let compile = || {
            let pattern = (self.pattern != "-").then(|| Regex::new(&format!("^(?:{})$", self.pattern)));
            Some(PostalCodeForm { pattern: pattern?.ok()?, separators: separators(self.examples) })
        };
        self.postal_code.get_or_init(compile).as_ref()
    }
}

/// Which separators the examples have, and where.
fn separators(examples: &str) -> Vec<(char, usize)> {
    let place = |example: &str| {
        let (head, tail) = example.rsplit_once([' ', '-'])?;
        Some((example.get(head.len()..)?.chars().next()?, tail.len()))
    };
    let mut found: Vec<(char, usize)> = examples.split(',').filter_map(place).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A postal code in its one form: capitals, with the separator that its country writes.
///
/// Personal data: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostalCode {
    region: Region,
    text: String,
    is_checked: bool,
}

/// Why a text is not a postal code. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PostalCodeFault {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Not as the country writes them.
    #[error("the country has no postal codes of this form")]
    Form,
}

impl PostalCodeFault {
    /// One stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Form => "not_a_postal_code_there",
        }
    }

    /// What it means for the value: impossible.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid(self.code())
    }
}

impl PostalCode {
    /// Reads a postal code of that country. A country's letters in front (`D-10115`) are dropped.
    ///
    /// # Errors
    /// [`PostalCodeFault`].
    pub fn parse(region: Region, text: &str) -> Result<Self, PostalCodeFault> {
        let text = nfkc(text.trim()).to_uppercase();
        if text.is_empty() {
            return Err(PostalCodeFault::Empty);
        }
        if text.len() > POSTAL_CODE_BYTES_MAX {
            return Err(PostalCodeFault::Form);
        }
        let spaced = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some(form) = FORMS.get(&region).and_then(Form::postal_code) else {
            return Ok(Self { region, text: spaced, is_checked: false });
        };
        let prefixed = spaced.split_once(['-', ' ']);
        let bare = prefixed
            .filter(|(prefix, _)| prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_uppercase()));
        let readings = [Some(spaced.as_str()), bare.map(|(_, rest)| rest)];
        let read = readings.into_iter().flatten().find_map(|text| one_form(text, form));
        read.map(|text| Self { region, text, is_checked: true }).ok_or(PostalCodeFault::Form)
    }

    /// The code.
    #[must_use]
    pub fn normalised(&self) -> &str {
        &self.text
    }

    /// Whose it is.
    #[must_use]
    pub const fn region(&self) -> Region {
        self.region
    }

    /// What can be said without a directory: `unknown`.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        Verdict::unknown(if self.is_checked { "form_of_country" } else { "country_without_postal_codes" })
    }
}

/// The spelling with its country's separator, else without any, else as it came: whichever is the country's form.
fn one_form(text: &str, form: &PostalCodeForm) -> Option<String> {
    let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.')).collect();
    let separated = form.separators.iter().filter_map(|(separator, from_end)| {
        let (head, tail) = compact.split_at_checked(compact.len().checked_sub(*from_end)?)?;
        Some(format!("{head}{separator}{tail}"))
    });
    let mut spellings = separated.chain([compact.clone(), text.to_owned()]);
    spellings.find(|spelling| form.pattern.is_match(spelling))
}

impl fmt::Debug for PostalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostalCode(<redacted>)")
    }
}

/// An address as Segment's `address` trait has it; every part may be empty.
#[derive(Clone, Copy, Default)]
pub struct AddressParts<'a> {
    /// Street and house.
    pub street: &'a str,
    /// City.
    pub city: &'a str,
    /// State, province, prefecture.
    pub subdivision: &'a str,
    /// Postal code.
    pub postal_code: &'a str,
    /// Country, by code or name.
    pub country: &'a str,
}

/// An address in its one form: composed, one space between words, the country by code, the postal code as it writes it.
///
/// Personal data: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Street and house.
    pub street: String,
    /// City.
    pub city: String,
    /// State, province, prefecture.
    pub subdivision: String,
    /// Postal code; empty if there is none.
    pub postal_code: String,
    /// Country; none if none was given.
    pub region: Option<Region>,
}

/// Why parts are not an address. Quotes nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum AddressFault {
    /// Nothing was given.
    #[error("every part of it is empty")]
    Empty,
    /// Not a country.
    #[error(transparent)]
    Country(#[from] RegionFault),
    /// Not a postal code of the country.
    #[error(transparent)]
    PostalCode(#[from] PostalCodeFault),
}

impl AddressFault {
    /// What it means for the value: impossible.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Empty => Verdict::invalid("empty"),
            Self::Country(fault) => fault.verdict(),
            Self::PostalCode(fault) => fault.verdict(),
        }
    }
}

impl Address {
    /// Reads the parts of an address. `region` is its country where it names none.
    ///
    /// # Errors
    /// [`AddressFault`].
    pub fn parse(parts: &AddressParts<'_>, region: Option<Region>) -> Result<Self, AddressFault> {
        let country = parts.country.trim();
        let region = if country.is_empty() { region } else { Some(Region::find(country)?) };
        let tidy = |text: &str| nfkc(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let postal_code = match region {
            Some(region) if !parts.postal_code.trim().is_empty() => {
                PostalCode::parse(region, parts.postal_code)?.text
            }
            _ => tidy(parts.postal_code).to_uppercase(),
        };
        let address = Self {
            street: tidy(parts.street),
            city: tidy(parts.city),
            subdivision: tidy(parts.subdivision),
            postal_code,
            region,
        };
        let is_empty = [&address.street, &address.city, &address.subdivision, &address.postal_code]
            .into_iter()
            .all(String::is_empty);
        if is_empty { Err(AddressFault::Empty) } else { Ok(address) }
    }

    /// On one line: street, postal code and city, subdivision, country.
    #[must_use]
    pub fn normalised(&self) -> String {
        let place = format!("{} {}", self.postal_code, self.city);
        let country = self.region.map_or("", |region| region.name());
        let parts = [self.street.as_str(), place.trim(), self.subdivision.as_str(), country];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// The comparable form: folded, with the usual short forms of streets written out alike.
    #[must_use]
    pub fn key(&self) -> String {
        let street = fold(&self.street).split(' ').map(street_word).collect::<Vec<_>>().join(" ");
        let code = self.postal_code.replace([' ', '-'], "");
        let region = self.region.map_or(String::new(), |region| region.to_string());
        fold(&format!("{street} {code} {} {region}", self.city))
    }

    /// What can be said of it: `unknown`, and which part is missing that its country asks for.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Some(form) = self.region.and_then(|region| FORMS.get(&region)) else {
            return Verdict::unknown("no_country");
        };
        let lacks = |letter: char, part: &str| part.is_empty() && form.required.contains(letter);
        Verdict::unknown(match self {
            _ if lacks('A', &self.street) => "no_street",
            _ if lacks('C', &self.city) => "no_city",
            _ if lacks('Z', &self.postal_code) => "no_postal_code",
            _ if lacks('S', &self.subdivision) => "no_subdivision",
            _ => "parts_of_country",
        })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(<redacted>)")
    }
}

/// `str`, `strasse` and `...str` are one word, and so are `rd` and `road`.
fn street_word(word: &str) -> String {
    const SHORT: [(&str, &str); 16] = [
        ("str", "strasse"),
        ("st", "street"),
        ("rd", "road"),
        ("ave", "avenue"),
        ("av", "avenue"),
        ("blvd", "boulevard"),
        ("bd", "boulevard"),
        ("dr", "drive"),
        ("ln", "lane"),
        ("sq", "square"),
        ("ct", "court"),
        ("pl", "place"),
        ("apt", "apartment"),
        ("ul", "ulica"),
        ("c", "calle"),
        ("r", "rue"),
    ];
    match SHORT.iter().find(|(short, _)| *short == word) {
        Some((_, long)) => (*long).to_owned(),
        None => match word.strip_suffix("str") {
            Some(stem) if stem.len() > 2 => format!("{stem}strasse"),
            _ => word.to_owned(),
        },
    }
}
