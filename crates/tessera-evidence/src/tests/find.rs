use std::collections::BTreeSet;

use tessera_model::{DestinationName, PurposeName};

use super::*;

/// Two people, five kinds; numbers begin at 2.
fn example(ledger: &Ledger, clock: &ManualClock) {
    let purpose = |text| PurposeName::parse(text).unwrap();
    let crm = || DestinationName::parse("crm").unwrap();
    ledger.append(&[delivery(1, 1), delivery(2, 2)]).unwrap();
    clock.advance_millis(1_000);
    let outcome = |first, last, result| Outcome { destination: crm(), first, last, result, reason: None };
    ledger
        .append(&[
            Entry::Outcome(outcome(2, 3, OutcomeStatus::Retry)),
            Entry::Disclosure(Disclosure {
                actor: "grace".into(),
                route: "GET /api/v1/profiles/{identifier}".into(),
                subject: None,
                profile: person(1),
                purposes: vec![purpose("service"), purpose("analytics")],
                fields: vec!["traits.name".into()],
            }),
            change("marketing.email crm traits.email"),
        ])
        .unwrap();
    clock.advance_millis(1_000);
    ledger
        .append(&[
            Entry::Outcome(outcome(2, 2, OutcomeStatus::Delivered)),
            Entry::Access(Access {
                actor: "ada".into(),
                result: AccessResult::LockedOut,
                what: "sign in".into(),
            }),
            Entry::Notice(Notice {
                destination: crm(),
                request: "r1".into(),
                subject: person(2),
                right: Right::Erasure,
                status: NoticeStatus::Sent,
                detail: None,
            }),
            Entry::Erasure(Erasure {
                request: "r1".into(),
                identifiers: 3,
                subjects: vec![person(2), person(3)],
                removed: [("events".into(), 12)].into(),
                bytes_found: Some(0),
            }),
            Entry::Export(Export {
                actor: "ada".into(),
                what: "evidence".into(),
                purposes: vec![],
                fields: vec![],
                count: 9,
            }),
        ])
        .unwrap();
}

#[test]
fn every_kind_is_read_back_as_it_was_recorded() {
    let world = World::new();
    let ledger = world.open();
    example(&ledger, &world.clock);
    let kinds: BTreeSet<Kind> = lines(&ledger).iter().map(|(_, entry)| entry.kind()).collect();
    assert_eq!(kinds, Kind::ALL.into());
    // What was read can be recorded again, and reads the same.
    let entries: Vec<Entry> = lines(&ledger).into_iter().skip(1).map(|(_, entry)| entry).collect();
    let range = ledger.append(&entries).unwrap();
    let again: Vec<Entry> =
        range.map(|seq| lines(&ledger)[usize::try_from(seq).unwrap() - 1].1.clone()).collect();
    assert_eq!(again, entries);
}

#[test]
fn filters_find_what_they_say_and_combine() {
    let world = World::new();
    let ledger = world.open();
    example(&ledger, &world.clock);
    let at = |millis| Some(Timestamp::from_millis(START_MILLIS + millis));
    let crm = DestinationName::parse("crm").ok();
    let purpose = |text| PurposeName::parse(text).ok();
    let all = Filter::default;
    let cases: [(&str, Filter, &[u64]); 14] = [
        ("all", all(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("a person", Filter { subjects: [person(1)].into(), ..all() }, &[2, 5]),
        (
            "a person of two fragments",
            Filter { subjects: [person(2), person(3)].into(), ..all() },
            &[3, 9, 10],
        ),
        ("nobody", Filter { subjects: [person(9)].into(), ..all() }, &[]),
        ("a destination, not a word", Filter { destination: crm.clone(), ..all() }, &[2, 3, 4, 7, 9]),
        ("a purpose, not a word", Filter { purpose: purpose("marketing.email"), ..all() }, &[2, 3]),
        ("a purpose among others", Filter { purpose: purpose("analytics"), ..all() }, &[5]),
        ("a field that left or was shown", Filter { field: Some("traits.name".into()), ..all() }, &[2, 3, 5]),
        ("a field that was withheld", Filter { field: Some("traits.location".into()), ..all() }, &[]),
        ("kinds", Filter { kinds: [Kind::Access, Kind::Change].into(), ..all() }, &[6, 8]),
        ("a span of time", Filter { from: at(1_000), until: at(2_000), ..all() }, &[4, 5, 6]),
        ("an actor", Filter { actor: Some("ada".into()), ..all() }, &[6, 8, 11]),
        ("a message", Filter { message: Some(format!("{:032x}", 2).into()), ..all() }, &[3]),
        (
            "person, destination and numbers",
            Filter { subjects: [person(2)].into(), destination: crm, seqs: Some(4..=9), ..all() },
            &[9],
        ),
    ];
    for (what, filter, seqs) in cases {
        let found: Vec<u64> = found(&ledger, &filter).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(found, seqs, "{what}");
    }
}

#[test]
fn a_search_stops_when_told_and_goes_through_segments() {
    let world = World::new();
    let ledger = world.open();
    ledger.set_segment_bytes_max(4096);
    for number in 0..60 {
        ledger.append(&[delivery(u8::try_from(number % 3).unwrap(), number)]).unwrap();
    }
    let filter = Filter { subjects: [person(1)].into(), ..Filter::default() };
    assert_eq!(found(&ledger, &filter).len(), 20);
    let mut seen = 0;
    ledger
        .read(&filter, |_| {
            seen += 1;
            seen < 7
        })
        .unwrap();
    assert_eq!(seen, 7);
    let middle = Filter { seqs: Some(20..=29), ..Filter::default() };
    let seqs: Vec<u64> = found(&ledger, &middle).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, (20..=29).collect::<Vec<u64>>());
}

#[test]
fn lines_longer_than_a_block_are_found_too() {
    let world = World::new();
    let ledger = world.open();
    let long = change(&"x".repeat(1_000_000));
    ledger.append(&[delivery(1, 1), long.clone(), long.clone(), delivery(1, 2)]).unwrap();
    assert_eq!(lines(&ledger)[2].1, long);
    let filter = Filter { subjects: [person(1)].into(), ..Filter::default() };
    assert_eq!(found(&ledger, &filter).len(), 2);
}

#[test]
fn the_last_outcome_of_each_delivery_is_found() {
    let world = World::new();
    let ledger = world.open();
    example(&ledger, &world.clock);
    let outcomes = ledger.outcomes(&[2, 3, 8].into()).unwrap();
    let results: Vec<(u64, OutcomeStatus)> =
        outcomes.iter().map(|(seq, outcome)| (*seq, outcome.result)).collect();
    assert_eq!(results, [(2, OutcomeStatus::Delivered), (3, OutcomeStatus::Retry)]);
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let world = World::new();
    let ledger = world.open();
    example(&ledger, &world.clock);
    let path = world.segment(1);
    let text = std::fs::read_to_string(&path).unwrap().replacen("\"attempt\":1", "\"attempt\":x", 2);
    std::fs::write(&path, text).unwrap();
    let filter = Filter { subjects: [person(2)].into(), ..Filter::default() };
    let error = ledger.read(&filter, |_| true).unwrap_err();
    assert_eq!(error.code(), "TES-E003");
    assert!(error.to_string().contains("is damaged at line 3: "), "{error}");
}
