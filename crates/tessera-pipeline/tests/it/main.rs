//! The pipeline against the in-memory log and store: what becomes of events, and what must always hold.

mod properties;
mod scenarios;
mod world;
