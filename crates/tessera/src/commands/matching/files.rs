//! Files of records, as the matcher's table.
//!
//! Not an import: nothing goes to a server, and no mapping is needed. Columns are found by name; one that a file does
//! not have is empty for its records.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tessera_match::{Column, Table};

use super::failed;
use crate::commands::import::rows::{Cell, Cells, Format, ParquetColumns};
use crate::commands::import::{Reading, failure};
use crate::output::{self, Failure, count};

/// What the columns of files are, and how files are read.
#[derive(Debug, Args)]
pub(crate) struct Columns {
    /// The column that names each record; otherwise records are numbered from 1.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// A column to leave out; may be given more than once.
    #[arg(long, value_name = "COLUMN")]
    ignore: Vec<String>,
    /// Each file is known to have no duplicates: only records of different files are compared.
    #[arg(long)]
    pub(super) link_only: bool,
    #[command(flatten)]
    reading: Reading,
}

/// What was read.
pub(super) struct Records {
    pub(super) table: Table,
    /// For each record the number of its person, where a column tells.
    pub(super) truth: Option<Vec<u32>>,
    ids: Option<Texts>,
    /// Each file's first row.
    starts: Vec<usize>,
}

/// Texts one after the other.
#[derive(Default)]
struct Texts {
    text: String,
    ends: Vec<usize>,
}

/// What becomes of a column's cells.
enum Target {
    Value(Column),
    Id(Texts),
    Truth { seen: HashMap<Box<str>, u32>, codes: Vec<u32> },
}

impl Target {
    fn push(&mut self, cell: Option<&str>) {
        match self {
            Self::Value(column) => column.push(cell),
            Self::Id(ids) => {
                ids.text.push_str(cell.unwrap_or_default().trim());
                ids.ends.push(ids.text.len());
            }
            Self::Truth { seen, codes } => {
                // A record of nobody known is a person of its own.
                let next = u32::try_from(codes.len()).unwrap_or(u32::MAX);
                let code = match cell.map(str::trim).filter(|cell| !cell.is_empty()) {
                    None => next,
                    Some(cell) => match seen.get(cell) {
                        Some(code) => *code,
                        None => *seen.entry(cell.into()).or_insert(next),
                    },
                };
                codes.push(code);
            }
        }
    }
}

/// A column of the table and what it becomes.
struct Named {
    name: String,
    target: Target,
}

impl Columns {
    /// Reads all of `files`; `truth` is the column that tells who is who.
    pub(super) fn read(
        &self,
        files: &[PathBuf],
        truth: Option<&str>,
        is_quiet: bool,
    ) -> anyhow::Result<Records> {
        let names = self.names(files)?;
        for wanted in
            self.id.iter().map(String::as_str).chain(truth).chain(self.ignore.iter().map(String::as_str))
        {
            if !names.iter().any(|name| name == wanted) {
                let what = format!("no file has the column `{wanted}`");
                let hint = format!("there is {}", names.join(", "));
                return Err(Failure::new("TES-X020", what, hint).into());
            }
        }
        let mut columns: Vec<Named> = Vec::new();
        for name in names {
            let target = match () {
                () if Some(name.as_str()) == truth => {
                    Target::Truth { seen: HashMap::new(), codes: Vec::new() }
                }
                () if self.id.as_deref() == Some(&name) => Target::Id(Texts::default()),
                () if self.ignore.contains(&name) => continue,
                () => Target::Value(Column::new(&name)),
            };
            columns.push(Named { name, target });
        }
        let mut starts = Vec::new();
        let mut sources = Vec::new();
        let mut rows = 0;
        for (number, file) in files.iter().enumerate() {
            starts.push(rows);
            rows += self.file(file, &mut columns, is_quiet)?;
            sources.resize(rows, u16::try_from(number).unwrap_or(u16::MAX));
        }
        let (mut values, mut ids, mut truth) = (Vec::new(), None, None);
        for column in columns {
            match column.target {
                Target::Value(column) => values.push(column),
                Target::Id(texts) => ids = Some(texts),
                Target::Truth { codes, .. } => truth = Some(codes),
            }
        }
        let mut table = Table::new(values).map_err(failed)?;
        if files.len() > 1 {
            table = table.with_sources(sources).map_err(failed)?;
        }
        Ok(Records { table, truth, ids, starts })
    }

    /// The columns of all files, in the order they are met.
    fn names(&self, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
        let (mut names, mut known) = (Vec::new(), BTreeSet::new());
        for file in files {
            let mut opened = self.reading.open(file)?;
            if let Some(columns) = opened.reader.columns() {
                names.extend(columns.iter().filter(|name| known.insert((*name).clone())).cloned());
                continue;
            }
            // JSON Lines declares nothing: every row may bring another member.
            while let Some(row) = opened.reader.next().map_err(failure)? {
                if let Ok(Cells::Json(raw)) = row.content {
                    for name in members(raw).into_keys() {
                        if !known.contains(&name) {
                            known.insert(name.clone());
                            names.push(name);
                        }
                    }
                }
            }
        }
        Ok(names)
    }

