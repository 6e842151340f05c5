//! The lake through its door.

mod feed;
mod fill;
mod insights;
mod lake;
mod numbered;
mod profiles;
mod query;
mod standing;
mod utc;
pub(crate) mod world;
