//! What the log must come to: a plain model of gate, de-duplication, identity and fold.
//!
//! Not the product's code and not its data: it sees messages and never bytes. Invariant: a function of what
//! [`Expected::request`] and [`Expected::operation`] were told, in that order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tessera_audience::{Happened, Person};
use tessera_model::{
    LinkOrder, MessageId, MessageKey, OFFICE, Operation, RejectCode, Selector, Strength, Timestamp,
};
use tessera_pipeline::RejectId;

use super::message::{Address, Kind, MATCHER, Message, NEWS, Part, Request, SERVICE, Said, Source};
use super::people::{People, Weight};

/// A reject that must be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedReject {
    pub(crate) code: RejectCode,
    pub(crate) source: String,
    pub(crate) payload: String,
    pub(crate) is_body: bool,
}

/// An event that joined a profile.
#[derive(Debug)]
struct Joined {
    owner: Address,
    name: &'static str,
    at: i64,
    received_at: i64,
    message: String,
    traits: Vec<(String, Value)>,
    purposes: Vec<&'static str>,
}

/// The last time that a yes and a no were said.
#[derive(Clone, Copy, Debug, Default)]
struct Words {
    yes: Option<i64>,
    no: Option<i64>,
}

impl Words {
    /// The last word; of two at the same time, the stricter.
    fn last(self) -> Option<bool> {
        match self {
            Self { yes: None, no: None } => None,
            Self { yes, no } => Some(yes > no),
        }
    }
}

/// The state that the log so far must come to.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) unknown_categories: u64,
    pub(crate) rejected: BTreeMap<String, u64>,
    pub(crate) denied: BTreeMap<String, u64>,
    /// Those that nobody has closed.
    pub(crate) rejects: BTreeMap<RejectId, ExpectedReject>,
    pub(crate) people: People,
    words: BTreeMap<Address, Words>,
    joined: Vec<Joined>,
    /// The time of the latest record.
    pub(crate) time: i64,
    /// Owners and ids of the messages that joined.
    pub(crate) seen: BTreeSet<(Address, String)>,
}

impl Expected {
    /// A request landed in the log.
    pub(crate) fn request(&mut self, position: u64, received_at: i64, request: &Request) {
        self.time = self.time.max(received_at);
        if let Some(code) = request.whole {
            let payload = String::from_utf8_lossy(&request.body).into_owned();
            let source = request.source.name().to_owned();
            let reject = ExpectedReject { code, source, payload, is_body: true };
            self.reject(RejectId { position, index: 0 }, reject);
        }
        for (index, part) in (0_u32..).zip(&request.parts) {
            match part {
                Part::Good(message) => self.message(message, (request.at(message, received_at), received_at)),
                Part::Bad { bytes, code } => {
                    let payload = String::from_utf8_lossy(bytes).into_owned();
                    let source = request.source.name().to_owned();
                    let reject = ExpectedReject { code: *code, source, payload, is_body: false };
                    self.reject(RejectId { position, index }, reject);
                }
            }
        }
    }

    /// An order landed in the log.
    pub(crate) fn operation(&mut self, position: u64, at: i64, operation: &Operation) {
        self.time = self.time.max(at);
        match operation {
            Operation::Reject { source, code, payload, .. } => {
                let (source, payload) = (source.to_string(), payload.clone());
                let reject = ExpectedReject { code: *code, source, payload, is_body: false };
                self.reject(RejectId { position, index: 0 }, reject);
            }
            Operation::CloseReject { position, index } => {
                self.rejects.remove(&RejectId { position: *position, index: *index });
            }
            Operation::Link { pairs } => {
                for (number, order) in pairs.iter().enumerate() {
                    self.link(order, at, (position, number));
                }
            }
            Operation::Judge { a, b, verdict, .. } => {
                if let (Some(a), Some(b)) = (self.people.find(*a), self.people.find(*b)) {
                    self.people.judge(&a, &b, *verdict, at);
                }
            }
            Operation::Undo { id, selector: Selector::Edge { a, b }, .. } => {
                if let (Some(a), Some(b)) = (self.people.find(*a), self.people.find(*b)) {
                    self.people.undo(*id, &a, &b, at);
                }
            }
            Operation::Redo { id, .. } => self.people.redo(*id),
            // The same workspace again, and nobody orders anything else here.
            Operation::Apply { .. }
            | Operation::ApplySealed { .. }
            | Operation::Consents { .. }
            | Operation::Rectify { .. }
            | Operation::Erase { .. }
            | Operation::LiftErasure { .. }
            | Operation::Expire { .. }
            | Operation::PutAccount { .. }
            | Operation::RemoveAccount { .. }
            | Operation::PutRequest { .. }
            | Operation::PutAudit { .. }
            | Operation::PutModel { .. }
            | Operation::Tick {}
            | Operation::FillAudience { .. }
            | Operation::AudienceFilled { .. }
            | Operation::PutReviews { .. }
            | Operation::Undo { .. }
            | Operation::Resolve { .. }
            | Operation::PutAlert { .. }
            | Operation::Split { .. } => {}
        }
    }

