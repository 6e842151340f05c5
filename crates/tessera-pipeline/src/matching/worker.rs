//! The thread that compares profiles: everybody with everybody when a run is asked for, and by live matchers each profile
//! as it comes or changes ([`super::incoming`]).
//!
//! It decides nothing for good: what it finds goes through the log as evidence of strength `probable`, or into the review
//! queue, and identity resolution has the last word. Of what it knows only the model is kept, without a value of anybody
//! ([`super::kept`]); the rest it reads from the store, so a person who is erased is in none of its files. Invariant: a pair
//! whose ends are in one cluster already - one profile, or kept apart by a limit or a steward - is not brought up again, nor
//! one that was asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tessera_match::Model;
use tessera_model::{
    Document, FragmentId, LinkOrder, MatcherDocument, MatcherName, Operation, ReviewOrder, Rules, Score,
    Strength, Timestamp,
};
use tessera_policy::Labels;
use tessera_profile::Row;
use tessera_store::{Clock, Key, Store, Table};

use super::explain::side_by_side;
use super::handle::{Matching, RunProgress, RunReport, Wanted};
use super::kept::{Kept, learn_alike};
use super::live::{Live, PROFILES_MIN, Reading, Trained, as_u64};
use super::record::{Compare, Gate};
use crate::PipelineError;
use crate::query::load_cluster;
use crate::reviews::is_asked;
use crate::totals::load_totals;

/// How long the thread waits for changes before it looks around.
const TICK: Duration = Duration::from_millis(100);
/// Most changed people looked at before it looks around.
const CHANGES_MAX: usize = 256;
/// Most pairs of one order.
pub(super) const ORDER_PAIRS_MAX: usize = 500;
/// Learning takes one part in so many of the time at most: it reads everybody, and events need the machine as well.
const REST: i64 = 50;
/// Rows of the store read at once.
const PAGE_ROWS: usize = 256;

/// Gives an order to the log and waits until the pipeline has followed it.
pub type Order = Box<dyn Fn(Operation) -> Result<(), String> + Send>;

/// What the thread works with.
pub struct Matchers<S> {
    /// The profiles.
    pub store: Arc<S>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Tells the time, for the gate.
    pub clock: Arc<dyn Clock>,
    /// The way into the log.
    pub order: Order,
}

/// What the matchers know.
#[derive(Default)]
pub(super) struct Known {
    pub(super) live: BTreeMap<MatcherName, Live>,
    /// The workspace that was followed last.
    rules: Option<Arc<Rules>>,
    /// How many people have changed since each learned, or tried to.
    changed: BTreeMap<MatcherName, usize>,
    /// How many profiles each was read from that found nothing to learn.
    tried: BTreeMap<MatcherName, usize>,
    /// Before when each does not learn again by itself.
    rests_until: BTreeMap<MatcherName, Timestamp>,
}

impl Known {
    /// Whether it is time to learn anew: there may be twice as much to learn from, now that so many more have changed.
    fn has_more(&mut self, name: &MatcherName, changed: usize, now: Timestamp) -> bool {
        let since = self.changed.entry(name.clone()).or_default();
        *since += changed;
        if self.rests_until.get(name).is_some_and(|until| now < *until) {
            return false;
        }
        match self.live.get(name) {
            Some(live) => live.has_outgrown(*since),
            // Reading everybody again for a few more would take the machine from those who need it.
            None => *since >= self.tried.get(name).map_or(PROFILES_MIN, |tried| PROFILES_MIN.max(*tried)),
        }
    }
}

/// A pair of profiles, found likely to be one person.
pub(super) struct Pair {
    pub(super) a: FragmentId,
    pub(super) b: FragmentId,
    pub(super) probability: f64,
}

