//! What every [`Store`] must do.
//!
//! Not timing or size: only what can be seen. [`run`] calls every case with a new, empty store.

use std::sync::Arc;

use crate::{Change, Changes, Key, Place, Position, Store, StoreError, Table, Value};

/// An implementation under test.
pub trait Harness {
    /// The store.
    fn store(&self) -> &dyn Store;

    /// Ends the store without a checkpoint, as `kill -9` would, and opens what is left of it.
    fn crash(&mut self);
}

/// Runs every case, each on a store of its own made by `open`.
///
/// # Panics
/// When the store breaks a promise.
pub fn run(open: impl Fn() -> Box<dyn Harness>) {
    let cases: &[fn(&mut dyn Harness)] = &[
        a_commit_is_visible_at_once,
        a_conflict_changes_nothing,
        a_conflict_is_decided_by_value_not_by_who_read_it,
        an_empty_value_is_not_an_absent_one,
        a_removed_row_is_gone_and_can_come_back,
        a_mark_is_another_one_once_its_row_has_changed,
        a_scan_gives_one_table_in_order_and_pages,
        a_scan_mixes_durable_changed_and_removed_rows,
        the_position_moves_only_when_a_commit_says_so,
        a_crash_falls_back_to_the_checkpoint_whole,
        a_checkpoint_survives_a_crash,
        a_second_checkpoint_replaces_the_first,
        cursors_survive_without_a_checkpoint,
        the_longest_key_and_its_prefixes_are_different,
        large_values_come_back_whole,
        a_compaction_is_a_checkpoint_and_changes_nothing_else,
    ];
    for case in cases {
        case(&mut *open());
    }
}

#[expect(clippy::panic, reason = "a compliance suite says by a panic which promise is broken")]
fn ok<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("the store failed: {error:?}"))
}

#[expect(clippy::panic, reason = "the cases name no longer id")]
fn key(table: Table, id: &[u8]) -> Key {
    Key::new(table, id).unwrap_or_else(|| panic!("{id:?} is too long"))
}

fn cluster(id: &str) -> Key {
    key(Table::Cluster, id.as_bytes())
}

fn value(text: &str) -> Value {
    Value::from(text.as_bytes())
}

fn load(store: &dyn Store, key: Key) -> Option<Value> {
    ok(store.load(&[key])).into_iter().next().flatten()
}

/// Commits `key` = `after` over whatever it is now.
fn put(store: &dyn Store, key: Key, after: Option<&str>, upto: Option<u64>) {
    let before = load(store, key);
    let rows = vec![Change { key, before, after: after.map(value) }];
    ok(store.commit(Changes { rows, upto: upto.map(Position) }));
}

fn check(store: &dyn Store, key: Key, expected: Option<&str>) {
    let found = load(store, key);
    assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{key:?}");
}

fn ids(rows: &[(Key, Value)]) -> Vec<&[u8]> {
    rows.iter().map(|(key, _)| key.id()).collect()
}

fn a_commit_is_visible_at_once(harness: &mut dyn Harness) {
    let store = harness.store();
    check(store, cluster("a"), None);
    let rows = vec![
        Change { key: cluster("a"), before: None, after: Some(value("1")) },
        Change { key: key(Table::Count, b"a"), before: None, after: Some(value("2")) },
    ];
    ok(store.commit(Changes { rows, upto: Some(Position(9)) }));
    let keys = [key(Table::Count, b"a"), cluster("b"), cluster("a"), cluster("a")];
    let found = ok(store.load(&keys));
    assert_eq!(found, [Some(value("2")), None, Some(value("1")), Some(value("1"))], "in the order asked for");
    assert_eq!(store.position(), Position(9));
    assert_eq!(ok(store.load(&[])), []);
}

fn a_conflict_changes_nothing(harness: &mut dyn Harness) {
    let store = harness.store();
    put(store, cluster("a"), Some("1"), Some(5));
    for durable in [false, true] {
        if durable {
            ok(store.checkpoint());
        }
        for before in [None, Some(value("0"))] {
            let rows = vec![
                Change { key: cluster("b"), before: None, after: Some(value("2")) },
                Change { key: cluster("a"), before, after: Some(value("3")) },
                Change { key: cluster("c"), before: None, after: Some(value("4")) },
            ];
            let refused = store.commit(Changes { rows, upto: Some(Position(6)) });
            assert!(
                matches!(&refused, Err(StoreError::Conflict { key }) if *key == cluster("a")),
                "a commit over a changed row must conflict and name it, it gave {refused:?}"
            );
            check(store, cluster("a"), Some("1"));
            check(store, cluster("b"), None);
            check(store, cluster("c"), None);
            assert_eq!(store.position(), Position(5), "the position of a refused commit");
        }
        let rows = vec![Change { key: cluster("d"), before: Some(value("0")), after: None }];
        let refused = store.commit(Changes { rows, upto: None });
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "an absent row is not what it was");
    }
}