    fn link(&mut self, order: &LinkOrder, at: i64, (position, number): (u64, usize)) {
        let Ok(id) = MessageId::parse(&format!("order-{position}-{number}")) else { return };
        let weight = Weight {
            strength: order.strength,
            score: Reverse(order.score),
            at: order.at.as_millis().min(at),
            message: MessageKey::from(&id),
            source: if order.strength == Strength::Manual { OFFICE } else { MATCHER },
            received_at: at,
        };
        if let (Some(a), Some(b)) = (self.people.find(order.a), self.people.find(order.b)) {
            self.people.link(&a, &b, weight);
        }
    }

    fn reject(&mut self, id: RejectId, reject: ExpectedReject) {
        *self.rejected.entry(reject.code.to_string()).or_default() += 1;
        self.rejects.insert(id, reject);
    }

    fn message(&mut self, message: &Message, (at, received_at): (i64, i64)) {
        let Some(owner) = message.addresses.first() else { return };
        if self.seen.contains(&(owner.clone(), message.id.clone())) {
            self.duplicates += 1;
            return;
        }
        self.hear(message, at);
        let purposes = match self.admit(message) {
            Ok(purposes) => purposes,
            Err(reason) => {
                *self.denied.entry(reason.to_owned()).or_default() += 1;
                return;
            }
        };
        self.accepted += 1;
        self.seen.insert((owner.clone(), message.id.clone()));
        self.join(message, owner, (at, received_at));
        let traits = match &message.said {
            Said::Identify(traits) => traits.clone(),
            Said::Track(_) | Said::Page | Said::Alias(_) | Said::Consent => Vec::new(),
        };
        let (name, message) = (message.said.name(), message.id.clone());
        self.joined.push(Joined { owner: owner.clone(), name, at, received_at, message, traits, purposes });
    }

    /// Consent counts for every address on the message, whatever becomes of the message.
    fn hear(&mut self, message: &Message, at: i64) {
        for (category, yes) in &message.claims {
            if !message.source.is_news(category) {
                self.unknown_categories += 1;
                continue;
            }
            for address in &message.addresses {
                self.people.name(address, message.is_clear(address), at);
                let words = self.words.entry(address.clone()).or_default();
                let word = if *yes { &mut words.yes } else { &mut words.no };
                *word = (*word).max(Some(at));
            }
        }
    }

    fn admit(&mut self, message: &Message) -> Result<Vec<&'static str>, &'static str> {
        let everybody = self.people.everybody(&message.addresses);
        let news = self.permits_news(&everybody);
        match (message.source, news) {
            (Source::Web, _) | (_, Ok(())) => Ok(message.source.purposes().to_vec()),
            (Source::Till, Err(_)) => Ok(vec![SERVICE]),
            // What was said is proof, and kept though no purpose covers it.
            (Source::Form, Err(_)) if message.said == Said::Consent => Ok(Vec::new()),
            (Source::Form, Err(reason)) => Err(reason),
        }
    }

