//! Cases (`cases/*.txt`), hostile files, and any bytes.

use std::io::{Cursor, Read};
use std::path::Path;

use super::*;

/// The rows of `bytes` as the program would read them.
fn open(bytes: impl Into<Vec<u8>>, format: Format) -> Result<Reader, Trouble> {
    open_as(bytes, format, None)
}

fn open_as(bytes: impl Into<Vec<u8>>, format: Format, encoding: Option<&str>) -> Result<Reader, Trouble> {
    let input = unpack(Box::new(Cursor::new(bytes.into()))).map_err(|error| damaged(0, &error))?;
    let (input, ..) = decode(input, encoding)?;
    match format {
        Format::Csv => Ok(Reader::Csv(Box::new(CsvRows::new(input, None)?))),
        Format::Jsonl | Format::Parquet => Ok(Reader::Json(JsonRows::new(input))),
    }
}

/// Each row as `line: cells, parted by |` or `line: why not`.
fn table(mut reader: Reader) -> Result<Vec<String>, Trouble> {
    let mut rows = Vec::new();
    while let Some(row) = reader.next()? {
        rows.push(match row.content {
            Ok(Cells::Text { text, ends }) => {
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let cells: Vec<&str> =
                    starts.zip(ends).map(|(start, end)| text.get(start..*end).unwrap()).collect();
                format!("{}: {}", row.line, cells.join("|"))
            }
            Ok(Cells::Json(raw)) => format!("{}: {}", row.line, raw.get()),
            Err(reason) => format!("{}: ! {reason}", row.line),
        });
    }
    Ok(rows)
}

fn csv(bytes: impl Into<Vec<u8>>) -> Result<Vec<String>, Trouble> {
    table(open(bytes, Format::Csv)?)
}

fn map_all(mapping: &Mapping, mut reader: Reader) -> Result<Vec<String>, Trouble> {
    let mapper = Mapper::new(mapping, reader.columns())?;
    let mut out = Vec::new();
    while let Some(row) = reader.next()? {
        let mut event = Vec::new();
        let written = row.content.and_then(|cells| mapper.write(cells, &mut event));
        out.push(match written {
            Ok(()) => format!("{}}}", String::from_utf8(event).unwrap()),
            Err(reason) => format!("line {}: {reason}", row.line),
        });
    }
    Ok(out)
}

#[test]
fn rows_become_the_events_and_rejects_that_the_cases_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/import/cases");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 5, "the cases are not where they were");
    for path in names {
        let text = std::fs::read_to_string(&path).unwrap();
        let part = |name: &str| {
            let start = text.find(&format!("--- {name}\n"))? + name.len() + 5;
            let rest = text.get(start..)?;
            rest.get(..rest.find("\n--- ").map_or(rest.len(), |end| end + 1))
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mapping = Mapping::parse(&name, part("mapping").unwrap()).unwrap();
        let reader = match (part("csv"), part("jsonl")) {
            (Some(rows), _) => open(rows, Format::Csv),
            (None, rows) => open(rows.unwrap(), Format::Jsonl),
        };
        let found = map_all(&mapping, reader.unwrap()).unwrap();
        let expected: Vec<&str> = part("rows").unwrap().lines().collect();
        assert_eq!(found, expected, "{name}");
        for event in found.iter().filter(|line| line.starts_with('{')) {
            serde_json::from_str::<serde_json::Value>(event).unwrap();
        }
    }
}

