//! The log of a Delta table on a local folder: numbered commits, each a file that is there whole or not at all, and
//! checkpoints that sum them up.
//!
//! One process writes. Invariant: a commit that returned is there after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::arrow::json::{LineDelimitedWriter, ReaderBuilder};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tessera_model::Timestamp;
use tessera_store::LakeError;

use crate::action::{self, Action, DataFile};

const LOG: &str = "_delta_log";
/// The reader version of the protocol that this lake reads.
const READER_MAX: i64 = 1;
/// So many commits and there is a checkpoint, ...
const CHECKPOINT_COMMITS: u64 = 64;
/// ... and what is so much older than it goes: who reads the table may still be at it.
const KEPT_COMMITS: u64 = 128;

/// The table as of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Number of the next commit.
    pub(crate) next: u64,
    /// The files by path.
    pub(crate) files: BTreeMap<String, Arc<DataFile>>,
    /// The log position up to which it is.
    pub(crate) position: u64,
    pub(crate) schema: String,
    /// The commit that the last checkpoint sums up to, plus one.
    checkpointed: u64,
    created: Option<Value>,
    protocol: Option<Value>,
}

impl Version {
    fn apply(&mut self, line: Value, file: &Path) -> Result<(), LakeError> {
        let newer = |what: String| LakeError::Newer { file: file.to_owned(), what };
        match Action::parse(&line).ok_or_else(|| corrupt(file, "a line is no action of the protocol"))? {
            Action::Protocol { reader } if reader > READER_MAX => {
                return Err(newer(format!("reader version {reader}")));
            }
            Action::Protocol { .. } => self.protocol = Some(line),
            Action::Metadata { schema } => (self.schema, self.created) = (schema, Some(line)),
            Action::Position(position) => self.position = position,
            Action::Add(added) => {
                self.files.insert(added.path.clone(), Arc::new(added));
            }
            Action::Remove(path) => {
                self.files.remove(&path);
            }
            Action::Other => {}
        }
        Ok(())
    }
}

pub(crate) fn corrupt(file: &Path, what: impl ToString) -> LakeError {
    LakeError::Corrupt { file: file.to_owned(), what: what.to_string() }
}

pub(crate) fn io(what: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> LakeError {
    let file = file.to_owned();
    move |source| LakeError::Io { what, file, source }
}

pub(crate) fn remove(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes the files of a table that no version of it names.
pub(crate) fn remove_orphans(table: &Path, known: &BTreeSet<String>) -> Result<(), LakeError> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>, LakeError> {
        let entries = fs::read_dir(folder).map_err(io("read", folder))?;
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(io("read", folder))).collect()
    };
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    for folder in list(table)?.into_iter().filter(|folder| name(folder).starts_with("day=")) {
        for file in list(&folder)? {
            if !known.contains(&format!("{}/{}", name(&folder), name(&file))) {
                remove(&file)?;
            }
        }
    }
    Ok(())
}

/// A table's id has the form of a UUID; it need not be anybody else's, and tells when the table was made.
fn table_id(now: Timestamp) -> String {
    format!("7e55e7a0-0000-4000-8000-{:012x}", now.as_millis().unsigned_abs() & 0xffff_ffff_ffff)
}

/// A Delta table's log.
#[derive(Debug)]
pub(crate) struct TableLog {
    folder: PathBuf,
}

impl TableLog {
    /// Opens a table of these columns, and makes one if there is none. Files that belong to no commit go: a crash left them.
    pub(crate) fn open_or_create(
        table: &Path,
        stored: &SchemaRef,
        now: Timestamp,
    ) -> Result<(Self, Version), LakeError> {
        let (log, mut version) = Self::open(table)?;
        let schema = action::schema_string(stored);
        if version.schema != schema {
            let mut actions = vec![action::commit_info("CREATE TABLE", now)];
            if version.next == 0 {
                actions.push(action::protocol());
            }
            // A table that gets more columns stays the same to those who read it.
            let known = version.created.as_ref().and_then(|line| line.pointer("/metaData/id")?.as_str());
            let id = known.map_or_else(|| table_id(now), str::to_owned);
            actions.push(action::metadata(&id, &schema, now));
            log.commit(&mut version, actions)?;
        }
        remove_orphans(table, &version.files.keys().cloned().collect())?;
        Ok((log, version))
    }

