//! Purposes by number: what rows on disk hold instead of names.
//!
//! Invariants: a number, once given, is never given to another purpose, also after the purpose is gone; numbers follow
//! from the log alone (the order in which workspaces were applied), so replays agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{LegalBasis, PurposeDocument, PurposeName, Timestamp};

/// Most purposes that an installation may ever declare.
pub const PURPOSES_MAX: usize = 128;

/// A purpose's number. Invariant: below [`PURPOSES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurposeId(u8);

/// A set of purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurposeSet(u128);

impl PurposeSet {
    /// No purpose.
    pub const EMPTY: Self = Self(0);

    /// Adds one.
    pub const fn insert(&mut self, id: PurposeId) {
        self.0 |= 1 << id.0;
    }

    /// Whether it is in.
    #[must_use]
    pub const fn contains(self, id: PurposeId) -> bool {
        self.0 & (1 << id.0) != 0
    }

    /// Whether none is in.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those here and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members, by number.
    pub fn iter(self) -> impl Iterator<Item = PurposeId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let next = u8::try_from(rest.trailing_zeros()).ok().filter(|n| usize::from(*n) < PURPOSES_MAX)?;
            rest &= rest - 1;
            Some(PurposeId(next))
        })
    }
}

impl FromIterator<PurposeId> for PurposeSet {
    fn from_iter<I: IntoIterator<Item = PurposeId>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// A purpose that was declared once: its name, and since when each of its versions is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredPurpose {
    /// Its name.
    pub name: PurposeName,
    /// Versions in the order they were applied, each with when.
    pub versions: Vec<(u32, Timestamp)>,
}

/// Every purpose ever declared; the place in the list is its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PurposeRegister(Vec<RegisteredPurpose>);

impl PurposeRegister {
    /// The register once `documents` are applied at `at`. `None`: there would be more than [`PURPOSES_MAX`].
    #[must_use]
    pub fn with<'a>(
        &self,
        documents: impl Iterator<Item = &'a PurposeDocument>,
        at: Timestamp,
    ) -> Option<Self> {
        let mut register = self.clone();
        for document in documents {
            match register.0.iter_mut().find(|known| known.name == document.name) {
                None => register.0.push(RegisteredPurpose {
                    name: document.name.clone(),
                    versions: vec![(document.version, at)],
                }),
                Some(known) => {
                    if known.versions.last().is_none_or(|(version, _)| *version != document.version) {
                        known.versions.push((document.version, at));
                    }
                }
            }
        }
        (register.0.len() <= PURPOSES_MAX).then_some(register)
    }

    fn id(&self, name: &PurposeName) -> Option<PurposeId> {
        let at = self.0.iter().position(|known| known.name == *name)?;
        u8::try_from(at).ok().map(PurposeId)
    }
}

/// A declared purpose, ready for decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct Purpose {
    /// Its number.
    pub id: PurposeId,
    /// Its document, as applied last.
    pub document: PurposeDocument,
}

impl Purpose {
    /// Whether it covers data of a person of whom nothing is known.
    fn asks_nothing(&self) -> bool {
        let PurposeDocument { basis, minimum_age, retired, .. } = &self.document;
        *basis != LegalBasis::Consent && minimum_age.is_none() && !retired
    }
}

/// The purposes of a workspace, by number and by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Purposes {
    register: PurposeRegister,
    declared: BTreeMap<PurposeName, Arc<Purpose>>,
    by_id: Vec<Option<Arc<Purpose>>>,
    asking_nothing: PurposeSet,
}

impl Purposes {
    /// Those of `documents`, each of which is in `register`.
    pub(crate) fn new<'a>(
        register: PurposeRegister,
        documents: impl Iterator<Item = &'a PurposeDocument>,
    ) -> Self {
        let mut by_id = vec![None; register.0.len()];
        let mut declared = BTreeMap::new();
        for document in documents {
            let Some(id) = register.id(&document.name) else { continue };
            let purpose = Arc::new(Purpose { id, document: document.clone() });
            if let Some(slot) = by_id.get_mut(usize::from(id.0)) {
                *slot = Some(Arc::clone(&purpose));
            }
            declared.insert(document.name.clone(), purpose);
        }
        let asking_nothing = declared.values().filter(|purpose| purpose.asks_nothing());
        Self { asking_nothing: asking_nothing.map(|purpose| purpose.id).collect(), register, declared, by_id }
    }

    /// Every purpose ever declared.
    #[must_use]
    pub fn register(&self) -> &PurposeRegister {
        &self.register
    }

    /// The declared purpose of that name.
    #[must_use]
    pub fn get(&self, name: &PurposeName) -> Option<&Arc<Purpose>> {
        self.declared.get(name)
    }

    /// The declared purpose of that number.
    #[must_use]
    pub fn by_id(&self, id: PurposeId) -> Option<&Arc<Purpose>> {
        self.by_id.get(usize::from(id.0))?.as_ref()
    }

    /// Those that cover data of a person of whom nothing is known.
    #[must_use]
    pub fn asking_nothing(&self) -> PurposeSet {
        self.asking_nothing
    }

    /// The name of a purpose, also of one that is declared no more.
    #[must_use]
    pub fn name(&self, id: PurposeId) -> Option<&PurposeName> {
        self.register.0.get(usize::from(id.0)).map(|known| &known.name)
    }

    /// The names of a set, in the order of their numbers.
    pub fn names_of(&self, set: PurposeSet) -> impl Iterator<Item = &PurposeName> {
        set.iter().filter_map(|id| self.name(id))
    }

    /// The declared purposes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Purpose>> {
        self.declared.values()
    }

    /// The version that was in force at `at`; the first one before that.
    #[must_use]
    pub fn version_at(&self, id: PurposeId, at: Timestamp) -> u32 {
        let versions = self.register.0.get(usize::from(id.0)).map_or(&[][..], |known| &known.versions);
        let in_force = versions.iter().rev().find(|(_, since)| *since <= at).or(versions.first());
        in_force.map_or(1, |(version, _)| *version)
    }
}
