//! What a line looks like, to the byte.

use super::*;

#[test]
fn the_first_lines_are_these_bytes() {
    let world = World::new();
    let ledger = world.open();
    ledger.append(&[change("x")]).unwrap();
    let text = std::fs::read_to_string(world.segment(1)).unwrap();
    let change = text.lines().nth(1).unwrap();
    let (members, prev) = change.split_at(change.find(",\"prev\"").unwrap());
    assert_eq!(
        members,
        r#"{"seq":2,"at":"2026-01-01T00:00:00.000Z","kind":"change","actor":"ada","what":"PUT /api/v1/workspace","object":"marketing.email","detail":"x","durable":1"#
    );
    assert_eq!(prev.len(), 10 + 64 + 1);
}
