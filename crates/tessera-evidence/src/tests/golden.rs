//! The example in `docs/reference/evidence-format.md`, to the byte. An implementation of its own, in another language
//! and with other libraries, accepted the same bytes.

use super::*;

/// The first key of RFC 8032, section 7.1.
const RFC_8032_KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const RFC_8032_PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const PAGE: &str = include_str!("../../../../docs/reference/evidence-format.md");

fn example() -> Vec<u8> {
    let world = World::new();
    let key = format::unhex(RFC_8032_KEY.as_bytes()).unwrap();
    let ledger = Ledger::open(&world.path(), key, Arc::clone(&world.clock) as _).unwrap();
    assert_eq!(ledger.public_key_hex(), RFC_8032_PUBLIC_KEY);
    world.clock.advance_millis(1_500);
    ledger.append(&[delivery(0xa1, 1)]).unwrap();
    world.clock.advance_millis(60_000);
    ledger.tick().unwrap();
    world.clock.advance_millis(60_000);
    export(&ledger, 1..=u64::MAX)
}

#[test]
fn the_export_in_the_documentation_is_what_is_written() {
    let (_, example_on) = PAGE.split_once("```json\n{\"kind\":\"header\"").unwrap();
    let (shown, _) = example_on.split_once("```").unwrap();
    let written = String::from_utf8(example()).unwrap();
    assert_eq!(format!("{{\"kind\":\"header\"{shown}"), written);
    let public_key = format::unhex(RFC_8032_PUBLIC_KEY.as_bytes()).unwrap();
    let verified = verify(written.as_bytes(), &public_key, Form::Export, |_| {}).unwrap();
    assert!(
        PAGE.contains(&format!("`{}`", verified.head)),
        "the page says the head's hash, {}",
        verified.head
    );
    assert!(PAGE.contains(&format!("`{}`", key_id(&public_key))), "the page says the key's id");
    assert_eq!(verified.sealed_at.as_deref(), Some("2026-01-01T00:02:01.500Z"));
}

#[test]
fn the_signed_texts_in_the_documentation_are_what_is_signed() {
    let written = String::from_utf8(example()).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    let checkpoint = format::Parts::parse(lines[3].as_bytes()).unwrap();
    let signed = checkpoint.checkpoint().unwrap();
    let seal: format::Seal<'_> = serde_json::from_str(lines[4]).unwrap();
    for text in
        [format::checkpoint_text(signed.last, signed.hash, checkpoint.at, checkpoint.durable), seal.text()]
    {
        assert!(PAGE.contains(&format!("```text\n{text}```")), "the page shows\n{text}");
    }
}
