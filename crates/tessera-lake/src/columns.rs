//! The columns of the table `events`, and the way from an event to them and back.
//!
//! Invariant: every column but the first few is made from the event's JSON alone, by [`fields_of`]: whoever takes a field
//! out of the JSON takes it out of every column.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value;
use tessera_model::{FragmentId, PurposeSet, SourceName, Timestamp};
use tessera_store::{LakeError, LakeRow};

use crate::coded::Codes;
use crate::wire::{Pieces, join, split};

/// Where a column's text stands in the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// A member of the event.
    Top(&'static str),
    /// What happened: `event` of a track, `name` of a page or screen.
    Name,
    /// A field within `context`.
    Context(&'static str),
    Properties,
    Traits,
    ContextJson,
    /// All other members.
    Rest,
}

/// The columns that are made from the event's JSON, by name, in the words of warehouses that hold Segment's events.
pub(crate) const FIELDS: &[(&str, From)] = &[
    ("event", From::Name),
    ("user_id", From::Top("userId")),
    ("anonymous_id", From::Top("anonymousId")),
    ("group_id", From::Top("groupId")),
    ("context_app_build", From::Context("app.build")),
    ("context_app_name", From::Context("app.name")),
    ("context_app_version", From::Context("app.version")),
    ("context_campaign_content", From::Context("campaign.content")),
    ("context_campaign_medium", From::Context("campaign.medium")),
    ("context_campaign_name", From::Context("campaign.name")),
    ("context_campaign_source", From::Context("campaign.source")),
    ("context_campaign_term", From::Context("campaign.term")),
    ("context_device_id", From::Context("device.id")),
    ("context_device_manufacturer", From::Context("device.manufacturer")),
    ("context_device_model", From::Context("device.model")),
    ("context_device_type", From::Context("device.type")),
    ("context_ip", From::Context("ip")),
    ("context_library_name", From::Context("library.name")),
    ("context_library_version", From::Context("library.version")),
    ("context_locale", From::Context("locale")),
    ("context_location_city", From::Context("location.city")),
    ("context_location_country", From::Context("location.country")),
    ("context_location_region", From::Context("location.region")),
    ("context_os_name", From::Context("os.name")),
    ("context_os_version", From::Context("os.version")),
    ("context_page_path", From::Context("page.path")),
    ("context_page_referrer", From::Context("page.referrer")),
    ("context_page_search", From::Context("page.search")),
    ("context_page_title", From::Context("page.title")),
    ("context_page_url", From::Context("page.url")),
    ("context_timezone", From::Context("timezone")),
    ("context_user_agent", From::Context("userAgent")),
    ("properties", From::Properties),
    ("traits", From::Traits),
    ("context", From::ContextJson),
    ("rest", From::Rest),
];

/// Times are UTC, as Delta and Parquet have it.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns of the files. `day`, of which files are in one folder each, is not among them.
pub(crate) static STORED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let required = |name: &str, kind: DataType| Field::new(name, kind, false);
    let mut fields = vec![
        required("position", DataType::Int64),
        required("index", DataType::Int32),
        required("fragment_id", DataType::Utf8),
        required("purposes", DataType::Utf8),
        required("message_id", DataType::Utf8),
        required("type", DataType::Utf8),
        required("source", DataType::Utf8),
        required("timestamp", time_type()),
        required("received_at", time_type()),
    ];
    fields.extend(FIELDS.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
});

/// What the columns of [`FIELDS`] hold of an event, in their order. `None`: it is no JSON object.
pub(crate) fn fields_of(json: &str) -> Option<Vec<Option<String>>> {
    let pieces = split(json)?;
    let rest: Value = serde_json::from_str(&pieces.rest).ok()?;
    let context: Value =
        pieces.context.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Some(FIELDS.iter().map(|(_, from)| field(*from, &pieces, &rest, &context)).collect())
}

fn field(from: From, pieces: &Pieces, rest: &Value, context: &Value) -> Option<String> {
    let text = |value: Option<&Value>| match value? {
        Value::String(text) => Some(text.clone()),
        number @ Value::Number(_) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match from {
        From::Top(name) => text(rest.get(name)),
        From::Name => text(rest.get("event")).or_else(|| text(rest.get("name"))),
        From::Context(path) => text(path.split('.').try_fold(context, |value, part| value.get(part))),
        From::Properties => pieces.properties.clone(),
        From::Traits => pieces.traits.clone(),
        From::ContextJson => pieces.context.clone(),
        From::Rest => Some(pieces.rest.clone()),
    }
}

pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1000)
}

pub(crate) fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_millis(micros.div_euclid(1000))
}

