//! Surveys of small made-up crowds, and what must always hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tessera_model::Timestamp;

use crate::duplicates::Groups;
use crate::kind::{Kind, Look, look};
use crate::shape::shape;
use crate::values::Values;
use crate::{
    Audit, DuplicateKey, FieldReport, FindingKind, Person, Record, Report, Said, Severity, Survey, Usage,
    falls, html,
};

const NOW: i64 = 1_767_225_600_000;
const DAY: i64 = 86_400_000;

/// Source, trait, value as JSON text, days ago.
type Word = (&'static str, &'static str, String, i64);

fn survey_of(people: &[Vec<Word>]) -> Survey {
    let mut survey = Survey::new(Timestamp::from_millis(NOW), (1, 2));
    add(&mut survey, people, 0);
    survey
}

fn add(survey: &mut Survey, people: &[Vec<Word>], first: usize) {
    for (n, words) in people.iter().enumerate() {
        let mut records: BTreeMap<&str, Vec<Said<'_>>> = BTreeMap::new();
        for (source, name, value, days) in words {
            let said = Said { name, value, at: Timestamp::from_millis(NOW - days * DAY) };
            records.entry(source).or_default().push(said);
        }
        let mut id = [0; 16];
        id[8..].copy_from_slice(&u64::try_from(n + first).unwrap().to_be_bytes());
        survey.add(&Person {
            id,
            records: records.into_iter().map(|(source, words)| Record { source, words }).collect(),
            survivors: words.iter().map(|(_, name, value, _)| (*name, value.as_str())).collect(),
            last_seen_at: Timestamp::from_millis(
                NOW - words.iter().map(|word| word.3).min().unwrap_or(0) * DAY,
            ),
            is_known: true,
            is_usable: !words.is_empty(),
            is_unsubscribed: false,
            is_bounced: false,
        });
    }
}

fn report_of(people: &[Vec<Word>]) -> Report {
    survey_of(people).report(&Usage::default())
}

fn field<'r>(report: &'r Report, source: &str, path: &str) -> &'r FieldReport {
    let source = report.sources.iter().find(|one| one.source == source).unwrap();
    source.fields.iter().find(|one| one.path == path).unwrap()
}

fn has(report: &Report, kind: FindingKind, field: &str) -> bool {
    report.findings.iter().any(|one| one.kind == kind && one.field.as_deref() == Some(field))
}

fn text(value: &str) -> String {
    json!(value).to_string()
}

/// A hundred people of whom the web form knows little and the CRM more.
fn crowd() -> Vec<Vec<Word>> {
    let letters = |n: usize| -> String {
        [n / 26 % 26, n % 26].iter().map(|n| char::from(b'a' + u8::try_from(*n).unwrap())).collect()
    };
    (0..100)
        .map(|n| {
            let mail = match n {
                0..5 => "not an address".to_owned(),
                5 | 6 => "shared@shop.co.uk".to_owned(),
                7..10 => format!("{}@example.com", letters(n)),
                _ => format!("{}.{}@shop.co.uk", letters(n), letters(n * 7)),
            };
            let born = if n < 10 { "10/12/1985" } else { "1985-12-10" };
            let mut words = vec![
                ("crm", "email", text(&mail), 400),
                ("crm", "city", text(if n < 20 { "Ur" } else { "Uruk" }), 3),
                ("crm", "plan", text(&format!("plan-{n}")), 3),
                ("crm", "joined", text(born), 3),
                ("crm", "phone", text(if n < 40 { "+493012345678" } else { "n/a" }), 3),
            ];
            if n % 2 == 0 {
                words.push(("web", "city", text("uruk "), 1));
                words.push((
                    "web",
                    "address",
                    json!({"street": format!("{} Road", letters(n)), "zip": null}).to_string(),
                    1,
                ));
            }
            words
        })
        .collect()
}

