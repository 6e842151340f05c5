//! Who asks the admin API, what they may do, and what they may see.
//!
//! Accounts are kept through the log, as everything else; sessions, failures and rates are in memory. Invariants:
//! no credential is kept in clear or shown twice; an account that was removed, or whose token was changed, is
//! refused at once by this server, and by others within [`state::FRESH`].
//! Reference: OWASP Authentication, Session Management and Password Storage Cheat Sheets; RFC 6750.

pub(crate) mod accounts;
mod address;
mod audit;
mod credential;
mod directory;
mod guard;
mod limits;
mod role;
mod session;
pub(crate) mod sign_in;
mod state;
mod viewer;

pub(crate) use accounts::{list, put, remove, rotate, show};
pub(crate) use address::Peer;
pub(crate) use audit::ErrorCode;
pub use audit::{Audit, AuditEvent};
pub(crate) use guard::{GuardedRoute, Need, guard};
pub use role::{Action, Role, allows, role_reference};
pub(crate) use state::Access;
pub use state::AccessSettings;
pub(crate) use viewer::Viewer;