#[test]
fn mapping_errors_name_file_line_and_what_to_do() {
    let head = "kind: Mapping\ncall: identify\nidentifiers: {user_id: id}\n";
    for (text, expected) in [
        (format!("{head}trait: {{a: b}}\n"), "TES-M002: m.yaml:4:1: "),
        (format!("{head}traits: {{a: {{column: b, typ: date}}}}\n"), "TES-M002: m.yaml:4:"),
        (format!("{head}traits: {{a: [b]}}\n"), "TES-M002: m.yaml:4:"),
        (format!("{head}traits: {{a: b, a: c}}\n"), "TES-M002: m.yaml:4:"),
        ("kind: Source\ncall: identify\n".to_owned(), "TES-M002: m.yaml:1:"),
        (String::new(), "TES-M002: m.yaml:1:1: "),
        (format!("{head}event: x\n"), "TES-M003: m.yaml:4: a identify has no `event`"),
        (format!("{head}properties: {{a: b}}\n"), "TES-M003: m.yaml:4: a identify carries no properties"),
        (format!("{head}group: g\n"), "TES-M003: m.yaml:4: a identify has no `group`"),
        (
            format!("{head}traits:\n  t: {{column: at, type: timestamp, format: \"%d.%m.%Y\"}}\n"),
            "TES-M003: m.yaml:5: column `at`: `format` does not say the offset from UTC",
        ),
        (
            format!("{head}timestamp: {{column: at, zone: Mars/Base}}\n"),
            "TES-M003: m.yaml:4: column `at`: time zone `Mars/Base` is not known",
        ),
        (
            format!("{head}traits: {{a: {{column: born, type: date, format: \"%J\"}}}}\n"),
            "TES-M003: m.yaml:4: column `born`: `format` cannot be used: ",
        ),
        (
            format!("{head}traits: {{a: {{column: b1, decimal: \",\"}}}}\n"),
            "TES-M003: m.yaml:4: column `b1`: `decimal` does not belong to this type",
        ),
        (
            format!("{head}traits: {{a: {{column: b1, type: number, thousands: \".\"}}}}\n"),
            "TES-M003: m.yaml:4: column `b1`: `decimal` and `thousands` are the same",
        ),
        (
            format!("{head}consent: {{ads: {{column: c, given: [\"Ja\"], refused: [\"ja\"]}}}}\n"),
            "TES-M003: m.yaml:4: consent `ads` has a word that both gives and refuses",
        ),
        (
            format!("{head}traits: {{land: x}}\nconstants: {{traits: {{land: DE}}}}\n"),
            "TES-M003: m.yaml:4: `land` is both a column and a constant",
        ),
        (
            "kind: Mapping\ncall: track\nidentifiers: {user_id: id}\n".to_owned(),
            "TES-M003: m.yaml:2: a track call needs the event's name",
        ),
        (
            "kind: Mapping\ncall: identify\nidentifiers: {}\n".to_owned(),
            "TES-M003: m.yaml:3: `identifiers` names no column",
        ),
    ] {
        let trouble = Mapping::parse("m.yaml", &text).expect_err(&text);
        assert!(trouble.to_string().starts_with(expected), "{text}\n{trouble}");
        assert!(!trouble.hint.is_empty(), "{text}");
    }
}

#[test]
fn columns_that_are_missing_or_there_twice_are_told() {
    let mapping =
        Mapping::parse("m", "kind: Mapping\ncall: identify\nidentifiers: {user_id: id, email: E-Mail}\n")
            .unwrap();
    let new = |header: &str| {
        let reader = open(header, Format::Csv).unwrap();
        Mapper::new(&mapping, reader.columns()).map(|_| ()).map_err(|trouble| trouble.to_string())
    };
    assert_eq!(new(" id ,E-Mail\n"), Ok(()));
    assert_eq!(
        new("id,e_mail\n"),
        Err("TES-M004: the file has no column `E-Mail`; there is `e_mail`".to_owned())
    );
    assert_eq!(
        new("id,E-Mail,id\n"),
        Err("TES-M005: the file has 2 columns named `id`, and the mapping uses it".to_owned())
    );
    assert_eq!(new("id,E-Mail,x,x,,\n"), Ok(()));
}

#[test]
fn a_delimiter_is_found_by_rows_alike() {
    for (text, expected) in [
        ("a;b\n1,5;2\n", "2: 1,5|2"),
        ("a\tb\n1\t2, 3\n", "2: 1|2, 3"),
        ("a|b\n1|2\n", "2: 1|2"),
        ("a,b\n\"1;2;3\",4\n", "2: 1;2;3|4"),
        ("only\none\n", "2: one"),
        ("a,b", ""),
    ] {
        assert_eq!(csv(text).unwrap().join("\n"), expected, "{text}");
    }
}

#[test]
fn lines_are_counted_whatever_ends_them() {
    let text = "a,b\r\n1,2\r\n\r\n\n3,\"x\r\ny\n\"\n4,5\r6,7\r\r\n8,9";
    assert_eq!(csv(text).unwrap(), ["2: 1|2", "5: 3|x\r\ny\n", "8: 4|5", "9: 6|7", "11: 8|9"]);
}

