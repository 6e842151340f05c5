//! Appends lines to the file and makes them durable. The only I/O of this connector.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tessera_policy::Permitted;

use super::BATCH_MAX;
use super::config::Config;
use super::map::{self, Tail};
use super::recover::{RecoverError, Recovered, recover};
use crate::{Context, Delivery, Destination, Outcome};

/// Only the account that Tessera runs as may read what was delivered.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// One file, opened when the first batch comes.
#[derive(Debug)]
pub(super) struct Jsonl {
    path: PathBuf,
    rotate_bytes: u64,
    open: Option<OpenFile>,
}

/// Held locked for as long as it is open.
#[derive(Debug)]
struct OpenFile {
    file: File,
    bytes: u64,
    tail: Tail,
}

/// What failed, on which file, and why.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot append to `{}`: {source}", path.display())]
    Recover { path: PathBuf, source: RecoverError },
    #[error("`{}` is in use by another process or destination", path.display())]
    Locked { path: PathBuf },
}

impl From<FileError> for Outcome {
    fn from(error: FileError) -> Self {
        Self::retry(error.to_string())
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { action, path: path.to_owned(), source }
}

impl Jsonl {
    pub(super) fn new(context: &Context, config: &Config) -> Self {
        Self { path: config.file(context), rotate_bytes: config.rotate_bytes, open: None }
    }

    /// The file to append to: the one that is open, or a new one if that is full or was moved away.
    fn ready(&mut self) -> Result<OpenFile, FileError> {
        let Some(open) = self.open.take() else { return OpenFile::open(&self.path) };
        if open.is_at(&self.path) {
            if open.bytes < self.rotate_bytes {
                return Ok(open);
            }
            let aside = rotated(&self.path, last_rotation(&self.path)?.unwrap_or(0).saturating_add(1));
            fs::rename(&self.path, &aside).map_err(failed("rename", &self.path))?;
        }
        let OpenFile { file, tail, .. } = open;
        // Its lock would stand in the way when the path still names it but somebody has emptied it.
        drop(file);
        let mut next = OpenFile::open(&self.path)?;
        if next.tail.is_empty() {
            next.tail = tail;
        }
        Ok(next)
    }

    fn append(&mut self, batch: &[Permitted<Delivery>]) -> Result<(), Outcome> {
        let OpenFile { mut file, bytes, tail } = self.ready()?;
        // From here an early return closes the file, and the next batch reads its end anew.
        let (lines, tail) = map::lines(tail, batch)?;
        let written = file.write_all(&lines).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What is there of the batch was not acknowledged. If it cannot be cut now, opening finds it.
            file.set_len(bytes).ok();
            return Err(failed("write to", &self.path)(error).into());
        }
        let bytes = bytes.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        self.open = Some(OpenFile { file, bytes, tail });
        Ok(())
    }
}

impl Destination for Jsonl {
    fn deliver(&mut self, batch: &[Permitted<Delivery>]) -> Outcome {
        match self.append(batch) {
            Ok(()) => Outcome::Delivered,
            Err(outcome) => outcome,
        }
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }
}

impl OpenFile {
    fn open(path: &Path) -> Result<Self, FileError> {
        let folder = folder_of(path);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(failed("create", folder))?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path)
            .map_err(failed("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed("lock", path)(error)),
        }
        let mut recovered = read_end(&file, path)?;
        file.set_len(recovered.bytes).map_err(failed("cut", path))?;
        file.sync_all().map_err(failed("sync", path))?;
        // The name of a new or rotated file is durable only when its folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))?;
        if recovered.bytes == 0
            && let Some(last) = last_rotation(path)?
        {
            // A crash right after a rotation: the last batch is in the file set aside.
            let aside = rotated(path, last);
            let file = File::open(&aside).map_err(failed("open", &aside))?;
            recovered.tail = read_end(&file, &aside)?.tail;
        }
        Ok(Self { file, bytes: recovered.bytes, tail: recovered.tail })
    }

    /// Whether `path` still names this file: people and log rotation move files away.
    fn is_at(&self, path: &Path) -> bool {
        let same = |there: fs::Metadata, here: fs::Metadata| {
            there.ino() == here.ino() && there.dev() == here.dev() && here.len() == self.bytes
        };
        fs::metadata(path).and_then(|there| Ok(same(there, self.file.metadata()?))).unwrap_or(false)
    }
}

fn read_end(file: &File, path: &Path) -> Result<Recovered, FileError> {
    let len = file.metadata().map_err(failed("read", path))?.len();
    recover(file, len).map_err(|source| FileError::Recover { path: path.to_owned(), source })
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// `FILE.NUMBER`.
fn rotated(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The highest number of a file set aside.
fn last_rotation(path: &Path) -> Result<Option<u64>, FileError> {
    let folder = folder_of(path);
    let Some(name) = path.file_name().map(|name| format!("{}.", name.to_string_lossy())) else {
        return Ok(None);
    };
    let mut last = None;
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let entry = entry.map_err(failed("list", folder))?.file_name();
        let number =
            entry.to_string_lossy().strip_prefix(&name).and_then(|number| number.parse::<u64>().ok());
        last = last.max(number);
    }
    Ok(last)
}
