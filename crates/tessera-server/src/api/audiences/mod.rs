//! Audiences for people: what is defined, what a definition would do, why somebody is a member.
//!
//! Not what keeps members: that is the pipeline. Whatever is told of people is made from what the reader sees of them for the
//! purposes of the definitions: profiles through their gate, events through that of queries. So a definition finds nothing that
//! the reader may not see, and there is no gate of its own here.

mod asked;
pub(crate) mod audit;
pub(crate) mod check;
mod everybody;
pub(crate) mod explain;
pub(crate) mod export;
mod fields;
pub(crate) mod list;
mod looking;
pub(crate) mod members;
pub(crate) mod overlap;
pub(crate) mod preview;
pub(crate) mod recompute;
mod seen;
pub(crate) mod size;
mod tally;
mod whole;

pub(crate) use fields::forbidden_fields;
