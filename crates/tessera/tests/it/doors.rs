//! Every way out, walked: what nobody permitted appears nowhere.
//!
//! Every route of `/openapi.json` and every command of `--help` is either asked here, with the token of every role, or
//! stands in a list of exceptions with its reason: who adds one has to choose. Then what destinations received is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use tessera_connect::kit::{Answer, Receiver};

use crate::doors_list::{COMMAND_EXCEPTIONS, COMMANDS, ROUTE_EXCEPTIONS, ROUTES};
use crate::server::{Server, eventually};

/// What may appear to nobody.
const FORBIDDEN: [&str; 10] = [
    // Only a purpose covers it whose consent was taken back.
    "canary-withdrawn-trait",
    "canary-withdrawn-topic",
    "canary-withdrawn-alone",
    "canary-withdrawn-mail",
    "canary-withdrawn-waiting",
    // A label that no purpose may use.
    "canary-special-trait",
    "canary-special-property",
    // Of a person who was erased.
    "canary-erased-trait",
    "canary-erased-mail",
    "canary-erased-reject",
];
/// A direct identifier: for roles that see those, with a purpose that permits it.
const DIRECT: [&str; 2] = ["canary-direct-mail", "canary-direct-name"];
/// Data for a purpose that only some accounts were granted.
const FOR_ORDERS: &str = "canary-for-orders";
/// What everybody with a purpose sees: shows that there is something to see.
const VISIBLE: &str = "visible-plan";

/// A group for each of the fields that not everybody may see.
const CIRCLES: &str = "---
kind: GroupType
name: circle
members_max: 100
by:
  - traits: {plan: text}
  - traits: {hobby: text}
  - traits: {diagnosis: text}
  - traits: {name: text}
  - identifier: email
  - email_domain: true
";

/// Audiences that look at what not everybody may see.
const AUDIENCES: &str = "---
kind: Audience
name: buyers
purpose: service
when: performed Bought or plan exists
---
kind: Audience
name: odd
purpose: service
when: hobby exists or name exists or performed Bought where total exists
";

fn workspace(hook: &str) -> String {
    format!(
        "
kind: Purpose
name: service
basis: contract
---
kind: Purpose
name: orders
basis: contract
---
kind: Purpose
name: news
basis: consent
---
kind: Source
name: web
write_key: web-write-key
purposes: [service, news, orders]
events: {{Ordered: [orders], identify: [service, news], Bought: [service, news]}}
---
kind: Source
name: letter
write_key: letter-write-key
purposes: [news]
---
kind: Field
name: traits.diagnosis
labels: [special]
---
kind: Field
name: properties.finding
labels: [special]
---
kind: Matcher
name: people
purpose: service
live: true
columns: {{plan: traits.plan, hobby: traits.hobby, diagnosis: traits.diagnosis, name: traits.name, city: traits.city}}
---
kind: Destination
name: hook
type: webhook
purpose: service
except: [traits.diagnosis, properties.finding]
config: {{url: '{hook}', secret: a-secret-of-the-test}}
---
kind: Destination
name: file
type: jsonl
purpose: service
except: [traits.diagnosis, properties.finding]
---
kind: Destination
name: newsfile
type: jsonl
purpose: news
except: [traits.diagnosis, properties.finding]
---
kind: Destination
name: dead
type: webhook
purpose: news
except: [traits.diagnosis, properties.finding]
config: {{url: 'http://127.0.0.1:9', secret: a-secret-of-the-test}}
"
    )
}

/// Posts with a source's write key; returns the answer's status.
fn post(server: &Server, key: &str, path: &str, body: &Value) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = config.new_agent().post(format!("{}{path}", server.url)).header("X-Write-Key", key);
    request.send(body.to_string()).unwrap().status().as_u16()
}

