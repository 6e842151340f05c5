//! Wiring: settings to a running server.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tessera_evidence::Ledger;
use tessera_model::Rules;
use tessera_pipeline::{
    AppenderOptions, Courier, CourierOptions, LakeFeed, Matching, Notice, Pipeline, PipelineOptions,
    Progress, Runner,
};
use tessera_server::{AccessSettings, Limits, Parts, Tls};
use tessera_store::{Clock, Lake as _, Log as _, Position, Store as _, SystemClock};
use tessera_store_embedded::{EmbeddedStore, SegmentLog};
use tokio::sync::broadcast;

use crate::data_dir::{DataDir, check_agreement};
use crate::filling;
use crate::governance::{self, Governance, Subjects};
use crate::lake::{self, Answers, Snapshotting};
use crate::matching;
use crate::output::{self, Failure};
use crate::retention::retain;
use crate::settings::{LogSettings, Settings};

/// How often retention looks whether there is something to discard.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// How many batches of notices a slow live reader may fall behind.
const NOTICES: usize = 1024;
/// How often the server looks whether its certificate was renewed.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(60);

/// Serves until `shutdown` comes; tells `ready` the address and the URL.
pub(crate) fn run(
    data_dir: &Path,
    settings: &Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(&str, &DataDir) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    let (tls, access) = (load_tls(settings)?, access(settings)?);
    let data = DataDir::open(data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = Arc::new(data.open_log(settings)?);
    let store = Arc::new(data.open_store(settings)?);
    check_agreement(&log, &store)?;
    let evidence = governance::open_ledger(&data.path, &data.key, Arc::clone(&clock))?;
    let lake = lake::open(&data.path, clock.as_ref(), log.bounds().end)?;
    let matching = Arc::new(Matching::default());
    let mut pipeline = caught_up(&data, settings, (&log, &store, &clock), (&matching, lake.position()))?;
    let notices = watch(&mut pipeline);
    let (rules, metrics) = (pipeline.rules(), pipeline.metrics());
    let options = appending(settings);
    let (appender, runner) =
        Runner::start(pipeline, Arc::clone(&log), Arc::clone(&store), Arc::clone(&clock), options)
            .context("cannot start the pipeline's threads")?;
    let delivery = Arc::clone(&evidence);
    let courier = courier(&data, settings, (&log, &store, &clock), (&rules, delivery, runner.progress()));
    let stop = Arc::new(AtomicBool::new(false));
    let subjects = Subjects {
        log: Arc::clone(&log),
        store: Arc::clone(&store),
        rules: Arc::clone(&rules),
        key: data.key.clone(),
        clock: Arc::clone(&clock),
        quiet: runner.quiet(),
        evidence: Arc::clone(&evidence),
        progress: runner.progress(),
    };
    let feed = lake::feed(&subjects, &lake);
    let retention = Keeper::of(&subjects, &stop, settings, (data.snapshots(), Arc::clone(&feed))).start()?;
    let filling = lake::start(Arc::clone(&feed), settings, Arc::clone(&stop))?;
    let matchers = matching::start(&subjects, appender.clone(), &matching)?;
    let filler = filling::start(&subjects, appender.clone(), (&lake, &feed))?;
    let governance =
        Governance::start(subjects, appender.clone(), settings, (&data.path, &data.snapshots()), &feed)?;
    let parts = Parts {
        appender,
        progress: runner.progress(),
        rules,
        metrics,
        store: Arc::clone(&store),
        log: Arc::clone(&log),
        courier: Arc::clone(&courier),
        key: data.key.clone(),
        clock,
        notices,
        admin_token: data.admin_token.clone(),
        access,
        audit: Arc::clone(&governance.audit),
        evidence,
        housekeeping: Arc::clone(&governance.housekeeping),
        matching: Arc::clone(&matching),
        mail_servers: settings.contact.mail_servers()?,
        queries: Some(Answers::new(&lake, &feed, settings, &data.path)?),
        lake: Some(lake),
        folder: data.path.clone(),
        limits: limits(settings),
        fall_points: settings.quality.fall_points,
        public_url: Some(settings.server.public_url.clone()).filter(|url| !url.is_empty()),
    };
    let served = Door { settings, data: &data, tls }.serve(parts, shutdown, ready);
    courier.lock().stop();
    matching::stop(&matching, matchers);
    filling::stop(filler);
    governance.stop();
    // From here on no appender is left: the threads finish what is on its way and write a last checkpoint.
    runner.stop();
    stop.store(true, Ordering::SeqCst);
    end([retention, filling], store.as_ref())?;
    served
}

/// The couriers, on their way.
fn courier(
    data: &DataDir,
    settings: &Settings,
    (log, store, clock): (&Arc<SegmentLog>, &Arc<EmbeddedStore>, &Arc<dyn Clock>),
    (rules, evidence, progress): (&Arc<ArcSwap<Rules>>, Arc<Ledger>, Arc<Progress>),
) -> Arc<Mutex<Courier<EmbeddedStore>>> {
    let options = CourierOptions {
        folder: data.path.clone(),
        give_up_after_millis: i64::from(settings.delivery.give_up_after_hours) * 3_600_000,
        evidence: Some(evidence),
        barrier: governance::barrier(Arc::clone(log), progress),
        key: data.key.clone(),
    };
    let mut courier = Courier::new(Arc::clone(store), Arc::clone(clock), Arc::clone(rules), options);
    courier.follow();
    Arc::new(Mutex::new(courier))
}

fn appending(settings: &Settings) -> AppenderOptions {
    let in_flight_bytes_max = settings.server.in_flight_mib_max * 1024 * 1024;
    AppenderOptions { in_flight_bytes_max, ..AppenderOptions::default() }
}

fn end(threads: [JoinHandle<()>; 2], store: &EmbeddedStore) -> anyhow::Result<()> {
    for (thread, name) in threads.into_iter().zip(["retention", "lake"]) {
        if thread.join().is_err() {
            tracing::error!("the {name} thread panicked");
        }
    }
    store.checkpoint()?;
    tracing::info!("stopped");
    Ok(())
}

/// A pipeline that has processed everything the log holds.
fn caught_up(
    data: &DataDir,
    settings: &Settings,
    (log, store, clock): (&Arc<SegmentLog>, &Arc<EmbeddedStore>, &Arc<dyn Clock>),
    (matching, lake_from): (&Matching, Position),
) -> anyhow::Result<Pipeline<SegmentLog, EmbeddedStore>> {
    if lake::is_incomplete(&data.path) {
        tracing::warn!(
            "the lake lacks what came before it was made: `tessera rebuild` fills it from the log"
        );
    }
    let window = i64::from(settings.pipeline.dedup_window_hours) * 3_600_000;
    let options = PipelineOptions {
        dedup_window_millis: window,
        lake_from: Some(lake_from),
        ..PipelineOptions::default()
    };
    let mut pipeline =
        Pipeline::open(Arc::clone(log), Arc::clone(store), data.key.clone(), Arc::clone(clock), options)?;
    // Before it catches up: who changed and was not compared any more before a crash is compared now.
    pipeline.follow(matching.touched());
    let behind = log.bounds().end.0.saturating_sub(pipeline.position().0);
    if behind > 0 {
        tracing::info!(bytes = behind, "catching up with the log");
    }
    pipeline.catch_up()?;
    Ok(pipeline)
}

fn access(settings: &Settings) -> anyhow::Result<AccessSettings> {
    Ok(AccessSettings {
        requests_per_second: settings.access.requests_per_second,
        burst: settings.access.burst,
        trusted_proxies: settings.access.proxies()?,
    })
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        body_bytes_max: tessera_model::BATCH_BYTES_MAX,
        connections_max: settings.server.connections_max,
        request_timeout_seconds: settings.server.request_timeout_seconds,
    }
}

