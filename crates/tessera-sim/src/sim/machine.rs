//! One server as far as promises go: the real log, the real store and the real pipeline on simulated disks.
//!
//! Not threads and not HTTP: whoever runs the simulation decides what happens next. Invariant: what is not on one of
//! the two disks does not survive [`Machine::crash`].

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tessera_model::Timestamp;
use tessera_pipeline::{Item, Pipeline, PipelineOptions};
use tessera_store::{Clock, Entry, Log, LogError, ManualClock, Position, Store};
use tessera_store_embedded::log::sim_disk::Fault;
use tessera_store_embedded::{SegmentLog, SegmentLogOptions, SimBacking, WriteBack};

use super::brittle::{BrittleBacking, BrittleDisk};
use super::message::hash_key;
use super::random::Random;
use super::{Bug, Checked, START_MILLIS, Violation, ensure};

/// The real log.
pub(crate) type SimLog = SegmentLog<BrittleDisk>;
/// The real store.
pub(crate) type SimStore = WriteBack<BrittleBacking>;

/// So little that rows fall out all the time.
const CACHE_BYTES: u64 = 20_000;

/// One server.
pub(crate) struct Machine {
    pub(crate) disk: BrittleDisk,
    backing: BrittleBacking,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<SimLog>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) pipeline: Pipeline<SimLog, SimStore>,
    /// Appended, and on the way to the pipeline.
    pub(crate) forwarded: VecDeque<Item>,
    /// How often it lost power, crashes while it started included.
    pub(crate) crashes: u64,
    bug: Option<Bug>,
}

impl Machine {
    /// A new machine; `fault` hits while it starts for the first time or later, at that operation of the disk.
    pub(crate) fn start(bug: Option<Bug>, fault: Option<(u64, Fault)>, chance: &mut Random) -> Checked<Self> {
        let (disk, backing) = (BrittleDisk::new(bug), BrittleBacking::new(bug));
        if let Some((operation, fault)) = fault {
            disk.disk.fail_at(operation, fault);
        }
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(START_MILLIS)));
        Self::boot(disk, backing, clock, bug, chance)
    }

    fn boot(
        disk: BrittleDisk,
        backing: BrittleBacking,
        clock: Arc<ManualClock>,
        bug: Option<Bug>,
        chance: &mut Random,
    ) -> Checked<Self> {
        let mut crashes = 0;
        let log = loop {
            ensure(crashes < 20, || "the log does not open though no fault is left".to_owned())?;
            // Small, so that there are many segments and retention has something to remove.
            let options = SegmentLogOptions { segment_bytes: 3_000 + chance.below(6_000) };
            match SegmentLog::open_on(disk.clone(), Path::new("log"), options) {
                Ok(log) => break Arc::new(log),
                Err(LogError::Io { .. }) if disk.disk.stopped() => {
                    crashes += 1;
                    disk.disk.crash(&mut |bound| chance.below(bound));
                }
                Err(LogError::Io { source, .. }) => {
                    crashes += 1;
                    // What is on a full disk is safe, but recovery may need room: somebody makes some.
                    if source.kind() == io::ErrorKind::StorageFull {
                        disk.disk.set_capacity_bytes(None);
                    }
                }
                Err(error) => return Err(Violation(format!("the log does not open: {error}"))),
            }
        };
        let store =
            Arc::new(WriteBack::new(backing.clone(), CACHE_BYTES).map_err(Violation::of("open the store"))?);
        let shared: Arc<dyn Clock> = clock.clone();
        let pipeline =
            Pipeline::open(Arc::clone(&log), Arc::clone(&store), hash_key(), shared, options(bug, chance))
                .map_err(Violation::of("open the pipeline"))?;
        Ok(Self { disk, backing, clock, log, store, pipeline, forwarded: VecDeque::new(), crashes, bug })
    }

    /// Loses power and starts again.
    pub(crate) fn crash(self, chance: &mut Random) -> Checked<Self> {
        let Self { disk, backing, clock, crashes, bug, .. } = self;
        disk.disk.crash(&mut |bound| chance.below(bound));
        backing.backing.clear_fault();
        if chance.one_in(4) {
            let fault = if chance.one_in(3) { Fault::Error } else { Fault::Stop { after_bytes: 100 } };
            disk.disk.fail_at(disk.disk.operations() + chance.below(8), fault);
        }
        let mut machine = Self::boot(disk, backing, clock, bug, chance)?;
        machine.crashes += crashes + 1;
        Ok(machine)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.disk.disk.stopped()
    }

    /// The store's disk, to make its checkpoints fail.
    pub(crate) fn backing(&self) -> &SimBacking {
        &self.backing.backing
    }

    /// Everything that the log holds.
    pub(crate) fn entries(&self) -> Checked<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        let mut from = Position::START;
        loop {
            let entries = self.log.read(from, 20_000).map_err(Violation::of("read the log"))?;
            let Some(last) = entries.last() else { return Ok(all) };
            from = last.next;
            all.extend(entries);
        }
    }

    /// What must hold at any moment.
    pub(crate) fn check_positions(&self) -> Checked {
        let bounds = self.log.bounds();
        let (durable, position) = (self.store.durable_position(), self.store.position());
        let is_kept = bounds.start <= durable;
        ensure(is_kept, || {
            format!("the log begins at {} after the checkpoint at {}", bounds.start.0, durable.0)
        })?;
        let is_ordered = durable <= position && position <= bounds.end;
        ensure(is_ordered, || {
            format!(
                "checkpoint {}, store {} and log end {} are out of order",
                durable.0, position.0, bounds.end.0
            )
        })?;
        let pipeline = self.pipeline.position();
        ensure(pipeline == position, || format!("pipeline at {}, store at {}", pipeline.0, position.0))
    }
}

fn options(bug: Option<Bug>, chance: &mut Random) -> PipelineOptions {
    let defaults = PipelineOptions::default();
    PipelineOptions {
        batch_events_max: 1 + chance.index(40),
        read_bytes_max: 1 + chance.index(8_000),
        dedup_window_millis: if bug == Some(Bug::ForgetsRepeats) { 0 } else { defaults.dedup_window_millis },
        lake_from: None,
    }
}