#[test]
fn each_dimension_is_the_share_that_it_says() {
    let report = report_of(&crowd());
    let email = field(&report, "crm", "email");
    assert_eq!((email.filled, email.invalid, email.checked, email.test_data), (100, 5, 100, 3));
    assert_eq!(email.dimensions.completeness, Some(1.0));
    assert_eq!(email.dimensions.validity, Some(0.95));
    assert_eq!(email.dimensions.uniqueness, Some(0.95), "five alike, and two");
    assert_eq!(email.dimensions.timeliness, Some(0.0), "said more than a year ago");
    assert_eq!(email.dimensions.consistency, None, "nobody else speaks on it");
    let phone = field(&report, "crm", "phone");
    assert_eq!((phone.filled, phone.placeholders), (40, 60));
    assert_eq!(phone.dimensions.completeness, Some(0.4));
    // What survives is the last word given: the web's, where it speaks.
    assert_eq!(field(&report, "crm", "city").dimensions.consistency, Some(0.8));
    assert_eq!(field(&report, "web", "city").dimensions.consistency, Some(1.0));
    assert_eq!(field(&report, "web", "address.zip").dimensions.completeness, Some(0.0));
    assert_eq!(field(&report, "web", "address.street").dimensions.completeness, Some(1.0));
    let city = report.traits.iter().find(|one| one.name == "city").unwrap();
    assert_eq!((city.compared, city.conflicting), (50, 10));
    assert_eq!(
        (report.contacts.people, report.contacts.with_email, report.contacts.with_phone),
        (100, 95, 40)
    );
}

#[test]
fn what_is_wrong_is_found_with_what_to_do() {
    let report = report_of(&crowd());
    for (kind, path) in [
        (FindingKind::Invalid, "traits.email"),
        (FindingKind::TestData, "traits.email"),
        (FindingKind::Placeholders, "traits.phone"),
        (FindingKind::Uniform, "traits.phone"),
        (FindingKind::MixedFormats, "traits.joined"),
        (FindingKind::CountedUp, "traits.plan"),
        (FindingKind::Conflicting, "traits.city"),
    ] {
        assert!(has(&report, kind, path), "{kind:?} {path}: {:#?}", report.findings);
    }
    assert!(report.findings.iter().all(|one| !one.advice.is_empty() && one.count <= one.of.max(one.count)));
    assert!(report.findings.is_sorted_by_key(|one| one.severity));
    let email = report.duplicates.iter().find(|one| one.key == DuplicateKey::Email).unwrap();
    assert_eq!((email.surplus, email.groups, email.largest), (1, 1, 2));
    assert_eq!(email.pairs[0].a, "00000000000000000000000000000005");
    assert!(!has(&report, FindingKind::CountedUp, "traits.city"));
}

#[test]
fn what_is_known_from_elsewhere_is_told() {
    let used = Usage {
        used: Some(["traits.email".to_owned(), "traits.address".to_owned()].into()),
        violations: [("web".to_owned(), 7)].into(),
    };
    let report = survey_of(&crowd()).report(&used);
    assert!(has(&report, FindingKind::Unused, "traits.plan"));
    let violations: Vec<_> =
        report.findings.iter().filter(|one| one.kind == FindingKind::Violations).collect();
    assert!(matches!(violations[..], [one] if one.count == 7 && one.source.as_deref() == Some("web")));
    assert!(
        !has(&report, FindingKind::Unused, "traits.email")
            && !has(&report, FindingKind::Unused, "traits.address.street")
    );
}

#[test]
fn too_little_data_has_no_score_and_is_said_to_be_too_little() {
    let report = report_of(&crowd()[..20]);
    assert_eq!((report.score, report.sources[0].score), (None, None));
    let kinds: Vec<FindingKind> =
        report.findings.iter().filter(|one| one.source.is_some()).map(|one| one.kind).collect();
    assert_eq!(kinds, [FindingKind::Small, FindingKind::Small]);
    assert!(report_of(&crowd()).score.is_some());
    assert_eq!(report_of(&[]).score, None);
}

#[test]
fn shapes_show_what_values_look_like_and_not_what_they_are() {
    for (value, expected) in [
        ("Ada.King+news@example.com", "Aaa.Aaa+aaa@aaa.aaa"),
        ("1985-12-10", "9999-99-99"),
        ("+49 30 1234567", "+99 99 9+"),
        ("GOLD", "AAA"),
        ("x", "aaa"),
        ("Źródło ☂", "Aaa ?"),
        ("a-b-c-d-e-f-g-h", "aaa-aaa-aaa-aaa-aaa-..."),
    ] {
        assert_eq!(shape(value), expected, "{value}");
    }
    // A shape that few share would tell who they are.
    let report = report_of(&crowd());
    let shapes: Vec<&str> =
        field(&report, "crm", "email").shapes.iter().map(|one| one.shape.as_str()).collect();
    assert_eq!(shapes, ["aaa.aaa@aaa.aaa.aaa"]);
}