/// People with something that is forbidden, or for some alone.
fn fill(server: &Server) {
    let web = |path: &str, body: Value| assert_eq!(post(server, "web-write-key", path, &body), 200, "{body}");
    let letter =
        |path: &str, body: Value| assert_eq!(post(server, "letter-write-key", path, &body), 200, "{body}");
    // Withdrawn: `w1` has other data too, `w2` nothing else, not even an identifier that may be known.
    for (user, mail) in [("w1", "w1@x.org"), ("canary-withdrawn-alone", "canary-withdrawn-mail@x.org")] {
        letter("/v1/consent", json!({"userId": user, "consents": {"news": "given"}}));
        let traits = json!({"hobby": "canary-withdrawn-trait", "email": mail});
        letter("/v1/identify", json!({"userId": user, "traits": traits}));
        let properties = json!({"topic": "canary-withdrawn-topic"});
        letter("/v1/track", json!({"userId": user, "event": "Read", "properties": properties}));
    }
    web(
        "/v1/identify",
        json!({"userId": "w1", "traits": {"plan": VISIBLE, "diagnosis": "canary-special-trait"}}),
    );
    let properties = json!({"total": 7, "finding": "canary-special-property"});
    web("/v1/track", json!({"userId": "w1", "event": "Bought", "properties": properties}));
    web("/v1/track", json!({"userId": "w1", "event": "Ordered", "properties": {"article": FOR_ORDERS}}));
    let direct = json!({"email": "canary-direct-mail@x.org", "name": "canary-direct-name", "plan": VISIBLE});
    web("/v1/identify", json!({"userId": "d1", "traits": direct}));
    web(
        "/v1/identify",
        json!({"userId": "e1", "traits": {"email": "canary-erased-mail@x.org", "pet": "canary-erased-trait"}}),
    );
    // So many that a matcher has something to learn from.
    for number in 0..30 {
        let (name, city) = (format!("Name {}", number * 7 % 30), format!("City {}", number % 5));
        web("/v1/identify", json!({"userId": format!("m{number}"), "traits": {"name": name, "city": city}}));
    }
    // Named by the identifier that will be erased, and refused for its name.
    let refused =
        json!({"batch": [{"type": "track", "userId": "e1", "properties": {"x": "canary-erased-reject"}}]});
    assert_eq!(post(server, "web-write-key", "/v1/batch", &refused), 200);
    server.profile("user_id:w1", |profile| profile["traits"]["hobby"] == "canary-withdrawn-trait");
}

fn deliveries(server: &Server, name: &str) -> String {
    fs::read_to_string(server.data().join("deliveries").join(name)).unwrap_or_default()
}

/// Takes back, erases, and waits until it is so.
fn forbid(server: &Server) {
    // What left while it was permitted is no leak: what counts is what comes from now on.
    eventually("the file of the news has what was permitted", || {
        (deliveries(server, "newsfile.jsonl").lines().count() >= 4).then_some(())
    });
    for user in ["w1", "canary-withdrawn-alone"] {
        let body = json!({"userId": user, "consents": {"news": "withdrawn"}});
        assert_eq!(post(server, "letter-write-key", "/v1/consent", &body), 200);
    }
    server.profile("user_id:w1", |profile| profile["consents"]["news"]["status"] == "withdrawn");
    server.profile("user_id:canary-withdrawn-alone", |profile| profile["denied"].is_string());
    // Comes too late, and is denied at the gate.
    let body = json!({"userId": "w1", "event": "Read", "properties": {"topic": "canary-withdrawn-waiting"}});
    assert_eq!(post(server, "letter-write-key", "/v1/track", &body), 200);
    server.run(&["erase", "user_id:e1", "--identity", "knowledge", "--yes"]).ok();
}

/// An account of a role, and what it may see of what is not for everybody.
struct Account {
    role: &'static str,
    token: String,
    sees_direct: bool,
    sees_orders: bool,
}

