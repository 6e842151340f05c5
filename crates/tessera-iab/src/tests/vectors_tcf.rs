//! TC strings that IAB publishes, with the values that its own libraries' tests expect.
//!
//! Sources, each Apache-2.0 or CC BY 3.0: [spec] "Transparency and Consent String with Global Vendor & CMP List
//! Formats" 2.2 and 2.3, "TC String Format"; [java] `InteractiveAdvertisingBureau/iabtcf-java`, `TCStringV2Test`;
//! [gpp-java] `IABTechLab/iabgpp-java`, `TcfEuV2Test` and `GppModelTest`;
//! [tcstring] `advancedSTORE/lib_tcstring`, its unit tests of version 2; [c15t] `c15t`, its TC string corpus; [verve] Verve's developer page "IAB TCF
//! 2.3", "Example TC String Structure".

use crate::{Flaw, IabError, NumberSet, RestrictionKind, TcfVersion, VendorSet, tcf};

fn numbers(set: NumberSet) -> Vec<u8> {
    set.iter().collect()
}

fn vendors(set: &VendorSet) -> Vec<u16> {
    set.iter().collect()
}

#[test]
fn the_core_of_the_reference_test_reads_as_there() {
    // [java] testCanConstructTCModelFromBase64String
    let tcf = tcf("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA").unwrap();
    assert_eq!(tcf.created_at_millis, 1_580_058_060_000, "2020-01-26T17:01:00Z");
    assert_eq!(tcf.updated_at_millis, 1_612_285_260_000, "2021-02-02T17:01:00Z");
    assert_eq!((tcf.cmp_id, tcf.vendor_list_version, tcf.policy_version), (675, 15, 2));
    assert_eq!((tcf.consent_language.as_str(), tcf.publisher_country.as_str()), ("EN", "AA"));
    assert!(!tcf.is_service_specific);
    assert!(tcf.purpose_one_not_disclosed);
    assert_eq!(numbers(tcf.special_feature_opt_ins), [1]);
    assert_eq!(numbers(tcf.purposes_consent), [2, 10]);
    assert_eq!(numbers(tcf.purposes_legitimate_interest), [2, 9]);
    assert_eq!(tcf.tcf_version_as_used, TcfVersion::V2_0);
    assert_eq!(tcf.disclosed_vendors, None);
}

