use crate::{Region, Status};

#[test]
fn countries_are_found_by_code_and_by_name_in_many_languages() {
    for (text, expected) in [
        ("DE", "DE"),
        ("de", "DE"),
        ("DEU", "DE"),
        ("276", "DE"),
        ("Germany", "DE"),
        ("deutschland", "DE"),
        (" ALLEMAGNE ", "DE"),
        ("Espana", "ES"),
        ("España", "ES"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("UK", "GB"),
        ("Côte d’Ivoire", "CI"),
        ("Cote d'Ivoire", "CI"),
        ("日本", "JP"),
        ("Россия", "RU"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("XK", "XK"),
    ] {
        assert_eq!(Region::find(text).map(|region| region.to_string()), Ok(expected.to_owned()), "{text}");
    }
    for text in ["", "XX", "ZZ", "EU", "Deutschlandia", "999", "Kongo"] {
        assert!(Region::find(text).is_err(), "{text}");
    }
    let germany = Region::find("Germany").unwrap();
    assert_eq!(
        (germany.name(), germany.alpha3(), germany.verdict().status),
        ("Germany", Some("DEU"), Status::Valid)
    );
}

#[test]
fn every_country_is_found_by_its_own_codes_and_english_name() {
    let lines = include_str!("../../data/countries.tsv").lines().filter(|line| !line.starts_with('#'));
    let codes: Vec<&str> = lines.map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(codes.len(), 252);
    assert!(codes.is_sorted());
    for code in codes {
        let region = Region::parse(code).unwrap();
        assert_eq!(Region::find(region.name()), Ok(region), "{code}");
        assert!(region.alpha3().is_none_or(|alpha3| Region::find(alpha3) == Ok(region)), "{code}");
    }
}