fn accounts(server: &Server) -> Vec<Account> {
    let add = |role: &'static str, more: &[&str], sees_direct, sees_orders| {
        let printed = server.run(&[&["access", "add-token", role, "--role", role], more].concat()).ok();
        let token = printed.lines().find_map(|line| line.strip_prefix("token (shown once): ")).unwrap();
        Account { role, token: token.to_owned(), sees_direct, sees_orders }
    };
    let granted = ["--purpose", "service", "--purpose", "news"];
    vec![
        add("admin", &[], true, true),
        add("marketer", &granted, false, false),
        add("analyst", &granted, false, false),
        add("service_agent", &granted, true, false),
        add("privacy_officer", &[], true, true),
        add("auditor", &[], false, false),
    ]
}

impl Account {
    /// Fails when `text` shows what this account may not see.
    fn check(&self, door: &str, text: &str) {
        let direct = DIRECT.iter().filter(|_| !self.sees_direct);
        let orders = [FOR_ORDERS];
        let orders = orders.iter().filter(|_| !self.sees_orders);
        for canary in FORBIDDEN.iter().chain(direct).chain(orders) {
            assert!(!text.contains(canary), "{door} shows `{canary}` to a {}: {text}", self.role);
        }
    }
}

/// Every method and path of the API.
fn routes(server: &Server) -> BTreeSet<(String, String)> {
    let mut answer = ureq::get(format!("{}/openapi.json", server.url)).call().unwrap();
    let document: Value = answer.body_mut().read_json().unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| -> Vec<String> { item.as_object().unwrap().keys().cloned().collect() };
    let each = paths
        .iter()
        .flat_map(|(path, item)| methods(item).into_iter().map(move |method| (method, path.clone())));
    each.collect()
}

/// Every command, by its words, as `--help` names them level by level.
fn commands(server: &Server) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(words) = open.pop() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = server.run(&arguments).ok();
        let below = help.split_once("Commands:\n").map(|(_, rest)| rest).unwrap_or_default();
        let below = below.lines().take_while(|line| !line.is_empty());
        let names: Vec<&str> = below
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .collect();
        if names.is_empty() {
            found.insert(words.join(" "));
        }
        open.extend(names.into_iter().map(|name| words.iter().cloned().chain([name.to_owned()]).collect()));
    }
    found
}

/// Fails for what is in neither list, in both, or is there no more.
fn compare<T: Ord + std::fmt::Debug + Clone>(
    there: &BTreeSet<T>,
    walked: BTreeSet<T>,
    excepted: BTreeSet<T>,
) {
    let known: BTreeSet<T> = walked.union(&excepted).cloned().collect();
    let missing: Vec<&T> = there.difference(&known).collect();
    assert!(missing.is_empty(), "neither walked nor excepted in `doors_list.rs`: {missing:?}");
    let stale: Vec<&T> = known.difference(there).collect();
    assert!(stale.is_empty(), "in `doors_list.rs`, but not there any more: {stale:?}");
    let both: Vec<&T> = walked.intersection(&excepted).collect();
    assert!(both.is_empty(), "walked and excepted: {both:?}");
}

/// What a route answers, head and body.
fn ask(server: &Server, token: &str, (method, path, body): (&str, &str, &str)) -> (u16, String) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let bearer = format!("Bearer {token}");
    let url = format!("{}{path}", server.url);
    let answer = match method {
        "get" => agent.get(url).header("Authorization", bearer).call(),
        "delete" => agent.delete(url).header("Authorization", bearer).call(),
        "put" => agent.put(url).header("Authorization", bearer).send(body),
        "post" => agent.post(url).header("Authorization", bearer).send(body),
        other => panic!("no such method: {other}"),
    };
    let mut answer = answer.unwrap();
    let headers = format!("{:?}", answer.headers());
    let text = answer.body_mut().with_config().limit(1 << 28).read_to_string().unwrap();
    (answer.status().as_u16(), format!("{headers}\n{text}"))
}