/// Lets live readers see what the pipeline does, as long as there are any.
fn watch<L: tessera_store::Log, S: tessera_store::Store>(
    pipeline: &mut Pipeline<L, S>,
) -> broadcast::Sender<Arc<Vec<Notice>>> {
    let (notices, _) = broadcast::channel::<Arc<Vec<Notice>>>(NOTICES);
    let (watched, told) = (notices.clone(), notices.clone());
    pipeline.watch(
        move || watched.receiver_count() > 0,
        // Nobody listening is no failure.
        move |batch| drop(told.send(Arc::new(batch.to_vec()))),
    );
    notices
}

/// What the retention thread holds.
struct Keeper<L, S> {
    log: Arc<L>,
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    quiet: Arc<Mutex<()>>,
    settings: LogSettings,
    snapshots: PathBuf,
    lake: Arc<LakeFeed<L, S>>,
    profiles: Snapshotting<S>,
}

impl<L: tessera_store::Log, S: tessera_store::Store> Keeper<L, S> {
    fn of(
        subjects: &Subjects<L, S>,
        stop: &Arc<AtomicBool>,
        settings: &Settings,
        (snapshots, lake): (PathBuf, Arc<LakeFeed<L, S>>),
    ) -> Self {
        Self {
            log: Arc::clone(&subjects.log),
            store: Arc::clone(&subjects.store),
            clock: Arc::clone(&subjects.clock),
            stop: Arc::clone(stop),
            quiet: Arc::clone(&subjects.quiet),
            settings: settings.log.clone(),
            snapshots,
            profiles: Snapshotting::new(&lake, settings),
            lake,
        }
    }

    fn start(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("tessera-retention".to_owned()).spawn(move || self.run())
    }

