use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{Email, EmailFault, MailboxRules, Status};

fn check(text: &str, expected: Result<&str, EmailFault>) {
    let found = Email::parse(text).map(|email| email.normalised().to_owned());
    assert_eq!(found, expected.map(str::to_owned), "{text}");
}

/// One case of isemail.
struct Case {
    address: String,
    category: String,
    diagnosis: String,
}

/// The cases of `data/isemail_tests.xml`. Its control characters are written as U+2400 and following.
fn isemail() -> Vec<Case> {
    let text = include_str!("../../data/isemail_tests.xml");
    let body = text.split_once("-->").unwrap().1;
    body.split("<test ").skip(1).map(case).collect()
}

fn case(text: &str) -> Case {
    let element = |name: &str| {
        let from = text.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        from.split_once(&format!("</{name}>")).map_or("", |(inner, _)| inner).to_owned()
    };
    let mut address = element("address");
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")] {
        address = address.replace(entity, character);
    }
    while let Some((before, rest)) = address.split_once("&#x") {
        let (code, after) = rest.split_once(';').unwrap();
        let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
        address = format!("{before}{c}{after}");
    }
    let control = |c: char| match u32::from(c) {
        code @ (0x2400..=0x241f | 0x247f) => char::from_u32(code - 0x2400).unwrap(),
        _ => c,
    };
    let address = address.replace("&amp;", "&").chars().map(control).collect();
    Case { address, category: element("category"), diagnosis: element("diagnosis") }
}

#[test]
fn isemail_errors_are_refused_and_what_it_calls_valid_is_accepted() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in isemail() {
        let (accepted, refused) = counts.entry(case.category).or_default();
        *if Email::parse(&case.address).is_ok() { accepted } else { refused } += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(category, count)| (category.as_str(), *count)).collect();
    assert_eq!(
        counts,
        [
            // Comments and folding white space belong to a message's header.
            ("ISEMAIL_CFWS", (0, 10)),
            // What RFC 5322 calls obsolete, and one `::` too many.
            ("ISEMAIL_DEPREC", (0, 20)),
            // Well formed; whether the domain has a mail server is another question.
            ("ISEMAIL_DNSWARN", (8, 0)),
            ("ISEMAIL_ERR", (0, 66)),
            // Unusual, and allowed by RFC 5321: quoted, in brackets, at a top-level domain.
            ("ISEMAIL_RFC5321", (16, 0)),
            // Too long for RFC 5321, or in brackets and no IP address.
            ("ISEMAIL_RFC5322", (0, 30)),
            ("ISEMAIL_VALID_CATEGORY", (14, 0)),
        ]
    );
}

#[test]
fn isemail_and_tessera_agree_on_what_is_wrong_with_quotes_dots_and_hyphens() {
    for case in isemail() {
        let expected: &[EmailFault] = match case.diagnosis.as_str() {
            "ISEMAIL_ERR_NODOMAIN" => &[EmailFault::NoDomain, EmailFault::NoAtSign],
            "ISEMAIL_ERR_NOLOCALPART" => &[EmailFault::NoLocalPart],
            "ISEMAIL_ERR_DOMAINHYPHENSTART" | "ISEMAIL_ERR_DOMAINHYPHENEND" => &[EmailFault::DomainHyphen],
            "ISEMAIL_ERR_UNCLOSEDQUOTEDSTR" => &[EmailFault::LocalQuote],
            "ISEMAIL_RFC5322_LABEL_TOOLONG" | "ISEMAIL_RFC5322_DOMAIN_TOOLONG" => {
                &[EmailFault::DomainTooLong]
            }
            "ISEMAIL_RFC5322_LOCAL_TOOLONG" => &[EmailFault::LocalTooLong],
            "ISEMAIL_RFC5322_TOOLONG" => &[EmailFault::TooLong, EmailFault::DomainTooLong],
            "ISEMAIL_RFC5322_DOMAINLITERAL" => &[EmailFault::DomainLiteral],
            _ => continue,
        };
        let found = Email::parse(&case.address).unwrap_err();
        assert!(expected.contains(&found), "{} is {found:?}", case.address);
    }
}

#[test]
fn one_form_stands_for_all_spellings_of_an_address() {
    check("Ada@X.org", Ok("ada@x.org"));
    check("ada@b\u{fc}cher.example", Ok("ada@xn--bcher-kva.example"));
    check("ada@BU\u{308}CHER.example", Ok("ada@xn--bcher-kva.example"));
    check("ada@XN--BCHER-KVA.example", Ok("ada@xn--bcher-kva.example"));
    check("ada@例え。jp", Ok("ada@xn--r8jz45g.jp"));
    check("Jose\u{301}@x.org", Ok("jos\u{e9}@x.org"));
    check("\"ada\"@x.org", Ok("ada@x.org"));
    check("\"\\a.d\\a\"@x.org", Ok("a.da@x.org"));
    check("\"a da\"@x.org", Ok("\"a da\"@x.org"));
    check("\"a\\\\\\\"\"@x.org", Ok("\"a\\\\\\\"\"@x.org"));
    check("ada@[IPv6:2001:DB8:0::1]", Ok("ada@[ipv6:2001:db8::1]"));
    check("ada@[192.0.2.1]", Ok("ada@[192.0.2.1]"));
}

