//! `tessera verify` and `tessera rebuild`: the log is the truth, the store is what it comes to.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tessera_model::Document;
use tessera_pipeline::{
    Pipeline, PipelineError, PipelineOptions, Refill, load_rules, newest_snapshot, oldest_snapshot,
    read_snapshot, replay_into, state_hash,
};
use tessera_store::{Clock, Lake as _, Log as _, Position, Store as _, SystemClock};
use tessera_store_embedded::{EmbeddedStore, SegmentLog};

use super::evidence::verify_folder;
use crate::cli::Global;
use crate::data_dir::{DataDir, check_agreement, open_store};
use crate::governance::open_ledger;
use crate::lake;
use crate::output::{self, Failure};
use crate::settings::Settings;

/// Replays the log, from the oldest snapshot kept, into a fresh store and compares the state hash.
pub(crate) fn verify(global: &Global) -> anyhow::Result<()> {
    existing(&global.data_dir)?;
    let settings = Settings::read(global.config.as_deref())?;
    let data = DataDir::open(&global.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = Arc::new(data.open_log(&settings)?);
    let store = Arc::new(data.open_store(&settings)?);
    check_agreement(&log, &store)?;
    let options = PipelineOptions {
        dedup_window_millis: i64::from(settings.pipeline.dedup_window_hours) * 3_600_000,
        ..PipelineOptions::default()
    };
    let lake_from = Some(lake::position(&data.path, clock.as_ref(), log.bounds().end)?);
    Pipeline::open(
        Arc::clone(&log),
        Arc::clone(&store),
        data.key.clone(),
        Arc::clone(&clock),
        PipelineOptions { lake_from, ..options.clone() },
    )?
    .catch_up()?;
    let upto = store.checkpoint()?;
    let folder = fresh_folder(&data.path.join("verify"))?;
    let fresh = Arc::new(open_store(&folder, &settings)?);
    let start = match oldest_snapshot(&data.snapshots()) {
        Some((_, file)) => read_snapshot(fresh.as_ref(), &file)?,
        None => from_the_start(&log)?,
    };
    replay(&data, &log, &fresh, &clock, upto, options)?;
    let ((expected, rows), (found, found_rows)) = (state_hash(store.as_ref())?, state_hash(fresh.as_ref())?);
    drop(fresh);
    remove(&folder)?;
    if expected != found {
        let what = format!(
            "the store does not hold what the log comes to: {rows} rows with hash {expected}, the replay gives {found_rows} rows with hash {found}"
        );
        return Err(Failure::new(
            "TES-S024",
            what,
            "keep a copy of the folder, then run `tessera rebuild`; please report it",
        )
        .into());
    }
    // Opened first: a crash may have left half a line, which recovery cuts off.
    let ledger = open_ledger(&data.path, &data.key, Arc::clone(&clock))?;
    let evidence = verify_folder(&data.path, &ledger.public_key())?;
    if global.json {
        return super::print_json(&serde_json::json!({
            "verified": true, "state_hash": expected.to_string(), "rows": rows, "from": start.0, "upto": upto.0,
            "evidence": super::evidence::as_json(&evidence),
        }));
    }
    output::line(format_args!(
        "verified: {} rows, log positions {} to {}, state {expected}",
        output::count(rows),
        start.0,
        upto.0
    ));
    super::evidence::told(&evidence);
    Ok(())
}

/// Makes the store anew from the log.
pub(crate) fn rebuild(global: &Global, repeat_deliveries: bool) -> anyhow::Result<()> {
    existing(&global.data_dir)?;
    let settings = Settings::read(global.config.as_deref())?;
    let data = DataDir::open(&global.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = Arc::new(data.open_log(&settings)?);
    let folder = fresh_folder(&data.path.join("rebuild"))?;
    let fresh = Arc::new(open_store(&folder, &settings)?);
    let start = match newest_snapshot(&data.snapshots()) {
        Some((_, file)) => read_snapshot(fresh.as_ref(), &file)?,
        None => from_the_start(&log)?,
    };
    let upto = log.bounds().end;
    let options = PipelineOptions {
        dedup_window_millis: i64::from(settings.pipeline.dedup_window_hours) * 3_600_000,
        ..PipelineOptions::default()
    };
    let filled = Filling { data: &data, settings: &settings, log: &log, clock: &clock }.all(
        (&fresh, start),
        (&folder, upto),
        options,
    )?;
    if !repeat_deliveries {
        keep_cursors(&data, &settings, fresh.as_ref(), upto)?;
    }
    let (hash, rows) = state_hash(fresh.as_ref())?;
    drop(fresh);
    let (old, new) = (data.path.join("store.old"), folder.join("store"));
    let current = data.path.join("store");
    if old.exists() {
        remove(&old)?;
    }
    if current.exists() {
        std::fs::rename(&current, &old).context("cannot move the old store away")?;
    }
    std::fs::rename(&new, &current).context("cannot move the new store in")?;
    remove(&folder)?;
    if let Some(events) = filled {
        lake::is_filled(&data.path)?;
        output::line(format_args!("the lake was filled anew: it has {} events", output::count(events)));
    }
    output::line(format_args!(
        "rebuilt: {} rows up to log position {}, state {hash}",
        output::count(rows),
        upto.0
    ));
    if old.exists() {
        output::line(format_args!("the old store is in {}: remove it when all is well", old.display()));
    }
    Ok(())
}

/// The replay of a rebuild, and of a lake that was lost.
struct Filling<'a> {
    data: &'a DataDir,
    settings: &'a Settings,
    log: &'a Arc<SegmentLog>,
    clock: &'a Arc<dyn Clock>,
}

impl Filling<'_> {
    /// Replays into `fresh`, which stands at `start`. Returns how many events the lake has, if it was filled.
    fn all(
        &self,
        (fresh, start): (&Arc<EmbeddedStore>, Position),
        (folder, upto): (&Path, Position),
        options: PipelineOptions,
    ) -> anyhow::Result<Option<u64>> {
        let open = || lake::open(&self.data.path, self.clock.as_ref(), upto);
        let mut lake = open()?;
        if !lake::is_incomplete(&self.data.path) {
            let options = PipelineOptions { lake_from: Some(lake.position()), ..options };
            replay(self.data, self.log, fresh, self.clock, upto, options)?;
            return Ok(None);
        }
        let is_whole = self.log.bounds().start == Position::START;
        if is_whole {
            drop(lake);
            lake::remove(&self.data.path)?;
            lake = open()?;
        } else {
            output::note(format!(
                "the log no longer reaches back to its beginning: what came before its position {} and is in the lake no more stays lost",
                start.0
            ));
        }
        let refill = Refill {
            log: Arc::clone(self.log),
            lake: Arc::clone(&lake) as _,
            key: self.data.key.clone(),
            clock: Arc::clone(self.clock),
        };
        if is_whole && start > Position::START {
            let past = fresh_folder(&folder.join("past"))?;
            let store = Arc::new(open_store(&past, self.settings)?);
            with_bar("filling the lake", (Position::START, start), |progress| {
                refill.replay(&store, start, options.clone(), progress)
            })?;
            drop(store);
            remove(&past)?;
        }
        with_bar("replaying", (start, upto), |progress| refill.replay(fresh, upto, options, progress))?;
        Ok(Some(refill.settle(fresh)?))
    }
}

