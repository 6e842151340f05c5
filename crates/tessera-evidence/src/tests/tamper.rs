//! Whatever is done to an export, verifying it finds it.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A ledger of several segments, two in an append, and its checkpoints.
fn long_ledger(world: &World) -> Ledger {
    let ledger = world.open();
    ledger.set_segment_bytes_max(10_000);
    for number in 0..30 {
        world.clock.advance_millis(7_000);
        ledger.append(&[delivery(1, number), delivery(2, number)]).unwrap();
        ledger.tick().unwrap();
    }
    ledger
}

/// Exports to tamper with: the whole of a ledger, a piece of it, the whole again some time later, the whole of one
/// that was the same for its first half (a backup that went on by itself), and of one with another key.
struct Exports {
    whole: Vec<u8>,
    piece: Vec<u8>,
    others: Vec<Vec<u8>>,
}

static EXPORTS: LazyLock<Exports> = LazyLock::new(|| {
    let (world, fork) = (World::new(), World::new());
    drop(long_ledger(&world));
    std::fs::create_dir(fork.path()).unwrap();
    for first in crate::folder::segments(&world.path()).unwrap() {
        std::fs::copy(world.segment(first), fork.segment(first)).unwrap();
    }
    let go_on = |world: &World, person: u8| {
        let ledger = world.open();
        for number in 0..30 {
            ledger.append(&[delivery(person, number)]).unwrap();
        }
        ledger
    };
    let ledger = go_on(&world, 3);
    let whole = export(&ledger, 1..=u64::MAX);
    let piece = export(&ledger, 20..=50);
    world.clock.advance_millis(1);
    let later = export(&ledger, 1..=u64::MAX);
    let forked = export(&go_on(&fork, 4), 1..=u64::MAX);
    let foreign = World::new();
    let stranger = Ledger::open(&foreign.path(), [9; 32], Arc::clone(&foreign.clock) as _).unwrap();
    for number in 0..40 {
        stranger.append(&[delivery(3, number)]).unwrap();
    }
    let others = vec![later, forked, export(&stranger, 1..=u64::MAX), piece.clone()];
    Exports { whole, piece, others }
});

fn split(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Something done to an export.
#[derive(Clone, Debug)]
enum Tampering {
    FlipBits {
        byte: Index,
        bits: u8,
    },
    DropByte(Index),
    InsertByte(Index, u8),
    DropLines {
        from: Index,
        count: usize,
    },
    SwapLines(Index, Index),
    RepeatLine(Index),
    MoveLine {
        from: Index,
        to: Index,
    },
    CutAtLine(Index),
    CutAnywhere(Index),
    CutTheBeginning(Index),
    /// The first lines, then another export from some line on.
    Graft {
        lines: Index,
        other: Index,
        from: Index,
    },
    /// The same, both cut at the same line.
    GraftInPlace {
        lines: Index,
        other: Index,
    },
    /// The last lines are another export's: its seal, say.
    GraftTheEnd {
        other: Index,
        lines: usize,
    },
    /// A line of another export in place of the same one here.
    ReplaceLine {
        line: Index,
        other: Index,
    },
    Append(Vec<u8>),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    use Tampering::*;
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 1_u8..).prop_map(|(byte, bits)| FlipBits { byte, bits }),
        1 => index().prop_map(DropByte),
        1 => (index(), any::<u8>()).prop_map(|(at, byte)| InsertByte(at, byte)),
        2 => (index(), 1_usize..4).prop_map(|(from, count)| DropLines { from, count }),
        1 => (index(), index()).prop_map(|(a, b)| SwapLines(a, b)),
        1 => index().prop_map(RepeatLine),
        1 => (index(), index()).prop_map(|(from, to)| MoveLine { from, to }),
        1 => index().prop_map(CutAtLine),
        1 => index().prop_map(CutAnywhere),
        1 => index().prop_map(CutTheBeginning),
        1 => (index(), index(), index()).prop_map(|(lines, other, from)| Graft { lines, other, from }),
        2 => (index(), index()).prop_map(|(lines, other)| GraftInPlace { lines, other }),
        1 => (index(), 1_usize..4).prop_map(|(other, lines)| GraftTheEnd { other, lines }),
        2 => (index(), index()).prop_map(|(line, other)| ReplaceLine { line, other }),
        1 => prop::collection::vec(any::<u8>(), 1..9).prop_map(Append),
    ]
}

