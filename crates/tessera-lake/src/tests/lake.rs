//! What is appended is there once, whatever crashes; what is rewritten leaves no byte.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tessera_model::{FragmentId, PurposeSet, SourceName, Timestamp};
use tessera_store::{Lake, LakeFate, LakeRow, Position};

use crate::columns::{Columns, STORED};
use crate::files::Batches;
use crate::{DeltaLake, LakeOptions};

const NOON: i64 = 1_700_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;

fn now() -> Timestamp {
    Timestamp::from_millis(NOON)
}

fn options() -> LakeOptions {
    LakeOptions { file_rows_max: 40, merge_files: 3, replaced_millis: 0 }
}

fn row(position: u64, day: i64) -> LakeRow {
    LakeRow {
        position,
        index: 0,
        owner: FragmentId([7; 16]),
        purposes: PurposeSet::default(),
        source: SourceName::parse("web").unwrap(),
        at: Timestamp::from_millis(NOON + day * DAY - 5),
        received_at: Timestamp::from_millis(NOON + day * DAY),
        message_id: format!("m{position}").into(),
        call: "track".into(),
        json: format!(r#"{{"event":"Seen","properties":{{"n":{position},"word":"word-{position}-"}}}}"#)
            .into(),
    }
}

fn open(folder: &Path) -> DeltaLake {
    DeltaLake::open(folder, options(), now()).unwrap()
}

/// Every row, in the order of the log.
pub(super) fn rows(lake: &DeltaLake) -> Vec<LakeRow> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reading = runtime.block_on(lake.read());
    let mut found = Vec::new();
    for name in reading.version.files.keys() {
        let batches = Batches::open(lake.table(), name, STORED.clone()).unwrap();
        let path = batches.path().to_owned();
        for batch in batches {
            found.extend(Columns::of(&batch.unwrap(), &path).rows().unwrap());
        }
    }
    found.sort_by_key(|row| (row.position, row.index));
    found
}

/// The bytes of every file of the table, decompressed: the texts in them.
pub(super) fn holds(folder: &Path, text: &str) -> bool {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("day=") {
                let table = path.parent().unwrap().parent().unwrap();
                let name = path.strip_prefix(table).unwrap().to_string_lossy().into_owned();
                for batch in Batches::open(table, &name, STORED.clone()).unwrap() {
                    let batch = batch.unwrap();
                    let found = Columns::of(&batch, &path).rows().unwrap();
                    if found.iter().any(|row| row.json.contains(text)) {
                        return true;
                    }
                }
            } else if std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes())
            {
                return true;
            }
        }
    }
    false
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many rows, on that day; the process dies before the commit, or it does not.
    Append {
        rows: u8,
        day: i64,
        dies: bool,
    },
    Repeat,
    Tidy,
    /// Rows whose place is a multiple of it go, those next to them lose a word.
    Rewrite(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..60, 0_i64..3, any::<bool>()).prop_map(|(rows, day, dies)| Step::Append { rows, day, dies }),
        1 => Just(Step::Repeat),
        2 => Just(Step::Tidy),
        1 => (2_u64..9).prop_map(Step::Rewrite),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..14)
}

