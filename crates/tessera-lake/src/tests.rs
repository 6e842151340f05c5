//! The lake through its door.

mod feed;
mod lake;
mod query;
pub(crate) mod world;
