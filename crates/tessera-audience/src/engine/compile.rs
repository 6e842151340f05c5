//! Definitions made ready: the features they share, and who asks for what.
//!
//! Invariant: what [`Compiled::concerned`] leaves out has the same answer as before the change.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tessera_model::{AudienceName, PurposeName, Timestamp, TraitName};

use super::asked::Asked;
use super::event::EventView;
use super::extract::Found;
use super::feature::{Feature, FeatureId};
use super::lower::{Lowered, lower};
use super::plan::{Node, Source};
use super::span::Zone;
use crate::{Audience, ComputedTrait, Events};

/// The number of a definition among those compiled together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub(crate) usize);

/// What a definition is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionName {
    /// An audience.
    Audience(AudienceName),
    /// A computed trait.
    ComputedTrait(TraitName),
}

/// Why definitions cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// An audience asks for another that is not there.
    #[error("audience `{0}` is asked for, and there is none of that name")]
    UnknownAudience(AudienceName),
    /// A definition follows from itself.
    #[error("a definition asks for itself by way of others: {}", names(.0))]
    Cycle(Vec<DefinitionName>),
    /// Two features have one id: one chance in many millions.
    #[error("two different features have the same hash: change a window or filter of one of them")]
    Collision,
}

fn names(names: &[DefinitionName]) -> String {
    let text = |name: &DefinitionName| match name {
        DefinitionName::Audience(name) => format!("audience `{name}`"),
        DefinitionName::ComputedTrait(name) => format!("computed trait `{}`", name.as_str()),
    };
    names.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// What a definition says.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Audience(Node),
    Trait(Source),
}

/// A definition, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: DefinitionName,
    pub(crate) purpose: PurposeName,
    pub(crate) zone: Zone,
    pub(crate) body: Body,
}

/// What may change answers.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// An event came.
    Event(&'a Touched),
    /// A trait changed.
    Trait(&'a str),
    /// A trait of one of the person's accounts changed.
    Account(&'a str),
    /// The person said something of a purpose.
    Consent(&'a PurposeName),
    /// The state of a contact point changed.
    Subscription,
}

/// The features that an event touches, with what stands in it at their paths.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// What was read, by slot.
    pub(crate) found: Vec<Found>,
    /// Features and the slots of their paths.
    pub(crate) features: Vec<(usize, Option<usize>)>,
}

impl Touched {
    /// Whether nobody asks for such an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// How many features it touches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.features.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Option<&Found>)> {
        self.features.iter().map(|(feature, slot)| (*feature, slot.and_then(|slot| self.found.get(slot))))
    }
}

/// Definitions made ready.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub(crate) definitions: Vec<Definition>,
    pub(crate) features: Vec<Feature>,
    by_id: BTreeMap<FeatureId, usize>,
    by_name: BTreeMap<DefinitionName, usize>,
    asked: BTreeMap<SmolStr, Asked>,
    /// Of events whose name nobody asks for.
    others: Asked,
    /// Who follows from each feature, directly or by way of others.
    features_concern: Vec<Vec<Ordinal>>,
    traits_concern: BTreeMap<SmolStr, Vec<Ordinal>>,
    accounts_concern: BTreeMap<SmolStr, Vec<Ordinal>>,
    consents_concern: BTreeMap<PurposeName, Vec<Ordinal>>,
    subscriptions_concern: Vec<Ordinal>,
}

