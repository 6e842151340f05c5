//! A child process writes checkpoints until it is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tessera_store::{Change, Changes, Key, Position, Store, Table, Value};

use super::EmbeddedStore;
use super::tests::{OPTIONS, cluster, files};

const FOLDER: &str = "TESSERA_TEST_KILLED_STORE";
const COMPACTS: &str = "TESSERA_TEST_KILLED_STORE_COMPACTS";
const ROWS: u32 = 400;
const KILLS: u64 = 10;

/// All rows after `round`: every third is removed, every other one is new.
fn rows(round: u64) -> Vec<(Key, Option<Value>)> {
    let value = |number: u32| (u64::from(number) + round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let row = |number: u32| {
        let removed = (u64::from(number) + round).is_multiple_of(3);
        (cluster(number), (!removed).then(|| Value::from(value(number).to_be_bytes().repeat(100))))
    };
    (0..ROWS).map(row).collect()
}

fn write_until_killed(folder: &Path) {
    let compacts = std::env::var_os(COMPACTS).is_some();
    let store = EmbeddedStore::open(folder, OPTIONS).unwrap();
    let mut answers = std::io::stdout();
    loop {
        let round = store.position().0 + 1;
        let rows = rows(round);
        let keys: Vec<Key> = rows.iter().map(|(key, _)| *key).collect();
        let before = store.load(&keys).unwrap();
        let rows = rows.into_iter().zip(before).map(|((key, after), before)| Change { key, before, after });
        store.commit(Changes { rows: rows.collect(), upto: Some(Position(round)) }).unwrap();
        writeln!(answers, "\nbegin {round}").unwrap();
        if compacts {
            store.compact().unwrap();
        } else {
            store.checkpoint().unwrap();
        }
        writeln!(answers, "\ndone {round}").unwrap();
    }
}

/// Lets a child write some checkpoints, kills it in the midst of one, and returns the last that it reported.
fn kill_a_child(folder: &Path, kill: u64, variables: &[(&str, &str)]) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::kill_tests::kill_at_any_time_leaves_one_whole_checkpoint", "--nocapture"])
        .env(FOLDER, folder)
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = 0;
    let mut begun = 0;
    // Kept until the child is dead: an answer that nobody can read would end it in another way.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        match (words.next(), words.next().and_then(|round| round.parse().ok())) {
            (Some("done"), Some(round)) => done = round,
            (Some("begin"), Some(_)) => begun += 1,
            _ => {}
        }
        if begun == 3 + kill % 4 {
            break;
        }
    }
    // A different moment within the checkpoint each time.
    (0..kill * 40).for_each(|_| std::thread::yield_now());
    child.kill().unwrap();
    child.wait().unwrap();
    drop(lines);
    done
}

#[test]
fn kill_at_any_time_leaves_one_whole_checkpoint() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_killed(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    for kill in 0..KILLS {
        let done = kill_a_child(folder.path(), kill, &[]);
        assert!(done > 0, "the child wrote nothing");
        let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
        check(&store, done);
    }
}

/// One whole checkpoint is there, `done` or a later one.
fn check(store: &EmbeddedStore, done: u64) {
    let round = store.position().0;
    assert!(round >= done, "checkpoint {done} was reported and {round} is there");
    let expected: Vec<(Key, Value)> =
        rows(round).into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    assert!(store.scan(Table::Cluster, None, 10_000).unwrap() == expected, "not the state of {round}");
}

#[test]
fn a_kill_in_the_midst_of_a_compaction_leaves_the_rows_and_it_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let tables = folder.path().join("store/fjall/keyspaces/1/tables");
    let names = || -> Vec<PathBuf> { files(&tables) };
    for kill in 0..KILLS {
        let done = kill_a_child(folder.path(), kill, &[(COMPACTS, "yes")]);
        assert!(done > 0, "the child wrote nothing");
        let store = EmbeddedStore::open(folder.path(), OPTIONS).unwrap();
        check(&store, done);
        let left = names();
        store.compact().unwrap();
        check(&store, done);
        assert!(names().iter().all(|name| !left.contains(name)), "a file of before is left");
    }
}
