//! Words as lines of a table: source, fragment, time, value; and what survives under each rule.

use proptest::prelude::*;
use serde_json::json;
use tessera_model::{DataCategory, Json, MessageId, PurposeSet, SourceName, Trait};

use super::*;
use crate::{Fragment, Traits, WORDS_MAX};

fn basis(source: &str) -> Basis {
    let party = match source {
        "bought" => Party::Third,
        "form" => Party::Zero,
        _ => Party::First,
    };
    Basis {
        source: SourceName::parse(source).unwrap(),
        purposes: PurposeSet::default(),
        party,
        category: DataCategory::Contact,
    }
}

/// `source fragment time name value`
fn word(fragments: &mut [Fragment], line: &str) {
    let parts: Vec<&str> = line.splitn(5, ' ').collect();
    let [source, fragment, at, name, value] = parts[..] else { panic!("{line}") };
    let fragment = &mut fragments[fragment.parse::<usize>().unwrap()];
    let at = Timestamp::from_millis(at.parse().unwrap());
    let message = MessageKey::from(&MessageId::parse(&format!("{source}-{}", at.as_millis())).unwrap());
    let value = Trait { name: name.into(), value: Json::parse(value.to_owned()).unwrap() };
    fragment.rectify(&[value], &basis(source), at, message);
}

fn chosen(fragments: &[Fragment], name: &str, survivorship: &Survivorship) -> String {
    let mut words: BTreeMap<&str, Vec<Word<'_>>> = BTreeMap::new();
    for (node, fragment) in fragments.iter().enumerate() {
        for (entry, assertion) in fragment.traits.iter() {
            let basis = fragment.basis_of(assertion.basis);
            words.entry(&entry.name).or_default().push(Word { entry, assertion, basis, node });
        }
    }
    let Some(survivor) = survivor(name, &words, survivorship) else { return "nobody".to_owned() };
    format!("{} {}: {}", survivor.word.source(), survivor.word.entry.value, survivor.standing)
}

fn rule(rule: serde_json::Value) -> Survivorship {
    serde_json::from_value(rule).unwrap()
}

fn rules() -> Vec<Survivorship> {
    vec![
        rule(json!({"rule": "most_recent"})),
        rule(json!({"rule": "most_trusted_source", "sources": ["crm"], "parties": ["zero", "first"]})),
        rule(json!({"rule": "most_complete"})),
        rule(json!({"rule": "most_frequent"})),
        rule(json!({"rule": "longest"})),
        rule(json!({"rule": "verified_first"})),
    ]
}

#[track_caller]
fn check(lines: &str, expected: [&str; 6]) {
    let mut fragments = vec![Fragment::default(), Fragment::default()];
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| word(&mut fragments, line));
    for (survivorship, expected) in rules().iter().zip(expected) {
        assert_eq!(chosen(&fragments, "name", survivorship), expected, "{:?}", survivorship.rule);
    }
}

#[test]
fn each_rule_chooses_what_it_says() {
    check(
        r#"
        crm 0 1 name "Ada"
        web 0 4 name "ada "
        shop 1 2 name "Ada King Lovelace"
        form 1 3 name "Augusta-Ada-King-Lovelace"
        shop 1 2 name_verified true
        "#,
        [
            r#"web "ada ": by its time"#,
            r#"crm "Ada": number 1 in the order of trust"#,
            r#"shop "Ada King Lovelace": says 3 parts"#,
            r#"web "ada ": said by 2 of 4 records"#,
            r#"form "Augusta-Ada-King-Lovelace": 25 characters"#,
            r#"shop "Ada King Lovelace": verified by its source"#,
        ],
    );
}

#[test]
fn a_source_that_corrects_itself_has_one_word() {
    check(
        r#"
        web 0 1 name "Adelaide von Holstein"
        web 0 3 name "Ada"
        web 0 2 name "Adelaide"
        "#,
        [
            r#"web "Ada": by its time"#,
            r#"web "Ada": number 3 in the order of trust"#,
            r#"web "Ada": says 1 part"#,
            r#"web "Ada": said by 1 of 1 records"#,
            r#"web "Ada": 3 characters"#,
            r#"web "Ada": not verified by its source"#,
        ],
    );
}

