//! The vocabulary of Tessera.
mod time;
pub use time::Timestamp;
