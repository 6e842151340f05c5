//! What the law asks on paper: data-subject requests and their clocks, OpenDSR and the Data Rights Protocol,
//! consent receipts, records of processing, the policy report, and which article each feature serves.
//!
//! Not the doing and not the deciding: nothing here reads a profile, erases one or permits a use. Invariant: every
//! function is pure; time, ids and the calendar are arguments.

mod basis;
mod catalogue;
mod clock;
pub mod drp;
mod effect;
mod html;
pub mod laws;
pub mod opendsr;
mod policy_report;
pub mod receipt;
pub mod records;
mod request;
mod wire;

pub use basis::{BasisNames, basis_names};
pub use clock::{Calendar, CalendarError, Clock, Deadlines, Term, clock, deadlines};
pub use effect::{consent_orders, may_be_overruled, portable_purposes};
pub use html::Page;
pub use jiff::civil::{Date, Weekday};
pub use policy_report::{Finding, Severity, Usage, policy_report};
pub use request::{
    Action, Actor, DenialReason, IdError, IdentityProof, Opening, Regime, Request, RequestError, RequestType,
    Status, Step, SubjectRequestId, Told, apply,
};
pub use wire::WireError;
