//! The lines of a Delta table's log that this lake writes and reads.
//!
//! Reference: the Delta transaction log protocol, reader version 1 and writer version 2: `protocol`, `metaData`, `txn`,
//! `add`, `remove`, `commitInfo`. Invariant: no action holds personal data; statistics are counts, places and times.

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use serde_json::{Value, json};
use tessera_model::Timestamp;

use crate::columns::time_type;

/// Names this lake in `txn`: its version is the log position up to which the table is.
pub(crate) const APP: &str = "tessera";

/// One file of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Relative to the table.
    pub(crate) path: String,
    pub(crate) day: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Places of the first and the last row in the log.
    pub(crate) positions: (u64, u64),
    /// When the earliest and the latest event happened.
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) written_at: Timestamp,
}

/// What one line says, as far as this lake asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Protocol { reader: i64 },
    Metadata { schema: String },
    Position(u64),
    Add(DataFile),
    Remove(String),
    Other,
}

impl DataFile {
    pub(crate) fn add(&self, is_new_data: bool) -> Value {
        let stats = json!({
            "numRecords": self.rows,
            "minValues": {"position": self.positions.0, "timestamp": self.times.0.to_string()},
            "maxValues": {"position": self.positions.1, "timestamp": self.times.1.to_string()},
            "nullCount": {"position": 0, "timestamp": 0},
        });
        json!({"add": {
            "path": self.path,
            "partitionValues": {"day": self.day},
            "size": self.bytes,
            "modificationTime": self.written_at.as_millis(),
            "dataChange": is_new_data,
            "stats": stats.to_string(),
        }})
    }

    fn parse(add: &Value) -> Option<Self> {
        let stats: Value = serde_json::from_str(add.get("stats")?.as_str()?).ok()?;
        let place = |end: &str| stats.pointer(&format!("/{end}/position"))?.as_u64();
        let time = |end: &str| Timestamp::parse(stats.pointer(&format!("/{end}/timestamp"))?.as_str()?);
        Some(Self {
            path: add.get("path")?.as_str()?.to_owned(),
            day: add.pointer("/partitionValues/day")?.as_str()?.to_owned(),
            rows: stats.get("numRecords")?.as_u64()?,
            bytes: add.get("size")?.as_u64()?,
            positions: (place("minValues")?, place("maxValues")?),
            times: (time("minValues")?, time("maxValues")?),
            written_at: Timestamp::from_millis(add.get("modificationTime")?.as_i64()?),
        })
    }
}

impl Action {
    /// Reads a line. `None`: it is none of the protocol's.
    pub(crate) fn parse(line: &Value) -> Option<Self> {
        let (name, body) = line.as_object()?.iter().find(|(_, body)| !body.is_null())?;
        Some(match name.as_str() {
            "protocol" => Self::Protocol { reader: body.get("minReaderVersion")?.as_i64()? },
            "metaData" => Self::Metadata { schema: body.get("schemaString")?.as_str()?.to_owned() },
            "txn" if body.get("appId")?.as_str()? == APP => Self::Position(body.get("version")?.as_u64()?),
            "add" => Self::Add(DataFile::parse(body)?),
            "remove" => Self::Remove(body.get("path")?.as_str()?.to_owned()),
            _ => Self::Other,
        })
    }
}

pub(crate) fn remove(path: &str, now: Timestamp, is_new_data: bool) -> Value {
    json!({"remove": {"path": path, "deletionTimestamp": now.as_millis(), "dataChange": is_new_data}})
}

pub(crate) fn position(upto: u64, now: Timestamp) -> Value {
    json!({"txn": {"appId": APP, "version": upto, "lastUpdated": now.as_millis()}})
}

pub(crate) fn protocol() -> Value {
    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
}

pub(crate) fn commit_info(operation: &str, now: Timestamp) -> Value {
    json!({"commitInfo": {"timestamp": now.as_millis(), "operation": operation, "engineInfo": "tessera"}})
}

/// `id` is the table's own, a UUID.
pub(crate) fn metadata(id: &str, schema: &str, created_at: Timestamp) -> Value {
    json!({"metaData": {
        "id": id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema,
        "partitionColumns": ["day"],
        "configuration": {},
        "createdTime": created_at.as_millis(),
    }})
}

/// The columns of the table in Delta's words.
pub(crate) fn schema_string(stored: &SchemaRef) -> String {
    let field = |name: &str, kind: &str, nullable: bool| json!({"name": name, "type": kind, "nullable": nullable, "metadata": {}});
    let kind = |kind: &DataType| {
        let known = [
            (DataType::Int64, "long"),
            (DataType::Int32, "integer"),
            (DataType::Boolean, "boolean"),
            (time_type(), "timestamp"),
        ];
        known.into_iter().find(|(own, _)| own == kind).map_or("string", |(_, name)| name)
    };
    let mut fields: Vec<Value> = stored
        .fields()
        .iter()
        .map(|own| field(own.name(), kind(own.data_type()), own.is_nullable()))
        .collect();
    fields.push(field("day", "date", true));
    json!({"type": "struct", "fields": fields}).to_string()
}