#[test]
fn values_are_told_apart_by_what_their_field_holds() {
    let now = Timestamp::from_millis(NOW);
    for (kind, value, expected) in [
        (Kind::Email, "Ada@Shop.co.uk", "possible"),
        (Kind::Email, "ada@", "invalid"),
        (Kind::Email, "test3@shop.co.uk", "test"),
        (Kind::Email, "ada@mail.example.org", "test"),
        (Kind::Email, "-", "placeholder"),
        (Kind::Phone, "+49 30 12345678", "possible"),
        (Kind::Phone, "+49", "invalid"),
        (Kind::Phone, "030 12345678", "possible"),
        (Kind::Phone, "1111111111", "test"),
        (Kind::Phone, "0000000000", "invalid"),
        (Kind::Phone, "call me maybe", "invalid"),
        (Kind::BirthDate, "1985-12-10", "possible"),
        (Kind::BirthDate, "2085-12-10", "invalid"),
        (Kind::BirthDate, "1785-12-10", "invalid"),
        (Kind::BirthDate, "10 Dec", "invalid"),
        (Kind::Name, "Ada Lovelace", "possible"),
        (Kind::Name, "John Doe", "test"),
        (Kind::Other, "Unknown", "placeholder"),
        (Kind::Other, "gold", "open"),
    ] {
        let told = match look(kind, value, now) {
            Look::Placeholder => "placeholder",
            Look::Invalid => "invalid",
            Look::Possible { is_test: true, .. } => "test",
            Look::Possible { .. } => "possible",
            Look::Open => "open",
        };
        assert_eq!(told, expected, "{kind:?} {value}");
    }
}

#[test]
fn a_score_that_falls_is_told_and_one_that_rises_or_begins_is_not() {
    let audit = |score: Option<f64>, crm: Option<f64>| {
        let mut audit = Audit::from(&report_of(&crowd()));
        audit.score = score;
        audit.sources.get_mut("crm").unwrap().score = crm;
        audit
    };
    let before = audit(Some(90.0), Some(95.0));
    assert!(falls(&before, &audit(Some(86.0), Some(96.0)), 5.0).is_empty());
    assert!(falls(&before, &audit(None, None), 5.0).is_empty());
    assert!(falls(&audit(None, None), &before, 5.0).is_empty());
    let fell = falls(&before, &audit(Some(84.9), Some(89.9)), 5.0);
    let told: Vec<_> = fell.iter().map(|one| (one.source.as_deref(), one.before, one.after)).collect();
    assert_eq!(told, [(None, 90.0, 84.9), (Some("crm"), 95.0, 89.9)]);
}

#[test]
fn an_audit_reads_back_as_it_was_kept() {
    let audit = Audit::from(&report_of(&crowd()));
    let text = serde_json::to_string(&audit).unwrap();
    assert_eq!(serde_json::from_str::<Audit>(&text).unwrap(), audit);
    assert!(audit.findings[Severity::High as usize] > 0);
}

#[test]
fn the_page_stands_alone_and_every_text_stays_text() {
    let mut report = report_of(&crowd());
    report.sources[0].source = "<script>alert(1)</script>".to_owned();
    report.sources[0].fields[0].path = "\"><img src=x>".to_owned();
    let audit = Audit::from(&report);
    let later = Audit { at: Timestamp::from_millis(NOW + DAY), score: Some(12.0), ..audit.clone() };
    let page = html(&report, &[audit, later]);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("://"), "{page}");
    assert!(
        page.contains("&lt;script&gt;") && page.contains("<polyline") && page.contains("default-src 'none'")
    );
    for tag in ["svg", "table", "tr", "td", "div", "details", "main"] {
        assert_eq!(
            page.matches(&format!("<{tag}")).count(),
            page.matches(&format!("</{tag}>")).count(),
            "{tag}"
        );
    }
}

#[test]
fn nothing_that_anybody_said_is_in_report_or_page() {
    let canaries = |n: usize| {
        vec![
            ("crm", "email", text(&format!("canary{n}@canaries.net")), 1),
            ("crm", "name", text("Canary Canaria"), 1),
            ("crm", "note", json!({"deep": {"er": {"than": "canary"}}}).to_string(), 1),
            ("crm", "phone", text("+493099887766"), 1),
        ]
    };
    let report = report_of(&(0..50).map(canaries).collect::<Vec<_>>());
    let told = serde_json::to_string(&report).unwrap() + &html(&report, &[]);
    for value in ["canar", "99887766", "than"] {
        assert!(!told.to_lowercase().contains(value), "{value}");
    }
    assert!(!format!("{:?}", Said { name: "n", value: "canary", at: Timestamp::MIN }).contains("canary"));
}

