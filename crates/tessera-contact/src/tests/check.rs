use proptest::prelude::*;

use crate::{CheckOptions, ContactKind, Day, Region, Status, check};

fn options() -> CheckOptions {
    CheckOptions { region: Region::parse("DE").ok(), today: Day::new(2026, 11, 22).ok() }
}

#[test]
fn every_kind_has_a_word_and_an_answer() {
    for (kind, value, status, normalised) in [
        ("email", " Ada@X.org ", Status::Unknown, Some("ada@x.org")),
        ("phone", "030 123456", Status::Unknown, Some("+4930123456")),
        ("name", "LOVELACE, ada", Status::Unknown, Some("ada LOVELACE")),
        ("address", "Hauptstr. 5", Status::Unknown, Some("Hauptstr. 5, Germany")),
        ("postal_code", "D-10115", Status::Unknown, Some("10115")),
        ("date", "28.2.1990", Status::Valid, Some("1990-02-28")),
        ("birth_date", "28.2.2030", Status::Invalid, Some("2030-02-28")),
        ("country", "Allemagne", Status::Valid, Some("DE")),
        ("language", "de-AT", Status::Valid, Some("de")),
        ("currency", "eur", Status::Valid, Some("EUR")),
    ] {
        let kind = ContactKind::parse(kind).unwrap();
        let checked = check(kind, value, &options());
        assert_eq!((checked.verdict.status, checked.normalised.as_deref()), (status, normalised), "{kind:?}");
        let empty = check(kind, " ", &options());
        assert_eq!(
            (empty.verdict.status, empty.verdict.reason, empty.normalised),
            (Status::Invalid, "empty", None)
        );
    }
}

proptest! {
    #[test]
    fn no_contact_point_is_called_valid_by_looking_at_it(text in "\\PC*") {
        for kind in [ContactKind::Email, ContactKind::Phone, ContactKind::Name, ContactKind::Address, ContactKind::PostalCode] {
            prop_assert_ne!(check(kind, &text, &options()).verdict.status, Status::Valid);
        }
    }

    #[test]
    fn any_text_of_any_kind_has_an_answer_that_quotes_nothing(text in "\\PC*") {
        for kind in ContactKind::ALL {
            let verdict = check(kind, &text, &options()).verdict;
            prop_assert!(verdict.reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        }
    }
}
