//! What can be wrong with a table, a specification or a model.

use thiserror::Error;

/// Why matching cannot start. No message holds a value of a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The specification names a column that the table does not have.
    #[error("TES-X001: {place} names column `{column}`, which the records do not have (they have {known})")]
    UnknownColumn {
        /// Where it is named.
        place: String,
        /// The name.
        column: String,
        /// The table's columns.
        known: String,
    },
    /// Columns or sources differ in length.
    #[error("TES-X002: column `{column}` has {found} rows and the first one {expected}")]
    Ragged {
        /// The column.
        column: String,
        /// Its rows.
        found: usize,
        /// The rows of the first column.
        expected: usize,
    },
    /// More rows than row numbers can name.
    #[error("TES-X003: {rows} records are more than the {max} that one matching takes")]
    TooManyRecords {
        /// How many there are.
        rows: usize,
        /// How many there may be.
        max: usize,
    },
    /// A part of the specification cannot be used.
    #[error("TES-X004: {place}: {why}")]
    Specification {
        /// Which part.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing to compare by.
    #[error("TES-X005: no column tells people apart: {why}")]
    NothingToCompare {
        /// Why not.
        why: String,
    },
    /// The model was trained by another specification or is damaged.
    #[error("TES-X006: the trained model does not fit: {why}")]
    Model {
        /// How it does not fit.
        why: String,
    },
    /// There is no such record.
    #[error("TES-X007: there is no record {row} among {rows}")]
    NoRecord {
        /// The row asked for.
        row: usize,
        /// How many there are.
        rows: usize,
    },
}

impl MatchError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "TES-X001",
            Self::Ragged { .. } => "TES-X002",
            Self::TooManyRecords { .. } => "TES-X003",
            Self::Specification { .. } => "TES-X004",
            Self::NothingToCompare { .. } => "TES-X005",
            Self::Model { .. } => "TES-X006",
            Self::NoRecord { .. } => "TES-X007",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownColumn { .. } => "correct the name, or leave the model out to have one made",
            Self::Ragged { .. } => "give every column a value or nothing for each record",
            Self::TooManyRecords { .. } => "match by country or region, one at a time",
            Self::Specification { .. } => {
                "correct the specification; docs/guide/find-duplicates.md explains its parts"
            }
            Self::NothingToCompare { .. } => "add columns such as name, birth date, address, e-mail or phone",
            Self::Model { .. } => "train again with this version and this specification",
            Self::NoRecord { .. } => "ask for a record that the table has",
        }
    }
}