    /// Reads one file; returns its number of records.
    fn file(&self, path: &Path, columns: &mut [Named], is_quiet: bool) -> anyhow::Result<usize> {
        if self.reading.format_of(path)? == Format::Parquet
            && let Some(rows) = parquet(path, columns, is_quiet)?
        {
            return Ok(rows);
        }
        let mut opened = self.reading.open(path)?;
        let bar = bar(opened.bytes, "reading", is_quiet);
        let order: Option<Vec<Option<usize>>> = opened.reader.columns().map(|header| {
            columns.iter().map(|column| header.iter().position(|name| *name == column.name)).collect()
        });
        let (mut rows, mut unread) = (0, 0_u64);
        while let Some(row) = opened.reader.next().map_err(failure)? {
            let cells = match row.content {
                Ok(cells) => cells,
                Err(_) => {
                    unread += 1;
                    continue;
                }
            };
            match cells {
                Cells::Text { text, ends } => {
                    for (column, place) in columns.iter_mut().zip(order.iter().flatten()) {
                        column.target.push(place.and_then(|place| cut(text, ends, place)));
                    }
                }
                Cells::Json(raw) => {
                    let members = members(raw);
                    for column in columns.iter_mut() {
                        let text = members.get(column.name.as_str()).map(|raw| plain(raw));
                        column.target.push(text.as_deref());
                    }
                }
            }
            rows += 1;
            if rows % 4096 == 0 {
                bar.set_position(opened.read.load(Ordering::Relaxed));
            }
        }
        bar.finish_and_clear();
        if unread > 0 {
            let file = path.display();
            output::note(format_args!("{} rows of `{file}` cannot be read and are left out", count(unread)));
        }
        Ok(rows)
    }
}

/// Reads a Parquet file of plain columns, several at once. `None`: it is not of that kind.
fn parquet(path: &Path, columns: &mut [Named], is_quiet: bool) -> anyhow::Result<Option<usize>> {
    let open = || File::open(path).ok().and_then(ParquetColumns::open);
    let Some(first) = open() else { return Ok(None) };
    let rows = first.rows();
    let header = first.columns().to_vec();
    let total = u64::try_from(rows * columns.len()).unwrap_or(u64::MAX);
    let bar = bar(total, "reading", is_quiet);
    let done = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(columns.len());
    let waiting = Mutex::new(columns.iter_mut());
    let (running, trouble) = (AtomicUsize::new(threads), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(column) = waiting.lock().next() else { break };
                    let read = match (header.iter().position(|name| *name == column.name), open()) {
                        (Some(place), Some(file)) => file.each(place, &done, |cell| column.target.push(cell)),
                        (Some(_) | None, _) => {
                            (0..rows).for_each(|_| column.target.push(None));
                            Ok(())
                        }
                    };
                    if let Err(met) = read {
                        *trouble.lock() = Some(met);
                        break;
                    }
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while running.load(Ordering::Relaxed) > 0 {
            bar.set_position(done.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(if is_quiet { 1 } else { 50 }));
        }
    });
    bar.finish_and_clear();
    match trouble.into_inner() {
        Some(met) => Err(failure(met)).with_context(|| format!("`{}`", path.display())),
        None => Ok(Some(rows)),
    }
}

/// A bar, on a terminal only.
pub(super) fn bar(length: u64, what: &'static str, is_quiet: bool) -> ProgressBar {
    let target = if is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(length), target).with_message(what);
    match ProgressStyle::with_template("{msg:12} {bar:30} {percent:>3} %  {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn cut<'a>(text: &'a str, ends: &[usize], place: usize) -> Option<&'a str> {
    let start = match place.checked_sub(1) {
        Some(before) => *ends.get(before)?,
        None => 0,
    };
    text.get(start..*ends.get(place)?)
}

fn members(raw: &RawValue) -> std::collections::BTreeMap<String, &RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A member as text; the items of a list parted by `|`, as the matcher reads them.
fn plain(raw: &RawValue) -> String {
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
        return items.into_iter().map(plain).collect::<Vec<_>>().join("|");
    }
    Cell::Json(raw).text().map(std::borrow::Cow::into_owned).unwrap_or_default()
}

impl Records {
    /// What a record is called: by its id, else by its number, from 1.
    pub(super) fn name(&self, row: usize) -> String {
        match &self.ids {
            Some(ids) => cut(&ids.text, &ids.ends, row).unwrap_or_default().to_owned(),
            None => (row - self.starts.get(self.file(row)).copied().unwrap_or(0) + 1).to_string(),
        }
    }

    /// The number of the file that a record is from.
    pub(super) fn file(&self, row: usize) -> usize {
        self.starts.partition_point(|start| *start <= row).saturating_sub(1)
    }

    /// The record that is called so. In the second file `2:NAME`.
    pub(super) fn find(&self, name: &str) -> anyhow::Result<usize> {
        let rows = 0..self.table.rows();
        let by_file = name.split_once(':').and_then(|(file, rest)| Some((file.parse::<usize>().ok()?, rest)));
        let found = rows.clone().find(|row| self.name(*row) == name).or_else(|| {
            let (file, rest) = by_file?;
            rows.clone().find(|row| self.file(*row) + 1 == file && self.name(*row) == rest)
        });
        found.ok_or_else(|| {
            let what = "no record is called so";
            let hint = "name it as the column of --id does, or by its number; `2:NAME` in the second file";
            Failure::new("TES-X021", what, hint).into()
        })
    }
}
