//! No string makes the decoder panic, take more than its share of memory, or repeat the string.

use proptest::prelude::*;

use super::encoder::{Writer, header};
use crate::us::us_privacy;
use crate::{IabError, TEXT_BYTES_MAX, gpp, tcf};

const KNOWN: [&str; 5] = [
    "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA.IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA",
    "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA",
    "DBACOeA~CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~BPSG_8APSG_8AAyACAENGdCgf_gfgAfgfgBgABABAAABAB4AACACAAA.fHHHA4444ao~1YNN",
    "DBABLA~BVVVkkkkkpFY.YA",
    "1YNN",
];

/// Reads `text` every way; an error must not repeat it.
fn check(text: &str) {
    let errors: [Option<IabError>; 3] = [tcf(text).err(), gpp(text).err(), us_privacy(text).err()];
    for error in errors.into_iter().flatten() {
        let shown = error.to_string();
        assert!(shown.len() < 200, "{shown}");
        let characters: Vec<char> = text.chars().collect();
        for window in characters.windows(20) {
            let window: String = window.iter().collect();
            assert!(!shown.contains(&window), "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_base64url_is_read_or_refused(text in "[CDB1]?[BOP]?[A-Za-z0-9_.~-]{0,400}") {
        check(&text);
    }

    #[test]
    fn any_sections_behind_a_good_header_are_read_or_refused(
        ids in prop::collection::btree_set(1_u16..30, 1..5),
        parts in prop::collection::vec("[BCYZab][A-Za-z0-9_.-]{0,80}", 5),
    ) {
        let ids: Vec<u16> = ids.into_iter().collect();
        check(&format!("{}~{}", header(&ids), parts[..ids.len()].join("~")));
    }

    #[test]
    fn a_known_string_that_is_cut_or_changed_is_read_or_refused(
        known in 0..KNOWN.len(), cut in 0_usize..200, at in 0_usize..200, to in "[A-Za-z0-9_.~-]|\\PC",
    ) {
        let mut text: Vec<String> = KNOWN[known].chars().map(String::from).collect();
        text.truncate(text.len() - cut % text.len());
        let at = at % text.len();
        text[at] = to;
        check(&text.concat());
    }

    #[test]
    fn a_tc_string_that_ends_too_soon_is_an_error(cut in 1_usize..=81) {
        // The last character of this core is padding; without any other it has lost a field.
        let core = KNOWN[0].split('.').next().unwrap();
        prop_assert_eq!(core.len(), 82);
        let short: String = core.chars().take(core.len() - 1 - cut).collect();
        let is_short = matches!(tcf(&short), Err(IabError::Short { .. }));
        prop_assert!(is_short);
    }
}

#[test]
fn overlapping_ranges_of_all_vendors_become_one_range() {
    let mut core = Writer::default();
    core.int(2, 6).int(0, 36).int(0, 36).int(0, 12).int(0, 12).int(0, 6).letters("EN").int(0, 12).int(5, 6);
    core.int(1, 1).int(0, 1).int(0, 12).int(0, 24).int(0, 24).int(0, 1).letters("AA");
    core.int(65_535, 16).int(1, 1).int(2_900, 12);
    for first in 1..=2_900 {
        core.int(1, 1).int(first, 16).int(65_535, 16);
    }
    core.vendors(&[], false).int(0, 12);
    let text = core.text();
    assert!((15_000..=TEXT_BYTES_MAX).contains(&text.len()));
    let read = tcf(&text).unwrap();
    assert_eq!(read.vendor_consents.len(), 65_535);
    assert_eq!(format!("{:?}", read.vendor_consents), "VendorSet([(1, 65535)])");
}

#[test]
fn hostile_ranges_are_refused() {
    let core = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
    for (max, first, last, expected) in [
        (9, 0, 9, "DisclosedVendors of the disclosed vendors segment is 0; vendor ids begin at 1"),
        (
            9,
            5,
            4,
            "DisclosedVendors of the disclosed vendors segment is 4; a range ends at or after its first vendor",
        ),
        (
            9,
            5,
            10,
            "DisclosedVendors of the disclosed vendors segment is 10; no vendor comes after its MaxVendorId",
        ),
    ] {
        let mut segment = Writer::default();
        segment.int(1, 3).int(max, 16).int(1, 1).int(1, 12).int(1, 1).int(first, 16).int(last, 16);
        assert_eq!(tcf(&format!("{core}.{}", segment.text())).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_header_that_lists_more_than_follows_stops_at_once() {
    // One group of ten thousand sections, and none of them there.
    let ids: Vec<u16> = (1..=10_000).collect();
    let expected = IabError::Count { part: "the GPP header", listed: 2, found: 1 };
    assert_eq!(gpp(&format!("{}~x", header(&ids))).unwrap_err(), expected);
    // A Fibonacci number without an end.
    let endless = Writer::default().int(3, 6).int(1, 6).int(1, 12).int(0, 1).int(0, 60).text();
    let refused = gpp(&format!("{endless}~x")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Sections of the GPP header is 0; a Fibonacci number ends within 23 bits"
    );
}

#[test]
fn a_string_longer_than_the_limit_is_refused_unread() {
    let long = "~".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(tcf(&long), Err(IabError::TooLong { bytes: TEXT_BYTES_MAX + 1 }));
    assert_eq!(gpp(&long), Err(IabError::TooLong { bytes: TEXT_BYTES_MAX + 1 }));
}
