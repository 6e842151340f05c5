//! The data folder: lock, keys, and where everything is.
//!
//! ```text
//! LOCK  hash.key (0600)  admin.token (0600)  server.url
//! log/  store/  checkpoints/  deliveries/
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tessera_model::{HashKey, Secret};
use tessera_store::{Log as _, Store as _};
use tessera_store_embedded::{EmbeddedStore, FolderLock, SegmentLog, SegmentLogOptions, StoreOptions};

use crate::output::Failure;
use crate::settings::Settings;

/// A locked data folder.
pub(crate) struct DataDir {
    pub(crate) path: PathBuf,
    pub(crate) key: HashKey,
    pub(crate) admin_token: Secret,
    /// Whether this start made the admin token.
    pub(crate) is_new: bool,
    _lock: FolderLock,
}

impl DataDir {
    /// Opens the folder, making it and its keys when they are not there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        make_folder(path)?;
        let lock = FolderLock::acquire(path)?;
        if path.join("log").exists() && !path.join("hash.key").exists() {
            let what = format!("`{}` is missing beside a log", path.join("hash.key").display());
            let hint = "restore the file from a backup: without it nobody in the store can be found";
            return Err(Failure::new("TES-C003", what, hint).into());
        }
        let (key, _) = secret_file(&path.join("hash.key"))?;
        let (token, is_new) = secret_file(&path.join("admin.token"))?;
        let bytes = parse_hex(&key).ok_or_else(|| {
            let what = format!("`{}` is not 64 hexadecimal digits", path.join("hash.key").display());
            Failure::new(
                "TES-C003",
                what,
                "restore the file from a backup: without it nobody in the store can be found",
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            key: HashKey::new(bytes),
            admin_token: Secret::new(token),
            is_new,
            _lock: lock,
        })
    }

    /// The key of a folder that may be in use, without the lock.
    pub(crate) fn key_of(path: &Path) -> Option<HashKey> {
        let text = fs::read_to_string(path.join("hash.key")).ok()?;
        parse_hex(text.trim()).map(HashKey::new)
    }

    pub(crate) fn open_log(&self, settings: &Settings) -> anyhow::Result<SegmentLog> {
        let options = SegmentLogOptions { segment_bytes: settings.log.segment_mib * 1024 * 1024 };
        Ok(SegmentLog::open(&self.path.join("log"), options)?)
    }

    pub(crate) fn open_store(&self, settings: &Settings) -> anyhow::Result<EmbeddedStore> {
        open_store(&self.path, settings)
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("checkpoints")
    }
}

/// Opens the store in `folder`.
pub(crate) fn open_store(folder: &Path, settings: &Settings) -> anyhow::Result<EmbeddedStore> {
    let cache = settings.store.cache_mib * 1024 * 1024;
    let options = StoreOptions { cache_bytes: cache, ..StoreOptions::default() };
    Ok(EmbeddedStore::open(folder, options)?)
}

/// A store that knows more than the log means that the log has lost its end: going on would count anew what the
/// store has already.
pub(crate) fn check_agreement(log: &SegmentLog, store: &EmbeddedStore) -> anyhow::Result<()> {
    let (end, position) = (log.bounds().end, store.durable_position());
    if position > end {
        let what = format!("the store is at log position {}, but the log ends at {}", position.0, end.0);
        let hint = "the end of the log is missing: restore `log/` from a backup, or run `tessera rebuild` to go back to what the log holds";
        return Err(Failure::new("TES-S023", what, hint).into());
    }
    Ok(())
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        let what = format!("cannot create data folder `{}`", path.display());
        Failure::new(
            "TES-C002",
            what,
            "check that the parent folder exists and that this account may write to it",
        )
    })
}

/// Reads a secret of 32 random bytes in hexadecimal, making it when it is not there. The flag says that it was made.
fn secret_file(path: &Path) -> anyhow::Result<(String, bool)> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failure = |action: &str| {
        let what = format!("cannot {action} `{}`", path.display());
        Failure::new("TES-C002", what, "check the permissions of the data folder")
    };
    match fs::read_to_string(path) {
        Ok(text) => return Ok((text.trim().to_owned(), false)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(anyhow::Error::new(error).context(failure("read"))),
    }
    let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    // Written beside and renamed: a half-written key would lock its owner out.
    let partial = path.with_extension("partial");
    let written =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).and_then(
            |mut file| {
                file.write_all(secret.as_bytes())?;
                file.sync_all()
            },
        );
    written.and_then(|()| fs::rename(&partial, path)).with_context(|| failure("write"))?;
    Ok((secret, true))
}

pub(crate) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}
