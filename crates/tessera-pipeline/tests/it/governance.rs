//! What the law asks of data that is kept and used, one story each.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_model::{
    ConsentOrder, ConsentStatus, Entrance, Operation, PurposeName, Record, Rules, Timestamp,
};
use tessera_pipeline::{Eraser, Mentions, for_each_due, list_rejects, load_erasures};
use tessera_store::{Log, Position, Store, Table};

use crate::world::{NOON, World, identify, track};

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

fn workspace(purposes: &[Value], sources: &[Value]) -> World {
    let mut world = World::new();
    let mut documents: Vec<_> = crate::world::workspace();
    let named = purposes.iter().map(|p| ("Purpose", p)).chain(sources.iter().map(|s| ("Source", s)));
    documents.extend(named.map(|(kind, document)| {
        let mut document = document.clone();
        document["kind"] = json!(kind);
        serde_json::from_value(document).unwrap()
    }));
    world.operate(Operation::Apply { documents });
    world
}

fn order(status: ConsentStatus, purpose: Option<&str>) -> ConsentOrder {
    ConsentOrder {
        purpose: purpose.map(|name| PurposeName::parse(name).unwrap()),
        status,
        expression: Default::default(),
        version: None,
        at: None,
        how: Some("request r1".to_owned()),
        evidence: None,
    }
}

impl World {
    fn order(&mut self, reference: &str, status: ConsentStatus, purpose: Option<&str>) {
        let fragments = vec![self.id(reference)];
        self.operate(Operation::Consents { fragments, words: vec![order(status, purpose)] });
    }

    fn expire(&mut self) {
        let mut due = Vec::new();
        let rules = self.pipeline.rules().load_full();
        for_each_due(self.store.as_ref(), &rules, self.now(), |fragments| {
            due.push(fragments);
            Ok::<_, tessera_pipeline::PipelineError>(())
        })
        .unwrap();
        due.into_iter().for_each(|fragments| self.operate(Operation::Expire { fragments }));
    }

    fn now(&self) -> Timestamp {
        use tessera_store::Clock as _;
        self.clock.now()
    }

    fn erase(&mut self, reference: &str) {
        let fragments = vec![self.id(reference)];
        self.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    }

    fn eraser(
        &self,
        folder: &std::path::Path,
    ) -> Eraser<tessera_store::MemoryLog, tessera_store::MemoryStore> {
        Eraser {
            log: Arc::clone(&self.log),
            store: Arc::clone(&self.store),
            rules: self.pipeline.rules(),
            key: self.key(),
            clock: self.clock.clone(),
            quiet: Arc::new(Mutex::new(())),
            snapshots: folder.to_owned(),
            lake: None,
        }
    }

    /// Whether any row or log record holds the text.
    fn holds(&self, text: &str) -> Vec<String> {
        let finds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let mut found = Vec::new();
        for table in Table::ALL {
            let rows = self.store.scan(table, None, usize::MAX).unwrap();
            found.extend(rows.iter().filter(|(_, value)| finds(value)).map(|(key, _)| format!("{key:?}")));
        }
        let entries = self.log.read(Position::START, usize::MAX).unwrap();
        found.extend(entries.iter().filter(|e| finds(&e.record)).map(|e| format!("log {:?}", e.position)));
        found
    }
}

