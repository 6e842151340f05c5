//! What can go wrong with a ledger. What can be wrong with an export is in `verify.rs`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::chain::Fault;

/// Why the ledger could not be opened, written to or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The entries are not recorded. The ledger is as before and can be used again.
    #[error("cannot append to evidence segment `{}`", file.display())]
    Append {
        /// The segment.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An entry that no ledger takes.
    #[error("cannot record {what}")]
    Entry {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A part of the ledger that was on disk is not as it was written.
    #[error("evidence segment `{}` is damaged at line {line}: {fault}", file.display())]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// The ledger was signed with another key.
    #[error("evidence segment `{}` is signed with the key {found}; this installation's is {expected}", file.display())]
    Key {
        /// The segment.
        file: PathBuf,
        /// Id of our key.
        expected: String,
        /// Id of the key that signed.
        found: String,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`", file.display())]
    Io {
        /// What was tried: "open", "read", "write".
        action: &'static str,
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is nothing to export.
    #[error("the ledger has no entry in the span that was asked for; its last is {last}")]
    NoEntries {
        /// Number of the last entry, 0 if there is none.
        last: u64,
    },
}

impl EvidenceError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Append { .. } => "TES-E001",
            Self::Entry { .. } => "TES-E002",
            Self::Damaged { .. } => "TES-E003",
            Self::Key { .. } => "TES-E004",
            Self::Io { .. } => "TES-E005",
            Self::NoEntries { .. } => "TES-E006",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Append { .. } => "free disk space; nothing leaves until it can be recorded",
            Self::Entry { .. } => "record less in one entry, or fewer entries at once",
            Self::Damaged { .. } => "restore the segment from a backup; nothing was changed",
            Self::Key { .. } => "restore the key that belongs to this data folder",
            Self::Io { .. } => "check that the folder exists and that this account may write to it",
            Self::NoEntries { .. } => "ask for entries that the ledger has",
        }
    }

    pub(crate) fn io(action: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |source| Self::Io { action, file, source: Arc::new(source) }
    }

    /// A fault in a segment: another key is told from damage.
    pub(crate) fn fault(file: impl Into<PathBuf>, line: u64, fault: Fault) -> Self {
        let file = file.into();
        if let Fault::Key { expected, found } = fault {
            return Self::Key { file, expected, found };
        }
        Self::Damaged { file, line, fault }
    }
}
