//! Decides what a purpose lets be done with a person's data. Pure.
//!
//! Not a store of consent: records come in as arguments. Invariants: unknown, missing or conflicting means no;
//! there is no default-allow; a [`Permitted`] value exists only because a decision said yes, and nobody outside
//! this crate can build one. Reference: GDPR Art. 6(1); W3C DPV consent statuses.

mod consent;
mod decision;
#[cfg(test)]
mod fixture;
mod forbid;
mod gate;
mod grant;
mod labels;
mod mapped;
mod screen;
mod screen_pass;
#[cfg(test)]
mod screen_tests;
mod subject_right;
mod tree;
mod until;
mod word;

pub use consent::{ConsentRecord, Consents, Subscription};
pub use decision::{Act, Denial, Permit, Permitted, Proof, decide, decide_channel, is_in_time};
pub use forbid::{CONTRACT, Ground, Why};
pub use gate::{admit, covering};
pub use grant::Grant;
pub use labels::{Labels, Mask, Origin};
pub use mapped::forbidden_mappings;
pub use screen::{Reason, Screen, Screened};
pub use subject_right::{CheckedLater, IdentityCheck, SubjectRight};
pub use until::{Reach, Standing, stands_until};
