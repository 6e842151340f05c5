//! Who really is behind every identifier. Only the generator and the measure know it; no event carries it.

use std::collections::{BTreeMap, BTreeSet};

/// A person of the demo, by number.
pub(super) type PersonNumber = u32;

/// Whose an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// One person's.
    One(PersonNumber),
    /// Several people's in truth: a family's tablet, a landline.
    Shared,
}

/// An identifier on an event, and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// `namespace:value`, normalised as the server does it.
    pub(super) identifier: String,
    pub(super) person: PersonNumber,
}

impl Claim {
    pub(super) fn new(namespace: &str, value: &str, person: PersonNumber) -> Self {
        Self { identifier: format!("{namespace}:{value}"), person }
    }
}

/// Two customer numbers of one person, the older first.
#[derive(Clone, Debug)]
pub(super) struct Twice {
    pub(super) first: String,
    pub(super) second: String,
}

/// The truth about the events made so far.
#[derive(Debug, Default)]
pub(super) struct Truth {
    numbers: BTreeMap<String, u32>,
    people: Vec<BTreeSet<PersonNumber>>,
    /// Identifiers that stood on an event; the others were only announced.
    seen: BTreeSet<u32>,
    /// Identifiers that stood on one event.
    links: BTreeSet<(u32, u32)>,
    /// People who called.
    pub(super) called: BTreeSet<PersonNumber>,
    /// People who became customers twice.
    pub(super) twice: Vec<Twice>,
}

impl Truth {
    /// Remembers the identifiers of one event.
    pub(super) fn learn(&mut self, claims: &[Claim]) {
        let numbers: Vec<u32> = claims.iter().map(|claim| self.number(claim)).collect();
        self.seen.extend(&numbers);
        for (at, one) in numbers.iter().enumerate() {
            for other in numbers.iter().skip(at + 1) {
                if one != other {
                    self.links.insert((*one.min(other), *one.max(other)));
                }
            }
        }
    }

    /// Says that several people use an identifier, whoever has been seen on it yet.
    pub(super) fn share(&mut self, identifier: &Claim, people: &[PersonNumber]) {
        let number = self.number(identifier);
        if let Some(known) = index(number).and_then(|at| self.people.get_mut(at)) {
            known.extend(people);
        }
    }

    /// Whose an identifier is; `None` for one that no event carries.
    pub(super) fn owner(&self, identifier: &str) -> Option<Owner> {
        self.numbers.get(identifier).and_then(|number| self.owner_of(*number))
    }

    /// Every identifier that stood on an event, and whose it is.
    pub(super) fn owners(&self) -> impl Iterator<Item = (&str, Owner)> {
        let seen = self.numbers.iter().filter(|(_, number)| self.seen.contains(number));
        seen.filter_map(|(name, number)| Some((name.as_str(), self.owner_of(*number)?)))
    }

    /// What somebody who makes no mistake could have made of the events: for each identifier of one person alone the
    /// number of its group. Two are in one group if a chain of events leads from one to the other through
    /// identifiers of that person alone.
    pub(super) fn reachable(&self) -> BTreeMap<&str, u32> {
        let mut parents: Vec<u32> = (0..).take(self.people.len()).collect();
        for (a, b) in &self.links {
            let owners = (self.owner_of(*a), self.owner_of(*b));
            if matches!(owners, (Some(Owner::One(one)), Some(Owner::One(other))) if one == other) {
                let (a, b) = (root(&parents, *a), root(&parents, *b));
                if let Some(parent) = index(a.max(b)).and_then(|at| parents.get_mut(at)) {
                    *parent = a.min(b);
                }
            }
        }
        let names = self.numbers.iter();
        names.map(|(name, number)| (name.as_str(), root(&parents, *number))).collect()
    }

    fn number(&mut self, claim: &Claim) -> u32 {
        let number = match self.numbers.get(&claim.identifier) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.people.len()).unwrap_or(u32::MAX);
                self.numbers.insert(claim.identifier.clone(), number);
                self.people.push(BTreeSet::new());
                number
            }
        };
        if let Some(people) = index(number).and_then(|at| self.people.get_mut(at)) {
            people.insert(claim.person);
        }
        number
    }

    fn owner_of(&self, number: u32) -> Option<Owner> {
        let people = self.people.get(index(number)?)?;
        let first = people.first()?;
        Some(if people.len() == 1 { Owner::One(*first) } else { Owner::Shared })
    }
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

fn root(parents: &[u32], mut at: u32) -> u32 {
    while let Some(parent) = index(at).and_then(|at| parents.get(at)).copied().filter(|parent| *parent != at)
    {
        at = parent;
    }
    at
}
