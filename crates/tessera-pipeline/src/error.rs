//! What can go wrong between the log and the store.

use tessera_model::RecordError;
use tessera_profile::CodecError;
use tessera_store::{LakeError, LogError, Position, StoreError};

/// Why a batch could not be processed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log record is not what this build writes.
    #[error("cannot read the log record at position {}", position.0)]
    Record {
        /// Where.
        position: Position,
        /// Why.
        source: RecordError,
    },
    /// A stored row is not what this build writes.
    #[error("cannot read a stored row")]
    Row(#[from] CodecError),
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// What leaves could not be recorded, so nothing left.
    #[error(transparent)]
    Evidence(#[from] tessera_evidence::EvidenceError),
    /// The workspace is sealed with another key.
    #[error("the workspace cannot be opened: it was sealed with another key")]
    Sealed,
    /// A stored row of another kind is not what this build writes.
    #[error("cannot read a stored {what}: {why}")]
    Stored {
        /// What kind of row.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl PipelineError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Log(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Record { .. } => "TES-R001",
            Self::Row(_) => "TES-R002",
            Self::Stored { .. } => "TES-R003",
            Self::Sealed => "TES-R004",
            Self::Evidence(error) => error.code(),
            Self::Lake(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Log(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Record { .. } => "run the Tessera version that wrote this folder, or a newer one",
            Self::Evidence(error) => error.hint(),
            Self::Lake(error) => error.hint(),
            Self::Sealed => "restore the key that the data folder was made with: `hash.key`",
            Self::Row(_) | Self::Stored { .. } => {
                "run the Tessera version that wrote this folder, or stop the server and run `tessera rebuild`"
            }
        }
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Log(LogError::Append { .. } | LogError::Io { .. })
            | Self::Store(StoreError::Conflict { .. } | StoreError::Io { .. }) => true,
            Self::Log(_) | Self::Store(_) | Self::Record { .. } | Self::Row(_) | Self::Stored { .. } => false,
            Self::Sealed | Self::Evidence(_) | Self::Lake(_) => false,
        }
    }
}
