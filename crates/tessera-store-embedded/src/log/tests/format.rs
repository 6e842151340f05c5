//! The bytes are those of `docs/reference/log-format.md`.

use std::path::Path;

use tessera_model::Timestamp;
use tessera_store::Log;

use super::super::frame::{FileHeader, FrameHeader, base_of, file_name};
use super::super::sim_disk::SimDisk;
use super::{FOLDER, files, open};

const DOCUMENT: &str = include_str!("../../../../../docs/reference/log-format.md");

/// As `xxd` prints it: offset, 16 bytes in pairs, text.
fn hex(content: &[u8]) -> String {
    let mut lines = String::new();
    for (i, line) in content.chunks(16).enumerate() {
        let pairs: Vec<_> = line
            .chunks(2)
            .map(|pair| pair.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .collect();
        let text: String =
            line.iter().map(|byte| if (32..127).contains(byte) { char::from(*byte) } else { '.' }).collect();
        lines.push_str(&format!("{:08x}: {:<39}  {text}\n", i * 16, pairs.join(" ")));
    }
    lines
}

#[test]
fn the_worked_example_in_the_document_is_what_is_written() {
    let disk = SimDisk::new();
    let log = open(&disk).unwrap();
    let at = |text| Timestamp::parse(text).unwrap();
    log.append(&[b"hello"], at("2026-01-01T00:00:00Z")).unwrap();
    log.append(&[b"Tessera"], at("2026-01-01T00:00:01.500Z")).unwrap();
    let (file, content) = files(&disk).remove(0);
    assert_eq!(file, Path::new(FOLDER).join("00000000000000000000.seg"));
    assert!(DOCUMENT.contains(&hex(&content)), "the document should say:\n{}", hex(&content));
}

#[test]
fn a_file_header_reads_back() {
    let header = FileHeader { version: 1, base: u64::MAX - 5, newest_before_millis: i64::MIN };
    assert_eq!(FileHeader::decode(&header.encode()), Ok(header));
    assert!(FileHeader::decode(&header.encode()[..31]).is_err());
}

#[test]
fn a_frame_is_none_at_another_position() {
    let mut frame = Vec::new();
    super::super::frame::encode_frame(&mut frame, 500, 1, 400, b"record");
    let header = FrameHeader::decode(&frame, 500).unwrap();
    assert_eq!((header.record_bytes, header.appended_millis, header.durable), (6, 1, 400));
    assert_eq!(header.check(b"record"), Ok(()));
    assert!(header.check(b"Record").is_err());
    assert!(FrameHeader::decode(&frame, 501).is_err());
}

#[test]
fn a_file_name_gives_the_base_of_its_segment() {
    for base in [0, 67_108_864, u64::MAX] {
        assert_eq!(base_of(&file_name(base)), Some(base));
    }
}
