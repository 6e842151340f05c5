//! Damaged snapshots: the state that was written, or an error, and then a store without a position.
//!
//! An input is the file. Its checksum is not made right again: what gets past it is the state that was written.

use std::path::PathBuf;

use tempfile::TempDir;
use tessera_pipeline::{SnapshotError, StateHash, read_snapshot, state_hash, write_snapshot};
use tessera_store::{Change, Changes, MemoryStore, Position, Store, Table};

use super::{Broken, Fuzzed, shape};

/// Rows of each table: enough of each kind, few enough to be quick.
const ROWS_MAX: usize = 12;
const POSITION: Position = Position(4_711);

/// `read_snapshot`.
pub(super) struct Snapshot {
    folder: TempDir,
    written: Vec<u8>,
    hash: StateHash,
}

impl Snapshot {
    pub(super) fn new(state: &MemoryStore) -> Result<Self, Broken> {
        let mut rows = Vec::new();
        for table in Table::STATE {
            let some = state.scan(table, None, ROWS_MAX).map_err(Broken::of)?;
            rows.extend(some.into_iter().map(|(key, value)| Change {
                key,
                before: None,
                after: Some(value),
            }));
        }
        let store = MemoryStore::new();
        store.commit(Changes { rows, upto: Some(POSITION) }).map_err(Broken::of)?;
        let folder = tempfile::tempdir().map_err(Broken::of)?;
        write_snapshot(&store, folder.path()).map_err(Broken::of)?;
        let (_, file) = tessera_pipeline::newest_snapshot(folder.path()).ok_or(Broken::new("no snapshot"))?;
        let written = std::fs::read(file).map_err(Broken::of)?;
        Ok(Self { folder, written, hash: state_hash(&store).map_err(Broken::of)?.0 })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("damaged")
    }
}

impl Fuzzed for Snapshot {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![self.written.clone()]
    }

    fn check(&self, input: &[u8]) -> Result<String, Broken> {
        let file = self.file();
        std::fs::write(&file, input).map_err(Broken::of)?;
        let store = MemoryStore::new();
        match read_snapshot(&store, &file) {
            Ok(position) => {
                let hash = state_hash(&store).map_err(Broken::of)?.0;
                let is_same = position == POSITION && store.position() == POSITION && hash == self.hash;
                Broken::unless(is_same, "a damaged snapshot was taken for a good one")?;
                Ok("read".to_owned())
            }
            Err(error) => {
                Broken::unless(store.position() == Position::START, "a store half filled has a position")?;
                let names_it = match &error {
                    SnapshotError::Io { file: named, .. } | SnapshotError::Corrupt { file: named, .. } => {
                        *named == file
                    }
                    SnapshotError::Pipeline(_) => true,
                };
                Broken::unless(names_it, "an error that names another file")?;
                Ok(shape(&error.to_string().replace(&file.display().to_string(), "it")))
            }
        }
    }
}