#[test]
fn what_cannot_be_an_address_is_told_apart() {
    check("", Err(EmailFault::NoAtSign));
    check("ada", Err(EmailFault::NoAtSign));
    check(" ada@x.org", Err(EmailFault::LocalCharacter));
    check("ada lovelace@x.org", Err(EmailFault::LocalCharacter));
    check("ada\u{200b}@x.org", Err(EmailFault::LocalCharacter));
    check("ada@x.org\u{200b}.", Err(EmailFault::DomainIdn));
    check("ada@@x.org", Err(EmailFault::DomainCharacter));
    check("ada@x_y.org", Err(EmailFault::DomainCharacter));
    check("ada@x.org, bob@x.org", Err(EmailFault::DomainCharacter));
    check("ada@\u{2488}.org", Err(EmailFault::DomainIdn));
    check(&format!("{}@x.org", "é".repeat(33)), Err(EmailFault::LocalTooLong));
    check(&"x".repeat(2000), Err(EmailFault::TooLong));
}

#[test]
fn tags_and_dots_are_taken_off_only_where_the_provider_ignores_them() {
    let both = MailboxRules { strip_tags: true, strip_dots: true };
    let tags = MailboxRules { strip_tags: true, strip_dots: false };
    for (text, rules, expected) in [
        ("A.Da+shop@googlemail.com", both, "ada@gmail.com"),
        ("a.da+shop@gmail.com", tags, "a.da@gmail.com"),
        ("a.da+shop@gmail.com", MailboxRules::default(), "a.da+shop@gmail.com"),
        ("a.da+shop@outlook.com", both, "a.da@outlook.com"),
        ("ada-shop@yahoo.com", both, "ada@yahoo.com"),
        ("ada+shop@yahoo.com", both, "ada+shop@yahoo.com"),
        ("a.da+shop@example.com", both, "a.da+shop@example.com"),
        ("+shop@gmail.com", both, "+shop@gmail.com"),
        ("\"a+b\"@gmail.com", both, "a@gmail.com"),
        ("ada@ya.ru", tags, "ada@yandex.ru"),
    ] {
        let email = Email::parse(text).unwrap();
        assert_eq!(email.mailbox(rules), expected, "{text}");
    }
}

#[test]
fn syntax_alone_never_calls_an_address_valid() {
    let verdict = |text: &str| Email::parse(text).map_or_else(EmailFault::verdict, |email| email.verdict());
    for (text, status, reason) in [
        ("ada@example.com", Status::Unknown, "syntax_only"),
        ("ada@localhost", Status::Unknown, "no_dot_in_domain"),
        ("ada@[192.0.2.1]", Status::Unknown, "address_literal"),
        ("ada", Status::Invalid, "no_at_sign"),
        ("ada..l@example.com", Status::Invalid, "local_dot"),
    ] {
        let verdict = verdict(text);
        assert_eq!((verdict.status, verdict.reason), (status, reason), "{text}");
    }
    let marks = |text: &str| (verdict(text).disposable, verdict(text).role_address);
    assert_eq!(marks("ada@example.com"), (false, false));
    assert_eq!(marks("ada@mailinator.com"), (true, false));
    assert_eq!(marks("ada@mail.mailinator.com"), (true, false), "below a disposable domain");
    assert_eq!(marks("ada@mailinator.com.example"), (false, false));
    assert_eq!(marks("Info@example.com"), (false, true));
    assert_eq!(marks("no-reply@example.com"), (false, true));
    assert_eq!(marks("support+de@example.com"), (false, true));
    assert_eq!(marks("chef@example.com"), (false, false));
}

#[test]
fn debug_shows_nothing_of_an_address() {
    assert_eq!(format!("{:?}", Email::parse("ada@example.com").unwrap()), "Email(<redacted>)");
}

#[test]
fn ordinary_addresses_are_borrowed() {
    let email = Email::parse("ada.lovelace@example.com").unwrap();
    assert!(matches!(email.into_normalised(), std::borrow::Cow::Borrowed(_)));
}

/// Texts that are near addresses.
fn near_addresses() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@".to_owned()),
        Just(".".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("IPv6:1::2".to_owned()),
        "[a-zA-Z0-9+-]{1,9}",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_one_form_read_again_is_itself(text in near_addresses()) {
        if let Ok(email) = Email::parse(&text) {
            let form = email.normalised().to_owned();
            prop_assert!(form.len() <= 254 && email.local().len() <= 64 && !email.domain().is_empty());
            let again = Email::parse(&form).map(|email| email.normalised().to_owned());
            prop_assert_eq!(again, Ok(form));
        }
    }

    #[test]
    fn any_text_is_an_address_or_refused(text in "\\PC*") {
        let verdict = Email::parse(&text).map_or_else(EmailFault::verdict, |email| email.verdict());
        prop_assert_ne!(verdict.status, Status::Valid);
    }

    #[test]
    fn case_and_needless_quotes_do_not_matter(local in "[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,3}", domain in "[a-z]{1,9}\\.[a-z]{2,6}") {
        let plain = format!("{local}@{domain}");
        for other in [plain.to_uppercase(), format!("\"{local}\"@{domain}")] {
            let email = Email::parse(&other).map(|email| email.normalised().to_owned());
            prop_assert_eq!(email, Ok(plain.clone()));
        }
    }
}

#[test]
fn a_domain_where_anybody_can_have_an_address_is_public_and_a_business_domain_is_not() {
    let is_public = |text: &str| Email::parse(text).unwrap().is_public();
    for text in ["ada@gmail.com", "ada@web.de", "ada@pm.me", "ada@mail.mailinator.com"] {
        assert!(is_public(text), "{text}");
    }
    for text in ["ada@acme.example", "ada@siemens.com", "ada@notgmail.com"] {
        assert!(!is_public(text), "{text}");
    }
}
