//! Looks for values in every byte of a data folder: the test of an erasure.
//!
//! Not an eraser: it changes nothing. Values are looked for as they are, as JSON escapes them and as each namespace
//! normalises them, whatever the case of their letters. What a file holds compressed is looked at through the rows of
//! the store, which are read back whole. Invariant: a trace is told by place and number, never by the value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use serde::Serialize;
use tessera_model::{HashKey, Rules};
use tessera_store::{Store, Table};

use crate::PipelineError;
use crate::replay::for_each_row;

const BUFFER_BYTES: usize = 1024 * 1024;

/// Why a scan could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The rows could not be read.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The values are too many or too long to look for.
    #[error("the values cannot be looked for all at once")]
    Values,
}

impl CanaryError {
    /// The stable code; it has a page in `docs/reference/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Values => "TES-R029",
            Self::Pipeline(error) => error.code(),
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "let the server's account read every file in the data folder, and verify again"
            }
            Self::Values => "look for fewer values at once",
            Self::Pipeline(error) => error.hint(),
        }
    }
}

/// Values to look for.
pub struct Canaries {
    patterns: AhoCorasick,
    /// The value that each pattern stands for.
    of: Vec<usize>,
    longest: usize,
}

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CanaryTrace {
    /// The value, by its number in the order given.
    pub value: usize,
    /// The file, as a path in the data folder, or `rows of ` and a table.
    pub place: String,
    /// How often.
    pub count: u64,
}

/// What a scan came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CanaryScan {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows read back from the store.
    pub rows: u64,
    /// Their bytes.
    pub row_bytes: u64,
    /// Where a value was found.
    pub traces: Vec<CanaryTrace>,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scanning {
    /// Bytes read.
    pub done: u64,
    /// Out of about.
    pub total: u64,
}

/// What is found while it is looked for.
struct Finding<'a> {
    scan: CanaryScan,
    traces: BTreeMap<(String, usize), u64>,
    total: u64,
    progress: &'a mut dyn FnMut(Scanning) -> bool,
    is_over: bool,
}

impl Canaries {
    /// Ready to look for `values`; empty ones are left out.
    ///
    /// # Errors
    /// [`CanaryError::Values`].
    pub fn new(values: &[String], rules: &Rules, key: &HashKey) -> Result<Self, CanaryError> {
        let (mut patterns, mut of) = (Vec::new(), Vec::new());
        for (number, value) in values.iter().enumerate() {
            for form in forms(value, rules, key) {
                patterns.push(form);
                of.push(number);
            }
        }
        let longest = patterns.iter().map(String::len).max().unwrap_or(0);
        if longest > BUFFER_BYTES / 2 {
            return Err(CanaryError::Values);
        }
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns);
        Ok(Self { patterns: built.map_err(|_| CanaryError::Values)?, of, longest })
    }

    /// Looks through every row of `store` and every byte of every file below `folder`. `progress` says `false` to break
    /// off, which answers `None`.
    ///
    /// # Errors
    /// [`CanaryError`]; files that go away meanwhile are none.
    pub fn scan(
        &self,
        folder: &Path,
        store: &impl Store,
        progress: &mut dyn FnMut(Scanning) -> bool,
    ) -> Result<Option<CanaryScan>, CanaryError> {
        let files = files(folder)?;
        let total = files.values().sum::<u64>() + store.size_bytes();
        let mut finding =
            Finding { scan: CanaryScan::default(), traces: BTreeMap::new(), total, progress, is_over: false };
        for table in Table::ALL {
            let place = format!("rows of {table:?}");
            for_each_row(store, &[table], |key, value| {
                finding.scan.rows += 1;
                finding.scan.row_bytes += as_u64(key.id().len() + value.len());
                self.search(key.id(), 0, &place, &mut finding);
                self.search(value, 0, &place, &mut finding);
                Ok(())
            })?;
            if !finding.tell() {
                return Ok(None);
            }
        }
        for file in files.keys() {
            self.file(folder, file, &mut finding)?;
            if finding.is_over {
                return Ok(None);
            }
        }
        let Finding { mut scan, traces, .. } = finding;
        scan.traces =
            traces.into_iter().map(|((place, value), count)| CanaryTrace { value, place, count }).collect();
        Ok(Some(scan))
    }

    fn file(&self, folder: &Path, file: &Path, finding: &mut Finding<'_>) -> Result<(), CanaryError> {
        let failed = |source| CanaryError::Io { file: file.to_owned(), source };
        let mut open = match File::open(file) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let place = file.strip_prefix(folder).unwrap_or(file).display().to_string();
        finding.scan.files += 1;
        let mut buffer = vec![0; BUFFER_BYTES];
        // What is kept of the buffer before, so that a value over its end is found; what lies within it was.
        let mut kept = 0;
        loop {
            let read = match open.read(buffer.get_mut(kept..).unwrap_or_default()) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            let end = kept + read;
            self.search(buffer.get(..end).unwrap_or_default(), kept, &place, finding);
            finding.scan.bytes += as_u64(read);
            if !finding.tell() {
                return Ok(());
            }
            let keep = self.longest.saturating_sub(1).min(end);
            buffer.copy_within(end - keep..end, 0);
            kept = keep;
        }
    }

    /// Counts what ends behind `kept`.
    fn search(&self, bytes: &[u8], kept: usize, place: &str, finding: &mut Finding<'_>) {
        for found in self.patterns.find_overlapping_iter(bytes).filter(|found| found.end() > kept) {
            if let Some(value) = self.of.get(found.pattern().as_usize()) {
                *finding.traces.entry((place.to_owned(), *value)).or_default() += 1;
            }
        }
    }
}

