//! Everything learned under one owner identifier: a commutative monoid.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tessera_model::{
    BIRTHDAY_TRAITS, Call, DataCategory, Event, FragmentId, Identified, MessageKey, Party, PurposeSet,
    SourceName, Timestamp, Trait,
};
use tessera_policy::{ConsentRecord, Consents};

use crate::followed::Followed;
use crate::{Assertion, Seen, Traits};

/// How many of a fragment's latest events are kept by place.
pub const RECENT_MAX: usize = 20;

/// Where an event stands in the log, and what it is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The log record.
    pub position: u64,
    /// The event's number within the record.
    pub index: u32,
    /// Its [`crate::seen_hash`].
    pub hash: u64,
}

/// Why data is here: which source brought it, for which purposes, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The source.
    pub source: SourceName,
    /// The purposes that covered it when it came.
    pub purposes: PurposeSet,
    /// Zero-, first-, second- or third-party.
    pub party: Party,
    /// What kind of data.
    pub category: DataCategory,
}

/// How often an event of one name happened, on one basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// The event's name.
    pub name: SmolStr,
    pub(crate) basis: u16,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first_at: Timestamp,
    /// The last time.
    pub last_at: Timestamp,
}

/// One of the latest events, by its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recent {
    /// When it happened.
    pub at: Timestamp,
    pub(crate) hash: u64,
    /// The log record.
    pub position: u64,
    /// Its number within the record.
    pub index: u32,
    pub(crate) basis: u16,
}

/// The person belongs to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The account's fragment.
    pub account: FragmentId,
    /// The account's id as the business gave it.
    pub value: Box<str>,
    /// Since when.
    pub since: Timestamp,
    pub(crate) basis: u16,
}

/// Everything learned under one owner identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// The earliest event that named the identifier; after `last_seen_at` when none has.
    pub first_seen_at: Timestamp,
    /// The latest.
    pub last_seen_at: Timestamp,
    pub(crate) bases: Vec<Basis>,
    /// Traits.
    pub traits: Traits,
    /// Consent records.
    pub consents: Consents,
    pub(crate) events: Vec<EventCount>,
    pub(crate) recent: Vec<Recent>,
    pub(crate) memberships: Vec<Membership>,
    /// The de-duplication window.
    pub seen: Seen,
    /// What is kept for audiences, if any asks for something of it.
    pub(crate) followed: Option<Box<Followed>>,
}

impl Default for Fragment {
    /// A fragment that no event has named: the neutral element.
    fn default() -> Self {
        Self {
            first_seen_at: Timestamp::MAX,
            last_seen_at: Timestamp::MIN,
            bases: Vec::new(),
            traits: Traits::default(),
            consents: Consents::default(),
            events: Vec::new(),
            recent: Vec::new(),
            memberships: Vec::new(),
            seen: Seen::default(),
            followed: None,
        }
    }
}

