//! Countries and territories, by code and by name.
//!
//! References: ISO 3166-1; Unicode CLDR's territories and their names.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Verdict;
use crate::codes::{Row, Table};

/// A country or territory. Invariant: a code of ISO 3166-1 alpha-2, or `XK`, `AC` or `TA`, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region([u8; 2]);

/// Why a text is not a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("no country has this code or name: use two letters such as `DE`, three such as `DEU`, or its name")]
pub struct RegionFault;

impl RegionFault {
    /// What it means for the value.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid("no_such_country")
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../data/countries.tsv")));

impl Region {
    /// Reads an alpha-2 code, in letters of either case.
    ///
    /// # Errors
    /// [`RegionFault`].
    pub fn parse(code: &str) -> Result<Self, RegionFault> {
        let code = <[u8; 2]>::try_from(code.as_bytes()).map_err(|_| RegionFault)?;
        let region = Self(code.map(|byte| byte.to_ascii_uppercase()));
        region.row().map(|_| region).ok_or(RegionFault)
    }

    /// Reads a code of two letters, of three, of three digits, or a name in one of many languages.
    ///
    /// # Errors
    /// [`RegionFault`].
    pub fn find(text: &str) -> Result<Self, RegionFault> {
        let text = text.trim();
        Self::parse(text).or_else(|_| Self::parse(TABLE.find(text).ok_or(RegionFault)?.code))
    }

    /// Its alpha-2 code: `DE`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its alpha-3 code: `DEU`; none for the three that have none.
    #[must_use]
    pub fn alpha3(&self) -> Option<&'static str> {
        self.row()?.others().find(|code| code.starts_with(|c: char| c.is_ascii_alphabetic()))
    }

    /// Its name in English.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().map_or("", Row::name)
    }

    /// What can be said of it: it is one.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::valid("iso_3166")
    }

    fn row(&self) -> Option<&'static Row> {
        TABLE.get(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|_| {
            serde::de::Error::custom("not a country: use two letters of ISO 3166, for example `DE`")
        })
    }
}