impl<S: Store> Matchers<S> {
    /// Works until [`Matching::stop`].
    pub fn run(self, matching: &Matching) {
        let mut known = Known::default();
        matching.note_caught_up(self.clock.now());
        while !matching.is_stopping() {
            // Before the rules are read: who asks has seen the matcher in them, and who changed did so by them.
            let asked = matching.next_run();
            let ids = match &asked {
                Some(_) => Vec::new(),
                None => matching.touched().take(CHANGES_MAX, TICK),
            };
            let rules = self.rules.load_full();
            if known.rules.as_ref().map(|rules| rules.version) != Some(rules.version) {
                // They wait on, for they changed before everybody is read.
                matching.touched().add(ids);
                self.follow(&rules, &mut known, matching);
                known.rules = Some(Arc::clone(&rules));
            } else if !ids.is_empty() {
                let is_well = self.meet(&ids, &rules, &mut known, matching);
                self.count(ids.len(), &rules, &mut known, matching);
                if !is_well {
                    matching.touched().add(ids);
                    matching.wait(TICK);
                }
            }
            if let Some((name, wanted)) = asked {
                self.run_one(&rules, (&name, wanted), &mut known, matching);
            }
            if matching.touched().is_empty() {
                matching.note_caught_up(self.clock.now());
            }
        }
    }

    /// Learns anew what the matchers of a workspace compare.
    fn follow(&self, rules: &Rules, known: &mut Known, matching: &Matching) {
        let is_known = |name: &MatcherName| rules.matchers().any(|matcher| matcher.name == *name);
        known.live.retain(|name, _| is_known(name));
        known.changed.retain(|name, _| is_known(name));
        known.tried.retain(|name, _| is_known(name));
        known.rests_until.retain(|name, _| is_known(name));
        matching.retain(is_known);
        let is_gate_same = known.rules.as_ref().is_some_and(|before| gates_alike(before, rules));
        for matcher in rules.matchers() {
            matching.note(&matcher.name, |status| status.is_live = matcher.live);
            match known.live.get_mut(&matcher.name) {
                Some(live)
                    if is_gate_same
                        && learn_alike(live.matcher(), matcher)
                        && live.matcher().live == matcher.live =>
                {
                    live.set_thresholds(matcher);
                    matching.put(&matcher.name, live.model(), live.everybody());
                }
                Some(_) | None => self.learn(rules, &matcher.name, known, matching),
            }
        }
    }

    /// Reads everybody and trains. A matcher that cannot says why.
    fn learn(&self, rules: &Rules, name: &MatcherName, known: &mut Known, matching: &Matching) {
        known.live.remove(name);
        known.changed.remove(name);
        matching.forget_everybody(name);
        let begun = self.clock.now();
        let learned = self.reading(rules, name, matching).and_then(|reading| {
            let (Some(reading), Some(matcher)) = (reading, named(rules, name)) else { return Ok(None) };
            known.tried.insert(name.clone(), usize::try_from(reading.len()).unwrap_or(usize::MAX));
            let (trained, is_new) = reading.learn(Kept::load(self.store.as_ref(), matcher).map_err(told)?)?;
            if is_new {
                self.keep(&trained);
            }
            trained.into_live().map(Some)
        });
        self.settle(name, learned, known, matching);
        let now = self.clock.now();
        let rest = now.millis_since(begun).saturating_mul(REST);
        known.rests_until.insert(name.clone(), now.plus_millis(rest));
    }

    /// Keeps what was learned. Where that cannot be, it is learned again after the next start.
    fn keep(&self, trained: &Trained) {
        let kept = trained.to_keep();
        if let Err(why) = kept.order().and_then(|order| (self.order)(order)) {
            tracing::warn!("what a matcher has learned is not kept: {why}");
        }
    }

    /// Puts what was learned to use, or says why there is nothing.
    fn settle(
        &self,
        name: &MatcherName,
        learned: Result<Option<Live>, String>,
        known: &mut Known,
        matching: &Matching,
    ) {
        match learned {
            Ok(Some(mut learned)) => {
                known.tried.remove(name);
                // Who has changed meanwhile was read before or after: nobody can tell.
                learned.unmet.extend(matching.touched().all());
                matching.put(name, learned.model(), learned.everybody());
                matching.note(name, |status| {
                    status.is_ready = true;
                    status.why = None;
                    status.profiles = learned.len();
                });
                known.live.insert(name.clone(), learned);
            }
            Ok(None) => {}
            Err(why) => {
                tracing::warn!(matcher = name.as_str(), "the matcher compares nothing yet: {why}");
                matching.note(name, |status| {
                    status.is_ready = false;
                    status.why = Some(why);
                });
            }
        }
    }

