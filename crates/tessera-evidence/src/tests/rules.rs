//! Rules that only the holder of the key could break: each alone makes a text that does not verify.

use super::*;
use crate::format::{Envelope, Header, Seal, Signer, checkpoint_text, hex, push_line};

const AT: &str = "2026-01-01T00:00:00.000Z";
const BODY: &str = r#""kind":"change","actor":"eve","what":"nothing""#;

/// Lines that are written one by one.
struct Draft {
    signer: Signer,
    text: Vec<u8>,
    last: u64,
    prev: Hash,
}

impl Draft {
    fn new() -> Self {
        Self { signer: Signer::new(&KEY).unwrap(), text: Vec::new(), last: 0, prev: Hash::NONE }
    }

    fn line(&mut self, durable: u64, body: &str) {
        let envelope = Envelope { seq: self.last + 1, at: AT, durable, prev: self.prev };
        self.prev = push_line(&mut self.text, &envelope, body.as_bytes());
        self.last += 1;
    }

    fn checkpoint(&mut self, durable: u64, last: u64, hash: Hash) {
        let signature = self.signer.sign(&checkpoint_text(last, &hash.to_string(), AT, durable));
        let id = &self.signer.id;
        self.line(
            durable,
            &format!(
                r#""kind":"checkpoint","last":{last},"hash":"{hash}","key":"{id}","signature":"{signature}""#
            ),
        );
    }

    /// A beginning, and two lines that were written together.
    fn sound() -> Self {
        let mut draft = Self::new();
        draft.checkpoint(0, 0, Hash::NONE);
        draft.line(1, BODY);
        draft.line(1, BODY);
        draft
    }

    fn verify(&self) -> Result<Verified, VerifyError> {
        verify(&self.text[..], &self.signer.public, Form::Folder, |_| {})
    }

