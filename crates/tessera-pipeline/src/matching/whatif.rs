//! What another matcher would find among the profiles that are there, and what becomes of what the one in force has found.
//!
//! Reads, and orders nothing. Pairs are named by profile id; no value of anybody. Invariant: what is counted as to be linked
//! and asked is what a run of that matcher would order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_identity::Undone;
use tessera_model::{
    FragmentId, MatcherDocument, MatcherName, Rules, Score, Selector, Strength, Timestamp, UndoId,
};
use tessera_policy::Labels;
use tessera_profile::Cluster;
use tessera_store::Store;

use super::kept::{Kept, learn_alike};
use super::live::{AllFound, Reading, as_u64};
use super::record::Gate;
use super::worker::{Pair, told};
use crate::PipelineError;
use crate::query::load_cluster;
use crate::regroup::Regrouping;
use crate::reviews::is_asked;
use crate::simulation::BeforeAfter;

/// Most pairs that are named.
const SAMPLES_MAX: usize = 20;

/// What would become of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PairFate {
    /// Nothing.
    Nothing,
    /// A person would be asked.
    Ask,
    /// The two would become one profile, unless a limit stands against it.
    Link,
}

/// A pair that another matcher would treat otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SamplePair {
    /// One profile.
    pub a: FragmentId,
    /// The other.
    pub b: FragmentId,
    /// How likely they are one person; of the matcher in force if the other does not tell.
    pub probability: f64,
    /// By the matcher in force.
    pub before: PairFate,
    /// By the other.
    pub after: PairFate,
}

/// What a changed matcher would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MatcherEffect {
    /// Profiles that it would compare.
    pub profiles: u64,
    /// Pairs that a run would link, and that are two profiles now.
    pub linked: BeforeAfter,
    /// Pairs that a run would put before a person, and that nobody was asked about.
    pub asked: BeforeAfter,
    /// Pairs that the matcher has linked and that hold.
    pub on_record: u64,
    /// Those of them with a score below the other `link`, that nothing else holds together. They stay until somebody takes
    /// them back.
    pub below: u64,
    /// Profiles that would come apart if they were taken back.
    pub splitting: u64,
    /// Some pairs that would be treated otherwise.
    pub samples: Vec<SamplePair>,
    /// Why nothing can be told.
    pub why: Option<String>,
}

impl MatcherEffect {
    /// Whether nobody is treated otherwise.
    pub(crate) fn is_without_effect(&self) -> bool {
        self.linked.before == self.linked.after
            && self.asked.before == self.asked.after
            && self.below == 0
            && self.samples.is_empty()
    }
}

/// One changed matcher while everybody is walked over.
pub(crate) struct MatcherWhatIf<'a> {
    old: Option<(&'a Rules, &'a MatcherDocument)>,
    new: (&'a Rules, &'a MatcherDocument),
    at: Timestamp,
    labels: [Labels; 2],
    /// What the matcher in force compares, if that is something else.
    before: Option<Reading>,
    after: Reading,
    apart: Regrouping,
    effect: MatcherEffect,
}

/// The matchers of `new` that are others in `old`.
pub(crate) fn changed<'a>(old: &'a Rules, new: &'a Rules, at: Timestamp) -> Vec<MatcherWhatIf<'a>> {
    let mut found = Vec::new();
    for matcher in new.matchers() {
        let known = old.matchers().find(|known| known.name == matcher.name);
        if known == Some(matcher) {
            continue;
        }
        let other = known.filter(|known| !learn_alike(known, matcher));
        found.push(MatcherWhatIf {
            old: known.map(|known| (old, known)),
            new: (new, matcher),
            at,
            labels: [Labels::new(old), Labels::new(new)],
            before: other.map(Reading::new),
            after: Reading::new(matcher),
            apart: Regrouping::default(),
            effect: MatcherEffect::default(),
        });
    }
    found
}

