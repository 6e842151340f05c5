//! Snapshots: the whole state at one log position, in one file, so that the log before it may go.
//!
//! `checkpoints/<position>.snapshot`: magic, format version, position; then rows (key length u8, table u8, id, value
//! length u32, value); then a row of key length 255 and a BLAKE3 hash of all before it. Written beside and renamed.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tessera_store::{Change, Changes, Key, Position, Store, Table};

use crate::PipelineError;
use crate::replay::for_each_row;

const MAGIC: &[u8; 8] = b"TESSNAP\n";
const VERSION: u32 = 1;
const END: u8 = 255;
const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot {action} snapshot `{}`", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("snapshot `{}` is corrupt: {what}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

impl SnapshotError {
    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "TES-S021",
            Self::Corrupt { .. } => "TES-S022",
            Self::Pipeline(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check free disk space and permissions of the data folder",
            Self::Corrupt { .. } => {
                "remove the file; an older snapshot is used if the log still reaches back to it"
            }
            Self::Pipeline(error) => error.hint(),
        }
    }
}

/// The newest snapshot in `folder`.
#[must_use]
pub fn newest_snapshot(folder: &Path) -> Option<(Position, PathBuf)> {
    list(folder).into_iter().max()
}

/// The oldest snapshot in `folder`.
#[must_use]
pub fn oldest_snapshot(folder: &Path) -> Option<(Position, PathBuf)> {
    list(folder).into_iter().min()
}

fn list(folder: &Path) -> Vec<(Position, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let position = path.file_name()?.to_str()?.strip_suffix(".snapshot")?.parse().ok()?;
            Some((Position(position), path))
        })
        .collect()
}

/// Writes the state of a quiet store into `folder`, named after the store's position. Older snapshots are removed
/// once it is durable.
///
/// # Errors
/// [`SnapshotError`].
pub fn write_snapshot(store: &impl Store, folder: &Path) -> Result<Position, SnapshotError> {
    let position = store.position();
    let file = folder.join(format!("{:020}.snapshot", position.0));
    let partial = folder.join("partial");
    let io = |action, source| SnapshotError::Io { action, file: partial.clone(), source };
    fs::create_dir_all(folder).map_err(|e| io("create the folder of", e))?;
    let mut out = Hashed {
        inner: BufWriter::new(File::create(&partial).map_err(|e| io("create", e))?),
        hash: blake3::Hasher::new(),
    };
    let mut failed = None;
    out.put(MAGIC)
        .and_then(|()| out.put(&VERSION.to_le_bytes()))
        .and_then(|()| out.put(&position.0.to_le_bytes()))
        .map_err(|e| io("write", e))?;
    // The state, what the lake is still to get of it, and what destinations would have to take back.
    let tables: Vec<Table> = Table::STATE.into_iter().chain([Table::Lake, Table::Told]).collect();
    for_each_row(store, &tables, |key, value| {
        if failed.is_none() {
            failed = out.row(key, value).err();
        }
        Ok(())
    })?;
    if let Some(error) = failed {
        return Err(io("write", error));
    }
    out.finish().map_err(|e| io("write", e))?;
    let older = list(folder);
    fs::rename(&partial, &file).map_err(|e| io("rename", e))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io("sync the folder of", e))?;
    for (_, path) in older.into_iter().filter(|(_, path)| *path != file) {
        fs::remove_file(&path).map_err(|source| SnapshotError::Io {
            action: "remove",
            file: path,
            source,
        })?;
    }
    Ok(position)
}

struct Hashed<W> {
    inner: W,
    hash: blake3::Hasher,
}

impl Hashed<BufWriter<File>> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }

    fn row(&mut self, key: &Key, value: &[u8]) -> io::Result<()> {
        let (Ok(id), Ok(len)) = (u8::try_from(key.id().len()), u32::try_from(value.len())) else {
            return Err(io::Error::other("a row is too large for a snapshot"));
        };
        self.put(&[id, key.table() as u8])?;
        self.put(key.id())?;
        self.put(&len.to_le_bytes())?;
        self.put(value)
    }

    fn finish(mut self) -> io::Result<()> {
        self.put(&[END])?;
        let hash = self.hash.finalize();
        self.inner.write_all(hash.as_bytes())?;
        self.inner.into_inner()?.sync_all()
    }
}

