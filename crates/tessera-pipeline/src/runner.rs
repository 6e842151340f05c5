//! The threads: one appends, one runs the pipeline, one writes checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::{Condvar, Mutex};
use tessera_store::{Clock, Log, Position, Store};

use crate::appender::{self, Appender, AppenderOptions};
use crate::{Item, Pipeline, PipelineError, PipelineMetrics, Stage};

/// How far the pipeline is, and whether it is well. Others wait on it.
#[derive(Debug, Default)]
pub struct Progress {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    position: Position,
    trouble: Option<String>,
}

impl Progress {
    /// The position up to which the store is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.lock().position
    }

    /// What keeps the pipeline from going on, if anything does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.state.lock().trouble.clone()
    }

    /// Waits until the record at `position` is processed. `false` when that took longer than `timeout`.
    #[must_use]
    pub fn wait_past(&self, position: Position, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        let timed_out =
            self.moved.wait_while_for(&mut state, |state| state.position <= position, timeout).timed_out();
        !timed_out
    }

    /// Waits until everything before `end` is processed. `false` when that took longer than `timeout`.
    #[must_use]
    pub fn wait_until(&self, end: Position, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        !self.moved.wait_while_for(&mut state, |state| state.position < end, timeout).timed_out()
    }

    fn moved_to(&self, position: Position) {
        let mut state = self.state.lock();
        state.position = position;
        state.trouble = None;
        self.moved.notify_all();
    }

    fn is_stuck(&self, error: &PipelineError) {
        self.state.lock().trouble = Some(format!("{}: {error}", error.code()));
    }
}

/// A checkpoint is written once the store asks for one ([`Store::checkpoint_bytes`]), or the log has grown by so many
/// times that since the last, which bounds the replay after a crash, ...
const CHECKPOINT_LOG_TIMES: u64 = 4;
/// ... or after so long.
const CHECKPOINT_EVERY_NANOS: u64 = 20_000_000_000;
const TICK: Duration = Duration::from_millis(50);

/// The running threads. Dropping it does not stop them; [`Runner::stop`] does.
pub struct Runner {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    progress: Arc<Progress>,
    quiet: Arc<Mutex<()>>,
}