impl Compiled {
    /// Makes definitions ready.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn new(audiences: &[Audience], traits: &[ComputedTrait]) -> Result<Self, CompileError> {
        let Lowered { definitions, features, uses } = lower(audiences, traits)?;
        let by_id: BTreeMap<FeatureId, usize> =
            features.iter().enumerate().map(|(number, feature)| (feature.id, number)).collect();
        let by_name = definitions.iter().enumerate();
        let by_name = by_name.map(|(number, definition)| (definition.name.clone(), number)).collect();
        let mut compiled = Self { definitions, features, by_id, by_name, ..Self::default() };
        compiled.features_concern.resize(compiled.features.len(), Vec::new());
        for number in 0..compiled.definitions.len() {
            // Whoever asks for a definition follows from all that it follows from.
            let mut all = BTreeSet::new();
            let mut ways = vec![number];
            while let Some(next) = ways.pop() {
                if all.insert(next) {
                    ways.extend(uses.get(next).into_iter().flat_map(|uses| &uses.definitions));
                }
            }
            let ordinal = Ordinal(number);
            for uses in all.iter().filter_map(|one| uses.get(*one)) {
                for feature in &uses.features {
                    note(compiled.features_concern.get_mut(*feature), ordinal);
                }
                uses.traits.iter().for_each(|name| {
                    note(Some(compiled.traits_concern.entry(name.clone()).or_default()), ordinal);
                });
                uses.accounts.iter().for_each(|name| {
                    note(Some(compiled.accounts_concern.entry(name.clone()).or_default()), ordinal);
                });
                uses.consents.iter().for_each(|purpose| {
                    note(Some(compiled.consents_concern.entry(purpose.clone()).or_default()), ordinal);
                });
                if uses.subscriptions {
                    note(Some(&mut compiled.subscriptions_concern), ordinal);
                }
            }
        }
        compiled.index_events();
        Ok(compiled)
    }

    fn index_events(&mut self) {
        // Features of the same events share the filter, which is asked once.
        let mut selectors: Vec<(&Events, Vec<usize>)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (number, feature) in self.features.iter().enumerate() {
            let form = serde_json::to_string(&feature.events).unwrap_or_default();
            let place = *places.entry(form).or_insert_with(|| {
                selectors.push((&feature.events, Vec::new()));
                selectors.len() - 1
            });
            selectors.get_mut(place).into_iter().for_each(|(_, features)| features.push(number));
        }
        let names: BTreeSet<&str> =
            selectors.iter().filter_map(|(events, _)| Some(events.name.as_ref()?.as_str())).collect();
        let asked = |name: Option<&str>| {
            let mut asked = Asked::default();
            for (events, features) in &selectors {
                if events.name.is_none() || events.name.as_ref().map(|name| name.as_str()) == name {
                    asked.add(events, features, &self.features);
                }
            }
            asked
        };
        let by_name = names.iter().map(|name| (SmolStr::new(name), asked(Some(name)))).collect();
        let others = asked(None);
        (self.asked, self.others) = (by_name, others);
    }

    /// The features that an event touches. An event that nobody asks for costs one look-up.
    #[must_use]
    pub fn touched(&self, event: &EventView<'_>) -> Touched {
        let asked = self.asked.get(event.name).unwrap_or(&self.others);
        asked.touched(event)
    }

    /// Adds the definitions whose answers a change may change.
    pub fn concerned(&self, change: Change<'_>, into: &mut BTreeSet<Ordinal>) {
        let of = |all: Option<&Vec<Ordinal>>, into: &mut BTreeSet<Ordinal>| {
            into.extend(all.into_iter().flatten().copied());
        };
        match change {
            Change::Event(touched) => {
                touched.iter().for_each(|(feature, _)| of(self.features_concern.get(feature), into));
            }
            Change::Trait(name) => of(self.traits_concern.get(name), into),
            Change::Account(name) => of(self.accounts_concern.get(name), into),
            Change::Consent(purpose) => of(self.consents_concern.get(purpose), into),
            Change::Subscription => of(Some(&self.subscriptions_concern), into),
        }
    }

    /// All definitions: what a merge or a split may change.
    pub fn all(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..self.definitions.len()).map(Ordinal)
    }

    /// The number of a definition.
    #[must_use]
    pub fn ordinal(&self, name: &DefinitionName) -> Option<Ordinal> {
        self.by_name.get(name).copied().map(Ordinal)
    }

    /// What a definition is called.
    #[must_use]
    pub fn name(&self, ordinal: Ordinal) -> Option<&DefinitionName> {
        self.definitions.get(ordinal.0).map(|definition| &definition.name)
    }

    /// The purpose that a definition serves.
    #[must_use]
    pub fn purpose(&self, ordinal: Ordinal) -> Option<&PurposeName> {
        self.definitions.get(ordinal.0).map(|definition| &definition.purpose)
    }

    /// Every feature that is kept: what a back-fill has to fill.
    pub fn features(&self) -> impl Iterator<Item = FeatureId> {
        self.features.iter().map(|feature| feature.id)
    }

    /// The definitions that follow from a feature.
    #[must_use]
    pub fn concerned_by(&self, id: FeatureId) -> &[Ordinal] {
        let number = self.by_id.get(&id);
        number.and_then(|number| self.features_concern.get(*number)).map(Vec::as_slice).unwrap_or_default()
    }

    /// From when on events can count for a feature at `now`: a back-fill begins there.
    #[must_use]
    pub fn reaches_back_to(&self, id: FeatureId, now: Timestamp) -> Option<Timestamp> {
        let (_, feature) = self.feature_of(id)?;
        let first = feature.span.first_time(feature.span.oldest(now.as_millis()));
        Some(Timestamp::from_millis(first.max(feature.span.begins())))
    }

    /// Whether any definition asks for traits of accounts.
    #[must_use]
    pub fn asks_of_accounts(&self) -> bool {
        !self.accounts_concern.is_empty()
    }

    /// The definitions that ask for traits of accounts.
    pub fn concerned_by_accounts(&self, into: &mut BTreeSet<Ordinal>) {
        into.extend(self.accounts_concern.values().flatten().copied());
    }

    pub(crate) fn feature(&self, number: usize) -> Option<&Feature> {
        self.features.get(number)
    }

    pub(crate) fn feature_of(&self, id: FeatureId) -> Option<(usize, &Feature)> {
        let number = *self.by_id.get(&id)?;
        Some((number, self.features.get(number)?))
    }
}

fn note(into: Option<&mut Vec<Ordinal>>, ordinal: Ordinal) {
    if let Some(into) = into
        && into.last() != Some(&ordinal)
    {
        into.push(ordinal);
    }
}
