//! The seams to durable state: [`Log`], [`Store`], [`Lake`] and [`Clock`], the in-memory implementations, and the
//! compliance suites that every implementation runs.
//!
//! Not an engine: what the bytes mean is the pipeline's business. Invariants: an append that returned is
//! durable; a commit is seen whole or not at all; state and log position move together.

mod clock;
pub mod compliance;
mod error;
mod lake;
mod log;
mod marks;
mod memory_log;
mod memory_store;
mod profiles;
mod store;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{LogError, StoreError};
pub use lake::{Lake, LakeError, LakeFate, LakeRewritten, LakeRow, LakeSize, Sift};
pub use log::{Bounds, Entry, Log, Position, Replace, Retention, Rewritten};
pub use marks::{Mark, Marks, Place};
pub use memory_log::MemoryLog;
pub use memory_store::MemoryStore;
pub use profiles::{ProfileFate, ProfileLake, ProfileRow, ProfileRows, ProfileSift, ProfileTrait};
pub use store::{Change, Changes, Key, Store, Table, Value};
