//! Our deliveries as the body that a webhook gets. Pure.

use serde::Serialize;
use tessera_model::{DestinationName, Timestamp};
use tessera_policy::Permitted;

use crate::Delivery;
use crate::event_json::{EventJson, NotJson};

#[derive(Serialize)]
struct Body<'a> {
    destination: &'a DestinationName,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    sent_at: Timestamp,
    events: Vec<EventJson<'a>>,
}

/// The body of one request, as JSON.
pub(super) fn body(
    destination: &DestinationName,
    sent_at: Timestamp,
    batch: &[Permitted<Delivery>],
) -> Result<Vec<u8>, NotJson> {
    let events = batch.iter().map(|delivery| EventJson::of(delivery.get())).collect::<Result<_, _>>()?;
    serde_json::to_vec(&Body { destination, sent_at, events }).map_err(|_| NotJson)
}