impl Finding<'_> {
    fn tell(&mut self) -> bool {
        let done = self.scan.bytes + self.scan.row_bytes;
        self.is_over = !(self.progress)(Scanning { done, total: self.total.max(done) });
        !self.is_over
    }
}

/// How a value may be written.
fn forms(value: &str, rules: &Rules, key: &HashKey) -> BTreeSet<String> {
    let mut plain: BTreeSet<String> = [value.to_owned(), value.trim().to_owned()].into();
    let namespaces = rules.namespaces.ordered().iter();
    plain.extend(
        namespaces
            .flat_map(|namespace| rules.namespaces.readings(namespace, key, value))
            .flat_map(|identified| identified.identifier.spellings()),
    );
    let escaped = plain.iter().filter_map(|text| {
        let quoted = serde_json::to_string(text).ok()?;
        Some(quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned())
    });
    // Some clients write every letter beyond ASCII as an escape.
    let ascii = plain.iter().map(|text| {
        let mut out = String::new();
        for unit in text.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
                Ok(_) | Err(_) => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out
    });
    let mut forms: BTreeSet<String> = escaped.chain(ascii).collect();
    forms.extend(plain);
    forms.retain(|form| !form.is_empty());
    // Letters of ASCII are compared without case.
    let mut seen = BTreeSet::new();
    forms.retain(|form| seen.insert(form.to_ascii_lowercase()));
    forms
}

/// Every regular file below `folder`, with its size.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, u64>, CanaryError> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let failed = |source| CanaryError::Io { file: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            match entry.metadata() {
                Ok(what) if what.is_dir() => folders.push(entry.path()),
                Ok(what) if what.is_file() => {
                    found.insert(entry.path(), what.len());
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    Ok(found)
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tessera_model::Workspace;
    use tessera_store::{Change, Changes, Key, MemoryStore};

    use super::*;

    fn scan(values: &[&str], file: &[u8], row: &[u8]) -> CanaryScan {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        fs::write(folder.path().join("deep").join("file"), file).unwrap();
        let store = MemoryStore::new();
        let key = Key::new(Table::Cluster, b"k").unwrap();
        let change = Change { key, before: None, after: Some(row.into()) };
        store.commit(Changes { rows: vec![change], upto: None }).unwrap();
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let rules = Rules::new(1, Workspace::default()).unwrap();
        let canaries = Canaries::new(&values, &rules, &HashKey::new([7; 32])).unwrap();
        canaries.scan(folder.path(), &store, &mut |_| true).unwrap().unwrap()
    }

    fn traces(scan: &CanaryScan) -> Vec<(usize, &str, u64)> {
        scan.traces.iter().map(|trace| (trace.value, trace.place.as_str(), trace.count)).collect()
    }

    #[test]
    fn a_value_is_found_in_files_and_rows_in_every_form() {
        let file = b"x ADA@X.org y ada@x.org {\"a\": \"say \\\"hi\\\" \\u00e9\\u00E9\"}";
        let found = scan(&["Ada@x.org", "say \"hi\"", "\u{e9}\u{e9}", "absent"], file, b"..ada@x.org");
        assert_eq!(
            traces(&found),
            [(0, "deep/file", 2), (1, "deep/file", 1), (2, "deep/file", 1), (0, "rows of Cluster", 1)]
        );
        assert_eq!((found.files, found.bytes, found.rows), (1, file.len() as u64, 1));
    }

    #[test]
    fn a_value_over_the_end_of_a_buffer_is_found_once() {
        for before in [BUFFER_BYTES - 11, BUFFER_BYTES - 5, BUFFER_BYTES - 1, BUFFER_BYTES] {
            let mut file = vec![b'.'; before];
            file.extend(b"canary-value");
            file.resize(3 * BUFFER_BYTES, b'.');
            assert_eq!(traces(&scan(&["canary-value"], &file, b"")), [(0, "deep/file", 1)], "{before}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let found = scan(&["canary-value", ""], b"canary-valu canary-Value.".split_at(11).0, b"canary");
        assert_eq!(traces(&found), []);
    }

    #[test]
    fn a_scan_breaks_off_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let rules = Rules::new(1, Workspace::default()).unwrap();
        let canaries = Canaries::new(&["x".to_owned()], &rules, &HashKey::new([7; 32])).unwrap();
        assert_eq!(canaries.scan(folder.path(), &MemoryStore::new(), &mut |_| false).unwrap(), None);
    }
}
