//! The HTTP shell: the tracking API that clients send to, the admin API, health, metrics, and their description.
//!
//! Not an engine: it parses at the edge, appends, waits, and shows what a decision permits. Invariants: 200 only
//! after the log is durable; memory for requests is bounded, beyond it the answer is 429 with `Retry-After`; a
//! write key can only write; no answer and no log line quotes personal data that its reader did not ask for by
//! name with an account that may. Reference: Segment's HTTP tracking API; RFC 9110, RFC 9112, the Fetch standard (CORS).

mod access;
mod api;
mod body;
mod edge;
mod error;
mod ingest;
mod metrics;
mod openapi;
mod queries;
mod routes;
mod serve;
mod shared;
mod system;
#[cfg(test)]
mod tests;
mod tls;

pub use access::{AccessSettings, Action, Audit, AuditEvent, Role, allows, role_reference};
pub use metrics::metric_reference;
pub use openapi::openapi;
pub use queries::{
    Answering, AskingEverybody, EverybodyAnswer, EverybodyAsked, Queries, QueryAnswer, QueryAsked,
    QueryRefusal, RecomputeAnswer, RecomputeAsked, Recomputing,
};
pub use routes::router;
pub use serve::{serve, serve_limited, serve_tls};
pub use shared::{Limits, Parts};
pub use tls::{Tls, TlsError};
