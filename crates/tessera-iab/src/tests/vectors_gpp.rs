//! GPP and US Privacy strings that IAB publishes, with the values that its own libraries' tests expect.
//!
//! Sources, each Apache-2.0 or CC BY 3.0: [spec] "Global Privacy Platform String", "Header Examples" and "GPP String
//! Examples"; [usp] "U.S. Privacy String", "Examples"; [java] `IABTechLab/iabgpp-java`: `GppModelTest`, `TcfCaV1Test`
//! and the test of each state's section; [rust] `noirotm/iabgpp-rs`, `tests/data`.

use crate::us::us_privacy;
use crate::{Answer, Content, Flaw, Gpp, TcfCanada, TcfVersion, UsPrivacy, UsSection, gpp};

fn names(gpp: &Gpp) -> Vec<&str> {
    gpp.sections.iter().map(|section| section.name).collect()
}

fn us(text: &str) -> (&'static str, UsSection) {
    let read = gpp(text).unwrap();
    assert_eq!(read.sections.len(), 1);
    let Content::Us(us) = read.sections[0].content else {
        panic!("{} is no US section", read.sections[0].name)
    };
    (read.sections[0].name, us)
}

#[test]
fn the_specifications_own_examples_can_be_read() {
    // [spec] GPP String Examples 1 and 2; the header with and without the padding to bytes.
    for header in ["DBABM", "DBABMA"] {
        let one = gpp(&format!("{header}~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA")).unwrap();
        assert_eq!(names(&one), ["tcfeuv2"]);
        assert_eq!(one.tcf_eu().unwrap().cmp_id, 31);
        assert_eq!(one.sale_opt_out(), None);
    }
    for header in ["DBACNY", "DBACNYA"] {
        let two = gpp(&format!("{header}~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN")).unwrap();
        assert_eq!(names(&two), ["tcfeuv2", "uspv1"]);
        assert_eq!(two.sale_opt_out(), Some(Answer::DidNotOptOut));
        assert_eq!((two.sharing_opt_out(), two.gpc()), (None, None));
    }
}

#[test]
fn a_group_in_the_header_reads_as_in_the_specification() {
    // [spec] Header Example 3: one group, from 5, of one more. The specification's full string repeats the European
    // section in place of the Canadian one, whose version it does not have; so the section is [rust] tcfcav1_basic.
    let read = gpp("DBABjw~BPXuQIAPXuQIAAfKABENB-CgAAAAAAAAAAAAAAAA~1YNN").unwrap();
    assert_eq!(names(&read), ["tcfcav1", "uspv1"]);
    let refused = gpp("DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN").unwrap_err();
    assert_eq!(refused.to_string(), "Version of tcfcav1 is 2; a Canadian TC string has version 1");
}

#[test]
fn three_sections_read_as_in_the_reference_test() {
    // [java] testDecodeUspv1AndTcfEuV2AndTcfCaV1
    let text = "DBACOeA~CPSG_8APSG_8ANwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~BPSG_8APSG_8AAyACAENGdCgf_gfgAfgfgBgABABAAABAB4AACACAAA.fHHHA4444ao~1YNN";
    let read = gpp(text).unwrap();
    assert_eq!(names(&read), ["tcfeuv2", "tcfcav1", "uspv1"]);
    let eu = read.tcf_eu().unwrap();
    assert_eq!((eu.cmp_id, eu.vendor_list_version, eu.created_at_millis), (880, 48, 1_640_995_200_000));
    assert!(eu.disclosed_vendors.as_ref().unwrap().is_empty());
    let canada = canadian(&read);
    assert_eq!((canada.cmp_id, canada.consent_language.as_str()), (50, "EN"));
    assert!(canada.special_features_express.iter().eq([7, 8, 9, 10, 11, 12]));
    assert!(canada.purposes_express.iter().eq([1, 2, 3, 4, 5, 6, 13, 14, 15, 16, 17, 18]));
    assert!(canada.purposes_implied.iter().eq([7, 8, 9, 10, 11, 12, 19, 20, 21, 22, 23, 24]));
    assert!(canada.vendors_express.iter().eq([12, 24, 48]));
    assert!(canada.vendors_implied.iter().eq([18, 30]));
}