impl MatcherWhatIf<'_> {
    /// Reads the profiles of a cluster, and looks at what the matcher has linked in it.
    pub(crate) fn read(&mut self, cluster: &Cluster) {
        let (rules, matcher) = self.new;
        let gate = Gate { rules, labels: &self.labels[1], matcher, now: self.at };
        let records = gate.records(cluster);
        self.after.push(&records, gate.unlinked(cluster, &records));
        if let (Some(before), Some((rules, matcher))) = (&mut self.before, self.old) {
            let gate = Gate { rules, labels: &self.labels[0], matcher, now: self.at };
            let records = gate.records(cluster);
            before.push(&records, gate.unlinked(cluster, &records));
        }
        self.links(cluster);
    }

    fn links(&mut self, cluster: &Cluster) {
        let (rules, matcher) = self.new;
        let graph = cluster.graph();
        let is_own = |word: &&tessera_identity::Evidence| {
            word.strength == Strength::Probable && word.source.as_str() == matcher.name.as_str()
        };
        let mut below = Vec::new();
        for edge in graph.edges() {
            let heard = || edge.evidence().iter().filter(|word| graph.counts(edge, word));
            let Some(best) = heard().filter(is_own).filter_map(|word| word.score).max() else { continue };
            self.effect.on_record += 1;
            if best.as_f64() < matcher.link && heard().all(|word| is_own(&word)) {
                below.push(graph.pair(edge));
            }
        }
        if below.is_empty() {
            return;
        }
        self.effect.below += as_u64(below.len());
        let mut without = cluster.clone();
        for ((a, b), id) in below.into_iter().zip(0..) {
            without.undo(Undone { id: UndoId(id), selector: Selector::Edge { a, b }, at: self.at });
        }
        without.resolve(&rules.namespaces);
        self.apart.compare(cluster, &without, rules, self.at);
    }

    /// What both would find among those who were read.
    pub(crate) fn finish(mut self, store: &impl Store) -> (MatcherName, MatcherEffect) {
        let name = self.new.1.name.clone();
        self.effect.splitting = self.apart.splitting;
        let mut effect = std::mem::take(&mut self.effect);
        if let Err(why) = self.compare(store, &mut effect) {
            effect.why = Some(why);
        }
        (name, effect)
    }

    fn compare(self, store: &impl Store, effect: &mut MatcherEffect) -> Result<(), String> {
        let (_, matcher) = self.new;
        effect.profiles = self.after.len();
        let old = self.old.map(|(_, matcher)| matcher);
        let mut all: Vec<&MatcherDocument> = vec![matcher];
        all.extend(old.filter(|_| self.before.is_none()));
        let mut found = found(self.after, &all, store)?;
        let before = match (self.before, old) {
            (Some(before), Some(old)) => self::found(before, &[old], store)?.pop(),
            (None, Some(_)) => found.pop(),
            (_, None) => None,
        };
        let fates = |found: Option<AllFound>| fates(store, found.unwrap_or_default()).map_err(told);
        let (before, after) = (fates(before)?, fates(found.pop())?);
        let count =
            |fates: &Fates, wanted| as_u64(fates.values().filter(|(fate, _)| *fate == wanted).count());
        effect.linked =
            BeforeAfter { before: count(&before, PairFate::Link), after: count(&after, PairFate::Link) };
        effect.asked =
            BeforeAfter { before: count(&before, PairFate::Ask), after: count(&after, PairFate::Ask) };
        let pairs: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
        for (a, b) in pairs {
            let nothing = (PairFate::Nothing, 0.0);
            let (was, is) = (before.get(&(a, b)).unwrap_or(&nothing), after.get(&(a, b)).unwrap_or(&nothing));
            if was.0 != is.0 && effect.samples.len() < SAMPLES_MAX {
                let probability = if is.1 > 0.0 { is.1 } else { was.1 };
                effect.samples.push(SamplePair { a, b, probability, before: was.0, after: is.0 });
            }
        }
        Ok(())
    }
}

type Fates = BTreeMap<(FragmentId, FragmentId), (PairFate, f64)>;

/// What matchers that learn alike find among everybody, each by its thresholds.
fn found(
    reading: Reading,
    matchers: &[&MatcherDocument],
    store: &impl Store,
) -> Result<Vec<AllFound>, String> {
    let Some(first) = matchers.first() else { return Ok(Vec::new()) };
    let (mut trained, _) = reading.learn(Kept::load(store, first).map_err(told)?)?;
    let least = matchers.iter().min_by(|one, other| one.review.total_cmp(&other.review));
    trained.set_thresholds(least.unwrap_or(first));
    let scored = trained.score(|_, _| ())?;
    Ok(matchers
        .iter()
        .map(|matcher| {
            trained.set_thresholds(matcher);
            trained.sort(&scored)
        })
        .collect())
}

/// What becomes of pairs that are not settled yet.
fn fates(store: &impl Store, found: AllFound) -> Result<Fates, PipelineError> {
    let mut fates = Fates::new();
    for (pairs, fate) in [(found.link, PairFate::Link), (found.review, PairFate::Ask)] {
        for Pair { a, b, probability } in pairs {
            let (Some((one, _)), Some((other, _))) = (load_cluster(store, a)?, load_cluster(store, b)?)
            else {
                continue;
            };
            let is_settled = one.find(b).is_some()
                || fate == PairFate::Ask && is_asked(store, (&one, a), (&other, b), Score::of(probability))?;
            if !is_settled {
                fates.insert((a.min(b), a.max(b)), (fate, probability));
            }
        }
    }
    Ok(fates)
}
