//! Why a consent string cannot be read.

use crate::TEXT_BYTES_MAX;

/// Why a consent string cannot be read. `part` is the segment or section, `field` the specification's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IabError {
    /// Longer than [`TEXT_BYTES_MAX`].
    #[error("the consent string has {bytes} bytes; at most {TEXT_BYTES_MAX} are read")]
    TooLong {
        /// The string's length.
        bytes: usize,
    },
    /// A character that the part cannot have.
    #[error("{part} has {found:?} as character {at}; {expected}")]
    Character {
        /// The segment or section.
        part: &'static str,
        /// Its place in the part, from 1.
        at: usize,
        /// The character.
        found: char,
        /// What may stand there.
        expected: &'static str,
    },
    /// The part ends before the field does.
    #[error("{part} ends inside {field}")]
    Short {
        /// The segment or section.
        part: &'static str,
        /// The field that is cut off.
        field: &'static str,
    },
    /// A number that the field cannot have.
    #[error("{field} of {part} is {found}; {expected}")]
    Value {
        /// The segment or section.
        part: &'static str,
        /// The field.
        field: &'static str,
        /// The number.
        found: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A header and what follows it disagree.
    #[error("{part} lists {listed}, but {found} follow")]
    Count {
        /// The header.
        part: &'static str,
        /// How many it lists, or the first number past what could follow.
        listed: u64,
        /// How many there are.
        found: u64,
    },
    /// A segment that may stand once stands twice.
    #[error("{part} has two segments of type {segment}")]
    Repeated {
        /// The section.
        part: &'static str,
        /// The segment's type.
        segment: u8,
    },
}

/// Refuses what is longer than the limit, before anything is read.
pub(crate) fn check_length(text: &str) -> Result<(), IabError> {
    if text.len() > TEXT_BYTES_MAX { Err(IabError::TooLong { bytes: text.len() }) } else { Ok(()) }
}
