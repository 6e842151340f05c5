//! One process per data folder.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tessera_store::LogError;

/// Holds a folder for this process until dropped; the system lets go of it when the process ends, however it
/// ends. The lock is on the file `LOCK` in the folder, which stays there and is empty.
#[derive(Debug)]
pub struct FolderLock {
    /// Open for as long as the lock is held.
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`, making the folder if need be. Does not wait.
    ///
    /// # Errors
    /// [`LogError::Locked`] when somebody else holds it, [`LogError::Io`].
    pub fn acquire(folder: &Path) -> Result<Self, LogError> {
        let name = folder.join("LOCK");
        let io = |action, file: &Path, source| LogError::Io { action, file: file.to_path_buf(), source };
        std::fs::create_dir_all(folder).map_err(|source| io("create", folder, source))?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&name);
        let file = file.map_err(|source| io("open", &name, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LogError::Locked { folder: folder.to_path_buf() }),
            Err(errno) => Err(io("lock", &name, errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_lock_is_held_by_one_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::acquire(&folder.path().join("data")).unwrap();
        let second = FolderLock::acquire(&folder.path().join("data"));
        assert!(
            matches!(second, Err(LogError::Locked { folder: locked }) if locked == folder.path().join("data"))
        );
        drop(first);
        FolderLock::acquire(&folder.path().join("data")).unwrap();
    }

    #[test]
    fn folder_lock_names_the_folder_that_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = FolderLock::acquire(&folder.path().join("file/data")).unwrap_err();
        assert!(error.to_string().contains("file/data"), "{error}");
    }
}