    /// Reads everybody whom the matcher's purpose permits to compare. `None`: broke off.
    fn reading(
        &self,
        rules: &Rules,
        name: &MatcherName,
        matching: &Matching,
    ) -> Result<Option<Reading>, String> {
        let matcher = named(rules, name).ok_or("it is not declared any more")?;
        let labels = Labels::new(rules);
        let gate = Gate { rules, labels: &labels, matcher, now: self.clock.now() };
        let mut reading = Reading::new(matcher);
        let total = load_totals(self.store.as_ref()).map_err(told)?.profiles;
        let mut after: Option<Key> = None;
        loop {
            let page = self.store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS);
            let page = page.map_err(|error| error.to_string())?;
            let Some((last, _)) = page.last() else { return Ok(Some(reading)) };
            after = Some(*last);
            for (_, value) in &page {
                if let Row::Cluster(cluster) = Row::decode(value).map_err(|error| error.to_string())? {
                    let records = gate.records(&cluster);
                    reading.push(&records, gate.unlinked(&cluster, &records));
                }
            }
            if !matching.goes_on(name) {
                return Ok(None);
            }
            progress(matching, name, ("reading", reading.len(), total));
        }
    }

    /// Compares everybody with everybody.
    fn run_one(
        &self,
        rules: &Rules,
        (name, wanted): (&MatcherName, Wanted),
        known: &mut Known,
        matching: &Matching,
    ) {
        let mut report = RunReport {
            started_at: self.clock.now(),
            ended_at: self.clock.now(),
            profiles: 0,
            pairs: 0,
            linked: 0,
            asked: 0,
            is_dry: wanted.is_dry,
            broke_off: None,
        };
        if let Err(why) = self.run_stages(rules, name, known, (matching, &mut report)) {
            report.broke_off = Some(why);
        }
        report.ended_at = self.clock.now();
        tracing::info!(
            matcher = name.as_str(),
            linked = report.linked,
            asked = report.asked,
            "a matcher's run has ended"
        );
        matching.note(name, |status| {
            status.running = None;
            status.last_run = Some(report);
        });
    }

    fn run_stages(
        &self,
        rules: &Rules,
        name: &MatcherName,
        known: &mut Known,
        (matching, report): (&Matching, &mut RunReport),
    ) -> Result<(), String> {
        let cancelled = || "it was cancelled".to_owned();
        let reading = self.reading(rules, name, matching)?.ok_or_else(cancelled)?;
        report.profiles = reading.len();
        progress(matching, name, ("training", 0, 0));
        let trained = reading.train()?;
        if !matching.goes_on(name) {
            return Err(cancelled());
        }
        let found = trained.compare(|done, total| progress(matching, name, ("comparing", done, total)))?;
        report.pairs = found.pairs;
        let total = found.link.len() + found.review.len();
        let mut done = 0_usize;
        for (pairs, is_link) in [(found.link, true), (found.review, false)] {
            for part in pairs.chunks(ORDER_PAIRS_MAX) {
                if !matching.goes_on(name) {
                    return Err(cancelled());
                }
                let ordered =
                    self.bring((rules, name, trained.model()), (part, is_link, report.is_dry), matching)?;
                *(if is_link { &mut report.linked } else { &mut report.asked }) += ordered;
                done += part.len();
                progress(matching, name, ("ordering", as_u64(done), as_u64(total)));
            }
        }
        // What is only tried changes nothing.
        if !report.is_dry {
            self.keep(&trained);
        }
        if !report.is_dry || !known.live.contains_key(name) {
            self.settle(name, trained.into_live().map(Some), known, matching);
        }
        Ok(())
    }

    /// Orders pairs that are still two profiles and may still be compared. Returns how many.
    pub(super) fn bring(
        &self,
        (rules, name, model): (&Rules, &MatcherName, &Model),
        (pairs, is_link, is_dry): (&[Pair], bool, bool),
        matching: &Matching,
    ) -> Result<u64, String> {
        let Some(matcher) = named(rules, name) else { return Ok(0) };
        let labels = Labels::new(rules);
        let now = self.clock.now();
        let gate = Gate { rules, labels: &labels, matcher, now };
        let mut fresh = Vec::with_capacity(pairs.len());
        for pair in pairs {
            if let Some(records) = self.fresh(pair, is_link, &gate).map_err(told)? {
                fresh.push((pair, records));
            }
        }
        let count = as_u64(fresh.len());
        if is_dry || fresh.is_empty() {
            return Ok(count);
        }
        (self.order)(match is_link {
            true => Operation::Link {
                pairs: fresh.iter().filter_map(|(pair, _)| link(pair, name, now)).collect(),
            },
            false => {
                let asked = fresh.iter().filter_map(|(pair, [one, other])| {
                    let explained = side_by_side(matcher, model, [one, other]).ok()?;
                    review(pair, name, serde_json::to_value(explained).ok()?)
                });
                Operation::PutReviews { pairs: asked.collect() }
            }
        })?;
        matching
            .note(name, |status| *(if is_link { &mut status.linked } else { &mut status.asked }) += count);
        Ok(count)
    }

    /// The two as they are now, unless they are in one cluster, or were asked about already, or the purpose does not permit
    /// to compare both any more.
    fn fresh(
        &self,
        pair: &Pair,
        is_link: bool,
        gate: &Gate<'_>,
    ) -> Result<Option<[Compare; 2]>, PipelineError> {
        let store = self.store.as_ref();
        let (Some((one, _)), Some((other, _))) = (load_cluster(store, pair.a)?, load_cluster(store, pair.b)?)
        else {
            return Ok(None);
        };
        if one.find(pair.b).is_some() {
            return Ok(None);
        }
        let score = Score::of(pair.probability);
        if !is_link && is_asked(store, (&one, pair.a), (&other, pair.b), score)? {
            return Ok(None);
        }
        let of = |records: Vec<Compare>, id| records.into_iter().find(|record| record.profile == id);
        Ok(of(gate.records(&one), pair.a).zip(of(gate.records(&other), pair.b)).map(Into::into))
    }

    /// Learns anew where so many have changed that there is more to learn from.
    fn count(&self, changed: usize, rules: &Rules, known: &mut Known, matching: &Matching) {
        for matcher in rules.matchers() {
            if known.has_more(&matcher.name, changed, self.clock.now()) {
                self.learn(rules, &matcher.name, known, matching);
            }
        }
    }
}

