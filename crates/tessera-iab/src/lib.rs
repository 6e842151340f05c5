//! Decodes the advertising industry's consent strings: TCF, GPP and US Privacy. Pure.
//!
//! Not a policy: it says what a string states, and leaves to the caller what follows from it. Not an encoder, and no
//! copy of the vendor list: vendors and purposes are numbers here.
//!
//! Invariants: no input makes it panic; memory is proportional to the string, whose length has a limit
//! ([`TEXT_BYTES_MAX`]); what is damaged is an error, never "no answer". Errors name the part, the field and the
//! number found, and repeat at most one character of the string, because a consent string is personal data
//! (CJEU C-604/22, IAB Europe).
//!
//! References, all by IAB Tech Lab: "Transparency and Consent String with Global Vendor & CMP List Formats", 2.3
//! (April 2025; the string itself is unchanged in 2.4); "Global Privacy Platform String" 1.0 with its "Sections";
//! "U.S. Privacy String" 1.0.

mod bits;
mod error;
mod gpp;
mod sets;
mod tcf;
mod tcf_canada;
#[cfg(test)]
mod tests;
mod us;

pub use error::IabError;
pub use gpp::{Content, Gpp, Section, gpp};
pub use sets::{NumberSet, VendorSet};
pub use tcf::{Flaw, PublisherConsent, PublisherRestriction, RestrictionKind, Tcf, TcfVersion, tcf};
pub use tcf_canada::TcfCanada;
pub use us::{Answer, UsPrivacy, UsSection};

/// The longest string that is read, in bytes. A real one with every vendor and some restrictions has about 3 KiB.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
