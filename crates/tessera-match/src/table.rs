//! Records in columns: each distinct value is stored once, in one long text, and a record holds its number.
//!
//! Not the records as they came: values are normalised ([`text`](crate::text)) and ids are the caller's, who knows
//! records here by row. Invariant: code 0 is "no value", and equal codes are equal values.

use std::fmt;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use crate::error::MatchError;
use crate::text::normalise;

/// No value.
pub(crate) const ABSENT: u32 = 0;

/// Rows are named by 32 bits, and one is kept for "none".
pub const ROWS_MAX: usize = u32::MAX as usize - 1;

/// Texts one after the other. Holds personal data.
#[derive(Clone)]
pub(crate) struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    fn new() -> Self {
        Self { bytes: String::new(), ends: vec![0] }
    }

    /// Text number `code`; nothing when there is none.
    pub(crate) fn get(&self, code: u32) -> &str {
        let code = code as usize;
        let start = code.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(code).copied().unwrap_or(start);
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// One column: distinct values and, for each row, which of them.
///
/// Also what builds a column, value by value.
#[derive(Clone)]
pub struct Column {
    name: Box<str>,
    values: Texts,
    counts: Vec<u32>,
    codes: Vec<u32>,
    by_value: HashTable<u32>,
    scratch: String,
}

/// The values may be personal data.
impl fmt::Debug for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Column({}, {} rows, {} values)", self.name, self.codes.len(), self.distinct())
    }
}

impl Column {
    /// A column without rows.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            values: Texts::new(),
            counts: vec![0],
            codes: Vec::new(),
            by_value: HashTable::new(),
            scratch: String::new(),
        }
    }

    /// Adds a row; an empty value is no value.
    pub fn push(&mut self, value: Option<&str>) {
        let code = match value {
            Some(value) => self.intern(value),
            None => ABSENT,
        };
        if let Some(count) = self.counts.get_mut(code as usize) {
            *count += 1;
        }
        self.codes.push(code);
    }

    /// Takes the value of a row away.
    fn clear(&mut self, row: usize) {
        let Some(code) = self.codes.get_mut(row).map(|code| std::mem::replace(code, ABSENT)) else { return };
        for (code, step) in [(code, -1), (ABSENT, 1)] {
            if let Some(count) = self.counts.get_mut(code as usize) {
                *count = count.saturating_add_signed(step);
            }
        }
    }

    /// The code of `value`, which need not be in a row.
    pub(crate) fn intern(&mut self, value: &str) -> u32 {
        normalise(value, &mut self.scratch);
        if self.scratch.is_empty() {
            return ABSENT;
        }
        let (values, scratch) = (&self.values, &self.scratch);
        let hash = hash(scratch);
        if let Some(code) = self.by_value.find(hash, |code| values.get(*code) == scratch) {
            return *code;
        }
        let code = u32::try_from(self.values.len()).unwrap_or(ABSENT);
        self.values.push(&self.scratch);
        self.counts.push(0);
        let values = &self.values;
        self.by_value.insert_unique(hash, code, |code| self::hash(values.get(*code)));
        code
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `row`, normalised.
    #[must_use]
    pub fn value(&self, row: usize) -> Option<&str> {
        let code = self.code(row);
        (code != ABSENT).then(|| self.values.get(code))
    }

    /// The number of distinct values.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.values.len() - 1
    }

    pub(crate) fn code(&self, row: usize) -> u32 {
        self.codes.get(row).copied().unwrap_or(ABSENT)
    }

    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// How many rows hold each value, by code.
    pub(crate) fn counts(&self) -> &[u32] {
        &self.counts
    }

    pub(crate) fn text(&self, code: u32) -> &str {
        self.values.get(code)
    }
}

/// The hash of a value; the same on every machine and in every run.
pub(crate) fn hash(value: &str) -> u64 {
    FixedState::with_seed(0x7e55_e2a0).hash_one(value)
}

/// Records in columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    sources: Vec<u16>,
    rows: usize,
}

impl Table {
    /// A table of `columns`, all from one source.
    ///
    /// # Errors
    ///
    /// When columns differ in length, or there are more than [`ROWS_MAX`] rows.
    pub fn new(columns: Vec<Column>) -> Result<Self, MatchError> {
        let rows = columns.first().map_or(0, |column| column.codes.len());
        if rows > ROWS_MAX {
            return Err(MatchError::TooManyRecords { rows, max: ROWS_MAX });
        }
        for column in &columns {
            if column.codes.len() != rows {
                return Err(ragged(&column.name, column.codes.len(), rows));
            }
        }
        Ok(Self { columns, sources: Vec::new(), rows })
    }

    /// The same table, with the source of each row.
    ///
    /// # Errors
    ///
    /// When there is not one for each row.
    pub fn with_sources(mut self, sources: Vec<u16>) -> Result<Self, MatchError> {
        if sources.len() != self.rows {
            return Err(ragged("source", sources.len(), self.rows));
        }
        self.sources = sources;
        Ok(self)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in the order they were given.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }

    /// The source of `row`.
    #[must_use]
    pub fn source(&self, row: usize) -> u16 {
        self.sources.get(row).copied().unwrap_or(0)
    }

    /// Whether rows came from more than one source.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        self.sources.iter().any(|source| Some(source) != self.sources.first())
    }

    /// Adds a row: a value or nothing for each column.
    pub(crate) fn push(&mut self, record: &[Option<&str>], source: u16) {
        for (column, value) in self.columns.iter_mut().zip(record) {
            column.push(*value);
        }
        if source != 0 || !self.sources.is_empty() {
            self.sources.resize(self.rows, 0);
            self.sources.push(source);
        }
        self.rows += 1;
    }

    /// Takes all values of a row away.
    pub(crate) fn clear(&mut self, row: usize) {
        self.columns.iter_mut().for_each(|column| column.clear(row));
    }

    pub(crate) fn position(&self, name: &str, place: &str) -> Result<usize, MatchError> {
        self.columns.iter().position(|column| &*column.name == name).ok_or_else(|| {
            MatchError::UnknownColumn {
                place: place.to_owned(),
                column: name.to_owned(),
                known: self
                    .columns
                    .iter()
                    .map(|column| format!("`{}`", column.name))
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })
    }
}

fn ragged(column: &str, found: usize, expected: usize) -> MatchError {
    MatchError::Ragged { column: column.to_owned(), found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_code_and_no_value_is_nought() {
        let mut column = Column::new("name");
        for value in [Some("Ada"), None, Some(" ada "), Some("Bob"), Some("")] {
            column.push(value);
        }
        assert_eq!(column.codes(), [1, 0, 1, 2, 0]);
        assert_eq!(column.counts(), [2, 2, 1]);
        assert_eq!(column.value(2), Some("ada"));
        assert_eq!(column.value(4), None);
        assert_eq!(column.distinct(), 2);
    }

    #[test]
    fn columns_of_different_length_are_refused_by_name() {
        let mut long = Column::new("long");
        long.push(Some("a"));
        let error = Table::new(vec![long, Column::new("short")]).unwrap_err();
        assert_eq!(error.to_string(), "TES-X002: column `short` has 0 rows and the first one 1");
    }

    #[test]
    fn debug_shows_no_value() {
        let mut column = Column::new("name");
        column.push(Some("Ada"));
        assert_eq!(format!("{column:?}"), "Column(name, 1 rows, 1 values)");
    }
}