/// What the list leaves open.
fn ids(server: &Server) -> BTreeMap<&'static str, String> {
    let rejects = server.json(&["reject", "list"]);
    let reject = rejects["rejects"][0]["id"].as_str().unwrap_or("1-0").to_owned();
    let profile = server.json(&["profile", "show", "user_id:w1"])["id"].as_str().unwrap().to_owned();
    let workspace = ask(server, &root(server), ("get", "/api/v1/workspace", "")).1;
    let workspace: Value = serde_json::from_str(workspace.split_once('\n').unwrap().1).unwrap();
    let documents = json!({"documents": workspace["documents"]}).to_string();
    let open = |who: &str| server.json(&["dsr", "open", "access", who])["id"].as_str().unwrap().to_owned();
    let opendsr = json!({
        "regulation": "gdpr", "subject_request_id": "0d5d1b0c-8a4e-4f0a-9f30-0a5f6c1d2e3f", "subject_request_type": "access",
        "submitted_time": "2026-01-01T00:00:00Z", "api_version": "1.0",
        "subject_identities": [{"identity_type": "email", "identity_value": "w1@x.org", "identity_format": "raw"}],
    });
    let pair = ["user_id:w1", "user_id:d1"];
    let id = |command: &[&str]| server.json(command)["id"].as_str().unwrap().to_owned();
    let review = id(&["review", "add", pair[0], pair[1]]);
    server.run(&["profile", "merge", pair[0], pair[1], "--reason", "one person"]).ok();
    let undo = id(&["undo", "--edge", pair[0], pair[1], "--reason", "two people", "--yes"]);
    BTreeMap::from([
        ("{review}", review),
        ("{undo}", undo),
        ("{reject}", reject),
        ("{profile}", profile),
        ("{documents}", documents),
        ("{request}", open("user_id:w1")),
        ("{ended}", open("user_id:d1")),
        ("{opendsr}", opendsr.to_string()),
    ])
}

fn root(server: &Server) -> String {
    fs::read_to_string(server.data().join("admin.token")).unwrap().trim().to_owned()
}

fn filled(text: &str, ids: &BTreeMap<&'static str, String>) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn world() -> (Server, Receiver) {
    let hook = Receiver::start((0..100).map(|_| Answer::status(200))).unwrap();
    let environment = vec![
        ("TESSERA_ACCESS__REQUESTS_PER_SECOND", "100000".to_owned()),
        ("TESSERA_ACCESS__BURST", "100000".to_owned()),
    ];
    let server = Server::start_in(tempfile::tempdir().unwrap(), environment);
    server.apply(&format!("{}{CIRCLES}{AUDIENCES}", workspace(&hook.url())));
    fill(&server);
    (server, hook)
}