    fn run(mut self) {
        let mut waited = Duration::ZERO;
        while !self.stop.load(Ordering::SeqCst) {
            if waited >= RETENTION_EVERY {
                waited = Duration::ZERO;
                let Self { log, store, clock, quiet, settings, snapshots, .. } = &self;
                let kept = self.lake.needed_from().map_err(anyhow::Error::from).and_then(|needed| {
                    retain((log.as_ref(), needed), store, quiet, clock.as_ref(), settings, snapshots)
                });
                if let Err(error) = kept {
                    tracing::error!("cannot discard log segments: {error:#}");
                }
                self.profiles.turn(RETENTION_EVERY, &self.stop);
            }
            std::thread::sleep(Duration::from_millis(200));
            waited += Duration::from_millis(200);
        }
    }
}

/// Certificate and key, if the settings name them.
fn load_tls(settings: &Settings) -> anyhow::Result<Option<Arc<Tls>>> {
    let (certificate, key) = (&settings.server.tls_certificate, &settings.server.tls_key);
    if certificate.is_empty() {
        return Ok(None);
    }
    let tls = Tls::load(Path::new(certificate), Path::new(key)).map_err(|error| {
        let (code, hint) = (error.code(), error.hint());
        anyhow::Error::new(error).context(Failure::new(code, "cannot serve HTTPS", hint))
    })?;
    Ok(Some(Arc::new(tls)))
}

/// Reads certificate and key again on SIGHUP, and when they have changed.
async fn renew(tls: Arc<Tls>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::warn!("cannot listen for SIGHUP: a renewed certificate needs a restart");
        return;
    };
    let mut look = tokio::time::interval(CERTIFICATE_EVERY);
    loop {
        let renewed = tokio::select! {
            _ = hangup.recv() => tls.reload().map(|()| true),
            _ = look.tick() => tls.reload_if_changed(),
        };
        match renewed {
            Ok(true) => tracing::info!("serving with the certificate as it is now"),
            Ok(false) => {}
            Err(error) => tracing::error!(
                code = error.code(),
                hint = error.hint(),
                "serving with the old certificate: {error}"
            ),
        }
    }
}

/// How clients get in.
struct Door<'a> {
    settings: &'a Settings,
    data: &'a DataDir,
    tls: Option<Arc<Tls>>,
}

impl Door<'_> {
    /// Where commands on this machine find the server. A certificate is for a name, not for an address.
    fn url(&self, address: SocketAddr) -> String {
        let public_url = self.settings.server.public_url.trim_end_matches('/');
        match &self.tls {
            None => format!("http://{address}"),
            Some(_) if public_url.starts_with("https://") => public_url.to_owned(),
            Some(_) => format!("https://{address}"),
        }
    }

    fn serve<L: tessera_store::Log, S: tessera_store::Store>(
        self,
        parts: Parts<L, S>,
        shutdown: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce(&str, &DataDir) -> anyhow::Result<()> + Send,
    ) -> anyhow::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tessera-http").build()?;
        runtime.block_on(async move {
            // Signals are listened for from here on, before anybody is told that it serves.
            let mut shutdown = Box::pin(shutdown);
            if poll_fn(|context| Poll::Ready(shutdown.as_mut().poll(context).is_ready())).await {
                return Ok(());
            }
            let limits = parts.limits.clone();
            let router = tessera_server::router(parts);
            let listen = self.settings.server.listen;
            let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| {
                let what = format!("cannot listen on {listen}");
                Failure::new(
                    "TES-C004",
                    what,
                    "another program listens there: stop it, or choose another address with --listen",
                )
            })?;
            let url = self.url(listener.local_addr()?);
            let data = self.data;
            std::fs::write(data.path.join("server.url"), &url).with_context(|| "cannot write server.url")?;
            ready(&url, data)?;
            tracing::info!(url, "serving");
            match self.tls {
                None => tessera_server::serve_limited(listener, router, &limits, shutdown).await?,
                Some(tls) => {
                    let renewing = tokio::spawn(renew(Arc::clone(&tls)));
                    let served = tessera_server::serve_tls(listener, router, &limits, tls, shutdown).await;
                    renewing.abort();
                    served?;
                }
            }
            // A stale address would send commands to whoever listens there next.
            if let Err(error) = std::fs::remove_file(data.path.join("server.url")) {
                tracing::warn!("cannot remove server.url: {error}");
            }
            anyhow::Ok(())
        })
    }
}

/// Comes when the process is asked to stop.
pub(crate) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!(
            "cannot listen for signals: stop the process with SIGKILL, nothing acknowledged is lost"
        );
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing requests");
}

/// What the first start tells.
pub(crate) fn greet(url: &str, data: &DataDir) {
    output::line(format_args!("tessera serves {url} from {}", data.path.display()));
    if data.is_new {
        let file = data.path.join("admin.token");
        output::line(format_args!(
            "admin token (shown once, kept in {}): {}",
            file.display(),
            data.admin_token.reveal()
        ));
    }
}