/// Fills an empty store with a snapshot and makes it durable. The whole file is checked before anything is
/// committed for good: a store that was half filled has no position and is thrown away by the caller.
///
/// # Errors
/// [`SnapshotError`].
pub fn read_snapshot(store: &impl Store, file: &Path) -> Result<Position, SnapshotError> {
    let corrupt = |what: &str| SnapshotError::Corrupt { file: file.to_owned(), what: what.to_owned() };
    let opened = File::open(file).map_err(|source| SnapshotError::Io {
        action: "open",
        file: file.to_owned(),
        source,
    })?;
    let mut input = Reader { inner: BufReader::new(opened), hash: blake3::Hasher::new() };
    let short = |_| corrupt("it ends too early");
    if input.take::<8>().map_err(short)? != *MAGIC {
        return Err(corrupt("it does not start like a snapshot"));
    }
    let version = u32::from_le_bytes(input.take().map_err(short)?);
    if version != VERSION {
        return Err(corrupt(&format!("it has format version {version}, this build reads {VERSION}")));
    }
    let position = Position(u64::from_le_bytes(input.take().map_err(short)?));
    let mut rows = Vec::new();
    loop {
        let [len] = input.take().map_err(short)?;
        if len == END {
            break;
        }
        let [table] = input.take().map_err(short)?;
        let table = Table::ALL
            .into_iter()
            .find(|known| *known as u8 == table)
            .ok_or_else(|| corrupt("it names an unknown table"))?;
        let id = input.bytes(usize::from(len)).map_err(short)?;
        let len = u32::from_le_bytes(input.take().map_err(short)?) as usize;
        if len > VALUE_BYTES_MAX {
            return Err(corrupt("a row is longer than any row can be"));
        }
        let value = input.bytes(len).map_err(short)?;
        let key = Key::new(table, &id).ok_or_else(|| corrupt("a key is too long"))?;
        rows.push(Change { key, before: None, after: Some(value.into()) });
        if rows.len() >= 4096 {
            commit(store, std::mem::take(&mut rows), None)?;
        }
    }
    let hash = *input.hash.finalize().as_bytes();
    let mut stored = [0; 32];
    input.inner.read_exact(&mut stored).map_err(|_| corrupt("it ends too early"))?;
    if stored != hash {
        return Err(corrupt("its checksum is wrong"));
    }
    commit(store, rows, Some(position))?;
    store.checkpoint().map_err(PipelineError::from)?;
    Ok(position)
}

fn commit(store: &impl Store, rows: Vec<Change>, upto: Option<Position>) -> Result<(), SnapshotError> {
    store.commit(Changes { rows, upto }).map_err(PipelineError::from)?;
    Ok(())
}

struct Reader {
    inner: BufReader<File>,
    hash: blake3::Hasher,
}

impl Reader {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let bytes = read(&mut self.inner, len)?;
        self.hash.update(&bytes);
        Ok(bytes)
    }
}

/// Reads `len` bytes. The memory grows with what is read: a damaged length must not ask for what no file fills.
fn read(input: &mut impl Read, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has so many bytes, and knows the most that it was asked for at once.
    struct Measured {
        left: usize,
        asked_max: usize,
    }

    impl Read for Measured {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.asked_max = self.asked_max.max(buffer.len());
            let bytes = self.left.min(buffer.len());
            self.left -= bytes;
            Ok(bytes)
        }
    }

    #[test]
    fn a_damaged_length_asks_for_no_more_memory_than_the_file_fills() {
        let mut short = Measured { left: 1000, asked_max: 0 };
        let error = read(&mut short, VALUE_BYTES_MAX).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(short.asked_max <= 64 * 1024, "asked for {} bytes", short.asked_max);
        let mut long = Measured { left: 3_000_001, asked_max: 0 };
        assert_eq!(read(&mut long, 3_000_000).unwrap().len(), 3_000_000);
        assert_eq!(long.left, 1, "and reads no further");
    }
}
