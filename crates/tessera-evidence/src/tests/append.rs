use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn an_append_gives_consecutive_numbers_behind_a_signed_beginning() {
    let world = World::new();
    let ledger = world.open();
    assert_eq!(ledger.head(), Head::default());
    assert_eq!(ledger.append(&[delivery(1, 1), delivery(2, 2)]).unwrap(), 2..=3);
    assert_eq!(ledger.append(&[change("x")]).unwrap(), 4..=4);
    let kinds: Vec<Kind> = lines(&ledger).iter().map(|(_, entry)| entry.kind()).collect();
    assert_eq!(kinds, [Kind::Checkpoint, Kind::Delivery, Kind::Delivery, Kind::Change]);
    assert_eq!(lines(&ledger)[1].1, delivery(1, 1));
    assert_eq!(ledger.head().seq, 4);
    assert_eq!(world.verify().unsigned, 3);
}

#[test]
fn no_entries_need_no_line() {
    let world = World::new();
    let ledger = world.open();
    assert!(ledger.append(&[]).unwrap().is_empty());
    ledger.close().unwrap();
    ledger.tick().unwrap();
    assert_eq!(ledger.head().seq, 0);
    assert_eq!(world.verify().entries, 0);
}

#[test]
fn a_checkpoint_follows_a_thousand_entries_and_never_splits_an_append() {
    let world = World::new();
    let ledger = world.open();
    let many: Vec<Entry> = (0..600).map(|number| delivery(1, number)).collect();
    assert_eq!(ledger.append(&many).unwrap(), 2..=601);
    // 1,200 entries without a checkpoint would be too many: one precedes the second append.
    assert_eq!(ledger.append(&many).unwrap(), 603..=1202);
    assert_eq!(ledger.append(&many[..400]).unwrap(), 1203..=1602);
    // Exactly 1,000: one follows.
    assert_eq!(ledger.head().seq, 1603);
    assert_eq!(world.verify(), Verified { checkpoints: 3, unsigned: 0, ..world.verify() });
}

#[test]
fn tick_signs_after_sixty_seconds_and_close_at_once() {
    let world = World::new();
    let ledger = world.open();
    ledger.append(&[change("x")]).unwrap();
    world.clock.advance_millis(59_999);
    ledger.tick().unwrap();
    assert_eq!(world.verify().unsigned, 1);
    world.clock.advance_millis(1);
    ledger.tick().unwrap();
    assert_eq!(world.verify().unsigned, 0);
    // Nothing new: nothing to sign.
    world.clock.advance_millis(600_000);
    ledger.tick().unwrap();
    ledger.close().unwrap();
    assert_eq!(ledger.head().seq, 3);
    ledger.append(&[change("y")]).unwrap();
    ledger.close().unwrap();
    assert_eq!((ledger.head().seq, world.verify().unsigned), (5, 0));
}

#[test]
fn a_ledger_goes_on_after_it_was_opened_again() {
    let world = World::new();
    world.open().append(&[delivery(1, 1)]).unwrap();
    let before = world.open().head();
    let ledger = world.open();
    assert_eq!(ledger.recovery(), Recovery::default());
    assert_eq!(ledger.append(&[delivery(1, 2)]).unwrap(), before.seq + 1..=before.seq + 1);
    assert_eq!(world.verify().last, before.seq + 1);
}

#[test]
fn a_full_segment_is_followed_by_another_that_begins_with_a_checkpoint() {
    let world = World::new();
    let ledger = world.open();
    ledger.set_segment_bytes_max(4096);
    for number in 0..40 {
        ledger.append(&[delivery(1, number)]).unwrap();
    }
    let firsts = crate::folder::segments(&world.path()).unwrap();
    assert!(firsts.len() > 5, "{firsts:?}");
    let lines = lines(&ledger);
    for first in &firsts {
        let (_, entry) = lines.iter().find(|(seq, _)| seq == first).unwrap();
        assert_eq!(entry.kind(), Kind::Checkpoint);
        assert!(std::fs::metadata(world.segment(*first)).unwrap().len() <= 4096 + 1024);
    }
    let verified = world.verify();
    assert_eq!(verified.last, ledger.head().seq);
    drop(ledger);
    assert_eq!(world.open().head().seq, verified.last);
}

