//! Wiring of the thread that compares profiles.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tessera_pipeline::{Appender, Matchers, Matching};
use tessera_store::{Log, Store};

use crate::governance::{Subjects, order};

/// How much the thread, and those that it starts, yield to others: as much as may be.
const NICE: i32 = 19;
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
    let matching = Arc::clone(matching);
    let work = move || {
        // On Linux this concerns the thread alone, and those that it starts. Events come first: comparing can wait.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::debug!("matching does not yield to others: {error}");
        }
        matchers.run(&matching);
    };
    let handle = std::thread::Builder::new().name("tessera-match".to_owned()).spawn(work);
    Ok(Thread { handle: handle.context("cannot start a thread")?, appender })
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
