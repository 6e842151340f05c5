//! Every connector, one folder each.

mod jsonl;
pub(crate) mod webhook;

use crate::Connector;

/// Every connector there is.
pub const CONNECTORS: &[Connector] = &[jsonl::CONNECTOR, webhook::CONNECTOR];