impl Runner {
    /// Starts the threads. The pipeline should have caught up before.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start<L: Log, S: Store>(
        pipeline: Pipeline<L, S>,
        log: Arc<L>,
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        options: AppenderOptions,
    ) -> std::io::Result<(Appender, Self)> {
        let metrics = pipeline.metrics();
        let (appender, submissions) = Appender::new(Arc::clone(&metrics), options.clone());
        let (forward, items) = crossbeam_channel::unbounded();
        let progress = Arc::new(Progress::default());
        progress.moved_to(pipeline.position());
        let (stop, quiet) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(format!("tessera-{name}")).spawn(work)
        };
        let append = spawn("log", {
            let (clock, metrics) = (Arc::clone(&clock), Arc::clone(&metrics));
            Box::new(move || {
                appender::run(log.as_ref(), clock.as_ref(), &metrics, &submissions, &options, &forward)
            })
        })?;
        let process = spawn("pipeline", {
            let (progress, stop, metrics) = (Arc::clone(&progress), Arc::clone(&stop), Arc::clone(&metrics));
            let (store, quiet) = (Arc::clone(&store), Arc::clone(&quiet));
            Box::new(move || Process { pipeline, store, items, progress, stop, metrics, quiet }.run())
        })?;
        let checkpoint = spawn("checkpoint", {
            let (progress, stop) = (Arc::clone(&progress), Arc::clone(&stop));
            Box::new(move || checkpoint_loop(store.as_ref(), clock.as_ref(), &metrics, &progress, &stop))
        })?;
        Ok((appender, Self { stop, threads: vec![append, process, checkpoint], progress, quiet }))
    }

    /// How far the pipeline is.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// While this is locked the pipeline waits, so that the state can be read as of one position.
    #[must_use]
    pub fn quiet(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.quiet)
    }

    /// Waits until everything submitted is processed and a last checkpoint is written. Every [`Appender`] must be
    /// gone, or this waits for ever.
    pub fn stop(self) {
        for (thread, name) in self.threads.into_iter().zip(["log", "pipeline", "checkpoint"]) {
            if thread.join().is_err() {
                tracing::error!("the {name} thread panicked");
            }
            // The log thread ends with the last appender. From then on the pipeline ends once nothing waits, or at
            // once if it is stuck: the log has what it could not process.
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

struct Process<L, S> {
    pipeline: Pipeline<L, S>,
    store: Arc<S>,
    items: Receiver<Item>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    metrics: Arc<PipelineMetrics>,
    quiet: Arc<Mutex<()>>,
}

impl<L: Log, S: Store> Process<L, S> {
    fn run(mut self) {
        let mut batch: Vec<Item> = Vec::new();
        loop {
            match self.items.recv_timeout(TICK) {
                Ok(first) => batch.push(first),
                Err(RecvTimeoutError::Timeout) if self.stop.load(Ordering::SeqCst) => return,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let mut events = batch.iter().map(Item::len).sum::<usize>();
            while events < 2_000 {
                let Ok(more) = self.items.try_recv() else { break };
                events += more.len();
                batch.push(more);
            }
            let bytes: u64 = batch.iter().map(|item| item.bytes).sum();
            self.process(std::mem::take(&mut batch));
            self.metrics.in_flight_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn process(&mut self, batch: Vec<Item>) {
        let Some(end) = batch.last().map(|item| item.next) else { return };
        let quiet = Arc::clone(&self.quiet);
        let _processing = quiet.lock();
        let mut result = self.pipeline.process(batch);
        let mut pause = TICK;
        while let Err(error) = result {
            self.progress.is_stuck(&error);
            tracing::error!(code = error.code(), hint = error.hint(), "the pipeline cannot go on: {error}");
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            // Nothing is lost by waiting: the log holds everything, and requests are refused once enough waits.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(10));
            // The rest of the batch is read back from the log.
            result = self.read_on(end);
        }
        self.progress.moved_to(self.pipeline.position());
        // It bounds memory.
        if self.store.dirty_bytes() > 2 * self.store.checkpoint_bytes()
            && let Err(error) = self.store.checkpoint()
        {
            tracing::error!(code = error.code(), hint = error.hint(), "cannot write a checkpoint: {error}");
        }
    }

    fn read_on(&mut self, end: Position) -> Result<(), PipelineError> {
        while self.pipeline.step(end)? > 0 {}
        Ok(())
    }
}

fn checkpoint_loop(
    store: &impl Store,
    clock: &dyn Clock,
    metrics: &PipelineMetrics,
    progress: &Progress,
    stop: &AtomicBool,
) {
    let mut last = clock.monotonic_nanos();
    loop {
        let stopping = stop.load(Ordering::SeqCst);
        let now = clock.monotonic_nanos();
        let behind = progress.position().0.saturating_sub(store.durable_position().0);
        let is_due = store.dirty_bytes() >= store.checkpoint_bytes()
            || behind >= CHECKPOINT_LOG_TIMES * store.checkpoint_bytes()
            || now.saturating_sub(last) >= CHECKPOINT_EVERY_NANOS;
        if (behind > 0 || store.dirty_bytes() > 0) && (stopping || is_due) {
            if let Err(error) = store.checkpoint() {
                tracing::error!(
                    code = error.code(),
                    hint = error.hint(),
                    "cannot write a checkpoint: {error}"
                );
            }
            last = clock.monotonic_nanos();
            metrics.add(Stage::Checkpoint, last.saturating_sub(now));
        }
        if stopping {
            return;
        }
        std::thread::sleep(TICK);
    }
}
