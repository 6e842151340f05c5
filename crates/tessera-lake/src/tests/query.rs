//! Queries tell what their purpose permits, and nothing else, however they are written.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tessera_model::{AudienceId, AudienceName, ConsentStatus, Label, LabelSet, PurposeName};
use tessera_pipeline::memberships_of;
use tessera_policy::Labels;
use tessera_store::Clock as _;

use super::world::World;
use crate::{Answer, Asked, Engine, Format, QueryFailure, QueryLimits};

/// Each stands once in what the people below said, in the place that its name tells.
const CANARIES: [&str; 15] = [
    "xserviceada",
    "xnewsada",
    "xfreeada",
    "xhealthada",
    "xplanada",
    "xemailada",
    "xtraitada",
    "xserviceeve",
    "xnewseve",
    "xnewsbob",
    "xuserada",
    "xagentada",
    "xaudienceservice",
    "xaudiencenews",
    "xaudiencecare",
];

fn documents() -> Value {
    json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Purpose", "name": "news", "basis": "consent"},
        {"kind": "Purpose", "name": "care", "basis": "contract", "labels": ["special", "I1", "I2"]},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Source", "name": "form", "write_key": "form-write-key", "purposes": ["news"]},
        {"kind": "Source", "name": "ward", "write_key": "ward-write-key", "purposes": ["service", "care"]},
        {"kind": "Field", "name": "properties.health.*", "labels": ["special"]},
        {"kind": "Field", "name": "properties.plan", "labels": ["I2"]},
        {"kind": "Field", "name": "traits.email", "labels": ["I1"]},
        {"kind": "Audience", "name": "xaudienceservice", "purpose": "service", "when": "performed \"Seen\""},
        {"kind": "Audience", "name": "xaudiencenews", "purpose": "news", "when": "performed \"Seen\""},
        {"kind": "Audience", "name": "xaudiencecare", "purpose": "care", "when": "performed \"Checked\""},
    ])
}

/// Ada said yes to news, Eve took her yes back, Bob was never asked.
fn world() -> World {
    let mut world = World::new(documents());
    let track = |who: &str, text: &str| {
        json!({"type": "track", "userId": who, "event": "Seen", "messageId": format!("{who}-{text}"),
               "properties": {"word": text, "n": 1}})
    };
    world.send(
        "web",
        &[
            track("xuserada", "xserviceada"),
            track("eve", "xserviceeve"),
            json!({"type": "identify", "userId": "xuserada", "messageId": "i1",
               "traits": {"email": "xemailada@example.com", "note": "xtraitada", "plan": "pro"}}),
        ],
    );
    world.send(
        "ward",
        &[json!({
            "type": "track", "userId": "xuserada", "event": "Checked", "messageId": "w1",
            "properties": {"health": {"blood": "xhealthada"}, "plan": "xplanada", "note": "xfreeada"},
            "context": {"userAgent": "xagentada"},
        })],
    );
    for who in ["xuserada", "eve"] {
        world.say(who, ConsentStatus::Given);
    }
    world.send("form", &[track("xuserada", "xnewsada"), track("eve", "xnewseve"), track("bob", "xnewsbob")]);
    world.clock.advance_millis(1_000);
    world.say("eve", ConsentStatus::Withdrawn);
    world.feed.flush().unwrap();
    world
}

pub(super) struct Desk {
    pub(super) world: World,
    pub(super) engine: Arc<Engine>,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn new(limits: QueryLimits) -> Self {
        Self::of(world(), limits)
    }

