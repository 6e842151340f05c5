//! How far a file was imported, kept in `imports/` of the data folder.
//!
//! Not what makes an import safe to repeat: message ids do, for as long as the server remembers them (72 hours).
//! The journal goes beyond that. Invariant: it never counts a row that the server has not acknowledged.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::output::Failure;

/// How far one file was imported, under one source, by one mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The file's name when it was imported, for people.
    pub(super) file: String,
    pub(super) source: String,
    /// Rows from the start of the file that are events or rejects of the server.
    pub(super) rows: u64,
    /// When the last row was acknowledged; absent before.
    pub(super) finished_at: Option<String>,
}

/// The journal of one import.
pub(super) struct Journal {
    path: PathBuf,
    pub(super) progress: Progress,
}

/// What makes an import the same as an earlier one.
pub(super) struct Key(blake3::Hasher);

impl Key {
    pub(super) fn new() -> Self {
        Self(blake3::Hasher::new_derive_key("tessera import: journal, version 1"))
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// Adds the content of a file.
    pub(super) fn add_file(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = fs::File::open(path)?;
        let mut buffer = vec![0; 1024 * 1024];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.0.update(buffer.get(..read).unwrap_or_default());
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn name(&self) -> String {
        format!("{}.json", self.0.finalize().to_hex())
    }
}

impl Journal {
    /// Opens the journal of an import, empty when there was none.
    pub(super) fn open(data_dir: &Path, key: &Key, fresh: Progress) -> anyhow::Result<Self> {
        let folder = data_dir.join("imports");
        fs::create_dir_all(&folder).with_context(|| failure("create", &folder))?;
        let path = folder.join(key.name());
        let progress = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| failure("understand", &path))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => fresh,
            Err(error) => return Err(anyhow::Error::new(error).context(failure("read", &path))),
        };
        Ok(Self { path, progress })
    }

    /// Writes it beside and renames, so that an interruption leaves the old or the new one.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        let partial = self.path.with_extension("partial");
        let bytes = serde_json::to_vec_pretty(&self.progress)?;
        fs::write(&partial, bytes)
            .and_then(|()| fs::rename(&partial, &self.path))
            .with_context(|| failure("write", &self.path))
    }
}

fn failure(action: &str, path: &Path) -> Failure {
    let what = format!("cannot {action} the import journal `{}`", path.display());
    Failure::new(
        "TES-M012",
        what,
        "check permissions and free space of the data folder; a damaged journal may be deleted",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_reads_back_what_was_saved_and_belongs_to_one_file_source_and_mapping() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        fs::write(&file, "id\n1\n").unwrap();
        let key = |source: &str| {
            let mut key = Key::new();
            key.add_file(&file).unwrap();
            key.add(source.as_bytes());
            key
        };
        let mut journal = Journal::open(folder.path(), &key("crm"), Progress::default()).unwrap();
        assert_eq!(journal.progress, Progress::default());
        journal.progress.rows = 7;
        journal.save().unwrap();
        let again = Journal::open(folder.path(), &key("crm"), Progress::default()).unwrap();
        assert_eq!(again.progress.rows, 7);
        let other = Journal::open(folder.path(), &key("till"), Progress::default()).unwrap();
        assert_eq!(other.progress.rows, 0);
        fs::write(&file, "id\n2\n").unwrap();
        let changed = Journal::open(folder.path(), &key("crm"), Progress::default()).unwrap();
        assert_eq!(changed.progress.rows, 0);
    }

    #[test]
    fn a_damaged_journal_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new();
        let journal = Journal::open(folder.path(), &key, Progress::default()).unwrap();
        fs::write(&journal.path, "{").unwrap();
        let error = Journal::open(folder.path(), &key, Progress::default()).err().unwrap();
        assert!(error.to_string().starts_with("TES-M012"), "{error}");
    }
}