fn canadian(read: &Gpp) -> &TcfCanada {
    let found = read.sections.iter().find_map(|section| match &section.content {
        Content::TcfCanada(tcf) => Some(tcf.as_ref()),
        Content::TcfEu(_) | Content::UsPrivacy(_) | Content::Us(_) | Content::Unread => None,
    });
    found.unwrap()
}

#[test]
fn canadian_vendors_and_restrictions_read_as_in_the_reference_test() {
    // [java] TcfCaV1Test.testDecode3 and testDecode4
    let disclosed = gpp("DBABDA~BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA.IAGO5w").unwrap();
    let canada = canadian(&disclosed);
    assert!(canada.disclosed_vendors.as_ref().unwrap().iter().eq([1, 2, 3, 5, 6, 7, 10, 11, 12]));
    let restricted =
        gpp("DBABDA~BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAACCgBwABAAOAAoADgAJA.YAAAAAAAAAA").unwrap();
    let canada = canadian(&restricted);
    assert_eq!(canada.publisher_restrictions.len(), 1);
    assert_eq!(canada.publisher_restrictions[0].purpose, 1);
    assert!(canada.publisher_restrictions[0].vendors.iter().eq([1, 2, 3, 5, 6, 7, 9]));
}

#[test]
fn all_sections_of_the_reference_test_can_be_read() {
    // [java] testDecodeDefaultsAll
    let text = "DBACOdM~CPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAAAA.QAAA.IAAA~BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA~1---~BAAAAAAAAABA.QA~BAAAAABA.QA~BAAAABA~BAAAAEA.QA~BAAAAAQA~BAAAAAEA.QA~BAAAAABA~BAAAAABA.QA~BAAAAAABAA.QA~BAAAAAQA.QA~BAAAAAABAA.QA~BAAAAAQA.QA~BAAAAAQA.QA~BAAAAABA.QA~BAAAAAAAQA.QA~BAAAAAQA.QA";
    let read = gpp(text).unwrap();
    let us = [
        "usnat", "usca", "usva", "usco", "usut", "usct", "usfl", "usmt", "usor", "ustx", "usde", "usia",
        "usne",
    ];
    let all = [&["tcfeuv2", "tcfcav1", "uspv1"], &us[..], &["usnh", "usnj", "ustn"]].concat();
    assert_eq!(names(&read), all);
    assert_eq!(read.sale_opt_out(), Some(Answer::NotApplicable));
    assert_eq!(read.sharing_opt_out(), Some(Answer::NotApplicable));
    assert_eq!(read.targeted_advertising_opt_out(), Some(Answer::NotApplicable));
    assert_eq!(read.gpc(), Some(false));
    assert_eq!(read.unread().count(), 0);
}

#[test]
fn each_us_section_reads_as_in_the_reference_tests() {
    const OUT: Option<Answer> = Some(Answer::OptedOut);
    const IN: Option<Answer> = Some(Answer::DidNotOptOut);
    const NA: Option<Answer> = Some(Answer::NotApplicable);
    for (text, name, sale, sharing, targeted, gpc) in [
        // [rust] usnat_v1_with_gpc, usnat_v2_not_applicable, usca_with_gpc, usva_opted_out and so on
        ("DBABLA~BVVVVVVVVWA.YA", "usnat", OUT, OUT, OUT, Some(true)),
        ("DBABLA~CAAAAAAAAAWA.Q", "usnat", NA, NA, NA, Some(false)),
        ("DBABBg~BVqqqqpY.YA", "usca", IN, IN, None, Some(true)),
        ("DBABBg~BVVVVVVY", "usca", OUT, OUT, None, None),
        ("DBABRg~BVVVVWY", "usva", OUT, None, OUT, None),
        ("DBABRg~BAAAABA", "usva", NA, None, NA, None),
        ("DBABJg~BVVVVVg.YA", "usco", OUT, None, OUT, Some(true)),
        ("DBABFg~BVVVVVmA", "usut", OUT, None, OUT, None),
        ("DBABVg~BVVVVVVg.YA", "usct", OUT, None, OUT, Some(true)),
        // [java] UsNatTest, then testDecode1 of the state's own test
        ("DBABLA~BVVVkkkkkpFY.YA", "usnat", OUT, OUT, OUT, Some(true)),
        ("DBABLA~BVQqAAAAAgA.QA", "usnat", IN, IN, IN, Some(false)),
    ] {
        let answers =
            |us: UsSection| (us.sale_opt_out, us.sharing_opt_out, us.targeted_advertising_opt_out, us.gpc);
        let (read_name, read) = us(text);
        assert_eq!((read_name, answers(read)), (name, (sale, sharing, targeted, gpc)), "{text}");
    }
}

