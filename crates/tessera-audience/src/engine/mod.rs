//! The streaming engine: what is kept of a person's events, and what follows from it at any time.
//!
//! Not the oracle, which walks a whole history plainly: the two share the definitions and nothing else. Invariants: what
//! is kept of a fragment follows from the set of its events; an answer follows from the fragments, the traits, what was
//! said of consent, and `now`. Reference: `docs/adr/0020-audiences-stream.md`.

mod amount;
mod asked;
mod cells;
mod check;
mod compile;
mod dates;
mod evaluate;
mod event;
mod explain;
mod extract;
mod feature;
mod lower;
mod nobody;
mod plan;
mod sequence;
mod span;
mod state;
mod streamed;
mod taken;
mod view;

pub use compile::{Change, CompileError, Compiled, DefinitionName, Ordinal, Touched};
pub use evaluate::{Answer, Outcome};
pub use event::EventView;
pub use explain::{Because, REASON_EVENTS_MAX, Reason};
pub use feature::FeatureId;
pub use state::FragmentState;
pub use streamed::Streamed;
pub use view::View;

#[cfg(test)]
mod tests;
