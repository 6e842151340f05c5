//! Data contracts: what events a source may send, and of what shape. Tracking plans compiled, checked, learnt, compared.
//!
//! Not a gate: a plan says what is well formed, never what may be kept. Invariants: a check is a function of plan and
//! event; a violation names a path, a keyword and what was expected, and never a value; a schema that compiles
//! costs a bounded time per event. Reference: JSON Schema 2020-12 and draft 7; Segment Protocols, Snowplow's bad rows,
//! mParticle's data plans.

mod alert;
mod compare;
mod contract;
mod document;
mod infer;
mod inspect;
mod observe;
mod schema;
mod tally;
#[cfg(test)]
mod tests;
mod violation;

pub use alert::{AlertKind, Surprise, surprises};
pub use compare::{Change, Difference, compare};
pub use contract::{Checked, Contract, Kind, Planned, PlannedCall, Strip};
pub use document::{
    Expectation, OnViolation, PlanProblem, PlannedEvent, Range, TrackingPlanDocument, TrackingPlanKind,
};
pub use infer::{LearnOptions, Learner};
pub use observe::{EVENTS_SEEN_MAX, EventSeen, PropertySeen, hour_of};
pub use schema::{Schema, SchemaProblem};
pub use tally::{Tally, ViolationTally};
pub use violation::{Violation, looks_like_a_name, looks_like_an_event};
