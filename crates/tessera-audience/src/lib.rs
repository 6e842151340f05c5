//! Audiences and computed traits: the language they are defined in, and what follows from it.
//!
//! Not a store and not a scheduler: nothing here keeps people or tells the time. Invariant: membership is a function of
//! what is known of a person and of `now`. Reference: Segment's Engage audiences and computed traits, Adobe's segment
//! definitions; `docs/reference/audiences.md` for what each part means.

mod ast;
pub mod cases;
mod definitions;
mod engine;
mod oracle;

pub use ast::*;
pub use definitions::Definitions;
pub use engine::*;
pub use oracle::{Happened, Oracle, Person, Subscribed};