#[test]
fn consent_is_read_in_every_shape_that_tools_send() {
    let purposes = [json!({"name": "ads", "basis": "legitimate_interests", "sells_or_shares": true})];
    let sources =
        [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["news", "ads", "service"],
        "tcf": {"purposes": {"1": "news"}}})];
    for (name, context, body, news, ads) in [
        ("segment", json!({"consent": {"categoryPreferences": {"news": true}}}), json!({}), "given", ""),
        (
            "mparticle",
            json!({}),
            json!({"gdpr": {"news": {"consented": true, "document": "v3"}},
            "ccpa": {"data_sale_opt_out": {"consented": true}}}),
            "given",
            "objected",
        ),
        (
            "tcf",
            json!({"consent": {"tcf": "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"}}),
            json!({}),
            "refused",
            "",
        ),
        ("gpp", json!({"consent": {"gpp": "DBABTA~1YYN"}}), json!({}), "", "objected"),
    ] {
        let mut world = workspace(&purposes, &sources);
        let mut event = track("m1", Some("ada"), None, NOON);
        event["context"] = context;
        if body != json!({}) {
            event["consent_state"] = body;
        }
        world.send("shop", &[event]);
        let consents = &world.profile("user_id:ada")["consents"];
        assert_eq!(consents["news"]["status"].as_str().unwrap_or(""), news, "{name}: {consents}");
        assert_eq!(consents["ads"]["status"].as_str().unwrap_or(""), ads, "{name}: {consents}");
    }
}

#[test]
fn global_privacy_control_ends_sale_and_nothing_else() {
    let purposes = [json!({"name": "ads", "basis": "contract", "sells_or_shares": true})];
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["ads", "service"]})];
    let mut world = workspace(&purposes, &sources);
    world.post_with_gpc("shop", Entrance::Track, &track("m1", Some("ada"), None, NOON).to_string());
    assert_eq!(world.profile_for("user_id:ada", Some("ads")), Err("objected".to_owned()));
    assert!(world.profile_for("user_id:ada", Some("service")).is_ok());
    assert_eq!(world.profile("user_id:ada")["provenance"], json!({}), "a track has no traits");
    assert_eq!(world.profile("user_id:ada")["consents"]["ads"]["how"], "Sec-GPC");
}

#[test]
fn purposes_follow_the_event_and_the_payload_narrows_them() {
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["news", "service"],
        "events": {"Order Completed": ["service"], "identify": ["service"]}, "purposes_from": "properties.for"})];
    let mut world = workspace(&[], &sources);
    let consent =
        json!({"type": "consent", "userId": "ada", "consents": {"news": "given"}, "messageId": "c1"});
    world.send("shop", &[consent]);
    let mut bought = track("m1", Some("ada"), None, NOON);
    bought["event"] = json!("Order Completed");
    let mut read = track("m2", Some("ada"), None, NOON);
    read["properties"] = json!({"for": ["news", "unheard-of"]});
    let mut nothing = track("m3", Some("ada"), None, NOON);
    nothing["properties"] = json!({"for": []});
    world.send(
        "shop",
        &[bought, read, nothing, identify("m4", Some("ada"), None, json!({"plan": "pro"}), NOON)],
    );
    assert_eq!(world.totals().denied.get("unknown_purpose"), Some(&1));
    let for_news = world.profile_for("user_id:ada", Some("news")).unwrap();
    assert_eq!(
        for_news["event_counts"].as_object().unwrap().len(),
        2,
        "the consent call and the narrowed one"
    );
    assert_eq!(for_news["traits"], json!({}));
    assert_eq!(world.profile_for("user_id:ada", Some("service")).unwrap()["traits"], json!({"plan": "pro"}));
}

#[test]
fn a_restriction_keeps_data_and_stops_every_use() {
    let mut world = World::new();
    world.send("web", &[identify("m1", Some("ada"), None, json!({"plan": "pro"}), NOON)]);
    world.order("user_id:ada", ConsentStatus::Restricted, None);
    assert_eq!(world.profile_for("user_id:ada", Some("service")), Err("restricted".to_owned()));
    world.send("web", &[track("m2", Some("ada"), None, NOON)]);
    world.clock.advance_millis(1);
    world.order("user_id:ada", ConsentStatus::Unrestricted, None);
    let profile = world.profile("user_id:ada");
    assert_eq!(profile["traits"]["plan"], "pro");
    assert_eq!(profile["event_counts"]["Product Viewed"]["count"], 1, "what came meanwhile was kept");
}

