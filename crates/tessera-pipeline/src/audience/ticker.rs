//! The thread that lets time pass: when somebody's answers are due, it orders a `Tick`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tessera_model::{Operation, Timestamp};
use tessera_store::{Clock, Store};

use super::timers::next_due_from;

/// How often it looks whether anybody is due. While there is more to do than one `Tick` does, the next follows at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What it waits when a `Tick` could not be ordered.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the thread to stop.
#[derive(Debug, Default)]
pub struct TickerHandle {
    is_stopping: Mutex<bool>,
    moved: Condvar,
}

impl TickerHandle {
    /// Tells the thread to stop; who is due is found again.
    pub fn stop(&self) {
        *self.is_stopping.lock() = true;
        self.moved.notify_all();
    }

    /// Waits a while. Returns whether to go on.
    fn wait(&self, duration: Duration) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        if !*is_stopping {
            self.moved.wait_for(&mut is_stopping, duration);
        }
        !*is_stopping
    }

    fn is_stopping(&self) -> bool {
        *self.is_stopping.lock()
    }
}

/// What the thread needs.
pub struct Ticker<S> {
    /// Where it stands who is due.
    pub store: Arc<S>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Appends an order and waits until the pipeline has processed it.
    pub order: Box<dyn Fn(Operation) -> Result<(), String> + Send>,
}

impl<S: Store> Ticker<S> {
    /// Works until it is told to stop.
    pub fn run(self, handle: &TickerHandle) {
        let mut from = None;
        while handle.wait(LOOK_EVERY) {
            let (mut last, mut ticked) = (None, None);
            while !handle.is_stopping() {
                // What is ordered from here on is due later, and so is what comes of it.
                let now = self.clock.now();
                match self.tick((from, now)) {
                    Ok(None) => {
                        from = ticked.or(from);
                        break;
                    }
                    // Of many at one time the rest may wait a little.
                    Ok(due) if due == last && due != Some(Timestamp::MIN) => break,
                    Ok(due) => (last, ticked) = (due, Some(now)),
                    Err(error) => {
                        if !handle.wait(PAUSE) {
                            return;
                        }
                        tracing::error!("cannot ask whose time has come: {error}");
                    }
                }
            }
        }
    }

    /// Orders a `Tick` if anybody is due. Returns since when anybody was.
    fn tick(&self, (from, now): (Option<Timestamp>, Timestamp)) -> Result<Option<Timestamp>, String> {
        let due = next_due_from(self.store.as_ref(), from).map_err(|error| error.to_string())?;
        let due = due.filter(|due| *due <= now);
        if due.is_some() {
            (self.order)(Operation::Tick {})?;
        }
        Ok(due)
    }
}
