//! What every implementation of a seam must do, as plain functions that its tests call.
//!
//! Not for production code: a broken promise is a panic that names it.

pub mod log;
pub mod store;