#[test]
fn a_minimum_age_needs_a_day_of_birth() {
    let purposes = [json!({"name": "bets", "basis": "legitimate_interests", "minimum_age": 18})];
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["bets", "service"]})];
    let mut world = workspace(&purposes, &sources);
    for (user, birthday, expected) in [
        ("ada", json!("2005-11-14"), Ok(())),
        ("bob", json!("2005-11-15"), Err("underage".to_owned())),
        ("eve", json!(null), Err("age_unknown".to_owned())),
    ] {
        // It is 2023-11-14.
        world.send(
            "shop",
            &[identify(&format!("m-{user}"), Some(user), None, json!({"birthday": birthday}), NOON)],
        );
        let seen = world.profile_for(&format!("user_id:{user}"), Some("bets"));
        assert_eq!(seen.map(|_| ()), expected, "{user}");
    }
}

#[test]
fn asking_again_counts_from_the_cut_off_on() {
    let cutoff = Timestamp::from_millis(NOON + DAY).to_string();
    let purpose = |extra: Value| {
        let mut purpose =
            json!({"kind": "Purpose", "name": "offers", "basis": "consent", "notice": {"en": "one"}});
        purpose.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        purpose
    };
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["offers"]})];
    let mut world = workspace(&[purpose(json!({}))], &sources);
    let said = |message: &str, at: i64| {
        json!({"type": "consent", "userId": "ada", "consents": {"offers": "given"}, "messageId": message,
               "timestamp": Timestamp::from_millis(at).to_string()})
    };
    world.send("shop", &[said("c1", NOON)]);
    world.clock.advance_millis(DAY / 2);
    let rules: Arc<Rules> = world.pipeline.rules().load_full();
    let second = purpose(
        json!({"version": 2, "notice": {"en": "two"}, "reconsent": {"version": 2, "cutoff": cutoff}}),
    );
    let documents = rules.workspace.documents().filter(|d| d.name() != "offers").cloned();
    world.operate(Operation::Apply {
        documents: documents.chain([serde_json::from_value(second).unwrap()]).collect(),
    });
    assert!(world.profile_for("user_id:ada", Some("offers")).is_ok(), "until the cut-off");
    world.clock.advance_millis(DAY);
    assert_eq!(world.profile_for("user_id:ada", Some("offers")), Err("outdated".to_owned()));
    world.send("shop", &[said("c2", NOON + DAY + DAY / 2)]);
    assert!(world.profile_for("user_id:ada", Some("offers")).is_ok(), "asked again");
}

#[test]
fn what_no_purpose_covers_any_more_is_removed_from_profile_and_log() {
    let purposes = [json!({"name": "stats", "basis": "legitimate_interests", "retention_days": 30})];
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["stats"]})];
    let mut world = workspace(&purposes, &sources);
    let consent = json!({"type": "consent", "userId": "ada", "consents": {"news": "given"}, "messageId": "c1",
                         "timestamp": Timestamp::from_millis(NOON).to_string()});
    world.send("form", &[consent, identify("m1", Some("ada"), None, json!({"city": "Canarytown"}), NOON)]);
    world.send("shop", &[identify("m2", Some("ada"), None, json!({"size": "Canarysize"}), NOON)]);
    world.send("form", &[identify("m3", Some("bob"), None, json!({"city": "Neverallowed"}), NOON)]);
    world.clock.advance_millis(DAY);
    world.expire();
    assert_eq!(world.totals().expired, 0);
    let withdrawn =
        json!({"type": "consent", "userId": "ada", "consents": {"news": "withdrawn"}, "messageId": "c2"});
    world.send("form", &[withdrawn]);
    world.expire();
    assert_eq!(world.profile("user_id:ada")["traits"], json!({"size": "Canarysize"}));
    let folder = tempfile::tempdir().unwrap();
    world.eraser(folder.path()).sweep(&mut |_| {}).unwrap();
    assert_eq!(world.holds("Canarytown"), Vec::<String>::new());
    assert_eq!(
        world.holds("Neverallowed"),
        Vec::<String>::new(),
        "refused data is not kept, not even in the log"
    );
    assert!(!world.holds("Canarysize").is_empty());
    world.clock.advance_millis(30 * DAY);
    assert_eq!(world.profile_for("user_id:ada", Some("stats")), Err("not_served".to_owned()), "at once");
    world.expire();
    world.eraser(folder.path()).sweep(&mut |_| {}).unwrap();
    assert_eq!(world.holds("Canarysize"), Vec::<String>::new());
    assert_eq!(world.profile_for("user_id:ada", None), Err("withdrawn".to_owned()), "not even identifiers");
    assert_eq!(world.consents("user_id:ada")["news"]["status"], "withdrawn", "the proof stays");
}

