//! The pipeline against the in-memory log and store: what becomes of events, and what must always hold.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod accounts;
mod audiences;
mod contracts;
mod governance;
mod groups;
mod identity;
mod links;
mod properties;
mod quality;
mod scenarios;
mod simulate;
mod sizes;
mod survivorship;
mod undo;
mod world;
