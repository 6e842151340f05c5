//! Appends lines to the file and makes them durable. The only I/O of this connector.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tessera_policy::Permitted;

use super::BATCH_MAX;
use super::config::Config;
use super::erase::{self, Person};
use super::map::{self, Tail};
use super::recover::{RecoverError, Recovered, recover};
use crate::{Context, Delivery, Destination, Exit, Forget, ForgetKind, Outcome};

/// Only the account that Tessera runs as may read what was delivered.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// What follows the name of a file in that of the file which is to replace it.
const DRAFT_SUFFIX: &str = ".erasing";

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

    fn append(&mut self, batch: &[&Delivery]) -> Result<(), Outcome> {
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

impl Jsonl {
    /// Takes the lines about `person` out of the file and of those set aside.
    fn erase(&mut self, person: &Person<'_>) -> Result<(), FileError> {
        let is_there = self.open.is_some() || self.path.exists();
        if !is_there && rotations(&self.path)?.is_empty() {
            return Ok(());
        }
        // Held locked for all of them. From here an early return closes it, and the next batch reads its end anew.
        let mut open = self.ready()?;
        for number in rotations(&self.path)? {
            without(&rotated(&self.path, number), person)?;
        }
        if let Some((file, bytes)) = without(&self.path, person)? {
            open = OpenFile { file, bytes, tail: open.tail };
        }
        self.open = Some(open);
        Ok(())
    }
}

/// Replaces the file at `path` by one without the lines about `person`: the new one, locked, and its length. `None`
/// when there is nothing to erase.
fn without(path: &Path, person: &Person<'_>) -> Result<Option<(File, u64)>, FileError> {
    let recover = |source| FileError::Recover { path: path.to_owned(), source };
    let read = || File::open(path).map(BufReader::new).map_err(failed("open", path));
    let survey = erase::survey(read()?, person).map_err(recover)?;
    if survey.is_clean() {
        return Ok(None);
    }
    let draft = draft_of(path);
    remove(&draft)?;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create_new(true).mode(FILE_MODE);
    let file = options.open(&draft).map_err(failed("create", &draft))?;
    let written = lock(&file, &draft).and_then(|()| {
        let bytes = erase::write_without(read()?, person, &survey, BufWriter::new(&file)).map_err(recover)?;
        file.sync_all().map_err(failed("sync", &draft))?;
        fs::rename(&draft, path).map_err(failed("rename", &draft))?;
        Ok(bytes)
    });
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => {
            // If it cannot be removed now, opening the file does it.
            remove(&draft).ok();
            return Err(error);
        }
    };
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))?;
    Ok(Some((file, bytes)))
}

impl Destination for Jsonl {
    fn deliver(&mut self, batch: &[Permitted<Delivery>]) -> Outcome {
        match self.append(&batch.iter().map(Permitted::get).collect::<Vec<_>>()) {
            Ok(()) => Outcome::Delivered,
            Err(outcome) => outcome,
        }
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn leave(&mut self, exit: &Exit) -> Outcome {
        match self.append(&[exit.event()]) {
            Ok(()) => Outcome::Delivered,
            Err(outcome) => outcome,
        }
    }

    fn forget(&mut self, notice: &Forget) -> Outcome {
        match notice.kind {
            ForgetKind::Erase => match self.erase(&Person::new(notice)) {
                Ok(()) => Outcome::Delivered,
                Err(error) => error.into(),
            },
            kind @ (ForgetKind::Rectify | ForgetKind::Restrict | ForgetKind::Object) => {
                let kind = kind.as_str();
                Outcome::refused(format!(
                    "a file can only be told to erase, not to {kind}: tell who reads it"
                ))
            }
        }
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
        lock(&file, path)?;
        if !is_same(&file, path).map_err(failed("read", path))? {
            // Replaced between opening and locking, by somebody who has the new one locked.
            return Err(FileError::Locked { path: path.to_owned() });
        }
        remove_drafts(path)?;
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
        let is_as_long = |file: fs::Metadata| file.len() == self.bytes;
        is_same(&self.file, path).unwrap_or(false) && self.file.metadata().is_ok_and(is_as_long)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), FileError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => FileError::Locked { path: path.to_owned() },
        TryLockError::Error(error) => failed("lock", path)(error),
    })
}

/// Whether `path` names this open file.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (there, here) = (fs::metadata(path)?, file.metadata()?);
    Ok(there.ino() == here.ino() && there.dev() == here.dev())
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
    Ok(rotations(path)?.last().copied())
}

/// The numbers of the files set aside, in order.
fn rotations(path: &Path) -> Result<BTreeSet<u64>, FileError> {
    Ok(endings(path)?.iter().filter_map(|ending| ending.parse().ok()).collect())
}

/// What follows `FILE.` in the names of other files.
fn endings(path: &Path) -> Result<Vec<String>, FileError> {
    let folder = folder_of(path);
    let Some(name) = path.file_name().map(|name| format!("{}.", name.to_string_lossy())) else {
        return Ok(Vec::new());
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("list", folder))?,
    };
    let mut endings = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", folder))?.file_name();
        endings.extend(entry.to_string_lossy().strip_prefix(&name).map(str::to_owned));
    }
    Ok(endings)
}

/// The file that is to replace `path`.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(DRAFT_SUFFIX);
    PathBuf::from(name)
}

/// Removes what an erasure that a crash cut short has left.
fn remove_drafts(path: &Path) -> Result<(), FileError> {
    for ending in endings(path)? {
        let number = ending.strip_suffix(DRAFT_SUFFIX).and_then(|number| number.parse().ok());
        if let Some(number) = number {
            remove(&draft_of(&rotated(path, number)))?;
        }
    }
    remove(&draft_of(path))
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", path)),
    }
}
