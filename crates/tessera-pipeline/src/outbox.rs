//! Outbox rows: what a destination is still to get.

use serde::{Deserialize, Serialize};
use tessera_connect::Delivery;
use tessera_model::{DestinationName, Event, FragmentId, PurposeSet, SourceName, Timestamp};
use tessera_store::{Key, Table};

use crate::PipelineError;
use crate::view::place_key;

/// One event for one destination. Holds personal data; leaves only as `Permitted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Whose event it is: the gate is asked about the profile of this fragment when the row is sent.
    pub owner: FragmentId,
    /// The purposes that covered the event when it came.
    pub purposes: PurposeSet,
    /// Which source brought it.
    pub source: SourceName,
    /// De-duplication key for the receiver.
    pub message_id: String,
    /// When it happened.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// `track`, `identify`, ...
    pub call: String,
    /// The event as it came, as JSON.
    pub json: String,
}

/// The first eight bytes of a destination's keys.
pub(crate) fn prefix(destination: &DestinationName) -> [u8; 8] {
    let mut out = [0; 8];
    blake3::Hasher::new().update(destination.as_str().as_bytes()).finalize_xof().fill(&mut out);
    out
}

pub(crate) fn outbox_key(table: Table, destination: &DestinationName, position: u64, index: u32) -> Key {
    place_key(table, &prefix(destination), position, index)
}

/// The position and index in the key of an outbox row or dead letter.
pub(crate) fn place_of(key: &Key) -> Option<(u64, u32)> {
    let (position, index) = key.id().get(8..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*position), u32::from_be_bytes(index.try_into().ok()?)))
}

impl OutboxRow {
    pub(crate) fn of(event: &Event, owner: FragmentId, purposes: PurposeSet) -> Self {
        Self {
            owner,
            purposes,
            source: event.source.clone(),
            message_id: event.message_id.as_str().to_owned(),
            at: event.at,
            received_at: event.received_at,
            call: event.call.name().to_owned(),
            json: event.json.as_str().to_owned(),
        }
    }

    /// What is sent of it.
    pub(crate) fn delivery(
        &self,
        profile: String,
        (position, index): (u64, u32),
        replay: bool,
        json: String,
    ) -> Delivery {
        Delivery {
            message_id: self.message_id.clone(),
            profile,
            source: self.source.clone(),
            call: self.call.clone(),
            at: self.at,
            received_at: self.received_at,
            position,
            index,
            json,
            replay,
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, PipelineError> {
        postcard::to_stdvec(self)
            .map_err(|e| PipelineError::Stored { what: "outbox row", why: e.to_string() })
    }

    /// Reads a row back.
    ///
    /// # Errors
    /// [`PipelineError::Stored`].
    pub fn decode(bytes: &[u8]) -> Result<Self, PipelineError> {
        postcard::from_bytes(bytes)
            .map_err(|e| PipelineError::Stored { what: "outbox row", why: e.to_string() })
    }
}
