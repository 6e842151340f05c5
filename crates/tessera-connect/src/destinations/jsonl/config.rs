//! The settings of a JSON Lines file, read once and checked.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::settings::{self, problem};
use crate::{ConfigError, Context};

const MB: u64 = 1_000_000;
const ROTATE_MB_MAX: u64 = 1_000_000;

/// What people write. Everything may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The file. A relative path lies below `deliveries` in the data folder. Left out: `NAME.jsonl`, by the
    /// destination's name.
    path: Option<PathBuf>,
    /// From how many megabytes on the file is set aside as `FILE.1`, `FILE.2`, ... and a new one is begun.
    #[serde(default = "rotate_mb")]
    rotate_mb: u64,
}

const fn rotate_mb() -> u64 {
    256
}

/// Settings that can be used.
#[derive(Debug)]
pub(super) struct Config {
    path: Option<PathBuf>,
    pub(super) rotate_bytes: u64,
}

impl Config {
    pub(super) fn parse(config: &Map<String, Value>) -> Result<Self, ConfigError> {
        let settings: Settings = settings::read(config, &[])?;
        if let Some(path) = &settings.path {
            check_path(path)?;
        }
        if !(1..=ROTATE_MB_MAX).contains(&settings.rotate_mb) {
            let what = format!("is {}, the limits are 1 and {ROTATE_MB_MAX}", settings.rotate_mb);
            return Err(problem("rotate_mb", what, "256 suits most readers"));
        }
        Ok(Self { path: settings.path, rotate_bytes: settings.rotate_mb.saturating_mul(MB) })
    }

    /// Where the file is.
    pub(super) fn file(&self, context: &Context) -> PathBuf {
        let folder = context.folder.join("deliveries");
        match &self.path {
            // `join` takes an absolute path as it is.
            Some(path) => folder.join(path),
            None => folder.join(format!("{}.jsonl", context.destination)),
        }
    }
}

fn check_path(path: &Path) -> Result<(), ConfigError> {
    let hint = "write it like `orders.jsonl`, `shop/orders.jsonl` or `/var/lib/shop/orders.jsonl`";
    let text = path.to_string_lossy();
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(problem("path", "holds `..`", hint));
    }
    if text.chars().any(char::is_control) {
        return Err(problem("path", "holds a control character", hint));
    }
    if path.file_name().is_none() || text.ends_with('/') || text.ends_with("/.") {
        return Err(problem("path", "names no file", hint));
    }
    Ok(())
}
