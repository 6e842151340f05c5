//! A delivery as JSON, the same for every destination that sends JSON.

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_model::{SourceName, Timestamp};

use crate::{Delivery, Outcome};

/// A delivery as receivers see it: what Tessera knows of the event, and the event as it came.
#[derive(Serialize)]
pub(crate) struct EventJson<'a> {
    message_id: &'a str,
    profile: &'a str,
    source: &'a SourceName,
    call: &'a str,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    at: Timestamp,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    received_at: Timestamp,
    event: &'a RawValue,
}

/// The text of a stored event is not JSON. Ingest lets none in, so the store is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl From<NotJson> for Outcome {
    fn from(_: NotJson) -> Self {
        Self::refused("the stored event is not JSON")
    }
}

impl<'a> EventJson<'a> {
    pub(crate) fn of(delivery: &'a Delivery) -> Result<Self, NotJson> {
        Ok(Self {
            message_id: &delivery.message_id,
            profile: &delivery.profile,
            source: &delivery.source,
            call: &delivery.call,
            at: delivery.at,
            received_at: delivery.received_at,
            event: serde_json::from_str(&delivery.json).map_err(|_| NotJson)?,
        })
    }
}
