//! The lake through its door.

mod feed;
mod fill;
mod insights;
mod lake;
mod profiles;
mod query;
pub(crate) mod world;