#[test]
fn a_verification_holds_for_what_was_said_before_it_and_not_after() {
    check(
        r#"
        crm 0 2 name "Ada"
        crm 0 3 name_verified true
        web 0 5 name "Eve"
        web 0 4 name_verified true
        shop 1 6 name "Adam"
        web 1 7 name_verified true
        "#,
        [
            r#"shop "Adam": by its time"#,
            r#"crm "Ada": number 1 in the order of trust"#,
            r#"shop "Adam": says 1 part"#,
            r#"shop "Adam": said by 1 of 3 records"#,
            r#"shop "Adam": 4 characters"#,
            r#"crm "Ada": verified by its source"#,
        ],
    );
}

#[test]
fn a_source_that_says_there_is_none_takes_back_its_own_word_and_if_it_is_the_last_every() {
    check(
        r#"
        crm 0 1 name {"a": "x", "b": "", "c": null}
        web 0 2 name {"a": "x", "b": "y"}
        web 0 3 name null
        "#,
        [
            "web null: by its time",
            r#"crm {"a": "x", "b": "", "c": null}: number 1 in the order of trust"#,
            r#"crm {"a": "x", "b": "", "c": null}: says 1 part"#,
            r#"crm {"a": "x", "b": "", "c": null}: said by 1 of 1 records"#,
            r#"crm {"a": "x", "b": "", "c": null}: 30 characters"#,
            r#"crm {"a": "x", "b": "", "c": null}: not verified by its source"#,
        ],
    );
}

#[test]
fn what_was_put_right_stands_over_all_that_was_said_before_under_every_rule() {
    check(
        r#"
        tessera 0 5 name "Ada"
        crm 0 4 name "Adelaide"
        web 1 3 name "Adelaide von Holstein"
        form 1 2 name "Adelaide von Holstein"
        web 1 2 name_verified true
        "#,
        [
            r#"tessera "Ada": by its time"#,
            r#"tessera "Ada": number 1 in the order of trust"#,
            r#"tessera "Ada": says 1 part"#,
            r#"tessera "Ada": said by 1 of 1 records"#,
            r#"tessera "Ada": 3 characters"#,
            r#"tessera "Ada": verified by its source"#,
        ],
    );
}