fn a_conflict_is_decided_by_value_not_by_who_read_it(harness: &mut dyn Harness) {
    let store = harness.store();
    put(store, cluster("a"), Some("1"), None);
    let stale = load(store, cluster("a"));
    put(store, cluster("a"), Some("2"), None);
    let change = Change { key: cluster("a"), before: stale, after: Some(value("3")) };
    let refused = store.commit(Changes { rows: vec![change.clone()], upto: None });
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "two commits from one load");
    // Back to the value that was loaded: other bytes in memory, but the same value.
    put(store, cluster("a"), Some("1"), None);
    ok(store.checkpoint());
    ok(store.commit(Changes { rows: vec![change], upto: None }));
    check(store, cluster("a"), Some("3"));
}

fn an_empty_value_is_not_an_absent_one(harness: &mut dyn Harness) {
    put(harness.store(), cluster("a"), Some(""), None);
    for _ in 0..2 {
        let store = harness.store();
        check(store, cluster("a"), Some(""));
        assert_eq!(ok(store.scan(Table::Cluster, None, 10)).len(), 1, "a scan gives rows with empty values");
        let rows = vec![Change { key: cluster("a"), before: None, after: None }];
        let refused = store.commit(Changes { rows, upto: None });
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "empty was taken for absent");
        ok(store.checkpoint());
        harness.crash();
    }
}

fn a_removed_row_is_gone_and_can_come_back(harness: &mut dyn Harness) {
    put(harness.store(), cluster("a"), Some("1"), None);
    ok(harness.store().checkpoint());
    put(harness.store(), cluster("a"), None, None);
    check(harness.store(), cluster("a"), None);
    ok(harness.store().checkpoint());
    check(harness.store(), cluster("a"), None);
    harness.crash();
    check(harness.store(), cluster("a"), None);
    put(harness.store(), cluster("a"), Some("2"), None);
    ok(harness.store().checkpoint());
    harness.crash();
    check(harness.store(), cluster("a"), Some("2"));
}

fn a_mark_is_another_one_once_its_row_has_changed(harness: &mut dyn Harness) {
    let store = harness.store();
    let mark = |id: &str| store.marks().mark(Place::of(id.as_bytes()));
    let (first, second) = (mark("first"), mark("second"));
    put(store, cluster("first"), Some("one"), None);
    assert_ne!(mark("first"), first, "a row that came must have another mark");
    assert_eq!(mark("second"), second, "and a row that nobody touched the same");
    let known = mark("first");
    load(store, cluster("first"));
    ok(store.checkpoint());
    assert_eq!(mark("first"), known, "nobody changed the row");
    put(store, cluster("first"), None, None);
    assert_ne!(mark("first"), known, "a row that went must have another mark");
    let both = mark("first").and(mark("second"));
    put(store, cluster("second"), Some("two"), None);
    assert_ne!(mark("first").and(mark("second")), both, "one of two rows has changed");
}

fn a_scan_gives_one_table_in_order_and_pages(harness: &mut dyn Harness) {
    for table in Table::ALL {
        for id in [&b"b"[..], b"a", b"\xff", b"", b"ba", b"\x00"] {
            put(harness.store(), key(table, id), Some("x"), None);
        }
    }
    let all: [&[u8]; 6] = [b"", b"\x00", b"a", b"b", b"ba", b"\xff"];
    for durable in [false, true] {
        if durable {
            ok(harness.store().checkpoint());
            harness.crash();
        }
        let store = harness.store();
        for table in Table::ALL {
            assert_eq!(ids(&ok(store.scan(table, None, 100))), all, "the rows of {table:?}");
            assert_eq!(ids(&ok(store.scan(table, Some(b"a"), 2))), [&b"b"[..], b"ba"], "a page after `a`");
            assert_eq!(ids(&ok(store.scan(table, Some(b"aa"), 1))), [b"b"], "after an id that is not there");
            assert_eq!(ok(store.scan(table, Some(b"\xff"), 5)), [], "after the last");
            assert_eq!(ok(store.scan(table, None, 0)), [], "a limit of 0");
            let long = [b'b'; Key::ID_BYTES_MAX + 5];
            assert_eq!(ids(&ok(store.scan(table, Some(&long), 9))), [b"\xff"], "after an id longer than any");
        }
    }
}

