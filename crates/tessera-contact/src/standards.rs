//! Languages and currencies, by code and by name.
//!
//! References: ISO 639; ISO 4217; BCP 47 for what may follow a language (`de-AT`); Unicode CLDR for the names.

use std::fmt;
use std::sync::LazyLock;

use crate::Verdict;
use crate::codes::{Row, Table};

static LANGUAGES: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../data/languages.tsv")));
static CURRENCIES: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../data/currencies.tsv")));

/// A language. Invariant: a code of ISO 639, of two letters where there is one, else of three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

/// A currency. Invariant: a code of ISO 4217, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

/// Why a text is not a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("no language has this code or name: use two letters such as `de`, three such as `deu`, or its name")]
pub struct LanguageFault;

/// Why a text is not a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("no currency has this code or name: use three letters such as `EUR`, or its name")]
pub struct CurrencyFault;

impl LanguageFault {
    /// What it means for the value.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid("no_such_language")
    }
}

impl CurrencyFault {
    /// What it means for the value.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid("no_such_currency")
    }
}

impl Language {
    /// Reads a code of two or three letters, a locale (`de-AT`, `de_AT.UTF-8`), or a name in one of many languages.
    ///
    /// # Errors
    /// [`LanguageFault`].
    pub fn find(text: &str) -> Result<Self, LanguageFault> {
        let text = text.trim();
        let code = text.split(['-', '_', '.']).next().unwrap_or_default().to_ascii_lowercase();
        let is_code = matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_lowercase());
        let by_code = || LANGUAGES.get(&code).or_else(|| LANGUAGES.find(&code));
        let row = is_code.then(by_code).flatten().or_else(|| LANGUAGES.find(text));
        row.map(|row| Self(row.code)).ok_or(LanguageFault)
    }

    /// Its code: `de`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// Its name in English.
    #[must_use]
    pub fn name(&self) -> &'static str {
        LANGUAGES.get(self.0).map_or("", Row::name)
    }

    /// What can be said of it: it is one.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::valid("iso_639")
    }
}

impl Currency {
    /// Reads a code of three letters, the sign of the euro or the pound, or a name in one of many languages.
    ///
    /// # Errors
    /// [`CurrencyFault`].
    pub fn find(text: &str) -> Result<Self, CurrencyFault> {
        let code = match text.trim() {
            "€" => "EUR".to_owned(),
            "£" => "GBP".to_owned(),
            text => text.to_ascii_uppercase(),
        };
        let row = CURRENCIES.get(&code).or_else(|| CURRENCIES.find(&code));
        row.map(|row| Self(row.code)).ok_or(CurrencyFault)
    }

    /// Its code: `EUR`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// Its name in English.
    #[must_use]
    pub fn name(&self) -> &'static str {
        CURRENCIES.get(self.0).map_or("", Row::name)
    }

    /// What can be said of it: it is one, today or no longer.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match CURRENCIES.get(self.0).is_some_and(|row| row.others().any(|mark| mark == "not tender")) {
            true => Verdict::unknown("not_tender"),
            false => Verdict::valid("iso_4217"),
        }
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