/// The day on which something arrived, in UTC: `2026-11-22`.
pub(crate) fn day_of(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Rows as columns. Rows whose JSON is none are left out: the log took in none.
pub(crate) fn to_batch<'a>(rows: impl IntoIterator<Item = &'a LakeRow>) -> Result<RecordBatch, LakeError> {
    let (mut positions, mut indexes) = (Vec::new(), Vec::new());
    let (mut at, mut received_at) = (Vec::new(), Vec::new());
    let mut fixed: [StringBuilder; 5] = Default::default();
    let mut fields: Vec<StringBuilder> = FIELDS.iter().map(|_| StringBuilder::new()).collect();
    for row in rows {
        let Some(texts) = fields_of(&row.json) else { continue };
        positions.push(i64::try_from(row.position).unwrap_or(i64::MAX));
        indexes.push(i32::try_from(row.index).unwrap_or(i32::MAX));
        at.push(micros(row.at));
        received_at.push(micros(row.received_at));
        let purposes = serde_json::to_string(&row.purposes).unwrap_or_default();
        let owner = row.owner.to_string();
        let texts_fixed: [&str; 5] = [&owner, &purposes, &row.message_id, &row.call, row.source.as_str()];
        for (builder, text) in fixed.iter_mut().zip(texts_fixed) {
            builder.append_value(text);
        }
        for (builder, text) in fields.iter_mut().zip(texts) {
            builder.append_option(text);
        }
    }
    let time = |values: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let mut columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(positions)), Arc::new(Int32Array::from(indexes))];
    columns.extend(fixed.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    columns.extend([time(at), time(received_at)]);
    columns.extend(fields.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
    RecordBatch::try_new(Arc::clone(&STORED), columns)
        .map_err(|error| LakeError::Corrupt { file: "events".into(), what: error.to_string() })
}

/// The columns of a batch by name, with their types.
pub(crate) struct Columns<'a> {
    batch: &'a RecordBatch,
    file: &'a Path,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, file: &'a Path) -> Self {
        Self { batch, file }
    }

    fn find<T: 'static>(&self, name: &str) -> Result<&'a T, LakeError> {
        let found = self.batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
        found.ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn corrupt(&self, name: &str) -> LakeError {
        LakeError::Corrupt { file: self.file.to_owned(), what: format!("column `{name}`") }
    }

    pub(crate) fn texts(&self, name: &str) -> Result<&'a StringArray, LakeError> {
        self.find(name)
    }

    pub(crate) fn codes(&self, name: &str) -> Result<Codes<'a>, LakeError> {
        Codes::of(self.batch, name).ok_or_else(|| self.corrupt(name))
    }

    pub(crate) fn truths(&self, name: &str) -> Result<&'a BooleanArray, LakeError> {
        self.find(name)
    }

    pub(crate) fn times(&self, name: &str) -> Result<&'a TimestampMicrosecondArray, LakeError> {
        self.find(name)
    }

    pub(crate) fn positions(&self) -> Result<&'a Int64Array, LakeError> {
        self.find("position")
    }

    pub(crate) fn owners(&self) -> Result<Vec<FragmentId>, LakeError> {
        self.parsed("fragment_id", |text| text.parse().ok())
    }

    pub(crate) fn purposes(&self) -> Result<Vec<PurposeSet>, LakeError> {
        self.parsed("purposes", |text| serde_json::from_str(text).ok())
    }

    /// Each text read; one that repeats the one before is not read again.
    fn parsed<T: Copy>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, LakeError> {
        let texts = self.texts(name)?;
        let mut last: Option<(&str, T)> = None;
        let mut parse = |at| {
            let text = texts.value(at);
            if let Some((_, value)) = last.filter(|(known, _)| *known == text) {
                return Ok(value);
            }
            let value = read(text).ok_or_else(|| self.corrupt(name))?;
            last = Some((text, value));
            Ok(value)
        };
        (0..texts.len()).map(&mut parse).collect()
    }

    /// The event's JSON, of each row.
    pub(crate) fn jsons(&self) -> Result<Vec<String>, LakeError> {
        let columns = ["properties", "traits", "context", "rest"].map(|name| self.texts(name));
        let [properties, traits, context, rest] = columns;
        let (properties, traits, context, rest) = (properties?, traits?, context?, rest?);
        let text =
            |column: &StringArray, at: usize| (!column.is_null(at)).then(|| column.value(at).to_owned());
        let row = |at: usize| {
            join(&Pieces {
                properties: text(properties, at),
                traits: text(traits, at),
                context: text(context, at),
                rest: text(rest, at).unwrap_or_else(|| "{}".to_owned()),
            })
        };
        Ok((0..self.batch.num_rows()).map(row).collect())
    }

    /// The rows.
    pub(crate) fn rows(&self) -> Result<Vec<LakeRow>, LakeError> {
        let (positions, indexes) = (self.find::<Int64Array>("position")?, self.find::<Int32Array>("index")?);
        let (at, received_at) = (self.times("timestamp")?, self.times("received_at")?);
        let (ids, calls, sources) = (self.texts("message_id")?, self.texts("type")?, self.texts("source")?);
        let (owners, purposes) = (self.owners()?, self.purposes()?);
        let facts = owners.into_iter().zip(purposes).zip(self.jsons()?).enumerate();
        facts
            .map(|(row, ((owner, purposes), json))| {
                Ok(LakeRow {
                    position: u64::try_from(positions.value(row)).map_err(|_| self.corrupt("position"))?,
                    index: u32::try_from(indexes.value(row)).map_err(|_| self.corrupt("index"))?,
                    owner,
                    purposes,
                    source: SourceName::parse(sources.value(row)).map_err(|_| self.corrupt("source"))?,
                    at: from_micros(at.value(row)),
                    received_at: from_micros(received_at.value(row)),
                    message_id: ids.value(row).into(),
                    call: calls.value(row).into(),
                    json: json.into(),
                })
            })
            .collect()
    }
}