fn people() -> impl Strategy<Value = Vec<Vec<Word>>> {
    let source = prop::sample::select(vec!["crm", "web", "shop"]);
    let name = prop::sample::select(vec!["email", "phone", "city", "birthday", "name", "extra"]);
    let value = prop_oneof![
        "[a-c]{1,2}@[xy]\\.de".prop_map(|value| text(&value)),
        "[0-9]{1,3}".prop_map(|value| value.trim_start_matches('0').parse::<u16>().unwrap_or(0).to_string()),
        Just("null".to_owned()),
        Just(text("Ada King")),
        Just(text("1985-12-10")),
        Just(json!({"a": [1], "b": {"c": "x"}}).to_string()),
    ];
    let word = (source, name, value, 0_i64..900);
    prop::collection::vec(prop::collection::vec(word, 0..6), 0..60)
}

fn told(survey: &Survey) -> String {
    serde_json::to_string(&survey.report(&Usage::default())).unwrap()
}

proptest! {
    #[test]
    fn a_survey_does_not_depend_on_order_nor_on_how_it_was_put_together(
        (people, shuffled) in people().prop_flat_map(|people| {
            let numbered: Vec<_> = people.into_iter().enumerate().collect();
            (Just(numbered.clone()), Just(numbered).prop_shuffle())
        }),
        cut in 0_usize..60,
    ) {
        let of = |people: &[(usize, Vec<Word>)]| {
            let mut survey = survey_of(&[]);
            people.iter().for_each(|(n, words)| add(&mut survey, std::slice::from_ref(words), *n));
            survey
        };
        let whole = of(&people);
        let (one, other) = shuffled.split_at(cut.min(shuffled.len()));
        let mut merged = of(other);
        merged.merge(&of(one));
        prop_assert_eq!(told(&whole), told(&of(&shuffled)));
        prop_assert_eq!(told(&whole), told(&merged));
    }

    #[test]
    fn distinct_values_are_counted_exactly_while_few_and_closely_when_many(
        distinct in 1_u64..3000, repeats in 0_u64..2000, cut in 0_u64..3000,
    ) {
        let hash = |n: u64| crate::field::Counting { now: Timestamp::MIN, seed: (3, 4) }.hash(&n.to_string());
        let (mut whole, mut first, mut second) = (Values::default(), Values::default(), Values::default());
        let all = (0..distinct).chain(std::iter::repeat_n(0, usize::try_from(repeats).unwrap()));
        for (n, value) in (0_u64..).zip(all) {
            whole.add(hash(value));
            if n < cut { first.add(hash(value)) } else { second.add(hash(value)) }
        }
        let off = whole.distinct().abs_diff(distinct);
        prop_assert!(if distinct <= 256 { off == 0 } else { off * 10 <= distinct }, "{} of {distinct}", whole.distinct());
        let slack = if distinct <= 256 { 0 } else { 12 };
        prop_assert!(whole.most_frequent().abs_diff(repeats + 1) <= slack, "{} of {repeats}", whole.most_frequent());
        second.merge(&first);
        prop_assert_eq!((whole.count(), whole.distinct(), whole.most_frequent()), (second.count(), second.distinct(), second.most_frequent()));
    }

    #[test]
    fn groups_beyond_the_limit_are_estimated_and_order_does_not_show(
        hashes in prop::collection::vec(any::<u64>(), 1..200), limit in 4_usize..64, cut in 0_usize..200,
    ) {
        // Each key is had by two people, every fourth by three.
        let had: Vec<(u64, [u8; 16])> = hashes
            .iter()
            .enumerate()
            .flat_map(|(n, hash)| {
                let people = if n % 4 == 0 { 3 } else { 2 };
                (0..people).map(move |p| (*hash, (u128::try_from(n).unwrap() * 8 + p).to_be_bytes()))
            })
            .collect();
        let of = |had: &[(u64, [u8; 16])]| {
            let mut groups = Groups::of_at_most(limit);
            had.iter().for_each(|(hash, id)| groups.add(*hash, *id));
            groups
        };
        let whole = of(&had).report(DuplicateKey::Email);
        let backwards: Vec<_> = had.iter().rev().copied().collect();
        prop_assert_eq!(&whole, &of(&backwards).report(DuplicateKey::Email));
        let (one, other) = had.split_at(cut.min(had.len()));
        let mut merged = of(one);
        merged.merge(&of(other));
        prop_assert_eq!(&whole, &merged.report(DuplicateKey::Email));
        if !whole.is_estimate {
            prop_assert_eq!(whole.groups, u64::try_from(hashes.len()).unwrap());
        }
    }
}