#[test]
fn a_quote_never_closed_is_an_error_that_names_its_line_and_keeps_the_rows_before() {
    let mut reader = open("a,b\n1,2\n\n3,\"x\ny\n", Format::Csv).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().line, 2);
    let trouble = reader.next().map(|_| ()).unwrap_err();
    assert_eq!(trouble.to_string(), "TES-M006: the quote that opens on line 4 is never closed");
    // Found after a MiB, not at the end of the file.
    let endless = std::io::repeat(b'x').take(u64::MAX);
    let input = Cursor::new(b"a,b\n1,2\n3,\"".to_vec()).chain(endless);
    let mut reader = CsvRows::new(Box::new(input), None).unwrap();
    reader.next().unwrap().unwrap();
    let trouble = reader.next().map(|_| ()).unwrap_err();
    assert_eq!(trouble.to_string(), "TES-M006: the quote that opens on line 3 is never closed");
}

#[test]
fn a_row_of_100_mb_is_one_reject_and_the_next_row_is_read() {
    let long = || std::io::repeat(b'x').take(100 * 1024 * 1024);
    let input = Cursor::new(b"a,b\n1,2\n".to_vec()).chain(long()).chain(Cursor::new(b"\n3,4\n".to_vec()));
    let mut reader = CsvRows::new(Box::new(input), None).unwrap();
    reader.next().unwrap().unwrap();
    let row = reader.next().unwrap().unwrap();
    assert_eq!((row.line, row.raw.len()), (3, ROW_BYTES_MAX));
    assert!(row.content.is_err_and(|reason| reason.contains("1048576 bytes")));
    assert_eq!(reader.next().unwrap().unwrap().line, 4);
    assert!(reader.next().unwrap().is_none());
    let input = long().chain(Cursor::new(b"\n{\"a\":1}\n".to_vec()));
    let mut reader = JsonRows::new(Box::new(input));
    assert!(reader.next().unwrap().unwrap().content.is_err());
    let row = reader.next().unwrap().unwrap();
    assert_eq!((row.line, row.raw), (2, &b"{\"a\":1}"[..]));
}

#[test]
fn many_columns_are_read_and_too_many_are_refused() {
    let names: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
    let text = format!("{0}\n{0}\n", names.join(","));
    assert_eq!(csv(text).unwrap(), [format!("2: {}", names.join("|"))]);
    let trouble = csv(",".repeat(COLUMNS_MAX + 1)).unwrap_err();
    assert_eq!(trouble.code, "TES-M005");
    let rows = csv(format!("a,b\n{}\n1,2\n", ",".repeat(COLUMNS_MAX + 1))).unwrap();
    assert_eq!(
        rows,
        [
            format!("2: ! the row has more than {ROW_BYTES_MAX} bytes or {COLUMNS_MAX} columns"),
            "3: 1|2".to_owned()
        ]
    );
}

#[test]
fn encodings_are_detected_and_undecodable_bytes_reject_their_row_only() {
    let utf_16 = |text: &str, big: bool| -> Vec<u8> {
        let mark = if big { [0xfe, 0xff] } else { [0xff, 0xfe] };
        let units =
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        mark.into_iter().chain(units).collect()
    };
    let text = "id,name\n1,Jörg\n2,Zoë 🦀\n";
    let expected = ["2: 1|Jörg", "3: 2|Zoë 🦀"];
    assert_eq!(csv(text).unwrap(), expected);
    assert_eq!(csv(format!("\u{feff}{text}")).unwrap(), expected);
    assert_eq!(csv(utf_16(text, false)).unwrap(), expected);
    assert_eq!(csv(utf_16(text, true)).unwrap(), expected);
    let latin: Vec<u8> =
        "id,name\n1,Jörg Müller\n2,Café\n".chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(csv(latin.clone()).unwrap(), ["2: 1|Jörg Müller", "3: 2|Café"]);
    let as_utf_8 = table(open_as(latin, Format::Csv, Some("utf-8")).unwrap()).unwrap();
    let reason = "! the row holds bytes that are not text in the file's encoding";
    assert_eq!(as_utf_8, [format!("2: {reason}"), format!("3: {reason}")]);
    // A lone half of a pair in UTF-16, and half a character on each side of a comma in UTF-8.
    let mut broken = utf_16("id,name\n1,a\n2,b", false);
    broken.extend([0x00, 0xd8, 0x0a, 0x00]);
    assert_eq!(csv(broken).unwrap(), ["2: 1|a".to_owned(), format!("3: {reason}")]);
    let split =
        table(open_as(b"a,b\n\xc3,\xa9\n1,2\n".to_vec(), Format::Csv, Some("utf-8")).unwrap()).unwrap();
    assert_eq!(split, [format!("2: {reason}"), "3: 1|2".to_owned()]);
    let trouble = open_as("a\n", Format::Csv, Some("klingon")).map(|_| ()).unwrap_err();
    assert_eq!(trouble.to_string(), "TES-M007: encoding `klingon` is not known");
    let unmarked = utf_16(text, false).split_off(2);
    let trouble = open(unmarked, Format::Csv).map(|_| ()).unwrap_err();
    assert!(trouble.hint.contains("--encoding utf-16le"), "{}", trouble.hint);
}