    /// Opens the log of the table in `table`, and reads how it stands.
    fn open(table: &Path) -> Result<(Self, Version), LakeError> {
        let folder = table.join(LOG);
        fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        let log = Self { folder };
        let mut version = Version::default();
        if let Some(checkpoint) = log.last_checkpoint()? {
            log.read_checkpoint(checkpoint, &mut version)?;
        }
        loop {
            let file = log.commit_file(version.next);
            let text = match fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(io("read", &file)(error)),
            };
            for line in text.lines().filter(|line| !line.is_empty()) {
                let line = serde_json::from_str(line).map_err(|_| corrupt(&file, "a line is no JSON"))?;
                version.apply(line, &file)?;
            }
            version.next += 1;
        }
        Ok((log, version))
    }

    fn commit_file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.json"))
    }

    fn checkpoint_file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.checkpoint.parquet"))
    }

    /// Makes `actions` one commit, and `version` what the table is then.
    pub(crate) fn commit(&self, version: &mut Version, actions: Vec<Value>) -> Result<(), LakeError> {
        let file = self.commit_file(version.next);
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        self.write_whole(&file, text.as_bytes())?;
        for action in actions {
            version.apply(action, &file)?;
        }
        version.next += 1;
        Ok(())
    }

    /// Sums up the log once it has grown enough.
    pub(crate) fn tidy(&self, version: &mut Version) -> Result<(), LakeError> {
        if version.next >= version.checkpointed + CHECKPOINT_COMMITS {
            self.checkpoint(version)?;
            version.checkpointed = version.next;
        }
        Ok(())
    }

    fn write_whole(&self, file: &Path, bytes: &[u8]) -> Result<(), LakeError> {
        let part = self.folder.join("commit.tmp");
        let write = || -> std::io::Result<()> {
            let mut out = File::create(&part)?;
            out.write_all(bytes)?;
            out.sync_all()?;
            fs::rename(&part, file)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(io("write", file))
    }

    fn last_checkpoint(&self) -> Result<Option<u64>, LakeError> {
        let file = self.folder.join("_last_checkpoint");
        match fs::read_to_string(&file) {
            Ok(text) => {
                let number = serde_json::from_str::<Value>(&text)
                    .ok()
                    .and_then(|value| value.get("version")?.as_u64());
                number.map(Some).ok_or_else(|| corrupt(&file, "it names no version"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("read", &file)(error)),
        }
    }

    /// Sums up everything before `version.next` in one file.
    fn checkpoint(&self, version: &Version) -> Result<(), LakeError> {
        let Some(number) = version.next.checked_sub(1) else { return Ok(()) };
        let mut lines: Vec<Value> = version.protocol.iter().chain(&version.created).cloned().collect();
        lines.push(action::position(version.position, Timestamp::from_millis(0)));
        lines.extend(version.files.values().map(|file| file.add(true)));
        let file = self.checkpoint_file(number);
        let bytes = checkpoint_bytes(&lines).map_err(|error| corrupt(&file, error))?;
        self.write_whole(&file, &bytes)?;
        let last = json!({"version": number, "size": lines.len()}).to_string();
        self.write_whole(&self.folder.join("_last_checkpoint"), last.as_bytes())?;
        self.forget_before(number.saturating_sub(KEPT_COMMITS))
    }

    fn forget_before(&self, number: u64) -> Result<(), LakeError> {
        for entry in fs::read_dir(&self.folder).map_err(io("read", &self.folder))? {
            let path = entry.map_err(io("read", &self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let own = name.split_once('.').and_then(|(digits, _)| digits.parse::<u64>().ok());
            if own.is_some_and(|own| own < number) {
                fs::remove_file(&path).map_err(io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn read_checkpoint(&self, number: u64, version: &mut Version) -> Result<(), LakeError> {
        let path = self.checkpoint_file(number);
        let file = File::open(&path).map_err(io("read", &path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
        for batch in reader.map_err(|error| corrupt(&path, error))? {
            let mut writer = LineDelimitedWriter::new(Vec::new());
            batch.and_then(|batch| writer.write(&batch)).map_err(|error| corrupt(&path, error))?;
            writer.finish().map_err(|error| corrupt(&path, error))?;
            for line in serde_json::Deserializer::from_slice(&writer.into_inner()).into_iter::<Value>() {
                version.apply(line.map_err(|_| corrupt(&path, "a row is no action"))?, &path)?;
            }
        }
        (version.next, version.checkpointed) = (number + 1, number + 1);
        Ok(())
    }
}

fn checkpoint_bytes(lines: &[Value]) -> Result<Vec<u8>, String> {
    let schema = checkpoint_schema();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(lines.len().max(1))
        .build_decoder()
        .map_err(|e| e.to_string())?;
    decoder.serialize(lines).map_err(|error| error.to_string())?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).map_err(|error| error.to_string())?;
    while let Some(batch) = decoder.flush().map_err(|error| error.to_string())? {
        writer.write(&batch).map_err(|error| error.to_string())?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// The columns of a checkpoint, one for each kind of action.
fn checkpoint_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let texts = |name: &str| {
        let entries = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
        let entries = Arc::new(Field::new("key_value", DataType::Struct(entries), false));
        Field::new(name, DataType::Map(entries, false), true)
    };
    let action = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(fields.into()), true);
    let format = DataType::Struct(vec![text("provider"), texts("options")].into());
    let names = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    Arc::new(Schema::new(vec![
        action("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        action(
            "add",
            vec![
                text("path"),
                texts("partitionValues"),
                long("size"),
                long("modificationTime"),
                Field::new("dataChange", DataType::Boolean, true),
                text("stats"),
            ],
        ),
        action(
            "remove",
            vec![text("path"), long("deletionTimestamp"), Field::new("dataChange", DataType::Boolean, true)],
        ),
        action(
            "metaData",
            vec![
                text("id"),
                Field::new("format", format, true),
                text("schemaString"),
                Field::new("partitionColumns", names, true),
                texts("configuration"),
                long("createdTime"),
            ],
        ),
        action("protocol", vec![int("minReaderVersion"), int("minWriterVersion")]),
    ]))
}