fn tampered(text: &[u8], tampering: &Tampering, others: &[Vec<u8>]) -> Vec<u8> {
    use Tampering::*;
    let mut bytes = text.to_vec();
    let mut lines = split(text);
    let other = |other: &Index| split(other.get::<Vec<u8>>(others));
    match tampering {
        FlipBits { byte, bits } => *byte.get_mut(&mut bytes) ^= bits,
        DropByte(at) => drop(bytes.remove(at.index(bytes.len()))),
        InsertByte(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
        CutAnywhere(at) => bytes.truncate(at.index(bytes.len())),
        Append(more) => bytes.extend(more),
        DropLines { from, count } => {
            let from = from.index(lines.len());
            lines.drain(from..(from + count).min(lines.len()));
            return lines.concat();
        }
        SwapLines(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            return lines.concat();
        }
        RepeatLine(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at].clone());
            return lines.concat();
        }
        MoveLine { from, to } => {
            let line = lines.remove(from.index(lines.len()));
            lines.insert(to.index(lines.len() + 1), line);
            return lines.concat();
        }
        CutAtLine(at) => return lines[..at.index(lines.len())].concat(),
        CutTheBeginning(at) => return lines[at.index(lines.len() - 1) + 1..].concat(),
        Graft { lines: at, other: which, from } => {
            let other = other(which);
            let (at, from) = (at.index(lines.len() + 1), from.index(other.len()));
            return [&lines[..at], &other[from..]].concat().concat();
        }
        GraftInPlace { lines: at, other: which } => {
            let other = other(which);
            let at = at.index(lines.len().min(other.len()));
            return [&lines[..at], &other[at..]].concat().concat();
        }
        GraftTheEnd { other: which, lines: count } => {
            let other = other(which);
            let kept = lines.len() - count;
            return [&lines[..kept], &other[other.len() - count..]].concat().concat();
        }
        ReplaceLine { line, other: which } => {
            let other = other(which);
            let at = line.index(lines.len().min(other.len()));
            lines[at].clone_from(&other[at]);
            return lines.concat();
        }
    }
    bytes
}

/// Whether the text is an export that the ledger's own key sealed.
fn is_genuine(text: &[u8]) -> bool {
    let exports = &*EXPORTS;
    text == exports.whole || text == exports.piece || exports.others.iter().any(|other| text == other)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn an_export_that_was_tampered_with_never_verifies(
        is_whole in any::<bool>(),
        tampering in tampering(),
        again in prop::option::of(tampering()),
    ) {
        let exports = &*EXPORTS;
        let text = if is_whole { &exports.whole } else { &exports.piece };
        let mut changed = tampered(text, &tampering, &exports.others);
        if let Some(again) = again.filter(|_| split(&changed).len() > 4) {
            changed = tampered(&changed, &again, &exports.others);
        }
        prop_assume!(!is_genuine(&changed));
        prop_assert!(verify_export(&changed).is_err(), "{:?}", tampering);
    }

    #[test]
    fn what_is_signed_in_a_folder_that_was_tampered_with_is_as_it_was(tampering in tampering()) {
        let lines = split(&EXPORTS.whole);
        // It ends with a checkpoint, whose line no later one holds the hash of.
        let is_checkpoint = |line: &Vec<u8>| memchr::memmem::find(line, b"\"kind\":\"checkpoint\"").is_some();
        let last = lines.iter().rposition(is_checkpoint).unwrap();
        let folder = lines[1..=last].concat();
        let changed = tampered(&folder, &tampering, &EXPORTS.others);
        // Without a seal, what follows the last checkpoint is not vouched for, and `unsigned` says how much that is;
        // whole lines may be missing at either end, which `first` and `last` say.
        if let Ok(found) = verify(&changed[..], &public_key(), Form::Folder, |_| {}) {
            let signed = usize::try_from(found.entries - found.unsigned).unwrap();
            let signed = split(&changed)[..signed].concat();
            prop_assert!(memchr::memmem::find(&folder, &signed).is_some());
        }
    }
}

#[test]
fn every_byte_of_a_small_export_counts() {
    let world = World::new();
    let ledger = world.open();
    ledger.append(&[change("x")]).unwrap();
    ledger.close().unwrap();
    let whole = export(&ledger, 1..=u64::MAX);
    verify_export(&whole).unwrap();
    for byte in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[byte] ^= 1 << bit;
            assert!(verify_export(&changed).is_err(), "bit {bit} of byte {byte}");
        }
        assert!(verify_export(&whole[..byte]).is_err(), "cut at {byte}");
    }
}