#[test]
fn the_states_of_2024_read_as_in_the_reference_tests() {
    // [java] UsFlTest, UsMtTest, UsOrTest, UsTxTest, UsDeTest, UsIaTest, UsNeTest, UsNhTest, UsNjTest, UsTnTest and
    // UsMnTest, testDecode1 or testDecodeWithGpcSegmentExcluded: in all of them the person opted out of both. The
    // headers are of our own encoder.
    for (id, name, section, gpc) in [
        (13, "usfl", "BVWSSZlY", None),
        (14, "usmt", "BVWSSZFY", None),
        (15, "usor", "BVWSSRpFYA", None),
        (16, "ustx", "BVWSSVWA", None),
        (17, "usde", "BVWSSSSVYA", None),
        (18, "usia", "BVVkklWA.YA", Some(true)),
        (19, "usne", "BVWSSVWA.YA", Some(true)),
        (20, "usnh", "BVWSSZFY", None),
        (21, "usnj", "BVWSSRklWA", None),
        (22, "ustn", "BVWSSVWA.YA", Some(true)),
        (23, "usmn", "BVWSSVWA.YA", Some(true)),
    ] {
        let (read_name, read) = us(&format!("{}~{section}", super::encoder::header(&[id])));
        assert_eq!((read_name, read.gpc), (name, gpc));
        assert_eq!(read.sale_opt_out, Some(Answer::OptedOut), "{name}");
        assert_eq!(read.targeted_advertising_opt_out, Some(Answer::OptedOut), "{name}");
        assert_eq!(read.sharing_opt_out, None, "{name}");
    }
}

#[test]
fn the_states_of_2025_read_with_their_header_and_without() {
    // [java] UsInTest and UsRiTest (with header), UsMdTest and the older UsInTest (without), testDecode1; Kentucky has
    // Indiana's layout by its specification. Subsection 1 of Indiana is sensitive data, not Global Privacy Control.
    for (id, name, section, gpc) in [
        (25, "usin", "ZBABYA.BVVV.kkk", None),
        (27, "usri", "bBABYA.BVVV.kkk", None),
        (26, "usky", "aBABYA.BVVV.kkk", None),
        (24, "usmd", "BVVU.YA", Some(true)),
        (24, "usmd", "YBABYA.BVVU.YA", Some(true)),
        (25, "usin", "BVVV", None),
    ] {
        let (read_name, read) = us(&format!("{}~{section}", super::encoder::header(&[id])));
        assert_eq!((read_name, read.version, read.gpc), (name, 1, gpc), "{section}");
        assert_eq!(read.sale_opt_out, Some(Answer::OptedOut), "{section}");
        assert_eq!(read.targeted_advertising_opt_out, Some(Answer::OptedOut), "{section}");
    }
    // [java] UsInTest.testEncode1: no subsections, nothing applies.
    let (_, nothing) = us(&format!("{}~ZBAA.AQAA", super::encoder::header(&[25])));
    assert_eq!(nothing.sale_opt_out, Some(Answer::NotApplicable));
    let wrong = gpp(&format!("{}~ZBABYA.BVVV", super::encoder::header(&[25]))).unwrap_err();
    assert_eq!(wrong.to_string(), "usin lists 1, but 0 follow");
}

#[test]
fn the_stricter_answer_wins_over_sections() {
    // California says "did not opt out", Colorado "opted out", the old string "not applicable".
    let header = super::encoder::header(&[6, 8, 10]);
    let read = gpp(&format!("{header}~1---~BVqqqqpY.QA~BVVVVVg.YA")).unwrap();
    assert_eq!(read.sale_opt_out(), Some(Answer::OptedOut));
    assert_eq!(read.sharing_opt_out(), Some(Answer::DidNotOptOut));
    assert_eq!(read.targeted_advertising_opt_out(), Some(Answer::OptedOut));
    assert_eq!(read.gpc(), Some(true));
}

