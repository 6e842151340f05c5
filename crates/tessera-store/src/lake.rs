//! The lake seam: every event that was kept, in columns, for questions about many people.
//!
//! Not the source of truth: that is the log. Invariant: files and position are one commit, so that no event is missing
//! or there twice after a crash.

use std::fmt;
use std::path::PathBuf;

use tessera_model::{FragmentId, PurposeSet, SourceName, Timestamp};

use crate::{Position, ProfileLake};

/// One event as the lake keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct LakeRow {
    /// The log record that brought it.
    pub position: u64,
    /// Its number within the record.
    pub index: u32,
    /// Whose it is: the fragment of its strongest identifier. Never a profile, so that a merge rewrites nothing.
    pub owner: FragmentId,
    /// The purposes that covered it when it came.
    pub purposes: PurposeSet,
    /// Which source sent it.
    pub source: SourceName,
    /// When it happened.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What makes a repeat known.
    pub message_id: Box<str>,
    /// `track`, `identify`, ...
    pub call: Box<str>,
    /// The event as it came, as a JSON object.
    pub json: Box<str>,
}

impl fmt::Debug for LakeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeRow")
            .field("position", &self.position)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// What becomes of a row when the lake is rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LakeFate {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// This takes its place.
    Replace(Box<LakeRow>),
}

/// What a rewrite came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LakeRewritten {
    /// Rows looked at.
    pub rows: u64,
    /// Rows that went.
    pub removed: u64,
    /// Rows of which something went.
    pub replaced: u64,
    /// Files written anew.
    pub files: u64,
}

/// How large the lake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LakeSize {
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// Why the lake could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A file cannot be read or written.
    #[error("cannot {what} `{}`", file.display())]
    Io {
        /// What was tried: `write`, `read`, `remove`.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what the lake wrote.
    #[error("lake file `{}` is corrupt: {what}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong, without quoting what is in it.
        what: String,
    },
    /// The table was written by something newer, or by something else.
    #[error("lake table `{}` needs {what}, which this build does not have", file.display())]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// The reader version or feature.
        what: String,
    },
    /// Who decided on the rows failed.
    #[error("cannot decide what stays in the lake: {0}")]
    Decision(String),
}

impl LakeError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "TES-L001",
            Self::Corrupt { .. } => "TES-L002",
            Self::Newer { .. } => "TES-L003",
            Self::Decision(_) => "TES-L004",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "free disk space, or give the server's account access to the folder `lake`",
            Self::Corrupt { .. } => "stop the server, move the folder `lake` away, and bring its backup back",
            Self::Newer { .. } => "run the Tessera that wrote it, or a newer one",
            Self::Decision(_) => "the cause stands before; the next pass tries again",
        }
    }
}

/// Decides on a row when the lake is rewritten.
pub type Sift<'a> = dyn FnMut(&LakeRow) -> Result<LakeFate, LakeError> + 'a;

/// Every event that was kept, in columns.
///
/// One process writes it. What is appended is there after a crash if `append` returned, and whole or not at all if it
/// did not.
pub trait Lake: ProfileLake {
    /// Every kept event before this position of the log is in.
    fn position(&self) -> Position;

    /// Adds rows, in the order of the log, and moves the position to `upto`; both or neither. Rows before the position
    /// are in already and are skipped.
    ///
    /// # Errors
    /// [`LakeError`]; nothing was added.
    fn append(&self, rows: &[LakeRow], upto: Position, now: Timestamp) -> Result<(), LakeError>;

    /// Asks `sift` about every row. When this returns `Ok`, what was removed or replaced is in no file of the lake.
    ///
    /// # Errors
    /// [`LakeError`]; each file is as it was or written anew: call it again.
    fn rewrite(&self, sift: &mut Sift<'_>, now: Timestamp) -> Result<LakeRewritten, LakeError>;

    /// Brings small files together and removes what nobody reads any more. Cheap when there is nothing to do.
    ///
    /// # Errors
    /// [`LakeError`]; nothing is lost.
    fn tidy(&self, now: Timestamp) -> Result<(), LakeError>;

    /// How large it is.
    fn size(&self) -> LakeSize;
}
