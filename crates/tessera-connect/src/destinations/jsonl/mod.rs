//! Appends events to a JSON Lines file, each exactly once.
//!
//! Not an archive of all events: that is the lake. Invariants: a batch is durable before it counts as delivered;
//! an event that the file holds is not written again after a crash; a file that Tessera did not write is never
//! changed. Reference: `README.md` beside this file; <https://jsonlines.org>.

mod config;
mod erase;
#[cfg(test)]
mod erase_tests;
mod map;
mod recover;
mod send;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::{ConfigError, Connector, Context, Destination};

/// The most lines that are written before they are made durable.
const BATCH_MAX: usize = 1000;

/// The connector.
pub(super) const CONNECTOR: Connector = Connector {
    name: "jsonl",
    summary: "appends events to a JSON Lines file, each exactly once",
    check: |config| config::Config::parse(config).map(drop),
    open,
};

fn open(context: &Context, config: &Map<String, Value>) -> Result<Box<dyn Destination>, ConfigError> {
    Ok(Box::new(send::Jsonl::new(context, &config::Config::parse(config)?)))
}
