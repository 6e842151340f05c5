//! POSTs signed batches of events as JSON to a URL.
//!
//! Not a queue. Invariants: redirects are not followed, link-local and metadata addresses are never connected to,
//! and a reason quotes neither the URL nor the receiver's answer. Reference: `README.md` beside this file;
//! Stripe's and Svix's webhook signatures; the IETF draft `draft-ietf-httpapi-idempotency-key-header`.

pub(crate) mod address;
mod config;
mod map;
mod send;
mod sign;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::{ConfigError, Connector, Context, Destination};

/// The connector.
pub(super) const CONNECTOR: Connector = Connector {
    name: "webhook",
    summary: "POSTs signed batches of events as JSON to a URL",
    check: |config| config::Config::parse(config).map(drop),
    open,
};

fn open(context: &Context, config: &Map<String, Value>) -> Result<Box<dyn Destination>, ConfigError> {
    Ok(Box::new(send::Webhook::new(context, config::Config::parse(config)?)))
}
