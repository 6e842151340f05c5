//! What a simulation answers: counts, and nothing of anybody.

use std::collections::BTreeMap;

use serde::Serialize;
use tessera_model::{DestinationName, MatcherName, PurposeName, Timestamp};
use tessera_policy::Denial;
use tessera_profile::HeldKind;

use crate::matching::MatcherEffect;
use crate::regroup::Regrouping;

/// Most traits, and fields of one destination, that are told apart; the others are counted together.
const NAMES_MAX: usize = 1000;
const NAME_BYTES_MAX: usize = 64;
/// What the others are counted under.
const OTHERS: &str = "(other)";

/// A count under the workspace in force, and under the other one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BeforeAfter {
    /// Under the workspace in force.
    pub before: u64,
    /// Under the other one.
    pub after: u64,
}

/// What becomes of one purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurposeEffect {
    /// People whom it may be pursued for.
    pub permitted: BeforeAfter,
    /// Those of them who have data that it covers.
    pub with_data: BeforeAfter,
    /// People permitted before and not after, by reason.
    pub newly_denied: BTreeMap<Denial, u64>,
    /// People permitted after and not before.
    pub newly_permitted: u64,
}

/// What becomes of values of one kind, of people and accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueEffect {
    /// How many are held.
    pub held: u64,
    /// How many lose their last purpose by the change, and are removed on schedule.
    pub removed: u64,
    /// Why: what ended the last purposes of `removed`. `not_served`: their time is over.
    pub reasons: BTreeMap<Denial, u64>,
    /// How many no purpose covers either way: they are removed on schedule, change or not.
    pub removed_anyway: u64,
    /// How many no purpose covers now, and one does after the change.
    pub kept_after_all: u64,
}

/// What becomes of one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DestinationEffect {
    /// People who can be reached: its purpose is permitted and covers data of theirs, and they take its channel.
    pub people: BeforeAfter,
    /// Deliveries that wait for it.
    pub waiting: u64,
    /// Those of them that the gate would deny if they were sent at that moment.
    pub denied: BeforeAfter,
    /// Those permitted before and not after, by reason.
    pub newly_denied: BTreeMap<Denial, u64>,
    /// Those that nobody would send any more, for the destination goes.
    pub stranded: u64,
    /// In how many of them each field would leave, by path: `traits.email`, `properties.total`.
    pub fields: BTreeMap<String, BeforeAfter>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// The moment that it is about.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub as_of: Timestamp,
    /// How many people there are.
    pub people: u64,
    /// How many accounts.
    pub accounts: u64,
    /// People who lose a value by the change.
    pub people_losing_something: u64,
    /// People who lose every value that they would keep without it. What they said of consent stays.
    pub people_losing_everything: u64,
    /// Purposes, by name.
    pub purposes: BTreeMap<PurposeName, PurposeEffect>,
    /// All values.
    pub values: ValueEffect,
    /// Traits, by name. The word of each identifier counts, so a person may hold one several times.
    pub traits: BTreeMap<String, ValueEffect>,
    /// How often each event happened, by identifier.
    pub event_counts: ValueEffect,
    /// The latest events.
    pub recent_events: ValueEffect,
    /// Memberships of accounts.
    pub memberships: ValueEffect,
    /// Who would come apart or together by other identity rules, as soon as everybody is brought to them. What is told of
    /// purposes and values is told of people as they are divided now.
    #[serde(skip)]
    pub identity: Regrouping,
    /// Destinations, by name.
    pub destinations: BTreeMap<DestinationName, DestinationEffect>,
    /// Matchers that change, by name: what their next run would find.
    pub matchers: BTreeMap<MatcherName, MatcherEffect>,
}

/// The entry of a name, or that of the others: when there are too many, or when it is none that a developer would give
/// and may be data.
pub(crate) fn tell_apart<'m, T: Default>(known: &'m mut BTreeMap<String, T>, name: &str) -> &'m mut T {
    let is_told = known.contains_key(name) || known.len() < NAMES_MAX;
    let name = if is_told && is_plain(name) { name } else { OTHERS };
    known.entry(name.to_owned()).or_default()
}

fn is_plain(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.' | ' '))
}

impl Simulation {
    /// Nobody looked at yet.
    pub(crate) fn new<'a>(
        as_of: Timestamp,
        purposes: impl Iterator<Item = &'a PurposeName>,
        destinations: impl Iterator<Item = &'a DestinationName>,
    ) -> Self {
        Self {
            as_of,
            people: 0,
            accounts: 0,
            people_losing_something: 0,
            people_losing_everything: 0,
            purposes: purposes.map(|name| (name.clone(), PurposeEffect::default())).collect(),
            values: ValueEffect::default(),
            traits: BTreeMap::new(),
            event_counts: ValueEffect::default(),
            recent_events: ValueEffect::default(),
            memberships: ValueEffect::default(),
            identity: Regrouping::default(),
            destinations: destinations.map(|name| (name.clone(), DestinationEffect::default())).collect(),
            matchers: BTreeMap::new(),
        }
    }

    /// The counts that a value goes into.
    pub(crate) fn effects_of(&mut self, kind: HeldKind<'_>) -> [&mut ValueEffect; 2] {
        let own = match kind {
            HeldKind::EventCount => &mut self.event_counts,
            HeldKind::RecentEvent => &mut self.recent_events,
            HeldKind::Membership => &mut self.memberships,
            HeldKind::Trait(name) => tell_apart(&mut self.traits, name),
        };
        [&mut self.values, own]
    }

    /// Whether the change does nothing to anybody who is there.
    #[must_use]
    pub fn is_without_effect(&self) -> bool {
        let is_same = |pair: &BeforeAfter| pair.before == pair.after;
        self.identity.is_without_effect()
            && self.matchers.values().all(MatcherEffect::is_without_effect)
            && self.values.removed == 0
            && self.values.kept_after_all == 0
            && self.purposes.values().all(|one| {
                one.newly_denied.is_empty()
                    && one.newly_permitted == 0
                    && is_same(&one.permitted)
                    && is_same(&one.with_data)
            })
            && self.destinations.values().all(|one| {
                one.newly_denied.is_empty()
                    && one.stranded == 0
                    && is_same(&one.people)
                    && is_same(&one.denied)
                    && one.fields.values().all(is_same)
            })
    }
}

impl BeforeAfter {
    pub(crate) fn add(&mut self, before: bool, after: bool) {
        self.before += u64::from(before);
        self.after += u64::from(after);
    }
}

impl ValueEffect {
    pub(crate) fn count(&mut self, before: bool, after: bool, reason: Option<Denial>) {
        self.held += 1;
        match (before, after) {
            (true, true) => {}
            (true, false) => self.removed += 1,
            (false, false) => self.removed_anyway += 1,
            (false, true) => self.kept_after_all += 1,
        }
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }
}

impl DestinationEffect {
    /// Counts a field that leaves in a delivery.
    pub(crate) fn field(&mut self, path: &str, before: bool, after: bool) {
        tell_apart(&mut self.fields, path).add(before, after);
    }

    /// Counts a waiting delivery. `stays`: the destination does not go.
    pub(crate) fn delivery(&mut self, stays: bool, before: Result<(), Denial>, after: Result<(), Denial>) {
        self.waiting += 1;
        if !stays {
            self.stranded += 1;
            self.denied.before += u64::from(before.is_err());
            return;
        }
        self.denied.add(before.is_err(), after.is_err());
        if let (Ok(()), Err(denial)) = (before, after) {
            *self.newly_denied.entry(denial).or_default() += 1;
        }
    }
}
