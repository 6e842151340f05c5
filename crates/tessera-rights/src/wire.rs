//! Reading the bodies of other people's protocols.
//!
//! Invariant: an error never repeats a value of the body, because these bodies hold identifiers (OpenDSR, section
//! 7.6: error responses must not contain what identifies a person).

use serde::de::DeserializeOwned;
use tessera_model::Timestamp;

/// Why a body of OpenDSR or the Data Rights Protocol was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or a field of a wrong type.
    #[error("`{field}` cannot be read at line {line}, column {column}")]
    Unreadable {
        /// The path of the field; `.` for the body as a whole.
        field: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A field that the protocol requires is not there or empty.
    #[error("`{field}` is missing")]
    Missing {
        /// The path of the field.
        field: String,
    },
    /// A value that the protocol, or this side, does not know.
    #[error("`{field}` is not one of: {known}")]
    Unsupported {
        /// The path of the field.
        field: String,
        /// What it may be.
        known: &'static str,
    },
    /// Too many of something.
    #[error("`{field}` has {count} entries, the limit is {max}")]
    TooMany {
        /// The path of the field.
        field: String,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A request of the Data Rights Protocol for another business, from another agent, or outside its time.
    #[error("the request is not for us now: `{field}` {what}")]
    NotForUs {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl WireError {
    /// The stable code; it has a page in `docs/reference/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::Missing { .. } | Self::TooMany { .. } => "TES-R021",
            Self::Unsupported { .. } => "TES-R022",
            Self::NotForUs { .. } => "TES-R023",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "send the JSON that the protocol describes",
            Self::Missing { .. } => "send the field; the protocol requires it",
            Self::Unsupported { .. } => "use one of these; the discovery document lists what is supported",
            Self::TooMany { .. } => "send several requests",
            Self::NotForUs { .. } => "sign a new request for this business, with clocks set right",
        }
    }
}

/// Reads JSON; an error names the field and not its value.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let unreadable = |field: String, error: &serde_json::Error| WireError::Unreadable {
        field,
        line: error.line(),
        column: error.column(),
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| unreadable(error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| unreadable(".".to_owned(), &error))?;
    Ok(value)
}

/// A field that must be there and not empty.
pub(crate) fn required(field: &str, value: Option<String>) -> Result<String, WireError> {
    let there = value.filter(|text| !text.trim().is_empty());
    there.ok_or_else(|| WireError::Missing { field: field.to_owned() })
}

/// A time that must be there.
pub(crate) fn required_time(field: &str, value: Option<String>) -> Result<Timestamp, WireError> {
    let known = "a time of RFC 3339: 2018-10-02T15:00:00Z";
    let text = required(field, value)?;
    Timestamp::parse(&text).ok_or_else(|| WireError::Unsupported { field: field.to_owned(), known })
}
