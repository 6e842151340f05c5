//! The fixed set of questions. Both engines get the same text, but where one has a better way of its own.

/// A question.
pub(super) struct Question {
    pub(super) name: &'static str,
    /// As Tessera is asked.
    pub(super) sql: &'static str,
    /// As DuckDB is asked; as Tessera is, unless it says otherwise.
    pub(super) duckdb: Option<&'static str>,
}

const FUNNEL: &str = "
WITH a AS (
    SELECT profile_id, min(timestamp) AS at_1 FROM events WHERE event = 'Product Viewed' GROUP BY profile_id
), b AS (
    SELECT e.profile_id, a.at_1, min(e.timestamp) AS at_2 FROM a JOIN events AS e ON e.profile_id = a.profile_id
    WHERE e.event = 'Product Added' AND e.timestamp >= a.at_1 AND e.timestamp < a.at_1 + INTERVAL '7 days'
    GROUP BY e.profile_id, a.at_1
), c AS (
    SELECT e.profile_id, b.at_1, min(e.timestamp) AS at_3 FROM b JOIN events AS e ON e.profile_id = b.profile_id
    WHERE e.event = 'Order Completed' AND e.timestamp >= b.at_2 AND e.timestamp < b.at_1 + INTERVAL '7 days'
    GROUP BY e.profile_id, b.at_1
)
SELECT (SELECT count(*) FROM a) AS viewed, (SELECT count(*) FROM b) AS added, (SELECT count(*) FROM c) AS ordered";

const RETENTION: &str = "
WITH starts AS (
    SELECT profile_id, date_trunc('week', min(timestamp)) AS started FROM events GROUP BY profile_id
), active AS (
    SELECT DISTINCT profile_id, date_trunc('week', timestamp) AS week FROM events
)
SELECT substr(CAST(started AS VARCHAR), 1, 10) AS started, substr(CAST(week AS VARCHAR), 1, 10) AS week, count(*) AS people
FROM starts JOIN active ON active.profile_id = starts.profile_id
GROUP BY 1, 2 ORDER BY 1, 2";

const SESSIONS: &str = "
WITH pauses AS (
    SELECT profile_id, timestamp, lag(timestamp) OVER (PARTITION BY profile_id ORDER BY timestamp) AS before
    FROM events
)
SELECT count(*) AS sessions, count(DISTINCT profile_id) AS people
FROM pauses WHERE before IS NULL OR timestamp > before + INTERVAL '30 minutes'";

const FIRST_TOUCH: &str = "
WITH touches AS (
    SELECT profile_id, min(timestamp) AS at FROM events WHERE context_campaign_source IS NOT NULL GROUP BY profile_id
)
SELECT t.context_campaign_source AS campaign, count(DISTINCT o.profile_id) AS people, count(*) AS orders
FROM events AS o
JOIN touches ON touches.profile_id = o.profile_id
JOIN events AS t ON t.profile_id = touches.profile_id AND t.timestamp = touches.at
WHERE o.event = 'Order Completed' AND t.context_campaign_source IS NOT NULL
GROUP BY 1 ORDER BY 1";

pub(super) const QUESTIONS: [Question; 10] = [
    Question {
        name: "count",
        sql: "SELECT event, count(*) AS events FROM events GROUP BY 1 ORDER BY 1",
        duckdb: None,
    },
    Question {
        name: "distinct",
        sql: "SELECT event, count(DISTINCT profile_id) AS people FROM events GROUP BY 1 ORDER BY 1",
        duckdb: None,
    },
    Question {
        name: "last_week",
        sql: "SELECT count(*) AS events, count(DISTINCT profile_id) AS people FROM events \
              WHERE timestamp >= TIMESTAMPTZ '2026-03-25T00:00:00Z' AND timestamp < TIMESTAMPTZ '2026-04-01T00:00:00Z'",
        duckdb: None,
    },
    Question {
        name: "top_products",
        sql: "SELECT properties->>'product' AS product, count(*) AS orders, sum(CAST(properties->>'total' AS DOUBLE)) AS total \
              FROM events WHERE event = 'Order Completed' GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 10",
        duckdb: None,
    },
    Question {
        name: "top_people",
        sql: "SELECT profile_id, sum(CAST(properties->>'total' AS DOUBLE)) AS total FROM events \
              WHERE event = 'Order Completed' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100",
        duckdb: None,
    },
    Question {
        name: "campaigns",
        sql: "SELECT context_campaign_source AS campaign, count(*) AS orders, avg(CAST(properties->>'total' AS DOUBLE)) AS mean \
              FROM events WHERE event = 'Order Completed' AND CAST(properties->>'total' AS DOUBLE) > 100 \
              GROUP BY 1 ORDER BY 2 DESC, 1",
        duckdb: None,
    },
    Question { name: "funnel", sql: FUNNEL, duckdb: None },
    Question { name: "retention", sql: RETENTION, duckdb: None },
    Question { name: "sessions", sql: SESSIONS, duckdb: None },
    Question { name: "first_touch", sql: FIRST_TOUCH, duckdb: None },
];
