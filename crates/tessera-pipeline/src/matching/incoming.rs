//! Profiles one by one, as they come or change: what a live matcher does between runs.

use std::collections::BTreeSet;

use tessera_model::{FragmentId, MatcherDocument, Rules};
use tessera_policy::Labels;
use tessera_store::Store;

use super::Matching;
use super::everybody::Met;
use super::live::Live;
use super::record::{Compare, Gate};
use super::worker::{Known, Matchers, ORDER_PAIRS_MAX, told};
use crate::query::load_cluster;

impl<S: Store> Matchers<S> {
    /// Compares those who have changed with everybody, by each live matcher, and orders what follows. Returns whether
    /// that went well; if not, they wait again.
    pub(super) fn meet(
        &self,
        ids: &[FragmentId],
        rules: &Rules,
        known: &mut Known,
        matching: &Matching,
    ) -> bool {
        let mut is_well = true;
        for matcher in rules.matchers().filter(|matcher| matcher.live) {
            let Some(live) = known.live.get_mut(&matcher.name) else { continue };
            let started = self.clock.monotonic_nanos();
            let met = self.met(ids, (rules, matcher), live, matching);
            let brought = met.and_then(|met| self.bring_met((rules, matcher), live, met, matching));
            matching.count_nanos(self.clock.monotonic_nanos().saturating_sub(started));
            if let Err(why) = brought {
                tracing::warn!(matcher = matcher.name.as_str(), "profiles wait to be compared again: {why}");
                live.unmet.extend(ids);
                is_well = false;
            }
        }
        is_well
    }

    fn met(
        &self,
        ids: &[FragmentId],
        (rules, matcher): (&Rules, &MatcherDocument),
        live: &mut Live,
        matching: &Matching,
    ) -> Result<Met, String> {
        let Some(everybody) = live.everybody() else { return Ok(Met::default()) };
        let labels = Labels::new(rules);
        let gate = Gate { rules, labels: &labels, matcher, now: self.clock.now() };
        let (mut met, mut seen, mut compared) = (Met::default(), BTreeSet::new(), 0_u64);
        for id in ids {
            if !seen.insert(*id) {
                continue;
            }
            let Some((cluster, _)) = load_cluster(self.store.as_ref(), *id).map_err(told)? else {
                everybody.write().forget(*id);
                continue;
            };
            seen.extend(cluster.ids());
            let is_unmet = cluster.ids().filter(|id| live.unmet.remove(id)).count() > 0;
            let records = gate.records(&cluster);
            let is_gone = |id: &FragmentId| records.iter().all(|record| record.profile != *id);
            cluster.ids().filter(is_gone).for_each(|id| everybody.write().forget(id));
            let changed = |record: &&Compare| is_unmet || !everybody.read().knows(record);
            for record in records.iter().filter(changed) {
                let found = everybody.write().meet(record, matcher).map_err(|error| error.to_string())?;
                met.link.extend(found.link);
                met.review.extend(found.review);
                compared += 1;
            }
        }
        everybody.write().renew_if_worn().map_err(|error| error.to_string())?;
        let profiles = super::live::as_u64(everybody.read().len());
        matching.note(&matcher.name, |status| {
            status.profiles = profiles;
            status.compared += compared;
        });
        Ok(met)
    }

    fn bring_met(
        &self,
        (rules, matcher): (&Rules, &MatcherDocument),
        live: &Live,
        met: Met,
        matching: &Matching,
    ) -> Result<(), String> {
        let model = live.model();
        for (pairs, is_link) in [(met.link, true), (met.review, false)] {
            for part in pairs.chunks(ORDER_PAIRS_MAX) {
                self.bring((rules, &matcher.name, &model), (part, is_link, false), matching)?;
            }
        }
        Ok(())
    }
}
