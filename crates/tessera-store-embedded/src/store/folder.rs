//! The store's folder and its format version.
//!
//! Not the engine's own files. Reference: `docs/reference/store-format.md`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tessera_store::StoreError;

/// The newest format this build reads, and the one it writes.
pub(crate) const FORMAT: u32 = 1;
const MAGIC: &str = "tessera-store ";

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Checks the format version of `<data_folder>/store`. Where there is none yet, `fill` puts an empty store
    /// into a folder beside it that then takes its place: a store is there whole or not at all, so whatever is
    /// missing later is damage.
    pub(crate) fn open(
        data_folder: &Path,
        fill: impl FnOnce(&Self) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let folder = Self { path: data_folder.join("store") };
        match fs::read(folder.format_file()) {
            Ok(bytes) => folder.check(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.create(data_folder, fill)?,
            Err(error) => return Err(folder.io("open", error)),
        }
        Ok(folder)
    }

    /// The folder of the engine's own files.
    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("fjall")
    }

    /// An error of the system, on this folder.
    pub(crate) fn io(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::Io { action, folder: self.path.clone(), source }
    }

    fn format_file(&self) -> PathBuf {
        self.path.join("FORMAT")
    }

    fn check(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(MAGIC));
        let Some(found) = text.and_then(|version| version.trim_end().parse::<u32>().ok()) else {
            let what =
                format!("`{}` does not begin with `{MAGIC}` and a number", self.format_file().display());
            return Err(StoreError::Corrupt { what });
        };
        if found > FORMAT {
            return Err(StoreError::Newer { file: self.format_file(), found, supported: FORMAT });
        }
        Ok(())
    }

    fn create(
        &self,
        data_folder: &Path,
        fill: impl FnOnce(&Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_some()) {
            let what = format!("`{}` is missing", self.format_file().display());
            return Err(StoreError::Corrupt { what });
        }
        let draft = Self { path: data_folder.join("store.new") };
        draft.begin().map_err(|error| self.io("create", error))?;
        fill(&draft)?;
        draft.finish(&self.path, data_folder).map_err(|error| self.io("create", error))
    }

    fn begin(&self) -> io::Result<()> {
        if self.path.exists() {
            fs::remove_dir_all(&self.path)?;
        }
        fs::create_dir_all(&self.path)
    }

    fn finish(&self, path: &Path, data_folder: &Path) -> io::Result<()> {
        let mut file = File::create(self.format_file())?;
        writeln!(file, "{MAGIC}{FORMAT}")?;
        file.sync_all()?;
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, path)?;
        File::open(data_folder)?.sync_all()
    }
}