#[test]
fn the_error_names_the_line_the_entry_and_what_is_wrong() {
    let world = World::new();
    let whole = export(&long_ledger(&world), 1..=u64::MAX);
    let text = String::from_utf8(whole.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let count = lines.len();
    let edit = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        edit(&mut lines);
        lines.join("\n") + "\n"
    };
    let seal = format!("line {count} (entry {})", count - 1);
    let cases = [
        (
            edit(&|l| l[5] = l[5].replace("crm", "erp")),
            "TES-E011",
            "line 7 (entry 6): `prev` is not the hash",
        ),
        (edit(&|l| drop(l.remove(5))), "TES-E012", "line 6 (entry 5): entry 5 should stand here, not 6"),
        (edit(&|l| l.swap(5, 6)), "TES-E012", "line 6 (entry 5): entry 5 should stand here, not 6"),
        (
            edit(&|l| l.insert(5, l[5].clone())),
            "TES-E012",
            "line 7 (entry 6): entry 6 should stand here, not 5",
        ),
        (edit(&|l| l[5] = "hello".into()), "TES-E011", "line 6 (entry 5): this is not a line of a ledger"),
        (edit(&|l| l[5].insert(50, '\r')), "TES-E011", "line 6 (entry 5): "),
        (
            edit(&|l| drop(l.remove(0))),
            "TES-E011",
            "line 1: this is not a line of a ledger: it is not the header",
        ),
        (
            edit(&|l| drop(l.remove(count - 1))),
            "TES-E014",
            &format!("{seal}: there is no seal: the end was cut off"),
        ),
        (edit(&|l| drop(l.remove(count - 2))), "TES-E011", "the seal says another last entry"),
        (edit(&|l| drop(l.remove(1))), "TES-E011", "the seal says another first entry"),
        (
            edit(&|l| l[count - 1].insert(1, ' ')),
            "TES-E011",
            &format!("{seal}: this is not a line of a ledger"),
        ),
        (edit(&|l| l[count - 1].insert(15, ' ')), "TES-E011", "the seal is not written as a seal is"),
        (edit(&|l| l.push("more".into())), "TES-E012", "the seal should be the last line"),
        (
            edit(&|l| l[0] = l[0].replace("version\":1", "version\":2")),
            "TES-E015",
            "line 1: the format has version 2",
        ),
        (edit(&|l| l[0] = l[0].replace("2026", "2027")), "TES-E011", "the seal says another header"),
        (
            edit(&|l| l[count - 1] = l[count - 1].replace("\"at\":\"2026", "\"at\":\"2027")),
            "TES-E013",
            &format!("{seal}: the signature is not that of the key"),
        ),
        (text.trim_end().to_owned(), "TES-E014", "the last line has no line feed: the end was cut off"),
        (String::new(), "TES-E014", "line 1: there is no header: the end was cut off"),
        ("x".repeat(LINE_BYTES_MAX + 2), "TES-E011", "line 1: the line is longer than 1048576 bytes"),
    ];
    for (changed, code, what) in cases {
        let error = verify_export(changed.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(what), "{error} should say {what}");
        assert_eq!(error.code(), code, "{error}");
    }
    let error = verify(&whole[..], &[1; 32], Form::Export, |_| {}).unwrap_err();
    assert_eq!(error.code(), "TES-E013");
    let ours = key_id(&public_key());
    assert_eq!(error.to_string(), format!("line 1: signed with the key {ours}, not {}", key_id(&[1; 32])));
}

#[test]
fn a_folder_without_its_checkpoints_does_not_verify() {
    // Whoever has the folder but not the key can make a chain, but no signature.
    let mut text = Vec::new();
    let mut prev = Hash::NONE;
    let beginning = format::Envelope { seq: 1, at: "2026-01-01T00:00:00.000Z", durable: 0, prev };
    let body = br#""kind":"change","actor":"eve","what":"nothing""#;
    prev = format::push_line(&mut text, &beginning, body);
    let error = verify(&text[..], &public_key(), Form::Folder, |_| {}).unwrap_err();
    assert!(error.to_string().contains("a checkpoint should stand here"), "{error}");
    let signer = format::Signer::new(&KEY).unwrap();
    let mut text = Vec::new();
    prev = {
        let body = format::checkpoint_body(&signer, &beginning);
        assert_ne!(prev, Hash::NONE);
        format::push_line(&mut text, &beginning, body.as_bytes())
    };
    for seq in 2..=APPEND_ENTRIES_MAX + 2 {
        prev = format::push_line(&mut text, &format::Envelope { seq, durable: 1, prev, ..beginning }, body);
    }
    let error = verify(&text[..], &public_key(), Form::Folder, |_| {}).unwrap_err();
    assert!(error.to_string().contains("checkpoints were removed"), "{error}");
}

#[test]
fn an_export_of_any_span_verifies() {
    let world = World::new();
    let ledger = long_ledger(&world);
    let last = ledger.head().seq;
    for (from, to) in [(1, u64::MAX), (1, 1), (5, 5), (7, 40), (last, last), (1, last)] {
        let verified = verify_export(&export(&ledger, from..=to)).unwrap();
        assert_eq!((verified.first, verified.last), (from, to.min(last)));
        assert_eq!(verified.entries, to.min(last) - from + 1);
        assert_eq!(verified.unsigned, 0);
    }
    let error = ledger.export(&mut Vec::new(), last + 1..=u64::MAX).unwrap_err();
    assert_eq!(error.code(), "TES-E006");
}

#[test]
fn a_damaged_ledger_is_not_sealed() {
    let world = World::new();
    let ledger = long_ledger(&world);
    let path = world.segment(1);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"attempt\":1", "\"attempt\":2", 1)).unwrap();
    let mut out = Vec::new();
    let error = ledger.export(&mut out, 1..=u64::MAX).unwrap_err();
    assert!(error.to_string().contains("is damaged at line 3: `prev`"), "{error}");
    assert_eq!(verify_export(&out).unwrap_err().code(), "TES-E014");
}
