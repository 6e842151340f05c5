use proptest::prelude::*;

use crate::{Address, AddressFault, AddressParts, PostalCode, PostalCodeFault, Region, Status};

fn code(region: &str, text: &str) -> Result<String, PostalCodeFault> {
    PostalCode::parse(Region::parse(region).unwrap(), text).map(|code| code.normalised().to_owned())
}

#[test]
fn a_postal_code_has_the_form_that_its_country_writes() {
    for (region, text, expected) in [
        ("DE", "10115", "10115"),
        ("DE", " D-10115 ", "10115"),
        ("GB", "ec1y8sy", "EC1Y 8SY"),
        ("GB", "EC1Y  8SY", "EC1Y 8SY"),
        ("CA", "h3z2y7", "H3Z 2Y7"),
        ("NL", "1234ab", "1234 AB"),
        ("NL", "NL-1234 AB", "1234 AB"),
        ("US", "95014", "95014"),
        ("US", "95014 1234", "95014-1234"),
        ("US", "950141234", "95014-1234"),
        ("JP", "1540023", "154-0023"),
        ("JP", "１５４－００２３", "154-0023"),
        ("BR", "40301110", "40301-110"),
        ("SE", "114 55", "11455"),
        ("CH", "CH-2544", "2544"),
        ("IE", "a65f4e2", "A65 F4E2"),
        ("AE", "any", "ANY"),
    ] {
        assert_eq!(code(region, text).as_deref(), Ok(expected), "{region} {text}");
    }
    for (region, text) in
        [("DE", "1011"), ("DE", "101155"), ("US", "ABCDE"), ("GB", "XX1 1AA"), ("LI", "9999"), ("LV", "1073")]
    {
        assert_eq!(code(region, text), Err(PostalCodeFault::Form), "{region} {text}");
    }
    assert_eq!(code("DE", " "), Err(PostalCodeFault::Empty));
}

#[test]
fn every_example_of_every_country_is_a_postal_code_there_and_its_own_one_form() {
    let mut count = 0;
    for line in include_str!("../../data/addresses.tsv").lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        for example in columns[2].split(',').filter(|example| *example != "-") {
            let form = code(columns[0], example).unwrap();
            assert_eq!(code(columns[0], &form), Ok(form.clone()), "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 432);
}

#[test]
fn an_address_is_checked_against_its_country() {
    let address = |street, postal_code, city, country| {
        Address::parse(&AddressParts { street, city, subdivision: "", postal_code, country }, None)
    };
    let berlin = address("Unter den  Linden 1", "D-10117", "Berlin", "Deutschland").unwrap();
    assert_eq!(berlin.normalised(), "Unter den Linden 1, 10117 Berlin, Germany");
    assert_eq!((berlin.verdict().status, berlin.verdict().reason), (Status::Unknown, "parts_of_country"));
    assert_eq!(format!("{berlin:?}"), "Address(<redacted>)");
    let key = |street| address(street, "10117", "BERLIN", "DE").unwrap().key();
    assert_eq!(key("Hauptstr. 5"), "hauptstrasse 5 10117 berlin de");
    assert_eq!(key("Hauptstraße 5"), key("HAUPTSTR 5"));
    assert_eq!(address("x", "10117", "", "DE").unwrap().verdict().reason, "no_city");
    assert_eq!(address("x", "", "Berlin", "DE").unwrap().verdict().reason, "no_postal_code");
    assert_eq!(address("x", "1", "y", "").unwrap().verdict().reason, "no_country");
    assert_eq!(address("x", "1", "y", "DE"), Err(AddressFault::PostalCode(PostalCodeFault::Form)));
    assert_eq!(address("x", "1", "y", "Atlantis").unwrap_err().verdict().reason, "no_such_country");
    assert_eq!(address(" ", "", "", "DE"), Err(AddressFault::Empty));
}

proptest! {
    #[test]
    fn a_postal_code_read_again_is_itself(region in "US|GB|DE|NL|JP|BR|CA|PL|SE|AE", text in "[0-9A-Za-z -]{1,9}") {
        if let Ok(form) = code(&region, &text) {
            prop_assert_eq!(code(&region, &form), Ok(form));
        }
    }
}
