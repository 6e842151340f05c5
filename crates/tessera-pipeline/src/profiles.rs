//! Takes snapshots of everybody's profiles into the lake, and takes out of them what must not be kept.
//!
//! Not the way to see people: other engines read the files past the gate. Invariant: a row has what some purpose covered at that time,
//! and loses it with the next erasure or sweep after none does.

mod derived;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tessera_model::{ConsentStatus, NamespaceRules, PurposeSet, Rules, Timestamp, find_values};
use tessera_policy::{ConsentRecord, is_in_time};
use tessera_profile::{Cluster, Row};
use tessera_store::{
    Clock, Key, Lake, LakeError, LakeRewritten, Log, ProfileFate, ProfileRow, ProfileTrait, Store, Table,
};

use crate::apply::as_u64;
use crate::orders::kept_purposes;
use crate::query::load_cluster;
use crate::{LakeFeed, Looked, Mentions, PipelineError, Scrub, load_totals};

use derived::Deriving;

/// Clusters that are read at once.
const PAGE: usize = 256;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Takes snapshots of profiles.
pub struct ProfileSnapshots<S> {
    /// The store.
    pub store: Arc<S>,
    /// The lake.
    pub lake: Arc<dyn Lake>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl<S: Store> ProfileSnapshots<S> {
    /// Takes a snapshot of everybody; it takes the place of that of the same day. Returns its rows.
    ///
    /// # Errors
    /// [`PipelineError`], also when `progress` says that nobody waits for it any more; then there is no new snapshot.
    pub fn take(&self, progress: &mut dyn FnMut(Looked) -> bool) -> Result<u64, PipelineError> {
        let (now, position) = (self.clock.now(), self.store.position());
        let rules = self.rules.load_full();
        let totals = load_totals(self.store.as_ref())?;
        let mut pages = Pages {
            store: self.store.as_ref(),
            deriving: Deriving::of(self.store.as_ref(), &rules, now)?,
            rules: Arc::clone(&rules),
            at: (position.0, now),
            after: None,
            rows: VecDeque::new(),
            is_over: false,
            looked: Looked { profiles: 0, profiles_expected: totals.profiles + totals.accounts },
            progress,
        };
        Ok(self.lake.append_profiles(now, position, &mut pages)?)
    }

    /// Takes the snapshot of the day if there is none, and removes those that are older than `days` days.
    ///
    /// # Errors
    /// As [`ProfileSnapshots::take`].
    pub fn keep(&self, days: u32, stop: &AtomicBool) -> Result<Option<u64>, PipelineError> {
        let day = |at: Timestamp| at.as_millis().div_euclid(DAY_MILLIS);
        let now = self.clock.now();
        self.lake.forget_profiles(now.plus_millis(-i64::from(days.saturating_sub(1)) * DAY_MILLIS), now)?;
        match self.lake.profiles_taken_at().is_some_and(|taken| day(taken) == day(now)) {
            true => Ok(None),
            false => self.take(&mut |_| !stop.load(Ordering::SeqCst)).map(Some),
        }
    }
}

/// The rows of everybody, read page by page.
struct Pages<'a, S> {
    store: &'a S,
    rules: Arc<Rules>,
    deriving: Deriving<'a, S>,
    at: (u64, Timestamp),
    after: Option<Key>,
    rows: VecDeque<ProfileRow>,
    is_over: bool,
    looked: Looked,
    progress: &'a mut dyn FnMut(Looked) -> bool,
}

impl<S: Store> Pages<'_, S> {
    fn read(&mut self) -> Result<(), PipelineError> {
        let clusters = self.store.scan(Table::Cluster, self.after.as_ref().map(Key::id), PAGE)?;
        match clusters.last() {
            Some((last, _)) => self.after = Some(*last),
            None => self.is_over = true,
        }
        for (_, value) in &clusters {
            if let Row::Cluster(cluster) = Row::decode(value)? {
                self.looked.profiles += as_u64(cluster.graph().components().len());
                rows_of(&cluster, &self.rules, self.at, &mut self.rows);
                self.deriving.rows_of(&cluster, self.at.0, &mut self.rows)?;
            }
        }
        Ok(())
    }
}

impl<S: Store> Iterator for Pages<'_, S> {
    type Item = Result<ProfileRow, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rows.is_empty() && !self.is_over {
            if !(self.progress)(self.looked) {
                self.is_over = true;
                return Some(Err(LakeError::Decision("nobody waits for it any more".to_owned())));
            }
            if let Err(error) = self.read() {
                self.is_over = true;
                return Some(Err(decision(&error)));
            }
        }
        self.rows.pop_front().map(Ok)
    }
}

fn decision(error: &PipelineError) -> LakeError {
    LakeError::Decision(format!("{}: {error}", error.code()))
}

