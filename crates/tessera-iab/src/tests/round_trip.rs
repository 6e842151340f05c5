//! What the encoder of the tests writes, the decoder reads.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::encoder::{Writer, header};
use crate::us::LAYOUTS;
use crate::{Answer, Content, RestrictionKind, TcfVersion, gpp, tcf};

/// Mostly small ids with neighbours, as real strings have, and now and then a large one.
fn vendor_ids() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::btree_set(prop_oneof![9 => 1_u16..900, 1 => 1_u16..=u16::MAX], 0..60)
        .prop_map(|ids: BTreeSet<u16>| ids.into_iter().collect())
}

fn numbers(count: u8) -> impl Strategy<Value = Vec<u8>> {
    subsequence((1..=count).collect::<Vec<_>>(), 0..=usize::from(count))
}

fn answer_bits(answer: Answer) -> u64 {
    match answer {
        Answer::NotApplicable => 0,
        Answer::OptedOut => 1,
        Answer::DidNotOptOut => 2,
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![Just(Answer::NotApplicable), Just(Answer::OptedOut), Just(Answer::DidNotOptOut)]
}

proptest! {
    #[test]
    fn a_tc_string_reads_as_it_was_written(
        (created, updated) in (0_u64..1 << 36, 0_u64..1 << 36),
        (cmp_id, list, policy, service_specific) in (0_u16..4096, 0_u16..4096, 0_u8..64, any::<bool>()),
        (features, consent, interest) in (numbers(12), numbers(24), numbers(24)),
        (consents, interests, disclosed) in (vendor_ids(), vendor_ids(), prop::option::of(vendor_ids())),
        restrictions in prop::collection::vec((0_u8..64, 0_u8..4, vendor_ids()), 0..4),
        (language, country) in ("[A-Z]{2}", "[A-Z]{2}"),
        (ranges, publisher) in (any::<[bool; 3]>(), prop::option::of(numbers(24))),
    ) {
        let mut core = Writer::default();
        core.int(2, 6).int(created, 36).int(updated, 36).int(u64::from(cmp_id), 12).int(7, 12).int(1, 6);
        core.letters(&language).int(u64::from(list), 12).int(u64::from(policy), 6);
        core.int(u64::from(service_specific), 1).int(0, 1).numbers(&features, 12).numbers(&consent, 24);
        core.numbers(&interest, 24).int(1, 1).letters(&country);
        core.vendors(&consents, ranges[0]).vendors(&interests, ranges[1]).int(restrictions.len() as u64, 12);
        for (purpose, kind, vendors) in &restrictions {
            core.int(u64::from(*purpose), 6).int(u64::from(*kind), 2).ranges(vendors);
        }
        let mut text = core.text();
        if let Some(publisher) = &publisher {
            let mut segment = Writer::default();
            segment.int(3, 3).numbers(publisher, 24).numbers(&[], 24).int(2, 6).int(1, 2).int(2, 2);
            text = format!("{text}.{}", segment.text());
        }
        if let Some(disclosed) = &disclosed {
            text = format!("{text}.{}", Writer::default().int(1, 3).vendors(disclosed, ranges[2]).text());
        }
        prop_assume!(text.len() <= crate::TEXT_BYTES_MAX);

        let read = tcf(&text).unwrap();
        prop_assert_eq!(read.created_at_millis, i64::try_from(created).unwrap() * 100);
        prop_assert_eq!(read.updated_at_millis, i64::try_from(updated).unwrap() * 100);
        prop_assert_eq!((read.cmp_id, read.vendor_list_version), (cmp_id, list));
        prop_assert_eq!((read.policy_version, read.is_service_specific), (policy, service_specific));
        prop_assert_eq!((&read.consent_language, &read.publisher_country), (&language, &country));
        prop_assert_eq!(read.special_feature_opt_ins.iter().collect::<Vec<_>>(), features);
        prop_assert_eq!(read.purposes_consent.iter().collect::<Vec<_>>(), consent);
        prop_assert_eq!(read.purposes_legitimate_interest.iter().collect::<Vec<_>>(), interest);
        prop_assert_eq!(read.vendor_consents.iter().collect::<Vec<_>>(), consents);
        prop_assert_eq!(read.vendor_legitimate_interests.iter().collect::<Vec<_>>(), interests);
        let read_disclosed = read.disclosed_vendors.as_ref().map(|set| set.iter().collect::<Vec<_>>());
        prop_assert_eq!(&read_disclosed, &disclosed);
        let read_publisher = read.publisher_consent.map(|one| one.purposes_consent.iter().collect::<Vec<_>>());
        prop_assert_eq!(read_publisher, publisher);
        prop_assert_eq!(read.tcf_version_as_used == TcfVersion::V2_3, service_specific && disclosed.is_some());
        let kinds = [RestrictionKind::NotAllowed, RestrictionKind::RequireConsent,
            RestrictionKind::RequireLegitimateInterest, RestrictionKind::Undefined];
        let read: Vec<_> = read.publisher_restrictions.into_iter()
            .map(|one| (one.purpose, one.kind, one.vendors.iter().collect::<Vec<_>>())).collect();
        let written: Vec<_> = restrictions.into_iter()
            .map(|(purpose, kind, vendors)| (purpose, kinds[usize::from(kind)], vendors)).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn a_vendor_set_contains_what_it_lists(ids in vendor_ids(), others in vendor_ids(), as_ranges: bool) {
        let text = format!(
            "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA.{}",
            Writer::default().int(1, 3).vendors(&ids, as_ranges).text()
        );
        prop_assume!(text.len() <= crate::TEXT_BYTES_MAX);
        let set = tcf(&text).unwrap().disclosed_vendors.unwrap();
        prop_assert_eq!(set.len() as usize, ids.len());
        prop_assert_eq!(set.is_empty(), ids.is_empty());
        for id in ids.iter().chain(&others) {
            prop_assert_eq!(set.contains(*id), ids.contains(id), "{}", id);
        }
    }

    #[test]
    fn us_answers_read_as_written_and_the_strictest_wins(
        ids in subsequence((7..=23).collect::<Vec<u16>>(), 1..=17),
        answers in prop::collection::vec((answer(), answer(), answer(), prop::option::of(any::<bool>())), 17),
    ) {
        let mut text = header(&ids);
        for (id, (sale, sharing, targeted, gpc)) in ids.iter().zip(&answers) {
            text = format!("{text}~{}", us_text(*id, [*sale, *sharing, *targeted], *gpc));
        }
        let read = gpp(&text).unwrap();
        let written = || ids.iter().zip(&answers);
        prop_assert!(read.sections.iter().map(|section| &section.id).eq(&ids));
        for (section, (_, (sale, ..))) in read.sections.iter().zip(written()) {
            prop_assert!(matches!(&section.content, Content::Us(us) if us.sale_opt_out == Some(*sale)));
        }
        let strictest = |answers: &[Answer]| {
            [Answer::OptedOut, Answer::DidNotOptOut, Answer::NotApplicable].into_iter().find(|one| answers.contains(one))
        };
        let sale: Vec<Answer> = written().map(|(_, one)| one.0).collect();
        let sharing: Vec<Answer> = written().filter(|(id, _)| **id <= 8).map(|(_, one)| one.1).collect();
        let targeted: Vec<Answer> = written().filter(|(id, _)| **id != 8).map(|(_, one)| one.2).collect();
        prop_assert_eq!(read.sale_opt_out(), strictest(&sale));
        prop_assert_eq!(read.sharing_opt_out(), strictest(&sharing));
        prop_assert_eq!(read.targeted_advertising_opt_out(), strictest(&targeted));
        let gpc: Vec<bool> = written().filter_map(|(_, one)| one.3).collect();
        prop_assert_eq!(read.gpc(), (!gpc.is_empty()).then(|| gpc.contains(&true)));
    }

    #[test]
    fn the_header_lists_any_ascending_ids(ids in prop::collection::btree_set(28_u16..2000, 0..40)) {
        let ids: Vec<u16> = ids.into_iter().collect();
        let read = gpp(&format!("{}{}", header(&ids), "~x".repeat(ids.len()))).unwrap();
        prop_assert!(read.unread().map(|section| &section.id).eq(&ids));
    }
}

/// A section by the field names of its specification, in their order.
fn us_text(id: u16, [sale, sharing, targeted]: [Answer; 3], gpc: Option<bool>) -> String {
    let (before, answers, after) = match id {
        7 => (6, vec![sale, sharing, targeted], 18),
        8 => (3, vec![sale, sharing], 15),
        9 => (3, vec![sale, targeted], 12),
        10 => (3, vec![sale, targeted], 11),
        11 | 18 => (4, vec![sale, targeted], 12),
        12 => (3, vec![sale, targeted], 14),
        13 | 14 | 20 => (3, vec![sale, targeted], 15),
        15 | 17 => (3, vec![sale, targeted], 18),
        16 | 19 | 22 | 23 => (3, vec![sale, targeted], 13),
        21 => (3, vec![sale, targeted], 19),
        _ => unreachable!("no section {id}"),
    };
    assert!(LAYOUTS.iter().any(|layout| layout.id == id));
    let mut core = Writer::default();
    core.int(1, 6);
    core.ints(1, before);
    for answer in answers {
        core.int(answer_bits(answer), 2);
    }
    core.ints(2, after);
    let gpc = gpc.map(|gpc| format!(".{}", Writer::default().int(1, 2).int(u64::from(gpc), 1).text()));
    core.text() + &gpc.unwrap_or_default()
}
