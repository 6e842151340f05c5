//! The operational store: commits in memory, written once per checkpoint.
//!
//! Not the source of truth, that is the log: a crash falls back to the last checkpoint and the pipeline reads
//! the log again from its position. Invariant: what is on disk is always one whole checkpoint.
//! `docs/adr/0002-embedded-store-engine.md` says why.

mod backing;
mod fjall;
mod folder;
mod generation;
mod sim;
mod write_back;

#[cfg(test)]
mod compact_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod tests;

pub use backing::{Backing, Row};
pub use fjall::FjallBacking;
pub use sim::{CheckpointFault, SimBacking};
pub use write_back::{EmbeddedStore, StoreOptions, WriteBack};