fn progress(matching: &Matching, name: &MatcherName, (stage, done, total): (&'static str, u64, u64)) {
    matching.note(name, |status| {
        if status.running.is_some() {
            status.running = Some(RunProgress { stage, done, total });
        }
    });
}

fn link(pair: &Pair, name: &MatcherName, at: Timestamp) -> Option<LinkOrder> {
    Some(LinkOrder {
        a: pair.a,
        b: pair.b,
        strength: Strength::Probable,
        score: Some(Score::of(pair.probability)?),
        by: name.as_str().to_owned(),
        reason: String::new(),
        at,
    })
}

fn review(pair: &Pair, name: &MatcherName, waterfall: serde_json::Value) -> Option<ReviewOrder> {
    Some(ReviewOrder {
        a: pair.a,
        b: pair.b,
        score: Score::of(pair.probability)?,
        matcher: name.as_str().to_owned(),
        waterfall,
        note: String::new(),
    })
}

fn named<'r>(rules: &'r Rules, name: &MatcherName) -> Option<&'r MatcherDocument> {
    rules.matchers().find(|matcher| matcher.name == *name)
}

/// Whether two workspaces let the same be compared of everybody: their documents differ in none that has a say in that.
fn gates_alike(one: &Rules, other: &Rules) -> bool {
    let has_a_say = |document: &&Document| {
        !matches!(document, Document::Matcher(_) | Document::Destination(_) | Document::TrackingPlan(_))
    };
    let documents =
        |rules: &Rules| -> Vec<Document> { rules.workspace.documents().filter(has_a_say).cloned().collect() };
    documents(one) == documents(other)
}

pub(super) fn told(error: PipelineError) -> String {
    format!("{}: {error}", error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_that_found_nothing_to_learn_reads_everybody_again_when_as_many_have_changed_and_it_has_rested()
     {
        let (mut known, name) = (Known::default(), MatcherName::parse("people").unwrap());
        let at = Timestamp::from_millis;
        assert!(known.has_more(&name, PROFILES_MIN, at(0)));
        known.changed.clear();
        known.tried.insert(name.clone(), 1_000);
        assert!(!known.has_more(&name, 999, at(0)));
        assert!(known.has_more(&name, 1, at(0)));
        known.rests_until.insert(name.clone(), at(5));
        assert!(!known.has_more(&name, 1_000, at(4)));
        assert!(known.has_more(&name, 1, at(5)));
    }
}
