use proptest::prelude::*;

use crate::{Phone, PhoneFault, PhoneKind, Region, Status};

fn region(code: &str) -> Option<Region> {
    (code != "001").then(|| Region::parse(code).unwrap())
}

fn form(text: &str, code: &str) -> Result<String, PhoneFault> {
    let region = (!code.is_empty()).then(|| Region::parse(code).unwrap());
    Phone::parse(text, region).map(Phone::into_normalised)
}

/// The lines of `data/phone_examples.tsv`.
fn examples() -> impl Iterator<Item = Vec<&'static str>> {
    include_str!("../../data/phone_examples.tsv").lines().skip(1).map(|line| line.split('\t').collect())
}

/// Where the metadata that is compiled in differs from that of the examples (9.0.43), line by line. A line here that
/// has come to agree fails the test as well.
const DIFFERENCES: [(&str, &str); 0] = [];

#[test]
fn every_valid_example_is_read_in_every_way_it_is_written_and_every_invalid_one_refused() {
    let (mut valid, mut invalid, mut differences) = (0, 0, Vec::new());
    for example in examples() {
        let [code, _, e164, international, national, rfc3966, kind, is_valid, of] = example[..] else {
            panic!("{example:?}")
        };
        if is_valid == "True" {
            valid += 1;
            for text in [e164, international, national, rfc3966] {
                match Phone::parse(text, region(code)) {
                    Ok(phone) => {
                        let found = phone.region().map_or("001".to_owned(), |region| region.to_string());
                        let agrees = phone.normalised() == e164
                            && found == of
                            && phone.kind().as_str() == kind_word(kind);
                        if !agrees {
                            differences.push((e164, "read otherwise"));
                        }
                    }
                    Err(_) => differences.push((e164, "refused")),
                }
            }
        } else {
            invalid += 1;
            if Phone::parse(e164, region(code)).is_ok() {
                differences.push((e164, "accepted"));
            }
        }
    }
    assert_eq!((valid, invalid), (1374, 245));
    assert_eq!(differences, DIFFERENCES);
}

fn kind_word(kind: &str) -> String {
    match kind {
        "UAN" => "universal_access".to_owned(),
        other => other.to_lowercase(),
    }
}

#[test]
fn a_number_without_a_country_code_is_read_in_its_region() {
    assert_eq!(form("(212) 555-0100", "US").as_deref(), Ok("+12125550100"));
    assert_eq!(form("030 123456", "DE").as_deref(), Ok("+4930123456"));
    assert_eq!(form("0049 (0)30 123-456", "").as_deref(), Ok("+4930123456"));
    assert_eq!(form("0049 30 123456", "US").as_deref(), Ok("+4930123456"));
    assert_eq!(form("011 49 30 123456", "US").as_deref(), Ok("+4930123456"));
    assert_eq!(form("tel:+49-30-123456", "").as_deref(), Ok("+4930123456"));
    assert_eq!(form("٠٣٠ ١٢٣٤٥٦", "DE").as_deref(), Ok("+4930123456"));
    assert_eq!(form("+39 06 6982 1234", "").as_deref(), Ok("+390669821234"), "Italy keeps its zero");
}

#[test]
fn an_extension_stays_so_that_an_office_is_not_one_person() {
    assert_eq!(form("+1 212 555 0100 ext. 12", "").as_deref(), Ok("+12125550100;ext=12"));
    assert_eq!(form("+12125550100;ext=12", "").as_deref(), Ok("+12125550100;ext=12"));
}

#[test]
fn what_cannot_be_a_number_is_told_apart() {
    for (text, code, fault) in [
        ("", "", PhoneFault::NotANumber),
        ("call me", "US", PhoneFault::NotANumber),
        ("030 123456", "", PhoneFault::NoRegion),
        ("+999 30 123456", "", PhoneFault::NoSuchCountryCode),
        ("+49 3", "", PhoneFault::TooShort),
        ("+1 212 555 0100 999", "", PhoneFault::TooLong),
        ("+1 111 555 0100", "", PhoneFault::NotInNumberingPlan),
    ] {
        assert_eq!(form(text, code), Err(fault), "{text}");
    }
    assert_eq!(Phone::parse("030 123456", None).unwrap_err().verdict().status, Status::Unknown);
    assert_eq!(Phone::parse("+1 111 555 0100", None).unwrap_err().verdict().status, Status::Invalid);
}

#[test]
fn a_plan_alone_never_calls_a_number_valid() {
    let phone = Phone::parse("+49 1512 3456789", None).unwrap();
    assert_eq!((phone.verdict().status, phone.verdict().reason), (Status::Unknown, "in_numbering_plan"));
    assert_eq!(phone.kind(), PhoneKind::Mobile);
    assert_eq!(phone.international(), "+49 1512 3456789");
    assert_eq!(format!("{phone:?}"), "Phone(<redacted>)");
}

proptest! {
    #[test]
    fn any_text_is_a_number_or_refused(text in "[0-9+() x;=.a-z/-]{0,24}|\\PC*", in_region in "US|DE|GB|IT|JP|BR|AR") {
        if let Ok(phone) = Phone::parse(&text, region(&in_region)) {
            prop_assert_ne!(phone.verdict().status, Status::Valid);
            let form = phone.into_normalised();
            prop_assert_eq!(Phone::parse(&form, None).map(Phone::into_normalised), Ok(form));
        }
    }
}
