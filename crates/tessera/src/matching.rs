//! Wiring of the thread that compares profiles.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tessera_pipeline::{Appender, Matchers, Matching};
use tessera_store::{Log, Store};

use crate::governance::{Subjects, order};

/// How much the thread yields to others: events come first, but who comes is to be compared soon.
const NICE: i32 = 5;
/// How much those yield that runs and training are spread over: as much as may be.
const NICE_OF_RUNS: i32 = 19;
const TICK: Duration = Duration::from_millis(20);

/// How long the end of the server waits for what the thread is about; training cannot be broken off.
const PATIENCE: Duration = Duration::from_secs(2);

/// The running thread, and its way into the log.
pub(crate) struct Thread {
    handle: JoinHandle<()>,
    appender: Arc<Mutex<Option<Appender>>>,
}

/// Starts the thread.
pub(crate) fn start<L: Log, S: Store>(
    subjects: &Subjects<L, S>,
    appender: Appender,
    matching: &Arc<Matching>,
) -> anyhow::Result<Thread> {
    let (clock, progress) = (Arc::clone(&subjects.clock), Arc::clone(&subjects.progress));
    let appender = Arc::new(Mutex::new(Some(appender)));
    let lent = Arc::clone(&appender);
    let matchers = Matchers {
        store: Arc::clone(&subjects.store),
        rules: Arc::clone(&subjects.rules),
        clock: Arc::clone(&subjects.clock),
        order: Box::new(move |operation| {
            let lent = lent.lock().clone().ok_or("the server is stopping")?;
            order(&lent, &progress, clock.as_ref(), operation)
        }),
    };
    let runs = rayon::ThreadPoolBuilder::new().start_handler(|_| yield_to_others(NICE_OF_RUNS));
    if let Err(error) = runs.build_global() {
        tracing::debug!("runs of matchers do not yield to others: {error}");
    }
    let matching = Arc::clone(matching);
    let work = move || {
        yield_to_others(NICE);
        matchers.run(&matching);
    };
    let handle = std::thread::Builder::new().name("tessera-match".to_owned()).spawn(work);
    Ok(Thread { handle: handle.context("cannot start a thread")?, appender })
}

/// On Linux this concerns the calling thread alone.
fn yield_to_others(nice: i32) {
    if let Err(error) = rustix::process::nice(nice) {
        tracing::debug!("a thread of matching does not yield to others: {error}");
    }
}

/// Ends the thread. Its appender goes at once, for the runner waits for that; what it would order is found again.
pub(crate) fn stop(matching: &Matching, thread: Thread) {
    matching.stop();
    drop(thread.appender.lock().take());
    let mut waited = Duration::ZERO;
    while !thread.handle.is_finished() && waited < PATIENCE {
        std::thread::sleep(TICK);
        waited += TICK;
    }
    if thread.handle.is_finished() && thread.handle.join().is_err() {
        tracing::error!("the matching thread panicked");
    }
}
