//! A plan with people by number tells what the same plan with their ids as texts tells.

use serde_json::json;

use super::query::{Desk, OFFICER, Reader};
use super::world::World;
use crate::{Format, QueryLimits};

/// The same table as it is, and with ids that were made by a function: nothing is known of those.
const TABLES: [&str; 2] = [
    "events",
    "(SELECT lower(profile_id) AS profile_id, fragment_id, user_id, event, timestamp, message_id FROM events)",
];

/// `{e}` stands for the table.
const QUERIES: [&str; 56] = [
    "SELECT profile_id FROM {e} AS e",
    "SELECT DISTINCT profile_id FROM {e} AS e",
    "SELECT DISTINCT profile_id, event FROM {e} AS e",
    "SELECT DISTINCT ON (profile_id) profile_id, message_id FROM {e} AS e ORDER BY profile_id, message_id",
    "SELECT profile_id AS p, count(*) FROM {e} AS e GROUP BY profile_id",
    "SELECT profile_id AS p, p2, count(*) FROM (SELECT profile_id, profile_id AS p2 FROM {e} AS e) GROUP BY 1, 2",
    "SELECT count(profile_id), count(DISTINCT profile_id), min(profile_id), max(profile_id) FROM {e} AS e",
    "SELECT event, count(DISTINCT profile_id), max(profile_id) FROM {e} AS e GROUP BY event",
    "SELECT event, count(DISTINCT profile_id) FILTER (WHERE profile_id > '7') FROM {e} AS e GROUP BY event",
    "SELECT event, array_to_string(array_agg(profile_id ORDER BY profile_id), '+') FROM {e} AS e GROUP BY event",
    "SELECT event, string_agg(profile_id, '+' ORDER BY message_id) FROM {e} AS e GROUP BY event",
    "SELECT profile_id, event, count(*) FROM {e} AS e GROUP BY GROUPING SETS ((profile_id), (event), ())",
    "SELECT profile_id, event, count(*) FROM {e} AS e GROUP BY ROLLUP (event, profile_id)",
    "SELECT profile_id, count(*) AS n FROM {e} AS e GROUP BY 1 HAVING count(*) > 1 AND profile_id <> 'x'",
    "SELECT substr(profile_id, 1, 2) AS head, count(*) FROM {e} AS e GROUP BY 1",
    "SELECT profile_id || '!' AS a, profile_id FROM {e} AS e",
    "SELECT profile_id FROM {e} AS e WHERE profile_id = (SELECT min(profile_id) FROM {e} AS f)",
    "SELECT message_id FROM {e} AS e WHERE profile_id IN (SELECT profile_id FROM {e} AS f WHERE event = 'Ordered')",
    "SELECT message_id FROM {e} AS e WHERE profile_id NOT IN (SELECT profile_id FROM {e} AS f WHERE event = 'Ordered')",
    "SELECT message_id FROM {e} AS e WHERE EXISTS (SELECT 1 FROM {e} AS f WHERE f.profile_id = e.profile_id AND f.event = 'Ordered')",
    "SELECT message_id FROM {e} AS e WHERE NOT EXISTS (SELECT 1 FROM {e} AS f WHERE f.profile_id = e.profile_id AND f.event = 'Ordered')",
    "SELECT message_id, (SELECT count(*) FROM {e} AS f WHERE f.profile_id = e.profile_id) AS n FROM {e} AS e",
    "SELECT (SELECT count(DISTINCT profile_id) FROM {e} AS e) AS a, (SELECT min(profile_id) FROM {e} AS e) AS b",
    "SELECT message_id FROM {e} AS e WHERE profile_id IS NOT NULL AND profile_id LIKE '%a%'",
    "SELECT message_id FROM {e} AS e WHERE profile_id IN ('x', 'y') OR profile_id BETWEEN '0' AND '9'",
    "SELECT e.message_id, f.message_id FROM {e} AS e JOIN {e} AS f ON e.profile_id = f.profile_id",
    "SELECT e.message_id, f.message_id FROM {e} AS e JOIN {e} AS f ON e.profile_id <> f.profile_id",
    "SELECT e.message_id, f.message_id FROM {e} AS e JOIN {e} AS f ON e.profile_id < f.profile_id",
    "SELECT e.message_id, f.message_id FROM {e} AS e JOIN {e} AS f ON (e.profile_id IS NOT DISTINCT FROM f.profile_id) AND e.event = f.event",
    "SELECT profile_id, e.message_id, f.message_id FROM {e} AS e JOIN {e} AS f USING (profile_id)",
    "SELECT e.profile_id, f.profile_id FROM {e} AS e LEFT JOIN {e} AS f ON e.profile_id = f.profile_id AND f.event = 'Ordered'",
    "SELECT e.profile_id, f.profile_id FROM {e} AS e RIGHT JOIN {e} AS f ON e.profile_id = f.profile_id AND e.event = 'Ordered'",
    "SELECT e.profile_id, f.profile_id FROM (SELECT * FROM {e} AS e WHERE event = 'Seen') AS e FULL JOIN (SELECT * FROM {e} AS e WHERE event = 'Ordered') AS f ON e.profile_id = f.profile_id",
    "SELECT e.message_id FROM {e} AS e JOIN {e} AS f ON e.profile_id = f.fragment_id",
    "SELECT e.message_id FROM {e} AS e JOIN profiles AS p ON e.profile_id = p.profile_id",
    "SELECT e.message_id, a.value FROM {e} AS e LEFT JOIN traits AS a ON e.profile_id = a.profile_id",
    "SELECT e.message_id FROM {e} AS e LEFT SEMI JOIN {e} AS f ON e.profile_id = f.profile_id AND f.event = 'Ordered'",
    "SELECT e.message_id FROM {e} AS e LEFT ANTI JOIN {e} AS f ON e.profile_id = f.profile_id AND f.event = 'Ordered'",
    "SELECT e.message_id FROM {e} AS e CROSS JOIN {e} AS f WHERE e.profile_id = f.profile_id AND f.event = 'Ordered'",
    "SELECT profile_id FROM {e} AS e UNION SELECT profile_id FROM {e} AS e WHERE event = 'Seen'",
    "SELECT profile_id FROM {e} AS e UNION ALL SELECT user_id FROM {e} AS e",
    "SELECT profile_id FROM {e} AS e INTERSECT SELECT profile_id FROM {e} AS e WHERE event = 'Ordered'",
    "SELECT profile_id FROM {e} AS e EXCEPT SELECT profile_id FROM {e} AS e WHERE event = 'Ordered'",
    "SELECT profile_id FROM {e} AS e ORDER BY profile_id LIMIT 3",
    "SELECT message_id FROM {e} AS e ORDER BY profile_id DESC, message_id LIMIT 4",
    "SELECT message_id, row_number() OVER (PARTITION BY profile_id ORDER BY message_id) AS n FROM {e} AS e",
    "SELECT message_id, lag(profile_id) OVER (ORDER BY message_id) AS p FROM {e} AS e",
    "SELECT message_id, rank() OVER (ORDER BY profile_id) AS n, count(*) OVER (PARTITION BY substr(profile_id, 1, 1)) AS m FROM {e} AS e",
    "SELECT message_id, first_value(profile_id) OVER (PARTITION BY event, profile_id ORDER BY message_id) AS p FROM {e} AS e",
    "SELECT profile_id FROM (SELECT profile_id, row_number() OVER (PARTITION BY profile_id ORDER BY message_id) AS n FROM {e} AS e) WHERE n = 1",
    "SELECT CASE WHEN profile_id = user_id THEN 'same' ELSE coalesce(profile_id, '') END AS c FROM {e} AS e",
    "SELECT nullif(e.profile_id, f.profile_id) AS n FROM {e} AS e, {e} AS f WHERE e.event = 'Ordered'",
    "WITH a AS (SELECT profile_id, min(timestamp) AS at FROM {e} AS e GROUP BY 1), b AS (SELECT a.profile_id AS who, e.message_id FROM a JOIN {e} AS e ON e.profile_id = a.profile_id AND e.timestamp >= a.at) SELECT who, count(*) FROM b GROUP BY who",
    "WITH RECURSIVE r AS (SELECT profile_id, 1 AS n FROM {e} AS e UNION ALL SELECT profile_id, n + 1 FROM r WHERE n < 3) SELECT profile_id, max(n) FROM r GROUP BY 1",
    "SELECT upper(p) AS p FROM (SELECT profile_id AS p FROM {e} AS e UNION ALL SELECT profile_id FROM {e} AS e) WHERE p <> ''",
    "SELECT arrow_typeof(profile_id) AS t, count(*) FROM {e} AS e GROUP BY 1",
];

