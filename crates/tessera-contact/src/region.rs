//! Countries and territories, by code and by name.
//!
//! References: ISO 3166-1; Unicode CLDR's territories and their names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Verdict, fold};

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

struct Row {
    region: Region,
    alpha3: &'static str,
    names: &'static str,
}

struct Table {
    /// Ordered by code.
    rows: Vec<Row>,
    /// By alpha-3 code, number and folded name.
    by_word: BTreeMap<String, Region>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { rows: Vec::new(), by_word: BTreeMap::new() };
    for line in include_str!("../data/countries.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        let (alpha2, alpha3, number, names) = (column(), column(), column(), column());
        let Ok(code) = <[u8; 2]>::try_from(alpha2.as_bytes()) else { continue };
        let region = Region(code);
        for word in [alpha3, number].into_iter().filter(|word| *word != "-") {
            table.by_word.insert(word.to_ascii_lowercase(), region);
        }
        for name in names.split('|') {
            table.by_word.entry(fold(name)).or_insert(region);
        }
        table.rows.push(Row { region, alpha3, names });
    }
    table
});

impl Region {
    /// Reads an alpha-2 code, in letters of either case.
    ///
    /// # Errors
    /// [`RegionFault`].
    pub fn parse(code: &str) -> Result<Self, RegionFault> {
        let code = <[u8; 2]>::try_from(code.as_bytes()).map_err(|_| RegionFault)?;
        let region = Self(code.map(|byte| byte.to_ascii_uppercase()));
        region.row().map(|row| row.region).ok_or(RegionFault)
    }

    /// Reads a code of two letters, of three, of three digits, or a name in one of many languages.
    ///
    /// # Errors
    /// [`RegionFault`].
    pub fn find(text: &str) -> Result<Self, RegionFault> {
        let text = text.trim();
        Self::parse(text).or_else(|_| TABLE.by_word.get(&fold(text)).copied().ok_or(RegionFault))
    }

    /// Its alpha-2 code: `DE`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Its alpha-3 code: `DEU`; none for the three that have none.
    #[must_use]
    pub fn alpha3(&self) -> Option<&'static str> {
        self.row().map(|row| row.alpha3).filter(|code| *code != "-")
    }

    /// Its name in English.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().and_then(|row| row.names.split('|').next()).unwrap_or_default()
    }

    /// What can be said of it: it is one.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::valid("iso_3166")
    }

    fn row(&self) -> Option<&'static Row> {
        let rows = &TABLE.rows;
        rows.binary_search_by(|row| row.region.cmp(self)).ok().and_then(|at| rows.get(at))
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