fn sift(row: &LakeRow, by: u64) -> LakeFate {
    match row.position % by {
        0 => LakeFate::Remove,
        1 => LakeFate::Replace(Box::new(LakeRow { json: r#"{"event":"Seen"}"#.into(), ..row.clone() })),
        _ => LakeFate::Keep,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_row_is_in_the_lake_once_whatever_crashes(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = open(folder.path());
        let (mut model, mut next) = (BTreeMap::<u64, LakeRow>::new(), 0_u64);
        for step in steps {
            match step {
                Step::Append { rows: count, day, dies } => {
                    let new: Vec<LakeRow> = (next..next + u64::from(count)).map(|at| row(at, day)).collect();
                    let saved = tempfile::tempdir().unwrap();
                    let log = lake.table().join("_delta_log");
                    copy(&log, saved.path());
                    lake.append(&new, Position(next + u64::from(count)), now()).unwrap();
                    if dies {
                        std::fs::remove_dir_all(&log).unwrap();
                        copy(saved.path(), &log);
                        std::fs::write(log.join("commit.tmp"), "{\"add\":").unwrap();
                        lake = open(folder.path());
                    } else {
                        next += u64::from(count);
                        model.extend(new.into_iter().map(|row| (row.position, row)));
                    }
                }
                Step::Repeat => {
                    let known: Vec<LakeRow> = model.values().cloned().collect();
                    lake.append(&known, Position(next), now()).unwrap();
                }
                Step::Tidy => lake.tidy(now()).unwrap(),
                Step::Rewrite(by) => {
                    let done = lake.rewrite(&mut |row| Ok(sift(row, by)), now()).unwrap();
                    prop_assert_eq!(done.rows, u64::try_from(model.len()).unwrap());
                    let mut gone = Vec::new();
                    model.retain(|position, row| match sift(row, by) {
                        LakeFate::Keep => true,
                        LakeFate::Replace(anew) => {
                            gone.push(format!("word-{position}-"));
                            *row = *anew;
                            true
                        }
                        LakeFate::Remove => {
                            gone.push(format!("word-{position}-"));
                            false
                        }
                    });
                    for word in gone {
                        prop_assert!(!holds(lake.table(), &word));
                    }
                }
                Step::Reopen => lake = open(folder.path()),
            }
            prop_assert_eq!(lake.position(), Position(next));
            prop_assert_eq!(rows(&lake), model.values().cloned().collect::<Vec<_>>());
        }
    }
}

#[test]
fn small_files_become_one_and_the_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path());
    for at in 0..6 {
        lake.append(&[row(at, 0)], Position(at + 1), now()).unwrap();
    }
    assert_eq!(lake.size().files, 6);
    lake.tidy(now()).unwrap();
    assert_eq!((lake.size().files, lake.size().rows), (1, 6));
    let day = std::fs::read_dir(lake.table().join("day=2023-11-14")).unwrap();
    assert_eq!(day.count(), 1, "what was replaced is gone");
    assert_eq!(rows(&lake).len(), 6);
}

#[test]
fn rows_of_one_owner_stand_together_in_each_file_and_in_what_files_become() {
    let folder = tempfile::tempdir().unwrap();
    let options = LakeOptions { file_rows_max: 60_000, merge_files: 3, replaced_millis: 0 };
    let lake = DeltaLake::open(folder.path(), options, now()).unwrap();
    let mut sent = Vec::new();
    for part in 0..3_u64 {
        // More than a batch of each file; owners of several files, and of one alone.
        let rows: Vec<LakeRow> = (part * 10_000..(part + 1) * 10_000)
            .map(|at| {
                let owner = u8::try_from(at * 7 % (19 + part)).unwrap();
                LakeRow { owner: FragmentId([owner; 16]), ..row(at, 0) }
            })
            .collect();
        lake.append(&rows, Position((part + 1) * 10_000), now()).unwrap();
        sent.extend(rows);
    }
    let is_sorted = |name: &String| {
        let batches = Batches::open(lake.table(), name, STORED.clone()).unwrap();
        let path = batches.path().to_owned();
        let owners: Vec<FragmentId> =
            batches.flat_map(|batch| Columns::of(&batch.unwrap(), &path).owners().unwrap()).collect();
        owners.is_sorted()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let files = || runtime.block_on(lake.read()).version.files.keys().cloned().collect::<Vec<_>>();
    assert!(files().len() == 3 && files().iter().all(is_sorted));
    lake.tidy(now()).unwrap();
    assert!(files().len() == 1 && files().iter().all(is_sorted));
    assert_eq!(rows(&lake), sent, "each row is there once, as it was");
}

#[test]
fn a_long_log_is_read_from_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path());
    for at in 0..210 {
        lake.append(&[row(at, 0)], Position(at + 1), now()).unwrap();
        if at % 50 == 0 {
            lake.tidy(now()).unwrap();
        }
    }
    lake.tidy(now()).unwrap();
    let wanted = rows(&lake);
    let log = lake.table().join("_delta_log");
    assert!(!log.join(format!("{:020}.json", 0)).exists(), "old commits go");
    let again = open(folder.path());
    assert_eq!(rows(&again), wanted);
    assert_eq!(again.position(), Position(210));
}

#[test]
fn a_lake_that_is_ahead_of_a_restored_log_goes_back_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path());
    lake.append(&[row(0, 0), row(1, 0), row(2, 0)], Position(3), now()).unwrap();
    lake.rewind(Position(3), now()).unwrap();
    assert_eq!(rows(&lake).len(), 3);
    lake.rewind(Position(1), now()).unwrap();
    assert_eq!((rows(&lake), lake.position()), (vec![row(0, 0)], Position(1)));
    lake.append(&[row(1, 1)], Position(2), now()).unwrap();
    assert_eq!(rows(&open(folder.path())), [row(0, 0), row(1, 1)]);
}

#[test]
fn a_table_of_a_newer_protocol_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path());
    let commit = lake.table().join(format!("_delta_log/{:020}.json", 1));
    std::fs::write(commit, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7}}\n").unwrap();
    let error = DeltaLake::open(folder.path(), options(), now()).err().unwrap();
    assert_eq!((error.code(), error.to_string().contains("reader version 3")), ("TES-L003", true));
}