#[test]
fn nothing_unpermitted_appears_at_any_door() {
    let (server, hook) = world();
    let accounts = accounts(&server);
    let root = root(&server);
    // What will be forbidden is there, and would be seen: the walk can fail.
    let before = ask(&server, &root, ("get", "/api/v1/profiles?limit=500", "")).1;
    for canary in
        ["canary-withdrawn-trait", "canary-withdrawn-mail", "canary-erased-trait", "canary-direct-mail"]
    {
        assert!(before.contains(canary), "`{canary}` is not there to begin with: {before}");
    }
    forbid(&server);
    let (news, from) = (deliveries(&server, "newsfile.jsonl").len(), hook.requests().len());
    let ids = ids(&server);
    let walked =
        ROUTES.iter().map(|(method, route, ..)| ((*method).to_owned(), (*route).to_owned())).collect();
    let excepted = ROUTE_EXCEPTIONS
        .iter()
        .map(|(method, route, _)| ((*method).to_owned(), (*route).to_owned()))
        .collect();
    compare(&routes(&server), walked, excepted);
    let walked = COMMANDS.iter().map(|(command, _)| (*command).to_owned()).collect();
    let excepted = COMMAND_EXCEPTIONS.iter().map(|(command, _)| (*command).to_owned()).collect();
    compare(&commands(&server), walked, excepted);
    fs::write(server.folder.path().join("rows.csv"), "user_id,plan\nz1,basic\n").unwrap();
    let mapping = "kind: Mapping\ncall: identify\nidentifiers: {user_id: user_id}\ntraits: {plan: plan}\n";
    fs::write(server.folder.path().join("rows.yaml"), mapping).unwrap();
    let plan = "kind: TrackingPlan\nname: odd\nsources: [web]\nevents:\n  identify:\n    schema: {additionalProperties: false}\n";
    fs::write(server.folder.path().join("odd-plan.yaml"), plan).unwrap();
    // While what no purpose covers any more is still there, and after it was removed.
    for is_swept in [false, true] {
        if is_swept {
            server.run(&["sweep"]).ok();
        }
        walk_routes(&server, &accounts, &ids);
        walk_commands(&server, &accounts, &ids);
        check_written(&server, &accounts[0]);
    }

    // Destinations: the permitted part of the person's data came, the rest did not.
    let more = json!({"userId": "w1", "event": "Bought", "messageId": "last", "properties": {"total": 8}});
    assert_eq!(post(&server, "web-write-key", "/v1/track", &more), 200);
    let is_last =
        || hook.requests().iter().any(|one| String::from_utf8_lossy(&one.body).contains("\"last\""));
    eventually("the webhook got the last event", || is_last().then_some(()));
    eventually("the file got the last event", || {
        deliveries(&server, "file.jsonl").contains("\"last\"").then_some(())
    });
    for request in hook.requests() {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        for canary in ["canary-withdrawn", "canary-special", FOR_ORDERS] {
            assert!(!body.contains(canary), "the webhook got `{canary}`: {body}");
        }
    }
    for request in &hook.requests()[from..] {
        assert!(!String::from_utf8_lossy(&request.body).contains("canary-erased"), "sent after the erasure");
    }
    let file = deliveries(&server, "file.jsonl");
    for canary in ["canary-withdrawn", "canary-special", "canary-erased", FOR_ORDERS] {
        assert!(!file.contains(canary), "the file got `{canary}`: {file}");
    }
    assert_eq!(
        deliveries(&server, "newsfile.jsonl").len(),
        news,
        "news went on after the consent was withdrawn"
    );
}

/// Asks every route with the token of every role.
fn walk_routes(server: &Server, accounts: &[Account], ids: &BTreeMap<&'static str, String>) {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for account in accounts {
        for (method, _, path, body) in ROUTES {
            let (path, body) = (filled(path, ids), filled(body, ids));
            let (status, text) = ask(server, &account.token, (method, &path, &body));
            assert!(status < 500 || text.contains("TES-H011"), "{method} {path}: {status} {text}");
            account.check(&format!("{method} {path}"), &text);
            let is_seen = text.contains(VISIBLE);
            assert!(status < 400 || !is_seen, "a refusal shows data: {method} {path}: {text}");
            *seen.entry((account.role, "visible")).or_default() += usize::from(is_seen);
            let is_direct = DIRECT.iter().any(|canary| text.contains(canary));
            *seen.entry((account.role, "direct")).or_default() += usize::from(is_direct);
        }
    }
    // Those who may see something did, so the walk looked in the right places.
    for role in ["admin", "marketer", "analyst", "service_agent", "privacy_officer"] {
        assert!(seen[&(role, "visible")] > 0, "a {role} saw nothing at all");
    }
    assert_eq!(seen[&("auditor", "visible")], 0);
    assert!(seen[&("privacy_officer", "direct")] > 0 && seen[&("marketer", "direct")] == 0);
}

/// Runs every command with the token of every role, for people and for programs.
fn walk_commands(server: &Server, accounts: &[Account], ids: &BTreeMap<&'static str, String>) {
    for account in accounts {
        for (command, arguments) in COMMANDS {
            let words = command.split(' ').chain(arguments.iter().copied());
            let line: Vec<String> = words.map(|word| filled(word, ids)).collect();
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            for json in [&[][..], &["--json"]] {
                let printed = server.run(&[&line[..], json, &["--token", &account.token]].concat());
                let text = format!("{}\n{}", printed.out, printed.err);
                assert!(!text.contains("Usage:"), "the list has it wrong: {line:?}: {text}");
                account.check(&line.join(" "), &text);
            }
        }
    }
}