#[test]
fn vendors_in_bit_fields_read_as_in_the_reference_test() {
    // [java] testConstructConsentsFromBitFields, testCanParseDisclosedAndAllowedVendors, testCanParseAllParts
    let core = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA";
    let text = format!("{core}.IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA.cAAAAAAAITg=");
    let tcf = tcf(&text).unwrap();
    assert_eq!(numbers(tcf.purposes_consent), [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(vendors(&tcf.vendor_consents), [23, 37, 47, 48, 53, 65, 98]);
    assert_eq!(vendors(&tcf.vendor_legitimate_interests), [37, 47, 48, 53, 65, 98, 129]);
    assert_eq!(vendors(tcf.disclosed_vendors.as_ref().unwrap()), [23, 37, 47, 48, 53, 65, 98, 129]);
    assert_eq!(vendors(tcf.allowed_vendors.as_ref().unwrap()), [12, 23, 37, 47, 48, 53]);
    assert_eq!(tcf.publisher_consent.unwrap().purposes_consent.len(), 1);
}

#[test]
fn vendors_in_ranges_read_as_in_the_reference_test() {
    // [java] testCanParseRangeEncodedVendorLegitimateInterests
    let one = tcf("COv__-wOv__-wC2AAAENAPCgAAAAAAAAAAAAA_wAQA_gEBABAEAAAA").unwrap();
    assert_eq!(vendors(&one.vendor_legitimate_interests), [128]);
    // [java] testRange
    let disclosed = "IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw";
    let two =
        tcf(&format!("COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA.{disclosed}")).unwrap();
    assert_eq!(vendors(&two.vendor_consents), [702, 703]);
    let one = tcf(&format!("COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAQFfgUbABAUaAAA.{disclosed}")).unwrap();
    assert_eq!(vendors(&one.vendor_consents), [703]);
    assert!(one.disclosed_vendors.unwrap().contains(720));
}

#[test]
fn the_specifications_own_examples_can_be_read() {
    // [spec] 2.2 and 2.3: all four segments. Disclosed and allowed vendors are the same list.
    let vendors_segment = "FukWSQgAIQwgI0QEByFAAAAeIAACAIgSAAQAIAgEQACEABAAAgAQFAEAIAAAGBAAgAAAAQAIFAAMCQAAgAAQiRAEQAAAAANAAIAAggAIYQFAAARmggBC3ZCYzU2yIA";
    let text = format!(
        "COw4XqLOw4XqLAAAAAENAXCAAAAAAAAAAAAAAAAAAAAA.I{vendors_segment}.Q{vendors_segment}.YAAAAAAAAAAAAAAAAAA"
    );
    let all = tcf(&text).unwrap();
    assert_eq!((all.vendor_list_version, all.policy_version), (23, 2));
    assert!(all.vendor_consents.is_empty());
    assert_eq!(all.disclosed_vendors, all.allowed_vendors);
    // The vendors are those that [tcstring] expects of the same string.
    let disclosed = vendors(all.disclosed_vendors.as_ref().unwrap());
    assert_eq!(disclosed.first_chunk(), Some(&[2, 6, 8, 9, 12, 15, 18, 23, 37, 42]));
    assert_eq!(disclosed.last_chunk(), Some(&[719, 720, 722, 723, 725, 726, 729, 733]));
    assert_eq!(all.created_at_millis, 1_585_246_887_500);
    assert_eq!(numbers(all.publisher_consent.unwrap().purposes_consent), [0_u8; 0]);

    // [spec] 2.2: core and publisher segment.
    let publisher = tcf(
        "CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAA",
    )
    .unwrap();
    assert!(publisher.is_service_specific);
    assert!(!publisher.vendor_consents.is_empty());
    assert!(publisher.publisher_consent.is_some());
}

#[test]
fn disclosed_and_allowed_vendors_of_the_gpp_reference_test_are_434() {
    // [gpp-java] TcfEuV2Test.testDecode3
    let segment = "GLtV_T9fb2vj-_Z99_tkeYwf95y3p-wzhheMs-8NyZeH_B4Wv2MyvBX4JiQKGRgksjLBAQdtHGlcTQgBwIlViTLMYk2MjzNKJrJEilsbO2dYGD9Pn8HT3ZCY70-vv__7v3ff_3g";
    let text = format!("CPcqBNJPcqBNJNwAAAENAwCAAAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA.Q{segment}.I{segment}");
    let tcf = tcf(&text).unwrap();
    assert_eq!((tcf.cmp_id, tcf.vendor_list_version), (880, 48));
    let disclosed = tcf.disclosed_vendors.unwrap();
    assert_eq!(disclosed.len(), 434);
    assert_eq!(vendors(&disclosed).first_chunk(), Some(&[1, 2, 4, 6, 8, 10, 11, 12, 13, 14]));
    assert_eq!(vendors(&disclosed).last_chunk(), Some(&[782, 783, 784, 785, 786, 788, 789, 790, 791]));
    assert_eq!(tcf.allowed_vendors.unwrap(), disclosed);
}

#[test]
fn a_string_of_a_live_site_reads_as_in_the_gpp_reference_test() {
    // [gpp-java] TcfEuV2Test.testDecode4; numbers there count from 0.
    let text = "CPi8wgAPi8wgAAOACBENCuCoAP_AAEfAACiQJHNd_H__bX9n-f7_6ft0eY1f9_r37uQzDhfNk-8F3L_W_LwX_2E7NF36tq4KmR4ku1LBIUNtHMnUDUmxaokVrzHsak2cpzNKJ_BkknsZe2dYGF9vm5tj-QKZ7_5_d3f52T_9_9v-39z33913v3d93-_13LjdV5_9H_v9fR_b8_Kf9_5-_4v8_____3_e______8AEEggCTDVuIAuxLHAm0DCKBECMKwkKoFABBQDC0QGADg4KdlYBPrCBAAgFAEYEQIcAUYEAgAAAgCQiACQIsEAAAIgEAAIAEQiEABAwCCgAsDAIAAQDQMUQoABAkIMiAiKUwICIEggJbKhBKC6Q0wgCrLACgkRsFAAiAAAUgACAsHAMESAlYsECTFG-QAjBCgFEqFaAGGgAwABBI4RABgACCRwqADAAEEjgA";
    let tcf = tcf(text).unwrap();
    assert_eq!((tcf.cmp_id, tcf.vendor_list_version, tcf.policy_version), (14, 174, 2));
    assert!(tcf.is_service_specific);
    assert_eq!(numbers(tcf.special_feature_opt_ins), [1]);
    assert_eq!(numbers(tcf.purposes_consent), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(tcf.purposes_legitimate_interest.iter().eq([2, 6, 7, 8, 9, 10]));
    assert_eq!(tcf.publisher_country, "US");
    assert_eq!((tcf.vendor_consents.len(), tcf.vendor_legitimate_interests.len()), (772, 280));
    assert_eq!(tcf.flaw(), None, "made before policy 4 was asked for");
}

#[test]
fn vendor_consents_of_the_gpp_reference_test_read_as_there() {
    // [gpp-java] GppModelTest.testDecode1 to testDecode3, without the GPP header.
    for (text, expected) in [
        ("CPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAOAAAABAAAAA.QAAA.IAAA", &[28][..]),
        ("CPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAOwAQAOgAAAA.QAAA.IAAA", &[29]),
        ("CPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAFpQAwAAgCtAWkAAAAAAA.QAAA.IAAA", &[1, 173, 722]),
    ] {
        let tcf = tcf(text).unwrap();
        assert_eq!(vendors(&tcf.vendor_consents), expected);
        assert_eq!(tcf.created_at_millis, 1_640_995_200_000, "2022-01-01T00:00:00Z");
    }
}

#[test]
fn publisher_restrictions_read_as_in_the_reference_test() {
    // [java] testPublisherRestrictions; the same bits, here in base64url.
    let tcf = tcf("COuQACgOuQACgM-AAAENAPCAAAAAAAAAAAAAAAAAAABgoAAQAAHAAA==").unwrap();
    let restrictions: Vec<_> =
        tcf.publisher_restrictions.iter().map(|one| (one.purpose, one.kind, one.vendors.len())).collect();
    assert_eq!(
        restrictions,
        [
            (1, RestrictionKind::RequireConsent, 0),
            (2, RestrictionKind::NotAllowed, 0),
            (3, RestrictionKind::RequireLegitimateInterest, 0),
        ]
    );
}

#[test]
fn a_restriction_with_vendors_reads_as_in_the_reference_tests() {
    // [gpp-java] TcfEuV2Test.testDecode7; numbers of purposes there count from 0.
    let java = tcf("COoC-kUOoC-kUAHABAENAwCoAIAAAELAAAwIF5wAoAAgAGAvMACX_ABBAAQAFA").unwrap();
    assert_eq!(java.created_at_millis / 1000, 1_570_425_474, "2019-10-07T05:17:54Z");
    assert_eq!((java.cmp_id, java.publisher_country.as_str()), (7, "GB"));
    assert_eq!(numbers(java.purposes_legitimate_interest), [2, 7, 9, 10]);
    assert_eq!(vendors(&java.vendor_consents), [1, 2, 3, 755]);
    assert_eq!(vendors(&java.vendor_legitimate_interests), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let [restriction] = &java.publisher_restrictions[..] else { panic!("{:?}", java.publisher_restrictions) };
    assert_eq!((restriction.purpose, restriction.kind), (1, RestrictionKind::NotAllowed));
    assert_eq!(vendors(&restriction.vendors), [10]);

    // [tcstring] iab_tcf_v2_core_disclosed_allowed_vendor_publisher_meta
    let all = tcf(
        "COw4XqLOw4XqLAAAAAENAXCf-v-gAAAfwIAAACngAI8AEFABgACAA4A.IAPPwAPrwA.QAPPwAPrwA.cAEAPAAAC7gAHw4AAA",
    );
    let all = all.unwrap();
    assert_eq!(numbers(all.special_feature_opt_ins), [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
    assert_eq!(numbers(all.purposes_legitimate_interest), [12, 13, 14, 15, 16, 17, 18]);
    assert_eq!(vendors(&all.vendor_consents), [2, 3, 4, 5]);
    assert_eq!(vendors(&all.vendor_legitimate_interests), [1, 2, 3, 4]);
    let [restriction] = &all.publisher_restrictions[..] else { panic!("{:?}", all.publisher_restrictions) };
    assert_eq!((restriction.purpose, restriction.kind), (1, RestrictionKind::RequireConsent));
    assert_eq!(vendors(&restriction.vendors), [1, 2, 3, 4, 5, 6, 7]);
    let disclosed = vendors(all.disclosed_vendors.as_ref().unwrap());
    assert_eq!(disclosed, [1, 2, 3, 4, 5, 6, 19, 20, 21, 22, 23, 25, 27, 28, 29, 30]);
    let publisher = all.publisher_consent.unwrap();
    assert_eq!(numbers(publisher.purposes_consent), [1, 13, 24]);
    assert_eq!(numbers(publisher.purposes_legitimate_interest), [1, 2, 3]);
}

#[test]
fn the_worked_example_of_version_2_3_reads_as_published() {
    // [spec] 2.3, "Full TC String passing" and "TC String Format". Its values as [c15t] has them.
    let read = tcf("CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA").unwrap();
    assert_eq!(read.created_at_millis, 1_748_908_800_000, "2025-06-03T00:00:00Z");
    assert_eq!(read.updated_at_millis, read.created_at_millis);
    assert_eq!((read.cmp_id, read.vendor_list_version, read.publisher_country.as_str()), (880, 48, "DE"));
    assert!(read.is_service_specific);
    assert!(read.purposes_consent.is_empty());
    assert_eq!(vendors(&read.vendor_consents), [1, 2, 3, 4]);
    assert_eq!(vendors(read.disclosed_vendors.as_ref().unwrap()), [1, 2, 3, 4, 5, 100, 404]);
    assert_eq!(read.publisher_consent.unwrap().custom_purposes, 0);
    assert_eq!(read.tcf_version_as_used, TcfVersion::V2_3);
    // The example has policy version 2, which by its date it must not have.
    assert_eq!((read.policy_version, read.flaw()), (2, Some(Flaw::PolicyOutdated)));
}

#[test]
fn a_string_of_2026_under_policy_5_is_of_version_2_3_and_without_flaw() {
    // A vendor's example, without its publisher segment; its disclosed vendors are 1,524 zeros. No values are
    // published with it: these are of a second decoder, written for this purpose in another language.
    let disclosed = format!("IL6A{}", "A".repeat(254));
    let core = "CQd924AQd924AASACCENCNFsAP_gAEIAACiQL6QBAAGAAOANmAcAF9IAIADgAA";
    let read = tcf(&format!("{core}.{disclosed}")).unwrap();
    assert_eq!((read.cmp_id, read.policy_version), (18, 5));
    assert_eq!(read.updated_at_millis, 1_768_262_400_000, "2026-01-13T00:00:00Z");
    assert_eq!(numbers(read.purposes_consent), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(numbers(read.purposes_legitimate_interest), [2, 7]);
    assert_eq!(vendors(&read.vendor_consents), [12, 14, 435, 448]);
    assert_eq!(vendors(&read.vendor_legitimate_interests), [14]);
    assert_eq!(read.tcf_version_as_used, TcfVersion::V2_3);
    assert_eq!(read.flaw(), None);
    assert_eq!(tcf(core).unwrap().tcf_version_as_used, TcfVersion::V2_2);
}

#[test]
fn an_example_that_is_cut_is_refused() {
    // [verve]: calls the second segment "DisclosedVendors", but its type is 2, and its ranges do not fit.
    let refused =
        tcf("COsbk4AOSbk4AnWAAAENAwCgAAAAAAAAAAYgACPAAAAA.TDKO4AAqAKAGQAyqAAA.YAAAAAAAAAA").unwrap_err();
    assert_eq!(refused.to_string(), "the allowed vendors segment ends inside AllowedVendors");
}

#[test]
fn a_string_of_version_1_is_refused_by_its_version() {
    // [spec] 2.0: the macro example, a string of framework 1.
    let refused = tcf("BOPnWgIOPnWgIAAABAENAI4AAAAA0ABA").unwrap_err();
    assert_eq!(refused.to_string(), "Version of the core segment is 1; a TC string has version 2");
}

#[test]
fn flaws_follow_the_strings_own_policy_and_dates() {
    let mut read = tcf("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA").unwrap();
    assert_eq!(read.flaw(), None, "policy 2, made in 2021");
    read.updated_at_millis = 1_696_118_400_000;
    assert_eq!(read.flaw(), Some(Flaw::PolicyOutdated), "policy 2, made on 2023-10-01");
    read.policy_version = 5;
    assert_eq!(read.flaw(), Some(Flaw::NotServiceSpecific));
    read.is_service_specific = true;
    assert_eq!(read.flaw(), None);
    read.updated_at_millis = 1_772_323_200_000 - 1;
    assert_eq!(read.flaw(), None, "on 2026-02-28");
    read.updated_at_millis += 1;
    assert_eq!(read.flaw(), Some(Flaw::VendorsNotDisclosed), "on 2026-03-01");
    read.disclosed_vendors = Some(VendorSet::default());
    assert_eq!(read.flaw(), None);
}

#[test]
fn errors_name_the_part_the_field_and_the_number() {
    let core = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
    for (text, expected) in [
        (String::new(), "the core segment ends inside Version"),
        (
            core.replace("KjAC", "Kj C"),
            "the core segment has ' ' as character 16; base64url has A-Z, a-z, 0-9, `-` and `_`",
        ),
        (core.chars().take(41).collect(), "the core segment ends inside VendorLegitimateInterests"),
        (core.chars().take(43).collect(), "the core segment ends inside PubRestrictions"),
        (format!("{core}."), "a segment ends inside SegmentType"),
        (format!("{core}.IAAA.IAAA"), "the TC string has two segments of type 1"),
        (format!("{core}.IA_"), "the disclosed vendors segment ends inside DisclosedVendors"),
        ("C".repeat(16 * 1024 + 1), "the consent string has 16385 bytes; at most 16384 are read"),
    ] {
        assert_eq!(tcf(&text).unwrap_err().to_string(), expected);
    }
    assert_eq!(tcf("").unwrap_err(), IabError::Short { part: "the core segment", field: "Version" });
}

#[test]
fn debug_output_shows_no_answers() {
    let tcf = tcf("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA").unwrap();
    assert_eq!(format!("{tcf:?}"), "Tcf { cmp_id: 675, policy_version: 2, .. }");
}