fn a_scan_mixes_durable_changed_and_removed_rows(harness: &mut dyn Harness) {
    let store = harness.store();
    for table in [Table::Cluster, Table::Outbox] {
        for number in 0..30_u8 {
            put(store, key(table, &[number]), Some("old"), None);
        }
        ok(store.checkpoint());
        for number in 0..30_u8 {
            match number % 3 {
                0 => put(store, key(table, &[number]), None, None),
                1 => put(store, key(table, &[number]), Some("new"), None),
                _ => put(store, key(table, &[number, 1]), Some("new"), None),
            }
        }
        let mut expected = Vec::new();
        for number in 0..30_u8 {
            match number % 3 {
                0 => {}
                1 => expected.push((key(table, &[number]), value("new"))),
                _ => {
                    expected.push((key(table, &[number]), value("old")));
                    expected.push((key(table, &[number, 1]), value("new")));
                }
            }
        }
        for limit in [1, 2, 7, 30, usize::MAX] {
            let mut paged: Vec<(Key, Value)> = Vec::new();
            loop {
                let after = paged.last().map(|(key, _)| key.id().to_vec());
                let page = ok(store.scan(table, after.as_deref(), limit));
                let done = page.len() < limit;
                paged.extend(page);
                if done {
                    break;
                }
            }
            assert_eq!(paged, expected, "{table:?} in pages of {limit}");
        }
    }
}

fn the_position_moves_only_when_a_commit_says_so(harness: &mut dyn Harness) {
    let store = harness.store();
    assert_eq!((store.position(), store.durable_position()), (Position::START, Position::START));
    assert_eq!(ok(store.checkpoint()), Position::START, "a checkpoint of nothing");
    put(store, cluster("a"), Some("1"), Some(7));
    put(store, cluster("a"), Some("2"), None);
    assert_eq!(store.position(), Position(7));
    assert_eq!(ok(store.checkpoint()), Position(7));
    assert_eq!(store.durable_position(), Position(7));
    // A batch of nothing but duplicates changes no row, and still need not be read again.
    ok(store.commit(Changes { rows: Vec::new(), upto: Some(Position(8)) }));
    assert_eq!(store.position(), Position(8));
    assert_eq!(ok(store.checkpoint()), Position(8));
    harness.crash();
    assert_eq!(harness.store().position(), Position(8));
    assert_eq!(harness.store().durable_position(), Position(8));
}

fn a_crash_falls_back_to_the_checkpoint_whole(harness: &mut dyn Harness) {
    let store = harness.store();
    put(store, cluster("kept"), Some("1"), Some(1));
    put(store, cluster("removed"), Some("1"), Some(2));
    ok(store.checkpoint());
    put(store, cluster("kept"), Some("2"), Some(3));
    put(store, cluster("removed"), None, Some(4));
    put(store, cluster("added"), Some("1"), Some(5));
    harness.crash();
    let store = harness.store();
    assert_eq!((store.position(), store.durable_position()), (Position(2), Position(2)));
    check(store, cluster("kept"), Some("1"));
    check(store, cluster("removed"), Some("1"));
    check(store, cluster("added"), None);
    assert_eq!(ids(&ok(store.scan(Table::Cluster, None, 9))), [&b"kept"[..], b"removed"]);
}

fn a_checkpoint_survives_a_crash(harness: &mut dyn Harness) {
    for number in 0..100_u8 {
        put(harness.store(), key(Table::Seen, &[number]), Some("x"), Some(u64::from(number) + 1));
    }
    assert_eq!(ok(harness.store().checkpoint()), Position(100));
    harness.crash();
    let store = harness.store();
    assert_eq!(store.position(), Position(100));
    assert_eq!(ok(store.scan(Table::Seen, None, 1000)).len(), 100);
    (0..100_u8).for_each(|number| check(store, key(Table::Seen, &[number]), Some("x")));
}

