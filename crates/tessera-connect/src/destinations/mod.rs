//! Every connector, one folder each.

use crate::Connector;

/// Every connector there is.
pub const CONNECTORS: &[Connector] = &[];