#[test]
fn a_fragment_keeps_no_more_words_than_it_may_and_one_for_a_single_source() {
    let mut fragments = vec![Fragment::default()];
    for n in 0..100 {
        word(&mut fragments, &format!("web 0 {n} name \"{n}\""));
    }
    assert_eq!(fragments[0].traits.len(), 1);
    for n in 0..100 {
        word(&mut fragments, &format!("s{n} 0 {n} name \"{n}\""));
    }
    assert_eq!(fragments[0].traits.len(), WORDS_MAX);
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let source = prop::sample::select(vec!["crm", "web", "form", "bought", OFFICE]);
    let name = prop::sample::select(vec!["name", "name", "name_verified", "city"]);
    let value = prop::sample::select(vec!["true", "null", r#""ada""#, r#""Ada ""#, r#"{"a":"b c"}"#, "12"]);
    let line = (source, 0..2, 0..12, name, value)
        .prop_map(|(source, fragment, at, name, value)| format!("{source} {fragment} {at} {name} {value}"));
    prop::collection::vec(line, 1..40).prop_map(|mut lines| {
        // A source says one thing at one moment: its message.
        lines.sort();
        lines.dedup_by_key(|line| line.splitn(5, ' ').take(4).collect::<Vec<_>>().join(" "));
        lines
    })
}

/// What the words are: bases are numbered as they came, which must not show.
fn said(traits: &Traits, of: &Fragment) -> Vec<String> {
    let words = traits.iter().map(|(entry, word)| {
        let source = of.basis_of(word.basis).map(|basis| basis.source.to_string());
        format!("{} {} {} {source:?}", entry.name, entry.value, word.at)
    });
    words.collect()
}

/// The rule by its definition, over everything that was ever said.
fn naive(lines: &[String], survivorship: &Survivorship) -> String {
    let said: Vec<(String, String, i64, String, String)> = lines
        .iter()
        .map(|line| {
            let mut parts = line.splitn(5, ' ').map(str::to_owned);
            let mut next = || parts.next().unwrap();
            let (source, fragment, at) = (next(), next(), next().parse().unwrap());
            (source, fragment, at, next(), next())
        })
        .collect();
    let right =
        |name: &str| said.iter().filter(|one| one.0 == OFFICE && one.3 == name).map(|one| one.2).max();
    let stands = |one: &(String, String, i64, String, String)| {
        right(&one.3).is_none_or(|right| {
            (one.2, format!("{}-{}", one.0, one.2)) >= (right, format!("{OFFICE}-{right}"))
        })
    };
    let is_last = |one: &(String, String, i64, String, String)| {
        !said
            .iter()
            .any(|other| (&other.0, &other.1, &other.3) == (&one.0, &one.1, &one.3) && other.2 > one.2)
    };
    let candidates: Vec<_> =
        said.iter().filter(|one| one.3 == "name" && is_last(one) && stands(one)).collect();
    let text = |one: &(String, String, i64, String, String)| {
        serde_json::from_str::<String>(&one.4).unwrap_or_else(|_| one.4.clone()).trim().to_lowercase()
    };
    let score = |one: &(String, String, i64, String, String)| -> usize {
        match survivorship.rule {
            SurvivorshipRule::MostRecent => 0,
            SurvivorshipRule::MostTrustedSource => match one.0.as_str() {
                "crm" | OFFICE => 9,
                "form" => 8,
                "web" => 7,
                _ => 0,
            },
            SurvivorshipRule::MostComplete => {
                if one.4.contains("b c") {
                    2
                } else {
                    1
                }
            }
            SurvivorshipRule::MostFrequent => {
                candidates.iter().filter(|other| other.4 != "null" && text(other) == text(one)).count()
            }
            SurvivorshipRule::Longest => text(one).len(),
            SurvivorshipRule::VerifiedFirst => usize::from(
                one.0 == OFFICE
                    || said.iter().any(|other| {
                        (&other.0, &other.1) == (&one.0, &one.1)
                            && other.3 == "name_verified"
                            && is_last(other)
                            && stands(other)
                            && other.4 == "true"
                            && other.2 >= one.2
                    }),
            ),
        }
    };
    let best = candidates.iter().max_by_key(|one| {
        let says = survivorship.rule == SurvivorshipRule::MostRecent || one.4 != "null";
        (says, score(one), one.2, format!("{}-{}", one.0, one.2), one.4.clone())
    });
    best.map_or("nobody".to_owned(), |one| format!("{} {}", one.0, one.4))
}

proptest! {
    #[test]
    fn what_survives_follows_from_all_that_was_ever_said(lines in lines()) {
        let mut fragments = vec![Fragment::default(), Fragment::default()];
        lines.iter().for_each(|line| word(&mut fragments, line));
        for survivorship in rules() {
            let chosen = chosen(&fragments, "name", &survivorship);
            let expected = naive(&lines, &survivorship);
            let is_expected = chosen.starts_with(&format!("{expected}: ")) || chosen == expected;
            prop_assert!(is_expected, "{:?}: {chosen}, not {expected}", survivorship.rule);
        }
    }

    #[test]
    fn the_words_kept_do_not_depend_on_order_or_repetition(
        (lines, shuffled) in lines().prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
        repeats in 0_usize..20,
    ) {
        let mut one = vec![Fragment::default(), Fragment::default()];
        lines.iter().for_each(|line| word(&mut one, line));
        let mut other = vec![Fragment::default(), Fragment::default()];
        shuffled.iter().chain(shuffled.iter().take(repeats)).for_each(|line| word(&mut other, line));
        for (one, other) in one.iter().zip(&other) {
            prop_assert_eq!(said(&one.traits, one), said(&other.traits, other));
        }
        for survivorship in rules() {
            prop_assert_eq!(chosen(&one, "name", &survivorship), chosen(&other, "name", &survivorship));
        }

    }
}
