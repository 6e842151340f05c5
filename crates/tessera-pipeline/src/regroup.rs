//! What becomes of people when the identifiers of a cluster are divided into profiles in another way: because evidence is
//! taken away, or because the rules change.
//!
//! Counts, and some samples by fragment; no value of anybody. Invariant: a cluster whose profiles stay as they are counts
//! for nothing but itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_model::{FragmentId, PurposeName, Rules, Timestamp};
use tessera_policy::{Act, decide};
use tessera_profile::{Cluster, fold};

use crate::apply::as_u64;
use crate::simulation::{BeforeAfter, tell_apart};

/// Most samples that are kept.
const SAMPLES_MAX: usize = 20;

/// What is decided otherwise for a purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DecisionEffect {
    /// Profiles that may be used for it after and not before.
    pub newly_permitted: u64,
    /// Profiles that may be used for it before and not after.
    pub newly_denied: u64,
}

/// One profile of a sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its id.
    pub profile: FragmentId,
    /// Its identifiers: namespace and fragment.
    pub identifiers: Vec<(String, FragmentId)>,
}

/// Profiles that share identifiers, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Before.
    pub before: Vec<Part>,
    /// After.
    pub after: Vec<Part>,
}

/// What becomes of people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Regrouping {
    /// How many profiles there are in the clusters that change.
    pub profiles: BeforeAfter,
    /// Profiles that become several.
    pub splitting: u64,
    /// Profiles that several become.
    pub merged: u64,
    /// Identifiers that come into a profile with another id, by namespace.
    pub identifiers_moved: BTreeMap<String, u64>,
    /// In how many profiles each trait is another than before.
    pub traits: BTreeMap<String, u64>,
    /// What is decided otherwise, by purpose.
    pub purposes: BTreeMap<PurposeName, DecisionEffect>,
    /// Some of those who change.
    pub samples: Vec<Sample>,
    /// Every identifier of a profile that changes.
    #[serde(skip)]
    pub people: BTreeSet<FragmentId>,
}

/// The profiles of a cluster: of each node the first node of its profile.
type Heads = Vec<usize>;

fn heads(cluster: &Cluster) -> Heads {
    let mut heads = vec![0; cluster.len()];
    for nodes in cluster.graph().components() {
        let Some(head) = nodes.first() else { continue };
        nodes.iter().filter_map(|node| heads.get_mut(*node).map(|place| *place = *head)).count();
    }
    heads
}

impl Regrouping {
    /// Whether nobody changes.
    #[must_use]
    pub fn is_without_effect(&self) -> bool {
        self.people.is_empty()
    }

    /// Counts what becomes of one cluster. The two differ in nothing but how they are divided.
    pub(crate) fn compare(&mut self, old: &Cluster, new: &Cluster, rules: &Rules, now: Timestamp) {
        let (before, after) = (heads(old), heads(new));
        let is_named = |node: usize| old.fragment(node).is_some_and(tessera_profile::Fragment::is_named);
        let named: Vec<usize> = (0..old.len()).filter(|node| is_named(*node)).collect();
        let mut parts: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut wholes: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for node in &named {
            let (Some(was), Some(is)) = (before.get(*node), after.get(*node)) else { continue };
            parts.entry(*was).or_default().insert(*is);
            wholes.entry(*is).or_default().insert(*was);
        }
        // A profile changes when it comes apart, or its part is put to another.
        let changes = |was: &usize| {
            let mut into = parts.get(was).into_iter().flatten();
            let whole = |is: &usize| wholes.get(is).is_some_and(|of| of.len() == 1);
            parts.get(was).is_some_and(|into| into.len() > 1) || into.any(|is| !whole(is))
        };
        let changed: BTreeSet<usize> = parts.keys().copied().filter(|was| changes(was)).collect();
        if changed.is_empty() {
            return;
        }
        let into: BTreeSet<usize> =
            changed.iter().filter_map(|was| parts.get(was)).flatten().copied().collect();
        self.profiles.before += as_u64(changed.len());
        self.profiles.after += as_u64(into.len());
        self.splitting +=
            as_u64(changed.iter().filter(|was| parts.get(was).is_some_and(|p| p.len() > 1)).count());
        self.merged += as_u64(into.iter().filter(|is| wholes.get(is).is_some_and(|w| w.len() > 1)).count());
        self.identifiers(old, new, &named, |node| before.get(node).is_some_and(|was| changed.contains(was)));
        for is in &into {
            let was = wholes.get(is).into_iter().flatten().next().copied().unwrap_or_default();
            self.profile((old, was), (new, *is), rules, now);
        }
        if self.samples.len() < SAMPLES_MAX {
            let part = |cluster: &Cluster, node: usize| Part {
                profile: cluster.profile_id(node),
                identifiers: members(cluster, node),
            };
            self.samples.push(Sample {
                before: changed.iter().map(|was| part(old, *was)).collect(),
                after: into.iter().map(|is| part(new, *is)).collect(),
            });
        }
    }

    fn identifiers(
        &mut self,
        old: &Cluster,
        new: &Cluster,
        named: &[usize],
        is_changed: impl Fn(usize) -> bool,
    ) {
        for node in named.iter().copied().filter(|node| is_changed(*node)) {
            let Some(known) = old.graph().nodes().get(node) else { continue };
            self.people.insert(known.id);
            if old.profile_id(node) != new.profile_id(node) {
                *self.identifiers_moved.entry(known.namespace.as_str().to_owned()).or_default() += 1;
            }
        }
    }

    fn profile(
        &mut self,
        (old, was): (&Cluster, usize),
        (new, is): (&Cluster, usize),
        rules: &Rules,
        now: Timestamp,
    ) {
        let (Some(before), Some(after)) =
            (fold(old, was, &rules.survivorship), fold(new, is, &rules.survivorship))
        else {
            return;
        };
        let names: BTreeSet<&str> = before.traits.keys().chain(after.traits.keys()).copied().collect();
        for name in names {
            let value = |folded: &tessera_profile::Folded<'_>| -> Option<Box<str>> {
                folded.traits.get(name).map(|word| word.word.entry.value.as_str().into())
            };
            if value(&before) != value(&after) {
                *tell_apart(&mut self.traits, name) += 1;
            }
        }
        for purpose in rules.purposes.iter() {
            let may = |cluster: &Cluster, node: usize| {
                let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
                decide(purpose, Act::Use, fragments, now).is_ok()
            };
            let (may_before, may_after) = (may(old, was), may(new, is));
            if may_before != may_after {
                let effect = self.purposes.entry(purpose.document.name.clone()).or_default();
                effect.newly_permitted += u64::from(may_after);
                effect.newly_denied += u64::from(may_before);
            }
        }
    }
}

fn members(cluster: &Cluster, node: usize) -> Vec<(String, FragmentId)> {
    let nodes = cluster.component(node).filter_map(|(at, _)| cluster.graph().nodes().get(at));
    nodes.map(|node| (node.namespace.as_str().to_owned(), node.id)).collect()
}
