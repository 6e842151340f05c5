//! Where the time goes: nanoseconds and counts by stage, for metrics and benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};

/// A stage of an event's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From bytes to events.
    Parse,
    /// Append and fsync.
    Log,
    /// Reading and decoding rows.
    Load,
    /// Gate, resolve, fold.
    Apply,
    /// Encoding rows and committing them.
    Commit,
    /// Writing a checkpoint.
    Checkpoint,
}

impl Stage {
    /// Every stage, in the order an event meets them.
    pub const ALL: [Self; 6] =
        [Self::Parse, Self::Log, Self::Load, Self::Apply, Self::Commit, Self::Checkpoint];

    /// The stage's name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Log => "log",
            Self::Load => "load",
            Self::Apply => "apply",
            Self::Commit => "commit",
            Self::Checkpoint => "checkpoint",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Parse => 0,
            Self::Log => 1,
            Self::Load => 2,
            Self::Apply => 3,
            Self::Commit => 4,
            Self::Checkpoint => 5,
        }
    }
}

/// Counters shared by all threads.
#[derive(Debug, Default)]
pub struct PipelineMetrics {
    nanos: [AtomicU64; 6],
    /// Events that went through the pipeline.
    pub events: AtomicU64,
    /// Log groups written: each is one fsync.
    pub groups: AtomicU64,
    /// Log records written.
    pub records: AtomicU64,
    /// Batches committed.
    pub commits: AtomicU64,
    /// Commits tried again because another writer was faster.
    pub conflicts: AtomicU64,
    /// Bytes of requests on their way to the pipeline.
    pub in_flight_bytes: AtomicU64,
    /// Requests refused because too much was on its way.
    pub overloaded: AtomicU64,
}

impl PipelineMetrics {
    /// Adds time spent in a stage.
    pub fn add(&self, stage: Stage, nanos: u64) {
        if let Some(counter) = self.nanos.get(stage.index()) {
            counter.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Time spent in a stage so far, in nanoseconds.
    #[must_use]
    pub fn nanos(&self, stage: Stage) -> u64 {
        self.nanos.get(stage.index()).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
