//! What the log asks of a file system, so that the simulator can break it.
//!
//! Not a virtual file system: only these few operations, in the order the log needs them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A place for files.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes `folder` and what is missing above it, durably. No error if it exists.
    ///
    /// # Errors
    /// What the system said.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Names and lengths of the files in `folder`, in any order.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>>;

    /// Makes an empty file, or empties the one that is there. Its name is durable after
    /// [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system said.
    fn create(&self, file: &Path) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// What the system said.
    fn open(&self, file: &Path) -> io::Result<Self::File>;

    /// Removes a file; durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system said.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Gives a file another name in the same folder, in place of the file that has it: whoever opens that name gets
    /// the one or the other. Durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system said.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in `folder` durable.
    ///
    /// # Errors
    /// What the system said.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file. Any number of threads may read while one writes.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `offset` into `buffer`, perhaps less than fits; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system said.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes `bytes` at `offset`, perhaps not all of them, and returns how many.
    ///
    /// # Errors
    /// What the system said; some of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes all that was written durable, and the length with it.
    ///
    /// # Errors
    /// What the system said; any part of what was written since the last sync may never be durable.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `bytes`, durably.
    ///
    /// # Errors
    /// What the system said; the file may have either length.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    type File = File;

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let missing: Vec<_> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        std::fs::create_dir_all(folder)?;
        for created in missing {
            let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
            self.sync_folder(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            files.push((name, entry.metadata()?.len()));
        }
        Ok(files)
    }

    fn create(&self, file: &Path) -> io::Result<File> {
        // Only this account: the log holds personal data.
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(file)
    }

    fn open(&self, file: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(file)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)?;
        self.sync_all()
    }
}

/// Writes all of `bytes` at `offset`.
pub(super) fn write_all(file: &impl DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                offset = offset.saturating_add(written as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads at `offset` until `buffer` is full or the file ends; returns how much was read.
pub(super) fn read_full(file: &impl DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(read) => done = done.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
