//! One person as a reader sees them, for each purpose of the definitions that are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use tessera_audience::{Compiled, EventView, FragmentState, Happened, View};
use tessera_model::{ConsentStatus, MessageId, MessageKey, PurposeName, SubscriptionState, Timestamp};
use tessera_policy::Permitted;
use tessera_profile::Profile;

/// What the reader sees of a person for one purpose.
#[derive(Default)]
struct Sight {
    state: FragmentState,
    seen: BTreeSet<MessageKey>,
    traits: BTreeMap<String, Box<RawValue>>,
    accounts: Vec<BTreeMap<String, Box<RawValue>>>,
}

/// What an event was called, and its message id if the reader sees that.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) message_id: Option<String>,
}

/// One person. Personal data: `Debug` shows none.
pub(super) struct Seen {
    pub(super) id: String,
    /// For the purpose that was asked first.
    pub(super) profile: Option<Permitted<Profile>>,
    sights: BTreeMap<PurposeName, Sight>,
    consents: BTreeMap<PurposeName, ConsentStatus>,
    subscriptions: Vec<(String, String, SubscriptionState)>,
    called: BTreeMap<(Timestamp, MessageKey), Called>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen(<redacted>)")
    }
}

/// An event as queries answer it.
#[derive(Deserialize)]
pub(super) struct EventRow {
    pub(super) profile_id: String,
    /// Null for who does not see identifiers.
    message_id: Option<String>,
    #[serde(rename = "type")]
    call: String,
    event: Option<String>,
    timestamp: String,
    received_at: String,
    properties: Option<String>,
    traits: Option<String>,
    context: Option<String>,
}

impl EventRow {
    /// The columns that it is made of.
    pub(super) const COLUMNS: &str =
        "profile_id, message_id, type, event, timestamp, received_at, properties, traits, context";
}

impl Seen {
    pub(super) fn new(id: String) -> Self {
        Self {
            id,
            profile: None,
            sights: BTreeMap::new(),
            consents: BTreeMap::new(),
            subscriptions: Vec::new(),
            called: BTreeMap::new(),
        }
    }

    /// What a purpose permits of the profile, and of the accounts.
    pub(super) fn add_profile(
        &mut self,
        purpose: &PurposeName,
        profile: &Profile,
        accounts: Vec<BTreeMap<String, Box<RawValue>>>,
    ) {
        let sight = self.sights.entry(purpose.clone()).or_default();
        (sight.traits, sight.accounts) = (profile.traits.clone(), accounts);
        self.consents.extend(profile.consents.iter().map(|(of, word)| (of.clone(), word.status)));
        self.subscriptions = profile
            .subscriptions
            .iter()
            .map(|one| (one.channel.clone(), one.topic.clone(), one.state))
            .collect();
    }

    /// Counts an event for a purpose. `number` stands for a message id that the reader does not see.
    pub(super) fn add_event(
        &mut self,
        compiled: &Compiled,
        purpose: &PurposeName,
        row: &EventRow,
        number: usize,
    ) {
        let Some(sight) = self.sights.get_mut(purpose) else { return };
        let id = row.message_id.clone().unwrap_or_else(|| format!("row-{number}"));
        let (Ok(id), Some(at), Some(received_at)) =
            (MessageId::parse(&id), Timestamp::parse(&row.timestamp), Timestamp::parse(&row.received_at))
        else {
            return;
        };
        let message = MessageKey::from(&id);
        if !sight.seen.insert(message.clone()) {
            return;
        }
        let in_traits = matches!(row.call.as_str(), "identify" | "group");
        let name = if row.call == "track" { row.event.as_deref().unwrap_or_default() } else { &row.call };
        let json = row.json(in_traits);
        let view = EventView { name, in_traits, at, received_at, message: &message, json: &json };
        sight.state.apply(compiled, &view);
        let called = Called { name: name.to_owned(), message_id: row.message_id.clone() };
        self.called.insert((at.min(received_at), message), called);
    }

    /// What an event was called.
    pub(super) fn called(&self, at: Timestamp, message: Option<&MessageKey>) -> Option<&Called> {
        match message {
            Some(message) => self.called.get(&(at, message.clone())),
            // Of a sequence's step only the time may be remembered.
            None => {
                let mut all = self.called.range((at, MessageKey::Uuid([0; 16]))..);
                all.next().filter(|((known, _), _)| *known == at).map(|(_, called)| called)
            }
        }
    }

    /// Whether a purpose permits anything of the person.
    pub(super) fn is_seen_for(&self, purpose: &PurposeName) -> bool {
        self.sights.contains_key(purpose)
    }

    pub(super) fn all_states(&self) -> impl Iterator<Item = &FragmentState> {
        self.sights.values().map(|sight| &sight.state)
    }
}

impl EventRow {
    /// The event as the oracle takes it. `None`: it has no message id, or a time is none.
    pub(super) fn happened(&self) -> Option<Happened> {
        let value = |text: &Option<String>| {
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let in_traits = matches!(self.call.as_str(), "identify" | "group");
        let name = if self.call == "track" { self.event.as_deref().unwrap_or_default() } else { &self.call };
        Some(Happened {
            message_id: self.message_id.clone()?,
            name: name.to_owned(),
            timestamp: Timestamp::parse(&self.timestamp)?,
            received_at: Timestamp::parse(&self.received_at)?,
            properties: value(if in_traits { &self.traits } else { &self.properties }),
            context: value(&self.context),
        })
    }

    fn json(&self, in_traits: bool) -> String {
        let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "{}".to_owned());
        let (name, own) = if in_traits { ("traits", &self.traits) } else { ("properties", &self.properties) };
        format!("{{\"{name}\":{},\"context\":{}}}", part(own), part(&self.context))
    }
}

impl View for Seen {
    fn id(&self) -> &str {
        &self.id
    }

    fn permits(&self, purpose: &PurposeName) -> bool {
        self.is_seen_for(purpose)
    }

    fn states(&self, purpose: &PurposeName) -> Vec<&FragmentState> {
        self.sights.get(purpose).map(|sight| &sight.state).into_iter().collect()
    }

    fn trait_of(&self, purpose: &PurposeName, name: &str) -> Option<&str> {
        Some(self.sights.get(purpose)?.traits.get(name)?.get())
    }

    fn accounts(&self, purpose: &PurposeName, name: &str) -> Vec<&str> {
        let accounts = self.sights.get(purpose).into_iter().flat_map(|sight| &sight.accounts);
        accounts.filter_map(|account| Some(account.get(name)?.get())).collect()
    }

    fn consent(&self, of: &PurposeName) -> Option<ConsentStatus> {
        self.consents.get(of).copied()
    }

    fn subscriptions(&self) -> Vec<(&str, &str, SubscriptionState)> {
        let all = self.subscriptions.iter();
        all.map(|(channel, topic, state)| (channel.as_str(), topic.as_str(), *state)).collect()
    }
}