impl Fragment {
    /// Whether any event has named the identifier. An `alias` may bring one that none ever does.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.first_seen_at <= self.last_seen_at
    }

    /// The identifier stood on an event of that time.
    pub fn touch(&mut self, at: Timestamp) {
        self.first_seen_at = self.first_seen_at.min(at);
        self.last_seen_at = self.last_seen_at.max(at);
    }

    /// Adds a consent record.
    pub fn consent(&mut self, record: ConsentRecord) {
        self.consents.add(record);
    }

    /// Folds an event of this owner in. The caller has asked [`Seen`] whether it is a repeat.
    pub fn apply(&mut self, event: &Event, basis: &Basis, place: Place) {
        self.touch(event.at);
        let basis = self.basis(basis);
        self.count(event.name(), basis, event.at);
        self.remember(Recent {
            at: event.at,
            hash: place.hash,
            position: place.position,
            index: place.index,
            basis,
        });
        match &event.call {
            Call::Identify { traits } => self.assert(traits, event, basis),
            Call::Group { account, .. } => self.join(account, event.at, basis),
            Call::Consent { preferences } => self.assert(preferences, event, basis),
            Call::Track { .. } | Call::Page { .. } | Call::Screen { .. } | Call::Alias { .. } => {}
        }
        if let Some(day) = event.born_on {
            self.consents.born_on(day);
        }
    }

    /// Puts traits right: the new values stand over all that was said before `at`.
    pub fn rectify(&mut self, traits: &[Trait], basis: &Basis, at: Timestamp, message: MessageKey) {
        let basis = self.basis(basis);
        self.traits.assert(traits, &Assertion { at, message, basis }, &self.bases);
    }

    /// Keeps only what `is_kept` says of its basis and time; what is said of consent stays, for it is the proof.
    /// Returns how many values went.
    pub fn retain(&mut self, is_kept: impl Fn(&Basis, Timestamp) -> bool) -> usize {
        let keeps = |bases: &[Basis], basis: u16, at: Timestamp| {
            bases.get(usize::from(basis)).is_some_and(|basis| is_kept(basis, at))
        };
        let bases = std::mem::take(&mut self.bases);
        let before = self.values();
        self.traits.retain(|assertion| keeps(&bases, assertion.basis, assertion.at));
        self.events.retain(|event| keeps(&bases, event.basis, event.last_at));
        self.recent.retain(|event| keeps(&bases, event.basis, event.at));
        self.memberships.retain(|membership| keeps(&bases, membership.basis, membership.since));
        if let Some(followed) = &mut self.followed {
            followed.states.retain(|state| keeps(&bases, state.basis, state.latest_at));
        }
        self.tidy_followed();
        let removed = before - self.values();
        self.bases = bases;
        self.forget_unused_bases();
        if !self.traits.iter().any(|(entry, _)| BIRTHDAY_TRAITS.contains(&entry.name.as_ref())) {
            self.consents.forget_birthday();
        }
        removed
    }

    /// Keeps only what serves `purposes`, and for these alone. Returns how many values went.
    pub fn narrow(&mut self, purposes: PurposeSet, is_kept: impl Fn(&Basis, Timestamp) -> bool) -> usize {
        let removed = self.retain(|basis, at| is_kept(basis, at));
        for basis in &mut self.bases {
            basis.purposes = basis.purposes.and(purposes);
        }
        removed
    }

    /// Whether `is` holds for any value's basis and time.
    pub fn any_value(&self, is: impl Fn(&Basis, Timestamp) -> bool) -> bool {
        let holds = |basis: u16, at: Timestamp| self.basis_of(basis).is_some_and(|basis| is(basis, at));
        self.traits.iter().any(|(_, word)| holds(word.basis, word.at))
            || self.events.iter().any(|event| holds(event.basis, event.last_at))
            || self.recent.iter().any(|event| holds(event.basis, event.at))
            || self.memberships.iter().any(|membership| holds(membership.basis, membership.since))
    }

    /// How many values it holds, besides what was said of consent.
    #[must_use]
    pub fn values(&self) -> usize {
        self.traits.len() + self.events.len() + self.recent.len() + self.memberships.len()
    }

    /// The accounts that it belongs to, each with its basis.
    pub fn memberships(&self) -> impl Iterator<Item = (&Membership, &Basis)> {
        let known = |one| -> Option<(&Membership, &Basis)> {
            let one: &Membership = one;
            Some((one, self.basis_of(one.basis)?))
        };
        self.memberships.iter().filter_map(known)
    }

    /// Every basis on which it holds something.
    pub fn bases(&self) -> &[Basis] {
        &self.bases
    }

    fn forget_unused_bases(&mut self) {
        let mut places: Vec<Option<u16>> = vec![None; self.bases.len()];
        let mut kept = Vec::new();
        let bases = &self.bases;
        let mut place = |basis: &mut u16| {
            let old = usize::from(*basis);
            let Some(slot) = places.get_mut(old) else { return };
            *basis = *slot.get_or_insert_with(|| {
                kept.extend(bases.get(old).cloned());
                u16::try_from(kept.len() - 1).unwrap_or(u16::MAX)
            });
        };
        self.traits.assertions_mut().for_each(|assertion| place(&mut assertion.basis));
        self.events.iter_mut().for_each(|event| place(&mut event.basis));
        self.recent.iter_mut().for_each(|event| place(&mut event.basis));
        self.memberships.iter_mut().for_each(|membership| place(&mut membership.basis));
        let states = self.followed.iter_mut().flat_map(|followed| &mut followed.states);
        states.for_each(|state| place(&mut state.basis));
        self.bases = kept;
        // Their order follows from the numbers of their bases.
        self.events.sort_by(|a, b| (&a.name, a.basis).cmp(&(&b.name, b.basis)));
        self.memberships.sort_by_key(|a| (a.account, a.basis));
        if let Some(followed) = &mut self.followed {
            followed.states.sort_by_key(|state| state.basis);
        }
    }

    /// Folds the traits that a `group` call gave in: this is the account's fragment.
    pub fn describe(&mut self, traits: &[Trait], event: &Event, basis: &Basis) {
        self.touch(event.at);
        let basis = self.basis(basis);
        self.assert(traits, event, basis);
    }

    /// The basis of that number.
    #[must_use]
    pub fn basis_of(&self, basis: u16) -> Option<&Basis> {
        self.bases.get(usize::from(basis))
    }

    fn assert(&mut self, traits: &[Trait], event: &Event, basis: u16) {
        let message = MessageKey::from(&event.message_id);
        self.traits.assert(traits, &Assertion { at: event.at, message, basis }, &self.bases);
    }

    pub(crate) fn basis(&mut self, basis: &Basis) -> u16 {
        let at = self.bases.iter().position(|known| known == basis).unwrap_or_else(|| {
            self.bases.push(basis.clone());
            self.bases.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn count(&mut self, name: &str, basis: u16, at: Timestamp) {
        let known =
            self.events.binary_search_by(|known| (known.name.as_str(), known.basis).cmp(&(name, basis)));
        match known {
            Err(place) => {
                let count = EventCount { name: name.into(), basis, count: 1, first_at: at, last_at: at };
                self.events.insert(place, count);
            }
            Ok(place) => {
                if let Some(known) = self.events.get_mut(place) {
                    known.count += 1;
                    known.first_at = known.first_at.min(at);
                    known.last_at = known.last_at.max(at);
                }
            }
        }
    }

    /// Latest first; of the same time, by hash, so that order of arrival does not matter.
    fn remember(&mut self, event: Recent) {
        let place = self.recent.partition_point(|known| (known.at, known.hash) > (event.at, event.hash));
        if place < RECENT_MAX {
            self.recent.insert(place, event);
            self.recent.truncate(RECENT_MAX);
        }
    }

    fn join(&mut self, account: &Identified, since: Timestamp, basis: u16) {
        match self.memberships.iter_mut().find(|known| known.account == account.id && known.basis == basis) {
            Some(known) => known.since = known.since.min(since),
            None => {
                let value = account.identifier.value().into();
                self.memberships.push(Membership { account: account.id, value, since, basis });
                self.memberships.sort_by_key(|a| (a.account, a.basis));
            }
        }
    }
}
