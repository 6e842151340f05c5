//! The definitions in force, ready to be asked.

use std::collections::{BTreeMap, BTreeSet};

use tessera_audience::{Compiled, DefinitionName, Definitions, FeatureId, Ordinal, definitions};
use tessera_model::{AudienceId, Rules};

use super::catalogue::{Catalogue, Filling, Known, Walk};

/// The definitions in force.
#[derive(Debug, Default)]
pub(crate) struct Following {
    pub(crate) compiled: Compiled,
    pub(crate) catalogue: Catalogue,
    /// The audiences that are asked: those whose features are filled.
    pub(crate) asked: BTreeMap<Ordinal, AudienceId>,
    /// The definitions that wait to be filled.
    pub(crate) waits: BTreeSet<Ordinal>,
    /// The asked ones, and those that are no more.
    pub(crate) known: BTreeMap<AudienceId, (Option<Ordinal>, Known)>,
    /// Those that may have somebody as a member of whom nothing is known.
    pub(crate) of_nobody: Vec<Ordinal>,
}

/// What brings new definitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// The place of the log from which on events are counted for them.
    pub(crate) position: u64,
    /// Whether there were no events before.
    pub(crate) is_first: bool,
}

impl Following {
    /// What the rules define, as far as the catalogue says it is.
    pub(crate) fn of(rules: &Rules, catalogue: Catalogue) -> Self {
        let definitions = definitions_of(rules);
        let compiled = compile(&definitions, &catalogue.stale);
        let waits: BTreeSet<Ordinal> = catalogue
            .fillings
            .values()
            .flat_map(|filling| &filling.features)
            .flat_map(|feature| compiled.concerned_by(*feature).iter().copied())
            .collect();
        let (mut asked, mut known) = (BTreeMap::new(), BTreeMap::new());
        for one in known_of(&definitions) {
            let ordinal = compiled.ordinal(&DefinitionName::Audience(one.name.clone()));
            let id = AudienceId::of(&one.name, &one.purpose);
            if let Some(ordinal) = ordinal.filter(|ordinal| !waits.contains(ordinal)) {
                asked.insert(ordinal, id);
                known.insert(id, (Some(ordinal), one));
            }
        }
        for one in &catalogue.removed {
            known.entry(AudienceId::of(&one.name, &one.purpose)).or_insert_with(|| (None, one.clone()));
        }
        let of_nobody = compiled.of_nobody();
        Self { compiled, catalogue, asked, waits, known, of_nobody }
    }

    /// Whether nobody has to be asked for anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.known.is_empty() && self.catalogue.features.is_empty()
    }

    /// How far the definitions of other rules are when these come.
    pub(crate) fn next(&self, rules: &Rules, began: Began, is_changed: bool) -> Catalogue {
        let definitions = definitions_of(rules);
        let mut next = self.catalogue.clone();
        let audiences: BTreeSet<Known> = known_of(&definitions).collect();
        if !began.is_first {
            next.removed.extend(next.audiences.difference(&audiences).cloned());
        }
        next.removed.retain(|gone| !audiences.contains(gone));
        next.audiences = audiences;
        next.count(&definitions, began);
        let is_any = !next.audiences.is_empty() || !next.removed.is_empty() || !next.stale.is_empty();
        if is_changed && is_any && !began.is_first {
            next.walk = Some(Walk::default());
        }
        next
    }

    /// How far they are when everybody was asked: what was forgotten may be counted again.
    pub(crate) fn walked(&self, rules: &Rules, began: Began) -> Catalogue {
        let mut next = self.catalogue.clone();
        next.walk = None;
        next.removed.clear();
        next.stale.clear();
        next.count(&definitions_of(rules), began);
        next
    }
}

impl Catalogue {
    /// Begins to count what is new, and no more counts what nobody asks for.
    fn count(&mut self, definitions: &Definitions, began: Began) {
        let mut counted = features(definitions, &self.stale);
        let gone: BTreeSet<FeatureId> = self.features.difference(&counted).copied().collect();
        if !began.is_first && !gone.is_empty() {
            self.stale.extend(gone);
            counted = features(definitions, &self.stale);
        }
        let new: BTreeSet<FeatureId> = counted.difference(&self.features).copied().collect();
        for filling in self.fillings.values_mut() {
            filling.features.retain(|feature| counted.contains(feature));
        }
        self.fillings.retain(|_, filling| !filling.features.is_empty());
        if !began.is_first && !new.is_empty() {
            self.fillings.insert(began.position, Filling { features: new, parts: 0 });
        }
        self.features = counted;
    }
}

/// What is wrong with definitions is said when they are applied; those that cannot be used are not.
fn definitions_of(rules: &Rules) -> Definitions {
    definitions(&rules.workspace).unwrap_or_default()
}

fn known_of(definitions: &Definitions) -> impl Iterator<Item = Known> {
    let known = |audience: &tessera_audience::Audience| Known {
        name: audience.name.clone(),
        purpose: audience.purpose.clone(),
    };
    definitions.audiences.iter().map(known)
}

fn features(definitions: &Definitions, stale: &BTreeSet<FeatureId>) -> BTreeSet<FeatureId> {
    compile(definitions, stale).features().collect()
}

/// The definitions that do not ask for a feature of which some fragments still hold what they did not forget.
fn compile(definitions: &Definitions, stale: &BTreeSet<FeatureId>) -> Compiled {
    let Ok(all) = Compiled::new(&definitions.audiences, &definitions.traits) else {
        return Compiled::default();
    };
    let waits: BTreeSet<&DefinitionName> = stale
        .iter()
        .flat_map(|feature| all.concerned_by(*feature))
        .filter_map(|ordinal| all.name(*ordinal))
        .collect();
    if waits.is_empty() {
        return all;
    }
    let is_ready = |name: DefinitionName| !waits.contains(&name);
    let audiences = definitions.audiences.iter();
    let audiences: Vec<_> =
        audiences.filter(|one| is_ready(DefinitionName::Audience(one.name.clone()))).cloned().collect();
    let traits = definitions.traits.iter();
    let traits: Vec<_> =
        traits.filter(|one| is_ready(DefinitionName::ComputedTrait(one.name.clone()))).cloned().collect();
    // Who speaks of one that waits follows from its features, and waits with it.
    Compiled::new(&audiences, &traits).unwrap_or_default()
}
