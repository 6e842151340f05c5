//! Wiring of the thread that fills new definitions from the lake.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tessera_lake::{DeltaLake, Filler};
use tessera_pipeline::{Appender, FILL_PARTS, LakeFeed};
use tessera_store::{Log, Store};

use crate::governance::{Subjects, order};

/// Some 500 MiB: a state is a few hundred bytes, and the rows that it is made of go as they are read.
const STATES_MAX: usize = 500_000;
const TICK: Duration = Duration::from_millis(20);
/// How long the end of the server waits for the reading of a file to end. A part that was not ordered is made anew.
const PATIENCE: Duration = Duration::from_secs(2);

/// The running thread, and its way into the log.
pub(crate) struct Thread {
    handle: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    appender: Arc<Mutex<Option<Appender>>>,
}

/// Starts the thread.
pub(crate) fn start<L: Log, S: Store>(
    subjects: &Subjects<L, S>,
    appender: Appender,
    (lake, feed): (&Arc<DeltaLake>, &Arc<LakeFeed<L, S>>),
) -> anyhow::Result<Thread> {
    let (clock, progress) = (Arc::clone(&subjects.clock), Arc::clone(&subjects.progress));
    let appender = Arc::new(Mutex::new(Some(appender)));
    let lent = Arc::clone(&appender);
    let filler = Filler {
        lake: Arc::clone(lake),
        feed: Arc::clone(feed),
        rules: Arc::clone(&subjects.rules),
        order: Box::new(move |operation| {
            let lent = lent.lock().clone().ok_or("the server is stopping")?;
            order(&lent, &progress, clock.as_ref(), operation)
        }),
        states_max: STATES_MAX,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let work = move || {
        filler.run(&stopping, &|turn| match turn {
            Ok(filled) => tracing::info!(
                since = filled.since,
                parts = filled.parts,
                of = FILL_PARTS,
                events = filled.events,
                "audiences are being filled from the lake"
            ),
            Err(error) => tracing::warn!("the filling of audiences cannot go on: {error}"),
        });
    };
    let handle = std::thread::Builder::new().name("tessera-fill".to_owned()).spawn(work);
    Ok(Thread { handle: handle.context("cannot start a thread")?, stop, appender })
}

/// Ends the thread. Its appender goes at once, for the runner waits for that.
pub(crate) fn stop(thread: Thread) {
    thread.stop.store(true, Ordering::SeqCst);
    drop(thread.appender.lock().take());
    let mut waited = Duration::ZERO;
    while !thread.handle.is_finished() && waited < PATIENCE {
        std::thread::sleep(TICK);
        waited += TICK;
    }
    if thread.handle.is_finished() && thread.handle.join().is_err() {
        tracing::error!("the filling thread panicked");
    }
}
