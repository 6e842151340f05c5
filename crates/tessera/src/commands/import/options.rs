//! The flags of `tessera import`, and the file they name.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context as _;
use clap::Args;

use super::rows::{
    Counted, CsvRows, Format, How, JsonRows, Mapping, ParquetRows, Reader, Trouble, decode, unpack,
};
use super::run;
use crate::cli::Global;
use crate::output::{self, Failure};

/// `tessera import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file: CSV, JSON Lines or Parquet; CSV and JSON Lines may be packed with gzip.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The source of the workspace under which the rows come in.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["dry_run", "suggest"])]
    pub(super) source: Option<String>,
    /// The mapping file (YAML): which column becomes what.
    #[arg(long, value_name = "MAP.yaml", required_unless_present = "suggest")]
    pub(super) mapping: Option<PathBuf>,
    /// Print a first mapping, made from the header and 1,000 rows, and send nothing.
    #[arg(long, conflicts_with_all = ["mapping", "dry_run"])]
    pub(super) suggest: bool,
    /// Map every row, print the first events and what would be rejected, and send nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Stop after this many rows of the file.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    #[command(flatten)]
    reading: Reading,
    /// Import a file again that was imported before, or one that was interrupted, from its first row.
    #[arg(long)]
    pub(super) from_start: bool,
}

/// How a file is read, where its name and its first bytes do not tell.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Reading {
    /// What the file is made of; otherwise by its name.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The file's encoding, for example windows-1252; otherwise it is detected.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// What separates the cells of a CSV file, or `tab`; otherwise it is detected.
    #[arg(long, value_name = "SIGN", value_parser = delimiter)]
    delimiter: Option<u8>,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [sign] if !sign.is_ascii_alphanumeric() && !matches!(sign, b'"' | b'\n' | b'\r') => Ok(*sign),
        _ if matches!(text, "tab" | "\\t") => Ok(b'\t'),
        _ => Err("name one ASCII sign, or `tab`".to_owned()),
    }
}

/// A file that is being read.
pub(crate) struct Opened {
    pub(crate) reader: Reader,
    /// The file's size, in bytes.
    pub(crate) bytes: u64,
    /// How many of them were read.
    pub(crate) read: Arc<AtomicU64>,
    /// What was found out about the file, for people.
    pub(crate) about: String,
}

impl Import {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        run::run(self, global)
    }

    /// Opens the file.
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        self.reading.open(&self.file)
    }

    /// Reads the mapping file.
    pub(super) fn mapping(&self) -> anyhow::Result<Mapping> {
        let path = self.mapping.as_deref().unwrap_or_else(|| Path::new(""));
        let text = std::fs::read_to_string(path).with_context(|| {
            let what = format!("cannot read mapping `{}`", path.display());
            Failure::new(
                "TES-M002",
                what,
                "check that it exists and is UTF-8; `tessera import FILE --suggest` prints a first one",
            )
        })?;
        Mapping::parse(&path.display().to_string(), &text).map_err(failure)
    }

    /// What changes which rows there are, besides the file and the mapping.
    pub(super) fn reading(&self) -> String {
        let Reading { format, encoding, delimiter } = &self.reading;
        format!("{format:?} {encoding:?} {delimiter:?}")
    }
}

impl Reading {
    /// Opens a file.
    pub(crate) fn open(&self, path: &Path) -> anyhow::Result<Opened> {
        let cannot = || {
            let what = format!("cannot read `{}`", path.display());
            Failure::new("TES-M001", what, "check that the file exists and that this account may read it")
        };
        let format = self.format_of(path)?;
        let file = File::open(path).with_context(cannot)?;
        let metadata = file.metadata().with_context(cannot)?;
        if !metadata.is_file() {
            let what = format!("`{}` is no file", path.display());
            return Err(Failure::new(
                "TES-M001",
                what,
                "name one file: a file is read twice, so a pipe will not do",
            )
            .into());
        }
        if metadata.len() == 0 {
            let what = format!("`{}` is empty", path.display());
            return Err(Failure::new("TES-M001", what, "check how it was exported").into());
        }
        let read = Arc::new(AtomicU64::new(0));
        let (reader, about) = self.reader(file, format, &read).map_err(failure)?;
        Ok(Opened { reader, bytes: metadata.len(), read, about })
    }

    fn reader(&self, file: File, format: Format, read: &Arc<AtomicU64>) -> Result<(Reader, String), Trouble> {
        if format == Format::Parquet {
            return Ok((
                Reader::Parquet(Box::new(ParquetRows::new(file, Arc::clone(read))?)),
                "Parquet".to_owned(),
            ));
        }
        let counted = Counted { input: file, bytes: Arc::clone(read) };
        let input = unpack(Box::new(counted)).map_err(|error| {
            Trouble::new("TES-M008", format!("the file cannot be read: {error}"), "fetch the file again")
        })?;
        let (input, encoding, how) = decode(input, self.encoding.as_deref())?;
        let how = match how {
            How::Mark => "by its byte order mark",
            How::Named => "as named",
            How::Guessed => "detected; --encoding says otherwise",
        };
        Ok(match format {
            Format::Csv => {
                let rows = CsvRows::new(input, self.delimiter)?;
                let delimiter = match rows.delimiter() {
                    '\t' => "tab".to_owned(),
                    sign => format!("`{sign}`"),
                };
                let columns = rows.columns().len();
                let about = format!("CSV, {columns} columns separated by {delimiter}, {encoding} ({how})");
                (Reader::Csv(Box::new(rows)), about)
            }
            Format::Jsonl | Format::Parquet => {
                (Reader::Json(JsonRows::new(input)), format!("JSON Lines, {encoding} ({how})"))
            }
        })
    }

    /// What a file is made of.
    pub(crate) fn format_of(&self, path: &Path) -> anyhow::Result<Format> {
        let format = self.format.or_else(|| Format::of_name(&path.to_string_lossy())).ok_or_else(|| {
            let what = format!("`{}` does not say by its name what it is made of", path.display());
            Failure::new("TES-M001", what, "say it: --format csv, jsonl or parquet")
        })?;
        Ok(format)
    }
}

/// A trouble as the program's error.
pub(crate) fn failure(trouble: Trouble) -> anyhow::Error {
    Failure::new(trouble.code, trouble.what, trouble.hint).into()
}

/// Prints what was found out about the file, unless a program reads.
pub(super) fn tell(global: &Global, opened: &Opened) {
    if !global.json {
        output::note(&opened.about);
    }
}
