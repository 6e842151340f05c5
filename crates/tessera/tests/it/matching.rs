//! A live matcher in the real server: who comes with a typing error is linked without a run.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Server, eventually};

const GIVEN: [&str; 12] = [
    "Ada",
    "Grace",
    "Katherine",
    "Dorothy",
    "Margaret",
    "Hedy",
    "Radia",
    "Barbara",
    "Frances",
    "Sophie",
    "Mary",
    "Annie",
];
const FAMILY: [&str; 17] = [
    "Lovelace",
    "Hopper",
    "Johnson",
    "Vaughan",
    "Hamilton",
    "Lamarr",
    "Perlman",
    "Liskov",
    "Allen",
    "Wilson",
    "Somerville",
    "Easley",
    "Keller",
    "Goldberg",
    "Borg",
    "Bartik",
    "Holberton",
];
const CITIES: [&str; 7] = ["London", "Boston", "Hampton", "Vienna", "Seattle", "Oslo", "Turin"];
/// Generous, for machines that do much at once; it usually takes some milliseconds.
const SOON: Duration = Duration::from_secs(5);

const WORKSPACE: &str = "
kind: Purpose
name: service
basis: contract
---
kind: Purpose
name: news
basis: consent
---
kind: Source
name: web
write_key: web-write-key
purposes: [service]
---
kind: Source
name: letter
write_key: letter-write-key
purposes: [news]
---
kind: Matcher
name: people
purpose: service
columns: {given: traits.given, family: traits.family, born: traits.born, city: traits.city}
link: 0.9
review: 0.5
live: true
";

fn traits(number: usize) -> Value {
    json!({
        "given": GIVEN[number % GIVEN.len()],
        "family": FAMILY[number * 5 % FAMILY.len()],
        "born": format!("19{:02}-{:02}-{:02}", 40 + number * 7 % 60, 1 + number % 12, 1 + number * 11 % 28),
        "city": CITIES[number * 3 % CITIES.len()],
    })
}

/// The same person, as somebody else wrote them down: one letter too few.
fn again(number: usize) -> Value {
    let mut traits = traits(number);
    let family = traits["family"].as_str().unwrap().to_owned();
    traits["family"] = json!(family.split_at(family.len() - 1).0);
    traits
}

fn identify(server: &Server, key: &str, who: &str, traits: &Value) {
    let member = if who.starts_with('p') { "userId" } else { "anonymousId" };
    let body = json!({ member: who, "traits": traits });
    let request = ureq::post(format!("{}/v1/identify", server.url)).header("X-Write-Key", key);
    assert_eq!(request.send(body.to_string()).unwrap().status(), 200);
}

fn id(server: &Server, reference: &str) -> String {
    server.profile(reference, |profile| profile["id"].is_string())["id"].as_str().unwrap().to_owned()
}

fn matcher(server: &Server) -> Value {
    server.json(&["match", "list"])["matchers"][0].clone()
}

/// Sends a double of a person, and waits until the two are one. Returns how long that took.
fn comes_and_is_linked(server: &Server, number: usize) -> Duration {
    let (one, other) = (format!("user_id:p{number}"), format!("anonymous_id:new{number}"));
    #[expect(clippy::disallowed_methods, reason = "how long another process takes")]
    let sent = Instant::now();
    identify(server, "web-write-key", &format!("new{number}"), &again(number));
    eventually("the two are one", || (id(server, &one) == id(server, &other)).then_some(()));
    sent.elapsed()
}

#[test]
fn who_comes_with_a_typing_error_is_linked_at_once_and_after_a_kill_too() {
    let mut server = Server::start();
    server.apply(WORKSPACE);
    let people = (0..120).map(|number| ("userId", format!("p{number}"), traits(number)));
    // To learn from: ten are there twice.
    let doubles = (20..30).map(|number| ("anonymousId", format!("d{number}"), again(number)));
    let batch: Vec<Value> = people
        .chain(doubles)
        .map(|(member, who, traits)| json!({"type": "identify", member: who, "traits": traits}))
        .collect();
    let (status, answer) = server.post("/v1/batch", json!({ "batch": batch }).to_string());
    assert_eq!(status, 200, "{answer}");
    eventually("everybody is read", || (matcher(&server)["is_ready"] == true).then_some(()));
    server.run(&["match", "run", "--matcher", "people"]).ok();
    assert_eq!(id(&server, "user_id:p20"), id(&server, "anonymous_id:d20"));

    let took = comes_and_is_linked(&server, 7);
    assert!(took < SOON, "it took {took:?}");
    let metrics = eventually("it is counted", || {
        let text = ureq::get(format!("{}/metrics", server.url)).call().unwrap().body_mut().read_to_string();
        text.ok().filter(|text| text.contains("tessera_match_waiting_profiles 0"))
    });
    assert!(!metrics.contains("tessera_match_compared_profiles_total 0"), "{metrics}");

    // Without a basis nobody is compared, and two user ids are two people.
    identify(&server, "letter-write-key", "new8", &again(8));
    identify(&server, "web-write-key", "p900", &again(9));
    comes_and_is_linked(&server, 10);
    assert_ne!(id(&server, "user_id:p900"), id(&server, "user_id:p9"));
    let listed = server.json(&[
        "match",
        "find",
        "family=Lovelace",
        "given=Ada",
        &format!("born={}", traits(0)["born"].as_str().unwrap()),
    ]);
    assert_eq!(listed["candidates"][0]["profile"], id(&server, "user_id:p0"), "{listed}");

    server.kill();
    server.up();
    eventually("everybody is read", || (matcher(&server)["is_ready"] == true).then_some(()));
    assert_eq!(id(&server, "user_id:p7"), id(&server, "anonymous_id:new7"));
    comes_and_is_linked(&server, 11);
    server.stop();
    server.up();
    comes_and_is_linked(&server, 12);
    assert_eq!(matcher(&server)["last_run"], Value::Null, "no run was needed");
    // The log gives the same again, the model that was learned included.
    server.stop();
    assert!(server.run(&["verify"]).ok().contains("verified"));
}
