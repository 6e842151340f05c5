//! From an order to erase to the last byte: snapshot, log, store. What an order takes out of the state is gone at once;
//! this makes it unreadable in every file.
//!
//! Safe to repeat: an erasure counts as done only when all of it was, so a crash in the middle begins it again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;
use tessera_model::{FragmentId, HashKey, Rules};
use tessera_profile::Row;
use tessera_store::{Clock, Key, Log, Position, Store};

use crate::rows::{ErasureRow, load_erasures};
use crate::scrub::{Scrub, Scrubbed};
use crate::snapshot::write_snapshot;
use crate::view::cluster_key;
use crate::{LakeFeed, Mentions, PipelineError, SnapshotError};

const DONE: &str = "erasure/done";
const SWEPT: &str = "sweep/done";

/// Makes erased and expired data unreadable.
pub struct Eraser<L, S> {
    /// The log.
    pub log: Arc<L>,
    /// The store.
    pub store: Arc<S>,
    /// The workspace in force.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The installation's key.
    pub key: HashKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The pipeline waits while this is locked.
    pub quiet: Arc<Mutex<()>>,
    /// Where snapshots are.
    pub snapshots: PathBuf,
    /// The way into the lake, if there is one.
    pub lake: Option<Arc<LakeFeed<L, S>>>,
}

/// One erasure, or one sweep, brought to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finished {
    /// The requests that asked for it; empty for a sweep.
    pub requests: Vec<String>,
    /// Identifiers erased, as fragments.
    pub fragments: Vec<FragmentId>,
    /// Identifiers of people erased but for what the law obliges to keep.
    pub spared: Vec<FragmentId>,
    /// Where the last order stands in the log.
    #[serde(skip)]
    pub last: u64,
    /// What became of the log.
    pub log: Scrubbed,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Passing {
    /// `snapshot`, `log` or `store`.
    pub stage: &'static str,
    /// How far, in bytes of log.
    pub done: u64,
    /// Out of.
    pub total: u64,
}

/// The erasures that were ordered and are not at their end.
///
/// # Errors
/// Those of the store.
pub fn pending_erasures(store: &impl Store) -> Result<Vec<ErasureRow>, PipelineError> {
    let done = store.cursor(DONE)?;
    let mut rows = load_erasures(store)?;
    rows.retain(|row| done.is_none_or(|done| row.position > done));
    Ok(rows)
}

/// The identifiers that were erased and of which nothing is kept: lifted ones are not among them.
///
/// # Errors
/// Those of the store.
pub fn erased_fragments(store: &impl Store) -> Result<BTreeSet<FragmentId>, PipelineError> {
    let named: BTreeSet<FragmentId> =
        load_erasures(store)?.into_iter().flat_map(|row| row.fragments).collect();
    let named: Vec<FragmentId> = named.into_iter().collect();
    let mut erased = BTreeSet::new();
    for ids in named.chunks(1000) {
        let keys: Vec<Key> = ids.iter().map(|id| cluster_key(*id)).collect();
        for (id, row) in ids.iter().zip(store.load(&keys)?) {
            if matches!(row.as_deref().map(Row::decode).transpose()?, Some(Row::Tombstone(_))) {
                erased.insert(*id);
            }
        }
    }
    Ok(erased)
}

impl<L: Log, S: Store> Eraser<L, S> {
    /// The erasures that were ordered and are not at their end.
    ///
    /// # Errors
    /// Those of the store.
    pub fn pending(&self) -> Result<Vec<ErasureRow>, PipelineError> {
        pending_erasures(self.store.as_ref())
    }

    /// Makes unreadable what every pending erasure means. `None`: there was none. [`Eraser::done`] follows.
    ///
    /// # Errors
    /// [`SnapshotError`]; the next call begins again.
    pub fn erase(&self, progress: &mut dyn FnMut(Passing)) -> Result<Option<Finished>, SnapshotError> {
        let pending = self.pending()?;
        let Some(last) = pending.iter().map(|row| row.position).max() else { return Ok(None) };
        let fragments: Vec<FragmentId> =
            pending.iter().flat_map(|row| row.fragments.iter().copied()).collect();
        let spared: Vec<FragmentId> = pending.iter().flat_map(|row| row.spared.iter().copied()).collect();
        let requests = pending.iter().map(|row| row.request.clone()).collect();
        let rules = self.rules.load_full();
        let finished = self.rewrite(progress, |scrub, upto, progress| {
            let mentions = |people: &[FragmentId]| Mentions::new(people, &rules, &self.key);
            let (gone, spared) = (mentions(&fragments), mentions(&spared));
            let scrubbed = scrub.people(&gone, &spared, upto, progress)?;
            progress(upto);
            if let Some(feed) = &self.lake {
                scrub.people_in_lake(feed, &gone, &spared)?;
                scrub.profiles_in_lake(feed, Some((&gone, &spared)))?;
            }
            Ok(scrubbed)
        })?;
        Ok(Some(Finished { requests, fragments, spared, last, ..finished }))
    }

    /// Remembers that these erasures are at their end, and recorded.
    ///
    /// # Errors
    /// Those of the store.
    pub fn done(&self, finished: &Finished) -> Result<(), PipelineError> {
        Ok(self.store.set_cursor(DONE, finished.last)?)
    }

    /// Makes unreadable what no purpose covers any more. Orders to expire it have gone through the pipeline before.
    ///
    /// # Errors
    /// As [`Eraser::erase`].
    pub fn sweep(&self, progress: &mut dyn FnMut(Passing)) -> Result<Finished, SnapshotError> {
        let finished = self.rewrite(progress, |scrub, upto, progress| {
            let scrubbed = scrub.uncovered(upto, progress)?;
            if let Some(feed) = &self.lake {
                scrub.uncovered_in_lake(feed)?;
                scrub.profiles_in_lake(feed, None)?;
            }
            Ok(scrubbed)
        })?;
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        self.store.set_cursor(SWEPT, now).map_err(PipelineError::from)?;
        Ok(finished)
    }

    /// When the last sweep ended, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Those of the store.
    pub fn swept_at(&self) -> Result<Option<u64>, PipelineError> {
        Ok(self.store.cursor(SWEPT)?)
    }

    fn rewrite(
        &self,
        progress: &mut dyn FnMut(Passing),
        pass: impl FnOnce(&Scrub<'_, L, S>, Position, &mut dyn FnMut(Position)) -> Result<Scrubbed, PipelineError>,
    ) -> Result<Finished, SnapshotError> {
        let begun = self.clock.monotonic_nanos();
        progress(Passing { stage: "snapshot", done: 0, total: 0 });
        // First, so that a replay never begins before what is about to go; it takes the place of older ones, which
        // still know it.
        let upto = {
            let _quiet = self.quiet.lock();
            self.store.checkpoint().map_err(PipelineError::from)?;
            write_snapshot(self.store.as_ref(), &self.snapshots)?
        };
        let rules = self.rules.load_full();
        let scrub = Scrub {
            log: self.log.as_ref(),
            store: self.store.as_ref(),
            rules: &rules,
            key: &self.key,
            now: self.clock.now(),
        };
        let start = self.log.bounds().start.0;
        let total = upto.0.saturating_sub(start);
        let log = pass(&scrub, upto, &mut |at| {
            progress(Passing { stage: "log", done: at.0.saturating_sub(start), total });
        })?;
        progress(Passing { stage: "store", done: total, total });
        self.store.compact().map_err(PipelineError::from)?;
        let millis = self.clock.monotonic_nanos().saturating_sub(begun) / 1_000_000;
        Ok(Finished { log, millis, ..Finished::default() })
    }
}
