//! What writing the ledger asks of a file system, so that tests can break it.
//!
//! Not a virtual file system: reads go past it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A place for segments.
pub(crate) trait Disk: Send + Sync + 'static {
    /// Makes an empty file, or empties the one that is there.
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there.
    fn open(&self, file: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Removes a file; durable after [`Disk::sync_folder`].
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Makes the names in `folder` durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that is open for writing.
pub(crate) trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`; on an error perhaps some of them.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes all that was written durable, and the length with it.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to `bytes`, durably.
    fn cut(&self, bytes: u64) -> io::Result<()>;
}

/// The operating system's file system.
pub(crate) struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        // Only this account: the ledger says who was sent what.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
        Ok(Box::new(file))
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(file)?))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for File {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        self.sync_all()
    }
}
