//! Why a query has no answer.

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use tessera_pipeline::PipelineError;
use tessera_store::LakeError;

/// Longest part of the engine's own words that is told, in characters.
const WORDS_MAX: usize = 600;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryFailure {
    /// It is no SQL, or names what there is not.
    #[error("the query cannot be understood: {what}")]
    NotUnderstood {
        /// What the engine says of it. Never a value of the data: none was read.
        what: String,
    },
    /// It does more than read.
    #[error("the query does more than read")]
    NotARead,
    /// It is longer than the limit.
    #[error("the query has {count} {of}, the limit is {max}")]
    TooLong {
        /// What was counted: `bytes`, or `words and signs`.
        of: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// It took too long.
    #[error("the query took longer than {seconds} seconds")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// It needs more memory than it may, and could not go on on disk.
    #[error("the query needs more memory than `query.memory_mib` lets it")]
    Memory,
    /// The answer is too large.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A value is not what the query takes it for. The value is not told.
    #[error("the query failed on a value that it cannot compute with")]
    Value,
    /// The lake could not be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The store could not be read.
    #[error(transparent)]
    State(#[from] PipelineError),
}

impl QueryFailure {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUnderstood { .. } => "TES-Q001",
            Self::NotARead => "TES-Q002",
            Self::TooLong { .. } => "TES-Q003",
            Self::TimedOut { .. } => "TES-Q004",
            Self::Memory => "TES-Q005",
            Self::TooLarge { .. } => "TES-Q006",
            Self::Value => "TES-Q007",
            Self::Lake(error) => error.code(),
            Self::State(error) => error.code(),
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotUnderstood { .. } => {
                "`SHOW TABLES` lists the tables, `DESCRIBE events` the columns of one"
            }
            Self::NotARead => "ask one SELECT, EXPLAIN, SHOW or DESCRIBE",
            Self::TooLong { .. } => "shorten it; long lists of values belong into a join",
            Self::TimedOut { .. } => "limit `timestamp`, ask for less, or raise `query.timeout_seconds`",
            Self::Memory => "group by fewer values, limit `timestamp`, or raise `query.memory_mib`",
            Self::TooLarge { .. } => "aggregate, add LIMIT, or raise `query.answer_mib`",
            Self::Value => {
                "use `try_cast` where a text may be no number or time, and `nullif` before dividing"
            }
            Self::Lake(error) => error.hint(),
            Self::State(error) => error.hint(),
        }
    }

    /// What the engine's error comes to. Errors of planning quote the query; errors of running quote values, and are not told.
    pub(crate) fn of(error: DataFusionError) -> Self {
        if let DataFusionError::External(own) = error {
            return match own.downcast::<Self>() {
                Ok(own) => *own,
                Err(_) => Self::Value,
            };
        }
        let root = root(&error);
        let is_of_planning = matches!(
            root,
            DataFusionError::SQL(_, _)
                | DataFusionError::Plan(_)
                | DataFusionError::SchemaError(_, _)
                | DataFusionError::NotImplemented(_)
                | DataFusionError::Configuration(_)
        );
        // Of files, arrow knows only those that a query spills to.
        let is_exhausted = matches!(root, DataFusionError::ResourcesExhausted(_))
            || matches!(root, DataFusionError::ArrowError(cause, _) if matches!(**cause, ArrowError::IoError(..)));
        match (is_of_planning, is_exhausted) {
            (true, _) => {
                let what = error.strip_backtrace();
                let what = what.lines().next().unwrap_or_default().chars().take(WORDS_MAX).collect();
                Self::NotUnderstood { what }
            }
            (false, true) => Self::Memory,
            (false, false) => Self::Value,
        }
    }
}

/// What lies below all that wraps it: the side of a join that is built first hands its error to several.
fn root(error: &DataFusionError) -> &DataFusionError {
    let found = error.find_root();
    if let DataFusionError::Shared(inner) = found {
        return root(inner);
    }
    if let DataFusionError::Collection(all) = found {
        return all.first().map_or(found, root);
    }
    found
}
