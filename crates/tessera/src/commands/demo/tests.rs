//! The generator: same seed, same bytes; the truth agrees with what the server parses.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tessera_model::{
    Entrance, Event, HashKey, ParseContext, RequestId, Rules, SourceName, Timestamp, Workspace, parse_body,
};

use super::event::{Made, Source};
use super::measure::Pairs;
use super::truth::Owner;
use super::year::Year;
use super::*;

const PEOPLE: u32 = 60;

fn rules() -> Rules {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workspace.yaml");
    std::fs::write(&file, WORKSPACE).unwrap();
    let documents = yaml::read(&[file]).unwrap().documents;
    Rules::new(1, Workspace::new(documents).unwrap()).unwrap()
}

fn whole(seed: u64) -> (Year, Vec<Made>) {
    let mut year = Year::new(seed, PEOPLE);
    let mut events = Vec::new();
    while let Some(week) = year.week() {
        events.extend(week);
    }
    (year, events)
}

fn digest(events: &[Made]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for made in events {
        hasher.update(made.source.name().as_bytes()).update(made.json.as_bytes()).update(b"\n");
    }
    hasher.finalize()
}

fn parsed(rules: &Rules, made: &Made) -> Result<Event, tessera_model::Reject> {
    let key = HashKey::new([7; 32]);
    let context = ParseContext {
        rules,
        key: &key,
        source: &SourceName::parse(made.source.name()).unwrap(),
        received_at: Timestamp::from_millis(1_800_000_000_000),
        request_id: RequestId(1),
        gpc: false,
    };
    let body = Bytes::from(format!("{{\"batch\":[{}]}}", made.json));
    parse_body(&body, Entrance::Batch, &context).unwrap().remove(0)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let ((_, one), (_, again), (_, other)) = (whole(1), whole(1), whole(2));
    assert_eq!(digest(&one), digest(&again));
    assert_ne!(digest(&one), digest(&other));
}

