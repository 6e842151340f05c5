//! Lets go of old log segments, once a snapshot holds their effect.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tessera_pipeline::{newest_snapshot, write_snapshot};
use tessera_store::{Clock, Log, Retention, Store};

use crate::settings::LogSettings;

/// Snapshots and cuts, if there is anything to cut. Returns whether there was.
pub(crate) fn retain<L: Log, S: Store>(
    log: &L,
    store: &Arc<S>,
    quiet: &Mutex<()>,
    clock: &dyn Clock,
    settings: &LogSettings,
    snapshots: &Path,
) -> anyhow::Result<bool> {
    let hours = i64::try_from(settings.retention_hours).unwrap_or(i64::MAX);
    let before = match hours {
        0 => tessera_model::Timestamp::MIN,
        hours => clock.now().plus_millis(hours.saturating_mul(-3_600_000)),
    };
    let bytes_max = match settings.retention_mib {
        0 => u64::MAX,
        mib => mib.saturating_mul(1024 * 1024),
    };
    let cut = log.cut(&Retention { before, bytes_max, upto: store.durable_position() });
    if cut <= log.bounds().start {
        return Ok(false);
    }
    if newest_snapshot(snapshots).is_none_or(|(position, _)| position < cut) {
        // The state must stand still while it is written; requests go on into the log meanwhile.
        let _quiet = quiet.lock();
        store.checkpoint()?;
        write_snapshot(store.as_ref(), snapshots)?;
    }
    log.discard_before(cut)?;
    tracing::info!(position = cut.0, "discarded log segments");
    Ok(true)
}