#[test]
fn what_no_ledger_takes_is_refused_and_leaves_nothing() {
    let world = World::new();
    let ledger = world.open();
    ledger.append(&[change("x")]).unwrap();
    let (_, checkpoint) = lines(&ledger).remove(0);
    let huge = change(&"x".repeat(LINE_BYTES_MAX));
    let many = vec![change("x"); usize::try_from(APPEND_ENTRIES_MAX).unwrap() + 1];
    let large = vec![change(&"x".repeat(1_000_000)); 9];
    for (entries, what) in [
        (&[checkpoint][..], "a checkpoint: only the ledger makes one"),
        (&[huge][..], "an entry of more than 1 MiB"),
        (&many[..], "more than 10,000 entries at once"),
        (&large[..], "more than 8 MiB at once"),
    ] {
        let error = ledger.append(entries).unwrap_err();
        assert_eq!((error.code(), error.to_string()), ("TES-E002", format!("cannot record {what}")));
    }
    assert_eq!(ledger.head().seq, 2);
    // The most that is taken verifies.
    ledger.append(&many[1..]).unwrap();
    ledger.append(&large[1..]).unwrap();
    ledger.close().unwrap();
    assert_eq!(world.verify().unsigned, 0);
}

#[test]
fn another_key_is_refused_by_its_id() {
    let world = World::new();
    let ours = world.open();
    ours.append(&[change("x")]).unwrap();
    let other = Ledger::open(&world.path(), [8; 32], Arc::clone(&world.clock) as _).unwrap_err();
    assert_eq!(other.code(), "TES-E004");
    assert!(other.to_string().contains(&format!("with the key {};", ours.key_id())), "{other}");
}

#[test]
fn any_text_in_an_entry_stays_on_its_line_and_is_read_back() {
    let world = World::new();
    let ledger = world.open();
    let nasty = "\n\r\0\u{1f}\"\\\u{2028}\u{7f} ö 𝄞 ,\"durable\":9,\"prev\":\"00\"}\n{\"seq\":";
    ledger.append(&[change(nasty)]).unwrap();
    assert_eq!(lines(&ledger)[1].1, change(nasty));
    assert_eq!(verify_export(&export(&ledger, 1..=u64::MAX)).unwrap().entries, 2);
    drop(ledger);
    assert_eq!(lines(&world.open())[1].1, change(nasty));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn concurrent_appends_are_each_recorded_once_whole_and_in_order(
        plan in prop::collection::vec(prop::collection::vec(0_usize..40, 1..12), 1..6),
        segment_bytes_max in 2_000_u64..200_000,
    ) {
        let world = World::new();
        let ledger = world.open_on(OsDisk).unwrap();
        ledger.set_segment_bytes_max(segment_bytes_max);
        let ranges: Vec<Vec<(Vec<Entry>, std::ops::RangeInclusive<u64>)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = plan.iter().enumerate().map(|(thread, appends)| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let append = |(turn, count): (usize, &usize)| {
                        let entries: Vec<Entry> =
                            (0..*count).map(|at| change(&format!("{thread}.{turn}.{at}"))).collect();
                        let range = ledger.append(&entries).unwrap();
                        (entries, range)
                    };
                    appends.iter().enumerate().map(append).collect()
                })
            }).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let recorded: std::collections::BTreeMap<u64, Entry> = lines(&ledger).into_iter().collect();
        let mut seqs = BTreeSet::new();
        for thread in &ranges {
            let mut last = 0;
            for (entries, range) in thread.iter().filter(|(entries, _)| !entries.is_empty()) {
                prop_assert!(*range.start() > last, "a thread's appends are in its order");
                last = *range.end();
                let found: Vec<Entry> = range.clone().map(|seq| recorded[&seq].clone()).collect();
                prop_assert_eq!(&found, entries);
                seqs.extend(range.clone());
            }
        }
        let others = recorded.iter().filter(|(seq, _)| !seqs.contains(seq));
        prop_assert!(others.into_iter().all(|(_, entry)| entry.kind() == Kind::Checkpoint));
        prop_assert_eq!(world.verify().last, ledger.head().seq);
        prop_assert_eq!(verify_export(&export(&ledger, 1..=u64::MAX)).ok().map(|it| it.last), match ledger.head().seq {
            0 => None,
            last => Some(last),
        });
    }
}