fn desk() -> Desk {
    let mut world = World::new(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
    ]));
    for (number, (who, event)) in [
        ("u1", "Seen"),
        ("u2", "Seen"),
        ("u1", "Ordered"),
        ("u3", "Seen"),
        ("u4", "Opened"),
        ("u2", "Ordered"),
        ("u1", "Seen"),
    ]
    .into_iter()
    .enumerate()
    {
        let event =
            json!({"type": "track", "userId": who, "event": event, "messageId": format!("m{number}")});
        world.send("web", &[event]);
    }
    let traits = json!({"type": "identify", "userId": "u3", "messageId": "i1", "traits": {"plan": "pro"}});
    let alias = json!({"type": "alias", "userId": "u1", "previousId": "u4", "messageId": "a1"});
    world.send("web", &[traits, alias]);
    world.feed.flush().unwrap();
    Desk::of(world, QueryLimits::default())
}

#[test]
fn people_by_number_are_the_same_people() {
    let desk = desk();
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    for query in QUERIES {
        let [numbers, texts] = TABLES.map(|table| {
            let answer = desk.ask_as(reader, Format::Csv, &query.replace("{e}", table));
            let text = answer.map(|answer| String::from_utf8(answer.body).unwrap());
            let text = text.unwrap_or_else(|error| format!("\n{error}"));
            let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
            if !query.contains("LIMIT") {
                rows.sort();
            }
            rows
        });
        assert_eq!(numbers, texts, "{query}");
        assert!(!texts.join("").contains("query"), "{query}: {texts:?}");
        assert!(!texts.is_empty() || query.contains("fragment_id"), "{query} asks for nothing");
    }
}

#[test]
fn a_plan_compares_people_by_number() {
    let desk = desk();
    let reader = Reader { purpose: "service", sees_identifiers: OFFICER };
    let texts = |sql: &str| {
        let plan = desk.ask_as(reader, Format::Csv, &format!("EXPLAIN {sql}")).unwrap().body;
        let plan = String::from_utf8(plan).unwrap();
        assert!(plan.contains("physical_plan"), "{plan}");
        let physical = plan.split("physical_plan").nth(1).unwrap_or_default();
        physical.matches("text_of(").count()
    };
    // Made into texts where the answer has them, and nowhere else.
    assert_eq!(texts("SELECT count(DISTINCT profile_id) FROM events GROUP BY event"), 0);
    assert_eq!(texts("SELECT count(*) FROM events AS a JOIN events AS b ON a.profile_id = b.profile_id"), 0);
    assert_eq!(texts("SELECT profile_id, count(*) AS n FROM events GROUP BY 1"), 1);
    assert_eq!(texts("SELECT (SELECT count(*) FROM (SELECT DISTINCT profile_id FROM events)) AS n"), 0);
}
