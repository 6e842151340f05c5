//! What the engine sees of an event.

use tessera_model::{Call, Event, MessageKey, Timestamp};

/// One event of a person.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    /// Its name, or its call's for all but track calls.
    pub name: &'a str,
    /// Whether its paths start in `traits`: it is an identify or a group call.
    pub in_traits: bool,
    /// When it happened.
    pub at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its message id, for those who ask why.
    pub message: &'a MessageKey,
    /// The whole event.
    pub json: &'a str,
}

impl<'a> EventView<'a> {
    /// Of an event; `message` is the key of its message id.
    #[must_use]
    pub fn of(event: &'a Event, message: &'a MessageKey) -> Self {
        Self {
            name: event.name(),
            in_traits: matches!(event.call, Call::Identify { .. } | Call::Group { .. }),
            at: event.at,
            received_at: event.received_at,
            message,
            json: event.json.as_str(),
        }
    }

    /// The time at which it counts: nothing that arrived can be in the future.
    pub(crate) fn counts_at(&self) -> i64 {
        self.at.min(self.received_at).as_millis()
    }
}
