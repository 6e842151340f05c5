//! The identity graph: who is the same person, on what evidence, and how to take it back. Pure.
//!
//! Not a matcher: evidence comes in as arguments. A [`Graph`] is one *cluster*: all identifiers that any evidence,
//! accepted or refused, holds together. Which of them are one profile is computed from the set of edges alone
//! ([`Graph::resolve`]), in the order (strength, score, time, message id), so neither the order of arrival nor repetition
//! matters, and taking evidence away leaves what there would be without it. An identifier that stands with too many people
//! is *shared*: it holds nobody together, and brings no more clusters together ([`Stub`]).
//!
//! Invariants: no two identifiers of a profile break a namespace's limit unless a person declared them the same;
//! a cluster has at most [`CLUSTER_NODES_MAX`] identifiers and stubs. Reference: Kruskal's algorithm over evidence; limits
//! as in Segment Unify.

mod evidence;
#[cfg(test)]
mod fixture;
mod graph;
mod refusal;
mod resolve;
#[cfg(test)]
mod resolve_tests;
mod shared;
mod union;
mod words;
#[cfg(test)]
mod words_tests;

pub use evidence::{Evidence, Judgement, Undone, Word};
pub use graph::{CLUSTER_NODES_MAX, Edge, Graph, Linked, Node};
pub use refusal::{Refusal, RefusalReason};
pub use shared::Stub;
pub use tessera_model::{Score, Selector, Strength, UndoId, Verdict};
