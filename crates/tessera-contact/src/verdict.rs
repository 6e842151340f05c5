//! What can be said of a value, in the words that BriteVerify gave the field.
//!
//! Not a promise: to know that mail arrives or that a telephone rings, somebody must send or ring. So e-mail addresses,
//! telephone numbers, names and postal codes are never [`Status::Valid`] here: at best they are [`Status::Unknown`],
//! for a reason that says what was looked at. Only what can be looked up whole - a date in the calendar, a code in its
//! standard - is valid.
//!
//! Reference: BriteVerify (Validity), "Real-Time API": `valid`, `invalid`, `accept_all`, `unknown`, with `disposable`
//! and `role_address`.

use serde::{Serialize, Serializer};

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It is what it should be, looked up whole.
    Valid,
    /// It cannot be what it should be.
    Invalid,
    /// The mail server takes every address, so that nothing can be told. Nothing here finds this out: it is the word
    /// for what a verification service says.
    AcceptAll,
    /// Nothing speaks against it; whether anybody is reached by it is not known.
    Unknown,
}

impl Status {
    /// Its word: `accept_all`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::AcceptAll => "accept_all",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What can be said of a value. Holds no personal data: no part of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Verdict {
    /// What is known.
    pub status: Status,
    /// Why, in one stable word: `syntax_only`, `no_at_sign`, `not_in_numbering_plan`.
    pub reason: &'static str,
    /// Whether the address is one to throw away (e-mail only).
    pub disposable: bool,
    /// Whether a function reads it and not a person: `info@`, `abuse@` (e-mail only).
    pub role_address: bool,
}

impl Verdict {
    /// Looked up whole.
    #[must_use]
    pub const fn valid(reason: &'static str) -> Self {
        Self { status: Status::Valid, reason, disposable: false, role_address: false }
    }

    /// Impossible.
    #[must_use]
    pub const fn invalid(reason: &'static str) -> Self {
        Self { status: Status::Invalid, reason, disposable: false, role_address: false }
    }

    /// Possible.
    #[must_use]
    pub const fn unknown(reason: &'static str) -> Self {
        Self { status: Status::Unknown, reason, disposable: false, role_address: false }
    }
}
