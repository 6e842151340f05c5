//! How good the data is: what a walk over all profiles counts, what it is worth, what to do about it, and how it changes.
//! Pure.
//!
//! Not the walk: profiles are handed over one by one. Not a gate: nothing that names a person comes out, only counts and
//! masked shapes that many share. Invariants: memory is bounded however many profiles there are; the order in which
//! profiles come does not show, nor how surveys are put together. Reference: ISO/IEC 25012's dimensions of data quality;
//! Flajolet et al., HyperLogLog; `docs/adr/0017-survivorship-and-quality.md`.

mod audit;
mod contacts;
mod duplicates;
mod field;
mod finding;
mod kind;
mod page;
mod person;
mod report;
mod shape;
mod survey;
#[cfg(test)]
mod tests;
mod values;

pub use audit::{Audit, Fall, SourceScore, falls};
pub use duplicates::{DuplicateKey, DuplicateReport, Pair};
pub use finding::{Finding, FindingKind, Severity};
pub use page::html;
pub use person::{Person, Record, Said};
pub use report::{
    AgeReport, ContactReport, FieldReport, Report, ShapeReport, SourceReport, TraitReport, Usage,
};
pub use survey::{FIELDS_MAX, SOURCES_MAX, Survey};