fn a_second_checkpoint_replaces_the_first(harness: &mut dyn Harness) {
    for round in 1..=12_u64 {
        let text = round.to_string();
        put(harness.store(), cluster("a"), Some(&text), Some(round));
        put(harness.store(), cluster(&text), Some(&text), Some(round));
        assert_eq!(ok(harness.store().checkpoint()), Position(round));
        put(harness.store(), cluster("a"), Some("lost"), Some(round + 100));
        harness.crash();
        check(harness.store(), cluster("a"), Some(&text));
        assert_eq!(harness.store().position(), Position(round));
        assert_eq!(ok(harness.store().scan(Table::Cluster, None, 100)).len() as u64, round + 1);
    }
}

fn cursors_survive_without_a_checkpoint(harness: &mut dyn Harness) {
    let longest = "n".repeat(255);
    assert_eq!(ok(harness.store().cursor("webhook")), None);
    put(harness.store(), cluster("a"), Some("1"), Some(1));
    ok(harness.store().set_cursor("webhook", 1));
    ok(harness.store().set_cursor("webhook", u64::MAX));
    ok(harness.store().set_cursor(&longest, 0));
    ok(harness.store().set_cursor("", 3));
    for _ in 0..2 {
        assert_eq!(ok(harness.store().cursor("webhook")), Some(u64::MAX));
        assert_eq!(ok(harness.store().cursor(&longest)), Some(0));
        assert_eq!(ok(harness.store().cursor("")), Some(3));
        assert_eq!(ok(harness.store().cursor("web")), None);
        harness.crash();
    }
    check(harness.store(), cluster("a"), None);
    assert_eq!(harness.store().position(), Position::START, "a cursor takes no commit along");
}

fn a_compaction_is_a_checkpoint_and_changes_nothing_else(harness: &mut dyn Harness) {
    ok(harness.store().compact());
    assert_eq!(harness.store().position(), Position::START, "an empty store");
    for round in 1..=5_u64 {
        let text = round.to_string();
        put(harness.store(), cluster("replaced"), Some(&text), Some(round * 10));
        put(harness.store(), cluster("removed"), Some(&text), None);
        put(harness.store(), key(Table::Count, text.as_bytes()), Some(&text), None);
        ok(harness.store().set_cursor("webhook", round));
        if round.is_multiple_of(2) {
            ok(harness.store().checkpoint());
        }
        put(harness.store(), cluster("removed"), None, None);
        ok(harness.store().compact());
        for _ in 0..2 {
            let store = harness.store();
            let positions = (store.position(), store.durable_position());
            assert_eq!(positions, (Position(round * 10), Position(round * 10)));
            check(store, cluster("replaced"), Some(&text));
            check(store, cluster("removed"), None);
            assert_eq!(ids(&ok(store.scan(Table::Cluster, None, 9))), [&b"replaced"[..]]);
            assert_eq!(ok(store.scan(Table::Count, None, 9)).len() as u64, round);
            assert_eq!(ok(store.cursor("webhook")), Some(round));
            harness.crash();
        }
    }
}

fn the_longest_key_and_its_prefixes_are_different(harness: &mut dyn Harness) {
    let longest = [0_u8; Key::ID_BYTES_MAX];
    for len in 0..=Key::ID_BYTES_MAX {
        let id = longest.get(..len).unwrap_or_default();
        put(harness.store(), key(Table::Reject, id), Some(&len.to_string()), None);
    }
    for _ in 0..2 {
        let rows = ok(harness.store().scan(Table::Reject, None, 100));
        assert_eq!(rows.len(), Key::ID_BYTES_MAX + 1);
        for (len, (key, found)) in rows.iter().enumerate() {
            assert_eq!((key.id().len(), found), (len, &value(&len.to_string())));
            check(harness.store(), *key, Some(&len.to_string()));
        }
        ok(harness.store().checkpoint());
        harness.crash();
    }
}

fn large_values_come_back_whole(harness: &mut dyn Harness) {
    let large: Value = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
    let rows = vec![Change { key: cluster("a"), before: None, after: Some(Arc::clone(&large)) }];
    ok(harness.store().commit(Changes { rows, upto: None }));
    for _ in 0..2 {
        assert!(
            load(harness.store(), cluster("a")).as_ref() == Some(&large),
            "a value of 4 MB came back changed"
        );
        ok(harness.store().checkpoint());
        harness.crash();
    }
}