    fn fault(&self) -> Fault {
        match self.verify() {
            Err(VerifyError::Line { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    /// An export of the lines, whose header and seal are changed before they are signed.
    fn export(&self, edit: impl FnOnce(&mut Header<'_>, &mut Seal<'_>)) -> Vec<u8> {
        let public_key = hex(&self.signer.public);
        let mut header = Header { format: format::FORMAT_NAME, version: 1, public_key: &public_key, at: AT };
        let header_hash = Hash::of(header.line().as_bytes()).to_string();
        let head = self.prev.to_string();
        let mut seal = Seal {
            entries: self.last,
            first: 1,
            last: self.last,
            head: &head,
            header: &header_hash,
            at: AT,
            key: &self.signer.id,
            signature: "",
        };
        edit(&mut header, &mut seal);
        let signature = self.signer.sign(&seal.text());
        seal.signature = &signature;
        format!("{}\n{}{}\n", header.line(), String::from_utf8_lossy(&self.text), seal.line()).into_bytes()
    }
}

#[test]
fn durable_is_that_of_the_line_before_or_its_number() {
    for (durable, is_sound) in [(0, false), (1, true), (2, false), (3, true), (4, false), (9, false)] {
        let mut draft = Draft::sound();
        draft.line(durable, BODY);
        assert_eq!(draft.verify().is_ok(), is_sound, "durable {durable}");
    }
    let mut draft = Draft::new();
    draft.checkpoint(1, 0, Hash::NONE);
    assert_eq!(draft.fault(), Fault::Durable { found: 1 });
}

#[test]
fn a_checkpoint_says_what_stands_before_it() {
    let sound = Draft::sound();
    let (last, prev) = (sound.last, sound.prev);
    let checkpoint = |last, hash| {
        let mut draft = Draft::sound();
        draft.checkpoint(last, last, hash);
        draft
    };
    assert_eq!(checkpoint(last, prev).verify().unwrap().unsigned, 0);
    assert_eq!(checkpoint(last, Hash::NONE).fault(), Fault::Checkpoint { what: "`hash` is not `prev`" });
    let mut earlier = Draft::sound();
    earlier.checkpoint(last, last - 1, prev);
    assert_eq!(earlier.fault(), Fault::Checkpoint { what: "`last` is not the entry before" });
    let mut more = Draft::sound();
    let signature = more.signer.sign(&checkpoint_text(last, &prev.to_string(), AT, last));
    let id = more.signer.id.clone();
    more.line(
        last,
        &format!(
            r#""kind":"checkpoint","last":{last},"hash":"{prev}","key":"{id}","signature":"{signature}","x":1"#
        ),
    );
    assert_eq!(more.fault(), Fault::Checkpoint { what: "it is not written as a checkpoint is" });
}

#[test]
fn every_bit_of_the_last_checkpoint_is_signed() {
    let mut draft = Draft::sound();
    draft.line(1, BODY);
    let begins = draft.text.len();
    draft.checkpoint(draft.last, draft.last, draft.prev);
    assert_eq!(draft.verify().unwrap().unsigned, 0);
    let whole = draft.text.clone();
    for byte in begins..whole.len() {
        for bit in 0..8 {
            draft.text.clone_from(&whole);
            draft.text[byte] ^= 1 << bit;
            // Of another kind, it is one of the lines that nobody signed.
            let is_found = draft.verify().map_or(true, |verified| verified.unsigned == 4);
            assert!(is_found, "bit {bit} of byte {byte}");
        }
    }
    // The one other number that the chain allows there: those of the lines before.
    draft.text = String::from_utf8(whole).unwrap().replace("\"durable\":4", "\"durable\":1").into_bytes();
    assert_eq!(draft.fault(), Fault::Signature);
}

#[test]
fn the_first_entry_follows_nothing_and_has_the_number_one() {
    let mut draft = Draft::new();
    draft.prev = Hash::of(b"something");
    draft.checkpoint(0, 0, draft.prev);
    assert_eq!(draft.fault(), Fault::Prev);
    let zero = format!("{{\"seq\":0,\"at\":\"{AT}\",{BODY},\"durable\":0,\"prev\":\"{}\"}}\n", Hash::NONE);
    draft.text = zero.into_bytes();
    assert_eq!(draft.fault(), Fault::Order { expected: 1, found: 0 });
}

#[test]
fn a_line_is_written_in_one_way() {
    let hash = Hash::NONE;
    let line = |seq: &str, at: &str, body: &str, prev: &str| {
        format!("{{\"seq\":{seq},\"at\":\"{at}\",{body},\"durable\":0,\"prev\":\"{prev}\"}}").into_bytes()
    };
    let prev = hash.to_string();
    assert!(format::Parts::parse(&line("1", AT, BODY, &prev)).is_ok());
    for (what, line) in [
        ("a leading zero", line("01", AT, BODY, &prev)),
        ("a sign", line("+1", AT, BODY, &prev)),
        ("no number", line("", AT, BODY, &prev)),
        ("a number too large", line("18446744073709551616", AT, BODY, &prev)),
        ("another time", line("1", "2026-01-01T00:00:00Z", BODY, &prev)),
        ("white space", line("1", AT, &format!(" {BODY}"), &prev)),
        ("no kind", line("1", AT, r#""actor":"eve""#, &prev)),
        ("upper-case digits", line("1", AT, BODY, &"A".repeat(64))),
        ("too few digits", line("1", AT, BODY, &"a".repeat(63))),
        ("no JSON", line("1", AT, r#""kind":"change","actor":eve"#, &prev)),
        ("no UTF-8", [&line("1", AT, BODY, &prev)[..40], b"\xff"].concat()),
    ] {
        assert!(format::Parts::parse(&line).is_err(), "{what}: {}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn a_signed_seal_that_lies_is_found() {
    let draft = Draft::sound();
    assert_eq!(verify_export(&draft.export(|_, _| {})).unwrap().entries, 3);
    let fault = |export: &[u8]| match verify_export(export) {
        Err(VerifyError::Line { fault, .. }) => fault.to_string(),
        other => panic!("{other:?}"),
    };
    const OTHER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (export, what) in [
        (draft.export(|_, seal| seal.entries = 2), "the seal says another number of entries"),
        (draft.export(|_, seal| seal.first = 2), "the seal says another first entry"),
        (draft.export(|_, seal| seal.last = 4), "the seal says another last entry"),
        (draft.export(|_, seal| seal.head = OTHER), "the seal says another hash of the last line"),
        (draft.export(|_, seal| seal.header = OTHER), "the seal says another header"),
        (draft.export(|_, seal| seal.key = "0000000000000000"), "signed with the key 0000000000000000"),
        (draft.export(|header, _| header.version = 0), "the header is not written as a header is"),
        (draft.export(|header, _| header.format = "something"), "it is not the header of an export"),
    ] {
        assert!(fault(&export).contains(what), "{} should say {what}", fault(&export));
    }
}