/// What was delivered must not be delivered again. Where the old store can no longer say, everything up to now
/// counts as delivered: people do not get last year's mail twice.
fn keep_cursors(
    data: &DataDir,
    settings: &Settings,
    fresh: &EmbeddedStore,
    upto: Position,
) -> anyhow::Result<()> {
    let old = open_store(&data.path, settings);
    if old.is_err() {
        output::note(
            "the old store cannot be read: deliveries up to now count as made (--repeat-deliveries makes them again), dead letters are lost",
        );
    }
    let rules = load_rules(fresh, &data.key)?;
    for document in rules.workspace.documents() {
        let Document::Destination(destination) = document else { continue };
        let name = format!("delivery/{}", destination.name);
        let known = match &old {
            Ok(old) => old.cursor(&name)?.unwrap_or(0),
            Err(_) => upto.0,
        };
        fresh.set_cursor(&name, known)?;
    }
    Ok(())
}

fn replay(
    data: &DataDir,
    log: &Arc<SegmentLog>,
    store: &Arc<EmbeddedStore>,
    clock: &Arc<dyn Clock>,
    upto: Position,
    options: PipelineOptions,
) -> anyhow::Result<()> {
    with_bar("replaying", (store.position(), upto), |progress| {
        replay_into(log, store, &data.key, clock, upto, options, progress)
    })
}

/// Does something that goes through the log, and shows how far it is.
fn with_bar(
    what: &str,
    (from, upto): (Position, Position),
    work: impl FnOnce(&dyn Fn(Position)) -> Result<(), PipelineError>,
) -> anyhow::Result<()> {
    let bar = ProgressBar::new(upto.0.saturating_sub(from.0));
    let template = format!("{what} {{bar:40}} {{bytes}} of {{total_bytes}}, {{bytes_per_sec}}, {{eta}} left");
    bar.set_style(ProgressStyle::with_template(&template)?);
    work(&|position| bar.set_position(position.0.saturating_sub(from.0)))?;
    bar.finish_and_clear();
    Ok(())
}

/// Without a snapshot the log must reach back to its very beginning.
fn from_the_start(log: &SegmentLog) -> anyhow::Result<Position> {
    let start = log.bounds().start;
    if start == Position::START {
        return Ok(start);
    }
    let what = format!("the log begins at position {} and there is no snapshot of what was before", start.0);
    Err(Failure::new("TES-S025", what, "restore `checkpoints/` or the older log segments from a backup")
        .into())
}

fn existing(folder: &Path) -> anyhow::Result<()> {
    if folder.join("log").is_dir() {
        return Ok(());
    }
    let what = format!("`{}` is no data folder: it has no `log`", folder.display());
    Err(Failure::new("TES-C002", what, "name the folder with --data-dir").into())
}

fn fresh_folder(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    if folder.exists() {
        remove(folder)?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    Ok(folder.to_owned())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))
}