/// Files that commands wrote.
fn check_written(server: &Server, account: &Account) {
    let mut count = 0;
    for name in ["evidence.jsonl", "records.html", "touched.csv", "odd.csv"] {
        let text = fs::read_to_string(server.folder.path().join(name)).unwrap();
        count += text.len();
        account.check(name, &text);
    }
    assert!(count > 1000);
}

#[test]
fn the_live_stream_names_nobody_and_counts_for_those_who_see_no_identifiers() {
    let (server, _hook) = world();
    for account in accounts(&server) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent.get(format!("{}/api/v1/live", server.url));
        let answer = request.header("Authorization", format!("Bearer {}", account.token)).call().unwrap();
        if answer.status() != 200 {
            assert!(["auditor", "service_agent"].contains(&account.role), "{}", account.role);
            continue;
        }
        let body =
            json!({"userId": "d1", "event": "Bought", "properties": {"article": "canary-direct-name"}});
        assert_eq!(post(&server, "web-write-key", "/v1/track", &body), 200);
        let lines = std::io::BufRead::lines(std::io::BufReader::new(answer.into_body().into_reader()));
        let data = lines.map(Result::unwrap).find(|line| line.starts_with("data: ")).unwrap();
        account.check("GET /api/v1/live", &data);
        assert!(!data.contains("canary"), "{data}");
        let notice: Value = serde_json::from_str(data.trim_start_matches("data: ")).unwrap();
        let is_counted = ["marketer", "analyst"].contains(&account.role);
        assert_eq!(notice.get("profile").is_none(), is_counted, "{}: {data}", account.role);
        assert_eq!(notice["count"], if is_counted { json!(1) } else { Value::Null });
    }
}

#[test]
fn roles_are_refused_what_would_tell_them_hidden_values() {
    let (server, _hook) = world();
    for account in accounts(&server) {
        let shown = server.run(&["profile", "show", "user_id:d1", "--token", &account.token]).out;
        let is_hidden = ["marketer", "analyst"].contains(&account.role);
        assert_eq!(shown.contains("email:(hidden)"), is_hidden, "{}: {shown}", account.role);
        let ask = |path: &str| ask(&server, &account.token, ("get", path, ""));
        let (status, text) = ask("/api/v1/profiles?trait.email=canary-direct-mail@x.org");
        match account.role {
            "admin" | "privacy_officer" => assert!(status == 200 && text.contains(DIRECT[0]), "{text}"),
            "marketer" | "analyst" => assert!(status == 403 && text.contains("TES-A009"), "{text}"),
            _ => assert!(status == 403 && text.contains("TES-A002"), "{text}"),
        }
        let (status, text) = ask("/api/v1/profiles/user_id:d1?purpose=orders");
        match account.role {
            "marketer" | "analyst" | "service_agent" => {
                assert!(status == 403 && text.contains("TES-A010"), "{text}");
            }
            _ => assert!(!text.contains("TES-A010"), "{text}"),
        }
        let (_, text) = ask("/api/v1/profiles/user_id:d1?include=events,provenance,merges");
        match account.role {
            "marketer" | "analyst" => {
                // The namespace is shown, the value is not, and no payload at all.
                assert!(text.contains(r#"{"namespace":"email"}"#) && text.contains(VISIBLE), "{text}");
                assert!(text.contains(r#""events":[{"at""#) && !text.contains(r#""event":"#), "{text}");
            }
            "admin" | "privacy_officer" | "service_agent" => {
                assert!(text.contains(DIRECT[1]) && text.contains(r#""event":"#), "{text}");
            }
            _ => assert!(text.contains("TES-A002"), "{text}"),
        }
    }
}
