//! The lake: every event that was kept, as a Delta table of Parquet files, and SQL over it that names its purpose.
//!
//! Not the source of truth, which is the log, and not a decision about anybody: that is the policy crate's. Invariants: files
//! and log position are one commit; the engine never sees a value that the purpose and the reader may not. References: the
//! Delta transaction log protocol; Apache Parquet; Apache DataFusion.

mod action;
mod batch;
mod coded;
mod columns;
mod delta;
mod files;
mod fill;
mod merge;
mod profiles;
mod query;
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use batch::{Compared, Crowd, Everybody, Recomputed, Sees, has_sql};
pub use delta::{DeltaLake, LakeOptions};
pub use fill::{FillError, Filled, Filler, Order};
pub use query::{
    Answer, Asked, AskedOfEverybody, Engine, Format, QueryFailure, QueryLimits, SQL_BYTES_MAX, Seen,
};
