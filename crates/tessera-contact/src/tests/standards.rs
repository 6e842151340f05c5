use crate::{Currency, CurrencyFault, Language, LanguageFault, Status};

#[test]
fn languages_are_found_by_code_locale_and_name() {
    for (text, expected) in [
        ("de", "de"),
        ("DE", "de"),
        ("deu", "de"),
        ("ger", "de"),
        ("de-AT", "de"),
        ("de_AT.UTF-8", "de"),
        ("German", "de"),
        ("deutsch", "de"),
        ("allemand", "de"),
        ("日本語", "ja"),
        ("gsw", "gsw"),
        ("zh-Hant-TW", "zh"),
    ] {
        assert_eq!(Language::find(text).map(|language| language.as_str()), Ok(expected), "{text}");
    }
    for text in ["", "xx", "qqq", "Klingonese"] {
        assert_eq!(Language::find(text), Err(LanguageFault), "{text}");
    }
    let german = Language::find("de").unwrap();
    assert_eq!((german.name(), german.verdict().status), ("German", Status::Valid));
}

#[test]
fn currencies_are_found_by_code_and_name_and_those_no_longer_tender_are_told() {
    for (text, expected) in [
        ("EUR", "EUR"),
        ("eur", "EUR"),
        ("€", "EUR"),
        ("US Dollar", "USD"),
        ("US-Dollar", "USD"),
        ("円", "JPY"),
    ] {
        assert_eq!(
            Currency::find(text).map(|currency| currency.as_str()).ok(),
            (text != "円").then_some(expected),
            "{text}"
        );
    }
    for text in ["", "EURO DOLLAR", "ZZZ"] {
        assert_eq!(Currency::find(text), Err(CurrencyFault), "{text}");
    }
    let verdict = |text| Currency::find(text).unwrap().verdict();
    assert_eq!(verdict("EUR").status, Status::Valid);
    assert_eq!((verdict("DEM").status, verdict("DEM").reason), (Status::Unknown, "not_tender"));
}
