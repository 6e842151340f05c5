//! Bits that flip, files that vanish, tails that are torn: what is damage and what is a crash.

use std::path::Path;

use proptest::prelude::*;
use tessera_store::{Log, LogError, Position};

use super::super::frame::{FORMAT_VERSION, FileHeader, encode_frame, file_name};
use super::super::sim_disk::SimDisk;
use super::{FOLDER, LAST_GROUP, append, files, filled, open, read_from, record, records};

/// Opens and reads everything.
fn check(disk: &SimDisk) -> Result<Vec<Vec<u8>>, LogError> {
    let log = open(disk)?;
    Ok(read_from(&log, Position::START)?.into_iter().map(|entry| entry.record.to_vec()).collect())
}

fn corrupt_at(error: &LogError) -> (&Path, u64) {
    let LogError::Corrupt { file, offset, .. } = error else { panic!("{error}") };
    (file, *offset)
}

proptest! {
    #[test]
    fn a_flipped_bit_is_found_in_its_file_and_frame(place in any::<prop::sample::Index>(), bit in 0..8_u64) {
        let disk = SimDisk::new();
        let (expected, positions) = filled(&disk);
        let files = files(&disk);
        let place = place.index(files.iter().map(|(_, content)| content.len()).sum());
        let mut offset = place;
        let (file, content) = files
            .iter()
            .find(|(_, content)| {
                let here = offset < content.len();
                if !here {
                    offset -= content.len();
                }
                here
            })
            .unwrap();
        disk.flip_bit(file, offset as u64 * 8 + bit);
        let base: u64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let position = Position((base + offset as u64).saturating_sub(32));
        let last_group = positions[LAST_GROUP];
        let is_last = Some(file) == files.last().map(|(file, _)| file);
        if is_last && offset >= 32 && position >= last_group {
            // No later append says that the last one was durable: this is what a crash looks like.
            let kept = check(&disk).unwrap();
            let damaged = positions.partition_point(|start| *start <= position) - 1;
            prop_assert_eq!(kept, &expected[..damaged]);
        } else {
            let error = check(&disk).unwrap_err();
            let start = if offset < 32 {
                0
            } else {
                let at = positions.partition_point(|start| *start <= position) - 1;
                positions[at].0 - base + 32
            };
            prop_assert_eq!(corrupt_at(&error), (file.as_path(), start), "{}", error);
            // Nothing was changed: the damage can be looked at, or undone.
            disk.flip_bit(file, offset as u64 * 8 + bit);
            let after = disk.files().into_iter().find(|(name, _)| name == file).unwrap().1;
            prop_assert_eq!(&after, content);
            prop_assert_eq!(check(&disk).unwrap(), expected);
        }
    }

    #[test]
    fn a_torn_tail_is_cut_off(keep in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..300)) {
        let disk = SimDisk::new();
        let (expected, positions) = filled(&disk);
        let (file, content) = files(&disk).pop().unwrap();
        let base: u64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        // The last append never returned, so any part of it may be missing.
        let last_group = usize::try_from(positions[LAST_GROUP].0 - base + 32).unwrap();
        let keep = last_group + keep.index(content.len() - last_group);
        let torn = [&content[..keep], &garbage].concat();
        disk.put(&file, &torn);
        // Garbage may happen to be what was there.
        let same = content.iter().zip(&torn).take_while(|(byte, torn)| byte == torn).count();
        let end = Position(base + same as u64 - 32);
        let log_end = Position(base + content.len() as u64 - 32);
        let whole = positions.iter().chain([&log_end]).skip(1).filter(|next| **next <= end).count();
        for _ in 0..2 {
            prop_assert!(check(&disk).unwrap() == expected[..whole], "{whole} records are whole");
        }
        let log = open(&disk).unwrap();
        append(&log, &[record(100, 10)]).unwrap();
        prop_assert_eq!(records(&log).len(), whole + 1);
    }
}

#[test]
fn a_frame_inside_a_record_is_no_witness() {
    let disk = SimDisk::new();
    let log = open(&disk).unwrap();
    append(&log, &[record(0, 100)]).unwrap();
    // What somebody might send to make a torn tail look like damage: a frame, but not for where it will be.
    let mut frame = Vec::new();
    encode_frame(&mut frame, 5_000, 0, 4_900, b"");
    append(&log, &[frame.repeat(20)]).unwrap();
    drop(log);
    let (file, mut content) = files(&disk).remove(0);
    content.pop();
    disk.put(&file, &content);
    assert_eq!(check(&disk).unwrap(), [record(0, 100)]);
}