    pub(super) fn of(world: World, limits: QueryLimits) -> Self {
        let spill = world.folder.path().join("spill");
        let engine = Arc::new(Engine::new(Arc::clone(&world.lake), spill, limits).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { world, engine, runtime }
    }

    /// Takes an engine that has answered nothing yet; returns the one before.
    pub(super) fn anew(&mut self) -> Arc<Engine> {
        let spill = self.world.folder.path().join("spill");
        let engine = Engine::new(Arc::clone(&self.world.lake), spill, QueryLimits::default()).unwrap();
        std::mem::replace(&mut self.engine, Arc::new(engine))
    }

    pub(super) fn ask_as(&self, reader: Reader, format: Format, sql: &str) -> Result<Answer, QueryFailure> {
        let rules = self.world.pipeline.rules().load_full();
        let labels = Arc::new(Labels::new(&rules));
        let asked = Asked {
            sql: sql.to_owned(),
            purpose: PurposeName::parse(reader.purpose).unwrap(),
            hidden: reader.hidden(),
            purposes: None,
            format,
            now: self.world.clock.now(),
        };
        let store = Arc::clone(&self.world.store);
        self.runtime.block_on(self.engine.ask(store, (rules, labels), asked))
    }

    fn csv(&self, reader: Reader, sql: &str) -> String {
        match self.ask_as(reader, Format::Csv, sql) {
            Ok(answer) => String::from_utf8(answer.body).unwrap(),
            Err(error) => format!("{}: {error}", error.code()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reader {
    pub(super) purpose: &'static str,
    pub(super) sees_identifiers: bool,
}

impl Reader {
    fn hidden(self) -> LabelSet {
        if self.sees_identifiers { LabelSet::default() } else { [Label::I1].into_iter().collect() }
    }
}

pub(super) const OFFICER: bool = true;
const ANALYST: bool = false;

/// Who may see which canaries: written by hand.
fn readers() -> [(Reader, &'static [&'static str]); 6] {
    let reader = |purpose, sees_identifiers| Reader { purpose, sees_identifiers };
    [
        (
            reader("service", OFFICER),
            &[
                "xserviceada",
                "xfreeada",
                "xplanada",
                "xemailada",
                "xtraitada",
                "xserviceeve",
                "xuserada",
                "xagentada",
                "xaudienceservice",
            ],
        ),
        (reader("service", ANALYST), &["xplanada", "xtraitada", "xaudienceservice"]),
        // Identifiers have no basis of their own: who is served is named.
        (reader("news", OFFICER), &["xnewsada", "xuserada", "xemailada", "xaudiencenews"]),
        (reader("news", ANALYST), &["xaudiencenews"]),
        (
            reader("care", OFFICER),
            &["xhealthada", "xfreeada", "xplanada", "xuserada", "xagentada", "xemailada", "xaudiencecare"],
        ),
        (reader("care", ANALYST), &["xhealthada", "xplanada", "xaudiencecare"]),
    ]
}

fn told(answer: &str) -> BTreeSet<&'static str> {
    CANARIES.into_iter().filter(|canary| answer.contains(canary)).collect()
}

const TABLES: [(&str, &[&str]); 7] = [
    (
        "events",
        &[
            "profile_id",
            "message_id",
            "event",
            "user_id",
            "context_user_agent",
            "properties",
            "traits",
            "context",
        ],
    ),
    ("profiles", &["profile_id", "traits"]),
    ("traits", &["name", "value"]),
    ("identities", &["namespace", "value"]),
    ("consents", &["purpose", "status", "source"]),
    ("audiences", &["audience", "profile_id"]),
    ("rejects", &["id", "code"]),
];

/// Each with `{c}` for a column and `{t}` for its table.
const SHAPES: [&str; 30] = [
    "SELECT {c} FROM {t}",
    "SELECT * FROM {t} WHERE {c} IS NOT NULL",
    "SELECT {c} AS harmless FROM {t} AS other ORDER BY harmless DESC",
    "SELECT max({c}), min({c}), count(DISTINCT {c}) FROM {t}",
    "SELECT string_agg({c}, '|') FROM {t}",
    "SELECT array_agg({c}) IS NULL, array_to_string(array_agg({c}), ',') FROM {t}",
    "SELECT upper(lower({c})), reverse(reverse({c})), substr({c}, 1) FROM {t}",
    "SELECT lower(upper(concat({c}, '-', {c}))) FROM {t}",
    "SELECT coalesce({c}, 'none') FROM {t} GROUP BY 1",
    "SELECT x FROM (SELECT {c} AS x FROM {t}) AS inner_query WHERE x LIKE '%x%'",
    "WITH a AS (SELECT {c} AS x FROM {t}), b AS (SELECT x FROM a) SELECT b.x FROM b JOIN a ON a.x = b.x",
    "SELECT (SELECT max({c}) FROM {t}) AS x",
    "SELECT {c} FROM {t} UNION ALL SELECT {c} FROM {t}",
    "SELECT {c} FROM {t} EXCEPT SELECT 'nothing'",
    "SELECT first_value({c}) OVER (ORDER BY {c}), lag({c}) OVER (ORDER BY {c}) FROM {t}",
    "SELECT a.{c} FROM {t} AS a LEFT JOIN {t} AS b ON a.{c} = b.{c}",
    "SELECT a.{c} FROM {t} AS a CROSS JOIN events AS b",
    "SELECT a.{c} FROM {t} AS a FULL JOIN traits AS b ON a.{c} = b.value",
    "SELECT CAST({c} AS BIGINT) FROM {t}",
    "SELECT CAST({c} AS TIMESTAMP) FROM {t}",
    "SELECT 1 / (length({c}) - length({c})) FROM {t}",
    "SELECT {c}::DATE FROM {t}",
    "SELECT to_timestamp({c}) FROM {t}",
    "SELECT regexp_match({c}, '.*') FROM {t}",
    "SELECT arrow_cast({c}, 'Int8') FROM {t}",
    "EXPLAIN SELECT {c} FROM {t} WHERE {c} > 'a'",
    "EXPLAIN ANALYZE SELECT {c} FROM {t} WHERE {c} > 'a'",
    "SELECT CASE WHEN {c} LIKE 'x%' THEN {c} ELSE 'no' END FROM {t}",
    "SELECT split_part({c}, '\"', 4), strpos({c}, 'x') FROM {t}",
    "SELECT count(*), {c} FROM {t} GROUP BY GROUPING SETS (({c}), ()) HAVING count(*) > 0",
];

const BY_HAND: [&str; 34] = [
    "SELECT properties->>'word', properties->'health'->>'blood', properties->>'note', properties->>'plan' FROM events",
    "SELECT json_get(properties, 'word') FROM events",
    "SELECT json_get_str(properties, 'health', 'blood') FROM events",
    "SELECT json_get_json(properties, 'health') FROM events",
    "SELECT json_as_text(traits, 'email'), json_as_text(traits, 'note') FROM events",
    "SELECT json_object_keys(properties) FROM events",
    "SELECT json_contains(properties, 'health') FROM events",
    "SELECT unnest(json_object_keys(properties)) FROM events",
    "SELECT e.*, i.* FROM events e JOIN identities i ON e.profile_id = i.profile_id",
    "SELECT * FROM events e JOIN profiles p USING (profile_id) JOIN traits t USING (profile_id)",
    "SELECT * FROM events WHERE profile_id IN (SELECT profile_id FROM consents)",
    "SELECT * FROM events NATURAL JOIN profiles",
    "SELECT * FROM events e, LATERAL (SELECT * FROM traits t WHERE t.profile_id = e.profile_id) AS x",
    "SELECT * FROM events WHERE timestamp > TIMESTAMP '2000-01-01T00:00:00Z'",
    "SELECT * FROM events WHERE timestamp < TIMESTAMP '2000-01-01T00:00:00Z'",
    "SELECT a.audience, e.* FROM audiences a JOIN events e USING (profile_id)",
    "SELECT * FROM profiles p LEFT JOIN audiences a ON a.profile_id = p.profile_id OR a.audience LIKE 'x%'",
    "SELECT events FROM events",
    "SELECT named_struct('a', properties, 'b', user_id) FROM events",
    "SELECT purposes FROM events",
    "SELECT rest FROM events",
    "SELECT position FROM events",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.df_settings",
    "SHOW TABLES",
    "DESCRIBE events",
    "SHOW ALL",
    "EXPLAIN VERBOSE SELECT * FROM events",
    "SELECT * FROM 'events'",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_parquet('events')",
    "SELECT * FROM datafusion.public.events",
    "SELECT approx_distinct(user_id), approx_percentile_cont(length(properties), 0.5) FROM events",
];

fn queries() -> Vec<String> {
    let mut all: Vec<String> = BY_HAND.iter().map(|sql| (*sql).to_owned()).collect();
    for (table, columns) in TABLES {
        for column in columns {
            all.extend(SHAPES.iter().map(|shape| shape.replace("{c}", column).replace("{t}", table)));
        }
    }
    all
}

#[test]
fn no_query_tells_what_its_purpose_does_not_permit() {
    let desk = Desk::new(QueryLimits::default());
    let queries = queries();
    assert!(queries.len() > 500, "{}", queries.len());
    for (reader, permitted) in readers() {
        let permitted: BTreeSet<&str> = permitted.iter().copied().collect();
        let mut shown = BTreeSet::new();
        // Everything to those of whom the most is kept, every third to the others.
        let step = if permitted.len() <= 3 { 1 } else { 3 };
        let by_hand = queries.iter().take(BY_HAND.len());
        for sql in by_hand.chain(queries.iter().skip(BY_HAND.len()).step_by(step)) {
            let answer = desk.csv(reader, sql);
            let told = told(&answer);
            assert!(told.is_subset(&permitted), "{reader:?} {sql}\n{answer}");
            assert!(!answer.starts_with("TES") || told.is_empty(), "an error tells a value: {sql}\n{answer}");
            shown.extend(told);
        }
        assert_eq!(shown, permitted, "{reader:?}: what is permitted is shown");
    }
}

#[test]
fn no_filter_finds_what_its_purpose_does_not_permit() {
    let desk = Desk::new(QueryLimits::default());
    for (reader, permitted) in readers() {
        for (table, columns) in TABLES {
            for (column, canary) in columns.iter().flat_map(|c| CANARIES.map(|canary| (*c, canary))) {
                if permitted.contains(&canary) {
                    continue;
                }
                let sql = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%{canary}%'");
                let answer = desk.csv(reader, &sql);
                assert_eq!(answer.lines().last(), Some("0"), "{reader:?} {sql}");
            }
        }
    }
}

#[test]
fn what_only_looks_like_reading_is_refused() {
    let desk = Desk::new(QueryLimits::default());
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    for sql in [
        "DROP TABLE events",
        "DELETE FROM events",
        "UPDATE events SET user_id = 'a'",
        "INSERT INTO events VALUES ('a')",
        "CREATE TABLE a AS SELECT * FROM events",
        "CREATE VIEW a AS SELECT * FROM events",
        "CREATE EXTERNAL TABLE a STORED AS PARQUET LOCATION '/tmp/'",
        "COPY events TO '/tmp/a.csv'",
        "COPY (SELECT * FROM events) TO 'a.parquet' STORED AS PARQUET",
        "SET datafusion.execution.batch_size = 1",
        "PREPARE a AS SELECT * FROM events",
        "EXPLAIN ANALYZE COPY events TO '/tmp/a.csv'",
        "EXPLAIN CREATE TABLE a AS SELECT 1",
        "SELECT 1; DROP TABLE events",
        "BEGIN",
    ] {
        let answer = desk.csv(reader, sql);
        assert!(answer.starts_with("TES-Q002") || answer.starts_with("TES-Q001"), "{sql}: {answer}");
    }
    assert!(desk.csv(reader, "SELECT count(*) FROM events").ends_with("\n4\n"));
}

#[test]
fn every_format_tells_the_same() {
    let desk = Desk::new(QueryLimits::default());
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let sql = "SELECT event, properties->'n' AS n FROM events WHERE type = 'track' ORDER BY event, n";
    for format in Format::ALL {
        let answer = desk.ask_as(reader, format, sql).unwrap();
        assert_eq!(answer.rows, 3, "{format:?}");
        assert!(!answer.body.is_empty(), "{format:?}");
    }
    assert_eq!(desk.csv(reader, sql), "event,n\nChecked,\nSeen,1\nSeen,1\n");
    let json = desk.ask_as(reader, Format::Json, sql).unwrap().body;
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json[1], json!({"event": "Seen", "n": "1"}));
}

#[test]
fn a_query_is_told_whose_data_it_was_given() {
    let desk = Desk::new(QueryLimits::default());
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let seen = desk.ask_as(reader, Format::Csv, "SELECT user_id FROM events").unwrap().seen;
    assert_eq!(seen.people, 2);
    assert_eq!(seen.fields.into_iter().collect::<Vec<_>>(), ["events", "identifiers.user_id"]);
    let news = Reader { purpose: "news", sees_identifiers: ANALYST };
    assert_eq!(desk.ask_as(news, Format::Csv, "SELECT user_id FROM events").unwrap().seen.people, 1);
}

#[test]
fn queries_end_at_their_limits() {
    let desk = Desk::new(QueryLimits { answer_bytes_max: 1_000, ..QueryLimits::default() });
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    for (sql, code) in [
        ("SELECT value FROM generate_series(1, 100000)", "TES-Q006"),
        ("SELECT nonsense FROM events", "TES-Q001"),
        ("SELECT FROM WHERE", "TES-Q001"),
    ] {
        assert_eq!(desk.ask_as(reader, Format::Csv, sql).unwrap_err().code(), code, "{sql}");
    }
    let hasty = Desk::new(QueryLimits { timeout_seconds: 1, ..QueryLimits::default() });
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 3";
    assert_eq!(hasty.ask_as(reader, Format::Csv, endless).unwrap_err().code(), "TES-Q004");
    let long = format!("SELECT '{}'", "a".repeat(70_000));
    assert_eq!(desk.ask_as(reader, Format::Csv, &long).unwrap_err().code(), "TES-Q003");
    let deep = format!("SELECT {}1{}", "(".repeat(1_500), ")".repeat(1_500));
    assert_eq!(desk.ask_as(reader, Format::Csv, &deep).unwrap_err().code(), "TES-Q001");
    let chain = |links| format!("SELECT 1{}", "+1".repeat(links));
    assert_eq!(desk.ask_as(reader, Format::Csv, &chain(20_000)).unwrap_err().code(), "TES-Q003");
    drop(hasty.ask_as(reader, Format::Csv, &chain(1_990)));
    let either = format!("SELECT count(*) FROM events WHERE {}", vec!["type = 'a'"; 990].join(" OR "));
    drop(hasty.ask_as(reader, Format::Csv, &either));
    let unions = vec!["SELECT 1"; 900].join(" UNION ALL ");
    drop(hasty.ask_as(reader, Format::Csv, &unions));
    assert!(desk.csv(reader, "SELECT 1 AS a").ends_with("1\n"), "it lives on");
    let small =
        Desk::new(QueryLimits { memory_bytes: 1 << 20, spill_bytes_max: 0, ..QueryLimits::default() });
    let sort = "SELECT count(*) FROM (SELECT value FROM generate_series(1, 1000000) ORDER BY value % 7)";
    let series = "SELECT count(*) FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value = b.value";
    for sql in [sort, series] {
        assert!(!small.csv(reader, sql).contains("panicked"), "{sql}");
    }
    assert_eq!(small.ask_as(reader, Format::Csv, series).unwrap_err().code(), "TES-Q005");
}

#[test]
fn a_query_that_takes_long_to_plan_ends_at_its_limit_too() {
    let desk = Desk::new(QueryLimits { timeout_seconds: 0, ..QueryLimits::default() });
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let unions = vec!["SELECT 1"; 900].join(" UNION ALL ");
    assert_eq!(desk.ask_as(reader, Format::Csv, &unions).unwrap_err().code(), "TES-Q004");
}

#[test]
fn audiences_has_the_members_of_the_purposes_own_audiences_whom_it_may_see() {
    let desk = Desk::new(QueryLimits::default());
    let store = desk.world.store.as_ref();
    for (purpose, who) in
        [("service", &["xuserada", "eve"][..]), ("news", &["xuserada"]), ("care", &["xuserada"])]
    {
        let reader = Reader { purpose, sees_identifiers: OFFICER };
        let name = format!("xaudience{purpose}");
        let parsed = (AudienceName::parse(&name).unwrap(), PurposeName::parse(purpose).unwrap());
        let id = AudienceId::of(&parsed.0, &parsed.1);
        let mut rows: Vec<String> = who
            .iter()
            .map(|who| desk.world.id(&format!("user_id:{who}")))
            .map(|member| {
                let since = memberships_of(store, member).unwrap()[&id];
                format!("{name},{member},{}", since.to_string().replace(".000Z", "Z"))
            })
            .collect();
        rows.sort();
        let answer = desk.csv(reader, "SELECT * FROM audiences ORDER BY profile_id");
        assert_eq!(answer, format!("audience,profile_id,since\n{}\n", rows.join("\n")));
    }
    let reader = Reader { purpose: "news", sees_identifiers: ANALYST };
    let seen = desk.ask_as(reader, Format::Csv, "SELECT count(*) FROM audiences").unwrap().seen;
    assert_eq!(seen.fields.into_iter().collect::<Vec<_>>(), ["audiences.xaudiencenews"]);
    assert_eq!(seen.people, 1);
}

#[test]
fn a_merge_shows_in_events_at_once() {
    let mut desk = Desk::new(QueryLimits::default());
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let sql =
        "SELECT count(DISTINCT profile_id) AS people, count(DISTINCT fragment_id) AS fragments FROM events";
    assert_eq!(desk.csv(reader, sql), "people,fragments\n2,2\n");
    let alias = json!({"type": "alias", "userId": "xuserada", "previousId": "eve", "messageId": "al"});
    desk.world.send("web", &[alias]);
    assert_eq!(desk.csv(reader, sql), "people,fragments\n1,2\n");
    // Asked for by the profile, the events of all its fragments are read; by the id that one had before, none.
    let ids = desk.csv(reader, "SELECT DISTINCT profile_id, fragment_id FROM events ORDER BY fragment_id");
    let ids: Vec<(&str, &str)> = ids.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    let profile = ids[0].0;
    for (_, fragment) in &ids {
        let count = |id: &str| {
            desk.csv(reader, &format!("SELECT count(*) > 0 AS any FROM events WHERE profile_id = '{id}' AND fragment_id IN ('{fragment}', 'nobody')"))
        };
        assert_eq!(count(profile), "any\ntrue\n");
        assert_eq!(count("nobody"), "any\nfalse\n");
        assert!(*fragment == profile || count(fragment) == "any\nfalse\n");
    }
    let all = desk.csv(reader, "SELECT count(*) AS n FROM events");
    let one = desk.csv(reader, &format!("SELECT count(*) AS n FROM events WHERE '{profile}' = profile_id"));
    assert_eq!(one, all);
}
