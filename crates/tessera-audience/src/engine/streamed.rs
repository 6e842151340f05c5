//! A person whose whole history was streamed: what audits, simulators and tests hold against the [`Oracle`](crate::Oracle).
//!
//! Not how a server keeps people: there the states are part of fragments, and the gate is asked first. Here every purpose
//! sees everything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tessera_model::{ConsentStatus, MessageId, MessageKey, PurposeName, SubscriptionState, Timestamp};

use super::compile::Compiled;
use super::event::EventView;
use super::state::FragmentState;
use super::view::View;
use crate::{Happened, Person};

/// A person whose whole history was streamed.
#[derive(Clone, Debug)]
pub struct Streamed<'p> {
    person: &'p Person,
    states: Vec<FragmentState>,
    traits: BTreeMap<&'p str, String>,
    accounts: Vec<BTreeMap<&'p str, String>>,
}

impl<'p> Streamed<'p> {
    /// Nothing has happened yet; the events will be those of so many fragments.
    #[must_use]
    pub fn new(person: &'p Person, fragments: usize) -> Self {
        let texts = |traits: &'p serde_json::Map<String, Value>| {
            traits.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect()
        };
        Self {
            person,
            states: vec![FragmentState::default(); fragments.max(1)],
            traits: texts(&person.traits),
            accounts: person.accounts.iter().map(texts).collect(),
        }
    }

    /// Streams all events in the order in which they stand, each message once.
    #[must_use]
    pub fn stream(mut self, compiled: &Compiled) -> Self {
        let mut seen = BTreeSet::new();
        let once = self.person.events.iter().filter(|event| seen.insert(event.message_id.as_str()));
        once.for_each(|event| self.apply(compiled, event));
        self
    }

    fn apply(&mut self, compiled: &Compiled, event: &Happened) {
        let Ok(id) = MessageId::parse(&event.message_id) else { return };
        let message = MessageKey::from(&id);
        let in_traits = matches!(event.name.as_str(), "identify" | "group");
        let part = if in_traits { "traits" } else { "properties" };
        let json = json!({ part: event.properties, "context": event.context }).to_string();
        let view = EventView {
            name: &event.name,
            in_traits,
            at: event.timestamp,
            received_at: event.received_at,
            message: &message,
            json: &json,
        };
        // The same whatever the order of events.
        let place = event.message_id.bytes().map(usize::from).sum::<usize>() % self.states.len();
        if let Some(state) = self.states.get_mut(place) {
            state.apply(compiled, &view);
        }
    }

    /// Forgets what no window at `now` or later can need.
    pub fn sweep(&mut self, compiled: &Compiled, now: Timestamp) {
        self.states.iter_mut().for_each(|state| state.sweep(compiled, now));
    }

    /// What is kept, fragment by fragment.
    #[must_use]
    pub fn states(&self) -> &[FragmentState] {
        &self.states
    }
}

impl View for Streamed<'_> {
    fn id(&self) -> &str {
        &self.person.id
    }

    fn states(&self, _: &PurposeName) -> Vec<&FragmentState> {
        self.states.iter().collect()
    }

    fn trait_of(&self, _: &PurposeName, name: &str) -> Option<&str> {
        self.traits.get(name).map(String::as_str)
    }

    fn accounts(&self, _: &PurposeName, name: &str) -> Vec<&str> {
        self.accounts.iter().filter_map(|account| account.get(name).map(String::as_str)).collect()
    }

    fn consent(&self, of: &PurposeName) -> Option<ConsentStatus> {
        self.person.consents.get(of).copied()
    }

    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)> {
        let all = self.person.subscriptions.iter();
        all.map(|one| (one.channel.as_str(), one.topic.as_str(), one.state)).collect()
    }
}
