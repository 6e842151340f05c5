//! The lake through its door.

mod feed;
mod fill;
mod lake;
mod query;
pub(crate) mod world;
