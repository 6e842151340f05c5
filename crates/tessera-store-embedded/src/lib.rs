//! Durable state on one machine: the segment log and the operational store.
//!
//! Not for many machines. Invariants: an append that returned is durable; the store on disk is always one
//! whole checkpoint, at a position of the log.

mod lock;
pub mod log;
mod store;

pub use lock::FolderLock;
pub use log::{SegmentLog, SegmentLogOptions};
pub use store::{
    Backing, CheckpointFault, EmbeddedStore, FjallBacking, Row, SimBacking, StoreOptions, WriteBack,
};
