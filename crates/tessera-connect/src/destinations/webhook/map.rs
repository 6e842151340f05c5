//! Our deliveries and notices as the bodies that a webhook gets. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use tessera_model::{DestinationName, Timestamp};

use crate::event_json::{EventJson, NotJson};
use crate::{Delivery, Forget};

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
    batch: &[&Delivery],
) -> Result<Vec<u8>, NotJson> {
    let events = batch.iter().map(|delivery| EventJson::of(delivery)).collect::<Result<_, _>>()?;
    serde_json::to_vec(&Body { destination, sent_at, events }).map_err(|_| NotJson)
}

#[derive(Serialize)]
struct Notice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    destination: &'a DestinationName,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    sent_at: Timestamp,
    request: &'a str,
    regulation: &'a str,
    profiles: &'a BTreeSet<String>,
    message_ids: &'a BTreeSet<String>,
}

/// The body of a notice, as JSON.
pub(super) fn notice(
    destination: &DestinationName,
    sent_at: Timestamp,
    notice: &Forget,
) -> Result<Vec<u8>, NotJson> {
    let Forget { request, regulation, kind, profiles, message_ids, .. } = notice;
    let kind = kind.as_str();
    let body = Notice { kind, destination, sent_at, request, regulation, profiles, message_ids };
    serde_json::to_vec(&body).map_err(|_| NotJson)
}

#[derive(Serialize)]
struct Alert<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    destination: &'a DestinationName,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    sent_at: Timestamp,
    alert: &'a serde_json::Value,
}

/// The body of an alert, as JSON.
pub(super) fn alert(
    destination: &DestinationName,
    sent_at: Timestamp,
    alert: &serde_json::Value,
) -> Result<Vec<u8>, NotJson> {
    serde_json::to_vec(&Alert { kind: "alert", destination, sent_at, alert }).map_err(|_| NotJson)
}
