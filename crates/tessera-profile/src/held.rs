//! What a fragment holds, value by value, for those who ask what would become of it.

use tessera_model::Timestamp;

use crate::{Basis, Fragment};

/// What kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind<'a> {
    /// A trait, by name.
    Trait(&'a str),
    /// How often an event happened.
    EventCount,
    /// One of the latest events.
    RecentEvent,
    /// Belonging to an account.
    Membership,
}

/// One value, the basis it rests on, and when it came to be.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// What kind.
    pub kind: HeldKind<'a>,
    /// Its basis.
    pub basis: &'a Basis,
    /// The time that retention counts from.
    pub at: Timestamp,
}

impl Fragment {
    /// Every value that [`Fragment::retain`] decides on, with what it decides by.
    pub fn held(&self) -> impl Iterator<Item = Held<'_>> {
        let held = |kind, basis, at| Some(Held { kind, basis: self.basis_of(basis)?, at });
        let traits = self
            .traits
            .iter()
            .filter_map(move |(entry, word)| held(HeldKind::Trait(&entry.name), word.basis, word.at));
        let counts =
            self.events.iter().filter_map(move |one| held(HeldKind::EventCount, one.basis, one.last_at));
        let recent = self.recent.iter().filter_map(move |one| held(HeldKind::RecentEvent, one.basis, one.at));
        let memberships =
            self.memberships.iter().filter_map(move |one| held(HeldKind::Membership, one.basis, one.since));
        traits.chain(counts).chain(recent).chain(memberships)
    }
}