    /// One no is a no for all addresses of a person.
    fn permits_news(&self, addresses: &[Address]) -> Result<(), &'static str> {
        let words: Vec<bool> =
            addresses.iter().filter_map(|address| self.words.get(address)?.last()).collect();
        match (words.contains(&false), words.contains(&true)) {
            (true, _) => Err("refused"),
            (false, false) => Err("never_asked"),
            (false, true) => Ok(()),
        }
    }

    fn join(&mut self, message: &Message, owner: &Address, (at, received_at): (i64, i64)) {
        let Ok(id) = MessageId::parse(&message.id) else { return };
        let weight = |strength| Weight {
            strength,
            score: Reverse(None),
            at,
            message: MessageKey::from(&id),
            source: message.source.name(),
            received_at,
        };
        for address in &message.addresses {
            self.people.name(address, message.is_clear(address), at);
            self.people.link(owner, address, weight(Strength::Deterministic));
        }
        if let Said::Alias(previous) = &message.said {
            for kind in [Kind::UserId, Kind::AnonymousId] {
                let previous = Address::new(kind, previous.clone());
                self.people.place(&previous);
                self.people.link(owner, &previous, weight(Strength::Declared));
            }
        }
    }

    /// Every profile: its addresses, and what a reader sees of it; `None` when nothing may be shown, `null` when
    /// no event named any of them.
    pub(crate) fn profiles(&mut self) -> Vec<(Vec<Address>, Option<Value>)> {
        let profiles = self.people.profiles();
        profiles.into_iter().map(|addresses| (addresses.clone(), self.profile(&addresses))).collect()
    }

    /// All that one purpose may know of a person; `None`: nothing.
    pub(crate) fn person(&self, addresses: &[Address], purpose: &str) -> Option<Person> {
        let is_named =
            addresses.iter().any(|address| self.people.seen.get(address).is_some_and(Option::is_some));
        if !is_named || (purpose == NEWS && self.permits_news(addresses).is_err()) {
            return None;
        }
        let is_covered = |joined: &Joined| joined.purposes.contains(&purpose);
        let joined: Vec<&Joined> =
            self.joined.iter().filter(|joined| addresses.contains(&joined.owner)).collect();
        let own = joined.iter().filter(|joined| is_covered(joined));
        let events: Vec<Happened> = own
            .map(|joined| Happened {
                message_id: format!("{} {}", joined.owner.reference(), joined.message),
                name: joined.name.to_owned(),
                timestamp: Timestamp::from_millis(joined.at),
                received_at: Timestamp::from_millis(joined.received_at),
                properties: json!({}),
                context: json!({}),
            })
            .collect();
        let traits = traits(&words(&joined, is_covered));
        (!events.is_empty()).then(|| Person { events, traits, ..Person::default() })
    }

    fn profile(&self, addresses: &[Address]) -> Option<Value> {
        // Somebody said of these that they are another's, and took it back: nothing else is known of them.
        if addresses.iter().all(|address| self.people.seen.get(address).is_none_or(Option::is_none)) {
            return Some(Value::Null);
        }
        let news = self.permits_news(addresses).is_ok();
        let is_covered = |joined: &Joined| {
            joined.purposes.iter().any(|purpose| *purpose == SERVICE || (*purpose == NEWS && news))
        };
        let joined: Vec<&Joined> =
            self.joined.iter().filter(|joined| addresses.contains(&joined.owner)).collect();
        if !joined.iter().any(|joined| is_covered(joined)) {
            return None;
        }
        let mut counts: BTreeMap<&str, (u64, i64, i64)> = BTreeMap::new();
        for joined in joined.iter().filter(|joined| is_covered(joined)) {
            let (count, first, last) = counts.entry(joined.name).or_insert((0, joined.at, joined.at));
            (*count, *first, *last) = (*count + 1, (*first).min(joined.at), (*last).max(joined.at));
        }
        let words = words(&joined, is_covered);
        let traits = traits(&words);
        let messages: BTreeMap<&str, &str> =
            words.iter().map(|(name, (joined, _))| (*name, joined.message.as_str())).collect();
        // What only an alias named stays out of sight.
        let times: Vec<(i64, i64, &Address)> = addresses
            .iter()
            .filter_map(|address| {
                let (first, last) = (*self.people.seen.get(address)?)?;
                Some((first, last, address))
            })
            .collect();
        let oldest = times.iter().map(|(first, _, address)| (*first, address.id)).min();
        let mut references: Vec<String> =
            times.iter().map(|(_, _, address)| self.people.reference(address)).collect();
        references.sort();
        let counts: BTreeMap<_, _> = counts
            .into_iter()
            .map(|(name, (n, first, last))| (name, json!([n, time(first), time(last)])))
            .collect();
        let said = addresses.iter().filter_map(|address| self.words.get(address)?.last()).min();
        Some(json!({
            "id": oldest.map(|(_, id)| id.to_string()),
            "identifiers": references,
            "traits": traits,
            "provenance": messages,
            "event_counts": counts,
            "news": said.map(|yes| if yes { "given" } else { "refused" }),
            "first_seen_at": times.iter().map(|(first, ..)| *first).min().map(time),
            "last_seen_at": times.iter().map(|(_, last, _)| *last).max().map(time),
        }))
    }
}

/// The last word on each trait wins; whether it may be seen is asked afterwards.
fn words<'j>(
    joined: &[&'j Joined],
    is_covered: impl Fn(&Joined) -> bool,
) -> BTreeMap<&'j str, (&'j Joined, &'j Value)> {
    let mut words: BTreeMap<&str, (&Joined, &Value)> = BTreeMap::new();
    for joined in joined {
        for (name, value) in &joined.traits {
            let known = words.entry(name).or_insert((joined, value));
            if order(joined) > order(known.0) {
                *known = (joined, value);
            }
        }
    }
    words.retain(|_, (joined, _)| is_covered(joined));
    words
}

fn traits(words: &BTreeMap<&str, (&Joined, &Value)>) -> Map<String, Value> {
    let shown = words.iter().filter(|(_, (_, value))| !value.is_null());
    shown.map(|(name, (_, value))| ((*name).to_owned(), (*value).clone())).collect()
}

fn order(joined: &Joined) -> (i64, Option<MessageKey>) {
    (joined.at, MessageId::parse(&joined.message).ok().as_ref().map(MessageKey::from))
}

fn time(millis: i64) -> String {
    Timestamp::from_millis(millis).to_string()
}