#[test]
fn erasing_leaves_no_byte_and_stops_what_comes_again() {
    let mut world = World::new();
    world.send("web", &[track("m0", None, Some("canary-device"), NOON)]);
    let ada = json!({"email": "canary@example.org", "name": "Canaria Lovelace"});
    world.send("web", &[identify("m1", Some("canary-user"), Some("canary-device"), ada.clone(), NOON)]);
    world.send("web", &[track("m2", Some("bob"), None, NOON), track("m3", Some("canary-user"), None, NOON)]);
    world.send(
        "web",
        &[json!({"type": "track", "userId": "canary-user", "properties": {"email": "CANARY@example.org"}})],
    );
    world.post("web", Entrance::Batch, r#"{"batch": [{"userId": "canary-user""#);
    world.operate(Operation::Rectify {
        fragment: world.id("user_id:canary-user"),
        traits: [("name".to_owned(), json!("Canarina"))].into(),
        request: "r0".to_owned(),
    });
    assert_eq!(world.profile("user_id:canary-user")["traits"]["name"], "Canarina");
    let bob = world.profile("user_id:bob");
    assert_eq!(list_rejects(world.store.as_ref(), None, 10, |_| true).unwrap().len(), 2);

    world.erase("email:canary@example.org");
    assert_eq!(world.profile_for("anonymous_id:canary-device", None), Err("not found".to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let finished = world.eraser(folder.path()).erase(&mut |_| {}).unwrap().unwrap();
    assert_eq!(finished.requests, ["r1"]);
    world.eraser(folder.path()).done(&finished).unwrap();
    assert_eq!(world.eraser(folder.path()).erase(&mut |_| {}).unwrap(), None, "once is enough");
    for canary in ["canary", "Canaria", "CANARY", "Canarina"] {
        assert_eq!(world.holds(canary), Vec::<String>::new(), "{canary}");
    }
    assert_eq!(world.profile("user_id:bob"), bob);
    assert_eq!(load_erasures(world.store.as_ref()).unwrap()[0].fragments.len(), 3);

    world.send("web", &[identify("m9", Some("canary-user"), None, ada, NOON)]);
    assert_eq!(world.totals().denied.get("erased"), Some(&1));
    assert_eq!(world.profile_for("user_id:canary-user", None), Err("not found".to_owned()));
    let fragments = vec![world.id("user_id:canary-user"), world.id("email:canary@example.org")];
    world.operate(Operation::LiftErasure { fragments });
    world.send("web", &[track("m10", Some("canary-user"), None, NOON)]);
    assert!(world.profile_for("user_id:canary-user", None).is_ok());
}

#[test]
fn what_others_have_in_a_queue_goes_if_it_names_who_is_erased() {
    let mut world = World::new();
    let mut documents = crate::world::workspace();
    let destination = json!({"kind": "Destination", "name": "files", "type": "jsonl", "purpose": "service"});
    documents.push(serde_json::from_value(destination).unwrap());
    world.operate(Operation::Apply { documents });
    let ada = json!({"email": "canary@example.org", "phone": "+49 30 4711471"});
    world.send("web", &[identify("m1", Some("canary-user"), None, ada, NOON)]);
    for (n, note) in ["by Canary@Example.org", "\u{43}ANARY-user", "0049 (30) 471-1471", "about nobody"]
        .into_iter()
        .enumerate()
    {
        let properties = json!({"note": note, "n": n});
        world.send(
            "web",
            &[json!({"type": "track", "userId": "bob", "event": "Noted", "properties": properties})],
        );
    }
    let queued = |world: &World| world.store.scan(Table::Outbox, None, usize::MAX).unwrap().len();
    assert_eq!(queued(&world), 5);
    world.erase("user_id:canary-user");
    assert_eq!(queued(&world), 1, "bob's last event alone");
    let rows = world.store.scan(Table::Outbox, None, usize::MAX).unwrap();
    assert!(rows.iter().all(|(_, row)| String::from_utf8_lossy(row).contains("about nobody")));
}

#[test]
fn a_replay_behind_an_erasure_agrees() {
    let mut world = World::new();
    for n in 0..20 {
        let user = format!("u{}", n % 5);
        world.send(
            "web",
            &[identify(
                &format!("m{n}"),
                Some(&user),
                Some(&format!("d{}", n % 3)),
                json!({"n": n}),
                NOON + n,
            )],
        );
    }
    world.erase("user_id:u2");
    let folder = tempfile::tempdir().unwrap();
    world.eraser(folder.path()).erase(&mut |_| {}).unwrap().unwrap();
    world.send("web", &[track("later", Some("u1"), Some("d0"), NOON)]);
    let fresh = tessera_store::MemoryStore::new();
    let (_, snapshot) = tessera_pipeline::newest_snapshot(folder.path()).unwrap();
    tessera_pipeline::read_snapshot(&fresh, &snapshot).unwrap();
    let (fresh, end) = (Arc::new(fresh), world.log.bounds().end);
    let clock: Arc<dyn tessera_store::Clock> = world.clock.clone();
    tessera_pipeline::replay_into(&world.log, &fresh, &world.key(), &clock, end, Default::default(), |_| {})
        .unwrap();
    assert_eq!(tessera_pipeline::state_hash(fresh.as_ref()).unwrap().0, world.hash());
    // From the beginning, what others did is all there too: they shared devices with who went.
    let mut again = World::on(Arc::clone(&world.log), Default::default());
    again.pipeline.catch_up().unwrap();
    for user in ["user_id:u0", "user_id:u1", "user_id:u3", "user_id:u4"] {
        let (then, now) = (world.profile(user), again.profile(user));
        assert_eq!(
            (&then["traits"], &then["event_counts"]),
            (&now["traits"], &now["event_counts"]),
            "{user}"
        );
    }
}

#[test]
fn mentions_finds_people_in_text_that_is_no_event() {
    let world = World::new();
    let rules = world.pipeline.rules().load_full();
    let key = world.key();
    let mentions = Mentions::new(&[world.id("email:ada@example.org"), world.id("user_id:7")], &rules, &key);
    for (text, expected) in [
        (r#"{"to": "ADA@example.org"}"#, true),
        (r#"{"deep": [{"x": "hello ada@example.org, bye"}]}"#, true),
        (r#"{"userId": 7}"#, true),
        (r#"{"userId": 77}"#, false),
        ("broken {\"userId\": \"7\"", true),
        ("name;email\nAda;ada@example.org", true),
        ("name;email\nBob;bob@example.org", false),
    ] {
        assert_eq!(mentions.in_text(text), expected, "{text}");
    }
}

#[test]
fn rectified_values_stand_against_what_comes_late() {
    let mut world = World::new();
    world.send("web", &[identify("m1", Some("ada"), None, json!({"name": "Adda", "plan": "pro"}), NOON)]);
    let fragment = world.id("user_id:ada");
    let traits = [("name".to_owned(), json!("Ada")), ("plan".to_owned(), Value::Null)].into();
    world.operate(Operation::Rectify { fragment, traits, request: "r1".to_owned() });
    world.send("web", &[identify("m0", Some("ada"), None, json!({"name": "Adda"}), NOON - DAY)]);
    let profile = world.profile("user_id:ada");
    assert_eq!(profile["traits"], json!({"name": "Ada"}));
    assert_eq!(profile["provenance"]["name"]["source"], "tessera");
}

#[test]
fn the_workspace_is_sealed_in_log_and_store() {
    let mut world = World::new();
    let documents = crate::world::workspace();
    let sealed = tessera_pipeline::sealed_apply(&world.key(), &documents).unwrap();
    let record = Record::Operation { at: world.now(), operation: sealed.clone() }.encode().unwrap();
    assert!(!String::from_utf8_lossy(&record).contains("web-write-key"));
    world.operate(sealed);
    let rows = world.store.scan(Table::Workspace, None, 10).unwrap();
    assert!(rows.iter().all(|(_, value)| !String::from_utf8_lossy(value).contains("web-write-key")));
    assert_eq!(world.pipeline.rules().load().workspace.documents().count(), documents.len());
}

#[test]
fn erasing_spares_what_the_law_obliges_to_keep_and_that_alone() {
    let purposes = [
        json!({"name": "tax", "basis": "legal_obligation", "retention_days": 10}),
        json!({"name": "offers", "basis": "legitimate_interests"}),
    ];
    let sources = [json!({"name": "shop", "write_key": "shop-write-key", "purposes": ["tax", "offers"],
        "events": {"identify": ["offers"], "Product Viewed": ["offers"]}})];
    let mut world = workspace(&purposes, &sources);
    let mut bought = track("m1", Some("ada"), None, NOON);
    bought["event"] = json!("Order Completed");
    bought["properties"] = json!({"invoice": "Canaryinvoice"});
    let mut seen = track("m2", Some("ada"), Some("dev"), NOON);
    seen["properties"] = json!({"page": "Canarypage"});
    world.send(
        "shop",
        &[bought, seen, identify("m3", Some("ada"), None, json!({"city": "Canarytown"}), NOON)],
    );
    world.erase("user_id:ada");
    let folder = tempfile::tempdir().unwrap();
    let finished = world.eraser(folder.path()).erase(&mut |_| {}).unwrap().unwrap();
    assert_eq!((finished.fragments.len(), finished.spared.len()), (0, 2));
    assert_eq!(world.holds("Canarytown"), Vec::<String>::new());
    assert_eq!(world.holds("Canarypage"), Vec::<String>::new());
    assert!(!world.holds("Canaryinvoice").is_empty());
    assert_eq!(world.profile_for("user_id:ada", Some("offers")), Err("erased".to_owned()));
    let kept = world.profile_for("user_id:ada", Some("tax")).unwrap();
    assert_eq!((kept["event_counts"].as_object().unwrap().len(), &kept["traits"]), (1, &json!({})));
    world.send("shop", &[identify("m4", Some("ada"), None, json!({"city": "Canarytown"}), NOON)]);
    assert_eq!(world.totals().denied.get("erased"), Some(&1));
    // Once the time of the obligation is over the person goes as everybody.
    world.clock.advance_millis(11 * DAY);
    world.expire();
    world.eraser(folder.path()).sweep(&mut |_| {}).unwrap();
    assert_eq!(world.holds("Canaryinvoice"), Vec::<String>::new());
    assert_eq!(world.holds("ada"), Vec::<String>::new());
    assert_eq!(world.profile_for("user_id:ada", None), Err("not found".to_owned()));
    world.send("shop", &[track("m5", Some("ada"), None, NOON)]);
    assert_eq!(world.totals().denied.get("erased"), Some(&2));
}