#[test]
fn the_first_event_of_each_source_is_this() {
    let (_, events) = whole(1);
    let first =
        |source: Source| events.iter().find(|made| made.source == source).map(|made| made.json.as_str());
    let first: Vec<&str> = Source::ALL.into_iter().filter_map(first).collect();
    insta::assert_snapshot!(first.join("\n"), @r#"
    {"type":"consent","messageId":"newsletter-1-0000026","timestamp":"2025-01-06T17:03:53.581Z","consents":{"marketing.email":"refused"},"context":{"traits":{"email":"lea.beranger10@mail.example.org"}}}
    {"type":"identify","messageId":"crm-1-0000137","timestamp":"2025-01-01T11:36:02.096Z","userId":"C-100038","traits":{"first_name":"Théo","last_name":"Chérif","email":"theo38@post.example.nte","phone":"+33770000038","loyalty_card":"29000000038","address":{"street":"impasse des Tilleuls 125","postal_code":"75011","city":"Paris","country":"FR"}}}
    {"type":"page","messageId":"web-1-0000146","timestamp":"2025-01-01T10:18:59.671Z","name":"Home","properties":{"title":"Home","path":"/","url":"https://shop.example/"},"anonymousId":"d7374803-3951-45b4-b45e-59569987f8ee","context":{"library":{"name":"analytics.js","version":"1.84.3"},"locale":"ja-JP","userAgent":"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Firefox/133.0"}}
    {"type":"screen","messageId":"app-1-0000019","timestamp":"2025-01-01T16:10:07.845Z","name":"Home","anonymousId":"3dda50ef-dacd-4ec5-9f75-2b7e6746c75d","context":{"library":{"name":"analytics-kotlin","version":"1.84.3"},"locale":"pl-PL","userAgent":"TesseraShop/4.2 (Android 15)"}}
    {"type":"track","messageId":"till-1-0000175","timestamp":"2025-01-02T10:03:27.168Z","event":"Order Completed","properties":{"order_id":"R-00-8636-0054","revenue":151.8,"currency":"EUR","products":[{"product_id":"P-1002","name":"Cast-iron pan 28 cm","category":"Kitchen","price":59.0,"quantity":1,"currency":"EUR"},{"product_id":"P-1002","name":"Cast-iron pan 28 cm","category":"Kitchen","price":59.0,"quantity":1,"currency":"EUR"},{"product_id":"P-1019","name":"Merino socks","category":"Clothing","price":16.9,"quantity":2,"currency":"EUR"}],"till":4,"loyalty_card":"29000000054"}}
    {"type":"track","messageId":"callcentre-1-0000294","timestamp":"2025-01-16T15:31:02.911Z","event":"Call Logged","properties":{"reason":"delivery","note":"Parcel not arrived, carrier says delivered. Promised an answer by tomorrow.","duration_seconds":217,"agent":"agent-5"},"context":{"traits":{"phone":"004877000-0000"}}}
    "#);
}

#[test]
fn the_workspace_is_valid_and_has_every_source() {
    let rules = rules();
    for source in Source::ALL {
        assert!(rules.source(&SourceName::parse(source.name()).unwrap()).is_some(), "{}", source.name());
    }
}

#[test]
fn every_event_parses_but_the_malformed_and_those_never_do() {
    let (rules, (_, events)) = (rules(), whole(1));
    let mut codes = BTreeSet::new();
    for made in &events {
        match (parsed(&rules, made), made.person) {
            (Ok(event), Some(_)) => assert_eq!(event.at.as_millis(), made.at, "{}", made.json),
            (Err(reject), None) => {
                codes.insert(reject.code.as_str());
            }
            (Ok(_), None) => panic!("accepted, but meant to be malformed: {}", made.json),
            (Err(reject), Some(_)) => panic!("{reject:?}: {}", made.json),
        }
    }
    assert_eq!(
        codes.into_iter().collect::<Vec<_>>(),
        ["TES-I005", "TES-I006", "TES-I007", "TES-I008", "TES-I009"]
    );
}

#[test]
fn the_truth_knows_every_identifier_as_the_server_normalises_it() {
    let (rules, (year, events)) = (rules(), whole(1));
    let mut known: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for made in &events {
        let Some(person) = made.person else { continue };
        for identified in parsed(&rules, made).unwrap().identifiers {
            let identifier = identified.identifier;
            let name = format!("{}:{}", identifier.namespace(), identifier.value());
            known.entry(name).or_default().insert(person);
        }
    }
    for (identifier, people) in &known {
        match year.truth().owner(identifier) {
            // Somebody else's address on one's row: the address is still its owner's.
            Some(Owner::One(owner)) => {
                assert!(
                    people.len() == 1 && people.contains(&owner) || identifier.starts_with("email:"),
                    "{identifier}"
                );
            }
            Some(Owner::Shared) => assert!(!identifier.starts_with("user_id:"), "{identifier}"),
            None => panic!("{identifier} is on an event, but the truth does not know it"),
        }
    }
    assert!(year.truth().owners().map(|(name, _)| name).eq(known.keys().map(String::as_str)));
}

#[test]
fn a_year_has_something_of_everything() {
    let (year, events) = whole(1);
    let has = |text: &str| events.iter().any(|made| made.json.contains(text));
    for text in [
        "\"Order Completed\"",
        "\"Call Logged\"",
        "\"given\"",
        "\"refused\"",
        "\"withdrawn\"",
        "\"groupId\"",
        "\"screen\"",
        "externalIds",
        "\"loyalty_card\"",
    ] {
        assert!(has(text), "{text}");
    }
    assert!(year.truth().owners().any(|(_, owner)| owner == Owner::Shared));
    let distinct: BTreeSet<&str> = events.iter().map(|made| made.json.as_str()).collect();
    assert!(distinct.len() < events.len(), "some events are repeated");
}

#[test]
fn what_shared_identifiers_alone_connect_is_not_reachable() {
    use super::truth::{Claim, Truth};
    let mut truth = Truth::default();
    let event = |claims: &[(&str, u32)]| -> Vec<Claim> {
        claims.iter().map(|(identifier, person)| Claim::new("x", identifier, *person)).collect()
    };
    truth.learn(&event(&[("a1", 1), ("a2", 1)]));
    truth.learn(&event(&[("a3", 1), ("tablet", 1)]));
    truth.learn(&event(&[("a1", 1), ("tablet", 1)]));
    truth.learn(&event(&[("b1", 2), ("tablet", 2)]));
    truth.learn(&event(&[("b1", 2), ("a1", 1)]));
    let group = truth.reachable();
    assert_eq!(group["x:a1"], group["x:a2"]);
    assert_ne!(group["x:a1"], group["x:a3"]);
    assert_ne!(group["x:a1"], group["x:b1"]);
    assert_eq!(truth.owner("x:tablet"), Some(Owner::Shared));
    assert_eq!(truth.owner("x:nobody"), None);
}

fn demo() -> Demo {
    Demo { seed: 1, people: PEOPLE, listen: SocketAddr::from(([127, 0, 0, 1], 0)), no_serve: true }
}

#[test]
fn a_folder_of_somebody_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.txt"), "mine").unwrap();
    let error = demo().claim(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not made by `tessera demo`"), "{error}");
    assert!(!marker_file(folder.path()).exists());
}

#[test]
fn a_folder_made_by_a_demo_goes_on_with_its_own_seed() {
    let folder = tempfile::tempdir().unwrap();
    let first = demo().claim(folder.path()).unwrap();
    let again = Demo { seed: 9, ..demo() }.claim(folder.path()).unwrap();
    assert_eq!(first, again);
}

#[test]
fn unification_is_measured_over_identifiers_of_one_person_alone() {
    use super::load::Listed;
    use super::truth::{Claim, Truth};
    let mut truth = Truth::default();
    let claim = |identifier: &str, person| Claim::new("x", identifier, person);
    truth.learn(&[claim("a1", 1), claim("a2", 1)]);
    truth.learn(&[claim("b1", 2), claim("tablet", 2)]);
    truth.learn(&[claim("a1", 1), claim("tablet", 1)]);
    truth.learn(&[claim("p", 10)]);
    let listed = |identifiers: &[&str]| Listed {
        identifiers: identifiers.iter().map(|one| format!("x:{one}")).collect(),
        is_in_account: false,
        has_consent: false,
    };
    let unified = Unified::of(&truth, &[listed(&["a1", "b1", "tablet"]), listed(&["p"])], 10);
    assert_eq!(
        (unified.people, unified.passers_by, unified.measured, unified.shared, unified.unseen),
        (2, 1, 4, 1, 1)
    );
    assert_eq!(unified.pairs, Pairs { found: 1, real: 1, right: 0 });
    assert_eq!(unified.reachable, Pairs { found: 1, real: 1, right: 1 });
}
