use proptest::prelude::*;

use crate::{NameFault, NameOrder, PersonName, Script, Status, are_nicknames, fold, formal_names};

/// `text => titles | given | family | suffixes`
fn check(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (text, expected) = line.split_once("=>").unwrap();
        let name = PersonName::parse(text.trim()).unwrap();
        let parts = [name.titles().join(" "), name.given(), name.family(), name.suffixes().join(" ")];
        let expected: Vec<_> = expected.split('|').map(str::trim).collect();
        assert_eq!(parts.to_vec(), expected, "{text}");
    }
}

#[test]
fn titles_given_names_family_names_and_suffixes_are_told_apart() {
    check(
        "
        Ada Lovelace                    =>              | Ada           | Lovelace          |
        Lovelace, Ada                   =>              | Ada           | Lovelace          |
        LOVELACE, Augusta Ada           =>              | Augusta Ada   | LOVELACE          |
        Dr. Ada King                    => Dr           | Ada           | King              |
        Prof. Dr. Erika Mustermann      => Prof Dr      | Erika         | Mustermann        |
        King, Dr. Martin Luther, Jr.    => Dr           | Martin Luther | King              | Jr
        Martin Luther King Jr.          =>              | Martin Luther | King              | Jr
        Smith, Jr., John                =>              | John          | Smith             | Jr
        John Smith, Ph.D., MD           =>              | John          | Smith             | PhD MD
        John Smith III                  =>              | John          | Smith             | III
        Ludwig van Beethoven            =>              | Ludwig        | van Beethoven     |
        Juan Carlos de la Cruz          =>              | Juan Carlos   | de la Cruz        |
        van der Berg, Jan               =>              | Jan           | van der Berg      |
        Sr. Juan Pérez                  => Sr           | Juan          | Pérez             |
        Al Pacino                       =>              | Al            | Pacino            |
        Yo-Yo Ma                        =>              | Yo-Yo         | Ma                |
        John F. Kennedy                 =>              | John F.       | Kennedy           |
        John \"Jack\" Kennedy           =>              | John Jack     | Kennedy           |
        Cher                            =>              | Cher          |                   |
        Иванов Иван Иванович            =>              | Иван Иванович | Иванов            |
        Иван Иванович Иванов            =>              | Иван Иванович | Иванов            |
        Αλέξης Ζορμπάς                  =>              | Αλέξης        | Ζορμπάς           |
    ",
    );
}

#[test]
fn east_asian_names_put_the_family_first() {
    check(
        "
        毛泽东      =>        | 泽东   | 毛   |
        欧阳修      =>        | 修     | 欧阳 |
        山田 太郎   =>        | 太郎   | 山田 |
        山田太郎様  => 様     | 山田太郎 |    |
        김민준      =>        | 민준   | 김   |
        남궁민      =>        | 민     | 남궁 |
        王先生      => 先生   | 王     |      |
    ",
    );
    let name = PersonName::parse("山田　太郎").unwrap();
    assert_eq!(
        (name.script(), name.order(), name.normalised().as_str()),
        (Script::Han, NameOrder::FamilyFirst, "山田 太郎")
    );
}

#[test]
fn one_form_stands_for_all_spellings_of_a_name() {
    let keys = [
        "José Núñez",
        "NÚÑEZ, JOSÉ",
        " jose   nunez ",
        "Mr. Jose\u{301} Nu\u{301}n\u{303}ez",
        "Ｊｏｓｅ Ｎｕｎｅｚ",
    ];
    for text in keys {
        assert_eq!(PersonName::parse(text).unwrap().key(), "jose nunez", "{text}");
    }
    let shown = |text: &str| PersonName::parse(text).unwrap().normalised();
    assert_eq!(shown("DR. LUDWIG VAN BEETHOVEN"), "Dr Ludwig van Beethoven");
    assert_eq!(shown("mcdonald, ronald"), "Ronald McDonald");
    assert_eq!(shown("o'brien-smith, conan"), "Conan O'Brien-Smith");
    assert_eq!(shown("bell hooks jr"), "Bell Hooks jr");
    assert_eq!(shown("Danah boyd"), "Danah boyd", "who mixes cases means it");
}

#[test]
fn folding_drops_marks_case_and_punctuation() {
    for (text, folded) in [
        ("Müller", "muller"),
        ("Straße", "strasse"),
        ("STRAẞE", "strasse"),
        ("Ærøskøbing", "aeroskobing"),
        ("O’Brien-Ñuñez", "obrien nunez"),
        ("Łukasz", "lukasz"),
        ("İstanbul", "istanbul"),
        ("Пётр", "петр"),
        ("Ζορμπάς", "ζορμπασ"),
        ("  J. R. R.  Tolkien ", "j r r tolkien"),
        ("हिन्दी", "हिन्दी"),
        ("が", "が"),
        ("", ""),
    ] {
        assert_eq!(fold(text), folded, "{text}");
    }
}

#[test]
fn what_is_no_name_is_refused_and_nothing_else() {
    for (text, fault) in [
        ("  ", NameFault::Empty),
        ("123", NameFault::NoLetters),
        ("-", NameFault::NoLetters),
        ("ada@x.org", NameFault::Address),
        ("https://x.org", NameFault::Address),
        ("N/A", NameFault::Placeholder),
        ("null", NameFault::Placeholder),
        ("Test Test", NameFault::Placeholder),
    ] {
        assert_eq!(PersonName::parse(text), Err(fault), "{text}");
    }
    for text in ["Null Island", "Ng", "X Æ A-12", "Don", "Christopher Null", "Test Ada"] {
        assert_eq!(PersonName::parse(text).unwrap().verdict().status, Status::Unknown, "{text}");
    }
}

#[test]
fn short_forms_are_known_both_ways() {
    assert!(formal_names("bill").contains(&"william"));
    for (one, other, expected) in [
        ("bill", "william", true),
        ("william", "bill", true),
        ("bill", "will", true),
        ("ada", "ada", true),
        ("zzyzx", "zzyzx", true),
        ("ada", "bill", false),
    ] {
        assert_eq!(are_nicknames(one, other), expected, "{one} {other}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_name_or_refused_and_a_key_is_folded(text in "\\PC{0,40}|[A-Za-z',. -]{0,40}|\\p{Han}{1,5}|\\p{Cyrillic}{1,20}") {
        if let Ok(name) = PersonName::parse(&text) {
            let key = name.key();
            prop_assert_eq!(fold(&key), key);
            prop_assert!(!name.normalised().is_empty());
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once.clone());
    }

    #[test]
    fn a_comma_says_the_same_as_the_order(given in "[A-Z][a-z]{3,8}", family in "[A-Z][a-z]{3,8}") {
        if let (Ok(one), Ok(other)) = (PersonName::parse(&format!("{given} {family}")), PersonName::parse(&format!("{family}, {given}"))) {
            prop_assert_eq!(one.given(), other.given());
            prop_assert_eq!(one.family(), other.family());
        }
    }
}