#[test]
fn damage_before_the_last_append_is_told_from_a_torn_tail() {
    let disk = SimDisk::new();
    let (expected, positions) = filled(&disk);
    let (file, content) = files(&disk).pop().unwrap();
    let length = |bytes: usize| disk.put(&file, &content[..bytes]);
    // The header of the last group's first frame is enough to know that the group before it was durable.
    let last_group = usize::try_from(positions[LAST_GROUP].0 - positions[LAST_GROUP - 3].0).unwrap() + 32;
    length(last_group + 32);
    disk.flip_bit(&file, 8 * 100);
    assert_eq!(corrupt_at(&check(&disk).unwrap_err()), (file.as_path(), 32));
    length(last_group + 31);
    disk.flip_bit(&file, 8 * 100);
    assert_eq!(check(&disk).unwrap(), expected[..LAST_GROUP - 3]);
}

#[test]
fn damage_before_a_half_created_segment_is_no_torn_tail() {
    let disk = SimDisk::new();
    let (expected, _) = filled(&disk);
    let end = open(&disk).unwrap().bounds().end.0;
    let (file, content) = files(&disk).pop().unwrap();
    let half_created = Path::new(FOLDER).join(file_name(end));
    disk.put(&half_created, b"TESSLOG");
    let last_byte = content.len() as u64 - 1;
    disk.flip_bit(&file, last_byte * 8);
    let error = check(&disk).unwrap_err();
    assert_eq!(corrupt_at(&error).0, file, "{error}");
    assert_eq!(files(&disk).len(), 5, "nothing was changed");
    disk.flip_bit(&file, last_byte * 8);
    assert_eq!(check(&disk).unwrap(), expected);
    assert_eq!(files(&disk).len(), 4, "the half-created segment is gone");
}

#[test]
fn a_missing_segment_is_corruption() {
    let disk = SimDisk::new();
    filled(&disk);
    let all = files(&disk);
    for missing in 1..all.len() - 1 {
        let disk = SimDisk::new();
        for (file, content) in all.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, kept)| kept) {
            disk.put(file, content);
        }
        let error = check(&disk).unwrap_err();
        let (file, content) = &all[missing - 1];
        assert_eq!(corrupt_at(&error), (file.as_path(), content.len() as u64), "{error}");
    }
}

#[test]
fn an_older_segment_of_another_length_is_corruption() {
    let disk = SimDisk::new();
    filled(&disk);
    let (file, content) = files(&disk).remove(0);
    for content in [&content[..content.len() - 1], &content[..10], &[], &[&content[..], b"x"].concat()] {
        disk.put(&file, content);
        assert_eq!(corrupt_at(&check(&disk).unwrap_err()).0, file);
    }
}

#[test]
fn a_segment_under_another_name_is_corruption() {
    let disk = SimDisk::new();
    filled(&disk);
    let (_, content) = files(&disk).pop().unwrap();
    let disk = SimDisk::new();
    let file = Path::new(FOLDER).join(file_name(0));
    disk.put(&file, &content);
    assert_eq!(corrupt_at(&check(&disk).unwrap_err()), (file.as_path(), 0));
}

#[test]
fn a_lone_first_segment_without_header_is_damage_unless_it_is_the_first_ever() {
    let disk = SimDisk::new();
    let file = Path::new(FOLDER).join(file_name(77));
    disk.put(&file, b"TESS");
    assert_eq!(corrupt_at(&check(&disk).unwrap_err()), (file.as_path(), 0));
    let disk = SimDisk::new();
    disk.put(&Path::new(FOLDER).join(file_name(0)), b"TESS");
    assert_eq!(check(&disk).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_newer_format_is_an_error_that_names_file_and_version() {
    let disk = SimDisk::new();
    filled(&disk);
    for (file, content) in files(&disk) {
        let base = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let version = FORMAT_VERSION + 1;
        let header = FileHeader { version, base, newest_before_millis: 0 }.encode();
        disk.put(&file, &[&header, &content[32..]].concat());
        let error = open(&disk).unwrap_err();
        assert!(
            matches!(&error, LogError::Newer { file: named, found, .. } if (named, *found) == (&file, version)),
            "{error}"
        );
        disk.put(&file, &content);
    }
}
