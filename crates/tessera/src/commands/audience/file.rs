//! Members to a file, page by page. The file comes into being whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

use crate::cli::Global;
use crate::client::encode;
use crate::commands::progress::bar;
use crate::commands::{client, list, number, text};
use crate::output::{self, Failure, count};

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object a line.
    Json,
    /// Apache Parquet; every column is text.
    Parquet,
}

impl Form {
    fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Writes the members of an audience to a file.
pub(super) fn export(
    global: &Global,
    name: &str,
    mut wanted: Value,
    (format, output): (Option<Form>, &PathBuf),
) -> anyhow::Result<()> {
    let Some(form) = format.or_else(|| Form::of(output)) else {
        let what = format!("nothing says in which form to write `{}`", output.display());
        return Err(Failure::new("TES-A092", what, "add --format csv, json or parquet").into());
    };
    let cannot = || {
        let what = format!("cannot write `{}`", output.display());
        Failure::new("TES-E005", what, "check that the folder exists and that this account may write to it")
    };
    let part = output.with_extension("part");
    let progress = bar("writing {bar:40} {human_pos} of {human_len} members, {eta} left")?;
    let client = client(global)?;
    let path = format!("/api/v1/audiences/{}/export", encode(name));
    let mut written = 0_u64;
    let mut file: Option<Rows> = None;
    let mut pages = || -> anyhow::Result<()> {
        loop {
            let page = client.post(&path, &wanted)?;
            let rows = list(&page, "rows");
            let columns: Vec<String> =
                list(&page, "columns").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            if file.is_none() {
                file = Some(Rows::create(&part, form, columns).with_context(cannot)?);
            }
            if let Some(file) = &mut file {
                file.write(rows).with_context(cannot)?;
            }
            written += u64::try_from(rows.len()).unwrap_or_default();
            progress.set_length(number(&page, "members").max(written));
            progress.set_position(written);
            match text(&page, "next") {
                "" => return Ok(()),
                next => {
                    let members = wanted.as_object_mut();
                    members
                        .into_iter()
                        .for_each(|members| drop(members.insert("after".to_owned(), next.into())));
                }
            }
        }
    };
    let done = pages();
    progress.finish_and_clear();
    let ended = done.and_then(|()| match file.take() {
        Some(file) => file.finish().and_then(|()| Ok(std::fs::rename(&part, output)?)).with_context(cannot),
        None => Ok(()),
    });
    if ended.is_err() {
        // Half a file is none; if it cannot be removed, its name says what it is.
        drop(std::fs::remove_file(&part));
    }
    ended?;
    output::line(format_args!("{} members of {name} written: {}", count(written), output.display()));
    Ok(())
}

/// A file that rows are written to.
enum Rows {
    Csv(BufWriter<std::fs::File>),
    Json(BufWriter<std::fs::File>, Vec<String>),
    Parquet(Box<SerializedFileWriter<std::fs::File>>, usize),
}

impl Rows {
    fn create(path: &Path, form: Form, columns: Vec<String>) -> anyhow::Result<Self> {
        let file = std::fs::File::create(path)?;
        Ok(match form {
            Form::Csv => {
                let mut out = BufWriter::new(file);
                writeln!(out, "{}\r", columns.iter().map(|name| csv(name)).collect::<Vec<_>>().join(","))?;
                Self::Csv(out)
            }
            Form::Json => Self::Json(BufWriter::new(file), columns),
            Form::Parquet => {
                let field = |name: &String| {
                    Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
                        .with_converted_type(ConvertedType::UTF8)
                        .with_repetition(Repetition::OPTIONAL)
                        .build()
                        .map(Arc::new)
                };
                let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
                let schema = Type::group_type_builder("members").with_fields(fields).build()?;
                let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::default())?;
                Self::Parquet(Box::new(writer), columns.len())
            }
        })
    }

    fn write(&mut self, rows: &[Value]) -> anyhow::Result<()> {
        let cells = |row: &Value| row.as_array().cloned().unwrap_or_default();
        match self {
            Self::Csv(out) => {
                for row in rows {
                    let line = cells(row)
                        .iter()
                        .map(|cell| csv(&plain(cell).unwrap_or_default()))
                        .collect::<Vec<_>>();
                    writeln!(out, "{}\r", line.join(","))?;
                }
            }
            Self::Json(out, columns) => {
                for row in rows {
                    let named: serde_json::Map<String, Value> =
                        columns.iter().cloned().zip(cells(row)).collect();
                    writeln!(out, "{}", Value::Object(named))?;
                }
            }
            Self::Parquet(writer, columns) => {
                let mut group = writer.next_row_group()?;
                for place in 0..*columns {
                    let texts: Vec<Option<String>> =
                        rows.iter().map(|row| row.get(place).and_then(plain)).collect();
                    let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
                    let values: Vec<ByteArray> =
                        texts.into_iter().flatten().map(|text| ByteArray::from(text.into_bytes())).collect();
                    if let Some(mut column) = group.next_column()? {
                        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
                        column.close()?;
                    }
                }
                group.close()?;
            }
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Csv(mut out) | Self::Json(mut out, _) => out.flush()?,
            Self::Parquet(writer, _) => drop(writer.close()?),
        }
        Ok(())
    }
}

/// A value as text: a text itself, anything else as JSON; null is none.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// A field as RFC 4180 has it.
fn csv(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use serde_json::json;

    use super::*;

    fn written(form: Form) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("members");
        let columns = ["profile_id", "email"].map(str::to_owned).to_vec();
        let mut rows = Rows::create(&path, form, columns).unwrap();
        rows.write(&[json!(["1", "a,\"b\""]), json!(["2", null])]).unwrap();
        rows.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn rows_are_written_as_csv_and_as_json() {
        let text = String::from_utf8(written(Form::Csv)).unwrap();
        assert_eq!(text, "profile_id,email\r\n1,\"a,\"\"b\"\"\"\r\n2,\r\n");
        let text = String::from_utf8(written(Form::Json)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines,
            [json!({"profile_id": "1", "email": "a,\"b\""}), json!({"profile_id": "2", "email": null})]
        );
    }

    #[test]
    fn rows_are_written_as_parquet() {
        let reader = SerializedFileReader::new(bytes::Bytes::from(written(Form::Parquet))).unwrap();
        let rows: Vec<String> =
            reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(rows, ["{profile_id: \"1\", email: \"a,\"b\"\"}", "{profile_id: \"2\", email: null}"]);
    }
}
