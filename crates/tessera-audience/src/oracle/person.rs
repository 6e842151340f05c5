//! All that is known of a person.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tessera_model::{ConsentStatus, PurposeName, SubscriptionState, Timestamp};

/// All that is known of a person. Personal data: `Debug` tells how much there is, not what.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The profile's id.
    pub id: String,
    /// Every event. A message that stands here twice counts once.
    #[serde(default)]
    pub events: Vec<Happened>,
    /// The traits, as the profile shows them.
    #[serde(default)]
    pub traits: serde_json::Map<String, serde_json::Value>,
    /// The traits of each account that the person belongs to.
    #[serde(default)]
    pub accounts: Vec<serde_json::Map<String, serde_json::Value>>,
    /// The word on each purpose that decides.
    #[serde(default)]
    pub consents: BTreeMap<PurposeName, ConsentStatus>,
    /// The state of each contact point.
    #[serde(default)]
    pub subscriptions: Vec<Subscribed>,
}

/// One event.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// What makes a repeat known.
    pub message_id: String,
    /// The event's name, or its call's.
    pub name: String,
    /// When it happened, as it says.
    pub timestamp: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its properties; of identify and group calls its traits.
    #[serde(default)]
    pub properties: serde_json::Value,
    /// Its context.
    #[serde(default)]
    pub context: serde_json::Value,
}

impl Happened {
    /// When it counts: at its timestamp, or when it arrived if that is earlier.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.timestamp.min(self.received_at)
    }
}

/// The state of one contact point.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribed {
    /// `email`, `sms`, ...
    pub channel: String,
    /// The topic; empty: the channel as a whole.
    #[serde(default)]
    pub topic: String,
    /// The state.
    pub state: SubscriptionState,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, traits) = (self.events.len(), self.traits.len());
        write!(f, "<person with {events} events and {traits} traits>")
    }
}

impl fmt::Debug for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<event>")
    }
}

impl fmt::Debug for Subscribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<subscription>")
    }
}
