//! The evidence ledger: what left, why it might, who read it, and what was changed, in a hash-chained, signed,
//! append-only text that a stranger can check.
//!
//! Not a log: nothing is made from it, and no decision reads it. Invariants: an append that returned is on
//! disk; a line is never changed; no line holds personal data in clear. Reference:
//! `docs/reference/evidence-format.md`; GDPR Art. 5(2) (accountability) and 30.

mod chain;
mod disk;
mod entry;
mod error;
mod export;
mod folder;
mod format;
mod ledger;
mod read;
mod recover;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use chain::Fault;
pub use entry::{
    Access, AccessResult, Change, Checkpoint, Consent, Delivery, Disclosure, Entry, Erasure, Export, Kind,
    Notice, NoticeStatus, Outcome, OutcomeStatus, Right, Withheld,
};
pub use error::EvidenceError;
pub use export::Exported;
pub use folder::FolderReader;
pub use format::{
    APPEND_ENTRIES_MAX, CHECKPOINT_ENTRIES, FORMAT_VERSION, Hash, LINE_BYTES_MAX, key_id, public_key_of,
};
pub use ledger::{CHECKPOINT_SECONDS, Head, Ledger};
pub use read::{Filter, Line};
pub use recover::Recovery;
pub use verify::{Form, Verified, VerifyError, verify};
pub use writer::SEGMENT_BYTES_MAX;
