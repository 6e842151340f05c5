//! The simulated disks with the deliberate bugs that show that the simulator can fail.
//!
//! Not where ordinary faults come from: those are in [`SimDisk`] and [`SimBacking`]. Without a bug both types only
//! hand on.

use std::io;
use std::path::Path;

use tessera_store::{Key, Position, StoreError, Table, Value};
use tessera_store_embedded::log::sim_disk::{SimDisk, SimFile};
use tessera_store_embedded::log::{Disk, DiskFile};
use tessera_store_embedded::{Backing, Row, SimBacking};

use super::Bug;

/// The log's disk.
#[derive(Clone, Debug)]
pub(crate) struct BrittleDisk {
    pub(crate) disk: SimDisk,
    bug: Option<Bug>,
}

/// A file on it.
#[derive(Debug)]
pub(crate) struct BrittleFile {
    file: SimFile,
    bug: Option<Bug>,
}

impl BrittleDisk {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self { disk: SimDisk::new(), bug }
    }

    fn file(&self, file: SimFile) -> BrittleFile {
        BrittleFile { file, bug: self.bug }
    }
}

impl Disk for BrittleDisk {
    type File = BrittleFile;

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.create_folder(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        self.disk.list(folder)
    }

    fn create(&self, file: &Path) -> io::Result<BrittleFile> {
        self.disk.create(file).map(|file| self.file(file))
    }

    fn open(&self, file: &Path) -> io::Result<BrittleFile> {
        self.disk.open(file).map(|file| self.file(file))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}

impl DiskFile for BrittleFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if self.bug == Some(Bug::SkipsSync) { Ok(()) } else { self.file.sync() }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }
}

/// The store's disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct BrittleBacking {
    pub(crate) backing: SimBacking,
    bug: Option<Bug>,
}

impl BrittleBacking {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self { backing: SimBacking::new(), bug }
    }
}

impl Backing for BrittleBacking {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.backing.get(keys)
    }

    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Value)>, StoreError> {
        self.backing.scan(table, after, limit)
    }

    fn write_checkpoint(&self, rows: &[Row<'_>], position: Position) -> Result<(), StoreError> {
        let kept = if self.bug == Some(Bug::KeepsPositionWithoutRows) { rows.len() / 2 } else { rows.len() };
        self.backing.write_checkpoint(rows.get(..kept).unwrap_or_default(), position)
    }

    fn position(&self) -> Result<Position, StoreError> {
        self.backing.position()
    }

    fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.backing.cursor(name)
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<(), StoreError> {
        self.backing.set_cursor(name, value)
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.backing.compact()
    }

    fn size_bytes(&self) -> u64 {
        self.backing.size_bytes()
    }
}
