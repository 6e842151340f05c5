//! The segments of a folder: their names, and all of them as one text.
//!
//! Not a check of what they hold. Invariant: segments come in the order of their first entries.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Name of the segment whose first entry is `first`.
pub(crate) fn file_name(first: u64) -> String {
    format!("{first:020}.jsonl")
}

/// The first entry in a segment's file name; `None` for any other file.
fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

/// First entries of the segments in `folder`, in order. None if there is no such folder.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut firsts = Vec::new();
    for file in files {
        firsts.extend(file?.file_name().to_str().and_then(first_of));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// All segments of a ledger's folder as one text, for [`crate::verify`] with [`crate::Form::Folder`]. A ledger that is
/// being written to may end within a line.
#[derive(Debug)]
pub struct FolderReader {
    file: BufReader<Box<dyn ReadDebug>>,
    /// Those not begun yet, the next one last.
    rest: Vec<PathBuf>,
}

/// A source of bytes that has a `Debug` form.
trait ReadDebug: Read + std::fmt::Debug + Send {}
impl<T: Read + std::fmt::Debug + Send> ReadDebug for T {}

impl FolderReader {
    /// Reads the segments that are in `folder` now.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let rest = segments(folder)?.into_iter().rev().map(|first| folder.join(file_name(first))).collect();
        Ok(Self { file: BufReader::new(Box::new(io::empty())), rest })
    }
}

impl BufRead for FolderReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.file.fill_buf()?.is_empty() {
            let Some(next) = self.rest.pop() else { break };
            self.file = BufReader::with_capacity(1 << 18, Box::new(File::open(next)?));
        }
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl Read for FolderReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
