//! What can go wrong below the seams.

use std::io;
use std::path::PathBuf;

use crate::{Key, Position};

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The records are not in the log.
    #[error("cannot append to log segment `{}`", file.display())]
    Append {
        /// The segment file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record longer than the format allows.
    #[error("a log record has {bytes} bytes, the limit is {bytes_max}")]
    RecordTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A durable part of the log cannot be read back as it was written.
    #[error("log segment `{}` is corrupt at byte {offset}: {what}", file.display())]
    Corrupt {
        /// The segment file.
        file: PathBuf,
        /// Byte offset within that file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Retention has removed that position.
    #[error("log position {} was discarded by retention, the oldest kept is {}", asked.0, oldest.0)]
    Discarded {
        /// What was asked for.
        asked: Position,
        /// The oldest record kept.
        oldest: Position,
    },
    /// The folder is in use by another process.
    #[error("data folder `{}` is in use by another process", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder was written by a newer Tessera.
    #[error("`{}` has format version {found}, this build reads up to {supported}", file.display())]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that this build reads.
        supported: u32,
    },
    /// A rewrite returned a record of another length.
    #[error("the record at log position {} has {bytes_before} bytes and cannot be replaced by {bytes}", at.0)]
    Resized {
        /// Where the record is.
        at: Position,
        /// Its length.
        bytes_before: usize,
        /// The length of what should replace it.
        bytes: usize,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`", file.display())]
    Io {
        /// What was tried: "open", "read", "remove".
        action: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed a key after it was loaded: load again and retry.
    #[error("key {key:?} changed since it was loaded")]
    Conflict {
        /// The key.
        key: Key,
    },
    /// Stored bytes cannot be read back.
    #[error("the store is corrupt: {what}")]
    Corrupt {
        /// What is wrong.
        what: String,
    },
    /// The folder was written by a newer Tessera.
    #[error("`{}` has format version {found}, this build reads up to {supported}", file.display())]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that this build reads.
        supported: u32,
    },
    /// The engine or the file system refused.
    #[error("cannot {action} the store in `{}`", folder.display())]
    Io {
        /// What was tried: "open", "read", "checkpoint".
        action: &'static str,
        /// The store's folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LogError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Append { .. } => "TES-S001",
            Self::RecordTooLarge { .. } => "TES-S002",
            Self::Corrupt { .. } => "TES-S003",
            Self::Discarded { .. } => "TES-S004",
            Self::Locked { .. } => "TES-S005",
            Self::Newer { .. } => "TES-S006",
            Self::Io { .. } => "TES-S007",
            Self::Resized { .. } => "TES-S008",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Append { .. } => {
                "free disk space or lower `log.retention_hours`; the server retries by itself"
            }
            Self::RecordTooLarge { .. } => "send smaller batches",
            Self::Corrupt { .. } => {
                "restore the segment from a backup; nothing after this byte was read, and nothing was changed"
            }
            Self::Discarded { .. } => "start from a checkpoint: `tessera rebuild` finds the newest one",
            Self::Locked { .. } => "stop the other `tessera serve`, or use another `--data-dir`",
            Self::Newer { .. } => "install the Tessera version that wrote this folder, or a newer one",
            Self::Io { .. } => "check that the folder exists and that this account may write to it",
            Self::Resized { .. } => "this is a mistake in Tessera and nothing was changed: please report it",
        }
    }
}

impl StoreError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "TES-S011",
            Self::Corrupt { .. } => "TES-S012",
            Self::Newer { .. } => "TES-S013",
            Self::Io { .. } => "TES-S014",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "load the keys again and retry",
            Self::Corrupt { .. } => "stop the server and run `tessera rebuild`: the log has everything",
            Self::Newer { .. } => "install the Tessera version that wrote this folder, or a newer one",
            Self::Io { .. } => "check free disk space and permissions of the data folder",
        }
    }
}
