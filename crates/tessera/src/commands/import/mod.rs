//! `tessera import`: rows of a file become events of a source.
//!
//! The rows and their mapping are in [`rows`], which knows no server. Here: options, the journal, and the thread
//! that sends while this one reads.

mod assemble;
mod journal;
mod options;
mod report;
pub(crate) mod rows;
mod run;
mod send;

#[cfg(test)]
mod tests;

pub(crate) use self::options::{Import, Reading, failure};
pub(crate) use self::rows::{CsvRows, Trouble, decode, unpack};