#[test]
fn nul_bytes_and_empty_files_and_headers_alone_are_told_or_read() {
    assert_eq!(
        csv("a,b\n1,x\0y\n2,aaaaaaaaaaaaaaaaaaaa\n").unwrap(),
        ["2: 1|x\0y", "3: 2|aaaaaaaaaaaaaaaaaaaa"]
    );
    assert_eq!(csv("a,b\n").unwrap(), Vec::<String>::new());
    assert_eq!(csv("").unwrap_err().to_string(), "TES-M005: the file is empty");
    assert_eq!(csv("\n\n\r\n").unwrap_err().code, "TES-M005");
    assert_eq!(csv(",,\n1,2,3\n").unwrap_err().to_string(), "TES-M005: the header names no column");
    assert_eq!(table(open("\n \n", Format::Jsonl).unwrap()).unwrap(), Vec::<String>::new());
}

#[test]
fn gzip_is_unpacked_and_cut_gzip_is_told_after_its_whole_rows() {
    let text =
        format!("a,b\n{}", (0..50_000).map(|i| format!("{i},{}\n", i * 7919 % 10_007)).collect::<String>());
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast())
        .read_to_end(&mut packed)
        .unwrap();
    assert_eq!(csv(packed.clone()).unwrap().len(), 50_000);
    packed.truncate(packed.len() - 1_000);
    let mut reader = open(packed, Format::Csv).unwrap();
    let mut rows = 0;
    let trouble = loop {
        match reader.next() {
            Ok(row) => rows += u32::from(row.is_some()),
            Err(trouble) => break trouble,
        }
    };
    assert!(rows > 10_000, "{rows}");
    assert_eq!(trouble.code, "TES-M008");
}

#[test]
fn message_ids_depend_on_source_event_and_number_of_equals() {
    let mut ids = MessageIds::new("crm");
    let (a, b, again) = (ids.next(b"a"), ids.next(b"b"), ids.next(b"a"));
    assert!(a.starts_with("import-") && a.len() == 39, "{a}");
    assert!(a != b && a != again && b != again);
    let mut other_order = MessageIds::new("crm");
    assert_eq!(
        [other_order.next(b"b"), other_order.next(b"a"), other_order.next(b"a")],
        [b, a.clone(), again]
    );
    assert_ne!(MessageIds::new("till").next(b"a"), a);
}

