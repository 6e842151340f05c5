//! The lake through its door.

mod feed;
mod fill;
mod insights;
mod lake;
mod query;
pub(crate) mod world;
