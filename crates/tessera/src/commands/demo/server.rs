//! The server, on a thread of this process.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::output::Failure;
use crate::serve;
use crate::settings::Settings;

/// A running server. It stops when told to, or by a signal.
pub(super) struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    is_interrupted: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Starts it and waits until it serves.
    pub(super) fn start(folder: &Path, settings: Settings) -> anyhow::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let is_interrupted = Arc::new(AtomicBool::new(false));
        let (folder, flag) = (folder.to_owned(), Arc::clone(&is_interrupted));
        let shutdown = async move {
            tokio::select! {
                _ = stopped => {}
                () = serve::signal() => flag.store(true, Ordering::SeqCst),
            }
        };
        let thread = std::thread::Builder::new().name("tessera-demo".to_owned()).spawn(move || {
            serve::run(&folder, &settings, shutdown, |url, _| Ok(ready.send(url.to_owned())?))
        });
        let thread = thread.context("cannot start the server's thread")?;
        match is_ready.recv() {
            Ok(url) => Ok(Self { url, stop, is_interrupted, thread }),
            // It ended before it served, and says why.
            Err(mpsc::RecvError) => Err(join(thread).err().unwrap_or_else(|| ended().into())),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether a signal stopped it.
    pub(super) fn was_interrupted(&self) -> bool {
        self.is_interrupted.load(Ordering::SeqCst)
    }

    /// Serves until a signal comes.
    pub(super) fn wait(self) -> anyhow::Result<()> {
        let ended = join(self.thread);
        drop(self.stop);
        ended
    }

    /// Stops it; returns when everything is on disk.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        join(self.thread)
    }
}

fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().unwrap_or_else(|_| Err(ended().into()))
}

fn ended() -> Failure {
    Failure::new("TES-C006", "the server ended early", "its log on standard error says why")
}
