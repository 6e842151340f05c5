//! Whatever is done to an export, verifying it finds it.

use super::*;

#[test]
fn an_export_of_any_span_verifies() {
    let world = World::new();
    let ledger = world.open();
    ledger.set_segment_bytes_max(10_000);
    for number in 0..30 {
        ledger.append(&[delivery(1, number), delivery(2, number)]).unwrap();
    }
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