#[test]
fn a_suggestion_is_a_mapping_that_fits_the_file() {
    let text = "Kunden-Nr;E-Mail;Telefon;Vorname;Geburtstag;Umsatz;Newsletter;Geändert am;PLZ\n\
        1001;ada@example.com;+49 30 1234567;Ada;10.12.1985;1.234,50;ja;31.03.2024 12:30;01067\n\
        1002;bob@example.org;030 7654321;Bob;01.02.1990;7,00;nein;01.04.2024 08:15;10115\n";
    let suggestion = suggest(&mut open(text, Format::Csv).unwrap()).unwrap();
    insta::assert_snapshot!(suggestion, @r#"
    # Guessed from 2 rows. Check every line; then try it:
    # tessera import FILE --mapping THIS_FILE --dry-run
    kind: Mapping
    call: identify
    identifiers:
      email: "E-Mail"
      phone: Telefon
      user_id: "Kunden-Nr"
    timestamp: {column: "Geändert am", format: "%d.%m.%Y %H:%M", zone: UTC}
    traits:
      email: "E-Mail"
      phone: Telefon
      vorname: Vorname
      geburtstag: {column: Geburtstag, type: date, format: "%d.%m.%Y"}
      umsatz: {column: Umsatz, type: number, decimal: ",", thousands: "."}
      newsletter: Newsletter
      plz: PLZ
    # This may be a consent; sort its words (ja, nein):
    # consent: {marketing.email: {column: Newsletter, given: [], refused: []}}
    "#);
    let mapping = Mapping::parse("suggested", &suggestion).unwrap();
    let events = map_all(&mapping, open(text, Format::Csv).unwrap()).unwrap();
    assert!(events.iter().all(|event| event.starts_with('{')), "{events:?}");
    let json = "{\"event\":\"Seen\",\"user\":{\"id\":\"u1\"},\"at\":\"2024-01-01T00:00:00Z\",\"n\":1}\n";
    let suggestion = suggest(&mut open(json, Format::Jsonl).unwrap()).unwrap();
    insta::assert_snapshot!(suggestion, @r#"
    # Guessed from 1 rows. Check every line; then try it:
    # tessera import FILE --mapping THIS_FILE --dry-run
    kind: Mapping
    call: track
    event_column: event
    identifiers:
      user_id: user.id
    timestamp: {column: at}
    properties:
      "n": "n"
    "#);
    let mapping = Mapping::parse("suggested", &suggestion).unwrap();
    let events = map_all(&mapping, open(json, Format::Jsonl).unwrap()).unwrap();
    assert!(events[0].starts_with("{\"type\":\"track\""), "{events:?}");
}

/// A Parquet file with one row group; each column is its schema line and a writer of its values.
fn parquet_file(
    schema: &str,
    write: impl Fn(usize, &mut ::parquet::column::writer::ColumnWriter<'_>),
) -> Vec<u8> {
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    let schema = Arc::new(::parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut i = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        write(i, column.untyped());
        column.close().unwrap();
        i += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn sample_parquet() -> Vec<u8> {
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::{ByteArray, FixedLenByteArray};
    let schema = "message m {
        required int64 id; required binary name (UTF8); required int32 born (DATE);
        required int64 millis (TIMESTAMP(MILLIS,true)); required int64 nanos (TIMESTAMP(NANOS,true));
        required int64 local (TIMESTAMP(MICROS,false)); required int64 price (DECIMAL(18,2));
        required fixed_len_byte_array(16) wide (DECIMAL(38,3)); optional double score; required boolean is_member;
        required binary blob;
    }";
    parquet_file(schema, |i, column| match column {
        ColumnWriter::Int64ColumnWriter(column) => {
            let values = match i {
                0 => [1, 2],
                3 => [1_704_067_200_123, -1],
                4 => [1_704_067_200_123_456_789, 0],
                5 => [1_704_067_200_000_000, 0],
                _ => [123_450, -5],
            };
            column.write_batch(&values, None, None).unwrap();
        }
        ColumnWriter::ByteArrayColumnWriter(column) => {
            let values: [&[u8]; 2] =
                if i == 1 { ["Zoë".as_bytes(), b"\"Bob\""] } else { [b"text", b"\xff\x00"] };
            column.write_batch(&values.map(|value| ByteArray::from(value.to_vec())), None, None).unwrap();
        }
        ColumnWriter::Int32ColumnWriter(column) => {
            column.write_batch(&[0, -1], None, None).unwrap();
        }
        ColumnWriter::DoubleColumnWriter(column) => {
            column.write_batch(&[0.5], Some(&[1, 0]), None).unwrap();
        }
        ColumnWriter::BoolColumnWriter(column) => {
            column.write_batch(&[true, false], None, None).unwrap();
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(column) => {
            let values = [i128::MAX, -1].map(|value| FixedLenByteArray::from(value.to_be_bytes().to_vec()));
            column.write_batch(&values, None, None).unwrap();
        }
        ColumnWriter::Int96ColumnWriter(_) | ColumnWriter::FloatColumnWriter(_) => panic!("no such column"),
    })
}

fn open_parquet(bytes: Vec<u8>) -> Result<Reader, Trouble> {
    ParquetRows::new(bytes::Bytes::from(bytes), Arc::new(AtomicU64::new(0)))
        .map(|rows| Reader::Parquet(Box::new(rows)))
}

#[test]
fn parquet_logical_types_become_json_that_loses_nothing() {
    let reader = open_parquet(sample_parquet()).unwrap();
    assert_eq!(reader.columns().unwrap()[..3], ["id", "name", "born"]);
    assert_eq!(
        table(reader).unwrap(),
        [
            r#"1: {"id":1,"name":"Zoë","born":"1970-01-01","millis":"2024-01-01T00:00:00.123Z","nanos":"2024-01-01T00:00:00.123456789Z","local":"2024-01-01T00:00:00","price":1234.50,"wide":170141183460469231731687303715884105.727,"score":0.5,"is_member":true,"blob":"text"}"#,
            r#"2: {"id":2,"name":"\"Bob\"","born":"1969-12-31","millis":"1969-12-31T23:59:59.999Z","nanos":"1970-01-01T00:00:00Z","local":"1970-01-01T00:00:00","price":-0.05,"wide":-0.001,"score":null,"is_member":false,"blob":"ff00"}"#,
        ]
    );
    let mapping = "kind: Mapping\ncall: identify\nidentifiers: {user_id: id}\ntimestamp: {column: local, zone: Europe/Berlin}\ntraits: {price: price, name: name}\n";
    let events =
        map_all(&Mapping::parse("m", mapping).unwrap(), open_parquet(sample_parquet()).unwrap()).unwrap();
    assert_eq!(
        events[0],
        r#"{"type":"identify","userId":"1","timestamp":"2023-12-31T23:00:00.000Z","traits":{"name":"Zoë","price":1234.50}}"#
    );
}

#[test]
fn cut_and_damaged_parquet_is_an_error_and_never_a_panic() {
    let whole = sample_parquet();
    for length in 0..whole.len() {
        let trouble = open_parquet(whole[..length].to_vec()).map(|_| ()).unwrap_err();
        assert_eq!(trouble.code, "TES-M008", "cut to {length}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Ok(Err(trouble)) = open_parquet(damaged).map(table) {
            assert_eq!(trouble.code, "TES-M008", "damaged at {at}");
        }
    }
}

mod any {
    use proptest::prelude::*;

    use super::*;

    /// Gives a byte at a time, so that every boundary falls between two reads.
    struct Drops(Cursor<Vec<u8>>);

    impl Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }

    fn quote(cell: &str) -> String {
        format!("\"{}\"", cell.replace('"', "\"\""))
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_reasons_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), start in "[a,;\"{}\n]{0,12}") {
            let bytes = [start.as_bytes(), &bytes].concat();
            let mapping = Mapping::parse("m", "kind: Mapping\ncall: track\nevent: x\nidentifiers: {user_id: a}\nproperties: {p: {column: b, type: json}}\n").unwrap();
            for format in [Format::Csv, Format::Jsonl] {
                if let Ok(mut reader) = open(bytes.clone(), format) {
                    let columns = vec!["a".to_owned(), "b".to_owned()];
                    let mapper = Mapper::new(&mapping, Some(&columns)).unwrap();
                    let mut before = 0;
                    while let Ok(Some(row)) = reader.next() {
                        prop_assert!(row.line > before || format == Format::Csv);
                        before = row.line;
                        let mut event = Vec::new();
                        if row.content.and_then(|cells| mapper.write(cells, &mut event)).is_ok() {
                            event.push(b'}');
                            prop_assert!(serde_json::from_slice::<serde_json::Value>(&event).is_ok(), "{:?}", event);
                        }
                    }
                }
            }
        }

        #[test]
        fn any_cell_of_any_type_gives_json_or_a_reason(text in "\\PC{0,20}|[-+0-9.,eE' ]{1,12}|[0-9.:TZ -]{1,24}", kind in 0..7_usize) {
            let kind = ["string", "number", "integer", "boolean", "date", "timestamp", "json"][kind];
            let mapping = format!("kind: Mapping\ncall: identify\nidentifiers: {{user_id: id}}\ntraits: {{t: {{column: c, type: {kind}}}}}\n");
            let mapping = Mapping::parse("m", &mapping).unwrap();
            let columns = vec!["id".to_owned(), "c".to_owned()];
            let mapper = Mapper::new(&mapping, Some(&columns)).unwrap();
            let whole = format!("1{text}");
            let mut event = Vec::new();
            let cells = Cells::Text { text: &whole, ends: &[1, whole.len()] };
            if mapper.write(cells, &mut event).is_ok() {
                event.push(b'}');
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&event).is_ok(), "{:?}", String::from_utf8_lossy(&event));
            }
        }

        #[test]
        fn what_is_written_as_csv_is_read_back_however_it_arrives(cells in prop::collection::vec(("[^\0]{0,8}", "[a-z\",\n\r;]{0,8}"), 1..8)) {
            let mut text = "a,b\n".to_owned();
            for (a, b) in &cells {
                text.push_str(&format!("{},{}\n", quote(a), quote(b)));
            }
            let mut reader = CsvRows::new(Box::new(Drops(Cursor::new(text.into_bytes()))), Some(b',')).unwrap();
            for (a, b) in &cells {
                let row = reader.next().unwrap().unwrap();
                let Ok(Cells::Text { text, ends }) = row.content else { panic!("not read") };
                prop_assert_eq!(text, format!("{a}{b}"));
                prop_assert_eq!(ends, [a.len(), a.len() + b.len()]);
            }
            prop_assert!(reader.next().unwrap().is_none());
        }
    }
}