fn rows_of(
    cluster: &Cluster,
    rules: &Rules,
    (position, taken_at): (u64, Timestamp),
    into: &mut VecDeque<ProfileRow>,
) {
    let nodes = cluster.graph().nodes();
    for component in cluster.graph().components() {
        let Some(node) = component.first().copied() else { continue };
        let covered = kept_purposes(cluster, node, &rules.purposes, taken_at);
        let is_restricted = is_restricted(cluster, node);
        let profile = cluster.profile_id(node);
        for (at, fragment) in cluster.component(node) {
            let Some(own) = nodes.get(at).filter(|own| own.namespace.as_str() != NamespaceRules::ACCOUNT)
            else {
                continue;
            };
            let mut said: BTreeMap<PurposeSet, BTreeMap<&str, ProfileTrait>> = BTreeMap::new();
            for basis in fragment.bases() {
                said.entry(basis.purposes.and(covered)).or_default();
            }
            // Of several words of one name the latest comes first.
            for (entry, word) in fragment.traits.iter().filter(|(entry, _)| entry.value != "null") {
                let Some(basis) = fragment.basis_of(word.basis) else { continue };
                let purposes = basis.purposes.and(covered);
                let one = || ProfileTrait {
                    name: entry.name.as_str().into(),
                    value: entry.value.as_str().into(),
                    at: word.at,
                };
                said.entry(purposes).or_default().entry(&entry.name).or_insert_with(one);
            }
            for (purposes, traits) in said.into_iter().filter(|(purposes, _)| !purposes.is_empty()) {
                let is_in_time = |one: &ProfileTrait| is_covered(rules, purposes, one.at, taken_at);
                into.push_back(ProfileRow {
                    position,
                    taken_at,
                    profile,
                    fragment: own.id,
                    purposes,
                    first_seen_at: fragment.first_seen_at,
                    last_seen_at: fragment.last_seen_at,
                    is_restricted,
                    traits: traits.into_values().filter(is_in_time).collect(),
                    audiences: Vec::new(),
                    computed_traits: Vec::new(),
                    made_of: Vec::new(),
                });
            }
        }
    }
}

fn is_covered(rules: &Rules, purposes: PurposeSet, at: Timestamp, now: Timestamp) -> bool {
    purposes.iter().filter_map(|id| rules.purposes.by_id(id)).any(|purpose| is_in_time(purpose, at, now))
}

fn is_restricted(cluster: &Cluster, node: usize) -> bool {
    let all = cluster.component(node).flat_map(|(_, fragment)| fragment.consents.iter());
    let words: Vec<ConsentRecord> = all.filter(|word| word.purpose.is_none()).collect();
    let last = |status| words.iter().filter(|word| word.status == status).map(|word| word.last_at).max();
    let restricted = last(ConsentStatus::Restricted);
    restricted.is_some() && restricted >= last(ConsentStatus::Unrestricted)
}

impl<L: Log, S: Store> Scrub<'_, L, S> {
    /// Takes out of the snapshots of profiles who is gone and what names them, and what no purpose covers any more of those who are
    /// spared. `about`: the two; `None`: nobody is gone, and everybody is looked at.
    ///
    /// # Errors
    /// [`PipelineError`]; another pass does the rest.
    pub(crate) fn profiles_in_lake(
        &self,
        feed: &LakeFeed<L, S>,
        about: Option<(&Mentions<'_>, &Mentions<'_>)>,
    ) -> Result<LakeRewritten, PipelineError> {
        let sift = &mut |row: &ProfileRow| self.fate_of_profile(row, about).map_err(|error| decision(&error));
        Ok(feed.lake.rewrite_profiles(sift, self.now)?)
    }

    fn fate_of_profile(
        &self,
        row: &ProfileRow,
        about: Option<(&Mentions<'_>, &Mentions<'_>)>,
    ) -> Result<ProfileFate, PipelineError> {
        let is_of = |some: &Mentions<'_>| some.is_of(row.fragment) || some.is_of(row.profile);
        let mut anew = row.clone();
        if let Some((gone, spared)) = about {
            if is_of(gone) {
                return Ok(ProfileFate::Remove);
            }
            anew.traits.retain(|one| !names(gone, &one.value));
            if row.made_of.iter().any(|id| gone.is_of(*id)) {
                return Ok(ProfileFate::Remove);
            }
            anew.computed_traits.retain(|(_, value)| !names(gone, value));
            if !is_of(spared) && !row.made_of.iter().any(|id| spared.is_of(*id)) {
                return Ok(kept_as(anew, row));
            }
        }
        if !row.made_of.is_empty() {
            let stays = self.derived_stays(row)?;
            return Ok(if stays { kept_as(anew, row) } else { ProfileFate::Remove });
        }
        // Whose fragment is there no more was erased.
        let Some((cluster, node)) = load_cluster(self.store, row.fragment)? else {
            return Ok(ProfileFate::Remove);
        };
        let purposes = row.purposes.and(kept_purposes(&cluster, node, &self.rules.purposes, self.now));
        anew.purposes = purposes;
        anew.traits.retain(|one| is_covered(self.rules, purposes, one.at, self.now));
        if anew.traits.is_empty() && !is_covered(self.rules, purposes, row.last_seen_at, self.now) {
            return Ok(ProfileFate::Remove);
        }
        Ok(kept_as(anew, row))
    }

    /// Whether its purpose still covers all that something was worked out of.
    fn derived_stays(&self, row: &ProfileRow) -> Result<bool, PipelineError> {
        for id in &row.made_of {
            // Whose fragment is there no more was erased.
            let Some((cluster, node)) = load_cluster(self.store, *id)? else { return Ok(false) };
            let kept = kept_purposes(&cluster, node, &self.rules.purposes, self.now);
            if row.purposes.and(kept).is_empty() {
                return Ok(false);
            }
        }
        Ok(is_covered(self.rules, row.purposes, row.last_seen_at, self.now))
    }
}

fn kept_as(anew: ProfileRow, row: &ProfileRow) -> ProfileFate {
    if anew == *row { ProfileFate::Keep } else { ProfileFate::Replace(Box::new(anew)) }
}

/// Whether a value, as JSON text, names one of them.
fn names(some: &Mentions<'_>, value: &str) -> bool {
    let whole = format!("{{\"value\":{value}}}");
    some.in_text(value) || !find_values(&whole, |value| some.in_words(value)).is_empty()
}
