//! Top paths: what people do one after the other in one visit.
//!
//! A visit begins with a person's first event in the range and after each pause longer than `pause`. A path is the names of a visit's
//! events in the order of their times, from its first event - or the first that is called `start` - on, at most `length` of them.
//! An event that repeats the one before it is left out. Of events at one time, `start` comes first and the others by name.

use tessera_model::Timestamp;
use tessera_picture::{Bar, Heading, bars};

use crate::answer::{aligned, bar, count, csv, decimal, number, percent, text};
use crate::calendar::millis;
use crate::insight::days;
use crate::options::{Common, Usual, event, within};
use crate::sql::{besides, in_range};
use crate::{Answer, Options, Problem, Rows};

const COLUMNS: [&str; 4] = ["path", "visits", "people", "share"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) common: Common,
    pub(crate) start: Option<String>,
    pause_millis: i64,
    length: usize,
    limit: usize,
}

impl Paths {
    pub(crate) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        options.only(&["start", "pause", "length", "limit"])?;
        Ok(Self {
            common: options.common(now, Usual::Days(30))?,
            start: options.start.as_deref().map(|text| event("start", text)).transpose()?,
            pause_millis: millis("pause", options.pause.as_deref().unwrap_or("30m"))?,
            length: within("length", options.length, 4, (1, 20))?,
            limit: within("limit", options.limit, 20, (1, 1_000))?,
        })
    }

    pub(crate) fn sql(&self) -> String {
        let order = match &self.start {
            None => "timestamp, event".to_owned(),
            Some(start) => {
                format!("timestamp, CASE WHEN event = {} THEN 0 ELSE 1 END, event", crate::sql::text(start))
            }
        };
        let begun = self.start.as_deref().map_or_else(
            || "TRUE".to_owned(),
            |start| {
                format!(
                    "sum(CASE WHEN event = {} THEN 1 ELSE 0 END) OVER (PARTITION BY profile_id, visit ORDER BY {order} ROWS UNBOUNDED PRECEDING) > 0",
                    crate::sql::text(start)
                )
            },
        );
        format!(
            "-- Top paths: what people do one after the other, until they pause.\n\
             WITH seen AS (\n  SELECT profile_id, timestamp, event,\n    lag(timestamp) OVER (PARTITION BY profile_id ORDER BY {order}) AS before\n  \
             FROM events\n  WHERE {}\n    AND event IS NOT NULL{}\n),\n\
             visits AS (\n  SELECT profile_id, timestamp, event,\n    \
             sum(CASE WHEN before IS NULL OR timestamp > before + INTERVAL '{} seconds' THEN 1 ELSE 0 END)\n      \
             OVER (PARTITION BY profile_id ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS visit\n  FROM seen\n),\n\
             begun AS (\n  SELECT profile_id, timestamp, event, visit,\n    {begun} AS is_begun\n  FROM visits\n),\n\
             changes AS (\n  SELECT profile_id, timestamp, event, visit,\n    \
             lag(event) OVER (PARTITION BY profile_id, visit ORDER BY {order}) AS event_before\n  FROM begun\n  WHERE is_begun\n),\n\
             places AS (\n  SELECT profile_id, event, visit,\n    \
             row_number() OVER (PARTITION BY profile_id, visit ORDER BY {order}) AS place\n  FROM changes\n  \
             WHERE event_before IS NULL OR event_before <> event\n),\n\
             taken AS (\n  SELECT profile_id, visit, string_agg(event, ' → ' ORDER BY place) AS path\n  FROM places\n  \
             WHERE place <= {}\n  GROUP BY profile_id, visit\n)\n\
             SELECT path, count(*) AS visits, count(DISTINCT profile_id) AS people,\n  \
             round(CAST(count(*) AS DOUBLE) / sum(count(*)) OVER (), 4) AS share\n\
             FROM taken\nGROUP BY path\nORDER BY visits DESC, path\nLIMIT {}\n",
            in_range(self.common.range),
            besides(&self.common),
            self.pause_millis / 1000,
            self.length,
            self.limit,
        )
    }

    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        let most = rows.iter().map(|row| number(row, "visits")).max().unwrap_or_default();
        let lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let visits = number(row, "visits");
                vec![
                    count(visits),
                    count(number(row, "people")),
                    percent(decimal(row, "share")),
                    bar(visits, most),
                    text(row, "path").to_owned(),
                ]
            })
            .collect();
        let drawn: Vec<Bar> = rows
            .iter()
            .map(|row| Bar {
                name: text(row, "path").to_owned(),
                value: number(row, "visits"),
                text: format!("{} ({})", count(number(row, "visits")), percent(decimal(row, "share"))),
            })
            .collect();
        let told: Vec<String> = drawn.iter().map(|bar| format!("{}: {}", bar.name, bar.text)).collect();
        let heading = Heading {
            title: "Top paths".to_owned(),
            about: format!("visits by their first {} events, {}", self.length, days(self.common.range)),
            description: format!("Bars, one for each path. {}.", told.join("; ")),
        };
        Answer {
            table: aligned(&["visits", "people", "share", "", "path"], &[3, 4], &lines),
            csv: csv(&COLUMNS, rows),
            svg: bars(&heading, &drawn),
        }
    }
}