#[test]
fn sections_that_are_retired_or_new_are_passed_over_and_named() {
    // [rust] tcfeuv1_basic, and an id that is not given yet.
    let header = super::encoder::header(&[1, 6, 28]);
    let read = gpp(&format!("{header}~BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA~1NYY~whatever")).unwrap();
    assert_eq!(names(&read), ["tcfeuv1", "uspv1", "unknown"]);
    assert!(read.unread().map(|section| section.id).eq([1, 28]));
    assert_eq!(read.sale_opt_out(), Some(Answer::OptedOut));
}

#[test]
fn a_european_section_with_all_segments_reads_as_in_the_reference_data() {
    // [rust] tcfeuv2_with_all_segments_publisher_purposes_first
    let text = "DBABM~COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.ZAAgH9794ulA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";
    let read = gpp(text).unwrap();
    let tcf = read.tcf_eu().unwrap();
    assert_eq!((tcf.cmp_id, tcf.updated_at_millis / 1000), (27, 1_582_243_059));
    assert!(tcf.purposes_consent.iter().eq([1, 2, 3]));
    assert!(tcf.vendor_consents.iter().eq([2, 6, 8]));
    assert!(tcf.vendor_legitimate_interests.iter().eq([2, 6, 8]));
    let disclosed: Vec<u16> = tcf.disclosed_vendors.as_ref().unwrap().iter().collect();
    assert_eq!((disclosed.len(), disclosed.last()), (79, Some(&720)));
    let publisher = tcf.publisher_consent.unwrap();
    assert!(publisher.purposes_consent.iter().eq([3, 16]));
    assert_eq!(publisher.purposes_legitimate_interest.len(), 21);
    assert!(publisher.custom_purposes >= 4, "purpose 4 of its own has an answer there");
    assert_eq!(tcf.tcf_version_as_used, TcfVersion::V2_0);
    assert_ne!(tcf.flaw(), Some(Flaw::VendorsNotDisclosed));
}

#[test]
fn us_privacy_strings_read_as_in_the_specification() {
    for (text, notice, sale_opt_out, is_lspa_covered) in [
        // [usp] Examples
        ("1YNN", Some(true), Answer::DidNotOptOut, Some(false)),
        ("1NYY", Some(false), Answer::OptedOut, Some(true)),
        ("1---", None, Answer::NotApplicable, None),
        ("1-Y-", None, Answer::OptedOut, None),
    ] {
        assert_eq!(us_privacy(text), Ok(UsPrivacy { notice, sale_opt_out, is_lspa_covered }));
        assert_eq!(us_privacy(&text.to_lowercase()), us_privacy(text));
    }
    for (text, expected) in [
        ("", "uspv1 ends inside Version"),
        ("1YN", "uspv1 ends inside LspaCovered"),
        ("2YNN", "uspv1 has '2' as character 1; the version is `1`"),
        ("1YXN", "uspv1 has 'X' as character 3; an answer is `Y`, `N` or `-`"),
        ("1YNNN", "uspv1 has 'N' as character 5; the string has four characters"),
    ] {
        assert_eq!(us_privacy(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn errors_name_the_header_or_the_section() {
    for (text, expected) in [
        ("", "the GPP header ends inside Type"),
        // [java] testDecodingException
        (
            "invalid gpp string",
            "the GPP header has ' ' as character 8; base64url has A-Z, a-z, 0-9, `-` and `_`",
        ),
        ("1YNN", "Type of the GPP header is 53; a GPP string begins with type 3 (`D`)"),
        (
            "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA",
            "Type of the GPP header is 2; a GPP string begins with type 3 (`D`)",
        ),
        ("DCAA", "Version of the GPP header is 2; the GPP string has version 1"),
        ("DBABTA", "the GPP header lists 1, but 0 follow"),
        ("DBABTA~1YNN~1YNN", "the GPP header lists 1, but 2 follow"),
        ("DBABTA~1YN", "uspv1 ends inside LspaCovered"),
        ("DBABBg~BVqqq", "usca ends inside the core"),
        ("DBABBg~CVqqqqpY", "Version of usca is 2; a newer version of the section is not known"),
        ("DBABBg~B___8AAA", "SaleOptOut of usca is 3; an answer is 0, 1 or 2"),
        ("DBABBg~BVqqqqpY.YA.QA", "usca has two segments of type 1"),
    ] {
        assert_eq!(gpp(text).unwrap_err().to_string(), expected, "{text}");
    }
    // [java] testDecodeDefaults: a header that lists nothing is a string that says nothing.
    assert_eq!(gpp("DBAA").unwrap(), Gpp { sections: vec![] });
}
