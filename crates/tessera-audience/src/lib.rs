//! Audiences and computed traits: the language they are defined in, and what follows from it.
//!
//! Not a store and not a scheduler: nothing here keeps people or tells the time. Invariant: membership is a function of
//! what is known of a person and of `now`. Reference: Segment's Engage audiences and computed traits, Adobe's segment
//! definitions; `docs/reference/audiences.md` for what each part means.

mod ast;
pub mod cases;
mod check;
mod definitions;
mod engine;
mod oracle;
mod schema;
mod text;
mod workspace;

pub use ast::*;
pub use check::{
    CONDITIONS_MAX, Cost, DEPTH_MAX, Finding, Known, LIST_MAX, STEPS_MAX, UNITS_MAX, Uses, check,
};
pub use definitions::Definitions;
pub use engine::*;
pub use oracle::{Happened, Oracle, Person, Subscribed};
pub use schema::{audience_schema, computed_trait_schema};
pub use text::{TEXT_BYTES_MAX, TextError, nearest};
pub use workspace::definitions;
