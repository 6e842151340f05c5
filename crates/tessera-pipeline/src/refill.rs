//! Fills a lake that was lost from what the log still has.
//!
//! Not a second reading of the rules: the log is replayed into a store that is thrown away, and what this keeps goes to the lake on
//! the usual way. Invariant: who was erased, what no purpose covers any more, and what somebody has not permitted all the time since
//! it came is not brought back.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tessera_model::{HashKey, Rules};
use tessera_store::{Clock, Lake, Log, Position, Store};

use crate::{LakeFeed, Pipeline, PipelineError, PipelineOptions, Scrub, load_rules};

/// What a lake is filled from.
pub struct Refill<L> {
    /// The log.
    pub log: Arc<L>,
    /// The lake.
    pub lake: Arc<dyn Lake>,
    /// The installation's key.
    pub key: HashKey,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl<L: Log> Refill<L> {
    /// Replays the log into `store` from where that stands up to `upto`, and brings to the lake what is kept; tells `progress` the
    /// position now and then.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn replay<S: Store>(
        &self,
        store: &Arc<S>,
        upto: Position,
        options: PipelineOptions,
        mut progress: impl FnMut(Position),
    ) -> Result<(), PipelineError> {
        let options = PipelineOptions { lake_from: Some(self.lake.position()), ..options };
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let mut pipeline = Pipeline::open(log, Arc::clone(store), self.key.clone(), clock, options)?;
        let feed = self.feed(store, pipeline.rules());
        while pipeline.step(upto)? > 0 {
            progress(pipeline.position());
            let behind = pipeline.position().0.saturating_sub(store.durable_position().0);
            if store.dirty_bytes() > store.checkpoint_bytes() || behind > 4 * store.checkpoint_bytes() {
                // By the rules of that time, as it was done then.
                feed.flush()?;
                store.checkpoint()?;
            }
        }
        feed.flush()?;
        store.checkpoint()?;
        Ok(())
    }

    /// Takes out of the lake what may not come back, by the state of today in `store`. Returns how many events the lake has.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn settle<S: Store>(&self, store: &Arc<S>) -> Result<u64, PipelineError> {
        let rules = Arc::new(ArcSwap::from_pointee(load_rules(store.as_ref(), &self.key)?));
        let feed = self.feed(store, Arc::clone(&rules));
        let (rules, now) = (rules.load_full(), self.clock.now());
        let (log, store) = (self.log.as_ref(), store.as_ref());
        Scrub { log, store, rules: &rules, key: &self.key, now }.refilled_in_lake(&feed)?;
        self.lake.tidy(now)?;
        store.checkpoint()?;
        Ok(self.lake.size().rows)
    }

    fn feed<S: Store>(&self, store: &Arc<S>, rules: Arc<ArcSwap<Rules>>) -> LakeFeed<L, S> {
        LakeFeed {
            log: Arc::clone(&self.log),
            store: Arc::clone(store),
            lake: Arc::clone(&self.lake),
            rules,
            key: self.key.clone(),
            clock: Arc::clone(&self.clock),
            passing: Mutex::default(),
        }
    }
}
