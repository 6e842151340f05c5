//! Tables of codes and of the names that go with them.

use std::collections::BTreeMap;

use crate::fold;

/// One line of a table.
pub(crate) struct Row {
    pub(crate) code: &'static str,
    /// Other codes, or a mark, with commas between.
    other: &'static str,
    names: &'static str,
}

impl Row {
    pub(crate) fn others(&self) -> impl Iterator<Item = &'static str> {
        self.other.split(',').filter(|code| *code != "-")
    }

    /// Its name in English.
    pub(crate) fn name(&self) -> &'static str {
        self.names.split('|').next().unwrap_or_default()
    }
}

/// Codes, ordered, and what is found by another word.
pub(crate) struct Table {
    rows: Vec<Row>,
    by_word: BTreeMap<String, usize>,
}

impl Table {
    /// Reads lines of `code<TAB>other codes<TAB>names`, sorted by code.
    pub(crate) fn read(text: &'static str) -> Self {
        let mut table = Self { rows: Vec::new(), by_word: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            let row = Row { code: column(), other: column(), names: column() };
            let at = table.rows.len();
            for word in row.others().chain(row.names.split('|')) {
                table.by_word.entry(fold(word)).or_insert(at);
            }
            table.rows.push(row);
        }
        table
    }

    /// The line of that code, letters as in the table.
    pub(crate) fn get(&self, code: &str) -> Option<&Row> {
        self.rows.binary_search_by(|row| row.code.cmp(code)).ok().and_then(|at| self.rows.get(at))
    }

    /// The line of that other code or name, however it is written.
    pub(crate) fn find(&self, word: &str) -> Option<&Row> {
        self.by_word.get(&fold(word)).and_then(|at| self.rows.get(*at))
    }
}
