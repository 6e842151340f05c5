//! Group commit: many requests, one write, one fsync.
//!
//! One thread owns the order of the log. It takes whatever is waiting, appends it at once, answers everybody, and
//! hands the parsed records on to the pipeline in log order. Invariant: nobody is answered `Ok` before the log
//! holds the record; memory is bounded by [`AppenderOptions::in_flight_bytes_max`], beyond which callers are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use tessera_model::Record;
use tessera_store::{Clock, Log, LogError, Position};

use crate::{Item, Parsed, PipelineMetrics, Stage};

/// How much may wait.
#[derive(Clone, Debug)]
pub struct AppenderOptions {
    /// Most bytes of records on their way from a request to the store; beyond it requests are refused.
    pub in_flight_bytes_max: u64,
    /// Most bytes in one write.
    pub group_bytes_max: usize,
}

impl Default for AppenderOptions {
    fn default() -> Self {
        Self { in_flight_bytes_max: 64 * 1024 * 1024, group_bytes_max: 8 * 1024 * 1024 }
    }
}

/// Too much is on its way already: the sender should wait a second and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are on their way to the store")]
pub struct Overloaded;

type Reply = Box<dyn FnOnce(Result<Position, Arc<LogError>>) + Send>;

/// One record to append, and whom to tell.
pub struct Submission {
    record: Record,
    bytes: Vec<u8>,
    parsed: Option<(u64, Parsed)>,
    reply: Reply,
}

impl Submission {
    /// A record, its encoded bytes, its events if they are parsed already, and whom to tell where it went.
    pub fn new(
        record: Record,
        bytes: Vec<u8>,
        parsed: Option<(u64, Parsed)>,
        reply: impl FnOnce(Result<Position, Arc<LogError>>) + Send + 'static,
    ) -> Self {
        Self { record, bytes, parsed, reply: Box::new(reply) }
    }
}

/// The way into the log. Cheap to clone.
#[derive(Clone)]
pub struct Appender {
    sender: Sender<Submission>,
    metrics: Arc<PipelineMetrics>,
    options: AppenderOptions,
}

impl Appender {
    /// An appender, and the receiver that the log thread serves.
    #[must_use]
    pub fn new(metrics: Arc<PipelineMetrics>, options: AppenderOptions) -> (Self, Receiver<Submission>) {
        // The channel itself is unbounded: what bounds it is the budget of bytes.
        let (sender, receiver) = crossbeam_channel::unbounded();
        (Self { sender, metrics, options }, receiver)
    }

    /// Whether there is room for `bytes` more.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        let in_flight = self.metrics.in_flight_bytes.load(Ordering::Relaxed);
        in_flight.saturating_add(more) <= self.options.in_flight_bytes_max
    }

    /// Hands a record over. The reply comes once it is durable, or could not be made so.
    ///
    /// # Errors
    /// [`Overloaded`]: nothing was taken.
    pub fn submit(&self, submission: Submission) -> Result<(), Overloaded> {
        if !self.has_room(submission.bytes.len()) {
            self.metrics.overloaded.fetch_add(1, Ordering::Relaxed);
            return Err(Overloaded);
        }
        let bytes = size(&submission);
        self.metrics.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.send(submission).map_err(|_| {
            self.metrics.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
            Overloaded
        })
    }
}

fn size(submission: &Submission) -> u64 {
    u64::try_from(submission.bytes.len()).unwrap_or(u64::MAX)
}

/// Serves submissions until every [`Appender`] is gone. Runs on a thread of its own.
pub(crate) fn run(
    log: &impl Log,
    clock: &dyn Clock,
    metrics: &PipelineMetrics,
    receiver: &Receiver<Submission>,
    options: &AppenderOptions,
    forward: &Sender<Item>,
) {
    let mut group: Vec<Submission> = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut bytes = first.bytes.len();
        group.push(first);
        while bytes < options.group_bytes_max {
            let Ok(more) = receiver.try_recv() else { break };
            bytes += more.bytes.len();
            group.push(more);
        }
        append(log, clock, metrics, &mut group, forward);
    }
}

fn append(
    log: &impl Log,
    clock: &dyn Clock,
    metrics: &PipelineMetrics,
    group: &mut Vec<Submission>,
    forward: &Sender<Item>,
) {
    let start = clock.monotonic_nanos();
    let records: Vec<&[u8]> = group.iter().map(|submission| submission.bytes.as_slice()).collect();
    let appended = log.append(&records, clock.now());
    metrics.add(Stage::Log, clock.monotonic_nanos().saturating_sub(start));
    match appended {
        Err(error) => {
            let error = Arc::new(error);
            tracing::error!(code = error.code(), hint = error.hint(), "cannot append to the log: {error}");
            for submission in group.drain(..) {
                metrics.in_flight_bytes.fetch_sub(size(&submission), Ordering::Relaxed);
                (submission.reply)(Err(Arc::clone(&error)));
            }
        }
        Ok(positions) => {
            metrics.groups.fetch_add(1, Ordering::Relaxed);
            metrics.records.fetch_add(u64::try_from(positions.len()).unwrap_or(0), Ordering::Relaxed);
            let end = log.bounds().end;
            let nexts: Vec<Position> = positions.iter().skip(1).copied().chain([end]).collect();
            for ((submission, position), next) in group.drain(..).zip(positions).zip(nexts) {
                let bytes = size(&submission);
                (submission.reply)(Ok(position));
                let item =
                    Item { position, next, record: submission.record, parsed: submission.parsed, bytes };
                // The pipeline is gone only when the process ends; the log has the record all the same.
                if forward.send(item).is_err() {
                    metrics.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
                }
            }
        }
    }
}
